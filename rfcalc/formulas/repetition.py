"""One repetition of unknown count, from its body alone."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import sympy

from rfcalc.core import size
from rfcalc.core.cost import TERMS, Cost
from rfcalc.core.expr import Expr, Repeat
from rfcalc.core.size import prod, written
from rfcalc.formulas.account import ChainSum, Seeing, ShownRow, beyond
from rfcalc.formulas.algebra import settled, sides
from rfcalc.formulas.forms import NotClosed
from rfcalc.formulas.sums import Course, Unclosed, course, has, moved, power, total
from rfcalc.formulas.symbols import Declared

Walking: TypeAlias = Callable[[Expr, "tuple[Any, ...]", str, str], ChainSum]
ROOM = "chwdtuv"
_indices: ContextVar[tuple[str, ...]] = ContextVar("indices", default=())


def repeated(expr: Repeat, dims: tuple[Any, ...], label: str, stage: str, account: Walking) -> ChainSum:
    """What all copies amount to.

    Args:
        expr: the repetition.
        dims: the size before copy 0.
        label, stage: what stands around it.
        account: what an expression amounts to, from its extents, label and stage.

    Raises:
        Unclosed: how the sizes run through the copies, or a sum over them, has no closed form that is known.
    """
    outer = _indices.get()
    index = Declared(_free(expr.index or "i", expr, dims, outer), least=0).symbol
    token = _indices.set((*outer, index.name))
    try:
        return _repeated(expr, dims, label, stage, index, len(outer) + 1, account)
    finally:
        _indices.reset(token)


def _repeated(
    expr: Repeat, dims: tuple[Any, ...], label: str, stage: str, index: Any, depth: int, account: Walking
) -> ChainSum:
    count = expr.times
    body: Expr = expr.body if expr.index is None else expr.body.bind({expr.index: index})
    own = tuple(Declared(ROOM[i] + "′" * depth) for i in range(len(dims)))
    with size.assumptions():  # of sizes that nobody knows yet: told below, for the real ones
        trial = account(body, tuple(s.value for s in own), label, stage)
    courses = _courses(dims, own, trial.dims, index)
    own = tuple(Declared(s.name, c.modulus, c.rest) for s, c in zip(own, courses, strict=True))
    with size.assumptions() as heard:
        one = account(body, tuple(s.value for s in own), label, stage)
    run = {s.quotient: s.behind(c.value) for s, c in zip(own, courses, strict=True)}
    gone = _tell(heard, courses, run, index, count)
    since = max(c.since for c in courses)

    def at(value: Any) -> Any:
        """A figure of copy i."""
        return substituted(value, run)

    def every(value: Any) -> Any:
        """A figure summed over the copies from `since` on."""
        formula = at(value)
        try:
            return total(formula, index, count) - (substituted(formula, {index: 0}) if since else 0)
        except Unclosed as error:
            return NotClosed(error.what)

    first = (
        account(body if expr.index is None else expr.body.bind({expr.index: 0}), dims, label, stage) if since else None
    )
    span = _stacked(one.span, at, index, count)
    earlier = Seeing((), (), ()) if span is None else _before(one.span, at, index)
    rows = tuple(_moved(r, at, earlier if span is not None else None, index) for r in one.rows)
    if first is not None:
        rows = (*(r._replace(name=f"{r.name}[0]") for r in first.rows), *rows)
    ends = tuple(substituted(moved(at(d), index, -1), {index: count}) for d in one.dims)
    cost = Cost(*(every(getattr(one.cost, n)) for n in TERMS))
    kept = [every(k) for k in one.kept]
    once = {
        g: (Cost(*(substituted(at(getattr(c, n)), {index: since}) for n in TERMS)), k) for g, (c, k) in one.once.items()
    }
    new = every(one.new)
    layers = one.layers * (count - since)
    if one.keeps_input and not one.keeps_output:  # the maps between the copies
        between = prod(at(s.value) for s in own)
        kept[0] = kept[0] + every(between) - (0 if since else substituted(between, {index: 0}))
    if first is not None:
        cost, new, layers = cost + first.cost, new + first.new, layers + first.layers
        kept = [a + b for a, b in zip(kept, first.kept, strict=True)]
        once = {**once, **first.once}
    copies = f"{count:,}" if isinstance(count, int) else written(count)
    whole = ShownRow(
        f"all {copies}", "repeat", f"({_notation(expr)}) ×{copies}", stage, ends, span, {}, cost, new, new, False, count
    )  # fmt: skip
    return ChainSum(
        ends,
        cost,
        once,
        new,
        tuple(kept),
        one.keeps_input,
        one.keeps_output,
        layers,
        span,
        (*rows, whole),
        {**one.gone, **gone},
    )


def _free(name: str, expr: Repeat, dims: tuple[Any, ...], outer: tuple[str, ...]) -> str:
    """The index' name, or another letter where it is taken."""
    taken = set(outer) | {n for d in (*dims, expr.times) for n in getattr(d, "free_symbols", ())}
    return str(next(n for n in (name, *"ijklqrstuv") if n not in taken))


def _notation(expr: Repeat) -> str:
    from rfcalc.notation.write import write

    return write(expr.body, None)


def _courses(first: tuple[Any, ...], own: tuple[Declared, ...], after: tuple[Any, ...], index: Any) -> list[Course]:
    if len(after) != len(first):
        raise Unclosed("a copy changes the number of axes", why=f"{len(first)} before it, {len(after)} after")
    found = []
    for before, symbol, then in zip(first, own, after, strict=True):
        if any(has(then, s.quotient) for s in own if s is not symbol):
            raise Unclosed("a copy mixes the axes", why=f"one becomes {written(then)}")
        try:
            found.append(course(before, symbol.quotient, then, index))
        except Unclosed as error:
            found.append(Course(NotClosed(error.what)))
    return found


def _tell(heard: Any, courses: list[Course], run: dict[Any, Any], index: Any, count: Any) -> dict[str, str]:
    """Pass on what was taken for granted, for the sizes of the last copy; figures for which it does not hold in every
    copy."""
    gone: dict[str, str] = {}
    for c in courses:
        if c.divisible is not None:
            size.holds(None, "{} divisible by {}", c.divisible, power(c.modulus, count))
    last = {index: count - 1}
    for text, open_ in zip(heard, heard.comparisons, strict=True):
        if isinstance(open_, tuple):
            a, b = (substituted(v, run) for v in open_)
            if a == b or isinstance(a, NotClosed) or isinstance(b, NotClosed):
                continue
            if not has(a - b, index):
                size.agree(a, b, text.replace("{", "").replace("}", "") if "′" not in text else "{} = {}")
            elif text.startswith("equal padding"):
                gone["saved_bytes"] = "whether the padding is equal on both sides changes from copy to copy"
            else:
                raise Unclosed(f"the copies do not fit: {written(a)} = {written(b)} in every copy")
        elif hasattr(open_, "gts"):
            difference, strict = sides(open_)
            real = substituted(substituted(difference, run), last)
            if isinstance(real, sympy.Basic):
                constant, rest = real.as_coeff_Add()
                size.holds(real > 0 if strict else real >= 0, "{} ≥ {}", rest, -constant + (1 if strict else 0))
            elif not isinstance(real, NotClosed) and not (real > 0 if strict else real >= 0):
                raise Unclosed(f"the copies do not fit: {text}")
        elif open_ is None:
            size.holds(None, text)
    return gone


def substituted(value: Any, values: dict[Any, Any]) -> Any:
    """A size with others put in for symbols; what has no closed form takes everything with it."""
    if not isinstance(value, sympy.Basic):
        return value
    gone = next((v for s, v in values.items() if isinstance(v, NotClosed) and value.has(s)), None)
    if gone is not None:
        return gone
    found = value.xreplace({s: sympy.sympify(v) for s, v in values.items() if not isinstance(v, NotClosed)})
    return settled(found)


def _stacked(span: Seeing | None, at: Any, index: Any, count: Any) -> Seeing | None:
    """The span of all copies: strides multiply, positions add up."""
    before = _before(span, at, index)
    if span is None or before is None:
        return None
    stride = tuple(substituted(s, {index: count}) for s in before.stride)
    size_ = tuple(substituted(s, {index: count}) for s in before.size)
    first = tuple(None if f is None else substituted(f, {index: count}) for f in before.first)
    return Seeing(stride, first, size_)


def _before(span: Seeing | None, at: Any, index: Any) -> Seeing | None:
    """The span of what copy i reads, from the repetition's input: copies 0 … i − 1."""
    if span is None:
        return None
    strides, firsts, sizes = [], [], []
    for step, first, extent in zip(*span, strict=True):
        step, extent = at(step), at(extent)
        if has(step, index):
            return None
        moved = power(step, index)
        try:
            sizes.append(1 + total(moved * (extent - 1), index, index))
        except Unclosed:
            return None
        strides.append(moved)
        try:
            firsts.append(None if first is None else total(moved * at(first), index, index))
        except Unclosed:
            firsts.append(None)
    return Seeing(tuple(strides), tuple(firsts), tuple(sizes))


def _moved(row: ShownRow, at: Any, before: Seeing | None, index: Any) -> ShownRow:
    """A node of the body, in copy i."""
    inner = (
        None if row.span is None else Seeing(*(tuple(None if v is None else at(v) for v in part) for part in row.span))
    )
    return row._replace(
        name=f"{row.name}[{index.name}]" if "all " not in row.name else f"{row.name} [{index.name}]",
        dims=tuple(at(d) for d in row.dims),
        span=beyond(before, inner),
        cost=Cost(*(at(getattr(row.cost, n)) for n in TERMS)),
        values=at(row.values),
        new=at(row.new),
    )
