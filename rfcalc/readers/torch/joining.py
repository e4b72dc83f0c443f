"""Concatenation, stacking, padding, and writing into a part of a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from rfcalc.layers.general import Elementwise
from rfcalc.readers.builder.joining import along, chained, padded
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import ends, moved, regrouped, sliced, widened
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.builder.writing import written
from rfcalc.readers.torch.fixed import known
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.recording import Operation
from rfcalc.readers.torch.tensors import TensorBuilder


@handles("cat", "concat", "concatenate")
def cat(call: OperatorCall) -> Value:
    tensors = [t for t in call["tensors"] if t.numel()]
    dims = call.dims
    axis = call.step.args.get("dim", 0) % len(dims)
    return along(call.graph, [call.graph.get(t) for t in tensors], axis, dims)


@handles("hstack", "vstack", "dstack")
def stacked(call: OperatorCall) -> Value:
    """As `cat`, along an axis that the name says."""
    graph, dims = call.graph, call.dims
    axis = {"hstack": min(1, len(dims) - 1), "vstack": 0, "dstack": 2}[call.step.name]
    values = [graph.get(t) for t in call["tensors"]]
    if any(len(v.dims) != len(dims) for v in values):
        raise NotUnderstood("of tensors with fewer axes")
    return along(graph, values, axis, dims)


@handles("diff")
def difference(call: OperatorCall) -> Value:
    """Each position less the one before it, so many times; what is put before and after is joined to it first."""
    graph, args = call.graph, call.step.args
    axis = call["dim"] % len(call["self"].shape)
    given = [t for t in (args.get("prepend"), call["self"], args.get("append")) if t is not None and t.numel()]
    values = [graph.get(t) for t in given]
    whole = sum(v.dims[axis] for v in values)
    dims = tuple(whole if i == axis else n for i, n in enumerate(call.dims))
    x = along(graph, values, axis, dims)
    for _ in range(call["n"]):
        n = x.dims[axis]
        dims = (*dims[:axis], n - 1, *dims[axis + 1 :])
        nodes, batch, extra = graph.aligned((sliced(graph, x, axis, 1, n), sliced(graph, x, axis, 0, n - 1)), dims)
        x = graph.add(Elementwise("sub"), nodes, dims, batch, extra=extra)
    return x


@handles("stack")
def stack(call: OperatorCall) -> Value:
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
def pad(call: OperatorCall) -> Value:
    name, args = call.step.name, call.step.args
    given = args.get("pad", args.get("padding"))
    mode = args.get("mode", "constant")
    if name.startswith("refl"):
        mode = "reflect"
    elif name.startswith("repl"):
        mode = "replicate"
    n = len(call.x.dims)
    pairs = [(0, 0)] * n
    for k in range(len(given) // 2):
        pairs[n - 1 - k] = (int(given[2 * k]), int(given[2 * k + 1]))
    return padded(call.graph, call.x, pairs, MODES[mode])


@handles("copy")
def copy(call: OperatorCall) -> Value:
    """Written over as a whole."""
    graph = call.graph
    x = graph.get(call["src"])
    dims = tuple(int(n) for n in call["self"].shape)
    return widened(graph, x, dims) if x.dims != dims else x


@handles("index_put", "_index_put_impl")
def index_put(call: OperatorCall) -> Value:
    """``x[mask] = number``, or values at fixed positions of one axis."""
    graph, indices, new = call.graph, call["indices"], call["values"]
    if new.numel() == 0 or any(i is not None and i.numel() == 0 for i in indices):
        return call.x  # nothing is written
    given = [(axis, i) for axis, i in enumerate(indices) if i is not None]
    if len(given) != 1 or call["accumulate"]:
        raise NotUnderstood("at places of several axes, or added up")
    ((axis, index),) = given
    x = call.x
    if index.dtype == torch.bool:
        if new.numel() != 1 or not graph.is_static(new):
            raise NotUnderstood("several values where a mask is set")
        if graph.is_static(index) and not graph.leaves(index):
            return alone(graph, x, Elementwise("masked_fill"))
        if axis:
            raise NotUnderstood("where a mask is set that depends on the input")
        full = graph.get(index)
        wide = regrouped(graph, full, (*full.dims, *(1,) * (len(x.dims) - len(full.dims))), full.batch)
        nodes, batch, extra = graph.aligned((x, wide), x.dims)
        return graph.add(Elementwise("masked_fill"), nodes, x.dims, batch, extra=extra)
    found = known(graph, index)
    if found is None or found.dim() != 1:
        raise NotUnderstood("at positions that depend on the input")
    n = x.dims[axis]
    places: list[Sequence[int]] = [range(m) for m in x.dims]
    places[axis] = [int(p) % n for p in found.tolist()]
    part = tuple(len(p) for p in places)
    value = graph.get(new)
    return written(graph, x, places, widened(graph, value, part) if value.dims != part else value)


def inserted(graph: TensorBuilder, base: Value, how: Operation, new: Value, view: Any) -> Value:
    """The base of a view after the view was written to: what is before it, the new part, what is after it.

    Args:
        view: the tensor that was written to, one of the results of `how`.

    Raises:
        NotUnderstood: views that are no slices.
    """
    args = how.args
    if how.name in ("view", "reshape", "flatten", "unsqueeze", "squeeze"):
        return regrouped(graph, new, base.dims, base.batch)
    if how.name in ("transpose", "permute", "t", "mT", "swapaxes", "swapdims"):
        order = _order(how, len(base.dims))
        return moved(graph, new, tuple(order.index(i) for i in range(len(order))))
    places: list[range] = [range(n) for n in base.dims]
    if how.name in ("slice", "narrow"):
        axis = args["dim"] % len(base.dims)
        if how.name == "narrow":
            low, step = int(args["start"]) % base.dims[axis], 1
            high = low + int(args["length"])
        else:
            (low, high), step = ends(args["start"], args["end"], base.dims[axis]), args["step"]
        places[axis] = range(low, high, step)
    elif how.name in _PARTS:
        axis = args.get("dim", 0) % len(base.dims)
        at = next(i for i, part in enumerate(how.out) if part is view)
        low = sum(int(part.shape[axis]) for part in how.out[:at])
        places[axis] = range(low, low + int(view.shape[axis]))
    elif how.name in ("select", "unbind"):
        axis = args["dim"] % len(base.dims)
        one_of = next(i for i, part in enumerate(how.out) if part is view) if how.name == "unbind" else args["index"]
        low = int(one_of) % base.dims[axis]
        places[axis] = range(low, low + 1)
        one = (*base.dims[:axis], 1, *base.dims[axis + 1 :])
        new = regrouped(graph, new, one, base.batch)
    else:
        raise NotUnderstood(f"it writes through {how.name}")
    return written(graph, base, places, new)


_PARTS = ("split", "split_with_sizes", "chunk", "tensor_split")


def _order(how: Operation, rank: int) -> list[int]:
    """Which axis of its input each axis of a permutation's result is."""
    if how.name == "permute":
        return [int(d) % rank for d in how.args["dims"]]
    order = list(range(rank))
    pair = [int(v) for k, v in how.args.items() if k in ("dim0", "dim1", "axis0", "axis1")] or [-1, -2]
    order[pair[0]], order[pair[1]] = order[pair[1]], order[pair[0]]
    return order
