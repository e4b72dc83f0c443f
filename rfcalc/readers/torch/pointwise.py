"""Activations, arithmetic, dropout: what works on each value by itself, or on values at one place."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, prod
from typing import Any

import torch

from rfcalc.core.layer import Layer
from rfcalc.layers.along import Along
from rfcalc.layers.general import Elementwise
from rfcalc.layers.learned import PositionTable
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.pointwise import GLU, Activation, Dropout, PReLU, Scale, Softmax
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import picked, sliced, widened
from rfcalc.readers.builder.products import within
from rfcalc.readers.builder.recurrent import forgotten
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.builder.vocabulary import SEVERAL, UNARY
from rfcalc.readers.builder.writing import written
from rfcalc.readers.torch.facts import score_mask
from rfcalc.readers.torch.fixed import known
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.tensors import Static, TensorBuilder, dims_of

FUNCTIONS = {
    **{n: n for n in ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "sigmoid", "tanh", "silu", "mish")},
    **{n: n for n in ("softplus", "hardsigmoid", "hardswish")},
}


@handles(*FUNCTIONS)
def activation(call: OperatorCall) -> Value:
    return alone(call.graph, call.x, Activation(FUNCTIONS[call.step.name.rstrip("_")]))


@handles("gelu")
def gelu(call: OperatorCall) -> Value:
    return alone(call.graph, call.x, Activation("gelu_tanh" if call["approximate"] == "tanh" else "gelu"))


@handles("hardtanh", "clamp")
def clamp(call: OperatorCall) -> Value:
    low, high = (
        call.step.args.get(n) for n in (("min_val", "max_val") if "hard" in call.step.name else ("min", "max"))
    )
    if isinstance(low, torch.Tensor) or isinstance(high, torch.Tensor):
        return _limited(call)
    layer: Layer = Elementwise("clamp", _numbers(low, high))
    if low is None or high is None:
        layer = Elementwise("maximum" if high is None else "minimum", _numbers(low if high is None else high))
    if (low, high) in ((-1, 1), (0, 6)) or "hard" in call.step.name:
        layer = Activation("relu6") if (low, high) == (0, 6) else Activation("hardtanh")
    return alone(call.graph, call.x, layer)


def _limited(call: OperatorCall) -> Value:
    """Values between those of other tensors."""
    return several(call, [a for n in ("self", "min", "max") if (a := call.step.args.get(n)) is not None])


@handles("prelu")
def prelu(call: OperatorCall) -> Value:
    graph = call.graph
    names = graph.leaves(call["weight"])
    size = int(call["weight"].numel())
    if not graph.is_static(call["weight"]) or len(names) != 1 or graph.size(names[0]) != size:
        raise NotUnderstood("its slopes are no parameters")
    x = call.x
    if size > 1:
        at = graph.axis(x, 1)
        x = Value(graph.laid(x, x.inner, at), x.dims, x.batch)
    key = graph.shares(names)
    return graph.own(alone(graph, x, PReLU(per_channel=size > 1)), key)


@handles("softmax", "log_softmax", "_softmax", "_log_softmax")
def softmax(call: OperatorCall) -> Value:
    graph, x = call.graph, call.x
    at = graph.axis(x, call["dim"])
    here, log = graph.shape(x), "log" in call.step.name
    mask = None
    if at == len(x.dims) - 1 - (x.batch is not None) and len(here.dims) > 1 and here.channel != at - 1 and not log:
        mask = within(score_mask(graph, call["self"], x.dims), x.batch)
    return alone(graph, x, Softmax(None if at == here.channel else at, log=log, mask=mask))


@handles("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "sort", "msort", "argsort", "topk")
def along(call: OperatorCall) -> Value | list[Value]:
    """Functions along an axis; the positions that some give beside the values depend on what these depend on."""
    graph, x, name = call.graph, call.x, call.step.name.rstrip("_")
    axis, keep = graph.axis(x, call.step.args.get("dim", 0)), int(call["k"]) if name == "topk" else None
    made = graph.add(Along(name, axis, keep=keep), (x.node,), call.dims, x.batch, extra=x.extra)
    if not isinstance(call.step.out, (tuple, list)):
        return made
    at = graph.add(Elementwise("positions"), (made.node,), call.dims, x.batch, extra=x.extra, helper=True)
    forgotten(graph)
    return [made, at]


@handles("glu")
def glu(call: OperatorCall) -> Value:
    graph, x = call.graph, call.x
    at = graph.axis(x, call["dim"])
    if at != graph.shape(x).channel:  # halves of positions: each of the first with one of the second
        axis, n = call["dim"] % len(x.dims), call.dims[call["dim"]]
        first, second = sliced(graph, x, axis, 0, n), sliced(graph, x, axis, n, 2 * n)
        nodes, batch, extra = graph.aligned((first, alone(graph, second, Activation("sigmoid"))), call.dims)
        return graph.add(Multiply(), nodes, call.dims, batch, extra=extra)
    x = Value(graph.laid(graph.with_channels(x), x.inner, at), x.dims, x.batch)
    return graph.add(GLU(), (x.node,), call.dims, x.batch)


@handles("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(call: OperatorCall) -> Value:
    x, p = call.x, call["p"]
    if p == 0:
        return x  # it passes its input on in every mode
    return alone(call.graph, x, Dropout(p, maps=call.step.name.startswith("feature")))


@handles("tril", "triu")
def triangle(call: OperatorCall) -> Value:
    """Zero above or below a diagonal: which values are kept is told where it is read (`facts`)."""
    return alone(call.graph, call.x, Elementwise(call.step.name.rstrip("_"), call["diagonal"]))


@handles(*UNARY)
def unary(call: OperatorCall) -> Value:
    if any(isinstance(call.step.args.get(n), torch.Tensor) for n in ("min", "max")):
        return _limited(call)
    name = call.step.name
    return alone(call.graph, call.x, Elementwise(name[:-1] if name.endswith("_") else name))


@handles(*SEVERAL)
def arithmetic(call: OperatorCall) -> Value:
    args = call.step.args
    if call.step.name.rstrip("_") == "where" and (made := _chosen(call)) is not None:
        return made
    given = [a for a in args.values() if isinstance(a, torch.Tensor)]
    return several(call, given)


def _chosen(call: OperatorCall) -> Value | None:
    """One tensor written into another where a fixed condition holds, or does not, on a product of positions; None for
    other conditions, and for what masks scores."""
    graph, dims, given = call.graph, call.dims, (call["self"], call["other"])
    if not all(isinstance(t, torch.Tensor) and t.dim() for t in given) or not graph.is_static(call["condition"]):
        return None
    condition = known(graph, call["condition"])
    if condition is None or condition.dtype != torch.bool:
        return None
    condition = condition.expand(dims)
    for (new, base), flags in ((given, condition), (given[::-1], ~condition)):
        along = [flags.movedim(i, 0).flatten(1).any(1) for i in range(flags.dim())]
        places = [line.nonzero().flatten().tolist() for line in along]
        if flags.sum() != prod(map(len, places)) or not all(places):
            continue
        part, whole = widened(graph, graph.get(new), dims), widened(graph, graph.get(base), dims)
        for axis, positions in enumerate(places):
            part = picked(graph, part, axis, positions)
        return written(graph, whole, places, part)
    return None


def several(call: OperatorCall, given: list[Any]) -> Value:
    """A function of tensors; numbers that depend on no input and have no parameters are part of the function."""
    graph = call.graph
    name = call.step.name
    name = name[:-1] if name.endswith("_") else name
    given = [g for g in given if not _number(graph, g)] or given
    if len(given) == 1:
        x = graph.get(given[0])
        if x.dims == call.dims:
            return alone(graph, x, _of_number(name, call.step.args, given[0]))
    values = [graph.get(g) for g in given]
    if len(values) == 1:
        raise NotUnderstood("it changes the shape of a single tensor")
    nodes, batch, extra = graph.aligned(values, call.dims)
    return graph.add(Elementwise(name), nodes, call.dims, batch, extra=extra)


def _of_number(name: str, args: Mapping[str, Any], x: torch.Tensor) -> Elementwise:
    """The function of one tensor that an operator is with a number; without it where it is not known."""
    operands = [args[n] for n in ("self", "other", "exponent") if n in args]
    number, *more = _numbers(*(a for a in operands if a is not x)) or (None,)
    plain = len(operands) == 2 and args.get("alpha", 1) == 1 and args.get("rounding_mode") is None
    first = bool(operands) and operands[0] is x
    if more or not plain:
        number = None
    if name in ("sub", "subtract", "rsub"):
        if first == (name != "rsub"):
            return Elementwise("plus", () if number is None else -number)
        return Elementwise("rsub", () if number is None else number)
    if name in ("div", "true_divide", "divide"):
        if first:
            return Elementwise("times", 1 / number if number else ())
        return Elementwise("rdiv", () if number is None else number)
    return Elementwise(name, number if number is not None and first else ())


def _numbers(*given: Any) -> tuple[float, ...]:
    """The numbers, if all are known and finite."""
    known = all(isinstance(n, (int, float)) and not isinstance(n, bool) and isfinite(n) for n in given)
    return tuple(map(float, given)) if known else ()


def _number(graph: TensorBuilder, tensor: Any) -> bool:
    """A tensor of one value that is no parameter and is computed from none."""
    return tensor.dim() == 0 and graph.is_static(tensor) and not graph.leaves(tensor)


@handles("add")
def add(call: OperatorCall) -> Value:
    return _of_two(call, "plus", Add(), known=call.step.args.get("alpha", 1) == 1)


@handles("mul", "multiply")
def mul(call: OperatorCall) -> Value:
    return _of_two(call, "times", Multiply())


def _of_two(call: OperatorCall, by_number: str, layer: Layer, known: bool = True) -> Value:
    """A map and a number, a map and a table that depends on no input, or two maps.

    Args:
        known: whether the number is the one that the call names, and no multiple of it.
    """
    graph, a, b = call.graph, call["self"], call["other"]
    single = [t for t in (a, b) if isinstance(t, torch.Tensor) and not _number(graph, t)]
    if len(single) < 2:
        number = _numbers(*(v for v in (a, b) if v is not single[0])) if known else ()
        return alone(graph, graph.get(single[0]), Elementwise(by_number, number))
    if graph.is_static(a) or graph.is_static(b):
        table, other = (a, b) if graph.is_static(a) else (b, a)
        made = _held(call, table, graph.get(other), positions=by_number == "plus")
        if made is not None:
            return made
    return joined(call, layer)


def joined(call: OperatorCall, layer: Layer) -> Value:
    """Two tensors, broadcast."""
    graph = call.graph
    a, b = graph.get(call["self"]), graph.get(call["other"])
    nodes, batch, extra = graph.aligned((a, b), call.dims)
    return graph.add(layer, nodes, call.dims, batch, extra=extra)


def _held(call: OperatorCall, table: Any, x: Value, positions: bool) -> Value | None:
    """A learned table that is added, or a learned factor for each channel, as the layer that holds it; None where the
    parameter is used elsewhere too, or has another shape."""
    graph = call.graph
    names = graph.leaves(table)
    entry = graph.entry(table)
    if len(names) != 1 or not isinstance(entry, Static) or x.extra or x.dims != call.dims:
        return None
    (name,) = names
    dims = dims_of(table)
    if graph.uses[name] != 1 or name in graph.counted or graph.size(name) != table.numel() or not _same_values(entry):
        return None
    full = (1,) * (len(x.dims) - len(dims)) + dims
    if positions:
        if x.batch is None or full[x.batch] != 1 or tuple(n for i, n in enumerate(full) if i != x.batch) != x.inner:
            return None
        layer: Layer = PositionTable()
    else:
        here = graph.shape(x)
        wide = [i for i, n in enumerate(full) if n != 1]
        if (
            len(wide) != 1
            or wide[0] == x.batch
            or graph.axis(x, wide[0]) != here.channel
            or full[wide[0]] != here.channels
        ):
            return None
        layer = Scale()
    made = graph.add(layer, (x.node,), x.dims, x.batch, label=name)
    return graph.own(made, graph.shares(names))


def _same_values(entry: Static) -> bool:
    """Whether a static tensor is a parameter in another shape, not computed from it."""
    while entry.step is not None:
        if entry.step.name not in _VIEWS or len(entry.sources) != 1:
            return False
        (entry,) = entry.sources.values()
    return bool(entry.parameter)


_VIEWS = frozenset(
    [
        "view",
        "reshape",
        "unsqueeze",
        "squeeze",
        "expand",
        "permute",
        "transpose",
        "t",
        "contiguous",
        "alias",
        "detach",
        "to",
        "clone",
    ]
)
