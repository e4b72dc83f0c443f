"""Pictures as TikZ, to be read with ``\\input`` where ``tikz`` is loaded; texts in the document's sans serif."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rfcalc.render.palette import CONTOUR, FILLS, INK, MARK, SOFT
from rfcalc.report.document import Picture

UNIT = 0.75  # points (bp) in 1/96 inch
SIZE = 8.2  # of the font, in points: Latin Modern Sans is narrower than what a picture is laid out for
_AREAS = {
    "frame": "draw, dashed",
    "key": "draw",
    "padding": "draw, fill=black, fill opacity=0.12",
    "seen": "draw=rfmark, fill=rfmark, fill opacity=0.38",
    "map": "draw",
    "mark": "draw=rfmark, fill=rfmark, fill opacity=0.55",
}
_LINES = {
    "grid": "draw=black!22",
    "leader": "draw=black!60",
    "peak": "draw=rfmark, dashed",
    "casing": "draw=white, line width=3pt, opacity=0.85",
    "contour": "draw=rfcontour, thick",
    "contour-outer": "draw=rfcontour, dashed",
}


def picture(found: Picture, escape: Callable[[str], str], width: float | None = None) -> Iterator[str]:
    """The lines of a ``tikzpicture``.

    Args:
        escape: makes a text LaTeX that prints as it stands.
        width: of the picture in points (bp); its own if left out.
    """
    scale = UNIT if width is None else width / found.width
    size = SIZE * scale / UNIT
    used = {b.role for b in found.boxes} | {a.role for a in found.areas}
    colors = {role: light for role, (light, _) in FILLS.items() if role in used or role == "other"}
    colors |= {"ink": INK[0], "soft": SOFT[0], "mark": MARK[0], "contour": CONTOUR[0]}
    for name, light in colors.items():
        yield rf"\definecolor{{rf{name}}}{{HTML}}{{{light[1:].upper()}}}"
    font = rf"\fontsize{{{size:.3g}}}{{{size * 1.2:.3g}}}\sffamily\selectfont"
    units = f"x={scale:.4g}bp, y=-{scale:.4g}bp, line width={0.7 * scale:.3g}pt, rfink"
    yield rf"\begin{{tikzpicture}}[{units}, every node/.style={{inner sep=0pt, font={font}}}]"
    yield rf"\useasboundingbox (0,0) rectangle ({_number(found.width)},{_number(found.height)});"
    if found.image is not None:
        x, y, wide, high = found.image[:4]
        yield f"% an image lies at ({_number(x)},{_number(y)}), {_number(wide)} by {_number(high)}: include its file"
    for area in found.areas:
        how = _AREAS.get(area.role) or f"draw, fill={_color(area.role)}"
        yield rf"\path[{how}] {_path(area.points)} -- cycle;"
    for line in found.lines:
        arrow = "->, " if line.arrow else ""
        yield rf"\path[{arrow}{_LINES.get(line.role, 'draw')}] {_path(line.points)};"
    for box in found.boxes:
        color = _color(box.role)
        for side, shade in zip(box.sides, ("80!white", "92!black"), strict=False):
            yield rf"\path[draw, fill={color}!{shade}] {_path(side)} -- cycle;"
        x, y, end, bottom = box.x, box.y, box.x + box.width, box.y + box.height
        rounded = "" if box.sides else ", rounded corners=1.5pt"
        corners = f"({_number(x)},{_number(y)}) rectangle ({_number(end)},{_number(bottom)})"
        yield rf"\path[draw, fill={color}{rounded}] {corners};"
        if box.label:
            yield rf"\node at ({_number((x + end) / 2)},{_number((y + bottom) / 2)}) {{{escape(box.label)}}};"
    anchors = {"start": "base west", "middle": "base", "end": "base east"}
    for text in found.texts:
        how = f"anchor={anchors[text.anchor]}"
        how += (", rotate=90" if text.turned else "") + (", rfsoft" if text.role == "soft" else "")
        told = rf"\bfseries {escape(text.text)}" if text.role == "strong" else escape(text.text)
        yield rf"\node[{how}] at ({_number(text.x)},{_number(text.y)}) {{{told}}};"
    for area in found.marks:
        yield rf"\path[{_AREAS['mark']}] {_path(area.points)} -- cycle;"
    yield r"\end{tikzpicture}"


def _color(role: str) -> str:
    return f"rf{role if role in FILLS else 'other'}"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " -- ".join(f"({_number(x)},{_number(y)})" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
