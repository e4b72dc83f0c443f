"""Solving for a symbol: against trying every number, and as a user asks."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import jsonschema
import pytest

import rfcalc
from rfcalc import symbolic
from rfcalc.cli import run
from rfcalc.derivation.symbolic import cheaper
from rfcalc.formulas import export, table
from rfcalc.formulas.solve import settled, solve
from rfcalc.render import Look, render
from rfcalc.report import schemas

SCHEMA = schemas.schema("symbolic")


@pytest.mark.parametrize(
    ("text", "asked", "symbol"),
    [
        ("conv3-64 xN", "rf >= 224", "N"),
        ("conv2-8 d(2**i) xN:i", "rf > 1000", "N"),
        ("conv3-C x3", "weights <= 100k", "C"),
        ("conv3-C x3", "params < 100k", "C"),
        ("convK-8 x3", "rf = 13", "K"),
        ("convK-8 x3", "rf = 14", "K"),
        ("conv5-8/2 p0 > maxpool2 > conv3-8 p0", "output >= 7", "H"),
        ("conv3-C > conv1-8", "macs <= 1G", "C"),
    ],
)
def test_solutions_are_those_found_by_trying(text: str, asked: str, symbol: str) -> None:
    general = symbol == "H"
    shape = "3xHxH" if symbol == "H" else "8x32x32"
    found = symbolic(text, input=shape, general=general)
    solution = solve(found, asked, symbol)
    metric, relation, bound = asked.split()
    bound = int(bound.replace("k", "000").replace("G", "000000000"))
    for value in range(1, 200):
        plain = text.replace(symbol, str(value)) if symbol != "H" else text
        side = value if symbol == "H" else 32
        try:
            report = rfcalc.analyze(plain, (3 if symbol == "H" else 8, side, side))
        except rfcalc.RfcalcError:
            continue
        have = {
            "rf": lambda r: r.rows[-1].receptive_field.size[0],
            "output": lambda r: r.rows[-1].output_shape[1],
        }.get(metric, lambda r: getattr(r.totals, metric))(report)
        truth = {">=": have >= bound, ">": have > bound, "<=": have <= bound, "<": have < bound, "=": have == bound}
        inside = any(low <= value and (high is None or value <= high) for low, high in solution.ranges)
        assert inside == truth[relation], (value, have)
    for edge in solution.edges:
        assert solution.formula.subs(found.symbols[symbol], edge.at) == edge.value


def test_the_smallest_stack_that_sees_the_image() -> None:
    solution = solve(symbolic("conv3-C xN"), "rf >= 224")
    assert (solution.smallest, solution.largest) == (112, None)
    assert [(e.at, e.value) for e in solution.edges] == [(111, 223), (112, 225)]


def test_a_formula_that_rises_and_falls_is_solved_between_its_roots() -> None:
    found = symbolic("conv3-C")
    t = found.symbols["C"]
    parabola = (t - 10) * (t - 20)
    assert settled("macs", "", parabola, "<", 0, None, found).ranges == ((11, 19),)
    assert settled("macs", "", parabola, "≥", 0, None, found).ranges == ((1, 10), (20, None))
    assert settled("macs", "", parabola, "=", 0, None, found).ranges == ((10, 10), (20, 20))
    cubic = (t - 3) * (2 * t - 9) * (t - 30)
    assert settled("macs", "", cubic, ">", 0, None, found).ranges == ((4, 4), (31, None))


def test_for_which_channels_a_design_is_cheaper() -> None:
    assert cheaper("conv3-C nobias x3", "conv7-C nobias").ranges == ((1, None),)
    bottleneck = cheaper("conv1-64 > conv3-64 > conv1-C", "conv3-C x2", "macs")
    assert bottleneck.smallest == 49
    for c in (48, 49):
        one, two = (rfcalc.analyze(t.replace("C", str(c)), (c, 8, 8)).totals.macs for t in (
            "conv1-64 > conv3-64 > conv1-C", "conv3-C x2"))  # fmt: skip
        assert (one < two) == (c >= 49)
    never = cheaper("conv7-C", "conv3-C x3")
    assert never.ranges == ()
    pooled = cheaper("maxpool2 > conv7-C", "conv3-C x3", "macs")  # one class of H and W for both
    assert pooled.ranges


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["symbolic", "conv3-C xN", "--solve", "rf >= 224"]) == 0
    assert "N ≥ 112" in capsys.readouterr().out
    assert run(["symbolic", "conv3-C x3", "--cheaper-than", "conv7-C", "--format", "plain"]) == 0
    assert "27 C^2 < 49 C^2" in capsys.readouterr().out
    assert run(["symbolic", "convK-8 x3", "--solve", "rf = 14"]) == 1
    said = capsys.readouterr()
    assert "no K solves it" in said.err and said.out == ""
    assert run(["symbolic", "convK-C xN", "--set", "K=3, C=8, N=4", "--columns", "name,rf,weights"]) == 0
    assert "2,304" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vgg16", "--symbols", "Q"], ["Q names no figure of this network", "H (height", "B (items"]),
        (["mobilenet-v1", "--symbols", "rho,H"], ["clash"]),
        (["conv3-H"], ["the text uses H already", "height"]),
        (["conv3-C xB", "--symbols", "B"], ["the text uses B already"]),
        (["resnet50", "--symbols", "alpha"], ["α names no figure"]),
        (["conv3-C", "--assume", "K odd"], ["--assume speaks of K, which is not a symbol"]),
        (["conv3-C", "--assume", "odd K"], ["is not understood", "K odd"]),
        (["convK-C xN", "--solve", "rf >= 9"], ["depends on K and N", "--set"]),
        (["conv3-C", "--solve", "rf >= 9"], ["depends on no symbol"]),
        (["conv3-C xN", "--solve", "rf"], ["cannot read 'rf'"]),
        (["conv3-C xN", "--solve", "bogus >= 3"], ["unknown metric"]),
        (["conv3-C xN", "--solve", "name >= 3"], ["no figure"]),
        (["conv3-C xN", "--solve", "peak_bytes >= 3"], ["no closed form"]),
        (["conv3-C xN", "--solve", "rf >= 9", "--for", "Q"], ["Q is not among the symbols"]),
        (["conv3-C xN", "--solve", "rf >= 9", "--for", "C"], ["does not depend on C"]),
        (["conv3-C", "--set", "C"], ["cannot read 'C'"]),
        (["conv3-C", "--set", "C=0"], ["C = 0 does not fit"]),
        (["conv3-C", "--set", "Q=1"], ["Q is not among"]),
        (["conv3-C", "--for", "C"], ["--for needs --solve"]),
        (["conv3-C", "--format", "pdf"], ["unknown format"]),
        (["conv3-C", "--columns", "bogus"], ["unknown metric"]),
        (["conv3-C", "--input", "H"], ["conv1", "spatial axes"]),
        (["conv3-C", "--input", "3x-xH"], ["not a shape"]),
        (["conv3-C/S xN", "--solve", "macs >= 9"], ["no closed form"]),
        (["vgg61"], ["did you mean vgg"]),
    ],
)
def test_bad_input_is_told(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["symbolic", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for word in words:
        assert word in said.err


@pytest.mark.parametrize("text", ["convK-C relu x2 > maxpool2", "conv3-C/2 xN", "mobilenet-v1", "conv3-C/S xN"])
def test_formats(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for form in ("unicode", "plain", "latex", "markdown", "python", "json"):
        assert run(["symbolic", text, "--format", form]) == 0
        out = capsys.readouterr().out
        assert out.strip()
        if form == "plain":
            assert out.isascii()
        if form == "json":
            jsonschema.validate(json.loads(out), SCHEMA)
            for layer in json.loads(out)["layers"]:
                for figure in layer.values():
                    if isinstance(figure, str) and figure == layer.get("macs"):
                        ast.parse(figure, mode="eval")
        path = tmp_path / form
        assert run(["symbolic", text, "--format", form, "--output", str(path)]) == 0
        assert path.read_text(encoding="utf-8").strip() == out.strip()
    walker = pytest.importorskip("pylatexenc.latexwalker")
    tex = render(table.document(symbolic(text), "latex"), "latex")
    _, _, length = walker.LatexWalker(tex, tolerant_parsing=False).get_latex_nodes()
    assert length == len(tex)


def test_json_of_a_solution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["symbolic", "conv3-C xN", "--solve", "rf >= 224", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, SCHEMA)
    assert (told["solution"]["smallest"], told["solution"]["formula"]) == (112, "2*N + 1")
    told["solution"]["smallest"] = 1.5
    with pytest.raises(jsonschema.ValidationError):  # the control
        jsonschema.validate(told, SCHEMA)


@pytest.mark.parametrize("name", ["vgg16", "alexnet", "mobilenet-v1", "unet-padded"])
def test_python_source_is_the_integer_walk(name: str) -> None:
    from fractions import Fraction

    found = symbolic(name)
    space: dict[str, object] = {}
    exec(export.python(found), space)
    report = rfcalc.analyze(name)
    shape = next(iter(report.inputs.values()))
    usual = {"H": shape.dims[1], "W": shape.dims[2], "C": shape.dims[0], "B": 1, "α": Fraction(1), "ρ": Fraction(1)}
    usual["N"] = report.rows[-1].output_shape[0]
    arguments = [usual[n] for n in found.symbols]
    totals = space["totals"](*arguments)
    assert totals["macs"] == report.totals.macs
    assert totals["peak_bytes"] == report.totals.peak_bytes
    for layer, row in zip(space["layers"](*arguments), report, strict=True):
        assert (layer["name"], layer["output_shape"], layer["params"]) == (row.name, row.output_shape, row.params)
    with pytest.raises(AssertionError):
        space["totals"](*[a + Fraction(1, 1000) for a in arguments])


def test_a_narrow_terminal_leaves_columns_out() -> None:
    found = symbolic("vgg16")
    document = table.document(found)
    wide, narrow = render(document, "terminal"), render(document, "terminal", Look(60))
    assert max(map(len, narrow.split("\n"))) <= 60
    assert "not shown in 60 columns:" in narrow
    assert "values" in narrow.split("not shown in 60 columns:")[1]
    assert "not shown in" not in wide
