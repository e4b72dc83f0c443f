"""Pictures and grids as SVG, inside HTML or alone; their colours are classes (see `html`), which hosts can set."""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape as _escape
from math import prod
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError, printable
from rfcalc.render.palette import CONTOUR, FILLS, INK, MARK, PAPER, SOFT
from rfcalc.report.document import Grid, Image, Picture

_INK = ' stroke="currentColor"'
AREAS = {  # how an area is drawn that has no fill of its own
    "": ' fill="none" stroke="currentColor"',
    "frame": ' fill="none" stroke="currentColor" stroke-dasharray="4 3"',
    "key": ' fill="none" stroke="currentColor" stroke-width="0.7"',
    "padding": ' fill="currentColor" fill-opacity="0.12" stroke="currentColor" stroke-width="0.5"',
    "seen": f' fill="{MARK[0]}" fill-opacity="0.38" stroke="{MARK[0]}" stroke-width="0.6"',
}
LINES = {
    "grid": ' stroke="currentColor" stroke-opacity="0.22"',
    "leader": ' stroke="currentColor" stroke-opacity="0.6" stroke-width="0.7"',
    "peak": f' stroke="{MARK[0]}" stroke-dasharray="5 3"',
    "casing": f' stroke="{PAPER[0]}" stroke-width="4" stroke-opacity="0.85"',
    "contour": f' stroke="{CONTOUR[0]}" stroke-width="1.6"',
    "contour-outer": f' stroke="{CONTOUR[0]}" stroke-width="1.2" stroke-dasharray="5 3"',
}
MOST = 4000  # rectangles of a grid that are drawn one by one


def escape(text: str) -> str:
    """The text as XML shows it."""
    return _escape(printable(text))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def grid(found: Grid) -> str:
    """The map with the seen positions on it, the padding around it."""
    (top, bottom), (left, right) = found.frame if len(found.frame) > 1 else ((0, 1), found.frame[0])
    height, width = found.shape if len(found.shape) > 1 else (1, found.shape[0])
    scale = max(1.0, 420 / max(right - left, 1))
    parts = [f'<rect x="0" y="0" width="{width}" height="{height}" fill="none" stroke="currentColor"{_thin}/>']
    for layer in sorted(found.layers, key=lambda runs: runs.role != "clipped"):
        rows = layer.axes[0] if len(layer.axes) > 1 else ((0, 1),)
        if prod(map(len, layer.axes)) > MOST:
            continue
        fill = 'fill="currentColor" fill-opacity="0.12"' if layer.role == "clipped" else 'fill="var(--mark, #0b5cad)"'
        parts += [
            f'<rect x="{a}" y="{c}" width="{b - a}" height="{d - c}" {fill}/>'
            for c, d in rows
            for a, b in layer.axes[-1]
        ]
    size = f'width="{_number((right - left) * scale)}" height="{_number((bottom - top) * scale)}"'
    box = f'viewBox="{left} {top} {right - left} {bottom - top}"'
    label = escape(found.title or "what the unit sees of the input")
    return f'<svg {size} {box} role="img" aria-label="{label}">{"".join(parts)}</svg>'


_thin = ' stroke-width="1" vector-effect="non-scaling-stroke"'


class Paper(NamedTuple):
    """How a file of its own looks: `theme`, one of `THEMES`; `font`, a family or several; `width` with its unit."""

    theme: str = "auto"
    font: str = ""
    width: str = ""


THEMES = ("auto", "light", "dark")  # auto: as the reader's system is


def alone(found: Picture, paper: Paper = Paper()) -> str:  # noqa: B008 (immutable)
    """A picture as a file of its own, on paper of its own."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_svg(found, paper)}\n'


def embedded(found: Picture) -> str:
    """A picture on its own paper as an image in HTML, for pages that take no SVG."""
    data = b64encode(alone(found).encode()).decode()
    return (
        f'<img alt="{escape(found.title or "picture")}" style="max-width:100%" src="data:image/svg+xml;base64,{data}">'
    )


def picture(found: Picture) -> str:
    """A picture that stands in a page, in the colours of its text."""
    return _svg(found, None)


def _svg(found: Picture, paper: Paper | None) -> str:
    """Areas, lines, boxes, texts, in this order."""
    parts = [f"<title>{escape(found.title)}</title>"] if found.title else []
    parts += [f"<desc>{escape(found.description)}</desc>"] if found.description else []
    used = {b.role for b in found.boxes} | {n.role for n in found.lines}
    used |= {a.role for a in (*found.areas, *found.marks)}
    parts.append(f"<style>{_styles(paper, used)}</style>")
    if paper is not None:
        parts.append(f'<rect class="paper" width="100%" height="100%" fill="{PAPER[0]}"/>')
    if any(line.arrow for line in found.lines):
        parts.append(
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
        )
    if found.image is not None:
        parts.append(_image(found.image))
    for area in found.areas:
        how = f"{AREAS.get(area.role, AREAS[''])}{_role(area.role, 'area')}"
        if area.role in FILLS and not (found.image is not None and area.role == "map"):
            how = (
                f' fill="{FILLS[area.role][0]}" stroke="currentColor" stroke-width="0.5"{_role(area.role, "area box")}'
            )
        parts.append(f'<polygon points="{_points(area.points)}"{how}>{_title(area.title)}</polygon>')
    for line in found.lines:
        end = ' marker-end="url(#arrow)"' if line.arrow else ""
        joins = f' data-joins="{line.joins[0]} {line.joins[1]}"' if line.joins else ""
        how = f' fill="none"{LINES.get(line.role, _INK)}{end}{_role(line.role, "line")}{joins}'
        parts.append(f'<polyline points="{_points(line.points)}"{how}>{_title(line.title)}</polyline>')
    for box in found.boxes:
        place = f'x="{_number(box.x)}" y="{_number(box.y)}"'
        size = f'width="{_number(box.width)}" height="{_number(box.height)}"'
        role = box.role if box.role in FILLS else "other"
        how = f'rx="3" fill="{FILLS[role][0]}" stroke="currentColor"{_role(role, "box")}'
        nodes = f' data-nodes="{"&#10;".join(map(escape, box.nodes))}"' if box.nodes else ""
        if box.sides:
            how = how.replace('rx="3"', 'stroke-width="0.7"')
            nodes += f' data-deep="{_number(box.deep[0])} {_number(box.deep[1])}"'
            body = f'fill="{FILLS[role][0]}" stroke="currentColor" stroke-width="0.7"'
            for side, name in zip(box.sides, ("lid", "side"), strict=True):
                parts.append(f'<path d="M{_points(side)}z" {body}{_role(role, f"box {name}")}/>')
        parts.append(f"<rect {place} {size} {how}{nodes}>{_title(box.title)}</rect>")
        if box.label:
            parts.append(_text(box.x + box.width / 2, box.y + box.height / 2, box.label, "middle", box.role, True))
    parts += [_text(t.x, t.y, t.text, t.anchor, t.role, False, t.turned) for t in found.texts]
    for area in found.marks:
        how = f' fill="{MARK[0]}" fill-opacity="0.55" stroke="{MARK[0]}"{_role(area.role, "over")}'
        parts.append(f'<path d="M{_points(area.points)}z"{how}>{_title(area.title)}</path>')
    box_ = f'viewBox="0 0 {_number(found.width)} {_number(found.height)}"'
    wide, high = _number(found.width), _number(found.height)
    if paper is not None and paper.width:
        number, unit = measure(paper.width)
        wide, high = f"{number:g}{unit}", f"{number * found.height / found.width:.4g}{unit}"
    size = f'width="{wide}" height="{high}"'
    color = f' color="{INK[0]}"' if paper is not None else ""
    font = f"{paper.font}, {FONT}" if paper is not None and paper.font else FONT
    how = f'class="picture{" alone" if paper is not None else ""}" font-family="{escape(font)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box_} role="img" {how}{color}>{"".join(parts)}</svg>'


FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def measure(text: str) -> tuple[float, str]:
    """A length on paper and its unit.

    Raises:
        RfcalcError: it is none.

    >>> measure("84mm"), measure("3.5 in")
    ((84.0, 'mm'), (3.5, 'in'))
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(mm|cm|in|pt|px)", text.strip())
    if found is None or not float(found[1]):
        raise RfcalcError(f"{text!r} is not a width", fix="write a number and its unit, mm, cm, in, pt or px: 84mm")
    return float(found[1]), found[2]


def _styles(paper: Paper | None, used: set[str]) -> str:
    """The weights of texts, and the dark colours of the roles that are used, for whom they are."""
    boxes = "".join(
        f".picture .box.{role}{{fill:{dark}}}" for role, (_, dark) in FILLS.items() if role in used or role == "other"
    )
    alone = f".alone{{color:{INK[1]}}}.alone .paper{{fill:{PAPER[1]}}}" if paper is not None else ""
    weights = ".picture .strong{font-weight:bold}"
    soft = f".picture .soft{{fill:{SOFT[0]}}}", f".picture .soft{{fill:{SOFT[1]}}}"
    weights += ".picture .lid{filter:brightness(1.06)}.picture .side{filter:brightness(.92)}"
    weights += ".picture .skip{stroke-dasharray:none;opacity:.75}"
    for roles, (_, dark) in (
        ({"mark", "seen", "peak"}, MARK),
        ({"contour", "contour-outer"}, CONTOUR),
        ({"casing"}, PAPER),
    ):
        filled = f";fill:{dark}" if roles & {"mark"} else ""
        boxes += "".join(
            f".picture .{role}{{stroke:{dark}{filled if role in ('mark', 'seen') else ''}}}"
            for role in sorted(roles & used)
        )
    theme = "auto" if paper is None else paper.theme
    dark = f"{alone}{soft[1]}{boxes}"
    dark = {"auto": f"@media (prefers-color-scheme:dark){{{dark}}}", "light": "", "dark": dark}[theme]
    return f"{weights}{soft[0]}{dark}"


def _image(found: Image) -> str:
    place = f'x="{_number(found.x)}" y="{_number(found.y)}"'
    size = f'width="{_number(found.width)}" height="{_number(found.height)}"'
    data = b64encode(found.data).decode()
    return f'<image {place} {size} preserveAspectRatio="xMidYMid slice" href="data:image/{found.kind};base64,{data}"/>'


def _points(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _role(role: str, kind: str) -> str:
    return f' class="{escape(f"{kind} {role}".strip())}"'


def _title(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""


def _text(x: float, y: float, text: str, anchor: str, role: str, central: bool, turned: bool = False) -> str:
    how = ' dominant-baseline="central"' if central else ""
    how += f' transform="rotate(-90 {_number(x)} {_number(y)})"' if turned else ""
    return (
        f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}" fill="currentColor" font-size="12"{how}'
        f"{_role(role, 'text')}>{escape(text)}</text>"
    )
