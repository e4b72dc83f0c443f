"""Quantised graphs: what they approximate, with their integer weights as parameters."""

from __future__ import annotations

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.pointwise import Activation
from rfcalc.layers.pool import AdaptivePool
from rfcalc.readers.builder.joining import chained
from rfcalc.readers.builder.maps import alone, back, mapped
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.constants import axis_of, broadcast
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.rules.products import linear
from rfcalc.readers.onnx.rules.sliding import convolved
from rfcalc.readers.onnx.weights import solid

NOTE = "quantized operators are read as what they approximate; scales and zero points are not counted"
DYNAMIC = (
    "the scales of dynamic quantization come from the least and the largest value: every value depends on the whole map"
)


@rule("QuantizeLinear", "DequantizeLinear")
def quantize(reader: Reader, node: Node) -> None:
    reader.notes[NOTE] += 1
    reader.give(node, alone(reader.graph, reader.map(node), Elementwise("cast")))


@rule("DynamicQuantizeLinear")
def dynamic(reader: Reader, node: Node) -> None:
    """The values in eight bits, their scale, their zero point: of what the scale depends on, the zero point is too."""
    reader.notes[NOTE] += 1
    values, scale = _by_its_range(reader, reader.map(node))
    for i, made in enumerate((values, scale, scale)):
        reader.give(node, made, i)


def _by_its_range(reader: Reader, x: Value) -> tuple[Value, Value]:
    """A map divided by its scale, and the scale: what lies between its least and its largest value, in 255 steps."""
    reader.notes[DYNAMIC] += 1
    graph = reader.graph
    whole = x if x.batch is None else graph.plain(x)
    most, least = (reduced(graph, whole, (), op, False, ()) for op in ("amax", "amin"))
    scale = alone(graph, _joined(reader, Elementwise("sub"), most, least), Elementwise("times", 1 / 255))
    return alone(graph, _joined(reader, Elementwise("div"), x, scale), Elementwise("cast")), scale


def _joined(reader: Reader, layer: Layer, *values: Value) -> Value:
    dims = broadcast(*(v.dims for v in values))
    nodes, batch, extra = reader.graph.aligned(values, dims)
    return reader.graph.add(layer, nodes, dims, batch, extra=extra)


@rule("QLinearConv", "ConvInteger")
def conv(reader: Reader, node: Node) -> None:
    linear_one = node.op == "QLinearConv"
    reader.notes[NOTE] += 1
    bias = reader.const(node, 8) if linear_one else None
    reader.give(node, convolved(reader, node, reader.const(node, 3 if linear_one else 1), bias))


@rule(
    "MatMulInteger",
    "QLinearMatMul",
    "com.microsoft::QGemm",
    "com.microsoft::MatMulIntegerToFloat",
    "com.microsoft::DynamicQuantizeMatMul",
)
def matmul(reader: Reader, node: Node) -> None:
    """A product of integer matrices, of which the second is learned."""
    reader.notes[NOTE] += 1
    at, offset = {
        "MatMulInteger": (1, None),
        "QLinearMatMul": (3, None),
        "QGemm": (3, 6),
        "MatMulIntegerToFloat": (1, 6),
        "DynamicQuantizeMatMul": (1, 4),
    }[node.op]
    weight = reader.const(node, at)
    bias = None if offset is None else reader.const(node, offset)
    x = reader.map(node)
    if weight is None or len(weight.dims) != 2:
        raise NotUnderstood("its weights are no matrix")
    inner, out = weight.dims[::-1] if node.attributes.get("transB", 0) else weight.dims
    if x.dims[-1] != inner:
        raise RfcalcError(f"weights for {inner} features, and the input has {x.dims[-1]}")
    if node.op == "DynamicQuantizeMatMul":
        values, scale = _by_its_range(reader, x)
        reader.give(node, _joined(reader, Multiply(), linear(reader, values, out, weight, bias), scale))
        return
    reader.give(node, linear(reader, x, out, weight, bias))


FUNCTIONS: dict[str, Layer] = {
    "com.microsoft::QLinearSigmoid": Activation("sigmoid"),
    "com.microsoft::QLinearLeakyRelu": Activation("leaky_relu"),
}
JOINS: dict[str, Layer] = {"com.microsoft::QLinearAdd": Add(), "com.microsoft::QLinearMul": Multiply()}


@rule(*FUNCTIONS)
def function(reader: Reader, node: Node) -> None:
    reader.notes[NOTE] += 1
    reader.give(node, alone(reader.graph, reader.map(node), FUNCTIONS[node.called]))


@rule(*JOINS)
def joined(reader: Reader, node: Node) -> None:
    """Two maps, each with its scale and zero point."""
    reader.notes[NOTE] += 1
    values = (solid(reader, reader.value(node.inputs[i])) for i in (0, 3))
    reader.give(node, _joined(reader, JOINS[node.called], *values))


@rule("com.microsoft::QLinearConcat")
def concat(reader: Reader, node: Node) -> None:
    """The result's scale and zero point, then three inputs for each part."""
    reader.notes[NOTE] += 1
    values = [solid(reader, reader.value(name)) for name in node.inputs[2::3]]
    axis = axis_of(int(node.attributes.get("axis", 1)), len(values[0].dims))
    first = values[0].dims
    dims = (*first[:axis], sum(v.dims[axis] for v in values), *first[axis + 1 :])
    reader.give(node, chained(reader.graph, values, axis, dims))


@rule("com.microsoft::QLinearGlobalAveragePool")
def pool(reader: Reader, node: Node) -> None:
    reader.notes[NOTE] += 1
    if node.attributes.get("channels_last", 0):
        raise NotUnderstood("its channels are last")
    given: Value = reader.map(node)
    x, leading = mapped(reader.graph, given, len(given.dims) - 2)
    if leading:
        raise NotUnderstood("the batch is merged with other axes")
    reader.give(node, back(reader.graph, reader.place(AdaptivePool(1), [x], batch=x.batch), leading))
