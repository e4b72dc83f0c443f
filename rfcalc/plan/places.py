"""Where an axis of the image lies in a map whose values were laid out in other extents (windows, patches, tokens).

A view keeps the row-major order of the values, so that every axis is a run of digits of a position's number: an axis of
n positions whose neighbours lie s values apart stands for the digits between s and s·n. A new axis holds all of them,
together with digits of others (tokens: rows and columns along one axis), or a part of them, the leading ones (windows:
which window), while the others (the place within a window) belong to the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from rfcalc.core.layer import POINTWISE
from rfcalc.core.shape import Shape
from rfcalc.core.window import STEP, Listed, Slide, Table
from rfcalc.graph.forward import reads_of
from rfcalc.graph.network import Network


class Place(NamedTuple):
    """The axis of a map along which positions of the image lie: number b·(length·after) + u·after + a holds position u.

    Attributes:
        axis: the axis of the map.
        before, after: how many positions of others lie around (slower, faster) those of the image.
        mirrored: whether they lie from the last to the first (behind a flip).
    """

    axis: int
    before: int = 1
    after: int = 1
    mirrored: bool = False

    def length(self, shape: Shape) -> Any:
        """How many positions of the image there are."""
        n, others = shape.dims[self.axis], self.before * self.after
        return n if others == 1 else n // others


def laid_out(place: Place, x: Shape, y: Shape, wanted: Place | None = None) -> tuple[Place, Slide | Table] | None:
    """Where the positions lie after a view, and which positions a new one reads; None where no new axis has them.

    Args:
        place: where they lay before.
        x, y: the map before and after.
        wanted: where they lie in the whole image; decides where one window, or one position, leaves a choice.

    >>> laid_out(Place(1), Shape(8, 32, 48), Shape(8, 1536))  # rows and columns as tokens
    (Place(axis=1, before=1, after=48, mirrored=False), Slide(1, 0, 1, 1, 'zeros'))
    >>> laid_out(Place(1), Shape(8, 32, 48), Shape(8, 4, 8, 48))  # windows of 8 rows
    (Place(axis=1, before=1, after=1, mirrored=False), Table(8, [[0, 1, 2, 3, 4, 5, 6, 7]], 'zeros'))
    """
    step = place.after * prod(map(int, x.dims[place.axis + 1 :]))
    length = int(place.length(x))
    top = step * length
    ends = [prod(map(int, y.dims[k + 1 :])) for k in range(len(y.dims))]  # the digits of axis k begin there
    begin = max((e for e in ends if step < e < top), default=step)
    if wanted is not None and begin == step and length > 1 and y.dims[wanted.axis] == 1 and ends[wanted.axis] == top:
        begin = top  # one window
    if begin % step or top % begin:
        return None
    around = [(k, begin // e, e * int(n) // top) for k, (e, n) in enumerate(zip(ends, y.dims, strict=True))]
    found = [
        place._replace(axis=k, before=b, after=a)
        for k, a, b in around
        if a * ends[k] == begin and b * top == ends[k] * int(y.dims[k])
    ]
    if not found:
        return None
    chosen = next((p for p in found if wanted is not None and p.axis == wanted.axis), None)
    alone = next((p for p in found if p.before == p.after == 1), found[-1])
    per = begin // step
    return chosen or alone, Table(per, [range(per)]) if per > 1 else STEP


def flips(index: Any, n: int) -> bool:
    """Whether an index reads all of n positions from the last to the first."""
    return (
        isinstance(index, Listed)
        and len(index.units) == n > 1
        and all(len(at) == 1 and at[0] == n - 1 - u for u, at in enumerate(index.units))
    )


def mirrored(index: Slide | Table, n: int, m: int) -> Slide | Table:
    """What units read, counted from the other end of a map of n positions, and of the m of the new one.

    >>> mirrored(Slide(2, 0, 3), 9, 4).taps(0), mirrored(Slide(2, 0, 3), 10, 4).taps(0)
    (range(0, 3), range(1, 4))
    """
    if isinstance(index, Slide):
        first = n - 1 - index.stride * (m - 1) - index.first - index.dilation * (index.kernel - 1)
        return Slide(index.stride, first, index.kernel, index.dilation, index.border)
    phases = [[n - 1 - t for t in index.taps(m - 1 - u)] for u in range(index.period)]
    return Table(index.advance, phases, index.border)


def places(network: Network, shapes: Sequence[Shape], axis: int) -> list[Place | None]:
    """Where an axis of the image lies in every map, as far as it can be followed."""
    rank = max(x.rank for x in shapes[: network.arity])
    found: list[Place | None] = [None] * len(shapes)
    for position, y in enumerate(shapes):
        if position < network.arity:
            found[position] = Place(y.axes[axis]) if y.rank == rank else None
            continue
        node, sources = network.nodes[position - network.arity], network.sources[position - network.arity]
        if all(found[s] is None for s in sources) or node.layer.opaque:
            continue
        xs = tuple([shapes[s] for s in sources])
        if node.layer.row_major:
            place = found[sources[0]]
            assert place is not None
            new = laid_out(place, xs[0], y)
            found[position] = None if new is None else new[0]
            continue
        for s, alternatives in zip(sources, reads_of(node, xs, y), strict=True):
            place = found[s]
            if place is None or not alternatives:
                continue
            out, index = (place.axis, STEP) if alternatives[0] is POINTWISE else alternatives[0][place.axis]
            if out is not None:
                found[position] = place._replace(axis=out) if index == STEP else Place(out)
                break
    return found
