"""Charts: their areas, bars and lines are measured and compared with what other commands say; themes and TikZ."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from itertools import pairwise
from math import pi
from pathlib import Path
from random import Random
from struct import pack
from typing import Any

import pytest
from pictures import Rect, geometry, parsed

import rfcalc
from rfcalc import RfcalcError
from rfcalc.cli import run
from rfcalc.drawing.axes import linear, powers
from rfcalc.drawing.drawing import CHARTS, READ, STYLES
from rfcalc.drawing.outline import outlines
from rfcalc.render.palette import FILLS


def shoelace(points: Any) -> float:
    pairs = pairwise([*points, points[0]])
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2


@pytest.mark.parametrize(
    ("name", "infer"), [("resnet18", False), ("vgg11", False), ("mobilenet-v2", True), ("unet", True)]
)
def test_memory_is_as_high_as_the_timeline(name: str, infer: bool) -> None:
    drawing = rfcalc.draw(name, style="memory", batch=2, infer=infer)
    picture = drawing.picture
    assert geometry(parsed(drawing.svg())) == []
    plan = rfcalc.memory(name, batch=2, infer=infer).to_dict()
    heights = [b for *_, b in (m.values() for m in plan["timeline"])]
    areas = sum(shoelace(area.points) for area in picture.areas)
    left, right = min(x for a in picture.areas for x, _ in a.points), max(x for a in picture.areas for x, _ in a.points)
    tops = {y for area in picture.areas for _, y in area.points}
    scale = (max(tops) - min(tops)) / max(heights)  # units a byte
    assert areas == pytest.approx(sum(heights) * scale * (right - left) / len(heights), rel=1e-3)
    assert picture.texts and any("peak" in text.text for text in picture.texts)
    lasting = plan["terms"]
    for area in picture.areas:
        if area.role in ("weights", "optimizer", "buffers"):
            assert shoelace(area.points) == pytest.approx(lasting[area.role] * scale * (right - left), rel=2e-2, abs=4)


def test_tiles_are_those_of_the_plan() -> None:
    drawing = rfcalc.draw("unet-padded", "1x512x768", style="tiles", tile=384)
    plan = rfcalc.tile("unet-padded", "1x512x768", tile=384).to_dict()
    assert geometry(parsed(drawing.svg())) == []
    areas = drawing.picture.areas
    whole, halo = areas[0].points, next(a for a in areas if a.role == "halo")
    scale = (whole[1][0] - whole[0][0]) / 768
    number = int(re.findall(r"tile (\d+)", halo.title)[0])
    read = plan["tiles"][number - 1]["read"]
    assert [(p[0] - whole[0][0]) / scale for p in halo.points[:2]] == pytest.approx(read[1], abs=0.02)
    assert [(p[1] - whole[0][1]) / scale for p in halo.points[1:3]] == pytest.approx(read[0], abs=0.02)
    cuts = sorted({round((line.points[0][0] - whole[0][0]) / scale) for line in drawing.picture.lines[:20]})
    starts = {tile["write"][1][0] for tile in plan["tiles"]}
    assert starts - {0} <= set(cuts)
    with pytest.raises(RfcalcError, match="cannot be cut"):
        rfcalc.draw("vgg16", style="tiles").svg()


@pytest.mark.parametrize(
    ("target", "shape", "unit", "at"),
    [
        ("vgg16", None, (0, 0), "pool4"),
        ("vgg16", None, (13, 5), "pool4"),
        ("conv3-8 d2 > conv3-8 d4", "3x40x30", None, None),
        ("conv3-8/2 > conv3-8 p2 > maxpool3/2", "3x31x17", (0, 3), None),
        ("wavenet", None, (9000,), None),
        ("conv3-8 > conv3-8", "2x9x9x9", None, None),
    ],
)
def test_a_field_is_the_region_of_the_unit(target: str, shape: Any, unit: Any, at: Any) -> None:
    options = {"unit": unit} if unit else {}
    drawing = rfcalc.draw(target, shape, style="field", **options, **({"at": at} if at else {}))
    assert geometry(parsed(drawing.svg())) == []
    found = rfcalc.receptive_field(target, at=at, input=shape) if at else None
    if found is None:
        report = drawing.report
        found = rfcalc.receptive_field(target, input=shape, at=report.network.nodes[report.last_spatial - 1].name)
    region = found.unit(unit or found.centre_unit)
    areas = drawing.picture.areas
    frame = next(a.points for a in areas if a.role == "map")
    sides = found.source_shape
    scale = (frame[1][0] - frame[0][0]) / sides[-1]
    covered = sum(shoelace(a.points) for a in areas if a.role == "seen")
    high = (frame[2][1] - frame[1][1]) if len(sides) == 1 else scale
    if len(sides) < 3:
        assert covered / (scale * high) == pytest.approx(region.count, rel=1e-2)
    low = min(x for a in areas if a.role == "seen" for x, _ in a.points)
    assert (low - frame[0][0]) / scale == pytest.approx(region.hull[-1][0], abs=0.01 / scale)


def test_contours_hold_their_share() -> None:
    drawing = rfcalc.draw("conv3-8 x3 > conv5-8", "3x33x33", style="field")
    field = rfcalc.receptive_field("conv3-8 x3 > conv5-8", input="3x33x33")
    rows, columns = (spread.shares for spread in field.effective_field())
    every = sorted((a * b for a in rows.values() for b in columns.values()), reverse=True)
    frame = next(a.points for a in drawing.picture.areas if a.role == "map")
    scale = (frame[1][0] - frame[0][0]) / 33
    for role, share in (("contour", 0.5), ("contour-outer", 0.95)):
        pixels = sum(shoelace(line.points[:-1]) for line in drawing.picture.lines if line.role == role) / scale**2
        count = round(pixels)
        assert abs(pixels - count) < 0.1 and sum(every[:count]) >= share - 1e-9
        assert sum(every[: count - 9]) < share  # up to eight pixels have equal shares


def test_outlines_enclose_their_cells() -> None:
    random = Random(5)
    for _ in range(300):
        cells = {(random.randrange(7), random.randrange(7)) for _ in range(random.randrange(1, 40))}
        loops = list(outlines(cells))
        signed = sum(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise([*loop, loop[0]])) / 2 for loop in loops)
        assert signed == len(cells)  # holes count against
        for loop in loops:
            for (x0, y0), (x1, y1), (x2, _y2) in zip(loop, [*loop[1:], loop[0]], [*loop[2:], *loop[:2]], strict=True):
                assert (x0 == x1) != (y0 == y1) and (x0 == x1) != (x1 == x2), loop


def test_bubbles_are_placed_by_their_figures() -> None:
    names = ("vgg16", "resnet18", "resnet50", "mobilenet-v2", "googlenet", "densenet121", "squeezenet1.1", "unet")
    drawing = rfcalc.draw(names[0], style="compare", others=list(names[1:]))
    assert geometry(parsed(drawing.svg())) == []
    bubbles = {a.title.partition(":")[0]: a for a in drawing.picture.areas if a.role == "bubble"}
    assert set(bubbles) == set(names)
    params, macs = {}, {}
    for name in names:
        totals = rfcalc.analyze(name).totals
        params[name], macs[name] = totals.params, totals.macs
    area = {name: shoelace(a.points) for name, a in bubbles.items()}
    large = [n for n in names if area[n] > pi * 3.2**2]
    assert len(large) > 3
    ratios = [area[n] / params[n] for n in large]
    assert max(ratios) / min(ratios) < 1.02
    across = {n: (min(x for x, _ in b.points) + max(x for x, _ in b.points)) / 2 for n, b in bubbles.items()}
    assert sorted(names, key=across.__getitem__) == sorted(names, key=macs.__getitem__)
    places = {text.text: text for text in drawing.picture.texts}
    assert all(name in places for name in names)
    rects = [rect for rect, text in parsed(drawing.svg()).texts if text in names]
    for bubble in bubbles.values():
        xs, ys = zip(*bubble.points, strict=True)
        own = Rect(min(xs), min(ys) + 3, max(xs), max(ys) - 3)
        assert not any(own.meets(rect) for rect in rects)


def test_what_has_no_figure_is_not_placed_and_told() -> None:
    drawing = rfcalc.draw("conv3-8", "3x32x32", style="compare", others=["maxpool2"])
    assert any("maxpool2: no macs, no params" in text.text for text in drawing.picture.texts)
    with pytest.raises(RfcalcError, match="three figures"):
        rfcalc.draw("vgg16", style="compare", metrics=("macs",)).svg()
    with pytest.raises(RfcalcError, match="no network has all"):
        rfcalc.draw("maxpool2", "3x8x8", style="compare").svg()


def test_scales_have_round_marks() -> None:
    random = Random(1)
    for _ in range(300):
        most = 10 ** random.uniform(-2, 12)
        scale = linear(most)
        assert 3 <= len(scale.marks) <= 9 and scale.place(most) <= 1 and scale.place(scale.marks[-1]) == 1
        values = [10 ** random.uniform(0, 9) for _ in range(random.randrange(1, 5))]
        logarithmic = powers(values)
        assert all(0 < logarithmic.place(v) < 1 for v in values) and len(logarithmic.marks) >= 2


@pytest.mark.parametrize("style", [*STYLES, *CHARTS])
def test_every_style_is_written_in_every_format(style: str, tmp_path: Path) -> None:
    target = ["unet-padded", "--input", "1x64x64"]
    for ending in ("svg", "tikz", "html", "tex", "md", "txt", "json", "csv"):
        file = tmp_path / f"n.{ending}"
        how = "--chart" if style in CHARTS else "--style"
        assert run(["draw", *target, how, style, "-o", str(file)]) == 0
        text = file.read_text(encoding="utf-8")
        assert ("<svg" in text) == (ending in ("svg", "html"))
        assert ("tikzpicture" in text) == (ending in ("tex", "tikz"))


@pytest.mark.parametrize("style", [*STYLES, *CHARTS])
def test_tikz_draws_what_the_svg_draws(style: str) -> None:
    drawing = rfcalc.draw("unet-padded", "1x64x64", style=style)
    text, picture = drawing.tikz(), drawing.picture
    sides = sum(len(box.sides) for box in picture.boxes)
    paths = len(picture.areas) + len(picture.lines) + len(picture.boxes) + len(picture.marks) + sides
    assert text.count("\\path[") == paths and text.count("\\node[") == len(picture.texts)
    assert text.count("{") == text.count("}")
    colors = set(re.findall(r"(?:fill|draw)=rf(\w+)", text))
    assert colors <= set(re.findall(r"\\definecolor\{rf(\w+)\}", text))
    half = rfcalc.draw("unet-padded", "1x64x64", style=style).tikz("84mm")
    scale = float(re.findall(r"x=([\d.]+)bp", half)[0])
    assert scale * picture.width == pytest.approx(84 * 72 / 25.4, rel=1e-3)


def test_width_font_and_theme_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawing = rfcalc.draw("vgg16", style="blocks")
    text = drawing.svg("light", "Times New Roman", "84mm")
    assert 'width="84mm"' in text and "Times New Roman, Helvetica" in text and "prefers-color-scheme" not in text
    dark = drawing.svg("dark")
    assert FILLS["conv"][1] in dark and "@media" not in dark and "@media" in drawing.svg()
    assert run(["draw", "vgg16", "--theme", "grey", "-f", "svg"]) == 2
    assert run(["draw", "vgg16", "--width", "wide", "-f", "svg"]) == 2
    assert run(["draw", "vgg16", "resnet50", "-f", "svg"]) == 2
    assert capsys.readouterr().err.count("fix:") == 3


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    head = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(
        b"\0" + bytes((x * 7 % 256, 80, 120)[c] for x in range(width) for c in range(3)) for _ in range(height)
    )
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_an_image_lies_under_the_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(png(32, 32))
    out = tmp_path / "field.svg"
    command = ["draw", "conv3-8 x4", "-i", "3x32x32", "--chart", "field", "-o", str(out)]
    assert run([*command, "--image", str(file)]) == 0
    text = out.read_text(encoding="utf-8")
    assert 'preserveAspectRatio="xMidYMid slice"' in text  # covers the input, is cropped, and never stretched
    assert "data:image/png;base64," in text and text.index("<image") < text.index('class="area seen"')
    plain = rfcalc.draw("conv3-8 x4", "3x32x32", style="field").svg()
    assert text.count(" casing") > 0 == plain.count(" casing")  # contours are seen on whatever the image shows
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    for wrong in (tmp_path / "none.png", tmp_path / "notes.txt"):
        assert run([*command, "--image", str(wrong)]) == 2
    assert "neither PNG nor JPEG" in capsys.readouterr().err


# --- what the colour-blind see --------------------------------------------------------------------------------------

# Machado, Oliveira & Fernandes 2009, severity 1, for linear RGB: no red, no green, no blue cones
BLIND = (
    ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
)
SIDE_BY_SIDE = (
    ("weights", "buffers", "optimizer", "gradients", "kept", "activations"),
    ("halo", "write", "map"),
    ("conv", "pool", "dense"),
)


def lab(color: str, blind: Any) -> tuple[float, ...]:
    rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear_ = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    if blind:
        linear_ = [min(1, max(0, sum(a * b for a, b in zip(row, linear_, strict=True)))) for row in blind]
    r, g, b = linear_
    xyz = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883,
    )
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("theme", [0, 1])
def test_the_colour_blind_can_tell_areas_apart(theme: int) -> None:
    for roles in SIDE_BY_SIDE:
        for one in range(len(roles)):
            for other in range(one):
                for blind in (None, *BLIND):
                    pair = (lab(FILLS[roles[i]][theme], blind) for i in (one, other))
                    apart = sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) ** 0.5
                    assert apart > 5, (roles[one], roles[other], blind)
    red, green = (lab(c, BLIND[1]) for c in ("#a17f1a", "#8a8a1a"))
    assert sum((a - b) ** 2 for a, b in zip(red, green, strict=True)) ** 0.5 < 12  # a control: these look alike


def test_every_style_says_which_options_it_reads() -> None:
    assert set(READ) == {*STYLES, *CHARTS}


@pytest.mark.system
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_tikz_compiles(tmp_path: Path) -> None:
    target = dict.fromkeys((*STYLES, *CHARTS), ("unet-padded", "1x64x64"))
    bodies = [rfcalc.draw(*given, style=style).tikz("150mm") for style, given in target.items()]
    page = "\\documentclass{article}\\usepackage{tikz}\\begin{document}\n%s\n\\end{document}\n"
    (tmp_path / "page.tex").write_text(page % "\n\\clearpage\n".join(bodies), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("option", ["--chart", "--style"])
def test_several_networks_are_for_one_chart(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "several.svg"
    assert run(["draw", "vgg16", "resnet50", option, "compare", "-o", str(file)]) == 0
    assert "resnet50" in file.read_text(encoding="utf-8")
    assert run(["draw", "vgg16", "resnet50", option, "growth", "-o", str(file)]) == 2
    assert "2 networks are named" in capsys.readouterr().err


def test_a_depth_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["draw", "vgg16", "--depth", "0", "-o", str(tmp_path / "none.svg")]) == 2
    assert "--depth 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
