"""A comparison as records: a line for each figure, and for each layer and its figures; every value exact."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from rfcalc.comparison.comparison import Comparison, number

HEAD = (
    *("part", "network", "name", "other_name", "notation", "other_notation", "status", "differs"),
    *("figure", "first", "other", "difference", "ratio", "percent"),
)


def records(found: Comparison) -> Iterator[tuple[Any, ...]]:
    """The lines under `HEAD`: totals first, then layers. `ratio` is first / other, `percent` of the first."""
    others = found.subjects[1:]
    for figure in found.figures:
        for i, other in enumerate(others):
            against = figure.against[i]
            exact = [_text(against.difference), _ratio(against.ratio), _percent(against.change)]
            values = [_text(figure.values[0]), _text(figure.values[i + 1])]
            yield ("total", other.name, *([None] * 6), figure.name, *values, *exact)
    for i, other in enumerate(others):
        for m in found.matched[i]:
            pair = (m.first, m.other)
            about = (*[s and s.name for s in pair], *[s and s.words for s in pair], m.status, m.told or None)
            for name in ("weights", "params", "macs"):
                a, b = m.figures(name)
                both = a is not None and b is not None
                yield (
                    *("layer", other.name, *about, name, _text(a), _text(b)),
                    *(_text(b - a) if both else None, None, None),  # type: ignore[operator]
                )


def _text(value: Any) -> Any:
    if isinstance(value, tuple):
        return "x".join("" if v is None else str(v) for v in value)
    return number(value)


def _ratio(value: Any) -> str | None:
    return None if value is None else str(value)


def _percent(value: Any) -> float | None:
    return float(value) if isinstance(value, Fraction) else None
