"""What every unit of a node sees, unit by unit: the form of index sets where several axes of a node decide together.

Units that see the same share one set, and units that read the same sets share the union: what windows of attention or a
reshape make is a few sets for many units. A set begins at its first position, so that a small one takes little room
wherever on the map it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import product
from typing import NamedTuple, TypeAlias, TypeVar

from rfcalc.core.errors import LimitError
from rfcalc.core.size import prod
from rfcalc.receptive.region import Mask, bits, ends

Part: TypeAlias = "tuple[int, Mask]"  # the first position, and the bits from there on; (0, 0) is empty

MOST_BITS = 1_000_000_000
K = TypeVar("K", bound=Hashable)


class Points(NamedTuple):
    """For every unit (row-major over the axes but the channels) the number of its set over the flattened source.

    >>> p = Points.of((1, 2), (2, 2), [(4, 0b1), (4, 0b11), (4, 0b11), (4, 0b1)])
    >>> p.numbers, p.sets, bin(p.at((1, 0)))
    ((0, 1, 1, 0), ((4, 1), (4, 3)), '0b110000')
    >>> p.collapsed([True, False])
    Points(axes=(2,), extents=(2,), numbers=(0, 0), sets=((4, 3),))
    """

    axes: tuple[int, ...]
    extents: tuple[int, ...]
    numbers: tuple[int, ...]
    sets: tuple[Part, ...]

    @classmethod
    def of(cls, axes: tuple[int, ...], extents: tuple[int, ...], parts: Iterable[Part]) -> Points:
        """From one set for each unit.

        Raises:
            LimitError: they do not fit into memory.
        """
        return cls(axes, extents, *_shared(parts, lambda part: part))

    def at(self, unit: Sequence[int]) -> Mask:
        """What one unit sees."""
        first, mask = self.sets[self.numbers[place(unit, self.extents)]]
        return mask << first

    def union(self) -> Mask:
        """What all units see together."""
        first, mask = joint(self.sets)
        return mask << first

    def gathered(self, axes: tuple[int, ...], extents: tuple[int, ...], reads: Iterable[Sequence[int]]) -> Points:
        """The sets of units that read these units of this node each (row-major numbers)."""
        if len(self.sets) == 1 and isinstance(reads, Sequence) and all(reads):
            return Points(axes, extents, (0,) * len(reads), self.sets)
        keys = (frozenset([self.numbers[n] for n in read]) for read in reads)
        return Points(axes, extents, *_shared(keys, lambda key: joint([self.sets[n] for n in key])))

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

        def union(key: tuple[int, ...]) -> Part:
            return joint([p.sets[n] for p, n in zip(parts, key, strict=True)])

        return Points(self.axes, self.extents, *_shared(keys, union))


def _shared(keys: Iterable[K], union: Callable[[K], Part]) -> tuple[tuple[int, ...], tuple[Part, ...]]:
    """For every unit the number of its set, and the sets; units with one key have one set."""
    known: dict[K, int] = {}
    sets: dict[Part, int] = {}
    numbers = []
    size = 0
    for key in keys:
        number = known.get(key)
        if number is None:
            part = union(key)
            size += 0 if part in sets else part[1].bit_length()
            number = known[key] = sets.setdefault(part, len(sets))
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


def joint(parts: Sequence[Part]) -> Part:
    """The union.

    >>> joint([(5, 0b1), (4, 0b101), (0, 0)])
    (4, 7)
    """
    held = [part for part in parts if part[1]]
    if len(held) < 2:
        return held[0] if held else (0, 0)
    first = min(at for at, _ in held)
    return first, united(mask << (at - first) for at, mask in held)


def flattened(box: tuple[Mask, ...], extents: tuple[int, ...]) -> Part:
    """A box, of which no side is empty, as a set of flattened positions.

    >>> flattened((0b110, 0b100), (3, 4))
    (6, 17)
    """
    starts = [ends(mask)[0] for mask in box]
    flat, below = 1, 1
    for mask, start, extent in zip(reversed(box), reversed(starts), reversed(extents), strict=True):
        flat = united(flat << (p * below) for p in bits(mask >> start))
        below *= extent
    return place(starts, extents), flat


def boxes(flat: Mask, extents: tuple[int, ...]) -> list[tuple[Mask, ...]]:
    """Boxes of a set of flattened positions: slices of the first axis that are alike are one box."""
    if len(extents) < 2:
        return [(flat,) * len(extents)]
    below = prod(extents[1:])
    slices: dict[Mask, Mask] = {}
    for p in range(extents[0]):
        part = flat >> (p * below) & ((1 << below) - 1)
        if part:
            slices[part] = slices.get(part, 0) | 1 << p
    return [(first, *rest) for part, first in slices.items() for rest in boxes(part, extents[1:])]
