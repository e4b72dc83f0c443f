"""The style ``stages``: a box a row with its figures in columns, what skips rows as lines at the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import ceil

from rfcalc.core.errors import plural
from rfcalc.drawing.letters import HEIGHT, cut, width
from rfcalc.drawing.options import NONE, Options
from rfcalc.drawing.parts import DrawnPart, DrawnParts, parts
from rfcalc.report import Report
from rfcalc.report.document import Area, Box, Cell, Column, Label, Picture, Sentences, Stroke, Table, TableLine
from rfcalc.report.units import exact, short

EDGE = 16  # around everything
ROW = 24  # a box
GAP = 10  # between two boxes
HEADING = 24  # over the boxes of a stage
COLUMN = 18  # between two columns
LANE = 8  # between two lines at the side
HEADS = ("layer", "notation", "output")
LONGEST = (34, 44, 24)  # letters of a cell
FIGURE = 20  # letters of a figure


def picture(report: Report, options: Options = NONE) -> Picture:
    """The ladder of a report.

    Raises:
        RfcalcError: more boxes than a picture can show.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("conv3-8 > conv3-8 x3 > maxpool2"))
    >>> len(found.boxes), found.title
    (4, 'conv3-8 > conv3-8 x3 > maxpool2')
    """
    found = parts(report, options)
    heads = _heads(found)
    longest = (*LONGEST, *(FIGURE for _ in heads[len(LONGEST) :]))
    cells = [tuple(cut(text, most) for text, most in zip(_cells(p, found), longest, strict=True)) for p in found.parts]
    columns = [ceil(max(map(width, column))) for column in zip(heads, *cells, strict=True)]
    gutter = 8 + max((ceil(width(f"×{r.times}")) + 10 for r in found.repetitions), default=0)
    left = EDGE + gutter
    starts, x = [], left + 10
    for size in columns:
        starts.append(x)
        x += size + COLUMN
    right = x - COLUMN + 10
    tops, headings, bottom = _rows(found.parts)
    lanes, count = _lanes(found)
    title, about = heading(report, found)
    lines = list(_lines(found, tops, lanes, left, right))
    texts = [
        Label(EDGE, EDGE + HEIGHT, title, "strong"),
        *(Label(EDGE, EDGE + 18 * (i + 2), t, "soft") for i, t in enumerate(about)),
    ]
    shift = EDGE + 18 * (1 + len(about)) + 12
    texts += [
        _at(x, size, shift + HEIGHT, head, i, "soft")
        for i, (x, size, head) in enumerate(zip(starts, columns, heads, strict=True))
    ]
    shift += 22
    texts += [Label(left + 22, shift + y, name, "strong") for y, name in headings]
    boxes = []
    for part, row, top in zip(found.parts, cells, tops, strict=True):
        boxes.append(Box(left, shift + top, right - left, ROW, part.family, "", part.told, part.nodes))
        texts += [
            _at(x, size, shift + top + 16, text, i)
            for i, (x, size, text) in enumerate(zip(starts, columns, row, strict=True))
            if text
        ]
    areas = []
    for repetition in found.repetitions:
        top, end = shift + tops[repetition.first] - 4, shift + tops[repetition.end - 1] + ROW + 4
        corners = ((EDGE, top), (right + 4, top), (right + 4, end), (EDGE, end))
        areas.append(Area(corners, "frame", f"{repetition.times} copies, one after another"))
        texts.append(Label(EDGE + 5, (top + end) / 2 + 4, f"×{repetition.times}", "strong"))
    wide = (
        max([right + 4 + (12 + LANE * count if count else 0), *(EDGE + width(t) * 1.1 for t in (title, *about))]) + EDGE
    )
    moved = tuple(line._replace(points=tuple((x, shift + y) for x, y in line.points)) for line in lines)
    return Picture(
        wide,
        shift + bottom + EDGE,
        tuple(areas),
        moved,
        tuple(boxes),
        tuple(texts),
        title,
        described(report, found),
        letters(found, about),
    )


def _heads(found: DrawnParts) -> tuple[str, ...]:
    return (*HEADS, *found.heads, *(("seen",) if found.about else ()))


def _cells(part: DrawnPart, found: DrawnParts) -> tuple[str, ...]:
    seen = ("x".join(str(b - a + 1) for a, b in part.seen) if part.seen else "",) if found.about else ()
    return (part.name, part.notation, part.output, *part.figures, *seen)


def _at(x: float, size: float, y: float, text: str, column: int, role: str = "") -> Label:
    """The text of a cell: figures at the right of their column."""
    return Label(x + size, y, text, role, "end") if column > 1 else Label(x, y, text, role)


def heading_of(report: Report) -> tuple[str, tuple[str, ...]]:
    """The title over a picture, and the lines under it: the network's own title, its input, what it comes to."""
    least = "" if report.complete else "at least "
    inputs = ", ".join(f"{shape}" for shape in report.inputs.values())
    t = report.totals
    figures = f"{least}{exact(t.params)} parameters, {least}{short(t.macs)} multiply-adds"
    title = cut(report.network.name or report.target, 60)
    named = (cut(report.network.title, 90),) if report.network.title else ()
    return title, (*named, f"input {inputs}: {figures}")


def heading(report: Report, found: DrawnParts) -> tuple[str, tuple[str, ...]]:
    """The same with what is told of the boxes."""
    title, about = heading_of(report)
    copies = ("×n: n copies, one after another; params and macs of all, output and rf of the last",)
    return title, (*about, *found.about, *(copies if found.repetitions else ()))


def described(report: Report, found: DrawnParts) -> str:
    """The picture in words, for who cannot see it."""
    title, about = heading(report, found)
    skips = sum(b > a + 1 for a, b in found.links)
    boxes = f"{plural(len(found.parts), 'box', 'boxes')} for {plural(len(report), 'node')}"
    told = [f"{boxes}, from the input at the top to the output at the bottom"]
    told += [f"{skips} links skip boxes"] if skips > 1 else ["1 link skips boxes"] if skips else []
    told += [f"{len(found.repetitions)} repetitions are drawn once"] if len(found.repetitions) > 1 else []
    told += ["1 repetition is drawn once"] if len(found.repetitions) == 1 else []
    return ". ".join([title, *about, *told]) + "."


def _rows(found: Sequence[DrawnPart]) -> tuple[list[float], list[tuple[float, str]], float]:
    """The top of each box; where the names of stages stand; the lower end of the last box."""
    tops: list[float] = []
    headings: list[tuple[float, str]] = []
    y, stage = 0.0, ""
    for part in found:
        if part.stage != stage:
            stage = part.stage
            if stage:
                headings.append((y + 12, cut(stage, 60)))
                y += HEADING
        tops.append(y)
        y += ROW + GAP
    return tops, headings, y - GAP


def _lanes(found: DrawnParts) -> tuple[dict[int, int], int]:
    """A lane for each box that a later box than the next one reads, from its row to that of its last reader.

    Two boxes share a lane where one's last reader stands above the other; one pass over the rows, in O(n log n).
    """
    ends: dict[int, int] = {}
    for start, end in found.links:
        if end > start + 1:
            ends[start] = max(end, ends.get(start, 0))
    lanes: dict[int, int] = {}
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    count = 0
    for start in sorted(ends):
        while busy and busy[0][0] <= start:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            lane, count = count, count + 1
        lanes[start] = lane
        heappush(busy, (ends[start], lane))
    return lanes, count


def _lines(
    found: DrawnParts, tops: Sequence[float], lanes: dict[int, int], left: float, right: float
) -> Iterator[Stroke]:
    """A link to the next box goes straight down; one that skips boxes leaves low and arrives high, by its lane."""
    for a, b in found.links:
        title = f"{found.parts[a].name} → {found.parts[b].name}: {found.parts[a].output}"
        if b == a + 1:
            x = left + 12
            yield Stroke(((x, tops[a] + ROW), (x, tops[b])), "link", True, title, (a, b))
            continue
        lane = right + 12 + LANE * lanes[a]
        low, high = tops[a] + 0.75 * ROW, tops[b] + 0.3 * ROW
        yield Stroke(((right, low), (lane, low), (lane, high), (right, high)), "skip", True, title, (a, b))


def letters(found: DrawnParts, about: Sequence[str]) -> tuple[Table, Sentences]:
    """The ladder as a table, for formats without pictures: what a row reads is said where it is not the row above."""
    reads: dict[int, list[int]] = {}
    for a, b in found.links:
        reads.setdefault(b, []).append(a)
    rows = []
    for i, part in enumerate(found.parts):
        sources = reads.get(i, [])
        more = " …" if len(sources) > 4 else ""
        told = "" if sources in ([], [i - 1]) else ", ".join(found.parts[a].name for a in sources[:4]) + more
        name, *cells = _cells(part, found)
        rows.append((name, part.copies.strip(), *cells, told))
    longest = max((len(found.parts[a].name) for sources in reads.values() for a in sources), default=0)
    name, notation, *figures = _heads(found)
    columns = [
        Column(name, "name", least=16, most=60),
        Column("", "copies", right=True),
        Column(notation, "notation", least=12, most=60, spare=1),
        *(Column(head, right=True, spare=max(0, i - 1)) for i, head in enumerate(figures)),  # output and rf stay
        Column("reads", "inputs", least=min(longest + 1, 30), most=60, wraps=True),  # no name is broken
    ]
    used = [i for i, column in enumerate(columns) if column.title not in ("", "reads") or any(row[i] for row in rows)]
    lines = tuple(TableLine(tuple(Cell(row[i]) for i in used)) for row in rows)
    return Table(tuple(columns[i] for i in used), lines), Sentences(tuple(about), listed=False)
