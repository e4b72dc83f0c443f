"""Which positions of a map the units of another read along an axis, once so many of them have come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from rfcalc.core.window import Border, Slide, Table

Along: TypeAlias = "Slide | Table"


def lowest(index: Along | None) -> int:
    """The first position that any unit reads, from 0 on; 0 where that is not a matter of positions."""
    if index is None:
        return 0
    return max(0, min((taps[0] for u in range(index.period) if len(taps := index.taps(u))), default=0))


def unread(count: int, first: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """For each of so many maps the least position that is read of it, given one for each reader; 0 without readers."""
    found: dict[int, int] = {}
    for source, position in first:
        found[source] = min(position, found.get(source, position))
    return tuple([found.get(position, 0) for position in range(count)])


def known(index: Along, count: int, head: int = 0) -> int:
    """How many units are known, from unit 0 on, when `count` positions of what they read are; of the first `head` ones
    nobody asks what they are.

    >>> known(Slide(2, -1, 3), 8), known(Slide(1, -2, 3, border="reflect"), 2), known(Table(1, [[0], [0]]), 3)
    (4, 0, 6)
    """
    if isinstance(index, Slide):
        first, last = index.first, index.first + index.dilation * (index.kernel - 1)
        if index.border == Border.REFLECT and count <= -first - head:  # unit 0 reads position -first
            return 0
        if index.border == Border.REPLICATE and count < 1:
            return 0
        return int(max(0, (count - 1 - last) // index.stride + 1))
    if index.border != Border.ZEROS and count < 1:
        return 0
    least = []
    for phase, taps in enumerate(index.phases):
        if taps:
            turn = (count - 1 - taps[-1]) // index.advance + 1  # the first one that reads an unknown position
            least.append(turn * index.period + phase)
    return max(0, min(least, default=0))


def kept(index: Along, start: int, count: int, after: int = 0) -> set[int]:
    """Which of the first `count` positions units from `start` on still read, at the end of the map too.

    >>> sorted(kept(Slide(2, 0, 3, 2), 8, 20)), sorted(kept(Slide(2, 0, 2, 3), 9, 20))
    ([16, 18], [18])
    """
    found: set[int] = set()
    if isinstance(index, Slide):
        s, d, k, first = index.stride, index.dilation, index.kernel, index.first
        if s == 1 or (d == 1 and k >= s):
            found.update(range(max(0, s * start + first), count))
        else:
            u = start
            while s * u + first < count:
                found.update(p for p in index.taps(u) if 0 <= p < count)
                u += 1
    else:
        earliest = min((p[0] for p in index.phases if p), default=0)
        u = start
        while u // index.period * index.advance + earliest < count:
            found.update(p for p in index.taps(u) if 0 <= p < count)
            u += 1
    if after and index.border in (Border.REFLECT, Border.REPLICATE):
        back = after if index.border == Border.REFLECT else 0
        found.update(range(max(0, count - 1 - back), count))
    return found
