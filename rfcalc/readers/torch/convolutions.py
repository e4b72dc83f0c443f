"""Convolutions, transposed ones, and linear layers."""

from __future__ import annotations

from math import prod
from typing import Any

from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Add
from rfcalc.layers.reshape import Permute
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.readers.torch.graph import Graph, NotUnderstood, Static, Value, dims_of
from rfcalc.readers.torch.translate import Call, handles


def mapped(graph: Graph, x: Value, rank: int) -> tuple[Value, bool]:
    """A value as a map of channels and `rank` spatial axes; True where a leading axis became the first spatial one.

    A batch that is merged with something else (frames, windows) is a spatial axis that nothing slides over.
    """
    graph.whole(x)
    n = len(x.dims)
    if n == rank + 1 and x.batch is None:
        return Value(graph.laid(x, x.dims, 0), x.dims, None), False
    if n != rank + 2:
        raise NotUnderstood(f"it gets {n} axes")
    if x.batch == 0 or (x.batch is None and x.dims[0] == 1):
        return Value(graph.laid(x, x.dims[1:], 0), x.dims, 0), False
    if x.batch is not None:
        x = graph.plain(x)
    node = graph.laid(x, x.dims, 1)
    order = (1, 0, *range(2, n))
    dims = tuple(x.dims[i] for i in order)
    return graph.add(Permute(order), (node,), dims, None, helper=True), True


def back(graph: Graph, value: Value, leading: bool) -> Value:
    """Put the leading axis back in front."""
    if not leading:
        return value
    order = (1, 0, *range(2, len(value.dims)))
    return graph.add(Permute(order), (value.node,), tuple(value.dims[i] for i in order), None, helper=True)


def sized(values: Any, rank: int, leading: bool, one: Any = 1) -> tuple[Any, ...]:
    """One entry for each spatial axis; `one` for a leading axis that nothing slides over."""
    values = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    values = values * rank if len(values) == 1 else values
    return (one, *values) if leading else values


def tidy(values: tuple[Any, ...]) -> Any:
    """One number where all axes are alike."""
    return values[0] if len(set(values)) == 1 else values


def weights(graph: Graph, *given: Any) -> tuple[str, ...]:
    """The parameters that weights (and biases) are made of; those that only scale others are told apart.

    Raises:
        NotUnderstood: weights that depend on the input, or that are computed from parameters of other sizes.
    """
    names: list[str] = []
    for tensor in given:
        if tensor is None:
            continue
        if not graph.is_static(tensor):
            raise NotUnderstood("its weights depend on the input")
        found = graph.leaves(tensor)
        size = prod(dims_of(tensor))
        if not found:
            raise NotUnderstood("its weights are no parameters")
        own = [n for n in found if graph.size(n) == size]
        if not own:
            raise NotUnderstood("its weights are computed from parameters of other sizes")
        names.append(own[0])
        for name in found:
            if name != own[0] and name not in graph.counted:
                graph.solid(Static(graph.dims[name], name))
    return graph.shares(names)


@handles("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def convolution(call: Call) -> Value:
    graph, step = call.graph, call.step
    kernel = dims_of(call["weight"])
    rank = len(kernel) - 2
    fixed = call["bias"] is None and graph.is_static(call["weight"]) and not graph.leaves(call["weight"])
    if fixed and "transpose" in step.name:
        raise NotUnderstood("its weights are no parameters")
    key = () if fixed else weights(graph, call["weight"], call["bias"])
    x, leading = mapped(graph, call.x, rank)
    stride = sized(call["stride"], rank, leading)
    dilation = sized(call["dilation"], rank, leading)
    padding = call["padding"]
    sizes = sized(kernel[2:], rank, leading)
    bias = call["bias"] is not None
    dims = _moved(call.dims, leading)
    if "transpose" in step.name or step.args.get("transposed"):
        extra = sized(call["output_padding"], rank, leading, 0)
        layer: Any = ConvTranspose(
            kernel[1] * call["groups"],
            tidy(sizes),
            tidy(stride),
            padding=tidy(sized(padding, rank, leading, 0)),
            output_padding=tidy(extra),
            dilation=tidy(dilation),
            groups=call["groups"],
            bias=bias,
        )
    else:
        if isinstance(padding, str):
            padding = "valid" if padding == "valid" else "same"
        else:
            padding = tidy(sized(padding, rank, leading, 0))
        layer = Conv(kernel[0], tidy(sizes), tidy(stride), padding, tidy(dilation), call["groups"], bias, fixed=fixed)
    made = graph.add(layer, (x.node,), dims, x.batch)
    return back(graph, graph.own(made, key), leading)


def _moved(dims: tuple[int, ...], leading: bool) -> tuple[int, ...]:
    return (dims[1], dims[0], *dims[2:]) if leading else dims


@handles("linear")
def linear(call: Call) -> Value:
    graph = call.graph
    if not graph.is_static(call["weight"]) or not graph.leaves(call["weight"]):
        from rfcalc.readers.torch.products import product, transposed

        made = product(graph, call.x, transposed(graph, call.value("weight")), call.dims)
        return made if call["bias"] is None else plus(graph, made, call.value("bias"))
    return dense(graph, call.x, call["weight"], call["bias"], call.dims)


def dense(graph: Graph, x: Value, weight: Any, bias: Any, dims: tuple[int, ...]) -> Value:
    """A linear layer on the last axis; a bias that is computed from something else is added by itself."""
    apart = bias is not None and not any(graph.size(n) == prod(dims_of(bias)) for n in graph.leaves(bias))
    key = weights(graph, weight, None if apart else bias)
    if x.batch == len(x.dims) - 1:
        x = graph.plain(x)
    graph.whole(x)
    layer = Linear(dims[-1], bias is not None and not apart)
    made = graph.own(graph.add(layer, (x.node,), dims, x.batch), key)
    return plus(graph, made, graph.get(bias)) if apart else made


def plus(graph: Graph, a: Value, b: Value) -> Value:
    """The sum of two values, broadcast to the first."""
    nodes, batch, extra = graph.aligned((a, b), a.dims)
    return graph.add(Add(), nodes, a.dims, batch, extra=extra)
