"""What a piece of a network amounts to, for one item of a batch; accounts are put together one after another."""

from __future__ import annotations

from typing import Any, NamedTuple

from rfcalc.core.cost import NOTHING, Cost
from rfcalc.core.expr import Expr, Parallel, Repeat, Series
from rfcalc.core.size import is_number, prod
from rfcalc.receptive.receptive_field import ReceptiveField

LONG = 2000  # nodes from which a repetition of a definite count is not unrolled either
FIELD = ("size", "stride", "padding", "center")


def of_field(field: ReceptiveField) -> dict[str, Any]:
    """A receptive field's figures."""
    whole = field.sees_whole_input()
    return {"status": field.status, "whole": whole, **{name: tuple(getattr(field, name)) for name in FIELD}}


class Seeing(NamedTuple):
    """What one unit of the end sees of the chain's input, an entry an axis: stride, where unit 0 begins (None where
    that has no closed form), how many positions."""

    stride: tuple[Any, ...]
    first: tuple[Any, ...]
    size: tuple[Any, ...]


class ShownRow(NamedTuple):
    """A node as it will be shown, or a whole repetition and how many `copies` it has.

    `span` is from the chain's input; where there is none, `field` has the status and why.
    """

    name: str
    kind: str
    notation: str
    stage: str
    dims: tuple[Any, ...]
    span: Seeing | None
    field: dict[str, Any]
    cost: Cost
    values: Any
    new: Any
    folds: bool = False
    copies: Any = None


class ChainSum(NamedTuple):
    """What a chain amounts to, for one item of a batch.

    `once` holds the parameters and weight layers of weight groups, by group; `keeps_input` and `keeps_output` say
    whether autograd keeps the map that goes in or comes out; `kept` counts the latter, not the former. `gone`: figures
    without a closed form.
    """

    dims: tuple[Any, ...]
    cost: Cost
    once: dict[str, tuple[Cost, Any]]
    new: Any
    kept: tuple[Any, ...]
    keeps_input: bool
    keeps_output: bool
    layers: Any
    span: Seeing | None
    rows: tuple[ShownRow, ...]
    gone: dict[str, str]


def lasting(expr: Expr) -> bool:
    """Whether a repetition whose count is a symbol (or very large) stands in an expression."""
    if isinstance(expr, Repeat) and (not is_number(expr.times) or lasting(expr.body)):
        return True
    if isinstance(expr, Repeat) and is_number(expr.count) and expr.count > LONG:
        return True
    return any(lasting(part) for part in parts(expr))


def parts(expr: Any) -> tuple[Expr, ...]:
    """The expressions directly inside an expression."""
    if isinstance(expr, Series):
        return expr.items
    if isinstance(expr, Parallel):
        return (*expr.branches, expr.merge)
    body = getattr(expr, "body", None)
    return (body,) if isinstance(body, Expr) else ()


def start(dims: tuple[Any, ...]) -> ChainSum:
    """The account of nothing."""
    axes = len(dims) - 1
    return ChainSum(
        dims, NOTHING, {}, 0, (0,) * 5, False, False, 0, Seeing((1,) * axes, (0,) * axes, (1,) * axes), (), {}
    )


def beyond(a: Seeing | None, b: Seeing | None) -> Seeing | None:
    """The span of b's end seen through a."""
    if a is None or b is None or len(a.stride) != len(b.stride):
        return None
    axes = range(len(a.stride))
    first = tuple(
        None if a.first[i] is None or b.first[i] is None else a.first[i] + a.stride[i] * b.first[i] for i in axes
    )
    size = tuple(a.size[i] + a.stride[i] * (b.size[i] - 1) for i in axes)
    return Seeing(tuple(a.stride[i] * b.stride[i] for i in axes), first, size)


def then(a: ChainSum, b: ChainSum) -> ChainSum:
    """One after the other."""
    kept = [x + y for x, y in zip(a.kept, b.kept, strict=True)]
    if b.keeps_input and not a.keeps_output:
        kept[0] = kept[0] + (prod(a.dims) if a.rows else 0)
    seen = {g: c for g, c in b.once.items() if g not in a.once}
    rows = tuple(r._replace(span=beyond(a.span, r.span)) for r in b.rows)
    return ChainSum(
        b.dims,
        a.cost + b.cost,
        {**a.once, **seen},
        a.new + b.new,
        tuple(kept),
        a.keeps_input if a.rows else b.keeps_input,
        b.keeps_output,
        a.layers + b.layers,
        beyond(a.span, b.span),
        (*a.rows, *rows),
        {**a.gone, **b.gone},
    )
