"""Stacks that see as much: counted and ranked as an enumeration of all of them says."""

from __future__ import annotations

import json
from functools import cache
from math import prod

import jsonschema
import pytest

import rfcalc
from rfcalc.cli import run
from rfcalc.comparison.comparison import compare
from rfcalc.comparison.equivalents import equivalents
from rfcalc.formulas.symbols import Declared
from rfcalc.plan.partitions import DilatedKernel, cheapest, count, parts
from rfcalc.report import schemas

C = Declared("C").symbol


@cache
def every(reaches: tuple[int, ...], separable: bool, dilated: bool) -> tuple[tuple[DilatedKernel, ...], ...]:
    """All multisets that reach so far, by trying all of them."""
    found: list[tuple[DilatedKernel, ...]] = []
    kinds = parts(min(reaches), dilated)
    if separable and len(reaches) > 1:
        kinds += [p for axis, r in enumerate(reaches) for p in parts(r, dilated, axis)]

    def fill(start: int, left: tuple[int, ...], chosen: tuple[DilatedKernel, ...]) -> None:
        """Go through the kinds in order, each as often as it fits."""
        if not any(left):
            if len(chosen) != 1 or chosen[0].d != 1:
                found.append(chosen)
            return
        for i in range(start, len(kinds)):
            part = kinds[i]
            rest = tuple(n - (part.reach if part.axis in (None, axis) else 0) for axis, n in enumerate(left))
            if min(rest) >= 0:
                fill(i, rest, (*chosen, part))

    fill(0, reaches, ())
    return tuple(found)


CASES = [
    *(((m,), False, dilated) for m in (1, 2, 4, 6) for dilated in (False, True)),
    *(((m, m), False, dilated) for m in (1, 3, 4) for dilated in (False, True)),
    *(((m, m), True, dilated) for m in (1, 2) for dilated in (False, True)),
    ((3, 3), True, False),
    ((0, 3), True, False),
    ((2, 1), True, True),
    ((2, 3), False, False),
    ((1, 1, 1), True, True),
]


@pytest.mark.parametrize(("reaches", "separable", "dilated"), CASES)
def test_counted_without_listing(reaches, separable, dilated) -> None:
    assert count(reaches, separable, dilated) == len(every(reaches, separable, dilated))


@pytest.mark.exhaustive
@pytest.mark.parametrize("reaches", [(9,), (5, 5), (3, 4), (2, 2, 2)])
@pytest.mark.parametrize("dilated", [False, True])
def test_larger_ones_counted_without_listing(reaches, dilated) -> None:
    for separable in (False, True):
        assert count(reaches, separable, dilated) == len(every(reaches, separable, dilated))


def cost(chosen: tuple[DilatedKernel, ...], rank: int, first: int, rest: int) -> tuple[int, int]:
    """The fewest weights over all choices of the first layer, and the depth."""
    areas = [p.area(rank) for p in chosen]
    return min(first * a + rest * (sum(areas) - a) for a in areas), len(chosen)


@pytest.mark.parametrize(("first", "rest"), [(1, 1), (3, 64), (64, 3)])
@pytest.mark.parametrize("by_depth", [False, True])
@pytest.mark.parametrize(("reaches", "separable", "dilated"), CASES)
def test_ranked_without_listing(reaches, separable, dilated, by_depth, first, rest) -> None:
    rank = len(reaches)
    costs = [cost(chosen, rank, first, rest) for chosen in every(reaches, separable, dilated)]
    costs.sort(key=lambda pair: pair[::-1] if by_depth else pair)
    for limit in (1, 3, 12):
        found = cheapest(reaches, separable, dilated, limit, first, rest, by_depth)
        assert [(s.area, s.depth) for s in found] == costs[:limit]
        assert len({tuple(sorted(map(str, s.parts))) for s in found}) == len(found)


def test_the_stacks_that_see_seven() -> None:
    found = equivalents("conv7-C")
    assert [e.notation for e in found.designs] == ["conv3-C x3", "conv5-C > conv3-C"]
    assert [e.figures["weights"] for e in found.designs] == [27 * C**2, 34 * C**2]
    assert (found.size, found.searched, found.optimal) == (2, 2, True)
    few = equivalents("conv7-C", separable=True, limit=3)
    assert few.designs[0].notation == "conv7x1-C > conv1x7-C"
    assert few.designs[0].figures["weights"] == 14 * C**2
    assert (few.size, few.searched, few.optimal) == (17, 3, True)


@pytest.mark.parametrize("how", [{}, {"separable": True}, {"dilated": True}, {"separable": True, "dilated": True}])
@pytest.mark.parametrize("target", ["conv7-8", "conv3-8 x4", "dwconv5", "conv5-8 p0", "conv7-8 g2"])
def test_every_stack_sees_as_much_and_is_what_it_says(target: str, how: dict[str, bool]) -> None:
    found = equivalents(target, input="8x24x24", **how)
    assert found.designs
    weights = [(e.figures["weights"], e.figures["weight_layers"]) for e in found.designs]
    assert weights == sorted(weights)
    sides = found.report.outputs[0].receptive_field.size
    for e in found.designs:
        # By the other roads: the receptive field and its holes from the walk, the figures from its notation.
        field_report = rfcalc.receptive_field(e.report.network, input="8x24x24")
        assert field_report.field.size == sides
        density = field_report.unit(field_report.centre_unit).density
        assert density == (e.seen, prod(sides))
        assert e.report.outputs[0].output_shape == found.report.outputs[0].output_shape
        again = rfcalc.analyze(e.notation, "8x24x24")
        assert (again.totals.weights, again.totals.macs) == (e.figures["weights"], e.figures["macs"])


def test_the_first_layer_reads_other_channels() -> None:
    found = equivalents("conv7-64", input="3x32x32")
    assert [(e.notation, e.figures["weights"]) for e in found.designs] == [
        ("conv5-64 > conv3-64", 25 * 3 * 64 + 9 * 64 * 64),
        ("conv3-64 x3", 9 * 3 * 64 + 2 * 9 * 64 * 64),
    ]
    wide = equivalents("conv7-8", input="64x32x32").designs
    assert next(e.notation for e in wide if e.figures["weight_layers"] == 2) == "conv3-8 > conv5-8"


def test_by_depth_and_itself() -> None:
    found = equivalents("conv9-C", by="depth")
    assert [e.figures["weight_layers"] for e in found.designs] == [2, 2, 3, 4]
    assert found.ranked == "depth, then weights"
    assert [e.changes for e in equivalents("conv3-C x3").designs] == [("conv3-C x3 (itself)",), ("conv5-C > conv3-C",)]


def test_large_ones_are_counted_too() -> None:
    found = equivalents("conv101-C", limit=2)
    assert found.size == 204_226 - 1  # p(50) = 204,226, less the kernel itself
    assert found.searched == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["conv7-C/2"], ["stride 2", "leave the strides out"]),
        (["conv4-C"], ["4×4", "even"]),
        (["vgg16"], ["global"]),
        (["convK-C"], ["receptive field", "K", "number"]),
        (["maxpool3/1"], ["no layer with weights"]),
        (["conv7-64", "--input", "CxHxW"], ["cannot be ranked", "--set"]),
        (["conv1001-C"], ["too large", "257"]),
        (["conv7-C", "--limit", "0"], ["0 is not a possible limit"]),
        (["conv7-C", "--by", "speed"], ["unknown order 'speed'"]),
        (["conv7-C p1"], ["padding"]),
        (["dwconv3 m2"], ["multiplies its channels"]),
        (["conv7-C p0", "--by", "macs"], ["order of the layers"]),
        (["conv7-C", "--format", "xml"], ["unknown format"]),
        (["conv7x"], ["conv7x"]),
        (["conv7-C", "--show", "9"], ["no variant 9", "there are 2"]),
        (["conv7-C", "--show", "first"], ["names no variants", "--show all"]),
    ],
)
def test_bad_input(capsys, arguments: list[str], words: list[str]) -> None:
    assert run(["equivalents", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert all(word in said.err for word in words), said.err


def test_none_is_said(capsys) -> None:
    assert run(["equivalents", "conv3-C"]) == 0
    assert "no stack of smaller odd square kernels sees 3×3" in capsys.readouterr().out
    assert run(["equivalents", "conv1-C", "--separable", "--dilated"]) == 0
    assert "no stack" in capsys.readouterr().out
    assert run(["equivalents", "conv1x7-C"]) == 0
    assert "--separable" in capsys.readouterr().out


def test_they_are_variants_as_design_like_tells_them(capsys) -> None:
    """One document and one JSON: what each changes is the comparison with the network, with symbols too."""
    assert run(["equivalents", "conv7-C", "--separable", "--dilated", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, schemas.schema("design"))
    assert told["space"][0]["size"] == len(every((3, 3), True, True))
    for one in told["designs"]:
        weights = next(f for f in one["comparison"]["figures"] if f["name"] == "weights")
        assert weights["values"] == [told["given"]["weights"], one["figures"]["weights"]]
        assert one["comparison"] == compare("conv7-C", one["notation"]).to_dict() | {
            "networks": one["comparison"]["networks"],
            "sentences": one["comparison"]["sentences"],
        }
    assert run(["equivalents", "conv7-C", "--show", "2"]) == 0
    assert "Variant 2 (conv5-C > conv3-C), against conv7-C:" in capsys.readouterr().out
