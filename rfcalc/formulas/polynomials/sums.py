"""Sums and recurrences over the copies of a repetition, in closed form.

>>> n, C = Symbol("n").value, Symbol("C").value
>>> i = Symbol("i", 1, 0, 0)
>>> print(total(9 * C**2, i, n), "|", total(i.value, i, n), "|", total(2**i.value, i, n))
9*n*C**2 | n*(n - 1)//2 | 2**n - 1
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import comb
from typing import Any, NamedTuple

from rfcalc.core.size import holds
from rfcalc.formulas.polynomials.poly import (
    Atom,
    Floor,
    Number,
    Poly,
    Power,
    Symbol,
    SymbolError,
    atom,
    poly,
    symbols_of,
    whole,
)
from rfcalc.formulas.polynomials.powers import power


class Unclosed(SymbolError):
    """No closed form is known; the message says of what."""


def total(value: Any, index: Symbol, count: Any) -> Any:
    """Σ value for index = 0 … count − 1.

    Raises:
        Unclosed: the index stands where no closed form is known (inside a floor, a maximum).
    """
    if not isinstance(value, Poly) or index not in symbols_of(value):
        return value * count
    found: Any = 0
    for m, c in value.terms.items():
        degree = 0
        bases: list[tuple[Any, int]] = []
        beside: dict[Any, int] = {}
        for a, e in m:
            if a is index:
                degree = e
            elif isinstance(a, Power) and a.key[1] is index and a.key[0] is not index:
                bases.append((a.key[0], e))
            elif index in a.symbols:
                raise Unclosed(f"the sum of {_told(a)} over the copies has no closed form here")
            else:
                beside[a] = e
        if degree < 0:
            raise Unclosed(f"the sum of 1/{index.name} has no closed form")
        found = found + poly({tuple(beside.items()): c}) * _sum(degree, bases, count)
    return found


def _told(a: Atom) -> str:
    from rfcalc.formulas.polynomials.show import show

    return show(atom(a))


def _sum(degree: int, bases: list[tuple[Any, int]], count: Any) -> Any:
    """Σ i^degree · Π base^(e·i) for i = 0 … count − 1."""
    if not bases:
        return _faulhaber(degree, count)
    if all(isinstance(b, int) for b, _ in bases):
        ratio = Fraction(1)
        grown: Any = 1
        for b, e in bases:
            ratio *= Fraction(b) ** e
            grown = grown * power(b, count * e)
        return _closed(tuple(_antidifference(degree, ratio)), grown, count)
    if degree == 0 and all(e > 0 for _, e in bases):
        grown = ratio_ = 1
        for b, e in bases:
            base = b if isinstance(b, int) else atom(b)
            grown, ratio_ = grown * power(base, count * e), ratio_ * base**e
        holds(None, f"{ratio_} ≥ 2")
        return atom(Floor(grown - 1, ratio_ - 1))  # the quotient is whole
    raise Unclosed("a sum of powers of a symbol has no closed form here")


@cache
def _bernoulli(n: int) -> Fraction:
    """B_n, with B_1 = −1/2."""
    return Fraction(1) if n == 0 else -sum(comb(n + 1, k) * _bernoulli(k) for k in range(n)) / Fraction(n + 1)


def _faulhaber(p: int, n: Any) -> Any:
    """Σ i^p for i = 0 … n − 1 = Σ_k C(p + 1, k) B_k n^(p + 1 − k) / (p + 1)."""
    found: Any = 0
    for k in range(p + 1):
        c = whole(comb(p + 1, k) * _bernoulli(k) / (p + 1))
        if c:
            found = found + n ** (p + 1 - k) * c
    return found


@cache
def _antidifference(degree: int, ratio: Fraction) -> tuple[Fraction, ...]:
    """Coefficients of P with ratio·P(i + 1) − P(i) = i^degree, lowest first."""
    p = [Fraction(0)] * (degree + 1)
    for k in range(degree, -1, -1):
        want = Fraction(1 if k == degree else 0)
        want -= sum(ratio * p[j] * comb(j, k) for j in range(k + 1, degree + 1))
        p[k] = want / (ratio - 1)
    return tuple(p)


def _closed(p: tuple[Fraction, ...], grown: Any, count: Any) -> Any:
    at_count: Any = 0
    for k, c in enumerate(p):
        at_count = at_count + count**k * whole(c)
    return whole(at_count * grown - whole(p[0]))


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


def course(first: Any, own: Symbol, after: Any, index: Symbol) -> Course:
    """The size before each copy, from the first one and what a copy makes of its own.

    Args:
        first: the size before copy 0.
        own: the symbol for the size before copy i.
        after: the size after copy i, a formula in `own` and `index`.

    Raises:
        Unclosed: the recurrence is none that is known: x + g(i), a·x + g, ⌊(x + b)/s⌋, g(i).
    """
    if own not in symbols_of(after):
        before = put_index(after, index, -1)
        return Course(before, 0 if before == first else 1)
    slope, rest = _linear(after, own)
    if slope is not None:
        if index in symbols_of(slope):
            raise Unclosed(f"a size that a copy multiplies by {slope} has no closed form")
        if slope == 1:
            return Course(first + total(rest, index, index.value))
        if rest == 0:
            return Course(first * power(slope, index.value))
        if isinstance(slope, int) and slope > 1:
            behind = total(rest * power(slope, -index.value), index, index.value)
            return Course(power(slope, index.value) * (first + behind * Fraction(1, slope)))
        raise Unclosed(f"the size {after} has no closed form over the copies")
    stride, shift = _floored(after, own)
    rest_ = 0 if 0 <= shift < stride else shift // (stride - 1)
    apart = first - rest_
    value = apart * power(stride, -index.value) + rest_
    return Course(value, 0, stride, rest_ % stride, apart)


def put_index(value: Any, index: Symbol, at: Any) -> Any:
    """A formula with index + at in place of the index."""
    if not isinstance(value, Poly) or index not in symbols_of(value):
        return value
    moved = Symbol(index.name, 1, 0, index.start)
    return value.put({index.name: moved.value + at})


def _linear(after: Any, own: Symbol) -> tuple[Any, Any]:
    """after = slope·own + rest, or (None, …) if the size stands in it in another way."""
    slope: Any = 0
    rest: Any = 0
    for m, c in after.terms.items():
        inside = dict(m)
        if inside.get(own) == 1 and not any(own in a.symbols for a, _ in m if a is not own):
            del inside[own]
            slope = slope + poly({tuple(inside.items()): c})
        elif any(own in a.symbols for a, _ in m):
            return None, None
        else:
            rest = rest + poly({m: c})
    return slope, rest


def _floored(after: Any, own: Symbol) -> tuple[int, int]:
    """(s, b) where after is ⌊(own + b)/s⌋."""
    constant: Number = after.constant
    inner = [(m, c) for m, c in after.terms.items() if m]
    if len(inner) == 1 and inner[0][1] == 1 and len(inner[0][0]) == 1 and isinstance(inner[0][0][0][0], Floor):
        top, below = inner[0][0][0][0].key
        shift = top - own.value if isinstance(top, Poly) else None
        if isinstance(below, int) and isinstance(shift, int) and isinstance(constant, int):
            return below, shift + constant * below
    raise Unclosed(f"the size {after} has no closed form over the copies")
