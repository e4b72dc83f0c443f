"""Exports opened by readers that are not ours: parsers of Moodle XML and QTI, nbgrader's and Otter's own graders.

GIFT is read by pygiftparser, notebooks by nbformat, LaTeX by pdfTeX in `test_exercise_formats`. Graders run where they
are installed: ``pip install nbgrader otter-grader``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rfcalc.teaching.exercises import bank, patterns
from rfcalc.teaching.exercises.draw import seed_of
from rfcalc.teaching.exercises.formats import PaperHeading, render
from rfcalc.teaching.exercises.formats._text import LETTERS
from rfcalc.teaching.exercises.item import Blank, ExerciseItem

ITEMS = [i for p in patterns.patterns() if (i := bank._item(p, seed_of("readers", p.name), None)) is not None]
PAPER = PaperHeading("Exercises", "7")


def plain(markup: str) -> str:
    return re.sub(r"<[^>]+>", "", unescape(markup)).strip()


def key(blank: Blank) -> str:
    return blank.key.replace("`", "")


def test_moodle_xml_is_read_by_moodle_xml_parser() -> None:
    parser = pytest.importorskip("moodle_xml_parser.parser")
    found = parser.parse_bytes(render(ITEMS, "moodle", PAPER).encode())
    choices = [i.single for i in ITEMS if i.single is not None and i.single.kind == "choice"]
    tables = [i for i in ITEMS if i.single is None]
    assert (len(found["multichoice"]), len(found["cloze"])) == (len(choices), len(tables))
    for question, blank in zip(found["multichoice"], choices, strict=True):
        assert [plain(o.answer) for o in question.options if o.score_fraction == 100] == [key(blank)]
        assert [plain(o.answer) for o in question.options] == [o.text.replace("`", "") for o in blank.options]
    for question, item in zip(found["cloze"], tables, strict=True):
        assert len(question.gaps) == len(item.blanks), item.id
        for gap, blank in zip(question.gaps, item.blanks, strict=True):
            right = [o.answer.partition(":")[0] for o in gap.options if o.score == 100]
            assert right[0] == blank.key and len(right) == len(blank.typed(blank.right))


def test_qti_is_read_by_qti2latex(tmp_path: Path) -> None:
    reader = pytest.importorskip("qti2latex")
    (tmp_path / "quiz.zip").write_bytes(render(ITEMS, "qti", PAPER))
    folder = reader.extract_zip_to_tmp(tmp_path / "quiz.zip")
    (file,) = [f for f in reader.read_qti_dir(folder) if "meta" not in f.name]
    found = reader.findall_anyns(ElementTree.parse(file).getroot(), "item")
    assert len(found) == len(ITEMS)
    for element, item in zip(found, ITEMS, strict=True):
        kind = reader.guess_type(reader.get_qti_metadata(element), element)
        right = reader.get_correct_idents(element)
        assert plain(reader.get_item_stem(element)) and right, item.id
        choices = {ident: plain(text) for ident, text in reader.get_choices(element)}
        if item.single is None:
            assert kind == "fill_in_multiple_blanks_question"
            assert {key(b) for b in item.blanks} <= {choices[c] for c in right}, item.id
        elif item.single.kind == "choice":
            assert kind == "multiple_choice_question"
            assert list(choices.values()) == [o.text.replace("`", "") for o in item.single.options]
            assert key(item.single) in {choices[c] for c in right if c in choices}
        elif item.single.kind in ("integer", "decimal"):
            assert kind == "numerical_question" and item.single.key in right


def typed(item: ExerciseItem, blank: Blank, right: bool) -> str:
    """Python for an answer: the key, or what a misconception makes."""
    option = next((o for o in blank.options if o.right is right), None)
    if option is None:
        return "'nothing'"
    if blank.kind == "choice":
        return repr(LETTERS[blank.options.index(option)])
    return repr(option.text) if blank.kind == "shape" else option.text


def answered(source: str, item: ExerciseItem, right: bool) -> str:
    """The cell of an item's answers, all right or all wrong."""
    values = iter(item.blanks)
    return re.sub(r"^(answer\w*) = .*$", lambda m: f"{m[1]} = {typed(item, next(values), right)}", source, flags=re.M)


def handed_in(book: dict[str, Any], right: bool) -> str:
    """A notebook with an answer in every cell that takes one."""
    left = iter(FEW)
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and re.search(r"^answer\w* = ", source, re.M):
            cell["source"] = answered(source, next(left), right)
    assert next(left, None) is None
    return json.dumps(book)


FEW = ITEMS[::9]


@pytest.mark.exhaustive
def test_nbgrader_gives_all_marks_for_keys_and_none_for_misconceptions(tmp_path: Path) -> None:
    pytest.importorskip("nbgrader")
    source = render(FEW, "nbgrader", PAPER)
    (tmp_path / "source" / "hw").mkdir(parents=True)
    (tmp_path / "source" / "hw" / "nb.ipynb").write_text(source, encoding="utf-8")
    run = [sys.executable, "-m", "nbgrader"]
    subprocess.run([*run, "generate_assignment", "hw", "--create"], cwd=tmp_path, check=True)
    assert "BEGIN SOLUTION" not in (tmp_path / "release" / "hw" / "nb.ipynb").read_text(encoding="utf-8")
    for name, right in (("ada", True), ("bob", False)):
        folder = tmp_path / "submitted" / name / "hw"
        folder.mkdir(parents=True)
        (folder / "nb.ipynb").write_text(handed_in(json.loads(source), right), encoding="utf-8")
    subprocess.run([*run, "autograde", "hw", "--create"], cwd=tmp_path, check=True)
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as grades:
        marks = {s.student.id: (s.score, s.max_score) for s in grades.assignment_submissions("hw")}
    assert marks == {"ada": (len(FEW), len(FEW)), "bob": (0, len(FEW))}


@pytest.mark.exhaustive
def test_otter_gives_all_marks_for_keys_and_none_for_misconceptions(tmp_path: Path) -> None:
    pytest.importorskip("otter")
    (tmp_path / "ot.ipynb").write_text(render(FEW, "otter", PAPER), encoding="utf-8")
    run = [sys.executable, "-m", "otter"]
    subprocess.run([*run, "assign", "ot.ipynb", "dist", "--no-run-tests"], cwd=tmp_path, check=True)
    assert "SOLUTION" not in (tmp_path / "dist" / "student" / "ot.ipynb").read_text(encoding="utf-8")
    (archive,) = (tmp_path / "dist" / "autograder").glob("*.zip")
    solved = (tmp_path / "dist" / "autograder" / "ot.ipynb").read_text(encoding="utf-8")
    for right in (True, False):
        book = tmp_path / f"{right}.ipynb"
        book.write_text(handed_in(json.loads(solved), right), encoding="utf-8")
        out = tmp_path / f"out-{right}"
        out.mkdir()
        subprocess.run([*run, "run", "-a", str(archive), "-o", str(out), str(book)], cwd=tmp_path, check=True)
        tests = json.loads((out / "results.json").read_text(encoding="utf-8"))["tests"]
        assert sum(t.get("score", 0) for t in tests) == (len(FEW) if right else 0)
