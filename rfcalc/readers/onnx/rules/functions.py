"""Functions of each value, softmax, dropout, and what leaves values as they are."""

from __future__ import annotations

from math import isfinite
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.size import prod
from rfcalc.layers.general import Elementwise
from rfcalc.layers.pointwise import Activation, Dropout, PReLU, Softmax
from rfcalc.readers.builder.maps import alone, channels_at
from rfcalc.readers.builder.moves import regrouped
from rfcalc.readers.builder.products import within
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.builder.vocabulary import ONNX
from rfcalc.readers.onnx.constants import axis_of
from rfcalc.readers.onnx.masking import score_mask
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const, as_typed

ACTIVATIONS = {
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Selu": "selu",
    "Celu": "celu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Gelu": "gelu",
    "com.microsoft::Gelu": "gelu",
    "com.microsoft::FastGelu": "gelu_tanh",
    "Mish": "mish",
    "Softplus": "softplus",
    "HardSigmoid": "hardsigmoid",
    "HardSwish": "hardswish",
    "Swish": "silu",
    "rfcalc::Silu": "silu",
    "rfcalc::Gelu": "gelu",
    "rfcalc::GeluTanh": "gelu_tanh",
    "rfcalc::HardSwish": "hardswish",
    "rfcalc::HardSigmoid": "hardsigmoid",
    "rfcalc::Mish": "mish",
}


def same(reader: Reader, node: Node, layer: Layer, x: Value | None = None) -> Value:
    """Place a layer that keeps the layout of its input."""
    made = alone(reader.graph, reader.map(node) if x is None else x, layer)
    reader.give(node, made)
    return made


@rule(*ACTIVATIONS)
def activation(reader: Reader, node: Node) -> None:
    name = ACTIVATIONS[node.called]
    if node.op == "Gelu" and node.attributes.get("approximate") == "tanh":
        name = "gelu_tanh"
    same(reader, node, Activation(name))


@rule(*ONNX)
def function(reader: Reader, node: Node) -> None:
    same(reader, node, Elementwise(ONNX[node.op]))


@rule("Clip")
def clip(reader: Reader, node: Node) -> None:
    low, high = node.attributes.get("min"), node.attributes.get("max")
    if len(node.inputs) > 1:
        low, high = _bound(reader, node, 1), _bound(reader, node, 2)
    names: dict[object, str] = {(0.0, 6.0): "relu6", (0.0, None): "relu", (-1.0, 1.0): "hardtanh"}
    if low is not None and abs(low) > 3e38:
        low = None
    if high is not None and abs(high) > 3e38:
        high = None
    if low is None and high is None:
        raise NotUnderstood("it has no bounds")
    if (low, high) in names:
        same(reader, node, Activation(names[low, high]))
        return
    numbers = tuple(as_typed(n) for n in (low, high) if n is not None)
    name = "clamp" if len(numbers) == 2 else "minimum" if low is None else "maximum"
    same(reader, node, Elementwise(name, numbers if all(map(isfinite, numbers)) else ()))


def _bound(reader: Reader, node: Node, i: int) -> Any:
    found = reader.known(node, i)
    return None if found is None else float(found[0])


@rule("PRelu")
def prelu(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    slope = reader.const(node, 1)
    if slope is None:
        raise RfcalcError("it has no slope")
    if slope.size != 1 and len(x.dims) > 1:
        wide = [i - len(slope.dims) for i, n in enumerate(slope.dims) if n != 1]
        x = channels_at(reader.graph, x, wide[0] % len(x.dims) if len(wide) == 1 else 1)
    channel = reader.shape(x).channels
    if slope.size not in (1, channel):
        raise NotUnderstood(f"it has {slope.size} slopes for {channel} channels")
    name = slope.origin[0] if len(slope.origin) == 1 else ""
    made = reader.place(
        PReLU(per_channel=slope.size != 1 or channel == 1), [x], batch=x.batch, dims=x.dims, weight=name
    )
    reader.uses(made, "weight", slope)
    reader.give(node, made)


@rule("Softmax", "LogSoftmax")
def softmax(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    log = node.op == "LogSoftmax"
    rank = len(x.dims)
    if reader.opset >= 13:
        axis = axis_of(int(node.attributes.get("axis", -1)), rank)
        _softmax(reader, node, x, axis)
        return
    # Before opset 13 the axes from `axis` on are taken together.
    axis = axis_of(int(node.attributes.get("axis", 1)), rank)
    wide = [i for i in range(axis, rank) if x.dims[i] != 1]
    if len(wide) <= 1:
        _softmax(reader, node, x, wide[0] if wide else axis)
        return
    graph = reader.graph
    if x.batch is not None and x.batch >= axis:
        x = graph.plain(x)
    flat = regrouped(graph, x, (*x.dims[:axis], prod(x.dims[axis:])), x.batch)
    at = graph.axis(flat, axis)
    made = alone(graph, flat, Softmax(None if at == graph.shape(flat).channel else at, log=log))
    reader.give(node, regrouped(graph, made, x.dims, x.batch))


def _softmax(reader: Reader, node: Node, x: Value, axis: int) -> None:
    if x.batch == axis:
        x = reader.graph.plain(x)
    at, here, log = reader.graph.axis(x, axis), reader.shape(x), node.op == "LogSoftmax"
    last = axis == len(x.dims) - 1 and len(here.dims) > 1 and here.channel != at - 1
    mask = within(score_mask(reader, node, x.dims), x.batch) if last and not log else None
    same(reader, node, Softmax(None if at == here.channel else at, log=log, mask=mask), x)


@rule("Dropout")
def dropout(reader: Reader, node: Node) -> None:
    rate = node.attributes.get("ratio", 0.5)
    if len(node.inputs) > 1 and node.inputs[1]:
        found = reader.const(node, 1)
        rate = 0.5 if found is None or found.scalar is None else found.scalar
    rate = min(max(round(float(rate), 6), 0.0), 1.0)
    same(reader, node, Dropout(rate))
    if len(node.outputs) > 1 and node.outputs[1] and reader.readers[node.outputs[1]]:
        raise NotUnderstood("its mask is used")


@rule("Identity")
def identity(reader: Reader, node: Node) -> None:
    """Another name for the same value."""
    reader.give(node, reader.map(node))


@rule("Cast", "CastLike")
def cast(reader: Reader, node: Node) -> None:
    if isinstance(found := reader.value(node.inputs[0]), Const):
        reader.give(node, found)  # cast like a map, of which only the type is read
        return
    reader.notes["types change in the graph; bytes are counted in one type throughout"] += 1
    same(reader, node, Elementwise("cast"))
