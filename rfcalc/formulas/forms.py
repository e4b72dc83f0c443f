"""One form for expressions of sympy, so that equal sizes are equal values and no text depends on what came before.

A formula is a sum of products; nested floors are collapsed, which sympy does not do by itself; powers of numbers stand
over their primes.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy

from rfcalc.formulas.symbols import QuotientSymbol


class NotClosed:
    """A size or figure that has no closed form, and why; whatever is computed with it has none either."""

    __slots__ = ("why",)
    free_symbols = frozenset(("?",))

    def __init__(self, why: str) -> None:
        self.why = why

    def _same(self, *_: Any) -> NotClosed:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __rfloordiv__ = _same
    __mod__ = __rmod__ = __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __neg__ = __abs__ = _same

    def _open(self, other: Any) -> Any:
        return sympy.Symbol("?") >= 0

    __lt__ = __le__ = __gt__ = __ge__ = _open

    def __str__(self) -> str:
        return "?"


def told(value: Any) -> Any:
    """A formula in the symbols that stand for the whole numbers in it."""
    back = {t: t.back for t in value.free_symbols if isinstance(t, QuotientSymbol)}
    return canonical(replaced(value, back), {}) if back else value


def plain(value: Any) -> Any:
    """A number of sympy as Python has it."""
    if isinstance(value, sympy.Integer):
        return int(value)
    if isinstance(value, sympy.Rational):
        return Fraction(int(value.p), int(value.q))
    return value


def replaced(value: Any, values: Mapping[Any, Any]) -> Any:
    """A formula with others put in for symbols of sympy."""
    if value.has(sympy.Max, sympy.Min):
        return apart(value, lambda v: replaced(v, values))
    return value.xreplace(values)


def apart(value: Any, each: Any) -> Any:
    """A formula with maxima and minima, each of their members (and what is around them) treated by `each`."""
    inside: dict[Any, Any] = {}

    def outer(part: Any) -> Any:
        if isinstance(part, (sympy.Max, sympy.Min)):
            known = sympy.Symbol(f"_{len(inside)}", nonnegative=True, integer=True)
            members = [each(a) for a in part.args]
            inside[known] = type(part)(*members, evaluate=all(m.is_Number for m in members))
            return known
        if part.args and part.has(sympy.Max, sympy.Min):
            return part.func(*map(outer, part.args))
        return part

    return each(outer(value)).xreplace(inside)


def expanded(value: Any) -> Any:
    """A formula as a sum of products; powers of sums in the exponent only where there are symbols in one."""
    if value.is_Atom:
        return value
    exponents = any(p.exp.free_symbols for p in value.atoms(sympy.Pow))
    return sympy.expand(value, power_base=False, power_exp=exponents, log=False, basic=False)


def canonical(value: Any, even: Mapping[Any, None]) -> Any:
    """A formula as a sum of products; nested floors collapse, and divisions that are taken to be even are quotients."""
    if value.is_Atom:
        return value
    inside = {type(part) for part in sympy.preorder_traversal(value)}
    if inside & {sympy.Max, sympy.Min}:
        return apart(value, lambda v: canonical(v, even))
    if sympy.Mod in inside:
        value = value.replace(sympy.Mod, lambda a, b: a - b * sympy.floor(a / b, evaluate=False))
    if inside & {sympy.floor, sympy.ceiling, sympy.Mod}:
        value = value.replace(sympy.ceiling, lambda x: -_floor(-x, even)).replace(
            sympy.floor, lambda x: _floor(x, even)
        )
    value = expanded(value)
    if sympy.Pow in inside and any(map(_composed, value.atoms(sympy.Pow))):
        value = expanded(value.replace(_composed, _over_primes))
    return value


def _composed(value: Any) -> bool:
    """Whether it is a power of a composite number with symbols in the exponent: 4^N, not 2^N."""
    return bool(value.is_Pow and value.base.is_Rational and value.exp.free_symbols and not sympy.isprime(value.base))


def _over_primes(value: Any) -> Any:
    return sympy.Mul(*(sympy.Pow(p, e * value.exp) for p, e in sympy.factorrat(value.base).items()))


def terms_of(value: Any) -> dict[Any, Any]:
    """The products of an expanded formula with their coefficients."""
    return {term: c for c, term in (t.as_coeff_Mul() for t in sympy.Add.make_args(value))}


def floor(value: Any) -> Any:
    """⌊value⌋: ⌊(⌊x⌋ + b)/c⌋ is ⌊(x + b)/c⌋, and what divides evenly comes out.

    >>> H = sympy.Symbol("H", integer=True, positive=True)
    >>> floor((floor((H + 1) / 2) + 1) / 2), floor((6 * H + 5) / 3), floor((3 - H) / 4)
    (floor(H/4 + 3/4), 2*H + 1, -floor(H/4))
    """
    return _floor(value, {})


def _floor(value: Any, even: Mapping[Any, None]) -> Any:
    if value.is_integer:
        return value
    value = sympy.expand(value)
    if even or any(not c.is_Rational for c in _denominators(value)):
        ratio = sympy.cancel(value)
        if ratio in even or ratio.is_integer:
            return ratio
        top, below = sympy.fraction(sympy.together(ratio))
        if below.free_symbols:
            return sympy.floor(top / below, evaluate=False)
    terms = terms_of(value)
    d = sympy.ilcm(1, *(c.q for c in terms.values()))
    if d == 1:
        return sympy.floor(value)
    top = {t: int(c * d) for t, c in terms.items()}
    inner = [t for t, c in top.items() if c == 1 and isinstance(t, sympy.floor)]
    if len(inner) == 1 and all(t.is_integer for t in top):
        rest = sympy.Add(*(t * c for t, c in top.items() if t is not inner[0]))
        return _floor((inner[0].args[0] + rest) / d, even)
    out, left = [], {}
    for t, c in top.items():
        if t is sympy.S.One:
            out.append(c // d * t)
            left[t] = c % d
        elif c % d == 0 and t.is_integer:
            out.append(c // d * t)
        else:
            left[t] = c
    moving = [t for t in left if t is not sympy.S.One]
    if not moving:
        return sympy.Add(*out)
    constant = left.get(sympy.S.One, 0)
    if left[max(moving, key=_rank)] < 0:  # ⌊−x/d⌋ = −⌊(x + d − 1)/d⌋
        rest = sympy.Add(*(-left[t] * t for t in moving), d - 1 - constant)
        return sympy.Add(*out) - _floor(rest / d, even)
    common = int(sympy.igcd(d, *(left[t] for t in moving)))
    if common > 1 and all(t.is_integer for t in moving):  # the constant rounds down: the rest is whole
        rest = sympy.Add(*(left[t] // common * t for t in moving), constant // common)
        return sympy.Add(*out) + _floor(rest / (d // common), even)
    return sympy.Add(*out, sympy.floor(sympy.Add(*(left[t] * t for t in moving), constant) / d, evaluate=False))


def _rank(term: Any) -> Any:
    return term.sort_key()


def _denominators(value: Any) -> list[Any]:
    return [sympy.fraction(t)[1] for t in sympy.Add.make_args(value)]
