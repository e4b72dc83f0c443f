"""Convolutions, transposed ones, and linear layers."""

from __future__ import annotations

from math import prod
from typing import Any

from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.general import MASKED, Elementwise
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.readers.builder.maps import back, exchanged, mapped, plus, sized, tidy
from rfcalc.readers.builder.moves import moved, transposed
from rfcalc.readers.builder.products import product
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.facts import facts, left
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.tensors import Static, TensorBuilder, dims_of


def weights(graph: TensorBuilder, *given: Any) -> tuple[str, ...]:
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
        for made in graph.multiplied(tensor):
            if own[0] not in graph.leaves(made):  # what is added to the weights: B @ A of low rank
                graph.solid(made)
        for name in found:
            if name != own[0] and name not in graph.counted:
                graph.solid(Static(graph.dims[name], name))
    return graph.shares(names)


@handles("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def convolution(call: OperatorCall) -> Value:
    graph, step = call.graph, call.step
    kernel = dims_of(call["weight"])
    rank = len(kernel) - 2
    static = graph.is_static(call["weight"])
    fixed = call["bias"] is None and static and not graph.leaves(call["weight"])
    composed = static and _composed(graph, call["weight"])
    if composed:
        graph.get(call["weight"])  # its parameters and products are nodes of their own
    made_of = None if static else _told_weights(call)
    composed = composed or made_of is not None
    fixed = fixed or composed
    key: tuple[str, ...] = ()
    before = len(graph.shapes)
    try:
        key = () if fixed else weights(graph, call["weight"], call["bias"])
    except NotUnderstood:  # parts of parameters, or what is computed from others
        if not static or not graph.leaves(call["weight"]):
            raise
        graph.back_to(before)
        graph.get(call["weight"])
        fixed = composed = True
    if key and _mixes_positions(call, kernel):
        return _over_positions(call, kernel[0], key)
    x, leading = mapped(graph, call.x, rank, merged=call["groups"] == 1)
    stride = sized(call["stride"], rank, leading)
    dilation = sized(call["dilation"], rank, leading)
    padding = call["padding"]
    sizes = sized(kernel[2:], rank, leading)
    bias = call["bias"] is not None and not composed
    dims = exchanged(call.dims, leading)
    if "transpose" in step.name or step.args.get("transposed"):
        extra = sized(call["output_padding"], rank, leading, 0)
        layer: Any = ConvTranspose(
            kernel[1] * call["groups"],
            tidy(sizes),
            stride=tidy(stride),
            padding=tidy(sized(padding, rank, leading, 0)),
            output_padding=tidy(extra),
            dilation=tidy(dilation),
            groups=call["groups"],
            bias=bias,
            fixed=fixed,
        )
    else:
        if isinstance(padding, str):
            padding = "valid" if padding == "valid" else "same"
        else:
            padding = tidy(sized(padding, rank, leading, 0))
        layer = Conv(
            kernel[0],
            tidy(sizes),
            stride=tidy(stride),
            padding=padding,
            dilation=tidy(dilation),
            groups=call["groups"],
            bias=bias,
            fixed=fixed,
            taps=_taps(graph, call["weight"]),
        )
    made = graph.own(graph.add(layer, (x.node,), dims, x.batch), key)
    if _less(graph, call["weight"], isinstance(layer, ConvTranspose)):
        made = graph.add(Elementwise(MASKED), (made.node,), dims, x.batch, helper=True)
    made = back(graph, made, leading)
    if made_of is not None:
        joined, batch, _ = graph.aligned((made, made_of), call.dims)
        made = graph.add(Elementwise("weights"), joined, call.dims, batch, helper=True)
    if composed and call["bias"] is not None:
        apart = graph.get(call["bias"])
        return plus(
            graph, made, Value(graph.laid(apart, (*apart.dims, *([1] * rank)), 0), (*apart.dims, *([1] * rank)), None)
        )
    return made


def _told_weights(call: OperatorCall) -> Value | None:
    """What weights that depend on the input depend on, all of it: as one number that each value is multiplied with."""
    graph, weight = call.graph, call["weight"]
    if graph.is_static(call.step.args.get("input", call.step.args.get("self"))):
        return None
    x = graph.get(weight)
    return reduced(graph, x, list(range(len(x.dims))), "sum", True, (1,) * len(x.dims))


def _mixes_positions(call: OperatorCall, kernel: tuple[int, ...]) -> bool:
    """Whether a 1 x 1 convolution has positions for channels, and channels for one of its axes: it mixes tokens."""
    graph, x = call.graph, call.x
    if len(x.dims) != len(kernel) or x.extra or x.batch == 1 or "transpose" in call.step.name:
        return False
    if prod(kernel[2:]) != 1 or call["groups"] != 1 or call.step.args.get("transposed"):
        return False
    padding = call["padding"]
    apart = not isinstance(padding, str) and any(padding if isinstance(padding, (list, tuple)) else (padding,))
    at = graph.axis(x, 1)
    return not apart and at in graph.carriers[x.node] and at != graph.shape(x).channel and call.dims[2:] == x.dims[2:]


def _over_positions(call: OperatorCall, out: int, key: tuple[str, ...]) -> Value:
    """A linear layer along the axis that a 1 x 1 convolution takes for channels."""
    graph, x = call.graph, call.x
    count = len(x.dims)
    x = moved(graph, x, (0, *range(2, count), 1))
    layer = Linear(out, bias=call["bias"] is not None)
    made = graph.own(graph.add(layer, (x.node,), (*x.dims[:-1], out), x.batch), key)
    return moved(graph, made, (0, count - 1, *range(1, count - 1)))


def _composed(graph: TensorBuilder, weight: Any) -> bool:
    """Whether a kernel is nothing but a product of smaller parameters."""
    size = prod(dims_of(weight))
    return bool(graph.multiplied(weight)) and not any(graph.size(n) == size for n in graph.leaves(weight))


@handles("conv_tbc")
def time_first(call: OperatorCall) -> Value:
    """A convolution of positions x batch x channels, with a kernel of positions x channels x channels."""
    graph, (size, _, out) = call.graph, dims_of(call["weight"])
    key = weights(graph, call["weight"], call["bias"])
    x = moved(graph, graph.with_channels(call.x), (1, 2, 0))
    if x.batch != 0:
        raise NotUnderstood("of a merged batch")
    x = Value(graph.laid(x, x.inner, 0), x.dims, 0)
    dims = (x.dims[0], out, call.dims[0])
    made = graph.add(Conv(out, size, padding=call["pad"], bias=True), (x.node,), dims, 0)
    return moved(graph, graph.own(made, key), (2, 0, 1))


def _taps(graph: TensorBuilder, weight: Any) -> str | None:
    """Which taps of a kernel are not masked, row by row; None where all are used."""
    zero = facts(graph, weight).zero
    if zero is None:
        return None
    kept = ~zero.expand(weight.shape).flatten(0, 1).all(0)
    return None if bool(kept.all()) else "".join("01"[int(on)] for on in kept.flatten().tolist())


def _less(graph: TensorBuilder, weight: Any, always: bool = False) -> bool:
    """Whether some weights are zero that are not so for all pairs of channels (`always`: whether any is)."""
    zero = facts(graph, weight).zero
    if zero is None or always:
        return zero is not None
    over = zero.expand(weight.shape).flatten(0, 1)
    return not bool((over == over[:1]).all())


def _masked_positions(graph: TensorBuilder, x: Value, weight: Any) -> bool:
    """Whether a masked matrix goes over an axis that positions of the input lie along."""
    if facts(graph, weight).zero is None or x.extra or x.batch == len(x.dims) - 1 or len(x.dims) < 2:
        return False
    return graph.axis(x, len(x.dims) - 1) in graph.carriers[x.node]


@handles("linear")
def linear(call: OperatorCall) -> Value:
    graph = call.graph
    if _masked_positions(graph, call.x, call["weight"]):
        weight = call.value("weight")
        mask = left(graph, facts(graph, call["weight"]).zero, weight.dims)
        turned = (*call.dims[:-2], call.dims[-1], call.dims[-2])
        made = transposed(graph, product(graph, weight, transposed(graph, call.x), turned, mask))
        return made if call["bias"] is None else plus(graph, made, call.value("bias"))
    made = affine(graph, call.x, call["weight"], call["bias"], call.dims)
    if _less(graph, call["weight"], always=True):
        made = graph.add(Elementwise(MASKED), (made.node,), made.dims, made.batch, extra=made.extra, helper=True)
    return made


def affine(graph: TensorBuilder, x: Value, weight: Any, bias: Any, dims: tuple[int, ...]) -> Value:
    """A linear layer on the last axis where its weights are parameters, else a product with what they are."""
    held = graph.is_static(weight) and graph.leaves(weight) and not graph.multiplied(weight)
    if held and (bias is None or graph.is_static(bias)):
        before = len(graph.shapes)
        try:
            return dense(graph, x, weight, bias, dims)
        except NotUnderstood:  # parts of parameters, or parameters of other layers: a product with what they make
            graph.back_to(before)
    made = product(graph, x, transposed(graph, graph.get(weight)), dims)
    return made if bias is None else plus(graph, made, graph.get(bias))


def dense(graph: TensorBuilder, x: Value, weight: Any, bias: Any, dims: tuple[int, ...]) -> Value:
    """A linear layer on the last axis; a bias that is computed from something else is added by itself."""
    apart = bias is not None and not any(graph.size(n) == prod(dims_of(bias)) for n in graph.leaves(bias))
    key = weights(graph, weight, None if apart else bias)
    if x.batch == len(x.dims) - 1:
        x = graph.plain(x)
    graph.with_channels(x)
    layer = Linear(dims[-1], bias=bias is not None and not apart)
    made = graph.own(graph.add(layer, (x.node,), dims, x.batch), key)
    return plus(graph, made, graph.get(bias)) if apart else made
