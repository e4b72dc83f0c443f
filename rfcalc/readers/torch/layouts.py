"""Views: reshaping, permuting, slicing, and what else moves values without computing."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

from rfcalc.core.layer import Layer
from rfcalc.layers.merge import Concat
from rfcalc.layers.reshape import ChannelShuffle, Flatten, Reshape, Roll, Slice
from rfcalc.layers.take import Take
from rfcalc.readers.torch.axes import groups
from rfcalc.readers.torch.fixed import known
from rfcalc.readers.torch.graph import Graph, NotUnderstood, Value, inner
from rfcalc.readers.torch.products import moved, stretched
from rfcalc.readers.torch.translate import Call, handles
from rfcalc.readers.torch.views import behind, holds_patches, laid_out, split


def batch_after(x: Value, dims: tuple[int, ...]) -> int | None:
    """Which axis of a row-major reshape is the batch; None where it is merged with others."""
    if x.batch is None:
        return 0 if len(dims) > 1 and dims[0] == 1 else None
    before = prod(x.dims[: x.batch])
    found = [j for j, n in enumerate(dims) if n == 1 and prod(dims[:j]) == before]
    return x.batch if x.batch in found else found[0] if found else None


def regrouped(graph: Graph, x: Value, dims: tuple[int, ...], batch: int | None) -> Value:
    """The same values in other dims, row-major."""
    wanted = inner(dims, batch)
    here = graph.shape(x)
    if wanted == here.dims:
        return Value(x.node, dims, batch)
    graph.whole(x)
    patches = holds_patches(graph, x.node)
    if graph.dirty[x.node] or patches or _splits(graph, x.node, wanted):
        chain = behind(graph, x.node)
        whole = chain.regrouped(wanted)
        if chain.root != x.node and whole is not None:
            whole = whole.tidy()
            parted = patches and not _kept_together(here.dims, wanted, here.channel)
            better = graph.dirty[x.node] or parted or split(graph, whole) < len(_splits(graph, x.node, wanted))
            made = laid_out(graph, whole, dims, batch) if better else None
            if made is not None:
                return made
    channel = _channel_after(graph, x, wanted)
    return graph.add(merging(here.dims, wanted, here.channel, channel), (x.node,), dims, batch)


def _splits(graph: Graph, node: int, dims: tuple[int, ...]) -> list[int]:
    """The axes that positions lie along and that a reshape of a node to `dims` takes apart."""
    here = graph.shapes[node].dims
    found: list[int] = []
    for before, after in groups(here, dims):
        if sum(1 for j in after if dims[j] != 1) > 1:
            found += [i for i in before if i in graph.carriers[node] and here[i] != 1]
    return found


def merging(before: tuple[int, ...], after: tuple[int, ...], channel: int, new: int) -> Layer:
    """`Flatten` where neighbouring axes are merged, else `Reshape`."""
    gap = len(before) - len(after)
    if gap > 0:
        for start in range(len(after)):
            stop = start + gap
            same = before[:start] == after[:start] and before[stop + 1 :] == after[start + 1 :]
            if same and prod(before[start : stop + 1]) == after[start]:
                kept = channel if channel < start else start if channel <= stop else channel - gap
                if kept == new:
                    return Flatten() if len(after) == 1 else Flatten(start, stop - len(before) if start else stop)
    return Reshape(after, new)


def _channel_after(graph: Graph, x: Value, dims: tuple[int, ...]) -> int:
    """The channel axis after a reshape: one that no position of the input lies along, else what the channels are merged
    with.

    Raises:
        NotUnderstood: positions that were merged with the channels would come apart again.
    """
    here = graph.shape(x)
    carriers = {i for i in graph.carriers[x.node] if here.dims[i] != 1}
    own: list[int] = []
    free: list[int] = []
    mixed: list[int] = []
    for before, after in groups(here.dims, dims):
        carries = any(i in carriers for i in before)
        if here.channel in before:
            (mixed if carries else own).extend(after)
        elif not carries:
            free.extend(after)
    if graph.dirty[x.node] and not _kept_together(here.dims, dims, here.channel):
        raise NotUnderstood("positions that were merged into channels come apart")
    wide = [i for i in own if dims[i] != 1] or own
    if wide:
        return wide[-1]
    if len(dims) == 1:
        return 0
    return (free or mixed[::-1])[0]


def _kept_together(before: tuple[int, ...], after: tuple[int, ...], channel: int) -> bool:
    """Whether an axis is still one axis after a reshape, perhaps merged with more."""
    return any(channel in b and sum(1 for i in a if after[i] != 1) <= 1 for b, a in groups(before, after))


def dropped(graph: Graph, x: Value, dims: tuple[int, ...], batch: int | None, gone: Sequence[int]) -> Value:
    """The value without axes of its map that have size 1; where the channels go, another axis takes their place that
    carries nothing, or one of size 1 that the tensor has not."""
    here = graph.shape(x)
    wanted = inner(dims, batch)
    if not gone or wanted == here.dims:
        return Value(x.node, dims, batch)
    left = [i for i in range(len(here.dims)) if i not in gone]
    if here.channel in left or not left:
        return graph.add(Reshape(wanted, left.index(here.channel) if left else 0), (x.node,), dims, batch, helper=True)
    free = [k for k, i in enumerate(left) if i not in graph.carriers[x.node] or here.dims[i] == 1]
    if free:
        return graph.add(Reshape(wanted, free[-1]), (x.node,), dims, batch, helper=True)
    if here.dims == (1, *wanted) and here.channel == 0:
        return Value(x.node, dims, batch, True)
    return graph.add(Reshape((1, *wanted), 0), (x.node,), dims, batch, extra=True, helper=True)


@handles("view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as", "_reshape_alias")
def view(call: Call) -> Value:
    x = call.x
    return regrouped(call.graph, x, call.dims, batch_after(x, call.dims))


@handles("unsqueeze")
def unsqueeze(call: Call) -> Value:
    x, dims = call.x, call.dims
    at = call["dim"] % len(dims)
    batch = None if x.batch is None else x.batch + (at <= x.batch)
    return _inserted_axis(call.graph, x, dims, batch, at)


def _inserted_axis(graph: Graph, x: Value, dims: tuple[int, ...], batch: int | None, at: int) -> Value:
    here = graph.shape(x)
    wanted = inner(dims, batch)
    if wanted == here.dims:
        return Value(x.node, dims, batch)
    graph.whole(x)
    core = at - (batch is not None and batch < at)
    return graph.add(Reshape(wanted, here.channel + (core <= here.channel)), (x.node,), dims, batch, helper=True)


@handles("squeeze")
def squeeze(call: Call) -> Value:
    x, graph = call.x, call.graph
    given = call.step.args.get("dim")
    every = range(len(x.dims)) if given is None else given if isinstance(given, (list, tuple)) else [given]
    gone = {d % len(x.dims) for d in every if x.dims[d] == 1} if x.dims else set()
    return without(graph, x, gone, call.dims)


def without(graph: Graph, x: Value, gone: set[int], dims: tuple[int, ...]) -> Value:
    """The value without these axes of size 1 of the tensor."""
    batch = None if x.batch is None or x.batch in gone else x.batch - sum(1 for g in gone if g < x.batch)
    if x.extra:
        raise NotUnderstood("the channels are gone before it")
    return dropped(graph, x, dims, batch, [graph.axis(x, g) for g in sorted(gone) if g != x.batch])


@handles("permute", "movedim", "moveaxis")
def permute(call: Call) -> Value:
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
def transpose(call: Call) -> Value:
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
def copied(call: Call) -> Value:
    from rfcalc.layers.general import Elementwise
    from rfcalc.readers.torch.pointwise import alone

    before = call["self"]
    if before.dtype == call.step.out.dtype:
        return call.x
    return alone(call.graph, call.x, Elementwise("cast"))


def sliced(graph: Graph, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """Positions start, start + step, … before stop of an axis of the tensor."""
    n = x.dims[axis]
    if (start, step) == (0, 1) and stop >= n:
        return x
    if stop <= start:
        raise NotUnderstood("an empty slice")
    dims = (*x.dims[:axis], -(-(min(stop, n) - start) // step), *x.dims[axis + 1 :])
    graph.whole(x)
    layer = Slice(graph.axis(x, axis), start or None, None if stop >= n else stop, step)
    return graph.add(layer, (x.node,), dims, x.batch)


def ends(start: Any, stop: Any, n: int) -> tuple[int, int]:
    """The ends of a slice of n positions, as torch clips them."""
    low = 0 if start is None else start + n if start < 0 else start
    high = n if stop is None else stop + n if stop < 0 else stop
    return min(max(low, 0), n), min(max(high, 0), n)


@handles("slice", "narrow")
def cut(call: Call) -> Value:
    x, args = call.x, call.step.args
    axis = args["dim"] % len(x.dims)
    if call.step.name == "narrow":
        return sliced(call.graph, x, axis, int(args["start"]), int(args["start"]) + args["length"])
    low, high = ends(args["start"], args["end"], x.dims[axis])
    return sliced(call.graph, x, axis, low, high, args["step"])


@handles("select")
def select(call: Call) -> Value:
    x = call.x
    axis = call["dim"] % len(x.dims)
    at = int(call["index"]) % x.dims[axis]
    return selected(call.graph, x, axis, at, call.dims)


def selected(graph: Graph, x: Value, axis: int, at: int, dims: tuple[int, ...]) -> Value:
    return without(graph, sliced(graph, x, axis, at, at + 1), {axis}, dims)


@handles("unbind")
def unbind(call: Call) -> list[Value]:
    x = call.x
    axis = call["dim"] % len(x.dims)
    return [selected(call.graph, x, axis, i, call.dims) for i in range(x.dims[axis])]


@handles("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk", "hsplit")
def parts(call: Call) -> list[Value]:
    x = call.x
    axis = call.step.args.get("dim", 0) % len(x.dims)
    found, start = [], 0
    for out in call.step.out:
        length = int(out.shape[axis])
        found.append(sliced(call.graph, x, axis, start, start + length))
        start += length
    return found


@handles("expand", "expand_as", "broadcast_to")
def expand(call: Call) -> Value:
    return widened(call.graph, call.x, call.dims)


def widened(graph: Graph, x: Value, dims: tuple[int, ...]) -> Value:
    """Broadcast to dims, new axes in front."""
    new = len(dims) - len(x.dims)
    full = (1,) * new + x.dims
    batch = None if x.batch is None else x.batch + new
    if new:
        x = regrouped(graph, x, full, 0 if batch is None and full[0] == 1 and dims[0] == 1 else batch)
    if x.dims == dims:
        return x
    return stretched(graph, x, dims)


@handles("repeat", "tile")
def repeat(call: Call) -> Value:
    graph, dims = call.graph, call.dims
    x = call.x
    times = list(call.step.args.get("repeats", call.step.args.get("dims")))
    new = len(times) - len(x.dims)
    x = widened(graph, x, (1,) * max(new, 0) + x.dims)
    for axis, n in enumerate(times[-len(x.dims) :]):
        if n == 1:
            continue
        wanted = (*x.dims[:axis], x.dims[axis] * n, *x.dims[axis + 1 :])
        if x.dims[axis] == 1:
            x = stretched(graph, x, wanted)
        else:
            x = graph.add(Concat(graph.axis(x, axis)), (x.node,) * n, wanted, x.batch)
    if x.dims != dims:
        raise NotUnderstood("repeated along an axis that is not there")
    return x


@handles("repeat_interleave")
def repeated(call: Call) -> Value:
    """Each position of an axis so many times: an axis of one after it, broadcast, and merged with it."""
    graph, x, times, axis = call.graph, call.x, call.step.args.get("repeats"), call.step.args.get("dim")
    if not isinstance(times, int):
        raise NotUnderstood("as often as a tensor says")
    if axis is None:
        if len(x.dims) != 1:
            raise NotUnderstood("of all values")
        axis = 0
    axis %= len(x.dims)
    if x.dims[axis] == 1:
        return stretched(graph, x, call.dims)
    apart = (*x.dims[: axis + 1], 1, *x.dims[axis + 1 :])
    batch = None if x.batch is None else x.batch + (axis < x.batch)
    x = _inserted_axis(graph, x, apart, batch, axis + 1)
    x = stretched(graph, x, (*apart[: axis + 1], times, *apart[axis + 2 :]))
    return regrouped(graph, x, call.dims, None if batch is None else batch - (axis < batch))


@handles("index_select", "index")
def taken(call: Call) -> Value:
    """Fixed positions of one axis; of channels it does not matter which, where their number is the same."""
    graph, x, args = call.graph, call.x, call.step.args
    if call.step.name == "index":
        given = [(axis, t) for axis, t in enumerate(args["indices"]) if t is not None]
        if len(given) != 1:
            raise NotUnderstood("by several tensors")
        ((axis, index),) = given
    else:
        axis, index = args["dim"] % len(x.dims), args["index"]
    if index.dim() != 1 or index.dtype.is_floating_point or index.dtype == torch.bool:
        raise NotUnderstood("not by a list of positions")
    n = x.dims[axis]
    found = known(graph, index)
    if found is None:
        raise NotUnderstood("by positions that depend on the input or that are not there (on the meta device)")
    return _take(graph, x, axis, [p % n for p in found.tolist()])


@handles("flip")
def flip(call: Call) -> Value:
    x = call.x
    for axis in call["dims"]:
        x = _take(call.graph, x, axis % len(x.dims), list(reversed(range(x.dims[axis]))))
    return x


def _take(graph: Graph, x: Value, axis: int, positions: list[int]) -> Value:
    if positions == list(range(x.dims[axis])):
        return x
    if not positions:
        raise NotUnderstood("nothing is left")
    step = positions[1] - positions[0] if len(positions) > 1 else 1
    if step > 0 and positions == list(range(positions[0], positions[-1] + 1, step)):
        return sliced(graph, x, axis, positions[0], positions[-1] + 1, step)
    graph.whole(x)
    dims = (*x.dims[:axis], len(positions), *x.dims[axis + 1 :])
    if axis == x.batch:
        x = graph.plain(x)
    return graph.add(Take(graph.axis(x, axis), tuple(positions)), (x.node,), dims, x.batch)


@handles("roll")
def roll(call: Call) -> Value:
    graph, x = call.graph, graph_whole(call)
    here = graph.shape(x)
    shifts = dict.fromkeys(here.axes, 0)
    if not call["dims"]:
        raise NotUnderstood("over all values")
    for d, s in zip(call["dims"], call["shifts"], strict=True):
        at = graph.axis(x, d)
        if at == here.channel:
            raise NotUnderstood("along the channels")
        shifts[at] += int(s)
    if not any(shifts.values()):
        return x
    return graph.add(Roll(tuple(shifts.values())), (x.node,), x.dims, x.batch)


def graph_whole(call: Call) -> Value:
    return call.graph.whole(call.x)


@handles("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: Call) -> Value:
    graph, x = call.graph, graph_whole(call)
    at = graph.axis(x, 1)
    return graph.add(ChannelShuffle(call["groups"]), (graph.laid(x, x.inner, at),), x.dims, x.batch)
