"""Division of formulas: floors that collapse, quotients that come out even, those that are taken to."""

from __future__ import annotations

from contextvars import ContextVar
from fractions import Fraction
from math import gcd, lcm
from typing import Any

from rfcalc.formulas.polynomials.poly import Floor, Monomial, Number, Poly, atom, integral, inverse, poly, times, whole


def floor(top: Any, below: Any) -> Any:
    """⌊top / below⌋.

    >>> from rfcalc.formulas.polynomials.poly import Symbol
    >>> H = Symbol("H").value
    >>> print(floor(floor(H + 1, 2) + 1, 2), floor(6 * H + 5, 3), floor(Symbol("W", 4).value, 2))
    (-(-H//4)) 2*H + 1 W//2
    """
    if not isinstance(below, Poly):
        return _floor_by(top, below)
    if top == 0:
        return 0
    even = divided(top, below)
    if even is not None and (not isinstance(even, Poly) or integral(even)):
        return even.numerator // even.denominator if isinstance(even, Fraction) else even
    if (top, below) in (exact.get() or ()):
        return divided(top, below, fractions=True)
    if not isinstance(top, Poly):
        from rfcalc.formulas.polynomials.bounds import sign

        if top > 0 and sign(below - top, True):
            return 0
    return atom(Floor(top, below))


exact: ContextVar[dict[tuple[Any, Poly], None] | None] = ContextVar("exact", default=None)


def divides_exactly(divisor: Any, size: Any) -> None:
    """From now on, in this context, size / divisor is taken to be whole."""
    known = exact.get()
    if known is not None and isinstance(divisor, Poly) and divided(size, divisor, fractions=True) is not None:
        known[size, divisor] = None


def _floor_by(top: Poly, d: int) -> Any:
    if d < 0:
        return floor(-top, -d)
    if d == 0:
        raise ZeroDivisionError("division by zero")
    if not isinstance(top, Poly):
        return top // d
    below = lcm(*(c.denominator for c in top.terms.values()))
    if below > 1:
        top, d = top * below, d * below
    inner = [m for m, c in top.terms.items() if c == 1 and len(m) == 1 and m[0][1] == 1 and isinstance(m[0][0], Floor)]
    if len(inner) == 1 and isinstance(inner[0][0][0].key[1], int) and integral(top) and below == 1:
        numerator, divisor = inner[0][0][0].key
        rest = {m: c * divisor for m, c in top.terms.items() if m is not inner[0]}
        return floor(poly(rest) + numerator, divisor * d)
    evenly: dict[Monomial, Number] = {}
    left: dict[Monomial, Number] = {}
    for m, c in top.terms.items():
        if m == ():
            evenly[m], left[m] = int(c) // d, int(c) % d
        elif c % d == 0 and all(e > 0 for _, e in m):
            evenly[m] = c // d
        else:
            left[m] = c
    rest = poly(left)
    if not isinstance(rest, Poly):
        return poly(evenly) + rest // d
    return poly(evenly) + _canonical(rest, d)


def _canonical(top: Poly, d: int) -> Any:
    """⌊top / d⌋ with 0 ≤ constant < d, its leading coefficient positive, common factors cancelled."""
    lead = max((m for m in top.terms if m), key=lambda m: [(a.serial, e) for a, e in m])
    if top.terms[lead] < 0:  # ⌊−x/d⌋ = −⌈x/d⌉ = −⌊(x + d − 1)/d⌋
        return -floor(d - 1 - top, d)
    common = gcd(d, *(int(c) for m, c in top.terms.items() if m))
    if common > 1 and integral(top):
        shared = {m: c // common for m, c in top.terms.items()}  # the constant rounds down: the rest is whole
        return floor(poly(shared), d // common)
    return atom(Floor(top, d))


def divided(top: Any, below: Any, fractions: bool = False) -> Any:
    """top / below where it comes out even, else None; `fractions`: a single term below may stay below."""
    if not isinstance(below, Poly):
        return top * (Fraction(1) / below) if isinstance(top, Poly) else whole(Fraction(top) / below)
    if not isinstance(top, Poly):
        return 0 if top == 0 else inverse(below) * top if fractions and len(below.terms) == 1 else None
    if top == below:
        return 1
    if len(below.terms) == 1:
        ((m, c),) = below.terms.items()
        found = top * poly({tuple((a, -e) for a, e in m): Fraction(1) / c})
        even = not isinstance(found, Poly) or all(e > 0 for n in found.terms for _, e in n)
        return found if even or fractions else None
    return _long_division(top, below)


def _long_division(top: Poly, below: Poly) -> Any:
    """Polynomial division; None if something remains."""

    def order(m: Monomial) -> tuple[int, list[tuple[int, int]]]:
        return sum(e for _, e in m), sorted(((-a.serial, e) for a, e in m), reverse=True)

    lead = max(below.terms, key=order)
    quotient: Any = 0
    rest: Any = top
    for _ in range(60):
        if not isinstance(rest, Poly):
            return quotient if rest == 0 else None
        first = max(rest.terms, key=order)
        ratio = times(first, tuple((a, -e) for a, e in lead))
        if any(e < 0 for _, e in ratio):
            return None
        step: Any = poly({ratio: Fraction(rest.terms[first]) / below.terms[lead]})
        quotient = quotient + step
        rest = rest - step * below
    return None
