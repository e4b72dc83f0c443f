"""Every format of exercises: valid by its schema or parser, read back to the same keys, odd characters harmless."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import jsonschema
import pytest

from rfcalc.report import schemas
from rfcalc.teaching.exercises import bank, patterns
from rfcalc.teaching.exercises.draw import seed_of
from rfcalc.teaching.exercises.formats import FORMATS, PaperHeading, clean, render
from rfcalc.teaching.exercises.formats import gift as gift_format
from rfcalc.teaching.exercises.formats._text import LETTERS
from rfcalc.teaching.exercises.item import Blank, ExerciseItem, from_dict

STUDENT = "Ann ]]> <b>&amp; {=~#:} \\ $x$ % `c` \"q\" 'q' \x00\x1f \ud800 雪☃ ../../etc | _*_"


def _items() -> list[ExerciseItem]:
    """One item of every pattern."""
    found = [bank._item(p, seed_of("formats", p.name), None) for p in patterns.patterns()]
    return [i for i in found if i is not None]


ITEMS = _items()
PAPER = PaperHeading("Exercises, seed 7", "7", STUDENT, {"seed": "7", "student": STUDENT})
BLANKS = [(i, b) for i in ITEMS for b in i.blanks]


def made(form: str) -> Any:
    return render(ITEMS, form, PAPER)


def test_every_format_says_what_it_is() -> None:
    assert all(FORMATS.values())
    with pytest.raises(Exception, match="did you mean moodle"):
        render(ITEMS[:1], "moodel", PAPER)


def test_clean_leaves_one_line_of_printable_text() -> None:
    assert clean(STUDENT).isprintable() and "\n" not in clean("a\nb\r\nc") and "雪☃" in clean(STUDENT)
    clean(STUDENT).encode("utf-8")


# --- the bank -------------------------------------------------------------------------------------------------------


def schema() -> Any:
    return schemas.schema("exercises")


def test_json_follows_its_schema_and_reads_back() -> None:
    found = json.loads(made("json"))
    jsonschema.validate(found, schema())
    assert [from_dict(i) for i in found["items"]] == ITEMS


def test_the_schema_refuses_two_right_answers() -> None:
    found = json.loads(made("json"))
    found["items"][0]["answers"][0]["options"] = [
        o | {"right": True} for o in found["items"][0]["answers"][0]["options"]
    ]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema())


# --- Moodle ---------------------------------------------------------------------------------------------------------


def test_moodle_xml_follows_its_schema() -> None:
    etree = pytest.importorskip("lxml.etree")
    checked = etree.XMLSchema(etree.parse(str(Path(__file__).parent / "data" / "moodle.xsd")))
    tree = etree.fromstring(made("moodle").encode())
    checked.assertValid(tree)
    tree.find("question[2]/name").append(etree.Element("surprise"))
    assert not checked.validate(tree)


def test_moodle_xml_reads_back() -> None:
    questions = ElementTree.fromstring(made("moodle")).findall("question")
    assert len(questions) == len(ITEMS) + 1
    assert [q.findtext("idnumber") for q in questions[1:]] == [i.id for i in ITEMS]
    for item, question in zip(ITEMS, questions[1:], strict=True):
        single = item.single
        if single is None:
            assert question.get("type") == "cloze"
            read = list(cloze(question.findtext("questiontext/text") or ""))
            assert [r[1] for r in read] == [b.key for b in item.blanks]
            spelled = [len(b.options) + len(b.typed(b.right)) - 1 for b in item.blanks]
            assert [r[2] for r in read] == spelled
            continue
        right = [a for a in question.findall("answer") if a.get("fraction") == "100"]
        assert len(right) == len(single.typed(single.right))
        text = re.sub(r"<[^>]+>", "", unescape(right[0].findtext("text") or ""))
        assert text == single.key.replace("`", "")
        if single.kind == "integer":
            assert right[0].findtext("tolerance") == "0"


def cloze(text: str) -> Iterator[tuple[str, str, int]]:
    """(type, right answer, number of answers) of the places in a cloze text, by Moodle's own pattern for them."""
    for kind, inside in re.findall(r"\{1:(NUMERICAL|SHORTANSWER):((?:\\.|[^}\\])*)\}", text):
        parts = re.split(r"(?<!\\)~", inside)
        right = [p[1:] for p in parts if p.startswith("=")]
        assert len(right) == 1 or kind == "SHORTANSWER"
        assert all(p.startswith(("=", "%0%")) for p in parts)
        answer = re.split(r"(?<!\\)#", right[0])[0]
        if kind == "NUMERICAL":
            answer, _, tolerance = answer.partition(":")
            assert tolerance == "0"
        yield kind, re.sub(r"\\(.)", r"\1", answer), len(parts)


def test_gift_reads_back() -> None:
    found = gift_format.read(made("gift"))
    assert len(found) == len(BLANKS)
    for (item, blank), question in zip(BLANKS, found, strict=True):
        right = [a for a in question["answers"] if a[0] == 100]
        spelled = len(blank.typed(blank.right))
        assert len(right) == spelled and len(question["answers"]) == len(blank.options) + spelled - 1, item.id
        answer = unescape(re.sub(r"<[^>]+>", "", right[0][1]))
        if blank.kind in ("integer", "decimal"):
            assert question["numeric"] and answer == f"{blank.key}:{blank.tolerance or '0'}"
        else:
            assert answer == blank.key.replace("`", "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the parser's own, in words that differ between Pythons
def test_gift_is_understood_by_another_parser() -> None:
    from pygiftparser.parser import parseFile

    # general feedback is taken out first: this parser does not know backslashes in it (Moodle does)
    text = re.sub(r"####(?:\\.|[^}\\])*\}", "}", made("gift"))
    questions = parseFile(StringIO(text))
    assert len(questions) == len(BLANKS)
    for (item, blank), question in zip(BLANKS, questions, strict=True):
        if not question.valid:  # this parser knows no negative numbers (Moodle does)
            assert any(o.text.startswith("-") for o in blank.options), item.id
            continue
        right = [a for a in question.answers.answers if a.fraction == 100]
        if blank.kind in ("integer", "decimal"):
            assert type(question.answers).__name__ == "NumericAnswerSet", item.id
            assert [a.value for a in right] == [float(blank.key)], item.id
        else:
            first = unescape(re.sub(r"<[^>]+>", "", re.sub(r"\\(.)", r"\1", right[0].answer)))
            assert first.strip() == blank.key.replace("`", ""), item.id


# --- QTI ------------------------------------------------------------------------------------------------------------

NS = {"q": "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"}


def package(data: bytes) -> dict[str, ElementTree.Element]:
    with ZipFile(BytesIO(data)) as found:
        assert found.testzip() is None
        return {n: ElementTree.fromstring(found.read(n)) for n in found.namelist() if n.endswith(".xml")}


def test_qti_is_a_package_whose_parts_fit_together() -> None:
    parts = package(made("qti"))
    hrefs = {e.get("href") for e in parts["imsmanifest.xml"].iter() if e.tag.endswith("file")}
    written = {n for n in hrefs if n and not n.startswith("images/")}
    assert written | {"imsmanifest.xml"} == set(parts)
    (name,) = [n for n in written if not n.endswith("meta.xml")]
    items = parts[str(name)].findall(".//q:item", NS)
    assert len(items) == len(ITEMS) and len({i.get("ident") for i in items}) == len(ITEMS)
    for item, element in zip(ITEMS, items, strict=True):
        idents = {e.get("ident") for e in element.iter() if e.get("ident")}
        assert {e.get("linkrefid") for e in element.iter() if e.get("linkrefid")} <= idents
        labels = {e.get("ident"): "".join(e.itertext()) for e in element.findall(".//q:response_label", NS)}
        scored = [c for c in element.findall(".//q:respcondition", NS) if c.find("q:setvar", NS) is not None]
        keys = [(c.findtext(".//q:varequal", "", NS), c.find(".//q:varequal", NS)) for c in scored]
        said = [labels.get(k, k) for k, _ in keys]
        assert [re.sub(r"<[^>]+>", "", unescape(s)) for s in said] == [b.key.replace("`", "") for b in item.blanks]
        if item.single is None:
            where = [f"[{b.name}]" for b in item.blanks]
            text = element.findtext(".//q:mattext", "", NS)
            assert all(w in text for w in where)


def test_qti_has_the_structure_that_text2qti_writes() -> None:
    """Every element and attribute that we write of a type stands, under the same parents, in text2qti's output too."""
    pytest.importorskip("text2qti")
    from text2qti.config import Config
    from text2qti.qti import QTI
    from text2qti.quiz import Quiz

    text = (
        "1. A choice\n... general\n*a) right\n... good\nb) wrong\n... bad\n\n"
        "2. A number\n... general\n= 5\n\n3. A range\n... general\n= 5 +- 0.01\n\n4. A word\n* yes\n"
    )
    config = Config()
    config.load()
    theirs = package(QTI(Quiz(text, config=config)).zip_bytes())
    ours = package(made("qti"))

    def paths(parts: dict[str, ElementTree.Element], kinds: tuple[str, ...]) -> set[str]:
        found = set()
        for root in parts.values():
            for item in root.findall(".//q:item", NS):
                kind = item.findtext(".//q:fieldentry", "", NS)
                if kind in kinds:
                    found |= set(walk(item, kind))
        return found

    def walk(element: ElementTree.Element, path: str) -> Iterator[str]:
        for child in element:
            below = f"{path}/{child.tag.partition('}')[2]}[{','.join(sorted(child.attrib))}]"
            yield below
            yield from walk(child, below)

    kinds = ("multiple_choice_question", "numerical_question")
    extra = {p for p in paths(ours, kinds) - paths(theirs, kinds) if "numerical" not in p or "displayfeedback" not in p}
    # feedback for single wrong numbers is more than text2qti writes; it has the form that short answers have there
    assert {p for p in extra if "varequal" not in p} == set()
    tops = [{e.tag for e in parts["imsmanifest.xml"]} for parts in (ours, theirs)]
    assert tops[0] == tops[1]


def test_qti_is_the_same_bytes_each_time() -> None:
    assert made("qti") == made("qti")


# --- notebooks ------------------------------------------------------------------------------------------------------


def run(cells: list[str]) -> dict[str, Any]:
    """Run a notebook's code cells, as a grader does."""
    space: dict[str, Any] = {}
    for source in cells:
        exec(compile(source, "cell", "exec"), space)
    return space


@pytest.mark.parametrize("form", ["nbgrader", "otter"])
def test_notebooks_are_valid_and_solutions_pass_their_tests(form: str) -> None:
    nbformat = pytest.importorskip("nbformat")
    text = made(form)
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    code = [c.source for c in book.cells if c.cell_type == "code"]
    assert len(code) == 2 * len(ITEMS)
    run(code)
    wrong = [re.sub(r"= .*", "= 'no'", c) if i % 2 == 0 else c for i, c in enumerate(code)]
    with pytest.raises((AssertionError, TypeError)):
        run(wrong)


def test_nbgrader_cells_are_marked() -> None:
    cells = [c for c in json.loads(made("nbgrader"))["cells"] if "nbgrader" in c["metadata"]]
    ids = [c["metadata"]["nbgrader"]["grade_id"] for c in cells]
    assert len(set(ids)) == len(ids)
    graded = [c for c in cells if c["metadata"]["nbgrader"]["grade"]]
    assert len(graded) == len(ITEMS)
    assert all("### BEGIN HIDDEN TESTS" in c["source"] and c["metadata"]["nbgrader"]["locked"] for c in graded)
    solved = [c for c in cells if c["metadata"]["nbgrader"]["solution"]]
    assert all(c["source"].startswith("### BEGIN SOLUTION") for c in solved)


def test_otter_sections_open_and_close() -> None:
    raw = [c["source"].split("\n")[0] for c in json.loads(made("otter"))["cells"] if c["cell_type"] == "raw"]
    assert raw[0] == "# ASSIGNMENT CONFIG"
    one = ["# BEGIN QUESTION", "# BEGIN SOLUTION", "# END SOLUTION", "# BEGIN TESTS", "# END TESTS", "# END QUESTION"]
    assert raw[1:] == one * len(ITEMS)


# --- the others -----------------------------------------------------------------------------------------------------


def test_jupyterquiz_has_the_fields_that_the_package_reads() -> None:
    found = json.loads(made("jupyterquiz"))
    assert len(found) == len(BLANKS)
    for (_, blank), question in zip(BLANKS, found, strict=True):
        assert question["question"] and "precision" not in question
        right = [a for a in question["answers"] if a.get("correct")]
        assert len(right) == len(blank.typed(blank.right))
        if question["type"] == "numeric":
            low, high = right[0].get("range") or [right[0]["value"]] * 2
            assert low <= float(blank.key) <= high
            assert blank.kind == "decimal" or type(right[0]["value"]) is int
        else:
            assert question["type"] == {"choice": "multiple_choice", "shape": "string"}[blank.kind]
            assert unescape(re.sub("<[^>]+>", "", right[0]["answer"])) == blank.key.replace("`", "")


def test_markdown_folds_answers_and_keeps_tables() -> None:
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable("table")
    text = made("markdown")
    tokens = markdown.parse(text)
    heads = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open" and t.tag == "h2"]
    assert len(heads) == len(ITEMS)
    opened = [t for t in tokens if t.type == "html_block"]
    assert sum("<details>" in t.content for t in opened) == len(ITEMS) == sum("</details>" in t.content for t in opened)
    assert all("<b>" not in t.content for t in tokens if t.type != "inline")
    tables = sum(t.type == "table_open" for t in tokens)
    from rfcalc.teaching.exercises.item import ExerciseTable

    assert tables == sum(isinstance(b, ExerciseTable) for i in ITEMS for b in i.body)


def test_html_is_well_formed_and_holds_no_markup_of_a_student() -> None:
    html5lib = pytest.importorskip("html5lib")
    parser = html5lib.HTMLParser(strict=True)
    tree = parser.parse(made("html"))
    ns = "{http://www.w3.org/1999/xhtml}"
    assert len(list(tree.iter(f"{ns}section"))) == len(ITEMS) == len(list(tree.iter(f"{ns}details")))
    assert not list(tree.iter(f"{ns}b")) and not list(tree.iter(f"{ns}script"))
    assert "雪☃" in (tree.findtext(f".//{ns}h1") or "")


def test_latex_is_balanced_and_plain() -> None:
    walker = pytest.importorskip("pylatexenc.latexwalker")
    text = made("latex")
    nodes = walker.LatexWalker(text, tolerant_parsing=False).get_latex_nodes()[0]
    assert nodes
    assert text.count(r"\begin{solution}") == len(ITEMS) == text.count(r"\question[")
    assert text.count(r"\CorrectChoice") == sum(b.kind == "choice" for _, b in BLANKS)
    assert text.isascii() or all("\u00a1" <= c <= "\u017f" for c in text if not c.isascii())


@pytest.mark.system
def test_latex_compiles(tmp_path: Path) -> None:
    (tmp_path / "exam.tex").write_text(made("latex").replace("%\\printanswers", "\\printanswers"), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "exam.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_text_has_every_question_and_key() -> None:
    text = made("text")
    for item in ITEMS:
        assert item.id in text
    assert all(b.key.replace("`", "") in text for _, b in BLANKS)


# --- PrairieLearn ---------------------------------------------------------------------------------------------------


def served(folder: dict[str, str], name: str, seed: int) -> dict[str, Any]:
    """What a question's server.py makes of a variant's seed."""
    space: dict[str, Any] = {}
    exec(compile(folder[f"{name}/server.py"], "server.py", "exec"), space)
    data: dict[str, Any] = {"variant_seed": seed, "params": {}, "correct_answers": {}}
    space["generate"](data)
    json.dumps(data)
    return data


def test_prairielearn_makes_variants_that_its_page_can_show() -> None:
    chevron = pytest.importorskip("chevron")
    folder = made("prairielearn")
    names = sorted({p.rpartition("/")[0] for p in folder})
    assert len(folder) == 3 * len(names) and all(re.fullmatch(r"questions/[\w.-]+", n) for n in names)
    uuids = [json.loads(folder[f"{n}/info.json"])["uuid"] for n in names]
    assert len(set(uuids)) == len(uuids)
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", u) for u in uuids)
    for name in names[::4]:
        data, other = served(folder, name, 11), served(folder, name, 12)
        page = chevron.render(folder[f"{name}/question.html"], {"params": data["params"]})
        inputs = re.findall(r'<pl-(?:integer|string|number)-input answers-name="(\w+)"', page)
        assert sorted(inputs) == sorted(data["correct_answers"])
        if not inputs:
            assert page.count('correct="true"') == 1 and "<pl-multiple-choice" in page
        assert data == served(folder, name, 11) and "{{" not in page
        item = bank.item(data["params"]["id"])
        for blank in item.blanks:
            answer = data["correct_answers"].get(blank.name)
            assert answer is None or _same(blank, answer)
        assert other["params"]["id"] != data["params"]["id"]


def _same(blank: Blank, answer: Any) -> bool:
    return float(blank.key) == answer if blank.kind in ("integer", "decimal") else blank.key == answer


def test_letters_are_enough() -> None:
    assert all(len(b.options) <= len(LETTERS) for _, b in BLANKS)


def test_feedback_in_a_cloze_holds_none_of_its_signs() -> None:
    texts = [o.feedback for _, b in BLANKS for o in b.options if b.kind != "choice"]
    assert any("/" in t for t in texts)
    for item in ITEMS:
        if item.single is None:
            from rfcalc.teaching.exercises.formats.moodle import cloze as written

            for blank in item.blanks:
                parts = written(blank)[1:-1].split("~")
                said = [p.partition("#")[2] for p in parts]
                assert not any(set(t) & set('#{}/\\"') for t in said), blank
                texts = [o.feedback.replace("`", "") for o in blank.options for _ in blank.typed(o)]
                assert sorted(map(unescape, said)) == sorted(texts)
