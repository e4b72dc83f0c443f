"""Sums and recurrences over the copies of a repetition, in closed form.

sympy's own `summation` answers in cases (``Piecewise``) where a base may be 1, and takes seconds; what stands here are
sums of polynomials and powers only.

>>> from rfcalc.formulas.writing import show
>>> n, C = sympy.symbols("n C", integer=True, positive=True)
>>> i = sympy.Symbol("i", integer=True, nonnegative=True)
>>> print(show(total(9 * C**2, i, n)), "|", show(total(i, i, n)), "|", show(total(2**i, i, n)))
9nC² | n(n − 1)/2 | 2ⁿ − 1
"""

from __future__ import annotations

from functools import cache
from math import comb
from typing import Any, NamedTuple

import sympy

from rfcalc.core.size import holds, written
from rfcalc.formulas.algebra import settled
from rfcalc.formulas.forms import canonical, terms_of
from rfcalc.formulas.symbols import SymbolError


class Unclosed(SymbolError):
    """No closed form is known; the message says of what."""


def has(value: Any, symbol: Any) -> bool:
    """Whether a symbol stands in a size."""
    return isinstance(value, sympy.Basic) and value.has(symbol)


def power(base: Any, exponent: Any) -> Any:
    """base^exponent for a number or a product of symbols.

    Raises:
        Unclosed: the base is a sum.
    """
    base = sympy.sympify(base)
    if base.is_Add or base.has(sympy.floor, sympy.Max, sympy.Min):
        raise Unclosed(f"a power of {written(base)} has no closed form", why="the base must be a number or a symbol")
    return canonical(base**exponent, {})


def total(value: Any, index: Any, count: Any) -> Any:
    """Σ value for index = 0 … count − 1.

    Raises:
        Unclosed: the index stands where no closed form is known (inside a floor, a maximum).
    """
    if not has(value, index):
        return value * count
    found: Any = 0
    for term, c in terms_of(canonical(value, {})).items():
        degree = 0
        bases: list[tuple[Any, Any]] = []
        beside = c
        for factor in sympy.Mul.make_args(term):
            base, exponent = factor.as_base_exp()
            if base == index and exponent.is_Integer:
                degree = int(exponent)
            elif not factor.has(index):
                beside = beside * factor
            elif not base.has(index) and (exponent / index).is_Integer:
                bases.append((base, exponent / index))
            else:
                raise Unclosed(f"the sum of {written(factor)} over the copies has no closed form here")
        if degree < 0:
            raise Unclosed(f"the sum of 1/{index.name} has no closed form")
        found = found + beside * _sum(degree, bases, sympy.sympify(count))
    return settled(found)


def _sum(degree: int, bases: list[tuple[Any, Any]], count: Any) -> Any:
    """Σ i^degree · Π base^(e·i) for i = 0 … count − 1."""
    if not bases:  # Faulhaber's formula
        return (
            count if degree == 0 else (sympy.bernoulli(degree + 1, count) - sympy.bernoulli(degree + 1)) / (degree + 1)
        )
    ratio = sympy.Mul(*(b**e for b, e in bases))
    grown = sympy.Mul(*(b ** (e * count) for b, e in bases))
    if ratio.is_Rational:
        p = _antidifference(degree, ratio)
        return sympy.Add(*(c * count**k for k, c in enumerate(p))) * grown - p[0]
    if degree == 0 and all(e > 0 for _, e in bases):
        holds(None, f"{written(ratio)} ≥ 2")
        return sympy.floor((grown - 1) / (ratio - 1), evaluate=False)  # the quotient is whole
    raise Unclosed("a sum of powers of a symbol has no closed form here")


@cache
def _antidifference(degree: int, ratio: Any) -> tuple[Any, ...]:
    """Coefficients of P with ratio·P(i + 1) − P(i) = i^degree, lowest first."""
    p = [sympy.S.Zero] * (degree + 1)
    for k in range(degree, -1, -1):
        want = sympy.Integer(k == degree) - sum(ratio * p[j] * comb(j, k) for j in range(k + 1, degree + 1))
        p[k] = want / (ratio - 1)
    return tuple(p)


class Course(NamedTuple):
    """How a size runs through the copies: before copy i it is `value` (a formula in the index), from copy `since` on.

    `modulus` and `rest` say in which residue class it lies in every copy; `divisible` is what has to be divisible by
    modulus^count for that.
    """

    value: Any
    since: int = 0
    modulus: int = 1
    rest: int = 0
    divisible: Any = None


def course(first: Any, own: Any, after: Any, index: Any) -> Course:
    """The size before each copy, from the first one and what a copy makes of its own.

    Args:
        first: the size before copy 0.
        own: the symbol for the size before copy i.
        after: the size after copy i, a formula in `own` and `index`.

    Raises:
        Unclosed: the recurrence is none that is known: x + g(i), a·x + g, ⌊(x + b)/s⌋, g(i).
    """
    if not has(after, own):
        before = moved(after, index, -1)
        return Course(before, 0 if before == first else 1)
    after = canonical(after, {})
    slope = after.coeff(own)
    rest = sympy.expand(after - slope * own)
    if not has(rest, own):
        if slope.has(index):
            raise Unclosed(f"a size that a copy multiplies by {written(slope)} has no closed form")
        if slope == 1:
            return Course(first + total(rest, index, index))
        if rest == 0:
            return Course(first * power(slope, index))
        if slope.is_Integer and slope > 1:
            behind = total(rest * power(slope, -index), index, index)
            return Course(power(slope, index) * (first + behind / slope))
        raise Unclosed(f"the size {written(after)} has no closed form over the copies")
    stride, shift = _floored(after, own)
    fixed = 0 if 0 <= shift < stride else shift // (stride - 1)
    behind = first - fixed
    return Course(behind * power(stride, -index) + fixed, 0, stride, fixed % stride, behind)


def moved(value: Any, index: Any, by: int) -> Any:
    """A formula with index + by in place of the index."""
    return settled(value.xreplace({index: index + by})) if has(value, index) else value


def _floored(after: Any, own: Any) -> tuple[int, int]:
    """(s, b) where after is ⌊(own + b)/s⌋."""
    constant, inner = after.as_coeff_Add()
    if isinstance(inner, sympy.floor) and constant.is_Integer:
        slope = inner.args[0].coeff(own)
        shift = sympy.expand(inner.args[0] - slope * own) / slope if slope else sympy.nan
        if slope.is_Rational and slope.p == 1 and shift.is_Integer:
            return int(slope.q), int(shift + constant * slope.q)
    raise Unclosed(f"the size {written(after)} has no closed form over the copies")
