"""Bodies to scale, marks and read models: pictures are read back and compared with reports and other roads."""

from __future__ import annotations

import re
from math import sqrt
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pictures import SVG, figures, geometry, parsed

import rfcalc
from rfcalc import RfcalcError
from rfcalc.drawing.drawing import STYLES

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
READ = {  # and torchvision's below
    "segment.onnx": "3x224x224",
    "small.keras": None,
    "unet.py:UNet": "1x576x576",
    "googlenet.toml": None,
}
VISION = (
    "alexnet",
    "convnext_tiny",
    "convnext_base",
    "deeplabv3_resnet50",
    "densenet121",
    "densenet161",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b3",
    "efficientnet_b7",
    "efficientnet_v2_s",
    "efficientnet_v2_m",
    "fcn_resnet50",
    "fcn_resnet101",
    "googlenet",
    "inception_v3",
    "lraspp_mobilenet_v3_large",
    "maxvit_t",
    "mnasnet0_5",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_x_8gf",
    "regnet_y_400mf",
    "regnet_y_1_6gf",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_64x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_t",
    "swin_b",
    "swin_v2_t",
    "swin_v2_s",
    "vgg11",
    "vgg13_bn",
    "vgg16",
    "vgg19",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
    "wide_resnet50_2",
)
SAMPLE = ("lraspp_mobilenet_v3_large", "shufflenet_v2_x0_5")


def bodies(text: str) -> list[tuple[list[str], float, float, float]]:
    """The last node of each body, its length, its height, and how far it reaches behind."""
    found = []
    for e in ElementTree.fromstring(text.encode()).iter(f"{SVG}rect"):
        if e.get("data-nodes"):
            deep = float(e.get("data-deep", "0 0").split()[0])
            found.append(
                (e.attrib["data-nodes"].split("\n"), float(e.attrib["width"]), float(e.attrib["height"]), deep)
            )
    return found


@pytest.mark.parametrize("name", ["vgg16", "unet", "wavenet", "resnet50", "fpn-resnet50", "tcn"])
@pytest.mark.parametrize("style", ["blocks", "unet"])
def test_bodies_are_to_scale(name: str, style: str) -> None:
    drawing = rfcalc.draw(name, style=style)
    told = drawing.report.to_dict()
    shapes = told["inputs"] | {layer["name"]: layer["output_shape"] for layer in told["layers"]}
    most = max(max(shape[1:], default=1) for shape in shapes.values())
    lengths = []
    for nodes, long, high, deep in bodies(drawing.svg()):
        channels, *sides = shapes[nodes[-1]]
        if sides:
            assert abs(high - max(2, 150 * sides[-2:][0] / most)) < 0.02
            assert abs(deep - (0.28 * 150 * sides[-1] / most if len(sides) > 1 else 0)) < 0.02
        if long > 2:
            lengths.append(long / sqrt(channels))
    assert max(lengths) - min(lengths) < 0.02 * max(lengths)


def test_the_rows_of_a_unet_are_its_strides() -> None:
    drawing = rfcalc.draw("unet", style="unet")
    middle = {b.nodes[-1]: b.y + b.height / 2 - b.deep[1] / 2 for b in drawing.picture.boxes}
    strides = {row.name: row.receptive_field.stride for row in drawing.report} | {"input": (1, 1)}
    by_stride: dict[Any, set[float]] = {}
    for name, y in middle.items():
        by_stride.setdefault(strides[name][0], set()).add(round(y, 1))
    assert all(max(ys) - min(ys) < 0.2 for ys in by_stride.values())
    rows = [min(by_stride[stride]) for stride in sorted(by_stride)]
    assert len(rows) == 5 and rows == sorted(rows)


@pytest.mark.parametrize("style", STYLES)
def test_what_is_highlighted_equals_the_field(style: str) -> None:
    drawing = rfcalc.draw("vgg16", style=style, highlight="pool4")
    picture = drawing.picture
    told = [*picture.boxes, *picture.marks]
    assert geometry(parsed(drawing.svg())) == []
    checked = 0
    for source in ("input", "conv1_2", "pool2", "conv3_1"):
        field = rfcalc.receptive_field("vgg16", at="pool4", source=source).to_dict()
        region = ", ".join(f"{a} … {b}" for a, b in field["unit"]["region"])
        assert any(source in mark.title and region in mark.title for mark in told)
        checked += 1
    assert checked == 4
    size = "x".join(map(str, field["unit"]["size"]))
    assert style not in ("stages", "graph") or any(text.text.endswith(size) for text in picture.texts)


def test_a_mark_covers_its_part_of_the_side() -> None:
    picture = rfcalc.draw("conv3-8 > maxpool2 > conv3-8", "3x32x32", style="blocks", highlight="conv2").picture
    box, mark = picture.boxes[0], picture.marks[0]
    numbers = re.findall(r"\d+", mark.title.partition("seen")[2])
    top, bottom, near, far = map(int, numbers)
    xs, ys = zip(*mark.points, strict=True)
    end = box.x + box.width
    assert min(xs) == pytest.approx(end + box.deep[0] * near / 32, abs=0.02)
    assert max(xs) == pytest.approx(end + box.deep[0] * (far + 1) / 32, abs=0.02)
    high = box.height * (bottom + 1 - top) / 32 + box.deep[1] * (far + 1 - near) / 32
    assert max(ys) - min(ys) == pytest.approx(high, abs=0.02)


@pytest.mark.parametrize("style", STYLES)
def test_read_models_are_drawn_right(style: str) -> None:
    for target, shape in READ.items():
        report = rfcalc.analyze(str(EXAMPLES / target), shape)
        drawn = parsed(rfcalc.draw(report, style=style).svg())
        assert geometry(drawn) + figures(drawn, report.to_dict(), style) == [], target


def _vision(names: Any) -> None:
    from model_lists import torchvision_model

    for name in names:
        make, shape = torchvision_model(name)
        report = rfcalc.analyze(make(), shape)
        told = report.to_dict()
        for style in STYLES:
            drawn = parsed(rfcalc.draw(report, style=style).svg())
            assert geometry(drawn) + figures(drawn, told, style) == [], (name, style)


def test_some_models_of_torchvision_are_drawn_right() -> None:
    _vision(SAMPLE)


@pytest.mark.exhaustive
def test_fifty_models_of_torchvision_are_drawn_right() -> None:
    assert len(VISION) == 50
    _vision(VISION)


@pytest.mark.parametrize("metrics", ["stride,bytes", "center", "params_share,macs", "kind"])
@pytest.mark.parametrize("style", STYLES)
def test_any_metric_is_shown_as_in_the_table(metrics: str, style: str) -> None:
    names = metrics.split(",")
    drawing = rfcalc.draw("vgg16", style=style, metrics=tuple(names))
    assert geometry(parsed(drawing.svg())) == []
    texts = " ".join(text.text for text in drawing.picture.texts)
    for name, told in (("stride", "8"), ("bytes", "3.21 MB"), ("params_share", "74"), ("kind", "conv")):
        assert name not in names or told in texts


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"depth": 0}, "--depth 1"),
        ({"metrics": ("peak_bytes",)}, "whole network"),
        ({"metrics": ("speed",)}, "speed"),
        ({"highlight": "conv9"}, "conv9"),
        ({"infer": True}, "memory"),
        ({"colour": 1}, "colour"),
        ({"tile": 4}, "tiles"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(RfcalcError, match=why):
        rfcalc.draw("vgg16", style="blocks", **options).svg()


def test_a_long_network_is_drawn_block_by_block_and_says_so() -> None:
    drawing = rfcalc.draw("densenet121", style="blocks")
    assert len(drawing.picture.boxes) <= 34
    assert any(text.text.startswith("drawn at depth 1") for text in drawing.picture.texts)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("conv1-1", "1x1x1"),
        ("fc10", "7"),
        ("conv3-8", "1x1"),
        ("conv3-4 > conv3-4", "2x5x6x7"),
        ("lstm8", "3x20"),
        ("conv3-2000", "3x1x500"),
        ("up2 x3", "1x3x4"),
        ("(conv3-8 | conv5-8 | maxpool3/1 p1) > fc2", "3x8x8"),
        ("conv3-8 x300", "3x64x64"),
    ],
)
def test_odd_sizes_are_drawn_right(text: str, shape: str) -> None:
    report = rfcalc.analyze(text, shape)
    for style in STYLES:
        drawn = parsed(rfcalc.draw(report, style=style).svg())
        assert geometry(drawn) + figures(drawn, report.to_dict(), style) == [], style
    for chart in ("growth", "cost", "memory"):
        assert geometry(parsed(rfcalc.draw(report, style=chart).svg())) == [], chart
