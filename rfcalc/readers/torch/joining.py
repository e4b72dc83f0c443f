"""Concatenation, stacking, padding, and writing into a part of a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from rfcalc.layers.general import Constant
from rfcalc.layers.merge import Concat
from rfcalc.layers.resample import Pad
from rfcalc.readers.torch.graph import Graph, NotUnderstood, Value, inner
from rfcalc.readers.torch.layouts import ends, regrouped, sliced, widened
from rfcalc.readers.torch.products import moved
from rfcalc.readers.torch.recording import Step
from rfcalc.readers.torch.translate import Call, handles


def chained(graph: Graph, values: Sequence[Value], axis: int, dims: tuple[int, ...]) -> Value:
    """Values one after another along an axis of the tensor."""
    values = [graph.whole(v) for v in values]
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


@handles("cat", "concat", "concatenate")
def cat(call: Call) -> Value:
    tensors = [t for t in call["tensors"] if t.numel()]
    dims = call.dims
    axis = call.step.args.get("dim", 0) % len(dims)
    values = [call.graph.get(t) for t in tensors]
    return values[0] if len(values) == 1 else chained(call.graph, values, axis, dims)


@handles("stack")
def stack(call: Call) -> Value:
    graph, dims = call.graph, call.dims
    axis = call["dim"] % len(dims)
    values = []
    for t in call["tensors"]:
        v = graph.get(t)
        one = (*dims[:axis], 1, *dims[axis + 1 :])
        batch = None if v.batch is None else v.batch + (axis <= v.batch)
        values.append(regrouped(graph, v, one, batch))
    return values[0] if len(values) == 1 else chained(graph, values, axis, dims)


MODES = {"constant": "zeros", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


@handles("pad", "constant_pad_nd")
@handles(*(f"{m}_pad{r}d" for m in ("reflection", "replication") for r in (1, 2, 3)))
def pad(call: Call) -> Value:
    name, args = call.step.name, call.step.args
    given = args.get("pad", args.get("padding"))
    mode = args.get("mode", "constant")
    if name.startswith("refl"):
        mode = "reflect"
    elif name.startswith("repl"):
        mode = "replicate"
    graph, x = call.graph, call.graph.whole(call.x)
    n = len(x.dims)
    pairs = [(0, 0)] * n
    for k in range(len(given) // 2):
        pairs[n - 1 - k] = (int(given[2 * k]), int(given[2 * k + 1]))
    if x.batch is not None and pairs[x.batch] != (0, 0):
        x = graph.plain(x)
    channel = _tensor_axis(x, graph.shape(x).channel)
    if pairs[channel] != (0, 0):
        if mode != "constant" or min(pairs[channel]) < 0:
            raise NotUnderstood(f"{mode} along the channels")
        x = _extended(graph, x, channel, pairs[channel])
    if any(p != (0, 0) for i, p in enumerate(pairs) if i != channel):
        x = _padded(graph, x, channel, pairs, MODES[mode])
    return x


def _tensor_axis(x: Value, core: int) -> int:
    """The axis of the tensor that an axis of its map is."""
    return core + (x.batch is not None and x.batch <= core)


def _extended(graph: Graph, x: Value, axis: int, pair: tuple[int, int]) -> Value:
    """Zeros before and after the channels, as maps that are joined to it."""
    parts = [x]
    for at, n in ((0, pair[0]), (len(parts), pair[1])):
        if n:
            dims = (*x.dims[:axis], n, *x.dims[axis + 1 :])
            zeros = graph.add(Constant(inner(dims, x.batch)), (), dims, x.batch, stem="zeros", helper=True)
            parts.insert(len(parts) if at else 0, zeros)
    full = (*x.dims[:axis], x.dims[axis] + sum(pair), *x.dims[axis + 1 :])
    return chained(graph, parts, axis, full)


def _padded(graph: Graph, x: Value, channel: int, pairs: list[tuple[int, int]], mode: str) -> Value:
    """Padding of the spatial axes; a map with its channels elsewhere has them first meanwhile."""
    order = [i for i in range(len(x.dims)) if i not in (x.batch, channel)]
    first = [channel, *order] if x.batch is None else [x.batch, channel, *order]
    y = moved(graph, x, tuple(first))
    dims = tuple(x.dims[i] + (sum(pairs[i]) if i != channel else 0) for i in first)
    made = graph.add(Pad(tuple(pairs[i] for i in order), mode), (y.node,), dims, y.batch)
    return moved(graph, made, tuple(first.index(i) for i in range(len(first))))


@handles("copy")
def copy(call: Call) -> Value:
    """Written over as a whole."""
    graph = call.graph
    x = graph.get(call["src"])
    dims = tuple(int(n) for n in call["self"].shape)
    return widened(graph, x, dims) if x.dims != dims else x


def inserted(graph: Graph, base: Value, how: Step, new: Value) -> Value:
    """The base of a view after the view was written to: what is before it, the new part, what is after it.

    Raises:
        NotUnderstood: views that are no slices with step 1.
    """
    args = how.args
    if how.name in ("view", "reshape", "flatten", "unsqueeze", "squeeze"):
        return regrouped(graph, new, base.dims, base.batch)
    if how.name == "slice" and args["step"] == 1:
        axis = args["dim"] % len(base.dims)
        low, high = ends(args["start"], args["end"], base.dims[axis])
    elif how.name == "select":
        axis = args["dim"] % len(base.dims)
        low = int(args["index"]) % base.dims[axis]
        high = low + 1
        one = (*base.dims[:axis], 1, *base.dims[axis + 1 :])
        new = regrouped(graph, new, one, base.batch)
    else:
        raise NotUnderstood(f"it writes through {how.name}")
    if (low, high) == (0, base.dims[axis]):
        return new
    parts = []
    if low:
        parts.append(sliced(graph, base, axis, 0, low))
    parts.append(new)
    if high < base.dims[axis]:
        parts.append(sliced(graph, base, axis, high, base.dims[axis]))
    return chained(graph, parts, axis, base.dims)


__all__ = ["prod", "torch"]
