"""Operators that compute with constants: arithmetic, comparisons, reductions. Loaded with the rules of `constants`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from rfcalc.core.size import prod
from rfcalc.readers.onnx.constants import (
    Given,
    NotFoldedError,
    axes_of,
    axis_of,
    broadcast,
    fold,
    grid,
    ints,
    need,
    origins,
    spread,
    strides,
    taken,
)
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.values import Const, checked, few, few_or_mask, single


@fold("Expand")
def _expand(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    dims = checked(broadcast(x.dims, tuple(ints(need(given[1])) or ())))
    return [taken(x, dims, lambda: spread(x, dims))]


@fold("Tile")
def _tile(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    times = ints(need(given[1])) or []
    dims = [n * t for n, t in zip(x.dims, times, strict=True)]
    steps = strides(x.dims)
    return [taken(x, dims, lambda: grid([[i % n for i in range(d)] for n, d in zip(x.dims, dims, strict=True)], steps))]


@fold("Range")
def _range(node: Node, given: Given, opset: int) -> list[Const]:
    start, limit, step = (need(g).scalar for g in given[:3])
    if start is None or limit is None or not step:
        raise NotFoldedError
    count = max(math.ceil((limit - start) / step), 0)
    dims = checked((count,))
    values = tuple(start + i * step for i in range(count)) if few(count, need(given[0]).dtype) else None
    return [Const(dims, need(given[0]).dtype, values)]


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return a / b


def _power(a: Any, b: Any) -> Any:
    if abs(a) > 1e6 or abs(b) > 64:
        raise OverflowError
    return a**b


PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": _divide,
    "Mod": lambda a, b: a % b,
    "Pow": _power,
    "Min": min,
    "Max": max,
    "Sum": operator.add,
    "And": lambda a, b: bool(a) and bool(b),
    "Or": lambda a, b: bool(a) or bool(b),
    "Xor": lambda a, b: bool(a) != bool(b),
    "Equal": operator.eq,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
}
TRUTHS = {"And", "Or", "Xor", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}


@fold(*PAIRS)
def _pairwise(node: Node, given: Given, opset: int) -> list[Const]:
    function = PAIRS[node.op]
    result = need(given[0])
    for other in given[1:]:
        result = _paired(function, result, need(other), node.op)
    return [result]


def _paired(function: Callable[[Any, Any], Any], a: Const, b: Const, name: str) -> Const:
    dims = checked(broadcast(a.dims, b.dims))
    values = None
    if a.values is not None and b.values is not None and few_or_mask(prod(dims), a, b):
        places = zip(spread(a, dims), spread(b, dims), strict=True)
        try:
            values = tuple(function(a.values[i], b.values[j]) for i, j in places)
            if a.dtype == 1 and name not in TRUTHS:
                values = tuple(map(single, values))
        except (ArithmeticError, TypeError, ValueError):
            values = None
        if values is not None and any(isinstance(v, int) and abs(v) >> 63 for v in values):
            values = None
    return Const(dims, 9 if name in TRUTHS else a.dtype, values, origins((a, b)))


SINGLES: dict[str, Callable[[Any], Any]] = {
    "Neg": operator.neg,
    "Abs": abs,
    "Floor": lambda v: float(math.floor(v)),
    "Ceil": lambda v: float(math.ceil(v)),
    "Round": lambda v: float(round(v)),
    "Sqrt": math.sqrt,
    "Exp": math.exp,
    "Log": math.log,
    "Reciprocal": lambda v: 1 / v,
    "Sign": lambda v: (v > 0) - (v < 0),
    "Not": operator.not_,
    "Sin": math.sin,
    "Cos": math.cos,
    "Sigmoid": lambda v: 1 / (1 + math.exp(-v)),
    "Tanh": math.tanh,
    "Relu": lambda v: max(v, 0),
    "Erf": math.erf,
    "IsNaN": lambda v: v != v,
}


@fold(*SINGLES)
def _single(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    values = None
    if x.values is not None:
        try:
            values = tuple(SINGLES[node.op](v) for v in x.values)
        except (ArithmeticError, TypeError, ValueError):
            values = None
    return [Const(x.dims, x.dtype, values, x.origin)]


@fold("Clip")
def _clip(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    low, high = node.attributes.get("min"), node.attributes.get("max")
    bounds = [
        (c.scalar if c is not None else told)
        for c, told in ((given[1] if len(given) > 1 else None, low), (given[2] if len(given) > 2 else None, high))
    ]
    values = x.values
    if values is not None:
        if bounds[0] is not None:
            values = tuple(max(v, bounds[0]) for v in values)
        if bounds[1] is not None:
            values = tuple(min(v, bounds[1]) for v in values)
    unknown = any(c is not None and c.values is None for c in given[1:3])
    return [Const(x.dims, x.dtype, None if unknown else values, x.origin)]


@fold("Softmax", "LogSoftmax", "Softplus", "CumSum")
def _opaque(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    return [Const(x.dims, x.dtype, None, x.origin)]


@fold("Trilu")
def _triangle(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    if x.values is None or len(x.dims) < 2:
        return [Const(x.dims, x.dtype, None, x.origin)]
    offset = (ints(need(given[1])) or (0,))[0] if len(given) > 1 and given[1] is not None else 0
    upper = bool(node.attributes.get("upper", 1))
    rows, columns = x.dims[-2:]
    places = ((v, i // columns % rows, i % columns) for i, v in enumerate(x.values))
    return [
        Const(x.dims, x.dtype, tuple(v if (j - i >= offset if upper else j - i <= offset) else 0 for v, i, j in places))
    ]


@fold("Where")
def _where(node: Node, given: Given, opset: int) -> list[Const]:
    c, a, b = (need(g) for g in given[:3])
    dims = checked(broadcast(c.dims, a.dims, b.dims))
    values = None
    if c.values is not None and a.values is not None and b.values is not None and few_or_mask(prod(dims), a, b, c):
        places = zip(spread(c, dims), spread(a, dims), spread(b, dims), strict=True)
        values = tuple(a.values[j] if c.values[i] else b.values[k] for i, j, k in places)
    return [Const(dims, a.dtype, values, origins((a, b)))]


WHOLES: dict[str, Callable[[Any], Any]] = {
    "ReduceProd": math.prod,
    "ReduceSum": sum,
    "ReduceMax": max,
    "ReduceMin": min,
}


@fold("ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean", "ReduceL2", "ReduceSumSquare")
def _reduce(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    axes = axes_of(node, given)
    keep = bool(node.attributes.get("keepdims", 1))
    everything = not axes and not node.attributes.get("noop_with_empty_axes", 0)
    gone = set(range(len(x.dims))) if everything else {axis_of(a, len(x.dims)) for a in axes or ()}
    dims = tuple(1 if i in gone else n for i, n in enumerate(x.dims) if keep or i not in gone)
    values: tuple[Any, ...] | None = None
    if x.values and len(gone) == len(x.dims):
        whole = WHOLES.get(node.op)
        values = None if whole is None else (whole(x.values),)
    return [Const(dims, x.dtype, values, x.origin)]


@fold("MatMul")
def _matmul(node: Node, given: Given, opset: int) -> list[Const]:
    a, b = need(given[0]), need(given[1])
    if len(a.dims) < 2 or len(b.dims) < 2 or a.dims[-1] != b.dims[-2]:
        raise NotFoldedError
    return [Const((*broadcast(a.dims[:-2], b.dims[:-2]), a.dims[-2], b.dims[-1]), a.dtype, None, origins((a, b)))]


@fold("ScatterND", "ScatterElements", "Scatter")
def _scatter(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    return [Const(x.dims, x.dtype, None, origins(given))]


@fold("NonZero")
def _nonzero(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    if x.values is None:
        raise NotFoldedError
    found = [i for i, v in enumerate(x.values) if v]
    steps = strides(x.dims)
    rows = [[i // s % n for i in found] for s, n in zip(steps, x.dims, strict=True)]
    return [Const((len(rows), len(found)), 7, tuple(v for row in rows for v in row))]
