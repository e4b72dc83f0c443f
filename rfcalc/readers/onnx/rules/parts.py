"""Joining and cutting: concat, split, slice, gather, pad."""

from __future__ import annotations

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.builder.joining import chained, padded
from rfcalc.readers.builder.moves import batch_after, picked, regrouped, sliced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.constants import axes_of, axis_of, bounds, parts_of
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const
from rfcalc.readers.onnx.weights import solid

MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


@rule("Concat")
def concat(reader: Reader, node: Node) -> None:
    given = [v for v in reader.inputs(node) if v is not None and not (isinstance(v, Const) and v.size == 0)]
    rank = len(next(v for v in given if isinstance(v, Value)).dims)
    if "axis" not in node.attributes and reader.opset >= 4:
        raise RfcalcError("its axis is missing")
    axis = axis_of(int(node.attributes.get("axis", 1)), rank)
    values = [solid(reader, v) for v in given]
    if any(len(v.dims) != rank for v in values):
        raise RfcalcError("it joins values of different numbers of axes")
    if len(values) == 1:
        reader.give(node, values[0])
        return
    first = values[0].dims
    if any((*v.dims[:axis], *v.dims[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]) for v in values):
        raise RfcalcError("it joins values of different sizes")
    dims = (*first[:axis], sum(v.dims[axis] for v in values), *first[axis + 1 :])
    reader.give(node, chained(reader.graph, values, axis, dims))


@rule("Split", "SplitToSequence")
def split(reader: Reader, node: Node) -> None:
    if node.op != "Split":
        raise NotUnderstood("it makes a sequence")
    x = reader.map(node)
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    parts = parts_of(node, reader.inputs(node), x.dims[axis])  # type: ignore[arg-type]
    start = 0
    for i, (name, length) in enumerate(zip(node.outputs, parts, strict=False)):
        if name and reader.readers[name]:
            reader.give(node, sliced(reader.graph, x, axis, start, start + length), i)
        start += length


@rule("Slice")
def slices(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    for axis, start, end, step in bounds(node, reader.inputs(node), len(x.dims), reader.opset):  # type: ignore[arg-type]
        n = x.dims[axis]
        stop = None if step < 0 and end < -n else end
        wanted = range(n)[start:stop:step]
        if not wanted:
            raise NotUnderstood(f"nothing is left of an axis of {n}")
        x = picked(reader.graph, x, axis, list(wanted))
    reader.give(node, x)


@rule("Gather")
def gather(reader: Reader, node: Node) -> None:
    x = reader.value(node.inputs[0])
    if not isinstance(x, Value):
        raise NotUnderstood("it looks values up in a table")
    found = reader.const(node, 1)
    index = reader.known(node, 1) or ()
    shape = () if found is None else found.dims
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    n = x.dims[axis]
    wanted = [int(i) + (n if i < 0 else 0) for i in index]
    if not wanted or any(not 0 <= i < n for i in wanted):
        raise RfcalcError(f"an index is outside of an axis of {n}")
    made = picked(reader.graph, x, axis, wanted)
    dims = (*made.dims[:axis], *shape, *made.dims[axis + 1 :])
    if dims != made.dims:
        batch = batch_after(made, dims)
        made = regrouped(reader.graph, made, dims, batch)
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
    pairs = [amounts.get(i, (0, 0)) for i in range(rank)]
    reader.give(node, padded(reader.graph, x, pairs, mode) if any(p != (0, 0) for p in pairs) else x)
