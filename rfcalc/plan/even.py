"""Constants whose positions are all alike along an axis: what is added or joined to a stream at any length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rfcalc.core.layer import POINTWISE
from rfcalc.core.shape import Shape
from rfcalc.core.window import STEP, All
from rfcalc.graph.forward import Shaped, reads_of


def placed(alternatives: Any, x: Shape, out: int) -> set[int]:
    """The axes of a map along which the units of its reader along an axis read positions of their own."""
    found = set()
    for alternative in alternatives:
        pairs = [(axis, STEP) for axis in range(len(x.dims))] if alternative == POINTWISE else alternative
        for axis, ((o, index), n) in enumerate(zip(pairs, x.dims, strict=True)):
            if o == out and n > 1 and not isinstance(index, All):
                found.add(axis)
    return found


def even(walked: Shaped, position: int, axis: int) -> bool:
    """Whether a map that depends on no position of the input has the same values all along one of its axes: it was
    made from one position (`expand`), position by position from what is alike, or says so itself (zeros, ones)."""
    network, y = walked.network, walked.shapes[position]
    if y.dims[axis] == 1:
        return True
    if position < network.arity:
        return False
    node, sources = network.nodes[position - network.arity], network.sources[position - network.arity]
    xs, layer = walked.input_shapes(position), node.layer
    if layer.even(axis):
        return True
    if not sources or layer.opaque or layer.unstreamed[0] or layer.cost(xs, y).params:
        return False
    for s, x, told in zip(sources, xs, reads_of(node, xs, y), strict=True):
        for alternative in told:
            pairs = [(i, STEP) for i in range(len(y.dims))] if alternative == POINTWISE else alternative
            mine = [(i, index) for i, (o, index) in enumerate(pairs) if o == axis]
            if len(mine) != 1:
                return False
            ((along, index),) = mine
            spread = x.dims[along] == 1 and isinstance(index, All)
            if not spread and (index != STEP or not even(walked, s, along)):
                return False
    return True


def widened(along: Mapping[int, int], sources: Sequence[int], xs: tuple[Shape, ...], length: int) -> tuple[Shape, ...]:
    """The shapes of what a node reads, where constants whose positions are alike are as long as the rest.

    Args:
        along: of such constants the axis, by their position.
    """
    if not along:
        return xs
    return tuple([with_length(x, along[s], length) if s in along else x for s, x in zip(sources, xs, strict=True)])


def with_length(shape: Shape, axis: int, length: int) -> Shape:
    if shape.dims[axis] == length:
        return shape
    return Shape(*shape.dims[:axis], length, *shape.dims[axis + 1 :], channel=shape.channel)


def width(shape: Shape, axis: int) -> int:
    """Values at one position of an axis."""
    width = 1
    for i, n in enumerate(shape.dims):
        width *= 1 if i == axis else n
    return width
