"""Normalisation."""

from __future__ import annotations

from typing import Any

from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from rfcalc.layers.reshape import Reshape
from rfcalc.readers.builder.maps import alone, channels_at, mapped
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.convolutions import weights
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.tensors import TensorBuilder


def _factors(graph: TensorBuilder, *given: Any) -> tuple[str, ...] | None:
    """The parameters that a normalisation holds; None where they are not its own, so that they stand apart."""
    try:
        return weights(graph, *given)
    except NotUnderstood:
        return None


def _apart(graph: TensorBuilder, made: Value, weight: Any, bias: Any, axis: int) -> Value:
    """Factors and offsets as nodes of their own."""
    for tensor, layer in ((weight, Multiply()), (bias, Add())):
        if tensor is None:
            continue
        value = graph.get(tensor)
        n = len(value.dims)
        if axis + n < len(made.dims) and n == 1:  # along the channels of a map
            dims = (*value.dims, *(1 for _ in range(len(made.dims) - axis - 1)))
            value = Value(graph.laid(value, dims, 0), dims, None)
        nodes, batch, extra = graph.aligned((made, value), made.dims)
        made = graph.add(layer, nodes, made.dims, batch, extra=extra)
    return made


@handles("batch_norm", "cudnn_batch_norm", "native_batch_norm")
def batch_norm(call: OperatorCall) -> Value:
    graph = call.graph
    weight, bias = call["weight"], call["bias"]
    training = bool(call["training"])
    track = call["running_mean"] is not None
    if track and not training and _along_positions(graph, call.x):
        graph.note("running statistics of a batch normalisation along positions are no buffers in the figures")
        return _apart(graph, alone(graph, call.x, Elementwise("batchnorm")), weight, bias, 1)
    x = channels_at(graph, call.x)
    if weight is None and bias is None:
        return graph.add(BatchNorm(affine=False, track=track, training=training), (x.node,), x.dims, x.batch)
    key = _factors(graph, weight, bias)
    if key:
        made = BatchNorm(affine=True, track=track, training=training, gamma=weight is not None, bias=bias is not None)
        return graph.own(graph.add(made, (x.node,), x.dims, x.batch), key)
    bare = graph.add(BatchNorm(affine=False, track=track, training=training), (x.node,), x.dims, x.batch)
    return _apart(graph, bare, weight, bias, 1)


def _along_positions(graph: TensorBuilder, x: Value) -> bool:
    """Whether positions, and not channels, lie along the axis that a batch normalisation has factors for."""
    if x.extra or x.batch == 1 or len(x.dims) < 2:
        return False
    at = graph.axis(x, 1)
    return at != graph.shape(x).channel and at in graph.carriers[x.node] and x.dims[1] != 1


def _of_each(graph: TensorBuilder, x: Value, groups: int) -> Value:
    """Groups of channels normalised over space, for each position of a leading axis (frames, windows) by itself."""
    lead, channels, *space = x.dims
    node = graph.laid(x, x.dims, 1)
    if groups != channels:
        apart = (lead, groups, channels // groups, *space)
        node = graph.add(Reshape(apart, 1), (node,), apart, None, helper=True).node
        made = graph.add(LayerNorm(len(space) + 1, affine=False), (node,), apart, None, helper=True)
        return graph.add(Reshape(x.dims, 1), (made.node,), x.dims, None)
    return graph.add(LayerNorm(len(space), affine=False), (node,), x.dims, None)


@handles("layer_norm")
def layer_norm(call: OperatorCall) -> Value:
    graph = call.graph
    over = len(call["normalized_shape"])
    weight, bias = call["weight"], call["bias"]
    x = graph.with_channels(call.x)
    if x.batch is not None and x.batch >= len(x.dims) - over:
        x = graph.plain(x)
    key = _factors(graph, weight, bias)
    if key:
        own = LayerNorm(over, affine=True, bias=bias is not None, gamma=weight is not None)
        return graph.own(graph.add(own, (x.node,), x.dims, x.batch), key)
    made = graph.add(LayerNorm(over, affine=False, bias=False), (x.node,), x.dims, x.batch)
    return _apart(graph, made, weight, bias, len(x.dims) - over)


@handles("rms_norm")
def rms_norm(call: OperatorCall) -> Value:
    graph = call.graph
    weight = call["weight"]
    if len(call["normalized_shape"]) != 1:
        raise NotUnderstood("over several axes")
    x = graph.with_channels(call.x)
    if x.batch == len(x.dims) - 1:
        x = graph.plain(x)
    key = None if weight is None else _factors(graph, weight)
    if key:
        return graph.own(graph.add(RMSNorm(affine=True), (x.node,), x.dims, x.batch), key)
    made = graph.add(RMSNorm(affine=False), (x.node,), x.dims, x.batch)
    return _apart(graph, made, weight, None, len(x.dims) - 1)


@handles("group_norm")
def group_norm(call: OperatorCall) -> Value:
    graph = call.graph
    weight, bias = call["weight"], call["bias"]
    x = call.x
    if x.batch != 0 and x.dims[0] != 1:
        x = graph.with_channels(x if x.batch is None else graph.plain(x))
        return _apart(graph, _of_each(graph, x, call["num_groups"]), weight, bias, 1)
    x = channels_at(graph, x)
    if x.batch is None:
        x = Value(graph.laid(x, x.dims[1:], 0), x.dims, 0)
    key = _factors(graph, weight, bias)
    if key:
        own = GroupNorm(call["num_groups"], affine=True, gamma=weight is not None, bias=bias is not None)
        return graph.own(graph.add(own, (x.node,), x.dims, x.batch), key)
    made = graph.add(GroupNorm(call["num_groups"], affine=False), (x.node,), x.dims, x.batch)
    return _apart(graph, made, weight, bias, 1)


@handles("instance_norm")
def instance_norm(call: OperatorCall) -> Value:
    graph = call.graph
    weight, bias = call["weight"], call["bias"]
    track = call["running_mean"] is not None and not call["use_input_stats"]
    if call.x.batch != 0 and call.x.dims[0] != 1 and not track:
        x = graph.with_channels(call.x if call.x.batch is None else graph.plain(call.x))
        return _apart(graph, _of_each(graph, x, x.dims[1]), weight, bias, 1)
    x, leading = mapped(graph, call.x, len(call.x.dims) - 2)
    if leading:
        raise NotUnderstood("of a merged batch")
    key = None if weight is None or bias is None else _factors(graph, weight, bias)
    if key:
        return graph.own(graph.add(InstanceNorm(affine=True, track=track), (x.node,), x.dims, x.batch), key)
    made = graph.add(InstanceNorm(affine=False, track=track), (x.node,), x.dims, x.batch)
    return _apart(graph, made, weight, bias, 1)
