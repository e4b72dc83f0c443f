"""Pictures of items: they tell nothing that the text does not, and every format carries or tells them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from test_exercise_texts import shown

import rfcalc
from rfcalc.core.errors import RfcalcError
from rfcalc.report.document import Picture
from rfcalc.teaching.exercises import bank, patterns
from rfcalc.teaching.exercises.draw import seed_of
from rfcalc.teaching.exercises.formats import PaperHeading, prairielearn, render
from rfcalc.teaching.exercises.in_page import marked, question
from rfcalc.teaching.exercises.item import ExerciseItem, PictureRecipe
from rfcalc.teaching.exercises.pictures import drawn, figure
from rfcalc.teaching.own_tables import table_of

PAPER = PaperHeading("Exercises", "7")


def items(seeds: range) -> Iterator[ExerciseItem]:
    for pattern in patterns.patterns():
        for seed in seeds:
            found = bank._item(pattern, seed_of("picture", pattern.name, seed), None)
            if found is not None:
                yield found


ITEMS = list(items(range(1)))


def words(item: ExerciseItem) -> set[str]:
    """Numbers and names of the item's text, its options left out."""
    return set(re.findall(r"\w+", shown(item)))


def told(picture: Picture) -> list[str]:
    """Whatever can be read in a picture."""
    texts = [t.text for t in picture.texts] + [b.label for b in picture.boxes] + [a.title for a in picture.areas]
    return [*texts, *(b.title for b in picture.boxes), *(n.title for n in picture.lines), str(picture.letters or "")]


def checked(item: ExerciseItem) -> None:
    """A picture shows names and numbers of the text only; of a number that is asked for it has neither the number nor
    so many of anything, but where the text gives that number too."""
    found = item.question.picture
    assert found is not None
    picture = drawn(found)
    known = words(item)
    shown = set(re.findall(r"\w+", " ".join(told(picture)))) - {"reads"}
    if found.kind == "taps":  # the units and positions of the table, counted from 0
        assert all(int(n) < int(re.findall(r"\d+", item.body[0].text)[0]) for n in shown)  # type: ignore[union-attr]
        shown = set()
    assert shown <= known, (item.id, shown - known)
    for blank in item.blanks:
        if blank.kind in ("integer", "decimal"):
            assert blank.key not in shown or blank.key in known, item.id
            assert blank.key not in re.findall(r"[\d.]+", found.says), item.id


def test_no_picture_tells_more_than_the_text() -> None:
    seen = [item for item in ITEMS if item.question.picture is not None]
    for item in seen:
        checked(item)
    assert {i.question.picture.kind for i in seen if i.question.picture} == {
        "window",
        "stack",
        "spread",
        "graph",
        "taps",
    }
    assert len(seen) >= 50
    assert len({i.pattern for i in ITEMS if i.question.solution is not None}) >= 8


@pytest.mark.exhaustive
def test_no_picture_of_many_items_tells_more_than_the_text() -> None:
    for item in items(range(1, 40)):
        if item.question.picture is not None:
            checked(item)


def test_a_picture_that_tells_the_answer_is_noticed() -> None:
    """The control: the picture of a field, which belongs to the solution, is refused beside the question."""
    item = next(i for i in ITEMS if i.question.solution is not None)
    with pytest.raises(AssertionError):
        checked(replace(item, question=replace(item.question, picture=item.question.solution)))


def test_the_window_of_a_question_is_drawn_from_the_layer_and_the_output_is_not() -> None:
    """Cells of the window, and nothing that has as many parts as the output has positions."""
    picture = drawn(figure("window", "conv3-8/2 p1 d2", "1x9x9"))
    assert [a.role for a in picture.areas] == ["padding", "map", *["seen"] * 9]
    assert len(picture.lines) == 12 + 12 + 1  # the edges of 11 cells on both axes, and the next window
    side = picture.areas[2].points
    assert picture.areas[3].points[0][0] - side[0][0] == pytest.approx(2 * (side[1][0] - side[0][0]))  # dilation


@pytest.fixture(scope="module")
def some() -> list[ExerciseItem]:
    kinds = {}
    for item in ITEMS:
        for found in (item.question.picture, item.question.solution):
            if found is not None:
                kinds.setdefault((found.kind, item.single is None), item)
    return list({i.id: i for i in kinds.values()}.values())


def pictures(found: list[ExerciseItem]) -> list[PictureRecipe]:
    return [p for i in found for p in (i.question.picture, i.question.solution) if p is not None]


def is_svg(data: bytes) -> bool:
    root = ElementTree.fromstring(data)
    return root.tag.endswith("svg") and not any("script" in e.tag for e in root.iter())


def test_a_page_holds_its_pictures(some: list[ExerciseItem]) -> None:
    page = str(render(some, "html", PAPER))
    sources = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="[^"]+"', page)
    assert len(sources) == len(pictures(some)) and all(is_svg(base64.b64decode(s)) for s in sources)
    for item in some:
        asked = question(item)
        assert asked.count("<img") == (item.question.picture is not None)
        answer = marked(item, {b.name: b.key for b in item.blanks if b.kind != "choice"})
        assert answer.get("derivation", "").count("<img") == (item.question.solution is not None)


def test_moodle_holds_pictures_as_files_of_their_texts(some: list[ExerciseItem]) -> None:
    root = ElementTree.fromstring(str(render(some, "moodle", PAPER)))
    files = 0
    for holder in [*root.iter("questiontext"), *root.iter("generalfeedback")]:
        text = holder.findtext("text") or ""
        named = re.findall(r"@@PLUGINFILE@@/([^\"]+)", text)
        assert named == [f.get("name") for f in holder.iter("file")]
        assert all(
            f.get("encoding") == "base64" and is_svg(base64.b64decode(f.text or "")) for f in holder.iter("file")
        )
        assert "data:" not in text
        files += len(named)
    assert files == len(pictures(some))


def test_qti_packs_pictures_and_its_manifest_lists_them(some: list[ExerciseItem]) -> None:
    made = render(some, "qti", PAPER)
    assert isinstance(made, bytes)
    with ZipFile(BytesIO(made)) as package:
        names = set(package.namelist())
        used = {n for f in names if f.endswith(".xml") for n in re.findall(r"FILEBASE\$/([^&\"]+)", _read(package, f))}
        listed = set(re.findall(r'<file href="(images/[^"]+)"', _read(package, "imsmanifest.xml")))
        assert used == listed == {n for n in names if n.startswith("images/")}
        assert all(is_svg(package.read(n)) for n in used)
    assert len(used) == len(set(pictures(some)))


def _read(package: ZipFile, name: str) -> str:
    return package.read(name).decode()


@pytest.mark.parametrize("form", ["text", "markdown", "gift", "nbgrader", "otter"])
def test_text_says_what_the_picture_shows(form: str, some: list[ExerciseItem]) -> None:
    made = str(render(some, form, PAPER))
    plain = re.sub(r"[\s\\`]|\\n", "", made)
    for item in some:
        found = item.question.picture
        if found is not None:
            assert re.sub(r"\s", "", f"Picture: {found.says}") in plain, form


def test_latex_draws_them(some: list[ExerciseItem]) -> None:
    made = str(render(some, "latex", PAPER))
    assert made.count(r"\begin{tikzpicture}") == len(pictures(some)) == made.count(r"\end{tikzpicture}")
    assert r"\usepackage{tikz}" in made


def test_prairielearn_shows_them(some: list[ExerciseItem]) -> None:
    item = next(i for i in some if i.question.picture is not None)
    for seed in range(40):
        data = {"variant_seed": str(seed), "params": {}, "correct_answers": {}}
        found = prairielearn.variant(data, item.pattern, item.difficulty)
        shown = sum("<img" in str(b["text"]) for b in data["params"]["blocks"])  # type: ignore[index]
        assert shown == (found.question.picture is not None)


def test_a_bank_keeps_the_recipe_and_refuses_code(some: list[ExerciseItem], tmp_path: Path) -> None:
    made = str(render(some, "json", PAPER))
    again, _ = bank.read(made)
    assert again == some
    (tmp_path / "net.py").write_text("raise SystemExit('run')")
    for change in (
        {"target": f"{tmp_path}/net.py:Net"},
        {"target": "py:os:getcwd"},
        {"kind": "photo"},
        {"at": "conv77"},
    ):
        data = json.loads(made)
        held = next(i for i in data["items"] if i["solution"])
        held["solution"] |= change
        with pytest.raises(RfcalcError, match="picture"):
            bank.read(json.dumps(data))
    data = json.loads(made)
    for one in data["items"]:  # a bank of before pictures
        del one["picture"], one["solution"]
    assert not any(pictures([i]) for i in bank.read(json.dumps(data))[0])


def test_a_teachers_own_network_with_branches_has_its_graph() -> None:
    text = "conv3-8 > (conv3-8 + identity)"
    assert table_of(text, "3x16x16").question.picture == figure("graph", text, "3x16x16")
    assert table_of("conv3-8 > conv3-8", "3x16x16").question.picture is None
    named = rfcalc.load(text)
    assert table_of(named, "3x16x16").question.picture is not None
