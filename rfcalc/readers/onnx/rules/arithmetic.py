"""Arithmetic: of maps, and of maps with constants, which may be biases, scales, tables, or mere numbers."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.learned import PositionTable
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.pointwise import Scale
from rfcalc.readers.builder.indexed import at_most
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import picked, regrouped, widened
from rfcalc.readers.builder.values import Value, inner
from rfcalc.readers.builder.vocabulary import ONNX_SEVERAL
from rfcalc.readers.builder.writing import written
from rfcalc.readers.onnx.constants import axis_of, broadcast, spread, strides
from rfcalc.readers.onnx.masking import is_low
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.names import invented
from rfcalc.readers.onnx.reading import Entry, Reader, rule
from rfcalc.readers.onnx.values import Const
from rfcalc.readers.onnx.weights import MOST_LOOKED_AT, has_gaps, is_learned, solid

LAYERS: dict[str, Layer] = {
    "Add": Add(),
    "Sum": Add(),
    "Mul": Multiply(),
    **{op: Elementwise(name) for op, name in ONNX_SEVERAL.items()},
    "Mean": Elementwise("mean"),
    "BitShift": Elementwise("shift"),
}
# With a single number: an addition, a multiplication, or the function itself.
BIASED = ("linear", "conv", "conv_transpose", "scale")
WITH_NUMBER = {"Add": "plus", "Sum": "plus", "Sub": "plus", "Mul": "times", "Div": "times"}

BEHIND = {  # a number before a map
    "Sub": "rsub", "Div": "rdiv", "Less": "gt", "LessOrEqual": "ge", "Greater": "lt", "GreaterOrEqual": "le",
}  # fmt: skip
SYMMETRIC = ("Max", "Min", "Equal")


@rule(*(op for op in LAYERS if op != "Where"))
def arithmetic(reader: Reader, node: Node) -> None:
    """Units that are multiplied by a zero of a fixed mask see nothing, so that what is told is a bound."""
    _arithmetic(reader, node)
    if node.op == "Mul" and any(has_gaps(reader, v) for v in reader.inputs(node)):
        _give_at_most(reader, node)


@rule("Where")
def where(reader: Reader, node: Node) -> None:
    """One of two values by a condition: where that is fixed and chooses a product of positions, these are written over;
    else, and where one of the two depends on no input, units see at most what is told."""
    flags, *both = reader.inputs(node)
    if not isinstance(flags, Const) or flags.size == 1:
        _arithmetic(reader, node)
        return
    maps = [v for v in both if isinstance(v, Value)]
    if len(maps) == 2 and (made := _chosen(reader, flags, maps)) is not None:
        reader.give(node, made)
        return
    _arithmetic(reader, node)
    if not any(is_low(v) for v in both):  # what a softmax makes zero is looked for at the softmax
        _give_at_most(reader, node)


def _give_at_most(reader: Reader, node: Node) -> None:
    made = reader.value(node.outputs[0])
    if isinstance(made, Value):
        reader.give(node, at_most(reader.graph, made))


def _chosen(reader: Reader, flags: Const, maps: list[Value]) -> Value | None:
    dims = broadcast(flags.dims, *(v.dims for v in maps))
    size = prod(dims)
    if flags.values is None or size > MOST_LOOKED_AT:
        return None
    held = [bool(flags.values[i]) for i in spread(flags, dims)]
    first, second = maps
    for wanted, new, base in ((True, first, second), (False, second, first)):
        at = [i for i, flag in enumerate(held) if flag is wanted]
        places = [sorted({i // step % n for i in at}) for step, n in zip(strides(dims), dims, strict=True)]
        if not at or len(at) != prod(map(len, places)):
            continue
        part, whole = widened(reader.graph, new, dims), widened(reader.graph, base, dims)
        for axis, positions in enumerate(places):
            part = picked(reader.graph, part, axis, positions)
        return written(reader.graph, whole, places, part)
    return None


def _arithmetic(reader: Reader, node: Node) -> None:
    given = [v for v in reader.inputs(node) if v is not None]
    if reader.opset < 7:
        given = _older(node, given)
    maps = [v for v in given if isinstance(v, Value)]
    consts = [v for v in given if isinstance(v, Const)]
    if len(maps) == 1 and len(consts) == 1 and _with_constant(reader, node, maps[0], consts[0], given[0] is maps[0]):
        return
    if len(maps) + len(consts) == 1:
        reader.give(node, maps[0] if maps else consts[0])  # a sum, a maximum of one
        return
    if len(maps) == 1 and all(c.size == 1 for c in consts):
        dims = broadcast(*(v.dims for v in given))  # type: ignore[union-attr]
        made = alone(reader.graph, maps[0], Elementwise(node.op.lower()))
        reader.give(node, _ranked(reader, made, dims))
        return
    values = [solid(reader, v) for v in given]
    dims = broadcast(*(v.dims for v in values))
    nodes, batch, extra = reader.graph.aligned(values, dims)
    reader.give(node, reader.graph.add(LAYERS[node.op], nodes, dims, batch, extra=extra))


def _older(node: Node, given: list[Entry]) -> list[Entry]:
    """Before opset 7 the second operand was laid along the first from `axis` on."""
    axis = node.attributes.get("axis")
    if axis is None or len(given) != 2 or not isinstance(given[1], Const) or not isinstance(given[0], Value):
        return given
    const, rank = given[1], len(given[0].dims)
    more = rank - axis_of(int(axis), rank) - len(const.dims)
    return [given[0], replace(const, dims=(*const.dims, *(1,) * more))]


def _ranked(reader: Reader, m: Value, dims: tuple[int, ...]) -> Value:
    """The map with leading axes of size 1 where the result has more axes."""
    if dims == m.dims:
        return m
    more = len(dims) - len(m.dims)
    batch = None if m.batch is None else m.batch + more
    return regrouped(reader.graph, m, dims, batch)


def _with_constant(reader: Reader, node: Node, x: Value, const: Const, first: bool) -> bool:
    """A map and a constant, where that is a layer of its own; whether it was."""
    op = node.op
    dims = broadcast(x.dims, const.dims)
    if const.size == 1:
        if op in ("Add", "Sum") and _single(reader, const) and _as_bias(reader, node, x, const, (1,) * len(x.inner)):
            return True
        made = alone(reader.graph, x, _of_number(op, const, first))
        reader.give(node, _ranked(reader, made, dims))
        return True
    usual = ("Add", "Sum", "Sub", "Mul", "Div") if first else ("Add", "Sum", "Mul")
    if dims != x.dims or op not in usual or not is_learned(reader, const):
        return False
    padded = (1,) * (len(x.dims) - len(const.dims)) + const.dims
    if x.batch is not None and padded[x.batch] != 1:
        return False
    if x.extra:
        return False
    here = reader.shape(x)
    seen = inner(padded, x.batch)
    channel = here.channel
    along = all(n == 1 or i == channel for i, n in enumerate(seen)) and seen[channel] == here.dims[channel]
    if op in ("Add", "Sum") and _as_bias(reader, node, x, const, seen):
        return True
    name = const.origin[0] if len(const.origin) == 1 else ""
    if along and op in ("Mul", "Div"):
        layer: Layer = Scale()
    elif op in ("Add", "Sum") and seen == here.dims and const.size == sum(_sizes(reader, const)):
        layer = PositionTable()
    else:
        return False
    made = reader.place(layer, [x], batch=x.batch, dims=x.dims, weight=name)
    reader.uses(made, "weight", const)
    reader.give(node, made)
    return True


def _of_number(op: str, number: Const, first: bool) -> Elementwise:
    """The function of one map that an operator is with a number; `first`: the map is its first operand."""
    name = str(getattr(LAYERS[op], "function", op.lower()))
    by = number.decimal
    if first or op in ("Add", "Mul", "Sum"):
        name = WITH_NUMBER.get(op, name)
        if op == "Sub" and by is not None:
            by = -by
        elif op == "Div" and by is not None:
            by = 1 / by if by else None
    elif op in BEHIND:
        name = BEHIND[op]
    elif op not in SYMMETRIC:
        by = None
    return Elementwise(name, () if by is None else by)


def _sizes(reader: Reader, const: Const) -> list[int]:
    return [reader.model.graph.tensors[name].size for name in const.origin if name in reader.model.graph.tensors]


def _single(reader: Reader, const: Const) -> bool:
    """Whether one number stands in the file like a parameter: by itself, under a name that is not the exporter's."""
    names = const.origin
    return (
        const.floating
        and len(names) == 1
        and not (reader.written(names[0]) or invented(names[0]))
        and reader.readers[names[0]] == 1
    )


def _as_bias(reader: Reader, node: Node, x: Value, const: Const, seen: tuple[int, ...]) -> bool:
    """Whether an addition was taken into the layer before it, as its bias (or the offset of a scale)."""
    source = next(name for name in node.inputs if isinstance(reader.values.get(name), Value))
    here = reader.shape(x)
    position = x.node - len(reader.graph.inputs)
    made = reader.graph.nodes[position] if position >= 0 else None
    if made is None or reader.readers[source] != 1 or made.layer.kind not in BIASED:
        return False
    axis = len(seen) - 1 if made.layer.kind == "linear" else here.channel
    if made.layer.given["bias"] or any(n != (here.dims[i] if i == axis else 1) for i, n in enumerate(seen)):
        return False
    made.layer = made.layer.changed(bias=True)
    reader.uses(x, "bias", const)
    reader.give(node, x)
    return True
