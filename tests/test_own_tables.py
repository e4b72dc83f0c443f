"""A teacher's own network as a table, numbers of one's own, a lesson from one file."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from exercise_page import page
from exercise_text import keys

import rfcalc
from rfcalc.cli import run
from rfcalc.core.errors import RfcalcError
from rfcalc.report import schemas
from rfcalc.teaching.exercises import bank
from rfcalc.teaching.exercises.formats import FORMATS, PaperHeading, render
from rfcalc.teaching.exercises.item import ExerciseTable
from rfcalc.teaching.grading.marking import Key
from rfcalc.teaching.own_tables import table_of
from rfcalc.teaching.sheets import sheet

NETWORKS = {  # networks of one path, as the reader of texts knows them
    "conv5-8 bn relu > maxpool2 > conv3-16 p0 relu > flatten > fc10": "3x32x32",
    "conv3-4/2 d2 g1 > dwconv3 > conv1-8 nobias > maxpool3/2 ceil > globalavgpool > flatten > fc3": "2x41x37",
    "conv1x7-4 > conv7x1-4 > avgpool2 > convT2-3/2 > up2": "1x20x28",
    "conv5-6 p0 > avgpool2 > conv5-16 p0 > avgpool2 > flatten > fc120 > fc84 > fc10": "1x32x32",
    "conv3-8 > (conv1-8 | conv3-4 > conv3-8 d2 | maxpool3/1 p1) > maxpool2": "3x24x24",
}
EVERY = "output,rf,stride,weights,biases,params,macs,values,bytes"


@pytest.mark.parametrize("target", NETWORKS)
def test_keys_follow_from_the_text(target: str) -> None:
    item = table_of(target, NETWORKS[target], blank=EVERY)
    assert len(item.blanks) > 20
    assert keys(page(item.to_dict())) == {b.name: b.key for b in item.blanks}
    for blank in item.blanks:
        assert [o.text for o in blank.options if o.right] == [blank.key]
        assert len({o.text for o in blank.options}) == len(blank.options)


def test_what_is_typed_is_graded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key as a student's table gets all marks; every misconception of a row loses some."""
    target, shape = "conv5-8 > maxpool2 > conv3-16 p0", "3x32x32"
    item = table_of(target, shape)
    rows: dict[str, dict[str, str]] = {}
    for blank in item.blanks:
        node, figure = blank.label.split(", ")
        rows.setdefault(node, {})[figure] = blank.key
    heads = ("output", "receptive field", "parameters")
    lines = [",".join((node, *(cells[h] for h in heads))) for node, cells in rows.items()]
    text = "\n".join((",".join(("layer", *heads)), *lines))
    key = Key(rfcalc.analyze(target, shape))
    assert key.mark(text).percent() == 100
    wrong = [(b, o) for b in item.blanks for o in b.options if not o.right]
    assert len(wrong) > 10
    for blank, option in wrong:
        node, figure = blank.label.split(", ")
        spoiled = {n: {**c, figure: option.text} if n == node else c for n, c in rows.items()}
        lines = [",".join((n, *(c[h] for h in heads))) for n, c in spoiled.items()]
        assert key.mark("\n".join((",".join(("layer", *heads)), *lines))).percent() < 100, (blank.label, option)


def test_rows_that_are_not_asked_for_are_shown() -> None:
    item = table_of("vgg16", blank="rf,params", rows="conv2_1,pool3")
    assert [b.label for b in item.blanks] == [
        f"{node}, {figure}" for node in ("conv2_1", "pool3") for figure in ("receptive field", "parameters")
    ]
    grid = next(b for b in item.body if isinstance(b, ExerciseTable))
    shown = {row[0]: row[2:] for row in grid.rows}
    assert shown["conv5_3"] == ("196", "2359808") and shown["relu2_1"] == ("–", "–")


@pytest.mark.parametrize("form", [f for f in FORMATS if f != "prairielearn"])
def test_every_format_takes_it(form: str) -> None:
    item = table_of("conv3-8 | conv1-4 > maxpool2", "3x16x16")
    assert render([item], form, PaperHeading("T", "0"))
    if form == "json":
        found = json.loads(str(render([item], "json", PaperHeading("T", "0"))))
        jsonschema.validate(found, schemas.schema("exercises"))
        assert bank.read(json.dumps(found))[0] == [item]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"blank": "colour"}, "unknown column 'colour'"),
        ({"blank": " , "}, "no column is asked for"),
        ({"blank": "rf=Sight"}, "unknown column 'Sight'"),
        ({"rows": "conv99"}, "unknown row 'conv99'"),
        ({"rows": "flatten1", "blank": "rf"}, "nothing is left"),
        ({"target": "densenet121"}, "the table would have"),
        ({"target": "vgg99"}, "unknown network"),
    ],
)
def test_what_makes_no_table(given: dict[str, str], said: str) -> None:
    target = given.pop("target", "conv3-8 > flatten > fc10")
    with pytest.raises(RfcalcError, match=said):
        table_of(target, **given)


def test_a_table_of_a_large_network_shows_the_rows_that_are_asked_for() -> None:
    item = table_of("densenet121", blank="rf", rows="conv0,pool0")
    assert "some of the layers" in str(item.body[0])
    assert [b.key for b in item.blanks] == ["7", "11"]
    with pytest.raises(RfcalcError, match="network of one's own"):
        bank.item(item.id)


def test_numbers_of_ones_own() -> None:
    for seed in range(4):
        item = bank.fixed("output-size.window-on-square.one-layer", seed, "kernel=5, stride=2")
        assert "of 5×5, stride 2" in str(item.body) and bank.item(item.id) == item
    assert bank.fixed("parameters.convolution.one-layer", 0, "filters=32").blanks[0].key
    for numbers, said in (
        ("kernel=99", "draws no numbers"),
        ("colour=3", "unknown number"),
        ("kernel", "gives no number"),
        ("kernel=-1", "gives no number"),
    ):
        with pytest.raises(RfcalcError, match=said):
            bank.fixed("output-size.window-on-square.one-layer", 0, numbers)


LESSON = """
title = "T"
seed = "s"
[[items]]
family = "parameters"
difficulty = 1
count = 2
[[items]]
network = "conv3-8 > maxpool2"
input = "3x8x8"
blank = "rf"
"""


def test_a_lesson_from_one_file() -> None:
    title, seed, found = sheet(LESSON)
    assert (title, seed, len(found)) == ("T", "s", 3) and sheet(LESSON)[2] == found
    ada, bob = sheet(LESSON, student="ada")[2], sheet(LESSON, student="bob")[2]
    assert ada[:2] != bob[:2] and ada[2] == bob[2]
    again = sheet(f'[[items]]\nid = "{found[0].id}"')[2]
    assert again == found[:1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[items]", "not TOML"),
        ('title = "T"', "there are no items"),
        ("items = 3", "there are no items"),
        ('[[items]]\nfamly = "parameters"', "did you mean family"),
        ('[[items]]\nfamily = "parametrs"', "did you mean parameters"),
        ("[[items]]\ncount = 0", "whole number from 1"),
        ("[[items]]\ncount = 1.5", "whole number from 1"),
        ("[[items]]\nfamily = 3", "family is a text"),
        ('[[items]]\nnetwork = "model.py:Net"', "runs no code"),
        ('[[items]]\nnetwork = "py:os:system"', "runs no code"),
        ('[[items]]\nid = "x"', "is not an exercise's id"),
        ("colour = 3\n[[items]]\ncount = 1", "unknown entry 'colour'"),
    ],
)
def test_what_a_lesson_must_not_say(text: str, said: str) -> None:
    with pytest.raises(RfcalcError, match=said):
        sheet(text)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lesson.toml").write_text(LESSON)
    assert run(["exercise", "--sheet", str(tmp_path / "lesson.toml"), "--format", "text"]) == 0
    assert "conv3-8 > maxpool2: fill in the table" in capsys.readouterr().out
    assert run(["exercise", "--network", "conv3-8", "--input", "3x8x8", "--blank", "output,params,rf"]) == 0
    assert "224" in capsys.readouterr().out
    assert run(["exercise", "--numbers", "kernel=3"]) == 2
    assert run(["exercise", "--network", "vgg16", "--sheet", "x.toml"]) == 2
    assert run(["exercise", "--network", "vgg16", "--format", "prairielearn", "-o", str(tmp_path / "pl")]) == 2
    assert not (tmp_path / "pl").exists()


@pytest.mark.parametrize("option", [["--blank", "rf"], ["--rows", "conv1"], ["--input", "3x8x8"]])
def test_what_is_for_a_network_needs_one(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exercise", *option]) == 2
    assert f"{option[0]} is for a table of your own network" in capsys.readouterr().err


def test_two_inputs_have_a_row_each_and_fields_on_the_first() -> None:
    torch = pytest.importorskip("torch")

    class Two(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Conv2d(3, 8, 3, padding=1)
            self.b = torch.nn.Conv2d(1, 8, 5, padding=2)
            self.c = torch.nn.Conv2d(8, 4, 3)

        def forward(self, x: object, y: object) -> object:
            return self.c(torch.relu(self.a(x) + self.b(y)))

    item = table_of(Two(), {"x": "3x16x16", "y": "1x16x16"}, blank="output,rf,params")
    found = {b.label: b.key for b in item.blanks}
    assert [found[f"{n}, receptive field"] for n in ("a", "add", "c")] == ["3", "3", "5"]
    assert "b, receptive field" not in found and found["b, parameters"] == "208"
    assert "counted on the first input, x" in item.question.conventions
    assert {b.ask.input for b in item.blanks if b.ask} == {"x=3x16x16, y=1x16x16"}


def test_shapes_are_told_by_their_axes() -> None:
    signal, volume = table_of("conv9-8 relu", "1x128"), table_of("conv3-8 relu", "1x8x16x16")
    assert "channels x length, for example 16x32." in str(signal.body[0])
    assert "Shapes are channels x length;" in signal.question.conventions
    assert "channels x depth x height x width" in str(volume.body[0]) + volume.question.conventions


def test_only_the_rows_that_are_named_are_asked_for() -> None:
    item = table_of("conv3-8 bn relu > conv3-8 bn", "3x16x16", blank="params,output", rows="conv1")
    assert [b.label for b in item.blanks] == ["conv1, parameters", "conv1, output"]
    grid = next(b for b in item.body if isinstance(b, ExerciseTable))
    shown = {row[0]: row[2:] for row in grid.rows}
    assert shown["batchnorm1"] == ("16", "–") and shown["conv2"] == ("584", "8x16x16")
