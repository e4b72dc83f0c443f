"""Charts as bars: a row a layer or stage, one or more columns of bars, the figure at the end of each bar."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from rfcalc.drawing.letters import HEIGHT, cut, width
from rfcalc.report.document import Box, Cell, Column, Label, Picture, Sentences, Stroke, Table, TableLine

EDGE = 20  # around everything
ROW = 20
BAR = 12
LONG = 300  # the longest bar


class Bar(NamedTuple):
    """A figure: its value (None where there is none to draw), its text, the role of its bar, a sentence; `least`: where
    the value is the largest of several, the smallest, from which on the bar is a band."""

    value: int | None
    text: str
    role: str = ""
    told: str = ""
    least: int | None = None


class Panel(NamedTuple):
    """A column of bars with one scale; `mark`: a value that is drawn as a line over all rows, and its text."""

    title: str
    bars: tuple[Bar, ...]
    mark: tuple[int, str] | None = None


def _scale(panel: Panel) -> int:
    """The value of the longest bar."""
    return max([bar.value for bar in panel.bars if bar.value] + [panel.mark[0] if panel.mark else 0, 1])


def chart(names: Sequence[str], panels: Sequence[Panel], title: str, about: Sequence[str], description: str) -> Picture:
    """The bars of all panels beside the names of their rows.

    >>> found = chart(["a", "b"], [Panel("n", (Bar(3, "3"), Bar(6, "6")))], "two", (), "")
    >>> [(box.width, label.text) for box, label in zip(found.boxes, found.texts[-2:])]
    [(150.0, '3'), (300.0, '6')]
    """
    names = [cut(name, 40) for name in names]
    texts = [Label(EDGE, EDGE + HEIGHT - 3, title, "strong")]
    texts += [Label(EDGE, EDGE + 12 + 18 * (i + 1), line, "soft") for i, line in enumerate(about)]
    head = EDGE + 18 * (1 + len(about)) + HEIGHT + 8
    top = head + (28 if any(panel.mark for panel in panels) else 10)
    texts += [Label(EDGE, top + ROW * i + BAR - 1, name) for i, name in enumerate(names)]
    boxes, lines = [], []
    x = EDGE + ceil(max(map(width, names), default=0)) + 14
    for panel in panels:
        most = _scale(panel)
        texts.append(Label(x, head, panel.title, "strong"))
        at = None
        if panel.mark is not None:
            at = round(x + LONG * panel.mark[0] / most, 2)
            lines.append(Stroke(((at, top - 6), (at, top + ROW * len(names))), "mark", False, panel.mark[1]))
            texts.append(Label(min(at, x + LONG), top - 9, panel.mark[1], "soft", "middle"))
        for i, bar in enumerate(panel.bars):
            long = round(LONG * bar.value / most, 2) if bar.value else 0.0
            if bar.value:
                low = long if bar.least is None else round(LONG * bar.least / most, 2)
                if low or bar.least is None:
                    boxes.append(Box(x, top + ROW * i, max(low, 0.5), BAR, bar.role, "", bar.told))
                if low < long:
                    boxes.append(Box(x + low, top + ROW * i, round(long - low, 2), BAR, "band", "", bar.told))
            if bar.text:
                start = x + long + 5
                if at is not None and start - 3 < at < start + width(bar.text) + 3:
                    start = at + 4  # beside the line of the mark
                texts.append(Label(start, top + ROW * i + BAR - 1, bar.text))
        x += LONG + 5 + ceil(max([width(bar.text) for bar in panel.bars] + [width(panel.title) - LONG, 0.0])) + 30
    half = max((width(panel.mark[1]) / 2 for panel in panels if panel.mark), default=0.0)
    wide = max([x - 30.0, x - 60.0 + half, *(EDGE + width(text) * 1.1 for text in (title, *about))])
    scales = [_scale(panel) for panel in panels]
    rows = []
    for i, name in enumerate(names):
        bars = [panel.bars[i] for panel in panels]
        shares = [1000 * (bar.value or 0) // most for bar, most in zip(bars, scales, strict=True)]
        cells = [Cell(bar.text or "–", bar.value, share) for bar, share in zip(bars, shares, strict=True)]
        rows.append(TableLine((Cell(name), *cells)))
    columns = (Column("", "name", least=16), *(Column(p.title, right=True) for p in panels))
    told = (*(f"line: {p.mark[1]}" for p in panels if p.mark), *about)
    letters = (Table(columns, tuple(rows)), Sentences(told, listed=False))
    high = top + ROW * len(names) + EDGE
    return Picture(wide + EDGE, high, (), tuple(lines), tuple(boxes), tuple(texts), title, description, letters)
