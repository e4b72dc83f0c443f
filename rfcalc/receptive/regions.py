"""What all units of one node see, in real pixels: a value, as the region walk leaves it.

For one axis and one term, unit u of the deciding axis sees ``sets[u]``, a set of positions as the bits of a whole
number. Where several axes of a node decide together (window partition), the sets are kept for every unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TypeAlias

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import prod
from rfcalc.receptive.region import Mask, Region, absorb, ends, few_enough, no_unit
from rfcalc.receptive.unit_sets import Points, boxes, united

Sets: TypeAlias = "tuple[Mask, ...]"
Entry: TypeAlias = "tuple[int | None, Sets]"  # the axis that decides (None: one set for all), and its sets
Term: TypeAlias = "tuple[Entry, ...]"
State: TypeAlias = "tuple[Term, ...] | Points"

MOST_TERMS = 400
MOST_KEPT = 3_000_000


class Regions:
    """What all units of one node see of the source.

    >>> import rfcalc
    >>> from rfcalc.receptive.region_walk import regions
    >>> pool5 = regions(rfcalc.analyze("vgg16"), "pool5")
    >>> pool5.unit((0, 0)).hull, pool5.unit((3, 3)).hull
    (((0, 121), (0, 121)), ((6, 217), (6, 217)))
    """

    __slots__ = ("axes", "bounded", "extents", "source", "state")

    def __init__(
        self,
        state: State,
        axes: tuple[int, ...],
        extents: tuple[int, ...],
        source: tuple[int, ...],
        bounded: bool = False,
    ) -> None:
        self.bounded = bounded  # units see at most this
        self.state = state if isinstance(state, Points) else over_channels(state, axes)
        self.axes = axes  # the node's axes but the channels
        self.extents = extents  # their sizes
        self.source = source  # the source's spatial sizes

    def __repr__(self) -> str:
        return f"Regions(of {'x'.join(map(str, self.extents)) or 1} units on {'x'.join(map(str, self.source)) or 1})"

    def unit(self, unit: Sequence[int]) -> Region:
        """The region of one unit, by its position on the node's spatial axes.

        Raises:
            RfcalcError: there is no such unit.
        """
        if len(unit) != len(self.extents) or any(not 0 <= u < n for u, n in zip(unit, self.extents, strict=True)):
            raise no_unit(unit, self.extents)
        if isinstance(self.state, Points):
            return Region(boxes(self.state.at(unit), self.source), self.source)
        at = dict(zip(self.axes, unit, strict=True))
        found = []
        for term in self.state:
            masks = tuple(sets[0] if carrier is None else sets[at[carrier]] for carrier, sets in term)
            if all(masks):
                found.append(masks[: len(self.source)])
        return Region(found, self.source)

    def units(self) -> Iterator[tuple[int, ...]]:
        """All units, row-major."""
        return product(*(range(n) for n in self.extents))

    def sizes(self) -> dict[tuple[int, ...], int]:
        """Sizes of the units' regions, and how many units have each."""
        found: dict[tuple[int, ...], int] = {}
        if (
            isinstance(self.state, Points)
            or len(self.state) != 1
            or len(self.state[0]) > len(self.source)
            or not self._apart(self.state[0])
        ):
            for unit in self.units():
                size = self.unit(unit).size
                found[size] = found.get(size, 0) + 1
            return found
        lengths: list[dict[int, int]] = []  # one term, each axis for itself: count axis by axis
        for _, sets in self.state[0]:
            counts: dict[int, int] = {}
            for mask in sets:
                first, last = ends(mask) if mask else (0, -1)
                counts[last - first + 1] = counts.get(last - first + 1, 0) + 1
            lengths.append(counts)
        carriers = {c for c, _ in self.state[0]}
        others = prod(n for axis, n in zip(self.axes, self.extents, strict=True) if axis not in carriers)
        for size in product(*lengths):
            shown = size if all(size) else (0,) * len(size)
            times = prod(counts[n] for counts, n in zip(lengths, size, strict=True))
            found[shown] = found.get(shown, 0) + times * others
        return found

    @staticmethod
    def _apart(term: Term) -> bool:
        """Whether each axis of the source follows an axis of the node of its own (or none)."""
        carriers = [c for c, _ in term if c is not None]
        return len(set(carriers)) == len(carriers)

    @property
    def all(self) -> Region:
        """What the units of the node see together."""
        if isinstance(self.state, Points):
            return Region(boxes(self.state.union(), self.source), self.source)
        found: list[tuple[Mask, ...]] = []
        for term in self.state:
            carriers = [c for c, _ in term if c is not None]
            if self._apart(term):
                found.append(tuple(united(sets) for _, sets in term[: len(self.source)]))
            else:
                extents = dict(zip(self.axes, self.extents, strict=True))
                for unit in product(*(range(extents[c]) for c in sorted(set(carriers)))):
                    at = dict(zip(sorted(set(carriers)), unit, strict=True))
                    masks = tuple(s[0] if c is None else s[at[c]] for c, s in term)
                    if all(masks):
                        found.append(masks[: len(self.source)])
        return Region(found, self.source)

    def reached_by(self, pixel: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """The projective field: the units that one pixel of the source can reach.

        Raises:
            RfcalcError: there is no such pixel.
        """
        if len(pixel) != len(self.source) or any(not 0 <= p < n for p, n in zip(pixel, self.source, strict=True)):
            raise RfcalcError(
                f"there is no pixel {','.join(map(str, pixel))}",
                why=f"the input is {'x'.join(map(str, self.source))}, counted from 0",
            )
        if isinstance(self.state, Points):
            return tuple(u for u in self.units() if tuple(pixel) in self.unit(u))
        found: set[tuple[int, ...]] = set()
        for term in self.state:
            allowed = {axis: set(range(n)) for axis, n in zip(self.axes, self.extents, strict=True)}
            for (carrier, sets), p in zip(term, (*pixel, *[0] * (len(term) - len(pixel))), strict=True):
                if carrier is None:
                    if not sets[0] >> p & 1:
                        break
                else:
                    allowed[carrier] &= {u for u, mask in enumerate(sets) if mask >> p & 1}
            else:
                found |= set(product(*(sorted(allowed[axis]) for axis in self.axes)))
        return tuple(sorted(found))


def over_channels(state: tuple[Term, ...], axes: tuple[int, ...]) -> tuple[Term, ...]:
    """The terms of positions, each the union over its channels, where the channel axis decides."""
    found: list[Term] = []
    for term in state:
        channel = [i for i, (c, _) in enumerate(term) if c is not None and c not in axes]
        if not channel:
            found.append(term)
        elif len(channel) == 1:
            i = channel[0]
            found.append((*term[:i], (None, (united(term[i][1]),)), *term[i + 1 :]))
        else:
            for k in range(len(term[channel[0]][1])):
                found.append(tuple((None, (e[1][k],)) if i in channel else e for i, e in enumerate(term)))
    return tidy(found) if len(found) > 1 else tuple(found)


def tidy(terms: list[Term]) -> tuple[Term, ...]:
    """Leave out terms that lie within another, and merge those that differ on one axis only."""
    kept: list[Term] = []
    for term in terms:
        if all(any(sets) for _, sets in term):
            absorb(kept, term, _merged)
    few_enough(kept, MOST_TERMS)
    return tuple(kept)


def _merged(a: Term, b: Term) -> Term | None:
    """One term for two: the wider, where one lies within the other, or the union where they differ on one axis."""
    if a == b:
        return a
    if len(a) != len(b):
        return None
    if all(p[0] == q[0] for p, q in zip(a, b, strict=True)):
        different = [i for i, (p, q) in enumerate(zip(a, b, strict=True)) if p[1] != q[1]]
        i, carriers = different[0], [c for c, _ in a]
        if len(different) == 1 and (carriers[i] is None or carriers.count(carriers[i]) == 1):
            union = tuple(m | n for m, n in zip(a[i][1], b[i][1], strict=True))
            return (*a[:i], (carriers[i], union), *a[i + 1 :])
    if _within(b, a):
        return a
    return b if _within(a, b) else None


def _within(a: Term, b: Term) -> bool:
    """Whether every unit sees by `a` nothing that it does not see by `b`."""
    for (c, inner), (d, outer) in zip(a, b, strict=True):
        if d is None:
            if any(m | outer[0] != outer[0] for m in inner):
                return False
        elif c != d or any(m | n != n for m, n in zip(inner, outer, strict=True)):
            return False
    return True
