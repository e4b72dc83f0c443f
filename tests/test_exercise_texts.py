"""Items as a student meets them: keys from the text alone, no answer in its own text, marks by each course's rules."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from exercise_page import page
from exercise_prose import prose
from exercise_text import Unreadable, keys

from rfcalc.teaching.exercises import bank, patterns
from rfcalc.teaching.exercises.draw import seed_of
from rfcalc.teaching.exercises.formats import PaperHeading, gift, prairielearn, render
from rfcalc.teaching.exercises.item import Blank, Code, ExerciseItem, ExerciseTable, Text, spellings

PATTERNS = patterns.patterns()
PAPER = PaperHeading("Exercises", "7")


def items(seeds: range) -> Iterator[ExerciseItem]:
    for pattern in PATTERNS:
        for seed in seeds:
            found = bank._item(pattern, seed_of("text", pattern.name, seed), None)
            if found is not None:
                yield found


def sheet_of(item: ExerciseItem) -> dict[str, Any]:
    """An item as a student has it: without keys, marks, feedback, derivation, or what tells where it comes from."""
    found = item.to_dict()
    answers = [
        {**{k: a[k] for k in ("name", "kind", "label", "unit")}, "options": [{"text": o["text"]} for o in a["options"]]}
        for a in found["answers"]
    ]
    return {k: found[k] for k in ("form", "title", "body", "conventions")} | {"answers": answers}


def read_alone(given: list[ExerciseItem]) -> list[dict[str, str]]:
    """What `exercise_reader` answers in a process of its own, where rfcalc cannot be imported."""
    lines = "\n".join(json.dumps(sheet_of(i)) for i in given)
    reader = str(Path(__file__).parent / "exercise_reader.py")
    done = subprocess.run([sys.executable, reader], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(given)
    return answers


def confirm(given: list[ExerciseItem]) -> None:
    """Every blank of every item is answered from its text alone, in one way, and the answer is the key."""
    for item, read in zip(given, read_alone(given), strict=True):
        keys_ = {b.name: b.key.replace("`", "") for b in item.blanks}
        assert read is not None, f"{item.id}: no reader understands it"
        assert {n: v.replace("`", "") for n, v in read.items()} == keys_, item.id


def test_keys_follow_from_the_text_alone() -> None:
    given = list(items(range(3)))
    confirm(given)
    assert {i.form for i in given} == {"one-layer", "table", "setting", "error", "compare", "summary", "statement"}
    assert len({i.pattern for i in given}) == len(PATTERNS)


@pytest.mark.exhaustive
def test_keys_of_13000_items_follow_from_the_text_alone() -> None:
    given = list(items(range(50)))
    assert len(given) == 50 * len(PATTERNS) >= 13_000
    assert {(i.pattern, i.difficulty) for i in given} == {(p.name, level) for p in PATTERNS for level in p.levels}
    confirm(given)


def test_the_lone_reader_cannot_import_rfcalc_and_sees_what_is_wrong() -> None:
    """The controls: its process has no rfcalc; a page whose right option is missing is an error."""
    code = "import runpy; runpy.run_path(PATH, run_name='reader'); import rfcalc"
    path = str(Path(__file__).parent / "exercise_reader.py")
    command = [sys.executable, "-c", code.replace("PATH", repr(path))]
    done = subprocess.run(command, cwd=Path(path).parent, capture_output=True, text=True, check=False)
    assert done.returncode and "import of rfcalc halted" in done.stderr
    summary = next(i for i in items(range(1)) if i.pattern == "parameters.convolution.summary")
    left = [o for o in summary.blanks[0].options if not o.right]
    blank = summary.blanks[0]._replace(options=tuple(left))
    without = replace(summary, question=replace(summary.question, blanks=(blank,)))
    (answer,) = read_alone([without])
    assert "error" in answer


def test_every_choice_has_one_right_option() -> None:
    for item in items(range(3)):
        for blank in item.blanks:
            if blank.kind == "choice":
                assert [o.right for o in blank.options].count(True) == 1, item.id
                assert len({o.text for o in blank.options}) == len(blank.options), item.id


@pytest.mark.parametrize(
    "pattern",
    [
        *("receptive-field.area.one-layer", "output-size.unet-valid.one-layer"),
        *("parameters.ratio-of-separable.one-layer", "design.one-kernel-for-a-stack.setting"),
    ],
)
def test_the_reader_of_sentences_sees_a_wrong_key(pattern: str) -> None:
    """The control: with one number of the sentence changed, another key is read."""
    one = next(i for i in items(range(1)) if i.pattern == pattern)
    (block,) = [b for b in one.body if isinstance(b, Text)][-1:]
    number = re.search(r"\d+", block.text)
    assert number is not None
    text = block.text[: number.start()] + str(int(number[0]) + 2) + block.text[number.end() :]
    body = tuple(b._replace(text=text) if b is block else b for b in one.body)
    changed = replace(one, question=replace(one.question, body=body))
    assert prose(page(sheet_of(one))) != prose(page(sheet_of(changed)))


def test_the_reader_of_texts_sees_a_wrong_key() -> None:
    """The control: a number that is changed in the text changes the key that is read."""
    seen = 0
    for item in items(range(1)):
        grid = next((b for b in item.body if isinstance(b, ExerciseTable) and "what it is" in b.header), None)
        if item.form != "one-layer" or grid is None or "stride 2" not in str(grid) or "x" in item.blanks[0].key:
            continue
        rows = tuple(
            tuple(c.replace("stride 2", "stride 3") if isinstance(c, str) else c for c in r) for r in grid.rows
        )
        body = tuple(grid._replace(rows=rows) if b is grid else b for b in item.body)
        try:
            changed = replace(item, question=replace(item.question, body=body))
            seen += keys(page(sheet_of(changed)))["answer"] != item.blanks[0].key
        except AssertionError:
            seen += 1
        except Unreadable:
            continue
    assert seen >= 3


def shown(item: ExerciseItem) -> str:
    texts = []
    for block in item.body:
        if isinstance(block, ExerciseTable):
            texts += [c for row in (block.header, *block.rows) for c in row if isinstance(c, str)]
        else:
            texts.append(block.text if isinstance(block, Text) else block.code if isinstance(block, Code) else "")
    return " ".join(texts).replace("`", "")


def stands(answer: str, text: str) -> bool:
    return re.search(rf"(?<![\w.×]){re.escape(answer.replace('`', ''))}(?![\w.×])", text) is not None


def test_no_answer_stands_in_its_own_text() -> None:
    for item in items(range(4)):
        text = shown(item)
        if item.form in ("error", "statement"):
            continue
        for blank in item.blanks:
            if blank.kind == "choice":
                assert [o.right for o in blank.options if stands(o.text, text)] != [True], item.id
            elif item.single is not None and len(blank.key) > 2:
                assert not stands(blank.key, text), item.id
            elif "for example" in text:
                assert f"for example {blank.key}." not in text, item.id


# --- each course system's own rules -----------------------------------------------------------------------------------

Marker = Callable[[str], bool]
ITEMS = list(items(range(1)))
BLANKS = [(i, b) for i in ITEMS for b in i.blanks]
TYPED = [(i, b) for i, b in BLANKS if b.kind != "choice"]


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def moodle_short(answers: list[tuple[str, int]], typed: str) -> bool:
    """Moodle's short answer: the first that fits decides; case does not matter, a star stands for anything."""
    for text, share in answers:
        parts = (re.escape(p).replace(r"\\\*", r"\*") for p in re.split(r"(?<!\\)\*", text))
        if re.fullmatch(".*".join(parts), typed.strip(), re.I):
            return share == 100
    return False


def moodle_number(answers: list[tuple[str, str, int]], typed: str) -> bool:
    """Moodle's numerical question: the first answer whose tolerance holds the number decides."""
    value = number(typed)
    for text, around, share in answers:
        if value is not None and abs(value - float(text)) <= float(around):
            return share == 100
    return False


def by_moodle() -> Iterator[tuple[Blank, Marker]]:
    questions = ElementTree.fromstring(render(ITEMS, "moodle", PAPER)).findall("question")[1:]
    for item, question in zip(ITEMS, questions, strict=True):
        if item.single is None:
            text = question.findtext("questiontext/text") or ""
            places = re.findall(r"\{1:(NUMERICAL|SHORTANSWER):((?:\\.|[^}\\])*)\}", text)
            for blank, (kind, inside) in zip(item.blanks, places, strict=True):
                parts = [re.split(r"(?<!\\)#", p)[0] for p in re.split(r"(?<!\\)~", inside)]
                read = [(unescape(p.removeprefix("%0%").removeprefix("=")), 100 if p[0] == "=" else 0) for p in parts]
                if kind == "NUMERICAL":
                    cut = [(*t.split(":"), share) for t, share in read]
                    yield blank, lambda typed, cut=cut: moodle_number(cut, typed)  # type: ignore[misc]
                else:
                    yield blank, lambda typed, read=read: moodle_short(read, typed)  # type: ignore[misc]
            continue
        blank = item.single
        answers = [
            (unescape(a.findtext("text") or ""), a.findtext("tolerance") or "0", int(a.get("fraction") or 0))
            for a in question.findall("answer")
        ]
        if blank.kind in ("integer", "decimal"):
            yield blank, lambda typed, answers=answers: moodle_number(answers, typed)  # type: ignore[misc]
        elif blank.kind == "shape":
            read = [(t, share) for t, _, share in answers]
            yield blank, lambda typed, read=read: moodle_short(read, typed)  # type: ignore[misc]


def by_gift() -> Iterator[tuple[Blank, Marker]]:
    for (_, blank), question in zip(BLANKS, gift.read(render(ITEMS, "gift", PAPER)), strict=True):
        if blank.kind == "choice":
            continue
        if question["numeric"]:
            cut = [(*a.split(":"), share) for share, a, _ in question["answers"]]
            yield blank, lambda typed, cut=cut: moodle_number(cut, typed)  # type: ignore[misc]
        else:
            read = [(a, share) for share, a, _ in question["answers"]]
            yield blank, lambda typed, read=read: moodle_short(read, typed)  # type: ignore[misc]


NS = {"q": "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"}


def by_qti() -> Iterator[tuple[Blank, Marker]]:
    """Canvas: equal texts without regard to case, numbers within a range."""
    with ZipFile(BytesIO(render(ITEMS, "qti", PAPER))) as package:
        name = next(n for n in package.namelist() if n.endswith(".xml") and "meta" not in n and "manifest" not in n)
        found = ElementTree.fromstring(package.read(name)).findall(".//q:item", NS)
    for item, element in zip(ITEMS, found, strict=True):
        labels = {e.get("ident"): "".join(e.itertext()).strip() for e in element.findall(".//q:response_label", NS)}
        scored = [c for c in element.findall(".//q:respcondition", NS) if c.find("q:setvar", NS) is not None]
        blanks = [b for b in item.blanks if b.kind != "choice"]
        for blank, condition in zip(blanks, scored, strict=False):
            equal = [labels.get(e.text, e.text or "") for e in condition.iter(f"{{{NS['q']}}}varequal")]
            low, high = (condition.find(f".//q:{tag}", NS) for tag in ("vargte", "varlte"))
            bounds = None if low is None or high is None else (Fraction(low.text or ""), Fraction(high.text or ""))

            def marked(typed: str, equal: list[str] = equal, bounds: Any = bounds) -> bool:
                if typed.strip().lower() in (e.lower() for e in equal):
                    return True
                return bounds is not None and number(typed) is not None and bounds[0] <= Fraction(typed) <= bounds[1]

            yield blank, marked


def by_prairielearn() -> Iterator[tuple[Blank, Marker]]:
    """Whole numbers exactly, numbers with relabs (rtol 0), texts after spaces are gone, without regard to case."""
    for pattern in PATTERNS:
        data: dict[str, Any] = {"variant_seed": 5, "params": {}, "correct_answers": {}}
        item = prairielearn.variant(data, pattern.name, pattern.levels[0])
        for blank in item.blanks:
            if blank.kind == "choice":
                continue
            name = "answer" if item.single is not None else blank.name

            def marked(typed: str, data: dict[str, Any] = data, name: str = name, kind: str = blank.kind) -> bool:
                right = data["correct_answers"][name]
                if kind == "integer":
                    return bool(re.fullmatch(r"-?\d+", typed)) and int(typed) == right
                if kind == "decimal":
                    value = number(typed)
                    return value is not None and abs(value - right) <= float(data["params"]["tolerance"])
                made = {**data, "submitted_answers": {name: typed.replace(" ", "")}}
                prairielearn.spelled(made)
                return bool(made["submitted_answers"][name].lower() == right.lower())

            yield blank, marked


def by_jupyterquiz() -> Iterator[tuple[Blank, Marker]]:
    for (_, blank), question in zip(BLANKS, json.loads(render(ITEMS, "jupyterquiz", PAPER)), strict=True):
        if blank.kind == "choice":
            continue
        answers = question["answers"]

        def marked(typed: str, answers: list[dict[str, Any]] = answers) -> bool:
            for one in answers:
                value = number(typed)
                if one.get("type") == "value" and value == one["value"]:
                    return bool(one["correct"])
                if one.get("type") == "range" and value is not None and one["range"][0] <= value < one["range"][1]:
                    return bool(one["correct"])
                if "answer" in one and typed == one["answer"]:
                    return bool(one["correct"])
            return False

        yield blank, marked


def by_notebook() -> Iterator[tuple[Blank, Marker]]:
    from rfcalc.teaching.exercises.formats._notebook import test as written

    for _, blank in TYPED:
        source = written(blank, "answer")

        def marked(typed: str, source: str = source, kind: str = blank.kind) -> bool:
            value: Any = typed if kind == "shape" else number(typed)
            return bool(eval(source, {"answer": value}))

        yield blank, marked


SYSTEMS = {f.__name__[3:]: f for f in (by_moodle, by_gift, by_qti, by_prairielearn, by_jupyterquiz, by_notebook)}


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_misconception_is_marked_right(system: str) -> None:
    """The key is right in all its spellings; what every misconception makes is not, by the system's own rules."""
    counted = 0
    for blank, marked in SYSTEMS[system]():
        for text in spellings(blank.key) if blank.kind == "shape" else (blank.key,):
            assert marked(text), (blank, text)
        for option in blank.options:
            assert option.right or not marked(option.text), (blank, option)
        assert not marked("no answer") if blank.kind == "shape" else not marked("987654321987")
        counted += len(blank.options)
    assert counted > 300


def test_the_markers_see_a_wide_tolerance() -> None:
    assert moodle_number([("5", "1", 100)], "6") and not moodle_number([("5", "0", 100)], "6")
    assert moodle_short([("1*2", 100)], "1x2") and not moodle_short([(r"1\*2", 100)], "1x2")
