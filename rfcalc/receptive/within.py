"""A window that no unit sees beyond, for axes whose units follow no common window (causal attention, joins of several
strides).

Causal attention over 8 positions: unit u sees 0 … u. No window says so, but none sees beyond −inf … u.
Loaded by `field` where there is such an axis.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from rfcalc.core.size import Size, decide, is_number
from rfcalc.core.window import Index, Listed, PeriodTooLong, Slide, Table, Window


def banded(index: Listed, extent: Size) -> tuple[Window | None, str]:
    """How far from its own position a unit reads, where as many come out as go in, and what sort of list it is.

    An end has no bound where the unit furthest away reads up to the end of the map.

    >>> banded(Listed([[0], [0, 1], [0, 1, 2]]), 3)
    (Window(1, [(-inf, 0)]), 'before')
    """
    n = len(index.units)
    told = [(u, taps[0], taps[-1]) for u, taps in enumerate(index.units) if taps]
    several = any(len(taps) > 1 for taps in index.units)
    if not told or decide(extent == n) is not True:
        return None, "listed" if several else "rearranged"
    before, after = max(u - first for u, first, _ in told), max(last - u for u, _, last in told)
    low, high = (-inf if before == n - 1 > 0 else -before), (inf if after == n - 1 > 0 else after)
    why = "rearranged"
    if several:
        why = "before" if (low, high) == (-inf, 0) else "after" if (low, high) == (0, inf) else "listed"
    return Window(1, ((low, high),)), why


def followed_within(window: Window, index: Index, extent: Size) -> tuple[Window | None, str]:
    """What no unit sees beyond behind a layer that reads a map so by `index`; for a list also what sort of list it is.

    Args:
        window: what no unit of the map, of this extent, sees beyond.
    """
    if isinstance(index, Listed):
        band, why = banded(index, extent)
        return None if band is None else pulled(window, band), why
    return pulled(window, index) if isinstance(index, (Slide, Table)) else None, ""


def pulled(window: Window, by: Slide | Table | Window) -> Window | None:
    """What no unit sees beyond behind a layer that reads so far from its own position, or by an index."""
    try:
        if not isinstance(by, Window):
            counted = isinstance(by, Table) or by.counted
            return window.pull(by) if counted and window.regular else None
        (reach,) = by.ends
        if reach is None or not window.regular or not is_number(window.advance):
            return None
        ends = []
        for u in range(window.period):
            first, last = (_at(window, u, end, i) for i, end in enumerate(reach))
            ends.append((first, last))
        return Window(window.advance, ends)
    except (PeriodTooLong, OverflowError):
        return None


def _at(window: Window, unit: int, moved: float, end: int) -> Size:
    """An end of what the unit so far from another one sees; infinite where it is infinitely far."""
    if moved in (inf, -inf):
        return moved
    found = window.unit(unit + moved)
    assert found is not None
    return found[end]


def widened(windows: Iterable[Window | None]) -> Window | None:
    """One window for several; None where one of them is missing, or their strides differ."""
    found: Window | None = None
    for window in windows:
        if window is None or (found is not None and not found.same_stride(window)):
            return None
        try:
            found = window if found is None else found | window
        except PeriodTooLong:
            return None
    return found


def leveled(terms: Iterable[tuple[Any, ...]], extents: tuple[Size, ...]) -> list[tuple[Any, ...]]:
    """Terms in which what global paths tell by phase is one hull, which no unit sees beyond: beside windows that move
    no window says it by phase (a shuffle of channels into positions, each channel normalised over the whole map)."""

    def level(entry: Any) -> Any:
        window = getattr(entry, "window", None)
        still = window is not None and window.advance == 0
        return entry._replace(window=Window(0, (entry.over(extents),))) if still else entry

    return [tuple(map(level, term)) for term in terms]
