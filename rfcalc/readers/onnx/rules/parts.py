"""Joining and cutting: concat, split, slice, gather, pad."""

from __future__ import annotations

from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.layers.merge import Concat
from rfcalc.layers.pointwise import Identity
from rfcalc.layers.resample import Pad
from rfcalc.layers.reshape import Slice, Split
from rfcalc.readers.onnx.constants import axes_of, axis_of, bounds, parts_of
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import BatchMixedError, Reader, rule
from rfcalc.readers.onnx.rules.layout import permuted, to_dims
from rfcalc.readers.onnx.values import Const, Map, NotUnderstoodError
from rfcalc.readers.onnx.weights import learned

MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def opened(reader: Reader, x: Map, axis: int) -> tuple[Map, int]:
    """The map, and where this axis of the file stands in its shape; the batch becomes an axis where it is meant."""
    if x.batch == axis:
        x = reader.untracked(x)
    own = x.axis(axis)
    return x, 0 if own is None else own


@rule("Concat")
def concat(reader: Reader, node: Node) -> None:
    given = [v for v in reader.inputs(node) if v is not None]
    maps = [v for v in given if isinstance(v, Map)]
    rank = len(maps[0].dims)
    if "axis" not in node.attributes and reader.opset >= 4:
        raise RfcalcError("its axis is missing")
    axis = axis_of(int(node.attributes.get("axis", 1)), rank)
    if any(len(v.dims) != rank for v in given):  # type: ignore[union-attr]
        raise RfcalcError("it joins values of different numbers of axes")
    widest = max(maps, key=lambda m: m.shape.values)
    batch = widest.batch
    constants = [v for v in given if isinstance(v, Const)]
    own_batch = batch is not None and any(c.dims[batch] != 1 for c in constants)
    if batch == axis or own_batch or any(m.batch != batch for m in maps):
        if reader.batch != 1:
            raise BatchMixedError
        batch = None if batch == axis or own_batch else batch
    outer = widest.outer(widest.shape.channel)
    channel = outer if batch is None or outer < batch else outer - 1
    own = axis if batch is None or axis < batch else axis - 1
    joined = []
    for v in given:
        if isinstance(v, Const):
            if v.size == 0:
                continue
            joined.append(learned(reader, v, v.dims, batch, channel))
        else:
            joined.append(reader.reshaped(v, v.dims, batch, channel))  # type: ignore[union-attr, arg-type]
    layer = Concat(None if own == channel else own)
    made = reader.place(layer, joined, batch=batch)
    reader.give(node, made)


@rule("Split", "SplitToSequence")
def split(reader: Reader, node: Node) -> None:
    if node.op != "Split":
        raise NotUnderstoodError("it makes a sequence")
    x = reader.map(node)
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    parts = parts_of(node, reader.inputs(node), x.dims[axis])  # type: ignore[arg-type]
    x, own = opened(reader, x, axis)
    told: Any = len(parts) if len(set(parts)) == 1 else tuple(parts)
    for i, name in enumerate(node.outputs):
        if not name or not reader.readers[name]:
            continue
        if parts[i] == 0:
            raise NotUnderstoodError("one of its parts is empty")
        if len(parts) == 1:
            made = reader.place(Identity(), [x], batch=x.batch, dims=x.dims)
        else:
            made = reader.place(Split(told, i, None if own == x.shape.channel else own), [x], batch=x.batch)
        reader.give(node, made, i)


@rule("Slice")
def slices(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    result = x
    for axis, start, end, step in bounds(node, reader.inputs(node), len(x.dims), reader.opset):  # type: ignore[arg-type]
        n = result.dims[axis]
        if step < 0:
            raise NotUnderstoodError("it runs backwards")
        wanted = range(n)[start:end:step]
        if len(wanted) == n:
            continue
        if not wanted:
            raise NotUnderstoodError(f"nothing is left of an axis of {n}")
        result = cut(reader, result, axis, wanted[0], wanted[-1] + 1, step)
    if result is x:
        result = reader.place(Identity(), [x], batch=x.batch, dims=x.dims)
    reader.give(node, result)


def cut(reader: Reader, x: Map, axis: int, start: int, stop: int, step: int = 1) -> Map:
    """Positions start, start + step, … before stop of an axis."""
    x, own = opened(reader, x, axis)
    n = x.dims[axis]
    layer = Slice(own, start or None, None if stop > n - step else stop, step)
    return reader.place(layer, [x], batch=x.batch)


@rule("Gather")
def gather(reader: Reader, node: Node) -> None:
    x = reader.value(node.inputs[0])
    if not isinstance(x, Map):
        raise NotUnderstoodError("it looks values up in a table")
    index = reader.known(node, 1) or ()
    shape = reader.const(node, 1)
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    n = x.dims[axis]
    wanted = [int(i) + (n if i < 0 else 0) for i in index]
    if not wanted or any(not 0 <= i < n for i in wanted):
        raise RfcalcError(f"an index is outside of an axis of {n}")
    step = wanted[1] - wanted[0] if len(wanted) > 1 else 1
    if step < 1 or wanted != list(range(wanted[0], wanted[-1] + 1, step)):
        raise NotUnderstoodError("it picks positions in no regular order")
    if len(wanted) == n:
        made = reader.place(Identity(), [x], batch=x.batch, dims=x.dims)
    else:
        made = cut(reader, x, axis, wanted[0], wanted[-1] + 1, step)
    dims = (*made.dims[:axis], *(shape.dims if shape is not None else ()), *made.dims[axis + 1 :])
    if dims != made.dims:
        batch = made.batch
        if batch is not None and batch > axis:
            batch += len(dims) - len(made.dims)
        made = to_dims(reader, made, dims, batch)
    reader.give(node, made)


@rule("Pad")
def pad(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    rank = len(x.dims)
    told = node.attributes.get("pads", node.attributes.get("paddings"))
    if told is None:
        told = reader.known(node, 1)
    if told is None:
        raise RfcalcError("nothing says how much is padded")
    axes = axes_of(Node(node.op, (), ()), reader.inputs(node), 3)  # type: ignore[arg-type]
    axes = list(range(rank)) if axes is None else [axis_of(a, rank) for a in axes]
    if len(told) != 2 * len(axes):
        raise RfcalcError(f"{len(told)} numbers do not pad {len(axes)} axes")
    amounts = {a: (int(told[i]), int(told[i + len(axes)])) for i, a in enumerate(axes)}
    mode = MODES.get(node.attributes.get("mode", "constant") or "constant")
    if mode is None:
        raise RfcalcError(f"there is no mode {node.attributes.get('mode')!r}")
    if all(pair == (0, 0) for pair in amounts.values()):
        reader.give(node, reader.place(Identity(), [x], batch=x.batch, dims=x.dims))
        return
    reader.give(node, padded(reader, x, amounts, mode))


def padded(reader: Reader, x: Map, amounts: dict[int, tuple[int, int]], mode: str) -> Map:
    """The map padded on some of its axes, whatever its layout."""
    if x.batch is not None and amounts.get(x.batch, (0, 0)) != (0, 0):
        x = reader.untracked(x)
    outer = x.outer(x.shape.channel)
    if amounts.get(outer, (0, 0)) != (0, 0):
        if mode != "zeros":
            raise NotUnderstoodError("it pads channels by more than zeros")
        x = _more_channels(reader, x, outer, amounts[outer])
        amounts = {a: p for a, p in amounts.items() if a != outer}
        if all(pair == (0, 0) for pair in amounts.values()):
            return x
    order = list(range(len(x.dims)))
    lead = [] if x.batch is None else [x.batch]
    first = [*lead, outer, *(i for i in order if i != outer and i != x.batch)]
    moved = permuted(reader, x, first)
    pairs = tuple(amounts.get(i, (0, 0)) for i in first[len(lead) + 1 :])
    made = reader.place(Pad(pairs, mode), [moved], batch=moved.batch)
    return permuted(reader, made, [first.index(i) for i in order])


def _more_channels(reader: Reader, x: Map, axis: int, pair: tuple[int, int]) -> Map:
    """Channels of zeros before and after (or fewer channels)."""
    if min(pair) < 0:
        raise NotUnderstoodError("it cuts channels off")
    parts: list[Map] = []
    for i, count in enumerate(pair):
        if count:
            dims = (*x.dims[:axis], count, *x.dims[axis + 1 :])
            parts.append(learned(reader, Const(dims, 1), dims, x.batch, x.shape.channel))
        if i == 0:
            parts.append(x)
    return reader.place(Concat(), parts, batch=x.batch)
