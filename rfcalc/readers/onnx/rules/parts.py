"""Joining and cutting: concat, split, slice, gather, pad."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import as_written, plain
from rfcalc.core.size import prod
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.heard import clipped
from rfcalc.readers.builder.joining import along, chained, padded
from rfcalc.readers.builder.moves import batch_after, inserted_axis, picked, regrouped, sliced, without
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.builder.writing import written
from rfcalc.readers.onnx import lengths
from rfcalc.readers.onnx.constants import axes_of, axis_of, bounds, parts_of
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const, Parts
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
    reader.give(node, along(reader.graph, values, axis, dims))


@rule("Split")
def split(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    given = [lengths.asked(g) for g in reader.inputs(node)]
    parts = parts_of(node, given, lengths.lengths_of(reader, x)[axis])
    start: Any = 0
    for i, (name, length) in enumerate(zip(node.outputs, parts, strict=False)):
        if name and reader.readers[name]:
            low, high = lengths.gives(reader, (start, start + length))
            if low == high:
                raise RfcalcError(f"part {i} is empty").by_answer()
            reader.give(node, sliced(reader.graph, x, axis, low, high), i)
        start += length


@rule("SplitToSequence")
def split_to_sequence(reader: Reader, node: Node) -> None:
    """Parts of one length (the last may be shorter), of given lengths, or single positions."""
    x = reader.map(node)
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    n = x.dims[axis]
    told, lengths = reader.known(node, 1), reader.const(node, 1)
    if told is None or lengths is None:
        parts, drop = [1] * n, not node.attributes.get("keepdims", 1)
    else:
        drop = False
        size = int(told[0]) if told else 0
        if lengths.dims == () and size < 1:
            raise RfcalcError(f"parts of {size} positions")
        parts = [int(v) for v in told] if lengths.dims else [min(size, n - i) for i in range(0, n, size)]
    found, start = [], 0
    for length in parts:
        part = sliced(reader.graph, x, axis, start, start + length)
        start += length
        dims = (*x.dims[:axis], *x.dims[axis + 1 :])
        found.append(without(reader.graph, part, {axis}, dims) if drop else part)
    reader.give(node, Parts(tuple(found)))


def items(reader: Reader, node: Node) -> tuple[Value, ...]:
    found = reader.value(node.inputs[0])
    if not isinstance(found, Parts):
        raise NotUnderstood("what it reads is no sequence that is known")
    return found.items


@rule("SequenceConstruct")
def construct(reader: Reader, node: Node) -> None:
    reader.give(node, Parts(tuple(solid(reader, v) for v in reader.inputs(node))))


@rule("SequenceAt")
def at(reader: Reader, node: Node) -> None:
    found = items(reader, node)
    (index,) = reader.known(node, 1) or (0,)
    if not -len(found) <= int(index) < len(found):
        raise RfcalcError(f"there is no part {index} of {len(found)}")
    reader.give(node, found[int(index)])


@rule("SequenceLength")
def length(reader: Reader, node: Node) -> None:
    reader.give(node, Const((), 7, (len(items(reader, node)),)))


@rule("ConcatFromSequence")
def concat_from_sequence(reader: Reader, node: Node) -> None:
    values = list(items(reader, node))
    stacks = bool(node.attributes.get("new_axis", 0))
    axis = axis_of(int(node.attributes.get("axis", 0)), len(values[0].dims) + stacks)
    reader.give(node, stacked(reader.graph, values, axis) if stacks else _joined(reader.graph, values, axis))


def stacked(graph: Builder, values: Sequence[Value], axis: int) -> Value:
    """Values one after another along a new axis."""
    wide = (*values[0].dims[:axis], 1, *values[0].dims[axis:])
    found = [
        inserted_axis(graph, v, wide, None if v.batch is None else v.batch + (axis <= v.batch), axis) for v in values
    ]
    return _joined(graph, found, axis)


def _joined(graph: Builder, values: Sequence[Value], axis: int) -> Value:
    first = values[0].dims
    dims = (*first[:axis], sum(v.dims[axis] for v in values), *first[axis + 1 :])
    return values[0] if len(values) == 1 else chained(graph, values, axis, dims)


@rule("GatherND")
def gather_nd(reader: Reader, node: Node) -> None:
    """Fixed positions of the first axis that is no batch."""
    x, index, axis = reader.map(node), reader.const(node, 1), int(node.attributes.get("batch_dims", 0))
    if index is None or not index.dims or index.dims[-1] != 1 or axis:
        raise NotUnderstood("by positions of several axes")
    n = x.dims[0]
    wanted = [int(i) + (n if i < 0 else 0) for i in reader.known(node, 1) or ()]
    made = picked(reader.graph, x, 0, wanted)
    dims = (*index.dims[:-1], *x.dims[1:])
    reader.give(node, made if dims == made.dims else regrouped(reader.graph, made, dims, batch_after(made, dims)))


@rule("ScatterND")
def scatter_nd(reader: Reader, node: Node) -> None:
    """Written over at fixed positions, which are a product of positions of the first axes."""
    x, index = solid(reader, reader.value(node.inputs[0])), reader.const(node, 1)
    if index is not None and index.size == 0:  # nothing is written
        reader.give(node, x)
        return
    if node.attributes.get("reduction", "none") not in ("none", ""):
        raise NotUnderstood("it adds to what is there")
    if index is None or not index.dims or index.values is None:
        raise NotUnderstood("by positions that are not known")
    depth = index.dims[-1]
    rows = [tuple(int(v) for v in index.values[i : i + depth]) for i in range(0, len(index.values), depth)]
    rows = [tuple(p + n if p < 0 else p for p, n in zip(row, x.dims, strict=False)) for row in rows]
    each = [list(dict.fromkeys(row[i] for row in rows)) for i in range(depth)]
    if rows != list(product(*each)):
        raise NotUnderstood("by positions that are no product")
    places = [*each, *(range(n) for n in x.dims[depth:])]
    dims = tuple(len(p) for p in places)
    new = solid(reader, reader.value(node.inputs[2]))
    new = new if new.dims == dims else regrouped(reader.graph, new, dims, batch_after(new, dims))
    reader.give(node, written(reader.graph, x, places, new))


@rule("ScatterElements")
def scatter_elements(reader: Reader, node: Node) -> None:
    """Written over at fixed positions of one axis that are the same wherever one stands on the others."""
    x, index = solid(reader, reader.value(node.inputs[0])), reader.const(node, 1)
    if node.attributes.get("reduction", "none") not in ("none", ""):
        raise NotUnderstood("it adds to what is there")
    axis, line = _line(node, x, index)
    assert index is not None
    places: list[Sequence[int]] = [range(m) for m in index.dims]
    places[axis] = line
    new = solid(reader, reader.value(node.inputs[2]))
    for i, m in enumerate(index.dims):
        new = sliced(reader.graph, new, i, 0, m)
    reader.give(node, written(reader.graph, x, places, new))


@rule("GatherElements")
def gather_elements(reader: Reader, node: Node) -> None:
    """Fixed positions of one axis that are the same wherever one stands on the others."""
    x, index = reader.map(node), reader.const(node, 1)
    axis, line = _line(node, x, index)
    assert index is not None
    for i, m in enumerate(index.dims):
        x = x if i == axis else sliced(reader.graph, x, i, 0, m)
    reader.give(node, picked(reader.graph, x, axis, line))


def _line(node: Node, x: Value, index: Const | None) -> tuple[int, list[int]]:
    """The axis that elements are picked from or written to, and their positions there."""
    if index is None or index.values is None or len(index.dims) != len(x.dims):
        raise NotUnderstood("by positions that are not known")
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    behind, n = prod(index.dims[axis + 1 :]), index.dims[axis]
    line = [int(v) for v in index.values[: n * behind : behind]]
    if any(int(v) != line[i // behind % n] for i, v in enumerate(index.values)):
        raise NotUnderstood("by positions that differ from place to place")
    size = x.dims[axis]
    if any(not -size <= p < size for p in line):
        raise RfcalcError(f"an index is outside of an axis of {size}")
    return axis, [p % size for p in line]


@rule("Slice")
def slices(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    given = [lengths.asked(g) for g in reader.inputs(node)]
    for axis, start, end, step in bounds(node, given, len(x.dims), reader.opset):
        n = x.dims[axis]
        if step > 0:
            start, end = lengths.gives(reader, clipped(start, end, lengths.lengths_of(reader, x)[axis]))
        start, end = plain((start, end))
        stop = None if step < 0 and end < -n else end
        wanted = range(n)[start:stop:step]
        if not wanted and not all(n.op == "Concat" for n in reader.nodes if node.outputs[0] in n.inputs):
            raise RfcalcError(f"nothing is left of an axis of {n}").by_answer()
        if not wanted:
            reader.give(node, Const((*x.dims[:axis], 0, *x.dims[axis + 1 :]), 1, ()))  # nothing of the input is in it
            return
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
    lengths.places(reader, lengths.lengths_of(reader, x)[axis], [int(i) for i in index])
    wanted = [int(i) + (n if i < 0 else 0) for i in index]
    if not wanted or any(not 0 <= i < n for i in wanted):
        raise RfcalcError(f"an index is outside of an axis of {n}").by_answer()
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
    kept = as_written()  # at other sizes it may be more than nothing
    reader.give(node, padded(reader.graph, x, pairs, mode) if kept or any(p != (0, 0) for p in pairs) else x)
