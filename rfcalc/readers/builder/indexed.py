"""Sums over listed positions, frames, and functions that read all of an axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rfcalc.layers.along import Along
from rfcalc.layers.general import MASKED, Constant, Elementwise
from rfcalc.layers.index_sum import IndexSum
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.moves import inserted_axis, moved, picked, regrouped
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood, Value


def summed(
    graph: Builder,
    x: Value,
    axis: int,
    rows: Sequence[Sequence[int]],
    by: int | None = None,
    length: int | None = None,
    view: bool = False,
) -> Value:
    """Sums of listed positions of an axis of the tensor, or of positions that follow a rule (`IndexSum`)."""
    if axis == x.batch:
        x = graph.plain(x)
    layer = IndexSum(graph.axis(x, axis), rows, by=by, length=length, view=view)
    count = len(rows) if length is None else length
    dims = (*x.dims[:axis], count, *x.dims[axis + 1 :])
    if not any(layer.listed(x.dims[axis])):
        here = graph.shape(x)
        at = graph.axis(x, axis)
        empty = Constant((*here.dims[:at], count, *here.dims[at + 1 :]), here.channel)
        return graph.add(empty, (), dims, x.batch, extra=x.extra, stem="zeros")
    return graph.add(layer, (x.node,), dims, x.batch, extra=x.extra)


def framed(graph: Builder, x: Value, axis: int, taps: Sequence[int], step: int, count: int) -> Value:
    """Windows of an axis side by side along it: window i holds the positions step·i + t for t in taps."""
    return summed(graph, x, axis, [[t] for t in taps], step, count * len(taps), view=min(taps) >= 0)


def folded(graph: Builder, x: Value, axis: int, size: int, step: int, first: int, gap: int, length: int) -> Value:
    """The reverse of `framed`, with taps first, first + gap, …: what windows hold of one position, added up."""
    rows = []
    for phase in range(step):
        parts = [(phase - first - gap * t, t) for t in range(size)]
        rows.append([size * (place // step) + t for place, t in parts if place % step == 0])
    return summed(graph, x, axis, rows, size, length)


def transformed(graph: Builder, x: Value, axes: Iterable[int], dims: Sequence[int]) -> Value:
    """Values of which each is made of all positions of some axes; these come out with the extents of `dims`."""
    for axis in axes:
        if axis == x.batch:
            x = graph.plain(x)
        n, m = x.dims[axis], dims[axis]
        if n == m == 1:
            continue
        made = (*x.dims[:axis], m, *x.dims[axis + 1 :])
        layer = Along("transform", graph.axis(x, axis), keep=None if n == m else m)
        x = graph.add(layer, (x.node,), made, x.batch, extra=x.extra)
    return x


def at_most(graph: Builder, x: Value) -> Value:
    """Say that units may see less than is told."""
    return graph.add(Elementwise(MASKED), (x.node,), x.dims, x.batch, extra=x.extra, helper=True)


def sampled(graph: Builder, x: Value, grid: Value | None, dims: tuple[int, ...]) -> Value:
    """What lies where a grid says, anywhere along the spatial axes; `grid`: of places last, unless it is fixed."""
    x = transformed(graph, x, range(2, len(dims)), dims)
    if grid is None:
        return at_most(graph, x)
    at = reduced(graph, grid, [-1], "sum", False, (dims[0], *dims[2:]))
    at = inserted_axis(graph, at, (dims[0], 1, *dims[2:]), at.batch, 1)
    nodes, batch, extra = graph.aligned((x, at), dims)
    return at_most(graph, graph.add(Elementwise("grid_sample"), nodes, dims, batch, extra=extra))


def diagonal(graph: Builder, x: Value, first: int, second: int, offset: int = 0) -> Value:
    """The diagonal of two axes, as a last axis."""
    if x.batch in (first, second):
        x = graph.plain(x)
    rest = [i for i in range(len(x.dims)) if i not in (first, second)]
    h, w = x.dims[first], x.dims[second]
    at = [r * w + r + offset for r in range(h) if 0 <= r + offset < w]
    if not at:
        raise NotUnderstood("of a diagonal that is not there")
    x = moved(graph, x, (*rest, first, second))
    x = regrouped(graph, x, (*x.dims[:-2], h * w), x.batch)
    return picked(graph, x, len(x.dims) - 1, at)
