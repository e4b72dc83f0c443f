"""What moves values without computing: reshapes, permutations, slices, copies along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from rfcalc.core.lengths import as_written
from rfcalc.core.shape import axis_groups
from rfcalc.layers.gather import Gather
from rfcalc.layers.general import Constant, Elementwise
from rfcalc.layers.merge import Concat
from rfcalc.layers.reshape import Permute, Reshape
from rfcalc.layers.slice import Slice
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.values import BatchMixed, NotUnderstood, Value, inner
from rfcalc.readers.builder.views import behind, holds_patches, is_view, kept_together, laid_out, merging, split, undone


def batch_after(x: Value, dims: tuple[int, ...], merging: bool = False) -> int | None:
    """Which axis of a row-major reshape is the batch; None where it is merged with others.

    Args:
        merging: whether code says that it merges the batch with what follows, be this of one position.
    """
    if x.batch is None:
        merged = as_written() and _ones(dims) <= _ones(x.dims)  # one window is as many, at other sizes
        return 0 if len(dims) > 1 and dims[0] == 1 and not merged else None
    before = prod(x.dims[: x.batch])
    size = x.dims[x.batch]
    if merging and size == 1 and _ones(x.dims[x.batch :]) > _ones(dims[x.batch :]) > 0:
        return None
    if x.batch and size == 1 and x.dims[0] != 1 and dims[:1] == (1,) and len(dims) > len(x.dims):
        return 0  # a batch of one that was merged with others; another axis of size 1 was taken for it meanwhile
    found = [j for j, n in enumerate(dims) if n == size and prod(dims[:j]) == before]
    return x.batch if x.batch in found else found[0] if found else None


def _ones(dims: tuple[int, ...]) -> int:
    """How many axes of size 1 stand in front."""
    return next((i for i, n in enumerate(dims) if n != 1), len(dims))


def regrouped(graph: Builder, x: Value, dims: tuple[int, ...], batch: int | None) -> Value:
    """The same values in other dims, row-major."""
    wanted = inner(dims, batch)
    here = graph.shape(x)
    if (made := _as_written(graph, x, dims, batch)) is not None:
        return made
    if wanted == here.dims:
        return Value(x.node, dims, batch)
    if batch is None and x.batch is not None and x.dims[x.batch] != 1:
        raise BatchMixed
    if x.extra:  # an axis of size 1 counts channels again, or there is still none
        ones = [j for j, n in enumerate(wanted) if n == 1]
        layer = Reshape(wanted, ones[0]) if ones else Reshape((1, *wanted), 0)
        return graph.add(layer, (x.node,), dims, batch, extra=not ones, helper=True)
    if (root := _root_of(graph, x.node, wanted)) is not None:
        return Value(root, dims, batch)
    if (gone := _gone(here.dims, wanted)) and here.channel in gone:
        return dropped(graph, x, dims, batch, gone)
    patches = holds_patches(graph, x.node)
    if graph.dirty[x.node] or patches or _splits(graph, x.node, wanted):
        chain = behind(graph, x.node)
        whole = chain.regrouped(wanted)
        if chain.root != x.node and whole is not None:
            whole = whole.tidy()
            parted = patches and not kept_together(here.dims, wanted, here.channel)
            better = graph.dirty[x.node] or parted or split(graph, whole) < len(_splits(graph, x.node, wanted))
            made = laid_out(graph, whole, dims, batch) if better else None
            if made is not None:
                return made
    channel = _channel_after(graph, x, wanted)
    if channel is None:
        return graph.add(Reshape((1, *wanted), 0), (x.node,), dims, batch, extra=True)
    return graph.add(merging(here.dims, wanted, here.channel, channel), (x.node,), dims, batch)


def _as_written(graph: Builder, x: Value, dims: tuple[int, ...], batch: int | None) -> Value | None:
    """A reshape of code whose lengths are watched, as a node of its own: what several views come to, and that one
    comes to nothing, is so at some sizes only. None where the values that are laid out must be known."""
    if not as_written() or x.extra or graph.dirty[x.node] or holds_patches(graph, x.node):
        return None
    if batch is None and x.batch is not None and x.dims[x.batch] != 1:
        return None
    here, wanted = graph.shape(x), inner(dims, batch)
    gone = _gone(here.dims, wanted)
    channel = None if gone and here.channel in gone else _channel_after(graph, x, wanted)
    if channel is None:
        return None
    return graph.add(merging(here.dims, wanted, here.channel, channel), (x.node,), dims, batch)


def _gone(before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
    """The axes of size 1 that a reshape does no more than leave out; none where it does more."""
    found, left = [], list(after)
    for i, n in enumerate(before):
        if left and left[0] == n and (n != 1 or len(before) - i == len(left)):
            left.pop(0)
        elif n == 1:
            found.append(i)
        else:
            return []
    return [] if left else found


def _root_of(graph: Builder, node: int, dims: tuple[int, ...]) -> int | None:
    """The node whose values a view and a reshape to `dims` give back as they were."""
    if not is_view(graph, node):
        return None
    before = node
    while is_view(graph, before) and (made := graph.nodes[before - len(graph.inputs)]).layer.row_major:
        (before,) = made.inputs
        if graph.shapes[before].dims == dims:
            return before
    root = undone(graph, behind(graph, node).regrouped(dims))
    return root if root is not None and graph.shapes[root].dims == dims else None


def _splits(graph: Builder, node: int, dims: tuple[int, ...]) -> list[int]:
    """The axes that positions lie along and that a reshape of a node to `dims` takes apart."""
    here = graph.shapes[node].dims
    found: list[int] = []
    for before, after in axis_groups(here, dims):
        if sum(1 for j in after if dims[j] != 1) > 1:
            found += [i for i in before if i in graph.carriers[node] and here[i] != 1]
    return found


def _channel_after(graph: Builder, x: Value, dims: tuple[int, ...]) -> int | None:
    """The channel axis after a reshape: one that no position of the input lies along, else what the channels are merged
    with; None where they were one and nothing of them is left.

    Raises:
        NotUnderstood: positions that were merged with the channels would come apart again.
    """
    here = graph.shape(x)
    carriers = {i for i in graph.carriers[x.node] if here.dims[i] != 1}
    own: list[int] = []
    free: list[int] = []
    mixed: list[int] = []
    for before, after in axis_groups(here.dims, dims):
        carries = any(i in carriers for i in before)
        if here.channel in before:
            (mixed if carries else own).extend(after)
        elif not carries:
            free.extend(after)
    if graph.dirty[x.node] and not kept_together(here.dims, dims, here.channel):
        raise NotUnderstood("positions that were merged into channels come apart")
    wide = [i for i in own if dims[i] != 1] or own
    if wide:
        return wide[-1]
    if len(dims) == 1:
        return 0
    if not free and here.channels == 1 and sum(1 for i in mixed if dims[i] != 1) > 1:
        return None  # positions that were beside one channel are split: none of them is a channel
    found = free or mixed[::-1] or [j for j, n in enumerate(dims) if n == 1]
    return found[0] if found else None


def dropped(graph: Builder, x: Value, dims: tuple[int, ...], batch: int | None, gone: Sequence[int]) -> Value:
    """The value without axes of its map that have size 1; where the channels go, another axis takes their place that
    carries nothing, or one of size 1 that the tensor has not."""
    here = graph.shape(x)
    wanted = inner(dims, batch)
    if not gone or wanted == here.dims:
        return Value(x.node, dims, batch)
    if (root := _root_of(graph, x.node, wanted)) is not None:
        return Value(root, dims, batch)
    left = [i for i in range(len(here.dims)) if i not in gone]
    if here.channel in left or not left:
        return graph.add(Reshape(wanted, left.index(here.channel) if left else 0), (x.node,), dims, batch, helper=True)
    free = [k for k, i in enumerate(left) if i not in graph.carriers[x.node] or here.dims[i] == 1]
    if free:  # the features of tokens lie last; where each value has seen the whole map, channels are as they were
        channel = free[-1] if graph.carriers[x.node] else free[0]
        return graph.add(Reshape(wanted, channel), (x.node,), dims, batch, helper=True)
    if here.dims == (1, *wanted) and here.channel == 0:
        return Value(x.node, dims, batch, True)
    return graph.add(Reshape((1, *wanted), 0), (x.node,), dims, batch, extra=True, helper=True)


def inserted_axis(graph: Builder, x: Value, dims: tuple[int, ...], batch: int | None, at: int) -> Value:
    here = graph.shape(x)
    wanted = inner(dims, batch)
    if wanted == here.dims:
        return Value(x.node, dims, batch)
    core = at - (batch is not None and batch < at)
    if x.extra:  # the new axis counts channels, of which there were none
        return graph.add(Reshape(wanted, core), (x.node,), dims, batch, helper=True)
    if (root := _root_of(graph, x.node, wanted)) is not None:
        return Value(root, dims, batch)
    return graph.add(Reshape(wanted, here.channel + (core <= here.channel)), (x.node,), dims, batch, helper=True)


def without(graph: Builder, x: Value, gone: set[int], dims: tuple[int, ...]) -> Value:
    """The value without these axes of size 1 of the tensor."""
    batch = None if x.batch is None or x.batch in gone else x.batch - sum(1 for g in gone if g < x.batch)
    if x.extra:
        raise NotUnderstood("the channels are gone before it")
    return dropped(graph, x, dims, batch, [graph.axis(x, g) for g in sorted(gone) if g != x.batch])


def sliced(graph: Builder, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """Positions start, start + step, … before stop of an axis of the tensor."""
    n = x.dims[axis]
    if (start, step) == (0, 1) and stop >= n:
        return x
    if stop <= start:
        raise NotUnderstood("an empty slice")
    dims = (*x.dims[:axis], -(-(min(stop, n) - start) // step), *x.dims[axis + 1 :])
    if dims[axis] == 1:  # nothing is skipped
        stop, step = start + 1, 1
    layer = Slice(graph.axis(x, axis), start or None, None if stop >= n else stop, step)
    return graph.add(layer, (x.node,), dims, x.batch, extra=x.extra)


def ends(start: Any, stop: Any, n: int) -> tuple[int, int]:
    """The ends of a slice of n positions, as torch clips them."""
    low = 0 if start is None else start + n if start < 0 else start
    high = n if stop is None else stop + n if stop < 0 else stop
    return min(max(low, 0), n), min(max(high, 0), n)


def selected(graph: Builder, x: Value, axis: int, at: int, dims: tuple[int, ...]) -> Value:
    return without(graph, sliced(graph, x, axis, at, at + 1), {axis}, dims)


def widened(graph: Builder, x: Value, dims: tuple[int, ...]) -> Value:
    """Broadcast to dims, new axes in front."""
    new = len(dims) - len(x.dims)
    full = (1,) * new + x.dims
    batch = None if x.batch is None else x.batch + new
    if new:
        x = regrouped(graph, x, full, 0 if batch is None and full[0] == 1 and dims[0] == 1 else batch)
    if x.dims == dims:
        return x
    return stretched(graph, x, dims)


def picked(graph: Builder, x: Value, axis: int, positions: list[int], listed: bool = False) -> Value:
    """Some positions of an axis of the tensor; `listed`: all of them must be there at other sizes, too."""
    if positions == list(range(x.dims[axis])):
        return x
    if not positions:
        raise NotUnderstood("nothing is left")
    step = positions[1] - positions[0] if len(positions) > 1 else 1
    listed = listed and graph.axis(x, axis) != graph.shape(x).channel
    if step > 0 and not listed and positions == list(range(positions[0], positions[-1] + 1, step)):
        return sliced(graph, x, axis, positions[0], positions[-1] + 1, step)
    dims = (*x.dims[:axis], len(positions), *x.dims[axis + 1 :])
    if axis == x.batch:
        x = graph.plain(x)
    at = None if positions == list(reversed(range(x.dims[axis]))) else tuple(positions)
    return graph.add(Gather(graph.axis(x, axis), at), (x.node,), dims, x.batch, extra=x.extra)


def moved(graph: Builder, x: Value, order: tuple[int, ...]) -> Value:
    """The axes of a tensor in another order."""
    x = graph.settled(x)
    if x.extra and x.batch == 0 and order[0] == 0:  # the axis that stands for channels stays in front
        dims = tuple(x.dims[i] for i in order)
        return graph.add(Permute((0, *order[1:])), (x.node,), dims, 0, extra=True, helper=True)
    graph.with_channels(x)
    first = order[0] if order else 0
    lone = x.batch is None and len(order) > 1 and x.dims[first] == 1 and graph.shapes[x.node].channel != first
    if lone and first not in graph.carriers[x.node] and not as_written():
        x = dropped(graph, x, x.dims, first, [first])  # a batch of one that was merged with other axes meanwhile
    dims = tuple(x.dims[i] for i in order)
    batch = None if x.batch is None else order.index(x.batch)
    left = [i for i in order if i != x.batch]
    kept = sorted(left)
    core = tuple(kept.index(i) for i in left)
    if core == tuple(range(len(core))):
        return Value(x.node, dims, batch)
    chain = behind(graph, x.node).permuted(core) if is_view(graph, x.node) or graph.dirty[x.node] else None
    root = undone(graph, chain) if not as_written() or graph.dirty[x.node] else None
    if root is not None and graph.shapes[root].dims == inner(dims, batch):
        channel = core.index(graph.shapes[x.node].channel)
        if graph.shapes[root].channels != 1 or graph.shapes[root].channel == channel:  # no factor tells axes of 1 apart
            return Value(root, dims, batch)
    if chain is not None and graph.dirty[x.node]:
        made = laid_out(graph, chain.tidy(), dims, batch)
        if made is not None:
            return made
    return graph.add(Permute(core), (x.node,), dims, batch, helper=True)


def transposed(graph: Builder, x: Value) -> Value:
    """The last two axes exchanged."""
    n = len(x.dims)
    return moved(graph, x, (*range(n - 2), n - 1, n - 2))


def stretched(graph: Builder, x: Value, dims: tuple[int, ...]) -> Value:
    """Axes of size 1 repeated to `dims` (which has as many axes as x)."""
    if x.dims == dims:
        return x
    full = graph.add(Constant(dims, uniform=True), (), dims, None, stem="constant", helper=True)
    nodes, batch, _ = graph.aligned((x, full), dims)
    return graph.add(Elementwise("expand"), nodes, dims, batch, helper=True)


def repeated_along(graph: Builder, x: Value, times: Sequence[int], dims: tuple[int, ...]) -> Value:
    """A tensor repeated so many times along each of its last axes, one copy after another."""
    new = len(times) - len(x.dims)
    x = widened(graph, x, (1,) * max(new, 0) + x.dims)
    for axis, n in enumerate(times[-len(x.dims) :], len(x.dims) - len(times[-len(x.dims) :])):
        if n == 1:
            continue
        wanted = (*x.dims[:axis], x.dims[axis] * n, *x.dims[axis + 1 :])
        if x.dims[axis] == 1:
            x = stretched(graph, x, wanted)
        elif axis == x.batch or graph.axis(x, axis) == graph.shape(x).channel:
            if axis == x.batch:
                x = graph.plain(x)
            x = graph.add(Concat(graph.axis(x, axis)), (x.node,) * n, wanted, x.batch)
        else:
            x = _copied(graph, x, axis, n, wanted, 0)
    if x.dims != dims:
        raise NotUnderstood("repeated along an axis that is not there")
    return x


def repeated_each(graph: Builder, x: Value, axis: int, times: int) -> Value:
    """Each position of an axis so many times: an axis of one after it, broadcast, and merged with it."""
    dims = (*x.dims[:axis], x.dims[axis] * times, *x.dims[axis + 1 :])
    return stretched(graph, x, dims) if x.dims[axis] == 1 else _copied(graph, x, axis, times, dims, 1)


def _copied(graph: Builder, x: Value, axis: int, times: int, dims: tuple[int, ...], behind: int) -> Value:
    """An axis so many times: the whole of it (`behind` = 0), or each of its positions (1)."""
    new = axis + behind
    apart = (*x.dims[:new], 1, *x.dims[new:])
    batch = None if x.batch is None else x.batch + (axis < x.batch)
    x = inserted_axis(graph, x, apart, batch, new)
    x = stretched(graph, x, (*apart[:new], times, *apart[new + 1 :]))
    return regrouped(graph, x, dims, None if batch is None else batch - (axis < batch))
