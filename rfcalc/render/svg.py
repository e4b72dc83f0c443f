"""Pictures and grids as SVG, inside HTML or alone; their colours are classes (see `html`), which hosts can set."""

from __future__ import annotations

from html import escape as _escape
from math import prod

from rfcalc.core.errors import printable
from rfcalc.report.document import Grid, Picture

# The role of a box → its colour, light and dark; texts on it have a contrast of 4.5 : 1 at least. Families are
# also told apart by their words, so that nothing hangs on the colour alone.
FILLS = {
    "conv": ("#d6e6f5", "#1f3b57"),
    "transpose": ("#cdeff2", "#12464c"),
    "resample": ("#cdeff2", "#12464c"),
    "pool": ("#fbe3c0", "#573c12"),
    "dense": ("#e6dcf0", "#43305a"),
    "recurrent": ("#f3f0b8", "#4a4715"),
    "attention": ("#f7d9e6", "#572b40"),
    "merge": ("#d5efe2", "#17463a"),
    "input": ("#ffffff", "#16181c"),
    "unknown": ("#ffd9d2", "#5c1f17"),
    "unseen": ("#ffd9d2", "#5c1f17"),
    "other": ("#ececec", "#33363b"),
}
INK = ("#1a1a1a", "#e8e8e8")
PAPER = ("#ffffff", "#16181c")
SOFT = ("#555555", "#b0b0b0")
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


def alone(found: Picture) -> str:
    """A picture as a file of its own, on paper of its own, light or dark as the reader's system is."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_svg(found, True)}\n'


def picture(found: Picture) -> str:
    """A picture that stands in a page, in the colours of its text."""
    return _svg(found, False)


def _svg(found: Picture, paper: bool) -> str:
    """Areas, lines, boxes, texts, in this order."""
    parts = [f"<title>{escape(found.title)}</title>"] if found.title else []
    parts += [f"<desc>{escape(found.description)}</desc>"] if found.description else []
    parts.append(f"<style>{_dark(paper, {box.role for box in found.boxes})}</style>")
    if paper:
        parts.append(f'<rect class="paper" width="100%" height="100%" fill="{PAPER[0]}"/>')
    if any(line.arrow for line in found.lines):
        parts.append(
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
        )
    for area in found.areas:
        how = f' fill="none" stroke="currentColor" stroke-dasharray="4 3"{_role(area.role, "area")}'
        parts.append(f'<polygon points="{_points(area.points)}"{how}>{_title(area.title)}</polygon>')
    for line in found.lines:
        end = ' marker-end="url(#arrow)"' if line.arrow else ""
        joins = f' data-joins="{line.joins[0]} {line.joins[1]}"' if line.joins else ""
        how = f' fill="none" stroke="currentColor"{end}{_role(line.role, "line")}{joins}'
        parts.append(f'<polyline points="{_points(line.points)}"{how}>{_title(line.title)}</polyline>')
    for box in found.boxes:
        place = f'x="{_number(box.x)}" y="{_number(box.y)}"'
        size = f'width="{_number(box.width)}" height="{_number(box.height)}"'
        role = box.role if box.role in FILLS else "other"
        how = f'rx="3" fill="{FILLS[role][0]}" stroke="currentColor"{_role(role, "box")}'
        nodes = f' data-nodes="{"&#10;".join(map(escape, box.nodes))}"' if box.nodes else ""
        parts.append(f"<rect {place} {size} {how}{nodes}>{_title(box.title)}</rect>")
        if box.label:
            parts.append(_text(box.x + box.width / 2, box.y + box.height / 2, box.label, "middle", box.role, True))
    parts += [_text(t.x, t.y, t.text, t.anchor, t.role, False) for t in found.texts]
    box_ = f'viewBox="0 0 {_number(found.width)} {_number(found.height)}"'
    size = f'width="{_number(found.width)}" height="{_number(found.height)}"'
    color = f' color="{INK[0]}"' if paper else ""
    font = f'class="picture{" alone" if paper else ""}" font-family="{FONT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box_} role="img" {font}{color}>{"".join(parts)}</svg>'


FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def _dark(paper: bool, used: set[str]) -> str:
    """The colours for readers whose system is dark, of the roles that are used."""
    boxes = "".join(
        f".picture .box.{role}{{fill:{dark}}}" for role, (_, dark) in FILLS.items() if role in used or role == "other"
    )
    alone = f".alone{{color:{INK[1]}}}.alone .paper{{fill:{PAPER[1]}}}" if paper else ""
    weights = ".picture .strong{font-weight:bold}"
    soft = f".picture .soft{{fill:{SOFT[0]}}}", f".picture .soft{{fill:{SOFT[1]}}}"
    return f"{weights}{soft[0]}@media (prefers-color-scheme:dark){{{alone}{soft[1]}{boxes}}}"


def _points(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _role(role: str, kind: str) -> str:
    return f' class="{escape(f"{kind} {role}".strip())}"'


def _title(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""


def _text(x: float, y: float, text: str, anchor: str, role: str, central: bool) -> str:
    how = ' dominant-baseline="central"' if central else ""
    return (
        f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}" fill="currentColor" font-size="12"{how}'
        f"{_role(role, 'text')}>{escape(text)}</text>"
    )
