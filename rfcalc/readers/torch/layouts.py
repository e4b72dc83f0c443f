"""Views: reshaping, permuting, slicing, and what else moves values without computing."""

from __future__ import annotations

from math import prod

import torch

from rfcalc.core.lengths import watching
from rfcalc.layers.general import Constant, Elementwise
from rfcalc.layers.slice import ChannelShuffle, Roll
from rfcalc.readers.builder.indexed import at_most, summed
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import (
    batch_after,
    ends,
    inserted_axis,
    moved,
    picked,
    regrouped,
    repeated_along,
    repeated_each,
    selected,
    sliced,
    stretched,
    widened,
    without,
)
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.fixed import known
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.indices import picked_anywhere
from rfcalc.readers.torch.recorder import memory_of
from rfcalc.readers.torch.tensors import TensorBuilder


@handles("view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as", "_reshape_alias")
def view(call: OperatorCall) -> Value:
    x = call.x
    return regrouped(call.graph, x, call.dims, batch_after(x, call.dims, call.step.merging))


@handles("unsqueeze")
def unsqueeze(call: OperatorCall) -> Value:
    x, dims = call.x, call.dims
    at = call["dim"] % len(dims)
    batch = None if x.batch is None else x.batch + (at <= x.batch)
    return inserted_axis(call.graph, x, dims, batch, at)


@handles("squeeze")
def squeeze(call: OperatorCall) -> Value:
    x, graph = call.x, call.graph
    given = call.step.args.get("dim")
    every = range(len(x.dims)) if given is None else given if isinstance(given, (list, tuple)) else [given]
    gone = {d % len(x.dims) for d in every if x.dims[d] == 1} if x.dims else set()
    return without(graph, x, gone, call.dims)


@handles("permute", "movedim", "moveaxis")
def permute(call: OperatorCall) -> Value:
    x = call.x
    if call.step.name != "permute":
        source, target = call["source"], call["destination"]
        source = [source] if isinstance(source, int) else source
        target = [target] if isinstance(target, int) else target
        n = len(x.dims)
        order = [i for i in range(n) if i not in [s % n for s in source]]
        for t, s in sorted((t % n, s % n) for t, s in zip(target, source, strict=True)):
            order.insert(t, s)
    else:
        order = [d % len(x.dims) for d in call["dims"]]
    return moved(call.graph, x, tuple(order))


@handles("transpose", "t", "numpy_T", "mT", "swapaxes", "swapdims", "adjoint")
def transpose(call: OperatorCall) -> Value:
    x, args = call.x, call.step.args
    n = len(x.dims)
    if n < 2:
        return x
    order = list(range(n))
    if call.step.name.rstrip("_") in ("t", "numpy_T"):
        return moved(call.graph, x, tuple(reversed(order)))
    a, b = -1, -2
    pair = [v for k, v in args.items() if k in ("dim0", "dim1", "axis0", "axis1")]
    if pair:
        a, b = pair
    order[a], order[b] = order[b], order[a]
    return moved(call.graph, x, tuple(order))


@handles("clone", "_to_copy", "to", "type_as", "_conj", "view_as_real_copy")
def copied(call: OperatorCall) -> Value:
    before = call["self"]
    if before.dtype == call.step.out.dtype:
        return call.x
    return alone(call.graph, call.x, Elementwise("cast"))


@handles("slice", "narrow")
def cut(call: OperatorCall) -> Value:
    x, args = call.x, call.step.args
    axis = args["dim"] % len(x.dims)
    if call.step.name == "narrow":
        return sliced(call.graph, x, axis, int(args["start"]), int(args["start"]) + args["length"])
    low, high = ends(args["start"], args["end"], x.dims[axis])
    return sliced(call.graph, x, axis, low, high, args["step"])


@handles("select")
def select(call: OperatorCall) -> Value:
    x = call.x
    axis = call["dim"] % len(x.dims)
    at = int(call["index"]) % x.dims[axis]
    return selected(call.graph, x, axis, at, call.dims)


@handles("unbind")
def unbind(call: OperatorCall) -> list[Value]:
    x = call.x
    axis = call["dim"] % len(x.dims)
    return [selected(call.graph, x, axis, i, call.dims) for i in range(x.dims[axis])]


@handles("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk")
@handles("hsplit", "vsplit", "dsplit")
def parts(call: OperatorCall) -> list[Value | None]:
    x = call.x
    given = {"hsplit": min(1, len(x.dims) - 1), "dsplit": 2}.get(call.step.name, call.step.args.get("dim", 0))
    axis = given % len(x.dims)
    found, start = list[Value | None](), 0
    for out in call.step.out:
        length = int(out.shape[axis])
        found.append(sliced(call.graph, x, axis, start, start + length) if length else None)
        start += length
    return found


@handles("expand", "expand_as", "broadcast_to")
def expand(call: OperatorCall) -> Value:
    return widened(call.graph, call.x, call.dims)


@handles("repeat", "tile")
def repeat(call: OperatorCall) -> Value:
    graph, x, dims = call.graph, call.x, call.dims
    times = list(call.step.args.get("repeats", call.step.args.get("dims")))
    return repeated_along(graph, x, times, dims)


@handles("repeat_interleave")
def repeated(call: OperatorCall) -> Value:
    """Each position of an axis so many times: an axis of one after it, broadcast, and merged with it."""
    graph, x, times, axis = call.graph, call.x, call.step.args.get("repeats"), call.step.args.get("dim")
    if axis is None:
        if len(x.dims) != 1:
            raise NotUnderstood("of all values")
        axis = 0
    if not isinstance(times, int):
        found = _positions(call, call["repeats"]).expand(x.dims[axis]).tolist()
        if len(set(found)) == 1:
            return repeated_each(graph, x, axis % len(x.dims), found[0])
        return picked(graph, x, axis % len(x.dims), [p for p, n in enumerate(found) for _ in range(n)])
    return repeated_each(graph, x, axis % len(x.dims), times)


@handles("index_select")
def taken(call: OperatorCall) -> Value:
    """Positions of one axis."""
    if not call.graph.is_static(call["index"]):
        return picked_anywhere(call, call.x, call["dim"] % len(call.x.dims), call["index"])
    return _picked_by(
        call.graph, call.x, call["dim"] % len(call.x.dims), _positions(call, call["index"]), call["index"]
    )


@handles("index")
def indexed(call: OperatorCall) -> Value:
    """Fixed positions of one axis; of axes side by side, each by itself (as `ix_` of numpy)."""
    graph, x = call.graph, call.x
    given = [(axis, t) for axis, t in enumerate(call["indices"]) if t is not None]
    axes = [axis for axis, _ in given]
    if len(given) == 1:
        ((axis, index),) = given
        if not graph.is_static(index) and index.dtype != torch.bool:
            return picked_anywhere(call, x, axis, index)
        if index.dtype == torch.bool:
            return _where_set(call, x, axis, index)
        positions = _positions(call, index)
        x = _picked_by(graph, x, axis, positions, index)
        if positions.dim() == 1:
            return x
        batch = x.batch if x.batch is None or x.batch < axis else x.batch + positions.dim() - 1
        return regrouped(graph, x, call.dims, batch)
    rank = max(t.dim() for _, t in given)
    if axes != list(range(axes[0], axes[0] + len(given))) or any(t.dtype == torch.bool for _, t in given):
        raise NotUnderstood("by several tensors of axes that do not lie side by side, or by flags")
    wide = [(1,) * (rank - t.dim()) + tuple(t.shape) for _, t in given]
    if rank == len(given) and all(n == 1 for k, own in enumerate(wide) for i, n in enumerate(own) if i != k):
        for axis, index in given:
            x = _picked_by(graph, x, axis, _positions(call, index).reshape(-1), index)
        return x
    return _picked_together(call, x, axes, [_positions(call, index) for _, index in given])


@handles("as_strided")
def strided(call: OperatorCall) -> Value:
    """Memory that is laid out row by row, read with other steps: each new axis steps along one of the old ones."""
    graph, x, args = call.graph, call.x, call.step.args
    given = call["self"]
    if not given.is_contiguous() or given.storage_offset() or args.get("storage_offset"):
        raise NotUnderstood("of memory that is not laid out row by row, or from another place on")
    steps: list[list[tuple[int, int, int]]] = [[] for _ in x.dims]  # of each old axis: new axis, count, step
    for new, (n, stride) in enumerate(zip(args["size"], args["stride"], strict=True)):
        old = next((i for i, s in enumerate(given.stride()) if x.dims[i] > 1 and s <= stride and stride % s == 0), None)
        if n > 1 and (old is None or not stride):
            raise NotUnderstood("with steps that are none of its axes")
        steps[old or 0].append((new, n, stride // given.stride(old) if n > 1 and old is not None else 0))
    order: list[int] = []
    for old, made in enumerate(steps):
        if sum((n - 1) * step for _, n, step in made) >= x.dims[old] or (old == x.batch and made[1:]):
            raise NotUnderstood("past the end of an axis")
        places = [0]
        for new, n, step in made:
            places = [p + k * step for p in places for k in range(n)]
            order.append(new)
        x = _picked_by(graph, x, old, torch.tensor(places))
    batch = None if x.batch is None or not steps[x.batch] else sum(len(made) for made in steps[: x.batch])
    apart = regrouped(graph, x, tuple(args["size"][new] for new in order), batch)
    return moved(graph, apart, tuple(order.index(new) for new in range(len(order))))


def _picked_together(call: OperatorCall, x: Value, axes: list[int], places: list[torch.Tensor]) -> Value:
    """Places that several tensors say together, one for each of neighbouring axes: the axes merged, and picked from."""
    first, count = axes[0], len(axes)
    if x.batch is not None and first <= x.batch < first + count:
        raise NotUnderstood("by several tensors, one of them of the batch")
    number = torch.zeros((), dtype=torch.long)
    for axis, place in zip(axes, places, strict=True):
        number = number * x.dims[axis] + place % x.dims[axis]
    behind = x.batch is not None and x.batch > first
    batch = x.batch if x.batch is None or not behind else x.batch - count + 1
    merged = (*x.dims[:first], prod(x.dims[a] for a in axes), *x.dims[first + count :])
    x = picked(call.graph, regrouped(call.graph, x, merged, batch), first, number.reshape(-1).tolist())
    batch = batch if batch is None or not behind else batch + number.dim() - 1
    return x if number.dim() == 1 else regrouped(call.graph, x, call.dims, batch)


def _where_set(call: OperatorCall, x: Value, axis: int, flags: torch.Tensor) -> Value:
    """The positions of neighbouring axes, in a row, that are set in fixed flags."""
    found = known(call.graph, flags)
    if found is None:
        raise NotUnderstood("by flags that depend on the input or that are not there (on the meta device)")
    stop = axis + found.dim()
    if found.dim() > 1:
        if x.batch is not None and axis <= x.batch < stop:
            raise NotUnderstood("by flags along the batch")
        dims = (*x.dims[:axis], prod(found.shape), *x.dims[stop:])
        x = regrouped(call.graph, x, dims, x.batch if x.batch is None or x.batch < axis else x.batch - found.dim() + 1)
    return picked(call.graph, x, axis, found.reshape(-1).nonzero().reshape(-1).tolist())


@handles("gather", "take_along_dim")
def gathered(call: OperatorCall) -> Value:
    """Fixed positions of one axis that are the same wherever one stands on the others."""
    graph, x, dims = call.graph, call.x, call.dims
    index = call["index"] if call.step.name == "gather" else call["indices"]
    if call["dim"] is None and len(x.dims) != 1:
        raise NotUnderstood("of all values")
    axis = (call["dim"] or 0) % len(dims)
    if not graph.is_static(index):
        return picked_anywhere(call, x, axis, index)
    positions = _positions(call, index)
    if positions.dim() != len(dims):
        raise NotUnderstood("by another number of axes")
    line = positions.movedim(axis, -1).reshape(-1, positions.shape[axis])
    if not bool((line == line[0]).all()):
        return _apart(call, x, axis, positions)
    for i, n in enumerate(dims):
        if i != axis and n < x.dims[i]:
            x = sliced(graph, x, i, 0, n)
    x = _picked_by(graph, x, axis, line[0], index)
    return stretched(graph, x, dims)


def _apart(call: OperatorCall, x: Value, axis: int, positions: torch.Tensor) -> Value:
    """Positions that differ from place to place: of the axis with all other axes merged, one by one."""
    graph, dims = call.graph, call.dims
    if x.batch is None or x.batch == axis or graph.axis(x, axis) == graph.shape(x).channel:
        raise NotUnderstood("by positions that differ from place to place")
    other = [i for i in range(len(dims)) if i not in (axis, x.batch)]
    first = positions.select(x.batch, 0).unsqueeze(x.batch)
    if any(dims[i] != x.dims[i] for i in other) or not bool((positions == first).all()):
        raise NotUnderstood("by positions that differ from place to place")
    rows = positions.movedim(axis, -1).reshape(-1, dims[axis])
    seen = [sorted({int(p) % x.dims[axis] for p in column}) for column in rows.t().tolist()]
    return at_most(graph, summed(graph, x, axis, seen))


@handles("embedding")
def embedded(call: OperatorCall) -> Value:
    """A learned vector for each whole number: it depends on the place of the number alone, and on the table."""
    graph, index, dims = call.graph, call["indices"], call.dims
    if graph.is_static(index) or not graph.is_static(call["weight"]):
        raise NotUnderstood("by fixed numbers, or of a table that depends on the input")
    x = graph.get(index)
    if len(x.dims) < 1 + (x.batch is not None):
        raise NotUnderstood("of single numbers")
    apart = inserted_axis(graph, x, (*x.dims, 1), x.batch, len(x.dims))
    row = (*(1,) * len(x.inner), dims[-1])
    learned = graph.add(Constant(row), (call.value("weight").node,), row, None, stem="rows", helper=True)
    nodes, batch, extra = graph.aligned((apart, learned), dims)
    return graph.add(Elementwise("embedding"), nodes, dims, batch, extra=extra)


@handles("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")
def bagged(call: OperatorCall) -> list[Value | None]:
    """The learned vectors of all numbers of one bag, as a sum, mean or maximum."""
    graph, index, (_, width) = call.graph, call["indices"], call.dims
    weighted = call.step.args.get("per_sample_weights") is not None
    if graph.is_static(index) or not graph.is_static(call["weight"]) or weighted:
        raise NotUnderstood("by fixed numbers, with weights, or of a table that depends on the input")
    if len(call["offsets"]) - bool(call["include_last_offset"]) != 1:  # the first offset is always 0
        raise NotUnderstood("of several bags")
    x = graph.get(index)
    apart = inserted_axis(graph, x, (*x.dims, 1), x.batch, len(x.dims))
    learned = graph.add(Constant((1, width)), (call.value("weight").node,), (1, width), None, stem="rows", helper=True)
    dims = (*x.dims, width)
    nodes, batch, extra = graph.aligned((apart, learned), dims)
    made = graph.add(Elementwise("embedding"), nodes, dims, batch, extra=extra, helper=True)
    op = ("sum", "mean", "amax")[call["mode"]]
    found = reduced(graph, made, [0], op, True, call.dims)
    return [found, *[None for _ in call.step.outs[1:]]]


def _positions(call: OperatorCall, index: torch.Tensor) -> torch.Tensor:
    """The positions that an index holds.

    Raises:
        NotUnderstood: flags, or positions that are not known.
    """
    if not index.dim() or index.dtype.is_floating_point or index.dtype == torch.bool:
        raise NotUnderstood("not by a list of positions")
    found = known(call.graph, index)
    if found is None:
        raise NotUnderstood("by positions that depend on the input or that are not there (on the meta device)")
    return found


def _picked_by(
    graph: TensorBuilder, x: Value, axis: int, positions: torch.Tensor, index: torch.Tensor | None = None
) -> Value:
    """Positions of an axis, as an index holds them, if one does."""
    heard = watching()
    listed = index is not None and heard is not None and heard.sized
    if index is not None and heard is not None and (memory_of(index) in heard.hanging or id(index) in heard.hanging):
        listed = False  # others at other sizes
    return picked(graph, x, axis, [int(p) % x.dims[axis] for p in positions.reshape(-1).tolist()], listed)


@handles("flip")
def flip(call: OperatorCall) -> Value:
    x = call.x
    for axis in call["dims"]:
        x = picked(call.graph, x, axis % len(x.dims), list(reversed(range(x.dims[axis]))))
    return x


@handles("roll")
def roll(call: OperatorCall) -> Value:
    graph, x = call.graph, call.x
    if not call["dims"]:  # of all values in a row
        batch = None if x.batch is not None and x.dims[x.batch] != 1 else x.batch
        count = prod(x.dims)
        row = regrouped(graph, x, (1, count) if batch == 0 else (count,), 0 if batch == 0 else None)
        by = int(call["shifts"][0]) % count
        row = picked(graph, row, len(row.dims) - 1, [(i - by) % count for i in range(count)])
        return regrouped(graph, row, call.dims, batch)
    spatial = []
    for d, s in zip(call["dims"], call["shifts"], strict=True):
        axis, n = d % len(x.dims), x.dims[d]
        if axis == x.batch and n == 1:
            continue
        if not x.extra and axis != x.batch and graph.axis(x, axis) != graph.shape(x).channel:
            spatial.append((axis, int(s)))
        elif int(s) % n:
            x = picked(graph, x, axis, [(i - int(s)) % n for i in range(n)])
    x = graph.with_channels(x) if spatial else x
    shifts = dict.fromkeys(graph.shape(x).axes, 0)
    for axis, s in spatial:
        shifts[graph.axis(x, axis)] += s
    if not any(shifts.values()):
        return x
    return graph.add(Roll(tuple(shifts.values())), (x.node,), x.dims, x.batch)


def graph_whole(call: OperatorCall) -> Value:
    return call.graph.with_channels(call.x)


@handles("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: OperatorCall) -> Value:
    graph, x = call.graph, graph_whole(call)
    at = graph.axis(x, 1)
    return graph.add(ChannelShuffle(call["groups"]), (graph.laid(x, x.inner, at),), x.dims, x.batch)
