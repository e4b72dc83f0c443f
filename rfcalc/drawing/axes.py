"""Scales of charts: round marks on an axis, from 0 or by powers of ten, and the lines of a title."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, log10
from typing import NamedTuple

from rfcalc.drawing.letters import HEIGHT, width
from rfcalc.report.document import Label

EDGE = 20.0  # around everything


class ChartScale(NamedTuple):
    """A scale: where a value lies, from 0 to 1, and the values that are marked."""

    place: Callable[[float], float]
    marks: tuple[float, ...]


def linear(most: float, count: int = 5) -> ChartScale:
    """From 0 to a round number that is `most` or more.

    >>> linear(230).marks
    (0, 50, 100, 150, 200, 250)
    """
    rough = max(most, 1e-12) / count
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * n for n in (1, 2, 2.5, 5, 10) if unit * n >= rough * 0.999)
    steps = ceil(most / step - 1e-9)
    values = [step * i for i in range(steps + 1)]
    end = values[-1] or 1.0
    return ChartScale(lambda v: v / end, tuple(int(v) if v == int(v) else v for v in values))


def powers(values: Sequence[float]) -> ChartScale:
    """Logarithmic, with marks at 1, 2 and 5 times powers of ten, over all of these positive values.

    >>> powers([3, 40]).marks
    (2, 5, 10, 20, 50)
    """
    low, high = min(values), max(values)
    found = [n * 10**e for e in range(floor(log10(low)) - 1, ceil(log10(high)) + 2) for n in (1, 2, 5)]
    first = max([v for v in found if v <= low * 0.95])
    last = min(v for v in found if v >= high * 1.05)
    marks = tuple(v for v in found if first <= v <= last)
    if len(marks) > 8:
        marks = tuple(v for v in marks if str(float(v)).strip("0.")[:1] == "1") or marks
    span = log10(last) - log10(first)
    return ChartScale(lambda v: (log10(v) - log10(first)) / span, marks)


def title_lines(title: str, about: Sequence[str]) -> tuple[list[Label], float, float]:
    """The title and the lines under it, how wide they are, and where they end."""
    texts = [Label(EDGE, EDGE + HEIGHT - 3, title, "strong")]
    texts += [Label(EDGE, EDGE + 12 + 18 * (i + 1), line, "soft") for i, line in enumerate(about)]
    wide = max(width(text) * 1.1 for text in (title, *about))
    return texts, EDGE + wide, EDGE + 18 * (1 + len(about)) + 8
