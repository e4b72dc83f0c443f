"""What one unit sees: a union of boxes, each a product of index sets.

Sets are whole numbers whose bits are positions. The support in N dimensions is not the product of the axes: 1×3 beside
3×1 touches 5 pixels, not 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from typing import Any, TypeAlias, TypeVar

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.core.size import native, prod

Mask: TypeAlias = int
T = TypeVar("T")
_ONES = re.compile("1+")


class Region:
    """What one unit sees: a union of boxes on the source, each one set of positions an axis.

    Attributes:
        boxes: products of index sets (bits are positions), none of them empty.
        extents: the source's spatial sizes.
    """

    __slots__ = ("boxes", "extents")

    def __init__(self, boxes: Sequence[tuple[Mask, ...]], extents: tuple[int, ...]) -> None:
        self.boxes = tuple(dict.fromkeys(b for b in boxes if all(b)))
        self.extents = extents

    @property
    def empty(self) -> bool:
        """Whether the unit sees no pixel."""
        return not self.boxes

    @property
    def hull(self) -> tuple[tuple[int, int], ...] | None:
        """First and last pixel on each axis, or None."""
        if not self.boxes:
            return None
        return tuple(ends(mask) for mask in self.shadow)

    @property
    def shadow(self) -> tuple[Mask, ...]:
        """The projection of the region onto each axis."""
        found = [0] * len(self.extents)
        for box in self.boxes:
            for axis, mask in enumerate(box):
                found[axis] |= mask
        return tuple(found)

    @property
    def size(self) -> tuple[int, ...]:
        """Side lengths of the hull; zeros where nothing is seen."""
        hull = self.hull
        return tuple(0 for _ in self.extents) if hull is None else tuple(b - a + 1 for a, b in hull)

    @property
    def count(self) -> int:
        """Number of pixels in it (its support)."""
        return _volume(self.boxes)

    @property
    def density(self) -> tuple[int, int]:
        """Pixels in it, and pixels in its hull."""
        return self.count, prod(self.size) if self.boxes else 0

    @property
    def gaps(self) -> tuple[int, ...]:
        """The longest run of positions between first and last, on each axis, that no pixel of it lies on."""
        return tuple(_gap(mask) for mask in self.shadow)

    def __contains__(self, pixel: tuple[int, ...]) -> bool:
        return any(all(mask >> p & 1 for mask, p in zip(box, pixel, strict=True)) for box in self.boxes)

    def pixels(self) -> Iterator[tuple[int, ...]]:
        """The pixels, in order."""
        found: set[tuple[int, ...]] = set()
        for box in self.boxes:
            found |= set(product(*(bits(mask) for mask in box)))
        return iter(sorted(found))

    def __repr__(self) -> str:
        return f"Region({self.count} pixels in {'x'.join(map(str, self.size))} at {self.hull})"


def place(given: Any) -> tuple[int, ...]:
    """A unit or a pixel as it is given: its position along each axis, or one number where there is a single axis.

    Raises:
        RfcalcError: something else than whole numbers.

    >>> place(7), place([3, 5])
    ((7,), (3, 5))
    """
    found = native(given)
    along = found if isinstance(found, tuple) else (found,)
    if any(type(n) is not int for n in along):
        raise RfcalcError(
            f"{given!r} is no place in a map",
            fix="give a whole number for each axis, such as (3, 5), or 3 where there is one axis",
        )
    return along


def no_unit(unit: Sequence[int], extents: Sequence[int]) -> RfcalcError:
    """What is said of a unit that is not there."""
    shown = "x".join(map(str, extents)) or "a single one"
    why = f"the units are {shown}, counted from 0"
    last = ",".join(str(n - 1) for n in extents)
    fix = f"the last one is {last}" if extents else "name a node with a map, such as --at pool5, for a unit of it"
    return RfcalcError(f"there is no unit {','.join(map(str, unit))}", why=why, fix=fix)


def ends(mask: Mask) -> tuple[int, int]:
    """Lowest and highest bit."""
    return (mask & -mask).bit_length() - 1, mask.bit_length() - 1


def bits(mask: Mask) -> list[int]:
    """The positions of a set.

    >>> bits(0b1011)
    [0, 1, 3]
    """
    return [p for first, last in runs(mask) for p in range(first, last + 1)]


def runs(mask: Mask) -> list[tuple[int, int]]:
    """The set as runs of neighbouring positions, first and last of each.

    >>> runs(0b1011)
    [(0, 1), (3, 3)]
    """
    if not mask:
        return []
    low = ends(mask)[0]  # positions far along a map take no longer than those at its beginning
    digits = bin(mask >> low)[:1:-1]
    return [(low + run.start(), low + run.end() - 1) for run in _ONES.finditer(digits)]


def absorb(kept: list[T], part: T, merged: Callable[[T, T], T | None]) -> None:
    """Add a part to parts; while `merged` makes one of it and another, that one is added in place of both.

    >>> kept = [{1}, {3, 4}]
    >>> absorb(kept, {1, 3}, lambda a, b: a | b if a & b else None)  # it joins {1}, and {1, 3} then {3, 4}
    >>> kept
    [{1, 3, 4}]
    """
    while True:
        for i, other in enumerate(kept):
            union = merged(other, part)
            if union is not None:
                kept.pop(i)
                part = union
                break
        else:
            kept.append(part)
            return


def few_enough(parts: Sequence[Any], limit: int) -> None:
    """Refuse a region in more parts than can be kept.

    Raises:
        LimitError: there are more than `limit`.
    """
    if len(parts) > limit:
        raise LimitError(f"a region of {len(parts)} separate parts is too many", why=f"the limit is {limit}")


def _gap(mask: Mask) -> int:
    found = runs(mask)
    return max((b[0] - a[1] - 1 for a, b in pairwise(found)), default=0)


def _volume(boxes: Sequence[tuple[Mask, ...]]) -> int:
    """The number of points in a union of boxes."""
    if not boxes:
        return 0
    if len(boxes[0]) == 0:
        return 1
    if len(boxes[0]) == 1 or len(boxes) == 1:
        if len(boxes) == 1:
            return int(prod(mask.bit_count() for mask in boxes[0]))
        union = 0
        for box in boxes:
            union |= box[0]
        return union.bit_count()
    groups: dict[tuple[bool, ...], int] = {}
    everything = 0
    for box in boxes:
        everything |= box[0]
    for p in bits(everything):  # positions that the same boxes cover have the same slice
        key = tuple(bool(box[0] >> p & 1) for box in boxes)
        groups[key] = groups.get(key, 0) + 1
    return sum(
        times * _volume([box[1:] for box, inside in zip(boxes, key, strict=True) if inside])
        for key, times in groups.items()
    )
