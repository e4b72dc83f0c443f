"""Where units lie: stride, offset, reach, alignment; and the field along some paths only."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import jsonschema
import pytest

import rfcalc
from rfcalc import Add, Conv, RfcalcError
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
        ("convT1-4/2", Fraction(1, 2), 0),  # unit 2·i lies on pixel i, the others see nothing
        ("convT1-4/4 > pad by1:0x1:0", Fraction(1, 4), Fraction(-1, 4)),
        ("convT2-4/4 p1", Fraction(1, 4), Fraction(1, 8)),  # units 4·i − 1 and 4·i see pixel i
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


def test_a_classifier_has_the_grid_of_its_last_map(capsys: pytest.CaptureFixture[str]) -> None:
    found = rfcalc.grid("vgg16")
    assert found.levels[0].grids[0].size == 7
    assert [level.name for level in found.instead] == [node["node"] for node in found.to_dict()["instead"]] == ["fc8"]
    assert run(["grid", "vgg16"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "The output fc8 has no grid: every unit sees everything, through flatten; pool5 is the last map" in told
    assert not rfcalc.grid("vgg16", "fc8").instead and not rfcalc.grid("unet").instead


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grid", "vgg16", "pool5", "--check", "stride=32 offset=15.5 size=7"]) == 0
    assert "Yes: stride=32" in capsys.readouterr().out
    assert run(["grid", "vgg16", "pool5", "--check", "half-pixel=16"]) == 0
    capsys.readouterr()
    assert run(["grid", "vgg16", "pool5", "--check", "stride=32,offset=16"]) == 1
    assert "offset is 31/2, not 16 (16 is its offset_half)" in capsys.readouterr().out
    assert run(["grid", "vgg16", "pool5", "--check", "stride"]) == 2
    assert run(["grid", "vgg16", "pool5", "--check", "pace=4"]) == 2
    assert run(["grid", "vgg16", "fc6", "--check", "stride=4"]) == 1
    assert run(["grid", "vgg16", "pool55"]) == 2


def test_check_says_each_figure_once(capsys: pytest.CaptureFixture[str]) -> None:
    for told in (
        "stride=16 stride=32",
        "stride=32 stride=32",
        "stride=1e99999999",
        "stride=1_0",
        "stride=1/0",
        "stride=",
    ):
        assert run(["grid", "vgg16", "pool5", "--check", told]) == 2
        assert "Yes" not in capsys.readouterr().out


def test_check_by_axis(capsys: pytest.CaptureFixture[str]) -> None:
    levels = rfcalc.grid("fpn-resnet50", "P4", "P5")
    assert levels.failures("offset = 0x0")[:1] == ["P4 axis 0: offset is -8, not 0"]
    assert not rfcalc.grid("fpn-resnet50", "P4").failures("size=50x82, stride = 16")
    assert rfcalc.grid("fpn-resnet50", "P4").failures("size=50x50") == ["P4 axis 1: size is 82, not 50"]
    assert run(["grid", "fpn-resnet50", "P4", "--check", "size=50x82x1"]) == 2
    assert "size has 3 numbers, input 2 axes" in capsys.readouterr().err


def test_several_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    """A node's units lie in each input that it depends on; levels are compared within one input."""
    nodes = [
        ("a", Conv(4, 3, stride=2, padding=1), ("x",)),
        ("b", Conv(4, 5, stride=4, padding=1), ("y",)),
        ("c", Add(), ("a", "b")),
    ]
    network = rfcalc.Network.from_nodes(nodes, {"x": "3x32x32", "y": "3x65x65"}, outputs=("a", "b", "c"))
    found = rfcalc.grid(network)
    assert [(level.name, level.source, *level.grids[0][:2]) for level in found.levels] == [
        ("a", "x", 2, 0),
        ("b", "y", 4, 1),
        ("c", "x", 2, 0),
        ("c", "y", 4, 1),
    ]
    assert not found.steps  # the same grid in each input
    jsonschema.validate(found.to_dict(), SCHEMA)
    assert [node["from"] for node in found.to_dict()["nodes"]] == ["x", "y", "x", "y"]
    assert found.failures("stride=2")[0] == "b axis 0 of y: stride is 4, not 2"
    assert not rfcalc.grid(network, "a", "c", source="x").failures("stride=2")
    bare = rfcalc.grid(network, "a", source="y")
    assert bare.levels[0].why == "it depends on nothing of y" and bare.levels[0].grids == (None, None)
    with pytest.raises(RfcalcError, match="unknown input"):
        rfcalc.grid(network, source="z")


def test_what_is_seen_through_a_pool_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    squeezed = "conv3-8/2 > (globalavgpool > conv1-8 sigmoid) * identity"
    found = rfcalc.grid(squeezed, input="3x16x16")
    assert found.levels[0].through == ("adaptive_pool1",) == tuple(found.to_dict()["nodes"][0]["through"])
    assert run(["grid", squeezed, "--input", "3x16x16"]) == 0
    assert "every unit also sees a whole axis, through adaptive_pool1" in " ".join(capsys.readouterr().out.split())
    assert not rfcalc.grid("vgg16", "pool5").levels[0].through


@pytest.mark.parametrize(
    ("text", "shape", "why"),
    [
        ("roll by-3x0", "3x16x16", "roll1 re-arranges positions"),
        ("vgg16", "3x224x224", "every unit sees everything, through flatten"),
        ("{conv3-4/2, conv3-4 > slice axis1 at:16 > slice axis2 at:16} add", "3x32x32", "different strides meet"),
        ("unknown3x8x8", "3x8x8", "unknown1 was not understood"),
    ],
)
def test_why_there_is_no_grid_is_seen_in_narrow_terminals(
    text: str, shape: str, why: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    nodes = ("fc6",) if text == "vgg16" else ("add1",) if "add" in text else ()
    assert run(["grid", text, *nodes, "--input", shape, "--no-notes", "--format", "terminal"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "has no grid on axis 0" in told and why in told


def test_why_is_in_the_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["grid", "vgg16", "fc6", "--format", "csv"]) == 0
    assert '"every unit sees everything, through flatten"' in capsys.readouterr().out


def test_levels_of_the_same_grid_are_compared_once() -> None:
    found = rfcalc.grid("ssd300-vgg16")
    assert [(s.fine, s.coarse, s.cells) for s in found.steps if s.axis == 0] == [
        ("scores1", "scores2", 0),
        ("scores2", "scores3", -8),
        ("scores3", "scores4", -16),
        ("scores4", "scores5", 64),
        ("scores5", "scores6", 64),
    ]


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
    with pytest.raises(RfcalcError, match="no path from conv2_2 leads around it"):
        rfcalc.receptive_field("vgg16", "pool5", source="conv2_2", without="conv2_2")
    assert rfcalc.receptive_field("vgg16", "pool5", without="conv3_1").field.status == "none"
