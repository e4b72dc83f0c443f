"""Pictures of networks: read back, and compared with the report and with geometry."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pictures import figures, geometry, parsed

import rfcalc
from rfcalc import RfcalcError
from rfcalc.cli import run
from rfcalc.drawing.drawing import STYLES
from rfcalc.drawing.letters import width
from rfcalc.render.svg import FILLS, INK, PAPER, SOFT

BODIES = ("blocks", "unet")
ODD = (
    "conv3-8",
    "conv3-8 x40 > maxpool2 > fc10",
    "(conv1-4 | conv3-4 | series()) > (conv3-11 + series())",
    "(conv3-4 + (conv5-4 > (conv1-4 + series()))) > maxpool2",
    "conv3-3 x2 > (conv3-3 + conv3-3 + conv3-3 + series())",
    "(conv3-3 + series()) x12 > (conv3-8 + conv1-8) x2 > globalavgpool flatten fc3",
)


@cache
def report(name: str) -> Any:
    return rfcalc.analyze(name)


@cache
def told_of(name: str) -> dict[str, Any]:
    return dict(report(name).to_dict())


@pytest.mark.parametrize("style", STYLES)
def test_the_whole_zoo_is_drawn_right(style: str) -> None:
    wrong = {}
    for name in rfcalc.networks():
        drawn = parsed(rfcalc.draw(report(name), style=style).svg())
        found = geometry(drawn) + figures(drawn, told_of(name), style)
        if found or drawn.title != name or not drawn.description:
            wrong[name] = found[:3]
    assert wrong == {}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("depth", [1, 2, 9])
def test_blocks_are_drawn_right_at_every_depth(style: str, depth: int) -> None:
    for name in ("resnet50", "googlenet", "densenet121", "unet", "swin-t", "mobilenet-v2"):
        drawn = parsed(rfcalc.draw(report(name), style=style, depth=depth).svg())
        assert geometry(drawn) + figures(drawn, told_of(name), style) == [], (name, depth)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("text", ODD)
def test_notations_are_drawn_right(text: str, style: str) -> None:
    drawing = rfcalc.draw(text, "3x32x32", style=style)
    drawn = parsed(drawing.svg())
    assert geometry(drawn) + figures(drawn, drawing.report.to_dict(), style) == []


@pytest.mark.parametrize("style", STYLES)
def test_control_a_wrong_picture_is_noticed(style: str) -> None:
    drawing = rfcalc.draw("googlenet", style=style)
    drawn = parsed(drawing.svg())
    told = drawing.report.to_dict()
    box, nodes = drawn.boxes[5]
    larger = box._replace(bottom=box.bottom + 60, right=box.right + (60 if style in BODIES else 0))
    moved = drawn._replace(boxes=[*drawn.boxes[:5], (larger, nodes), *drawn.boxes[6:]])
    assert any("boxes overlap" in w or "runs through" in w for w in geometry(moved))
    assert geometry(drawn._replace(frame=drawn.frame._replace(right=100)))
    (_, joins), *others = drawn.lines[3:]
    across = drawn._replace(lines=[([(box.left, box.top - 50), (box.right, box.bottom + 50)], joins), *others])
    assert any("runs through" in w for w in geometry(across))
    assert figures(drawn._replace(lines=others), told, style)
    assert figures(drawn._replace(boxes=[*drawn.boxes[:-1], (drawn.boxes[-1][0], ["conv1"])]), told, style)
    old, new = ("192x28x28", "192x28x29") if style in BODIES else ("12,352", "12,353")
    texts = [(rect, text.replace(old, new)) for rect, text in drawn.texts]
    assert texts != drawn.texts and figures(drawn._replace(texts=texts), told, style)
    assert figures(drawn, told, style) == []


def test_texts_are_at_most_as_wide_as_estimated() -> None:
    fonts = pytest.importorskip("matplotlib.font_manager")
    from matplotlib.ft2font import FT2Font

    font = FT2Font(fonts.findfont("DejaVu Sans"))
    font.set_size(12, 72)
    for text in ("layer1.{0–35}.conv1", "conv3-64/2 nobias bn relu", "138,357,544", "64x112x112", "≤435 ×36 WMwm@"):
        font.set_text(text)
        assert font.get_width_height()[0] / 64 <= width(text)


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_enough_light_and_dark() -> None:
    for i in (0, 1):
        assert min(contrast(INK[i], fill[i]) for fill in FILLS.values()) >= 4.5
        assert contrast(SOFT[i], PAPER[i]) >= 4.5 and contrast(INK[i], PAPER[i]) >= 4.5
    assert contrast("#777777", "#ffffff") < 4.5  # a control: the usual grey is not enough


@pytest.mark.parametrize("ending", ["svg", "html", "md", "tex", "txt", "json"])
def test_every_format_is_written(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"net.{ending}"
    assert run(["draw", "vgg16", "-o", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert "138357544" in text.replace(",", "")
    assert ("<svg" in text) == (ending in ("svg", "html"))


def test_a_picture_without_a_file_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["draw", "resnet18"]) == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("layer2.0.add"))
    assert row.endswith("  layer2.0.conv2, layer2.0.downsample.0")
    assert run(["draw", "resnet18", "-f", "svg"]) == 0
    assert capsys.readouterr().out.startswith("<?xml")


def test_a_notebook_shows_the_picture() -> None:
    assert parsed(rfcalc.draw("vgg16")._repr_svg_()).title == "vgg16"


def test_names_that_xml_reads_as_its_own_are_escaped() -> None:
    network = rfcalc.Network.from_nodes([('<a & "b">', rfcalc.Conv(4, 3), ["input"])], "3x8x8")
    assert parsed(rfcalc.draw(network).svg()).boxes[1][1] == ['<a & "b">']


@pytest.mark.parametrize("arguments", [["--style", "ladder"], ["-f", "gif"], ["-f", "pdf"], ["-o", "/nowhere/f.svg"]])
def test_what_is_wrong_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["draw", "vgg16", *arguments]) == 2
    assert "fix:" in capsys.readouterr().err


def test_too_many_boxes_are_refused_with_a_way_out() -> None:
    layers = [(f"c{i}", rfcalc.Conv(4 + i % 2, 1), ["input" if i == 0 else f"c{i - 1}"]) for i in range(4000)]
    with pytest.raises(RfcalcError, match="table TARGET --depth 1"):
        rfcalc.draw(rfcalc.Network.from_nodes(layers, "3x8x8")).svg()


@pytest.mark.parametrize("chart", ["growth", "cost"])
def test_charts_of_the_zoo_overlap_nothing(chart: str) -> None:
    wrong = {}
    for name in rfcalc.networks():
        found = geometry(parsed(rfcalc.draw(report(name), style=chart).svg()))
        if found:
            wrong[name] = found[:2]
    assert wrong == {}


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "unet", "wavenet"])
def test_bars_are_as_long_as_their_figures(name: str) -> None:
    drawing = rfcalc.draw(name, style="growth")
    drawn = parsed(drawing.svg())
    layers = {layer["name"]: layer for layer in drawing.report.to_dict()["layers"]}
    told = [t.partition(" ")[0].lstrip("≤").rstrip("*") for r, t in drawn.texts]
    fields = [layer["receptive_field"]["size"] for layer in layers.values()]
    sizes = {max(size) for size in fields if None not in size}
    start = min(rect.left for rect, _ in drawn.boxes)
    bars = []
    for rect, _ in drawn.boxes:
        row = [r for r, _ in drawn.boxes if r.top == rect.top]
        beside = [t for (r, _), t in zip(drawn.texts, told, strict=True) if r.top < rect.bottom and rect.top < r.bottom]
        least, _, size = beside[-1].rpartition("–")
        if rect.right == max(r.right for r in row):
            bars.append((rect.right - start, int(size)))
        elif rect.left == start:  # up to the band of the phases
            assert (
                least
                and abs((rect.right - start) / (max(r.right for r in row) - start) - int(least) / int(size)) < 0.02
            )
    assert len(bars) > 5 and {size for _, size in bars} <= sizes
    long, most = max(bars)
    assert all(abs(width - size * long / most) <= 0.5 for width, size in bars)


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "swin-t", "unet"])
def test_what_stages_cost_adds_up(name: str) -> None:
    drawing = rfcalc.draw(name, style="cost")
    titles = [box.title.split(": ")[1].split(" ", 1) for box in drawing.picture.boxes]
    total = drawing.report.totals
    for what, whole in (("parameters", total.params), ("memory in bytes", total.bytes), ("multiply-adds", total.macs)):
        assert sum(int(n.replace(",", "")) for n, t in titles if t == what) == whole


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_other_files_are_made_by_cairosvg_or_not_at_all(
    ending: str, begins: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"net.{ending}"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "cairosvg", None)
        assert run(["draw", "vgg16", "-o", str(file)]) == 2
        assert "pip install 'rfcalc[pictures]'" in capsys.readouterr().err and not file.exists()
    pytest.importorskip("cairosvg")
    assert run(["draw", "vgg16", "-o", str(file)]) == 0
    assert file.read_bytes().startswith(begins)


def test_networks_and_fields_show_themselves_in_notebooks() -> None:
    network = rfcalc.Network(rfcalc.Conv(8, 3) >> rfcalc.MaxPool(2))
    assert network._repr_svg_() is None  # no input is known
    svg = rfcalc.Network(rfcalc.Conv(8, 3) >> rfcalc.MaxPool(2), "3x32x32")._repr_svg_()
    assert svg is not None and len(parsed(svg).boxes) == 3
    shown = rfcalc.receptive_field("vgg16", at="pool4")._repr_html_()
    assert "<pre" in shown and "100 x 100" in shown  # letters: hosts may take SVG away
