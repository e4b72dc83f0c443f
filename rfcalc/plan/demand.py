"""What some units of a network need of every map along one axis: the positions that a tile must hold.

1. What units need is known by its hull, and by whether it is *dense* (every position between the ends is needed). Both
   follow from layer to layer without listing positions, however long the axis is.
2. At a border the hull of a dense set is cut off, and stays a hull of what is needed. A set with holes (strides beyond
   the kernel, dilation) may have a hole there: then positions are listed, and the ends are those of what is left.
3. What lies outside of a map stands for nothing, where the map of a tile must have ended as well (`ends`), or for
   positions inside, where it must begin and end exactly as the whole map does (so it holds the outermost position).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from rfcalc.core.window import STEP, Border, Slide, Table

if TYPE_CHECKING:
    from rfcalc.plan.lines import LineView

MOST_LISTED = 512  # units of an output whose positions are listed one by one; of more, those at either end

Interval = tuple[int, int]  # first and last


class Demand(NamedTuple):
    """What some units need.

    Attributes:
        hulls: the first and the last position of every map; None where nothing of it is needed.
        ends: the position beyond the end of a map, if any, by which the map of a tile must have ended, because nothing
            may stand there.
        touching: (position, number of the edge) where what lies outside of a map is read.
    """

    hulls: tuple[Interval | None, ...]
    ends: tuple[int | None, ...]
    touching: frozenset[tuple[int, int]]

    def __or__(self, other: Demand) -> Demand:
        hulls = [a if b is None else _hull(a, b) for a, b in zip(self.hulls, other.hulls, strict=True)]
        ends = [_sooner(a, b) for a, b in zip(self.ends, other.ends, strict=True)]
        return Demand(tuple(hulls), tuple(ends), self.touching | other.touching)


def demand(view: LineView, units: dict[int, Interval], clipped: bool = True) -> Demand:
    """The positions of every map that these units of some positions need.

    Args:
        view: the axis of a network.
        units: (first, last) by position.
        clipped: whether maps end where they do (borders count), or go on for ever on both sides.
    """
    by_hulls, sure = _by_hulls(view, units, clipped)
    if sure:
        return by_hulls
    if all(last - first < MOST_LISTED for first, last in units.values()):
        return _listed(view, units, clipped)
    half = MOST_LISTED // 2
    left = {p: (a, min(b, a + half - 1)) for p, (a, b) in units.items()}
    right = {p: (max(a, b - half + 1), b) for p, (a, b) in units.items()}
    between = {p: (a + half, b - half) for p, (a, b) in units.items() if b - a >= 2 * half}
    found = _listed(view, left, clipped) | _listed(view, right, clipped)
    return found | _by_hulls(view, between, clipped)[0]


def _by_hulls(view: LineView, units: dict[int, Interval], clipped: bool) -> tuple[Demand, bool]:
    """The same by hulls; and whether each end of a hull is surely needed (if not, it may be less)."""
    hulls: list[Interval | None] = [None] * len(view.shapes)
    dense = [True] * len(view.shapes)
    ends: list[int | None] = [None] * len(view.shapes)
    touching = set()
    sure = True
    for position, interval in units.items():
        hulls[position] = _hull(hulls[position], interval)
    for position in range(max(units), view.network.arity - 1, -1):
        mine = hulls[position]
        if mine is None:
            continue
        for number, (source, index) in enumerate(view.edges[position]):
            low, high = read(index, *mine)
            if low > high:
                continue
            full = dense[position] and _keeps_dense(index, mine[1] - mine[0] + 1)
            if not dense[position] and isinstance(index, Table):
                sure = False
            n = view.lengths[source] or 1
            if clipped and (low < 0 or high > n - 1):
                touching.add((position, number))
                sure = sure and full and _reaches(low, high, n, index.border)
                ends[source] = _sooner(ends[source], max(n, low) if high > n - 1 else None)
                low, high = _inside(low, high, n, index.border)
                if low > high:
                    continue
            there = hulls[source]
            if there is None:
                hulls[source], dense[source] = (low, high), full
            else:
                hulls[source] = _hull(there, (low, high))
                dense[source] = _union_dense(there, dense[source], (low, high), full)
    return Demand(tuple(hulls), tuple(ends), frozenset(touching)), sure


def _inside(low: int, high: int, n: int, border: str) -> Interval:
    """The hull of what stands for low … high on a map of n."""
    if border == Border.REFLECT:
        low, high = (0, max(high, -low)) if low < 0 else (low, high)
        low, high = (min(low, 2 * (n - 1) - high), n - 1) if high > n - 1 else (low, high)
    elif border == Border.REPLICATE:
        low, high = min(low, n - 1), max(high, 0)
    elif border == Border.CIRCULAR:
        return 0, n - 1
    return max(low, 0), min(high, n - 1)


def _reaches(low: int, high: int, n: int, border: str) -> bool:
    """Whether what is read outside of a map either stands for nothing, or is read together with the outermost position,
    which has to be there anyway."""
    return border == Border.ZEROS or (border != Border.CIRCULAR and low <= n - 1 and high >= 0)


def _listed(view: LineView, units: dict[int, Interval], clipped: bool) -> Demand:
    """The same with every position listed."""
    needed: list[set[int]] = [set() for _ in view.shapes]
    outermost: list[set[int]] = [set() for _ in view.shapes]  # positions that must be there, whatever they hold
    ends: list[int | None] = [None] * len(view.shapes)
    touching = set()
    for position, (first, last) in units.items():
        needed[position].update(range(first, last + 1))
    for position in range(max(units), view.network.arity - 1, -1):
        mine = needed[position]
        if not mine:
            continue
        for number, (source, index) in enumerate(view.edges[position]):
            if index is STEP:
                needed[source] |= mine
                continue
            n = view.lengths[source] or 1
            taps = {q for u in mine for q in index.taps(u)}
            inside = {q for q in taps if 0 <= q < n} if clipped else taps
            needed[source] |= inside
            if len(inside) == len(taps):
                continue
            touching.add((position, number))
            beyond = [q for q in taps if q >= n]
            if index.border == Border.ZEROS:
                ends[source] = _sooner(ends[source], min(beyond, default=None))
                continue
            needed[source].update(_stands(q, n, index.border) for q in taps - inside)
            around = index.border == Border.CIRCULAR
            if beyond or around:
                outermost[source].add(n - 1)
                ends[source] = _sooner(ends[source], n)
            if around or len(beyond) + len(inside) < len(taps):
                outermost[source].add(0)
    held = [a | b for a, b in zip(needed, outermost, strict=True)]
    return Demand(tuple((min(h), max(h)) if h else None for h in held), tuple(ends), frozenset(touching))


def _stands(q: int, n: int, border: str) -> int:
    """The position of a map of n that stands for one outside of it."""
    if border == Border.REFLECT:
        return min(max(-q if q < 0 else 2 * (n - 1) - q, 0), n - 1)
    return (0 if q < 0 else n - 1) if border == Border.REPLICATE else q % n


def read(index: Slide | Table, first: int, last: int) -> Interval:
    """The hull of what units first … last read, borders not counted; last < first where they read nothing.

    >>> read(Slide(2, -1, 3), 4, 5)
    (7, 11)
    """
    if index is STEP:
        return first, last
    if isinstance(index, Slide):
        low = index.stride * first + index.first
        return low, index.stride * last + index.first + index.dilation * (index.kernel - 1)
    lows = [t[0] for u in range(first, min(first + index.period - 1, last) + 1) if (t := index.taps(u))]
    highs = [t[-1] for u in range(max(last - index.period + 1, first), last + 1) if (t := index.taps(u))]
    return (min(lows), max(highs)) if lows and highs else (0, -1)


def _keeps_dense(index: Slide | Table, count: int) -> bool:
    """Whether `count` units side by side read positions side by side, none left out.

    >>> _keeps_dense(Slide(2, 0, 2), 9), _keeps_dense(Slide(2, 0, 1), 9), _keeps_dense(Slide(1, 0, 3, 4), 9)
    (True, False, True)
    """
    if isinstance(index, Table):
        return _closed(index)
    if index.dilation > 1 and index.kernel > 1:
        return bool(index.stride == 1 and count >= index.dilation)
    return bool(index.kernel >= index.stride or count == 1)


@lru_cache(maxsize=4096)
def _closed(table: Table) -> bool:
    """Whether every unit reads a run of positions that touches or overlaps that of the next one."""
    runs = [table.taps(u) for u in range(table.period + 1)]
    if any(not r or r[-1] - r[0] + 1 != len(r) for r in runs):
        return False
    return all(a[0] <= b[0] <= a[-1] + 1 and a[-1] <= b[-1] for a, b in pairwise(runs))


def _union_dense(a: Interval, a_dense: bool, b: Interval, b_dense: bool) -> bool:
    """Whether the union of two sets is dense, as far as their hulls tell."""
    if a_dense and b_dense:
        return a[0] <= b[1] + 1 and b[0] <= a[1] + 1
    return (a_dense and a[0] <= b[0] and b[1] <= a[1]) or (b_dense and b[0] <= a[0] and a[1] <= b[1])


def _hull(a: Interval | None, b: Interval) -> Interval:
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def _sooner(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)
