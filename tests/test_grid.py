"""Where units lie: stride, offset, reach, alignment; and the field along some paths only."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import jsonschema
import pytest

import rfcalc
from rfcalc import RfcalcError
from rfcalc.cli import run
from rfcalc.receptive.paths import along
from rfcalc.report import schemas

SCHEMA = schemas.schema("grid")


@pytest.mark.parametrize(
    ("text", "stride", "offset"),
    [
        ("maxpool2 > up2", 1, 0),
        ("maxpool2", 2, Fraction(1, 2)),
        ("conv3-4/2 p1", 2, 0),
        ("conv2-4/2 p0 > conv3-4", 2, Fraction(1, 2)),
        ("conv3-4/2 p1 > conv3-4/2 p1", 4, 0),
        ("up2", Fraction(1, 2), Fraction(-1, 4)),
        ("convT2-4/2", Fraction(1, 2), Fraction(-1, 4)),
        ("pixelshuffle2", Fraction(1, 2), Fraction(-1, 4)),
        ("slice axis1 at3: step4 > slice axis2 at3: step4", 4, 3),
    ],
)
def test_strides_and_offsets(text: str, stride: object, offset: object) -> None:
    grid = rfcalc.grid(text, input="4x32x32").levels[0].grids[0]
    assert grid is not None and (grid.stride, grid.offset) == (stride, offset)
    assert grid.offset_half == grid.offset + Fraction(1, 2)


def test_offsets_are_the_mean_of_what_units_see() -> None:
    """Centres of symmetric fields, averaged over a period, are offset + stride·u."""
    for text in ("conv3-4/2 p1 > up2 > conv3-4", "maxpool2 > conv3-4 > convT4-4/2 p1", "unet-padded"):
        report = rfcalc.analyze(text, "1x64x64")
        position = report.network.position(report.network.outputs[0])
        window = report.receptive_field(position).windows[0]
        grid = rfcalc.grid(text, input="1x64x64").levels[0].grids[0]
        least = min(e[0] for e in window.ends)
        most = max(e[1] for e in window.ends)
        middle = grid.offset + grid.stride * Fraction(window.period - 1, 2)
        assert middle == Fraction(least + most, 2)


def test_reach_holds_for_every_unit() -> None:
    report = rfcalc.analyze("unet-padded")
    window = report.receptive_field(report.network.position("output")).windows[0]
    grid = rfcalc.grid("unet-padded").levels[0].grids[0]
    assert grid.reach == (107, 107)
    seen = [(u * window.advance // window.period, window.unit(u)) for u in range(64)]
    assert max(place - e[0] for place, e in seen) == 107 == max(e[1] - place for place, e in seen)


def test_levels_out_of_step() -> None:
    found = rfcalc.grid("resnet50", "layer1.2.add", "layer2.3.add", "layer3.5.add")
    assert [(s.fine, s.coarse, s.cells) for s in found.steps if s.axis == 0] == [
        ("layer1.2.add", "layer2.3.add", -2),
        ("layer2.3.add", "layer3.5.add", -4),
    ]
    pools = rfcalc.grid("vgg16", "pool3", "pool4", "pool5")
    assert all(s.cells == 0 for s in pools.steps)
    assert all(b.stride == 2 * a.stride for a, b in pairwise(level.grids[0] for level in pools.levels))


def test_a_classifier_has_the_grid_of_its_last_map() -> None:
    assert rfcalc.grid("vgg16").levels[0].grids[0].size == 7


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grid", "vgg16", "pool5", "--check", "stride=32 offset=15.5 size=7"]) == 0
    assert "Yes: stride=32" in capsys.readouterr().out
    assert run(["grid", "vgg16", "pool5", "--check", "stride=32,offset=16"]) == 1
    assert "offset is 31/2, not 16 (16 is its offset_half)" in capsys.readouterr().out
    assert run(["grid", "vgg16", "pool5", "--check", "stride"]) == 2
    assert run(["grid", "vgg16", "pool5", "--check", "pace=4"]) == 2
    assert run(["grid", "vgg16", "fc6", "--check", "stride=4"]) == 1
    assert run(["grid", "vgg16", "pool55"]) == 2


@pytest.mark.parametrize("name", ["fpn-resnet50", "unet", "resnet50", "wavenet", "vit-b16"])
def test_json(name: str) -> None:
    found = rfcalc.grid(name)
    jsonschema.validate(found.to_dict(), SCHEMA)
    assert found.document()


def test_paths_through_and_around() -> None:
    both = "{conv3-4, conv7-4 > conv1-4} add > conv1-4"
    sides = {"conv1": (3, 3), "conv2": (7, 7)}
    for node, size in sides.items():
        other = next(n for n in sides if n != node)
        assert rfcalc.receptive_field(both, input="1x32x32", via=node).field.size == size
        assert rfcalc.receptive_field(both, input="1x32x32", without=other).field.size == size
    # around the pyramid's top a level sees what its own lateral path sees; through it, what the top sees
    plain = rfcalc.receptive_field("resnet50", "layer2.3.add").field.size
    assert rfcalc.receptive_field("fpn-resnet50", "M3", without="M4").field.size == plain
    whole = rfcalc.receptive_field("fpn-resnet50", "P3").field
    top = rfcalc.receptive_field("fpn-resnet50", "P3", via="lateral5").field
    around = rfcalc.receptive_field("fpn-resnet50", "P3", without="lateral5").field
    joined = tuple(a | b for a, b in zip(top.windows, around.windows, strict=True))
    assert joined == whole.windows


def test_paths_that_are_not_there() -> None:
    walked = rfcalc.analyze("vgg16")
    with pytest.raises(RfcalcError, match="unknown node"):
        along(walked, via="conv9")
    with pytest.raises(RfcalcError, match="is an input"):
        along(walked, without="input")
    with pytest.raises(RfcalcError, match="no path leads through P5 to P3"):
        rfcalc.receptive_field("fpn-resnet50", "P3", via="P5")
    with pytest.raises(RfcalcError, match="no path leads from conv2_2 to conv1_1"):
        rfcalc.receptive_field("vgg16", "pool5", source="conv2_2", via="conv1_1")
    assert rfcalc.receptive_field("vgg16", "pool5", without="conv3_1").field.status == "none"
