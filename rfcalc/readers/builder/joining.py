"""Joining tensors along an axis, and padding them."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.layer import VIEW
from rfcalc.core.lengths import as_written
from rfcalc.core.window import STEP, All, Listed, Slide
from rfcalc.layers.general import Constant
from rfcalc.layers.merge import Concat
from rfcalc.layers.resample import Pad
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
    if batch is not None and lead.batch is None:  # its first axis of one is taken for the batch of the others
        if channel == batch:
            return chained(graph, [graph.plain(v) for v in values], axis, dims)
        channel -= channel > batch
    nodes = [graph.laid(v, inner(v.dims, batch), channel) for v in values]
    core = axis - (batch is not None and batch < axis)
    return graph.add(Concat(None if core == channel else core), nodes, dims, batch)


def bordered(graph: Builder, values: Sequence[Value], axis: int) -> tuple[Value, tuple[int, int], str] | None:
    """A tensor between parts that stand for padding, along an axis of positions: the tensor, how much is before and
    after it, and the mode: fixed values (as zeros), or its own positions again, as a border of a convolution has
    them."""
    moving = [i for i, v in enumerate(values) if graph.carriers[v.node]]
    lead = max(moving, key=lambda i: values[i].dims[axis], default=None)
    if lead is None:
        return None
    x = values[lead]
    if x.extra or axis == x.batch or graph.axis(x, axis) not in graph.carriers[x.node]:
        return None
    pair = (sum(v.dims[axis] for v in values[:lead]), sum(v.dims[axis] for v in values[lead + 1 :]))
    if not any(pair):
        return None
    beside = [v for i, v in enumerate(values) if i != lead]
    if all(_is_fixed(graph, v) for v in beside):
        return x, pair, "zeros"
    n, found, known = x.dims[axis], list[int](), dict[int, Sequence[int] | None]()
    for v in values:
        held = range(n) if v is x else _positions(graph, v.node, x.node, graph.axis(x, axis), known)
        if v.batch != x.batch or held is None:
            return None
        found += held
    places = range(-pair[0], n + pair[1])
    if found == [min(max(p, 0), n - 1) for p in places]:
        return x, pair, "replicate"
    if max(pair) < n and found == [n - 1 - abs(n - 1 - abs(p)) for p in places]:
        return x, pair, "reflect"
    return (x, pair, "circular") if max(pair) < n and found == [p % n for p in places] else None


def _is_fixed(graph: Builder, v: Value) -> bool:
    """Whether it is a fixed map, or a part of one."""
    node = v.node
    while node >= len(graph.inputs):
        made = graph.nodes[node - len(graph.inputs)]
        if made.layer.memory != VIEW or len(made.inputs) != 1:
            return made.layer.stored == "fixed" and not made.inputs
        (node,) = made.inputs
    return False


def along(graph: Builder, values: list[Value], axis: int, dims: tuple[int, ...]) -> Value:
    """Values one after another along an axis; parts that stand for padding are padding."""
    if len(values) == 1:
        return values[0]
    around = bordered(graph, values, axis)
    if around is not None:
        lead, pair, mode = around
        return padded(graph, lead, [pair if i == axis else (0, 0) for i in range(len(dims))], mode)
    return chained(graph, values, axis, dims)


def _positions(
    graph: Builder, node: int, root: int, axis: int, known: dict[int, Sequence[int] | None]
) -> Sequence[int] | None:
    """Which positions of an axis of an earlier node another one holds, which has the same axes and nothing else.

    Args:
        known: those of other nodes; filled.
    """
    if node not in known:
        known[node] = _positions_of(graph, node, root, axis, known)
    return known[node]


def _positions_of(
    graph: Builder, node: int, root: int, axis: int, known: dict[int, Sequence[int] | None]
) -> Sequence[int] | None:
    if node == root:
        return range(graph.shapes[root].dims[axis])
    if node < len(graph.inputs):
        return None
    made = graph.nodes[node - len(graph.inputs)]
    layer, y = made.layer, graph.shapes[node]
    xs = tuple([graph.shapes[i] for i in made.inputs])
    if layer.joins_along(y) == axis:
        parts = [_positions(graph, i, root, axis, known) for i in made.inputs]
        return None if None in parts else [p for part in parts for p in part or ()]
    read = [i for i in made.inputs if graph.carriers[i]]
    if len(read) != 1 or layer.row_major or not (layer.memory == VIEW or layer.repeats or layer.picks):
        return None
    held = _positions(graph, read[0], root, axis, known)
    told = (layer.apart(xs, y) or layer.reads(xs, y))[made.inputs.index(read[0])]
    if held is None or len(told) != 1:
        return None
    reads = told[0] or tuple((i, STEP) for i in range(len(y.dims)))
    if any(i != axis and not (out == i and index is STEP) for i, (out, index) in enumerate(reads)):
        return None
    out, index = reads[axis]
    if isinstance(index, All) and index.extent == 1:  # one position, broadcast
        return [*held] * y.dims[axis]
    if out != axis or not isinstance(index, (Slide, Listed)):
        return None
    taps = [tuple(index.taps(u)) for u in range(y.dims[axis])]
    return [held[p] for (p,) in taps] if all(len(one) == 1 for one in taps) else None


def _tensor_axis(x: Value, core: int) -> int:
    """The axis of the tensor that an axis of its map is."""
    return core + (x.batch is not None and x.batch <= core)


def _extended(graph: Builder, x: Value, axis: int, pair: tuple[int, int]) -> Value:
    """Zeros before and after the channels, as maps that are joined to it."""
    parts = [x]
    for at, n in ((0, pair[0]), (len(parts), pair[1])):
        if n:
            dims = (*x.dims[:axis], n, *x.dims[axis + 1 :])
            zeros = graph.add(
                Constant(inner(dims, x.batch), uniform=True), (), dims, x.batch, stem="zeros", helper=True
            )
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
    others = [p for i, p in enumerate(pairs) if i not in (x.batch, channel)]
    if any(p != (0, 0) for p in others) or (others and as_written()):
        x = _around(graph, x, channel, list(pairs), mode)
    return x
