"""Draws the figures of the docs from rfcalc's own walk: `python docs/figures/make.py`. Plain SVG, no dependency."""

from __future__ import annotations

from pathlib import Path

from rfcalc import Conv, ConvTranspose, MaxPool, Network, Report
from rfcalc.receptive import ReceptiveField
from rfcalc.walk import backward

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
    last = len(report.walked.shapes) - 1
    windows = backward(report.walked, last)
    rows, width = [], 0.0
    extents = [shape.dims[1] for shape in report.walked.shapes]
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
        row = [f'<text x="0" y="{y + CELL / 2 + 5}" class="title">{titles[p]}</text>']
        for u in range(min(low, 0), max(high + 1, n)):
            inside = 0 <= u < n
            x = 190 + (left + starts[p] + u * strides[p]) * STEP
            fill = (UNIT if p == last else SEEN) if low <= u <= high else "white"
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


FIGURES = {
    "chain.svg": (
        Network(Conv(1, 3, stride=2) >> MaxPool(2), "1x9"),
        1,
        ["input, 9", "conv3 / 2, 4", "maxpool2, 2"],
    ),
    "padding.svg": (
        Network(Conv(1, 3, padding=1) >> Conv(1, 3, 2, padding=1), "1x8"),
        0,
        ["input, 8", "conv3, 8", "conv3 / 2, 4"],
    ),
    "phases.svg": (
        Network(Conv(1, 3, 2, padding=1) >> ConvTranspose(1, 2, 2) >> Conv(1, 2), "1x8"),
        1,
        ["input, 8", "conv3 / 2, 4", "transposed 2 / 2, 8", "conv2, 7"],
    ),
}


def main() -> None:
    for name, (network, unit, titles) in FIGURES.items():
        (HERE / name).write_text(figure(network, unit, titles), encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
