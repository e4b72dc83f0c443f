"""The style ``graph``: what reads what, from the inputs down, with the shapes at the links."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

from rfcalc.drawing.layers import RowLayout, layout
from rfcalc.drawing.letters import HEIGHT, cut, width
from rfcalc.drawing.options import NONE, Options
from rfcalc.drawing.parts import DrawnPart, DrawnParts, parts
from rfcalc.drawing.stages import described, heading, letters
from rfcalc.report.document import Area, Box, Label, Picture, Stroke

if TYPE_CHECKING:
    from rfcalc.report import Report

EDGE = 20  # around everything
LINE = 15  # of text in a box
OUT = 18  # under a box: its output shape beside the link
TURN = 22  # where links go to the side
METRICS = ("receptive_field", "params")


def picture(report: Report, options: Options = NONE) -> Picture:
    """The graph of a report.

    Raises:
        RfcalcError: more boxes than a picture can show.

    >>> import rfcalc
    >>> found = picture(rfcalc.analyze("conv3-8 > (conv3-8 + series())"))
    >>> [(box.y, line.joins) for box, line in zip(found.boxes, found.lines)]
    [(66, (0, 1)), (160, (1, 2)), (254, (1, 3)), (348, (2, 3))]
    """
    found = parts(report, options, METRICS)
    rows = [_texts(part, found) for part in found.parts]
    tall = 9 + LINE * max(3, *map(len, rows))
    step = tall + OUT + TURN
    widths = [
        float(ceil(max(70, 2 * width(part.output) + 20, *(width(text) * 1.1 + 20 for text in texts))))
        for part, texts in zip(found.parts, rows, strict=True)
    ]
    places = layout(widths, found.links)
    title, about = heading(report, found)
    top = EDGE + 18 * (1 + len(about)) + 10
    boxes: dict[int, Box] = {}
    texts = [Label(EDGE, EDGE + HEIGHT - 3, title, "strong")]
    texts += [Label(EDGE, EDGE + 12 + 18 * (i + 1), text, "soft") for i, text in enumerate(about)]
    frames = list(_frames(found, places))
    left = EDGE + 4
    for row in places.rows:
        for slot in row:
            if slot.box is None:
                continue
            part, y = found.parts[slot.box], top + slot.row * step
            x = left + slot.x
            boxes[slot.box] = Box(
                round(x - slot.width / 2, 2), y, slot.width, tall, part.family, "", part.told, part.nodes
            )
            first = y + tall / 2 + 4 - 7.5 * (len(rows[slot.box]) - 1)
            texts += [
                Label(x, first + 15 * i, t, "" if i else "strong", "middle") for i, t in enumerate(rows[slot.box])
            ]
            texts.append(Label(x + 5, y + tall + 13, part.output, "soft"))
    lines = []
    for (a, b), slots in places.paths.items():
        points = []
        for upper, lower in pairwise(slots):
            y = top + upper.row * step
            points += [(left + upper.x, y + tall), (left + upper.x, y + tall + OUT), (left + lower.x, y + step)]
        told = f"{found.parts[a].name} → {found.parts[b].name}: {found.parts[a].output}"
        lines.append(Stroke(tuple(points), "link", True, told, (a, b)))
    areas = []
    for (x0, x1, y0, y1), told in frames:
        ends = left + x0 - 6, left + x1 + 6, top + y0 * step - 6, top + y1 * step + tall + OUT
        areas.append(
            Area(((ends[0], ends[2]), (ends[1], ends[2]), (ends[1], ends[3]), (ends[0], ends[3])), "frame", told)
        )
    right = max(left + slot.x + slot.width / 2 for row in places.rows for slot in row)
    wide = max(right + 8, *(EDGE + width(text) * 1.1 for text in (title, *about)))
    high = top + len(places.rows) * step - TURN
    return Picture(
        wide + EDGE,
        high + EDGE,
        tuple(areas),
        tuple(lines),
        tuple(boxes[i] for i in sorted(boxes)),
        tuple(texts),
        title,
        described(report, found),
        letters(found, about),
    )


def _texts(part: DrawnPart, found: DrawnParts) -> list[str]:
    """The lines in a box: its name and copies, its notation, its figures."""
    told = [
        f"{head} {text}" if head == "rf" else f"{text} {head}"
        for head, text in zip(found.heads, part.figures, strict=True)
        if text and text != "–"
    ]
    lines = [cut(part.name, 30) + part.copies, cut(part.notation, 32) if part.nodes != (part.notation,) else ""]
    lines += [", ".join(told[i : i + 2]) for i in range(0, len(told), 2)]
    lines += ["seen " + "x".join(str(b - a + 1) for a, b in part.seen)] if part.seen else []
    return [line for line in lines if line]


def _frames(found: DrawnParts, places: RowLayout) -> Iterator[tuple[tuple[float, float, int, int], str]]:
    """A frame around the boxes of a repetition where no others stand among them: left, right, first and last row."""
    slots = {slot.box: slot for row in places.rows for slot in row if slot.box is not None}
    for repetition in found.repetitions:
        own = [slots[i] for i in range(repetition.first, repetition.end)]
        left, right = min(s.x - s.width / 2 for s in own), max(s.x + s.width / 2 for s in own)
        first, last = min(s.row for s in own), max(s.row for s in own)
        inside = [
            slot
            for row in places.rows[first : last + 1]
            for slot in row
            if slot.box is not None and slot.x + slot.width / 2 > left - 12 and slot.x - slot.width / 2 < right + 12
        ]
        if len(inside) == len(own):
            yield (left, right, first, last), f"{repetition.times} copies, one after another"
