"""Maps as bodies to scale, from left to right, in one row or in several: what ``blocks`` and ``unet`` share.

1. Height and depth of a body are those of the map, on one scale; its length is that of its channels, on another scale
   (their square root, as four channels and four thousand stand in one picture). Nothing is thinner than `LEAST`.
2. Each body has a column of its own, and its texts stand under it, in its column.
3. A link to the next body of a row goes straight; any other goes through the gaps between columns and the lanes over
   the rows, so that none meets a body or a text that it does not join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from math import ceil, prod, sqrt
from typing import TYPE_CHECKING, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import is_number
from rfcalc.drawing.letters import HEIGHT, cut, width
from rfcalc.drawing.options import Options
from rfcalc.drawing.parts import DrawnPart, DrawnParts, parts
from rfcalc.drawing.stages import described, heading, letters
from rfcalc.report.document import Area, Box, Label, Picture, Stroke

if TYPE_CHECKING:
    from rfcalc.report import Report

EDGE = 20  # around everything
TALL = 150.0  # the tallest map
SLANT = 0.28  # of a map's width: how far it reaches to the right and upwards
THICK = 64.0  # the longest row of channels
LEAST = 2.0
BETWEEN = 14.0  # two columns
LINE = 14.0  # of text under a body, which reads upwards
LANE = 7.0  # between two lines over a row
ABOUT = "height and depth of a body: its map, to scale; its length: its channels, by their square root"


class Body(NamedTuple):
    """The measures of a part on paper: length by channels, height, how far it reaches behind."""

    long: float
    high: float
    back: float


def fitting(report: Report, options: Options, most: int) -> DrawnParts:
    """The parts at the depth that was asked for, else at the greatest at which there are at most so many."""
    found = parts(report, options, ())
    if options.depth is not None or len(found.parts) <= most:
        return found
    levels = max(row.name.count(".") for row in report) + 1
    for depth in range(levels, 0, -1):
        fewer = parts(report, Options(depth, options.metrics, options.highlight), ())
        if len(fewer.parts) <= most or depth == 1:
            break
    if len(fewer.parts) == len(found.parts):
        return found
    return fewer._replace(about=(*fewer.about, f"drawn at depth {depth}: a block is one body; --depth draws more"))


def draw(report: Report, found: DrawnParts, row_of: Callable[[DrawnPart], int]) -> Picture:
    """The picture: each part in the row that it is given, in the network's order from left to right.

    Raises:
        RfcalcError: sizes that are symbols, which have no scale.
    """
    maps = [_map(report, part) for part in found.parts]
    bodies = _bodies(maps)
    texts = [_texts(part) for part in found.parts]
    rows = [row_of(part) for part in found.parts]
    title, about = heading(report, found)
    about = tuple("×n: n copies, one after another" if line.startswith("×n") else line for line in (*about, ABOUT))
    columns, right = _columns(bodies, texts)
    routes = [*_routes(found.links, rows)]
    lanes = _lanes(routes)
    count = max(rows) + 1
    high = [max(b.high + b.back for b, r in zip(bodies, rows, strict=True) if r == i) for i in range(count)]
    under = [
        max(max(map(width, t)) * 1.1 for t, r in zip(texts, rows, strict=True) if r == i) + 8 for i in range(count)
    ]
    above = [
        LANE * (1 + max((lane for (_, r, _), lane in lanes.items() if r == i), default=-1)) + 8 for i in range(count)
    ]
    top, middles, ceilings = EDGE + 18.0 * (1 + len(about)) + 12, [], []
    for i in range(count):
        ceilings.append(top + above[i] - 4)
        middles.append(top + above[i] + high[i] / 2)
        top += above[i] + high[i] + under[i] + 8
    boxes, labels, marks = [], [], []
    ports = []  # left end, right end, top, middle
    for part, body, text, row, x, size in zip(found.parts, bodies, texts, rows, columns, maps, strict=True):
        wide = body.long + body.back
        left = round(x + (max(wide, LINE * len(text)) - wide) / 2, 2)
        upper = round(middles[row] - (body.high + body.back) / 2, 2)
        box = Box(
            left,
            upper + body.back,
            body.long,
            body.high,
            part.family,
            "",
            part.told,
            part.nodes,
            (body.back, body.back),
        )
        boxes.append(_rounded(box))
        ports.append((left, left + body.long + body.back / 2, left + (body.long + body.back) / 2, upper, middles[row]))
        below = middles[row] + high[row] / 2 + 6
        start = x + (max(wide, LINE * len(text)) - LINE * len(text)) / 2 + 11
        labels += [
            Label(round(start + LINE * i, 2), round(below, 2), t, "" if i else "strong", "end", True)
            for i, t in enumerate(text)
        ]
        if part.seen:
            marks.append(_mark(boxes[-1], part, size.spatial))
    lines = []
    for (a, b), kind in zip(found.links, routes, strict=True):
        one, two = ports[a], ports[b]
        told = f"{found.parts[a].name} → {found.parts[b].name}: {found.parts[a].output}"
        if kind is None:
            points = [(one[1], one[4]), (two[0], two[4])]
        else:
            y = ceilings[rows[b]] - LANE * lanes[kind]
            gap = columns[a + 1] - BETWEEN / 2 if a + 1 < len(columns) else right
            if rows[a] == rows[b]:
                points = [(one[2], one[3]), (one[2], y), (two[2], y), (two[2], two[3])]
            elif b == a + 1:
                points = [(one[1], one[4]), (gap, one[4]), (gap, two[4]), (two[0], two[4])]
            else:
                points = [(one[1], one[4]), (gap, one[4]), (gap, y), (two[2], y), (two[2], two[3])]
        role = "link" if b == a + 1 else "skip"
        lines.append(Stroke(tuple((round(x, 2), round(y, 2)) for x, y in points), role, True, told, (a, b)))
    wide = max(right, *(EDGE + width(text) * 1.1 for text in (title, *about)))
    heads = [Label(EDGE, EDGE + HEIGHT - 3, title, "strong")]
    heads += [Label(EDGE, EDGE + 12 + 18 * (i + 1), line, "soft") for i, line in enumerate(about)]
    return Picture(
        wide + EDGE, top + EDGE - 8, (), tuple(lines), tuple(boxes), (*heads, *labels), title, described(report, found),
        letters(found, about), tuple(marks),
    )  # fmt: skip


class _Size(NamedTuple):
    channels: int
    spatial: tuple[int, ...]


def _map(report: Report, part: DrawnPart) -> _Size:
    """The map of a part: its channels, and the sizes of its axes."""
    name = part.nodes[-1]
    shape = report.inputs[name] if name in report.inputs else report[name].shape
    if not all(is_number(n) for n in shape.dims):
        raise RfcalcError("bodies to scale need sizes in numbers", why=f"there is a map of {shape}", fix="give --input")
    spatial = tuple(int(n) for n in shape.spatial)
    return _Size(max(1, int(shape.values) // max(1, prod(spatial))), spatial)


def _bodies(maps: Sequence[_Size]) -> list[Body]:
    scale = TALL / max((n for size in maps for n in size.spatial), default=1)
    thick = min(1.5, THICK / sqrt(max(size.channels for size in maps)))

    def body(size: _Size) -> Body:
        high = max(LEAST, scale * (size.spatial[-2:] or (1,))[0])
        back = SLANT * scale * size.spatial[-1] if len(size.spatial) > 1 else 0.0
        return Body(round(max(LEAST, thick * sqrt(size.channels)), 2), round(high, 2), round(back, 2))

    return [body(size) for size in maps]


def _texts(part: DrawnPart) -> list[str]:
    """The lines under a body: its name, its map, its figures."""
    return [cut(part.name, 24) + part.copies, part.output, *(text for text in part.figures if text)]


def _columns(bodies: Sequence[Body], texts: Sequence[Sequence[str]]) -> tuple[list[float], float]:
    """The left end of each column, and the right end of the last one."""
    columns, x = [], float(EDGE)
    for body, text in zip(bodies, texts, strict=True):
        columns.append(x)
        x += max(body.long + body.back, LINE * len(text)) + BETWEEN
    return columns, ceil(x - BETWEEN) + 2.0


_Route = tuple[int, int, int]  # from which column, over which row, to which column


def _routes(links: Sequence[tuple[int, int]], rows: Sequence[int]) -> Iterator[_Route | None]:
    """For each link the lane that it takes, or None where it goes straight; one lane for all readers of a map."""
    last: dict[tuple[int, int], int] = {}
    ways = []
    for a, b in links:
        straight = rows[a] == rows[b] and not any(row == rows[a] for row in rows[a + 1 : b])
        ways.append(None if straight else (a, rows[b]))
        if not straight and (rows[a] == rows[b] or b != a + 1):
            last[a, rows[b]] = max(b, last.get((a, rows[b]), 0))
    for way in ways:
        yield None if way is None else (*way, last.get(way, way[0]))


def _lanes(routes: Sequence[_Route | None]) -> dict[_Route, int]:
    """Lanes over each row: two routes share one where they do not overlap; in O(n log n)."""
    lanes: dict[_Route, int] = {}
    by_row: dict[int, list[_Route]] = {}
    for route in dict.fromkeys(r for r in routes if r is not None):
        by_row.setdefault(route[1], []).append(route)
    for own in by_row.values():
        free: list[int] = []
        busy: list[tuple[int, int]] = []
        count = 0
        for route in sorted(own):
            while busy and busy[0][0] < route[0]:
                heappush(free, heappop(busy)[1])
            if free:
                lane = heappop(free)
            else:
                lane, count = count, count + 1
            lanes[route] = lane
            heappush(busy, (route[2], lane))
    return lanes


def _rounded(box: Box) -> Box:
    return box._replace(x=round(box.x, 2), y=round(box.y, 2))


def _mark(box: Box, part: DrawnPart, spatial: tuple[int, ...]) -> Area:
    """What is seen of a map, on the right side of its body: rows from above, columns to the back."""
    assert part.seen is not None
    (top, bottom), n = part.seen[-2:][0], spatial[-2:][0]
    (near, far), m = (part.seen[-1], spatial[-1]) if len(spatial) > 1 else ((0, 0), 1)
    end = box.x + box.width

    def at(row: float, column: float) -> tuple[float, float]:
        return round(end + box.deep[0] * column / m, 2), round(
            box.y + box.height * row / n - box.deep[1] * column / m, 2
        )

    told = f"{part.name}: seen {', '.join(f'{a} … {b}' for a, b in part.seen)}"
    if not box.deep[0]:  # a signal: on its front
        (x, y), (_, low) = (box.x, at(top, 0)[1]), at(bottom + 1, 0)
        return Area(((x, y), (end, y), (end, low), (x, low)), "mark", told)
    return Area((at(top, near), at(top, far + 1), at(bottom + 1, far + 1), at(bottom + 1, near)), "mark", told)
