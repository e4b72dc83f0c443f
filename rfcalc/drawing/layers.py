"""A layered layout: boxes in rows by how far they are from the inputs; a link past rows has a place of its own in each.

1. A box stands a row below the lowest box that it reads.
2. What a later row reads takes a narrow slot in every row between, so that no link meets a box that it does not join.
3. Slots are ordered by the mean place of what they are joined with (Sugiyama, Tagawa & Toda 1981, "Methods for visual
   understanding of hierarchical system structures"), then put as near to it as their widths allow (isotonic regression
   by pooling adjacent violators).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

SWEEPS = 8
BETWEEN = 18.0  # two slots of one row


@dataclass(slots=True, eq=False)
class RowSlot:
    """A place in a row: that of a box, or, without a box, that of a link on its way down; `x` is its middle.

    `above` and `below`: the slots of the neighbouring rows that it is joined with.
    """

    row: int
    width: float
    box: int | None = None
    x: float = 0.0
    above: list[RowSlot] = field(default_factory=list)
    below: list[RowSlot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RowLayout:
    """The rows of slots from left to right; the slots that each link passes, from box to box."""

    rows: tuple[tuple[RowSlot, ...], ...]
    paths: dict[tuple[int, int], tuple[RowSlot, ...]]


def layout(widths: Sequence[float], links: Sequence[tuple[int, int]], lane: float = 10.0) -> RowLayout:
    """Places of boxes of these widths, joined by links from a lower number to a higher one.

    >>> found = layout([50, 20, 20, 50], [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)])
    >>> [[slot.box for slot in row] for row in found.rows]
    [[0], [1, 2, None], [3]]
    >>> [slot.x for slot in found.rows[1]]
    [10.0, 48.0, 81.0]
    """
    depth = [0] * len(widths)
    for a, b in sorted(links, key=lambda link: link[1]):
        depth[b] = max(depth[b], depth[a] + 1)
    slots = [RowSlot(depth[i], width, i) for i, width in enumerate(widths)]
    rows: list[list[RowSlot]] = [[] for _ in range(max(depth, default=0) + 1)]
    for slot in slots:
        rows[slot.row].append(slot)
    paths: dict[tuple[int, int], tuple[RowSlot, ...]] = {}
    ways: dict[int, list[RowSlot]] = {}  # the lane of a box goes down once for all its readers
    for a, b in sorted(links, key=lambda link: depth[link[1]]):
        way = ways.setdefault(a, [slots[a]])
        while way[-1].row < depth[b] - 1:
            slot = RowSlot(way[-1].row + 1, lane)
            _join(way[-1], slot)
            rows[slot.row].append(slot)
            way.append(slot)
        last = way[depth[b] - 1 - depth[a]]
        _join(last, slots[b])
        paths[a, b] = (*way[: depth[b] - depth[a]], slots[b])
    _order(rows)
    _place(rows)
    return RowLayout(tuple(map(tuple, rows)), paths)


def _join(upper: RowSlot, lower: RowSlot) -> None:
    upper.below.append(lower)
    lower.above.append(upper)


def _order(rows: list[list[RowSlot]]) -> None:
    """Order the slots of each row by the mean rank of what they are joined with, down and up in turn."""
    rank: dict[int, float] = {}

    def ranked(row: list[RowSlot]) -> None:
        for i, slot in enumerate(row):
            rank[id(slot)] = (i + 0.5) / len(row)

    for row in rows:
        ranked(row)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows[1:] if down else rows[-2::-1]:
            wanted = {}
            for slot in row:
                near = slot.above if down else slot.below
                wanted[id(slot)] = sum(rank[id(n)] for n in near) / len(near) if near else rank[id(slot)]
            row.sort(key=lambda slot: wanted[id(slot)])
            ranked(row)


def _place(rows: list[list[RowSlot]]) -> None:
    """Put slots near to the mean of what they are joined with, without overlaps; the leftmost begins at 0."""
    for row in rows:
        x = 0.0
        for slot in row:
            slot.x = x + slot.width / 2
            x += slot.width + BETWEEN
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for row in rows[1:] if down else rows[-2::-1]:
            _near(row, [_mean(slot.above if down else slot.below, slot.x) for slot in row])
    least = min(slot.x - slot.width / 2 for row in rows for slot in row)
    for row in rows:
        for slot in row:
            slot.x -= least


def _mean(near: list[RowSlot], otherwise: float) -> float:
    return sum(slot.x for slot in near) / len(near) if near else otherwise


def _near(row: list[RowSlot], wanted: list[float]) -> None:
    """The places nearest to the wanted ones, in least squares, that keep the order and the distances.

    With the least distances taken off, places must not fall: neighbours that would are pooled at their mean.
    """
    offsets, x = [], 0.0
    for i, slot in enumerate(row):
        x += slot.width / 2 + BETWEEN + row[i - 1].width / 2 if i else 0.0
        offsets.append(x)
    pools: list[tuple[float, int]] = []
    for goal, offset in zip(wanted, offsets, strict=True):
        total, count = goal - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    places = [total / count for total, count in pools for _ in range(count)]
    for slot, place, offset in zip(row, places, offsets, strict=True):
        slot.x = round(place + offset, 1)
