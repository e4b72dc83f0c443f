"""Joining tensors along an axis, and padding them."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.layers.general import Constant
from rfcalc.layers.merge import Concat
from rfcalc.layers.resample import Pad
from rfcalc.layers.slice import Slice
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.moves import moved
from rfcalc.readers.builder.values import NotUnderstood, Value, inner


def chained(graph: Builder, values: Sequence[Value], axis: int, dims: tuple[int, ...]) -> Value:
    """Values one after another along an axis of the tensor."""
    values = [graph.with_channels(v) for v in values]
    at = {v.batch for v in values if v.batch is not None}
    batch = at.pop() if len(at) == 1 else None
    if batch is not None and (batch == axis or any(v.dims[batch] != 1 for v in values)):
        batch = None
    if batch is None:
        values = [graph.plain(v) for v in values]
    lead = max(values, key=lambda v: (bool(graph.carriers[v.node]), graph.shape(v).values))
    channel = graph.shape(lead).channel
    nodes = [graph.laid(v, inner(v.dims, batch), channel) for v in values]
    core = axis - (batch is not None and batch < axis)
    return graph.add(Concat(None if core == channel else core), nodes, dims, batch)


def bordered(graph: Builder, values: Sequence[Value], axis: int) -> tuple[Value, tuple[int, int], str] | None:
    """A tensor between parts that stand for padding, along an axis of positions: the tensor, how much is before and
    after it, and the mode: fixed values (as zeros), or its own first and last position again."""
    moving = [i for i, v in enumerate(values) if graph.carriers[v.node]]
    lead = max(moving, key=lambda i: values[i].dims[axis], default=None)
    if lead is None:
        return None
    x = values[lead]
    if x.extra or axis == x.batch or graph.axis(x, axis) not in graph.carriers[x.node]:
        return None
    sides = {_border(graph, v, x, axis, i < lead) for i, v in enumerate(values) if i != lead}
    if len(sides) != 1 or (mode := sides.pop()) is None:
        return None
    before = sum(v.dims[axis] for v in values[:lead])
    return x, (before, sum(v.dims[axis] for v in values[lead + 1 :])), mode


def _border(graph: Builder, v: Value, x: Value, axis: int, before: bool) -> str | None:
    """How a part beside a tensor pads it; None where it does not."""
    made = graph.nodes[v.node - len(graph.inputs)] if v.node >= len(graph.inputs) else None
    if made is None:
        return None
    if isinstance(made.layer, Constant) and not made.inputs:
        return "zeros"
    layer, at = made.layer, 0 if before else x.dims[axis] - 1
    if not isinstance(layer, Slice) or made.inputs != (x.node,) or v.dims[axis] != 1 or v.batch != x.batch:
        return None
    first = (layer.start or 0) % x.dims[axis]
    return "replicate" if layer.axis == graph.axis(x, axis) and first == at else None


def _tensor_axis(x: Value, core: int) -> int:
    """The axis of the tensor that an axis of its map is."""
    return core + (x.batch is not None and x.batch <= core)


def _extended(graph: Builder, x: Value, axis: int, pair: tuple[int, int]) -> Value:
    """Zeros before and after the channels, as maps that are joined to it."""
    parts = [x]
    for at, n in ((0, pair[0]), (len(parts), pair[1])):
        if n:
            dims = (*x.dims[:axis], n, *x.dims[axis + 1 :])
            zeros = graph.add(Constant(inner(dims, x.batch)), (), dims, x.batch, stem="zeros", helper=True)
            parts.insert(len(parts) if at else 0, zeros)
    full = (*x.dims[:axis], x.dims[axis] + sum(pair), *x.dims[axis + 1 :])
    return chained(graph, parts, axis, full)


def _around(graph: Builder, x: Value, channel: int, pairs: list[tuple[int, int]], mode: str) -> Value:
    """Padding of the spatial axes; a map with its channels elsewhere has them first meanwhile."""
    order = [i for i in range(len(x.dims)) if i not in (x.batch, channel)]
    first = [channel, *order] if x.batch is None else [x.batch, channel, *order]
    y = moved(graph, x, tuple(first))
    dims = tuple(x.dims[i] + (sum(pairs[i]) if i != channel else 0) for i in first)
    made = graph.add(Pad(tuple(pairs[i] for i in order), mode), (y.node,), dims, y.batch)
    return moved(graph, made, tuple(first.index(i) for i in range(len(first))))


def padded(graph: Builder, x: Value, pairs: Sequence[tuple[int, int]], mode: str) -> Value:
    """A tensor with so much before and after each of its axes."""
    if x.extra:  # a signal, of which no axis counts channels
        at = 0 if x.batch is None else x.batch + 1
        wide = Value(x.node, (*x.dims[:at], 1, *x.dims[at:]), x.batch)
        made = padded(graph, wide, [*pairs[:at], (0, 0), *pairs[at:]], mode)
        return Value(made.node, (*made.dims[:at], *made.dims[at + 1 :]), made.batch, True)
    if x.batch is not None and pairs[x.batch] != (0, 0):
        x = graph.plain(x)
    channel = _tensor_axis(x, graph.shape(x).channel)
    if pairs[channel] != (0, 0):
        if mode != "zeros" or min(pairs[channel]) < 0:
            raise NotUnderstood(f"{mode} along the channels")
        x = _extended(graph, x, channel, pairs[channel])
    if any(p != (0, 0) for i, p in enumerate(pairs) if i != channel):
        x = _around(graph, x, channel, list(pairs), mode)
    return x
