"""Draws the figures of the docs from rfcalc's own walk: `python docs/figures/make.py`. Plain SVG, no dependency."""

from __future__ import annotations

from pathlib import Path

from rfcalc import Conv, ConvTranspose, MaxPool, Network, Report, receptive_field
from rfcalc.receptive.backward import backward
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.receptive.region_walk import regions

HERE = Path(__file__).parent
STEP, CELL, GAP = 44, 36, 86
INK, FAINT, SEEN, UNIT = "#1f2933", "#cbd2d9", "#9fc5e8", "#e8833a"


def cell(x: float, y: float, text: str, fill: str, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" rx="5" fill="{fill}" stroke="{INK}"{dash}/>'
        f'<text x="{x + CELL / 2:g}" y="{y + CELL / 2 + 5:g}" text-anchor="middle">{text}</text>'
    )


def figure(network: Network, unit: int, titles: list[str]) -> str:
    """One unit of the last map of a 1-D chain, and what it reads of every map before it."""
    report = Report(network)
    last = len(report.shapes) - 1
    windows = backward(report, last)
    rows, width = [], 0.0
    extents = [shape.dims[1] for shape in report.shapes]
    reads = [windows[p][1].unit(unit) for p in range(len(extents))]
    left = -min(0, *(r[0] for r in reads))
    strides, starts = [1.0], [0.0]
    for p in range(1, last + 1):
        field: ReceptiveField = report.receptive_field(p)
        strides.append(float(field.stride[0]))
        starts.append(float(field.center[0]))
    for p, n in enumerate(extents):
        y = 34 + p * GAP
        low, high = reads[p]
        real = {u for (u,) in regions(report, last, p).unit((unit,)).pixels()} if p < last else {unit}
        row = [f'<text x="0" y="{y + CELL / 2 + 5}" class="title">{titles[p]}</text>']
        for u in range(min(low, 0), max(high + 1, n)):
            inside = 0 <= u < n
            x = 190 + (left + starts[p] + u * strides[p]) * STEP
            fill = "white" if not low <= u <= high else UNIT if p == last else SEEN if u in real else FAINT
            row.append(cell(x, y, str(u) if inside else "pad", fill, not inside))
            width = max(width, x + CELL)
        size = high - low + 1
        told = "one unit" if p == last else f"F = {size}"
        row.append(f'<text x="{width + 24:g}" y="{y + CELL / 2 + 5}" class="size">{told}</text>')
        rows.append(row)
    height = 34 + len(extents) * GAP - 30
    body = "\n".join("\n".join(row) for row in rows)
    box = f'viewBox="0 0 {width + 120:g} {height}" font-family="sans-serif" font-size="14"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {box}>
<style>.title{{font-weight:bold}} .size{{fill:{UNIT};font-weight:bold}}</style>
<rect width="100%" height="100%" fill="white"/>
{body}
</svg>
"""


def page(width: float, height: float, body: list[str]) -> str:
    box = f'viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="14"'
    style = f"<style>.title{{font-weight:bold}} .size{{fill:{UNIT};font-weight:bold}} .small{{font-size:12px}}</style>"
    lines = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n{style}\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{lines}\n</svg>\n'
    )


def holes() -> str:
    """What the middle unit depends on, pixel by pixel, for three stacks of 3 x 3 convolutions."""
    body, side, cells = [], 16, 17
    for i, (notation, told) in enumerate(
        (
            ("conv3-1 d2 > conv3-1 d2 > conv3-1 d2", "dilations 2, 2, 2"),
            ("conv3-1 d1 > conv3-1 d2 > conv3-1 d3", "dilations 1, 2, 3"),
            ("conv3-1 > conv3-1 d6", "dilations 1, 6"),
        )
    ):
        region = receptive_field(notation, input=f"1x{cells}x{cells}").unit((cells // 2, cells // 2))
        count, hull = region.density
        x0, seen = 12 + i * (cells * side + 40), set(region.pixels())
        body.append(f'<text x="{x0}" y="22" class="title">{told}</text>')
        for y in range(cells):
            for x in range(cells):
                fill = UNIT if (y, x) == (8, 8) and (y, x) in seen else SEEN if (y, x) in seen else "white"
                place = f'x="{x0 + x * side}" y="{34 + y * side}" width="{side}" height="{side}"'
                body.append(f'<rect {place} fill="{fill}" stroke="{FAINT}"/>')
        told = f"{count} of {hull} pixels, longest gap {max(region.gaps)}"
        body.append(f'<text x="{x0}" y="{34 + cells * side + 22}" class="size">{told}</text>')
    return page(12 + 3 * (cells * side + 40), 34 + cells * side + 36, body)


def borders() -> str:
    """The sizes of the real regions of all units of VGG-16's pool5 at 224."""
    field_report, body, side = receptive_field("vgg16", "pool5"), [], 62
    body.append('<text x="12" y="22" class="title">VGG-16, pool5: pixels of the image that each unit sees</text>')
    for y in range(7):
        for x in range(7):
            high, wide = field_report.unit((y, x)).size
            full = high * wide / 212**2
            shade = f'fill="{UNIT}"' if full == 1 else f'fill="{SEEN}" fill-opacity="{full:.2f}"'
            place = f'x="{12 + x * side}" y="{36 + y * side}" width="{side - 4}" height="{side - 4}" rx="5"'
            body.append(f'<rect {place} {shade} stroke="{INK}"/>')
            middle = f'x="{12 + x * side + side / 2 - 2:g}" y="{36 + y * side + side / 2 + 2:g}"'
            body.append(f'<text {middle} text-anchor="middle" class="small">{high}×{wide}</text>')
    told = f"{field_report.full_units} of 49 units sees all 212 × 212; the corners see 122 × 122"
    body.append(f'<text x="12" y="{36 + 7 * side + 18}" class="size">{told}</text>')
    return page(24 + 7 * side + 60, 36 + 7 * side + 32, body)


FIGURES = {
    "chain.svg": (
        Network(Conv(1, 3, stride=2) >> MaxPool(2), "1x9"),
        1,
        ["input, 9", "conv3 / 2, 4", "maxpool2, 2"],
    ),
    "padding.svg": (
        Network(Conv(1, 3, padding=1) >> Conv(1, 3, stride=2, padding=1), "1x8"),
        0,
        ["input, 8", "conv3, 8", "conv3 / 2, 4"],
    ),
    "clipping.svg": (
        Network(Conv(1, 3, stride=2) >> Conv(1, 3, padding=1), "1x10"),
        3,
        ["input, 10", "conv3 / 2, 4", "conv3 p1, 4"],
    ),
    "phases.svg": (
        Network(Conv(1, 3, stride=2, padding=1) >> ConvTranspose(1, 2, stride=2) >> Conv(1, 2), "1x8"),
        1,
        ["input, 8", "conv3 / 2, 4", "transposed 2 / 2, 8", "conv2, 7"],
    ),
}


def main() -> None:
    for name, (network, unit, titles) in FIGURES.items():
        (HERE / name).write_text(figure(network, unit, titles), encoding="utf-8")
        print(f"wrote {name}")
    for name, drawing in (("holes.svg", holes()), ("borders.svg", borders())):
        (HERE / name).write_text(drawing, encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
