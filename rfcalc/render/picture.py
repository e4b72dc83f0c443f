"""A small picture of a region on its input, in text: what a unit sees, what is clipped away, what is a hole."""

from __future__ import annotations

from rfcalc.core.size import is_number
from rfcalc.receptive.region import Region
from rfcalc.report.field_report import FieldReport

MARKS = {"seen": "█", "some": "▒", "clipped": "░", "none": "·"}
ASCII_MARKS = {"seen": "#", "some": "+", "clipped": "-", "none": "."}


def draw(sight: FieldReport, unit: tuple[int, ...], width: int = 56, ascii_only: bool = False) -> str:
    """The input as a grid of cells, the unit's region on it; the padded part that is clipped away is marked too.

    Three and more axes show the last two, through the middle of the region. Empty where there is nothing to draw.
    """
    extents = sight.source_shape
    if not extents or not all(is_number(n) for n in extents):
        return ""
    region = sight.unit(unit)
    marks = ASCII_MARKS if ascii_only else MARKS
    interval = sight.interval(unit)
    shown = _slice(region, len(extents))
    frame = [_frame(int(n), e) for n, e in zip(extents, interval, strict=True)]
    lines = _rows(shown, frame[-2:], [int(n) for n in extents[-2:]], interval[-2:], width, marks)
    told = f"{marks['seen']} seen  {marks['none']} not seen"
    if any(e is not None and (e[0] < 0 or e[1] >= n) for e, n in zip(interval, extents, strict=True)):
        told += f"  {marks['clipped']} padding, clipped"
    if any(marks["some"] in line for line in lines):
        told += f"  {marks['some']} in part"
    return "\n".join([*lines, told])


def _frame(extent: int, interval: tuple[int, int] | None) -> tuple[int, int]:
    """First and last position that is drawn: the map, and the padding that the unit sees."""
    if interval is None:
        return 0, extent - 1
    return min(0, int(interval[0])), max(extent - 1, int(interval[1]))


def _slice(region: Region, rank: int) -> list[tuple[int, ...]]:
    """The boxes on the last two axes, through the middle of the region on the others."""
    if rank <= 2:
        return list(region.boxes)
    hull = region.hull
    middle = [(a + b) // 2 for a, b in hull[:-2]] if hull else []
    inside = [b for b in region.boxes if all(m >> p & 1 for m, p in zip(b[:-2], middle, strict=True))]
    return [b[-2:] for b in inside]


def _rows(
    boxes: list[tuple[int, ...]],
    frame: list[tuple[int, int]],
    extents: list[int],
    interval: tuple[tuple[int, int] | None, ...],
    width: int,
    marks: dict[str, str],
) -> list[str]:
    columns = frame[-1][1] - frame[-1][0] + 1
    across = max(1, -(-columns // width))
    down = across * 2 if across > 1 else 1
    horizontal = [
        (frame[-1][0] + c * across, min(frame[-1][0] + (c + 1) * across - 1, frame[-1][1]))
        for c in range(-(-columns // across))
    ]
    if len(extents) == 1:
        cells = [_cell([b[0] for b in boxes], span, extents[0], interval[0], marks) for span in horizontal]
        return ["".join(cells)]
    height = frame[0][1] - frame[0][0] + 1
    rows = []
    for r in range(-(-height // down)):
        first, last = frame[0][0] + r * down, min(frame[0][0] + (r + 1) * down - 1, frame[0][1])
        window = _span(first, last, extents[0])
        here = [b[1] for b in boxes if b[0] & window]
        whole = all((b[0] & window) == window for b in boxes if b[0] & window)
        inside = interval[0] is None or not (last < interval[0][0] or first > interval[0][1])
        out = last < 0 or first >= extents[0]
        row = ""
        for span in horizontal:
            cell = _cell(here, span, extents[1], interval[1], marks)
            if out:
                across_out = _touches(interval[1], span)
                cell = marks["clipped"] if inside and across_out else " "
            elif not inside and cell == marks["clipped"]:
                cell = " "
            elif cell == marks["seen"] and not whole:
                cell = marks["some"]
            row += cell
        rows.append(row.rstrip())
    return rows


def _touches(interval: tuple[int, int] | None, span: tuple[int, int]) -> bool:
    return interval is not None and not (span[1] < interval[0] or span[0] > interval[1])


def _span(first: int, last: int, extent: int) -> int:
    """The positions first … last that exist, as a set."""
    low, high = max(0, first), min(extent - 1, last)
    return ((1 << (high - low + 1)) - 1) << low if high >= low else 0


def _cell(
    masks: list[int], span: tuple[int, int], extent: int, interval: tuple[int, int] | None, marks: dict[str, str]
) -> str:
    window = _span(*span, extent)
    if not window:
        return marks["clipped"] if _touches(interval, span) else " "
    union = 0
    for mask in masks:
        union |= mask
    hit = union & window
    return marks["none"] if not hit else marks["seen"] if hit == window else marks["some"]
