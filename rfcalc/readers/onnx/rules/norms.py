"""Normalisation."""

from __future__ import annotations

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.layers.norm import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from rfcalc.readers.builder.maps import channels_at
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.constants import broadcast
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.names import invented
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const


def normal(reader: Reader, node: Node, layer: Layer, x: Value, *parts: tuple[str, Const | None]) -> None:
    """Place a normalisation that keeps the layout, and tell its parameters."""
    weight = next((c for role, c in parts if role == "weight" and c is not None), None)
    name = weight.origin[0] if weight is not None and len(weight.origin) == 1 else ""
    made = reader.place(layer, [x], batch=x.batch, dims=x.dims, weight=name)
    for role, const in parts:
        reader.uses(made, role, const)
    reader.give(node, made)


def features(reader: Reader, node: Node) -> Value:
    """The input with its channels on axis 1 and its batch in front of them."""
    x, graph = reader.map(node), reader.graph
    if x.batch is None and len(x.dims) > 1 and x.dims[0] == 1:
        x = channels_at(graph, x)
        return Value(graph.laid(x, x.dims[1:], 0), x.dims, 0)
    return channels_at(graph, x)


def per_channel(const: Const | None, channels: int, what: str) -> None:
    """Refuse a vector that does not fit the channels."""
    if const is not None and const.size != channels:
        raise RfcalcError(f"{what} has {const.size} values for {channels} channels")


def trivial(scale: Const | None, offset: Const | None) -> bool:
    """Whether a scale of ones and an offset of zeros were put in where the model has none: they carry no name."""
    if scale is None or offset is None or scale.values is None or offset.values is None:
        return False
    named = any(not invented(name) and "running_" not in name for c in (scale, offset) for name in c.origin)
    return not named and set(scale.values) == {1.0} and set(offset.values) == {0.0}


@rule("BatchNormalization")
def batch_norm(reader: Reader, node: Node) -> None:
    x = features(reader, node)
    scale, offset, mean, variance = (reader.const(node, i) for i in (1, 2, 3, 4))
    for const, what in ((scale, "the scale"), (offset, "the offset"), (mean, "the mean"), (variance, "the variance")):
        per_channel(const, reader.shape(x).channels, what)
    if len(node.outputs) > 1 and any(reader.readers[name] for name in node.outputs[1:]):
        raise NotUnderstood("its statistics are used")
    plain = trivial(scale, offset)
    layer = BatchNorm(affine=not plain, track=True, training=bool(node.attributes.get("training_mode", 0)))
    affine = () if plain else (("weight", scale), ("bias", offset))
    normal(reader, node, layer, x, *affine, ("buffer", mean), ("buffer", variance))


@rule("MeanVarianceNormalization")
def of_each_map(reader: Reader, node: Node) -> None:
    """A normalisation without a factor over all but the channels, of a batch of one."""
    x = features(reader, node)
    axes = sorted(int(a) % len(x.dims) for a in node.attributes.get("axes") or (0, 2, 3))
    if axes not in ([0, *range(2, len(x.dims))], list(range(2, len(x.dims)))) or (0 in axes and x.dims[0] != 1):
        raise NotUnderstood(f"over axes {axes} of {len(x.dims)}, or of several items together")
    normal(reader, node, InstanceNorm(affine=False), x)


@rule("InstanceNormalization")
def instance_norm(reader: Reader, node: Node) -> None:
    x = features(reader, node)
    scale, offset = reader.const(node, 1), reader.const(node, 2)
    per_channel(scale, reader.shape(x).channels, "the scale")
    per_channel(offset, reader.shape(x).channels, "the offset")
    plain = trivial(scale, offset)
    affine = () if plain else (("weight", scale), ("bias", offset))
    normal(reader, node, InstanceNorm(affine=not plain), x, *affine)


@rule(
    "LayerNormalization",
    "RMSNormalization",
    "com.microsoft::SimplifiedLayerNormalization",
    "rfcalc::LayerNormalization",
)
def layer_norm(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    scale, offset = reader.const(node, 1), reader.const(node, 2)
    axis = int(node.attributes.get("axis", -1))
    if not -len(x.dims) <= axis < len(x.dims):
        raise RfcalcError(f"there is no axis {axis} in a value of {len(x.dims)} axes")
    axis %= len(x.dims)
    if x.batch is not None and x.batch >= axis:
        x = reader.graph.plain(x)
    over = len(x.dims) - axis
    normal_layer(reader, node, x, over, scale, offset, rms=node.op != "LayerNormalization")
    if any(reader.readers[name] for name in node.outputs[1:] if name):
        raise NotUnderstood("its statistics are used")


def normal_layer(
    reader: Reader, node: Node, x: Value, over: int, scale: Const | None, offset: Const | None, rms: bool = False
) -> None:
    """A layer normalisation over the last axes."""
    size = 1
    for n in x.dims[len(x.dims) - over :]:
        size *= n
    plain = trivial(scale, offset) and not rms
    for const in (scale, offset):
        if const is not None and broadcast(const.dims, x.dims) != x.dims:
            raise RfcalcError(f"its scale or offset of {const.size} values does not fit {size} features")
        if const is not None and const.size != size:
            raise NotUnderstood(f"its scale or offset has {const.size} values for {size} features")
    if rms:
        if over != 1 or offset is not None:
            raise NotUnderstood("it normalises over several axes, or has an offset")
        layer: Layer = RMSNorm(affine=scale is not None)
    else:
        layer = LayerNorm(
            over, affine=scale is not None and not plain, bias=offset is not None or scale is None or plain
        )
    affine = () if plain else (("weight", scale), ("bias", offset))
    normal(reader, node, layer, x, *affine)


@rule("GroupNormalization", "rfcalc::GroupNormalization")
def group_norm(reader: Reader, node: Node) -> None:
    x = features(reader, node)
    scale, offset = reader.const(node, 1), reader.const(node, 2)
    groups = int(node.attributes.get("num_groups", 1))
    plain = scale is None or trivial(scale, offset)
    if not plain and scale is not None and scale.size != reader.shape(x).channels:
        raise NotUnderstood("it has one scale for each group (opset 18), which no layer kind has")
    affine = () if plain else (("weight", scale), ("bias", offset))
    normal(reader, node, GroupNorm(groups, affine=not plain), x, *affine)


@rule("LRN")
def lrn(reader: Reader, node: Node) -> None:
    normal(reader, node, LRN(int(node.attributes.get("size", 5))), features(reader, node))
