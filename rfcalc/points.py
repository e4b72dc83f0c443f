"""What every unit of a node sees, unit by unit: the form of index sets where several axes of a node decide together.

Units that see the same share one set, and units that read the same sets share the union: what windows of attention or a
reshape make is a few sets for many units. Imports levels 0 and 1 only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import product
from typing import NamedTuple, TypeVar

from rfcalc.errors import LimitError
from rfcalc.region import Mask, bits
from rfcalc.size import prod

MOST_BITS = 400_000_000
K = TypeVar("K", bound=Hashable)


class Points(NamedTuple):
    """For every unit (row-major over the axes but the channels) the number of its set over the flattened source.

    >>> p = Points.of((1, 2), (2, 2), [0b01, 0b11, 0b11, 0b01])
    >>> p.numbers, p.sets, bin(p.at((1, 0)))
    ((0, 1, 1, 0), (1, 3), '0b11')
    >>> p.collapsed([True, False])
    Points(axes=(2,), extents=(2,), numbers=(0, 0), sets=(3,))
    """

    axes: tuple[int, ...]
    extents: tuple[int, ...]
    numbers: tuple[int, ...]
    sets: tuple[Mask, ...]

    @classmethod
    def of(cls, axes: tuple[int, ...], extents: tuple[int, ...], masks: Iterable[Mask]) -> Points:
        """From one set for each unit.

        Raises:
            LimitError: they do not fit into memory.
        """
        return cls(axes, extents, *_shared(masks, lambda mask: mask))

    def at(self, unit: Sequence[int]) -> Mask:
        """What one unit sees."""
        return self.sets[self.numbers[place(unit, self.extents)]]

    def union(self) -> Mask:
        """What all units see together."""
        return united(self.sets)

    def gathered(self, axes: tuple[int, ...], extents: tuple[int, ...], reads: Sequence[Sequence[int]]) -> Points:
        """The sets of units that read these units of this node each (row-major numbers)."""
        if len(self.sets) == 1 and all(reads):
            return Points(axes, extents, (0,) * len(reads), self.sets)
        keys = (frozenset([self.numbers[n] for n in read]) for read in reads)
        return Points(axes, extents, *_shared(keys, lambda key: united(self.sets[n] for n in key)))

    def collapsed(self, whole: Sequence[bool]) -> Points:
        """With the union over some axes."""
        left = [i for i, gone in enumerate(whole) if not gone]
        if len(left) == len(whole):
            return self
        axes, extents = tuple(self.axes[i] for i in left), tuple(self.extents[i] for i in left)
        if len(self.sets) == 1 and self.numbers:
            return Points(axes, extents, (0,) * prod(extents), self.sets)
        lines: dict[tuple[int, ...], list[int]] = {}
        for number, unit in enumerate(product(*map(range, self.extents))):
            lines.setdefault(tuple(unit[i] for i in left), []).append(number)
        return self.gathered(axes, extents, list(lines.values()))

    def joined(self, *others: Points) -> Points:
        """Unit by unit the union with other states of the same node."""
        parts = (self, *others)
        keys = zip(*(p.numbers for p in parts), strict=True)

        def union(key: tuple[int, ...]) -> Mask:
            return united(p.sets[n] for p, n in zip(parts, key, strict=True))

        return Points(self.axes, self.extents, *_shared(keys, union))


def _shared(keys: Iterable[K], union: Callable[[K], Mask]) -> tuple[tuple[int, ...], tuple[Mask, ...]]:
    """For every unit the number of its set, and the sets; units with one key have one set."""
    known: dict[K, int] = {}
    sets: dict[Mask, int] = {}
    numbers = []
    size = 0
    for key in keys:
        number = known.get(key)
        if number is None:
            mask = union(key)
            number = known[key] = sets.setdefault(mask, len(sets))
            if number == len(sets) - 1:
                size += mask.bit_length()
        numbers.append(number)
        if size > MOST_BITS:
            raise LimitError("the regions of all units do not fit into memory", fix="give a smaller --input")
    return tuple(numbers), tuple(sets)


def place(unit: Sequence[int], extents: Sequence[int]) -> int:
    """The number of a unit, row-major.

    >>> place((1, 2), (4, 5))
    7
    """
    number = 0
    for u, n in zip(unit, extents, strict=True):
        number = number * n + u
    return number


def united(sets: Iterable[Mask]) -> Mask:
    found = 0
    for mask in sets:
        found |= mask
    return found


def flattened(box: tuple[Mask, ...], extents: tuple[int, ...]) -> Mask:
    """A box as a set of flattened positions."""
    flat = box[-1]
    below = extents[-1]
    for mask, extent in zip(box[-2::-1], extents[-2::-1], strict=True):
        wider = 0
        for p in bits(mask):
            wider |= flat << (p * below)
        flat, below = wider, below * extent
    return flat


def boxes(flat: Mask, extents: tuple[int, ...]) -> list[tuple[Mask, ...]]:
    """Boxes of a set of flattened positions: slices of the first axis that are alike are one box."""
    if len(extents) == 1:
        return [(flat,)]
    below = prod(extents[1:])
    slices: dict[Mask, Mask] = {}
    for p in range(extents[0]):
        part = flat >> (p * below) & ((1 << below) - 1)
        if part:
            slices[part] = slices.get(part, 0) | 1 << p
    return [(first, *rest) for part, first in slices.items() for rest in boxes(part, extents[1:])]
