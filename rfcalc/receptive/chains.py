"""Chains of reshapes and permutations in the walk of fields, as what they amount to together.

Taken one by one, a reshape that splits an axis leaves it to several axes together where a unit comes from. A chain
knows which factors of which axes of its beginning end where; as soon as the factors of an axis lie along one axis again
(or in the channels, over which a unit is the union), the relation to the beginning is exact.

A signal of 12 positions, reshaped to 3x4, has the factors 3 (weight 4) and 4 (weight 1): position 4·a + b. Unit a of
the axis of 3 reads positions 4·a … 4·a + 3, unit b of the axis of 4 reads b, b + 4 and b + 8. Permuted to 4x3 and
reshaped to 12 again, unit u = 3·b + a reads position 4·(u mod 3) + u // 3 alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from rfcalc.core.layer import POINTWISE, Alternatives, Layer
from rfcalc.core.shape import Shape
from rfcalc.core.window import STEP, All, Index, Table
from rfcalc.graph.forward import Shaped, reads_of

MOST_PHASES = 1 << 12


class Factor:
    """A factor of an axis, larger than 1, told apart by identity."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


Axes = tuple[tuple[Factor, ...], ...]  # an axis is the row-major product of its factors


def regrouped(before: Axes, after: Axes, dims: Sequence[int]) -> tuple[Axes, Axes] | None:
    """Both ends of a chain with a row-major reshape to `dims` at its end; None where no factors say it (12 = 4·3 to
    6·2).

    The factors at the end are dealt out again, the slowest first: an axis of n takes factors until their product is n.
    A factor that is too large is split, at the beginning too.

    >>> a, b = Factor(4), Factor(6)
    >>> split, dealt = regrouped(((a,), (b,)), ((a,), (b,)), (2, 12))  # 4 is split into 2·2: 2 and 2·6
    >>> [[f.size for f in axis] for axis in split], [[f.size for f in axis] for axis in dealt]
    ([[2, 2], [6]], [[2], [2, 6]])
    >>> regrouped(((a,), (b,)), ((a,), (b,)), (3, 8)) is None
    True
    """
    left = [f for axis in after for f in axis][::-1]
    found: list[tuple[Factor, ...]] = []
    for n in dims:
        axis: list[Factor] = []
        while n > 1:
            if not left:
                return None
            f = left.pop()
            if n % f.size:
                if f.size % n:
                    return None
                outer, rest = Factor(n), Factor(f.size // n)
                before = tuple(tuple(g for h in a for g in ((outer, rest) if h is f else (h,))) for a in before)
                left.append(rest)
                f = outer
            axis.append(f)
            n //= f.size
        found.append(tuple(axis))
    return None if left else (before, tuple(found))


class Chain(NamedTuple):
    """The position that a chain begins at, and the factors of its axes and of the axes at the chain's end."""

    root: int
    before: Axes
    after: Axes

    def then(self, layer: Layer, alternatives: Alternatives, x: Shape, y: Shape) -> Chain | None:
        """With one more layer at its end, which gives values in other places, or reads whole axes (a sum over them, a
        linear layer): their factors are gone; None for others, or where no factors say it (12 = 4·3 to 6·2)."""
        if len(alternatives) != 1:
            return None
        (reads,) = alternatives
        if reads is POINTWISE:
            return self if x.dims == y.dims else None
        if layer.row_major:
            return self.regrouped(y.dims)
        if any(index is not STEP and type(index) is not All for _, index in reads):
            return None
        from_axis = {out: i for i, (out, index) in enumerate(reads) if index is STEP and out is not None}
        if len(from_axis) != sum(1 for _, index in reads if index is STEP):
            return None
        made = [(Factor(n),) if n > 1 else () for n in y.dims]  # of axes that are read as a whole nothing is left
        return self._replace(after=tuple(self.after[from_axis[j]] if j in from_axis else f for j, f in enumerate(made)))

    def regrouped(self, dims: tuple[int, ...]) -> Chain | None:
        """With a row-major reshape to `dims` at its end."""
        axes = regrouped(self.before, self.after, dims)
        return axes and Chain(self.root, *axes)

    def relation(self, x: Shape, y: Shape, along: set[int]) -> Alternatives | None:
        """What the end reads of the beginning, axis by axis; None where several axes decide together.

        Args:
            along: the axes of the beginning that positions of the source lie along.
        """
        where = {id(f): j for j, axis in enumerate(self.after) for f in axis}
        found: list[tuple[int | None, Index]] = []
        for i, axis in enumerate(self.before):
            outs = {where[id(f)] for f in axis if id(f) in where} - {y.channel}
            if i not in along or i == x.channel or not axis or not outs:
                found.append((None, All(x.dims[i])))
            elif len(outs) > 1:
                return None
            else:
                (j,) = outs
                table = self._table(i, j)
                if table is None:
                    return None
                found.append((j, table))
        return (tuple(found),)

    def _table(self, i: int, j: int) -> Index | None:
        """What units of axis j of the end read of axis i of the beginning.

        The outermost factor of axis j gives the advance, the others the phases; the factors of axis i that do not lie
        along j are read as a whole. For the axis of 3 above that is ``Table(4, [[0, 1, 2, 3]])``, for the axis of 4
        ``Table(1, [[0, 4, 8]])``.
        """
        weights, below = {}, 1
        for f in reversed(self.before[i]):
            weights[id(f)] = below
            below *= f.size
        axis = self.after[j]
        own = {id(f) for f in axis}
        if axis == self.before[i]:
            return STEP
        leads = id(axis[0]) in weights  # the outermost factor goes on for ever
        inner = axis[1:] if leads else axis
        apart = [range(0, f.size * weights[id(f)], weights[id(f)]) for f in self.before[i] if id(f) not in own]
        period = prod(f.size for f in inner)
        if period * prod(map(len, apart)) > MOST_PHASES:
            return None
        union = [sum(steps) for steps in product(*apart)]
        phases = []
        for u in range(period):
            at = 0
            for f in reversed(inner):
                u, digit = divmod(u, f.size)
                at += digit * weights.get(id(f), 0)
            phases.append([at + more for more in union])
        return Table(weights[id(axis[0])] if leads else 0, phases)


def begun(walked: Shaped, position: int) -> Chain | None:
    """The chain that the reshape at a position begins; None where no factors say it."""
    node, (root,), (x,), y = walked.at(position)
    axes = tuple((Factor(n),) if n > 1 else () for n in x.dims)
    return Chain(root, axes, axes).then(node.layer, reads_of(node, (x,), y)[0], x, y)
