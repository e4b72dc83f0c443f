"""Patches: windows that do not overlap, as axes or channels of their own."""

from __future__ import annotations

from rfcalc.layers.resample import PixelShuffle, PixelUnshuffle
from rfcalc.readers.builder.maps import mapped
from rfcalc.readers.builder.moves import moved, regrouped, sliced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.handling import OperatorCall, handles


@handles("unfold")
def unfold(call: OperatorCall) -> Value:
    """Windows of an axis, their positions along a last axis."""
    x, size, axis = call.x, call["size"], call["dimension"] % len(call.x.dims)
    if call["step"] != size:
        raise NotUnderstood("windows that overlap, or leave gaps")
    graph, count = call.graph, x.dims[axis] // size
    if axis == x.batch:
        x = graph.plain(x)
    x = sliced(graph, x, axis, 0, count * size)
    apart = (*x.dims[:axis], count, size, *x.dims[axis + 1 :])
    batch = None if x.batch is None else x.batch + (axis < x.batch)
    x = regrouped(graph, x, apart, batch)
    return moved(graph, x, (*range(axis + 1), *range(axis + 2, len(apart)), axis + 1))


def _side(call: OperatorCall) -> int:
    """The side of patches.

    Raises:
        NotUnderstood: they overlap, are padded, or are not square.
    """
    size = tuple(call["kernel_size"])
    if tuple(call["stride"]) != size or any(call["padding"]) or any(d != 1 for d in call["dilation"]):
        raise NotUnderstood("windows that overlap, leave gaps, or are padded")
    if len(set(size)) != 1:
        raise NotUnderstood("patches that are not square")
    return int(size[0])


@handles("im2col")
def im2col(call: OperatorCall) -> Value:
    graph, side = call.graph, _side(call)
    x, leading = mapped(graph, call.x, 2)
    if leading or x.batch != 0:
        raise NotUnderstood("of a merged batch")
    for axis in (2, 3):
        x = sliced(graph, x, axis, 0, x.dims[axis] // side * side)
    b, c, h, w = x.dims
    x = graph.add(PixelUnshuffle(side), (x.node,), (b, c * side * side, h // side, w // side), 0, helper=True)
    return regrouped(graph, x, call.dims, 0)


@handles("col2im")
def col2im(call: OperatorCall) -> Value:
    graph, side, x = call.graph, _side(call), call.graph.with_channels(call.x)
    b, c, h, w = call.dims
    if (h % side, w % side) != (0, 0):
        raise NotUnderstood("a border that no patch covers")
    if x.batch != 0:
        raise NotUnderstood("of a merged batch")
    x = regrouped(graph, x, (b, c * side * side, h // side, w // side), 0)
    node = graph.laid(x, x.inner, 0)
    return graph.add(PixelShuffle(side), (node,), call.dims, 0)
