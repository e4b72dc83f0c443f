"""Normalisation."""

from __future__ import annotations

from typing import Any

from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from rfcalc.readers.builder.maps import channels_at, mapped
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.convolutions import weights
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.tensors import TensorBuilder


def _factors(graph: TensorBuilder, *given: Any) -> tuple[str, ...] | None:
    """The parameters that a normalisation holds; None where they are not its own, so that they stand apart."""
    try:
        if any(not graph.is_static(g) or graph.leaves(g) == [] for g in given if g is not None):
            return None
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
    x = channels_at(graph, call.x)
    track = call["running_mean"] is not None
    if weight is None and bias is None:
        return graph.add(BatchNorm(affine=False, track=track, training=training), (x.node,), x.dims, x.batch)
    key = _factors(graph, weight, bias)
    if key:
        made = BatchNorm(affine=True, track=track, training=training, gamma=weight is not None, bias=bias is not None)
        return graph.own(graph.add(made, (x.node,), x.dims, x.batch), key)
    bare = graph.add(BatchNorm(affine=False, track=track, training=training), (x.node,), x.dims, x.batch)
    return _apart(graph, bare, weight, bias, 1)


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
    if x.batch is None and x.dims[0] != 1:
        raise NotUnderstood("of a merged batch")
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
    x, leading = mapped(graph, call.x, len(call.x.dims) - 2)
    if leading:
        raise NotUnderstood("of a merged batch")
    track = call["running_mean"] is not None and not call["use_input_stats"]
    key = None if weight is None or bias is None else _factors(graph, weight, bias)
    if key:
        return graph.own(graph.add(InstanceNorm(affine=True, track=track), (x.node,), x.dims, x.batch), key)
    made = graph.add(InstanceNorm(affine=False, track=track), (x.node,), x.dims, x.batch)
    return _apart(graph, made, weight, bias, 1)
