"""Multisets of kernels that together reach so far: how many there are, and the cheapest ones, without listing all.

A kernel of size k = 2a + 1 with dilation d reaches a·d to each side, and what layers of stride 1 reach adds up. So the
stacks that see 2m + 1 are the partitions of m into parts a·d (Σ p(m) of them, a part of size n coming in as many kinds
as n has divisors once dilation is allowed), and the cheapest ones are a shortest-path question, not an enumeration.
Imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from math import prod
from typing import NamedTuple


class DilatedKernel(NamedTuple):
    """A kernel 2a + 1 with dilation d, on all axes (`axis` is None) or along one of them."""

    a: int
    d: int = 1
    axis: int | None = None

    @property
    def kernel(self) -> int:
        return 2 * self.a + 1

    @property
    def reach(self) -> int:
        """How far it reaches to each side, along its axes."""
        return self.a * self.d

    def area(self, rank: int) -> int:
        """How many weights it has for each pair of channels."""
        return self.kernel**rank if self.axis is None else self.kernel


class Stack(NamedTuple):
    """A multiset of parts with its cost: `area` (weights for each pair of channels, the first layer scaled), depth."""

    area: int
    depth: int
    parts: tuple[DilatedKernel, ...]


def parts(most: int, dilated: bool, axis: int | None = None) -> list[DilatedKernel]:
    """The parts that reach at most so far."""
    return [DilatedKernel(a, d, axis) for a in range(1, most + 1) for d in range(1, (most // a if dilated else 1) + 1)]


def ways(most: int, dilated: bool) -> list[int]:
    """How many multisets of parts reach 0, 1, …, `most` along one axis.

    >>> ways(5, False), ways(3, True)
    ([1, 1, 2, 3, 5, 7], [1, 1, 3, 5])
    """
    found = [1] + [0] * most
    for part in parts(most, dilated):
        for t in range(part.reach, most + 1):
            found[t] += found[t - part.reach]
    return found


def count(reaches: Sequence[int], separable: bool, dilated: bool) -> int:
    """How many stacks reach exactly so far along each axis, the one kernel that does it alone left out.

    Square kernels reach as far on all axes; `separable` adds 1×k and k×1. Counted, not listed.

    >>> count((3, 3), False, False), count((1, 1), True, False)
    (2, 1)
    """
    if max(reaches) == 0:
        return 0
    least = min(reaches)
    table = ways(max(reaches), dilated)
    equal = len(set(reaches)) == 1
    if len(reaches) == 1:
        separable = False  # along one axis every kernel is square
    if separable:
        found = sum(table[s] * prod(table[r - s] for r in reaches) for s in range(least + 1))
    else:
        found = table[least] if equal else 0
    alone = equal if not separable else equal or sum(r > 0 for r in reaches) == 1
    return found - alone


def cheapest(
    reaches: Sequence[int],
    separable: bool,
    dilated: bool,
    limit: int,
    first: int = 1,
    rest: int = 1,
    by_depth: bool = False,
) -> list[Stack]:
    """The stacks with the fewest weights (then the fewest layers), in order; with `by_depth` the other way round.

    Args:
        reaches: how far to each side, an axis.
        limit: how many.
        first, rest: input channels of the first layer and of the others (their ratio counts). Where they differ, the
            order matters: the cheapest is taken, and its first layer stands first.

    >>> [[p.kernel for p in s.parts] for s in cheapest((3, 3), False, False, 10)]
    [[3, 3, 3], [5, 3]]
    """
    rank = len(reaches)
    finder = _Finder(reaches, separable and rank > 1, dilated, limit + 1, rank, by_depth)
    if first == rest:
        found: Iterable[Stack] = finder.best(tuple(reaches))
    else:
        # Every part may stand first; of one multiset the cheapest comes first, the others are its repetitions.
        streams = []
        for part in finder.kinds:
            left = tuple(r - (part.reach if part.axis in (None, i) else 0) for i, r in enumerate(reaches))
            if min(left) < 0:
                continue
            cost = part.area(rank)
            streams.append(
                [Stack(first * cost + rest * s.area, s.depth + 1, (part, *s.parts)) for s in finder.best(left)]
            )
        found = merge(*streams, key=finder.order)
    return list(islice(_distinct(found, reaches), limit))


def _distinct(stacks: Iterable[Stack], reaches: Sequence[int]) -> Iterator[Stack]:
    """Each multiset once, without the single kernel that reaches all of it."""
    seen: set[tuple[DilatedKernel, ...]] = set()
    for stack in stacks:
        if not stack.parts or (len(stack.parts) == 1 and stack.parts[0].d == 1):
            continue
        same = tuple(sorted(stack.parts, key=_sortable))
        if same not in seen:
            seen.add(same)
            yield stack


def _sortable(part: DilatedKernel) -> tuple[int, int, int]:
    return (part.a, part.d, -1 if part.axis is None else part.axis)


class _Finder:
    """k-best lists: for each reach the cheapest multisets of one kind of part; squares and the axes combined."""

    def __init__(
        self, reaches: Sequence[int], separable: bool, dilated: bool, limit: int, rank: int, by_depth: bool
    ) -> None:
        self.limit, self.rank, self.by_depth = limit, rank, by_depth
        self.separable = separable
        squares = parts(min(reaches), dilated)
        lines = [parts(r, dilated, i) for i, r in enumerate(reaches)] if separable else []
        self.kinds = [*squares, *(p for line in lines for p in line)]
        self.squares = self._lists(squares, max(reaches))
        self.lines = [self._lists(line, max(reaches)) for line in lines]
        self.known: dict[tuple[int, ...], list[Stack]] = {}

    def order(self, stack: Stack) -> tuple[int, int]:
        return (stack.depth, stack.area) if self.by_depth else (stack.area, stack.depth)

    def _lists(self, kinds: Sequence[DilatedKernel], most: int) -> list[list[Stack]]:
        found: list[list[Stack]] = [[Stack(0, 0, ())], *([] for _ in range(most))]
        for part in kinds:
            area = part.area(self.rank)
            for t in range(part.reach, most + 1):
                before = found[t - part.reach]
                if before:
                    longer = [Stack(s.area + area, s.depth + 1, (part, *s.parts)) for s in before]
                    found[t] = list(islice(merge(found[t], longer, key=self.order), self.limit)) if found[t] else longer
        return found

    def best(self, reaches: tuple[int, ...]) -> list[Stack]:
        """The cheapest multisets that reach exactly so far along each axis."""
        kept = self.known.get(reaches)
        if kept is not None:
            return kept
        if not self.separable:
            found = self.squares[reaches[0]] if len(set(reaches)) == 1 else []
        else:
            streams = []
            for s in range(min(reaches) + 1):
                combined = self.squares[s]
                for line, r in zip(self.lines, reaches, strict=True):
                    combined = self._products(combined, line[r - s])
                streams.append(combined)
            found = list(islice(merge(*streams, key=self.order), self.limit))
        self.known[reaches] = found
        return found

    def _products(self, a: list[Stack], b: list[Stack]) -> list[Stack]:
        """The cheapest pairs: the i-th with the j-th can only count where i·j is within the limit."""
        pairs = [
            Stack(x.area + y.area, x.depth + y.depth, (*x.parts, *y.parts))
            for i, x in enumerate(a, 1)
            for y in b[: self.limit // i]
        ]
        return sorted(pairs, key=self.order)[: self.limit]
