"""Powers with symbols in the exponent, and the largest or smallest of several formulas."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from rfcalc.formulas.polynomials.poly import Extreme, Missing, Poly, Power, Symbol, SymbolError, atom, inverse, whole


def power(base: Any, exponent: Any) -> Any:
    """base^exponent; an exponent with symbols must be linear in them.

    >>> i = Symbol("i").value
    >>> print(power(2, i + 1) * power(2, i), power(4, i))
    2*4**i 4**i
    """
    result: Any
    if isinstance(exponent, int):
        if exponent < 0:
            return inverse(power(base, -exponent))
        if not isinstance(base, Poly):
            return whole(base**exponent)
        result = 1
        for bit in f"{exponent:b}":
            result = result * result
            if bit == "1":
                result = result * base
        return result
    if not isinstance(exponent, Poly) or exponent.terms.keys() - {()} != {
        m for m in exponent.terms if len(m) == 1 and m[0][1] == 1 and isinstance(m[0][0], Symbol)
    }:
        raise SymbolError(f"{base}**({exponent}) has no closed form", why="an exponent must be linear in its symbols")
    if any(type(c) is not int for c in exponent.terms.values()):
        raise SymbolError(f"{base}**({exponent}) has no closed form", why="the exponent is no whole number")
    found = power(base, exponent.constant)
    for m, c in exponent.terms.items():
        if m:
            for b, e in _bases(base):
                found = found * atom(Power(b, m[0][0]), int(e * c))
    return found


def _bases(base: Any) -> list[tuple[Any, int]]:
    """A base as primes, or symbols, with their exponents."""
    if isinstance(base, Poly) and len(base.terms) == 1:
        ((m, c),) = base.terms.items()
        if all(isinstance(a, Symbol) for a, _ in m) and type(c) is int:
            return [*([] if c == 1 else _bases(c)), *m]
    if not isinstance(base, int) or base < 1:
        raise SymbolError(f"a power of {base} has no closed form", why="the base must be a number or a symbol")
    return [(p, e) for p, e in primes(base)]


@lru_cache(maxsize=256)
def primes(n: int) -> tuple[tuple[int, int], ...]:
    """The prime factors of n with their exponents."""
    found: dict[int, int] = {}
    p = 2
    while p * p <= n:
        while n % p == 0:
            found[p] = found.get(p, 0) + 1
            n //= p
        p += 1
    if n > 1:
        found[n] = found.get(n, 0) + 1
    return tuple(found.items())


def extreme(which: str, values: Iterable[Any]) -> Any:
    """The largest or smallest of formulas; those that can never be it are left out.

    >>> H, W = Symbol("H").value, Symbol("W").value
    >>> print(extreme("max", [H, H + 1, W, 0]))
    max(W, H + 1)
    """
    from rfcalc.core.size import decide

    found: list[Any] = []
    values = list(values)
    for value in values:
        if isinstance(value, Missing):
            return value
        inner = members(value, which)
        for one in inner:
            if any(decide(other >= one if which == "max" else other <= one) for other in found):
                continue
            found = [other for other in found if not decide(one >= other if which == "max" else one <= other)]
            found.append(one)
    if len(found) == 1:
        return found[0]
    return atom(Extreme(which, frozenset(found)))


def members(value: Any, which: str) -> tuple[Any, ...]:
    """The formulas of which the value is the extreme; itself if it is none."""
    if isinstance(value, Poly) and len(value.terms) == 1:
        ((m, c),) = value.terms.items()
        if c == 1 and len(m) == 1 and m[0][1] == 1 and isinstance(m[0][0], Extreme) and m[0][0].which == which:
            return tuple(m[0][0].members)
    return (value,)
