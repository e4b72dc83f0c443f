"""What is known of a formula's sign, from the least values of its symbols.

Sound, not complete: an answer holds for all values; where none is found the comparison stays open.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rfcalc.formulas.polynomials.poly import Atom, Extreme, Floor, Number, Poly, Power, Symbol, atom, poly
from rfcalc.formulas.polynomials.powers import members


def sign(value: Poly, strict: bool) -> bool | None:
    """Whether value ≥ 0 (> 0 if strict): True, False, or None if it depends.

    >>> C = Symbol("C").value
    >>> sign(C * C - C, False), sign(C - 5, False), sign(-C, False)
    (True, None, False)
    """
    low = least(value)
    if low is not None and (low > 0 if strict else low >= 0):
        return True
    high = least(-value)
    if high is not None and (high >= 0 if strict else high > 0):
        return False
    return None


def least(value: Any) -> Any:
    """A number (whole or a fraction) that the formula is never below, or None if none is found."""
    if not isinstance(value, Poly):
        return value
    if value._least == ():
        value._least = _least(value)
    return value._least


def _least(value: Poly) -> Any:
    for which, best in (("max", max), ("min", min)):
        inner = members(value, which)
        if len(inner) > 1:
            lows = [least(v) for v in inner]
            known = [v for v in lows if v is not None]
            complete = len(known) == len(lows) or which == "max"
            return best(known) if known and complete else None
    linear = _unfloored(value)
    if linear is not value and not isinstance(linear, Poly):
        return linear
    direct = _shifted(value)
    return direct if direct is not None or linear is value else _shifted(linear)


def _shifted(value: Poly) -> Number | None:
    """The constant after every atom has been written as its least value plus something ≥ 0, if no other coefficient is
    negative then."""
    starts: dict[Atom, Any] = {}
    for m in value.terms:
        for a, e in m:
            if e < 0:
                return None
            if a not in starts:
                low = _least_of(a)
                if low is None:
                    return None
                starts[a] = low
    moved: Any = 0
    for m, c in value.terms.items():
        term: Any = c
        for a, e in m:
            term = term * (atom(a) + starts[a]) ** e
        moved = moved + term
    if not isinstance(moved, Poly):
        return moved  # type: ignore[no-any-return]
    if any(c < 0 for m, c in moved.terms.items() if m):
        return None
    return moved.constant


def _least_of(a: Atom) -> Any:
    if isinstance(a, Symbol):
        return a.start
    if isinstance(a, Floor):
        top, below = a.key
        low = least(top)
        if low is None:
            return None
        if isinstance(below, int):
            return low // below
        return 0 if low >= 0 and (least(below) or 0) > 0 else None
    if isinstance(a, Extreme):
        return least(atom(a))
    if isinstance(a, Power):
        base, exponent = a.key
        low = base.start if isinstance(base, Symbol) else base
        return int(low**exponent.start) if exponent.start >= 0 and low >= 1 else None
    return None


def _unfloored(value: Poly) -> Any:
    """A formula that is never larger, without floors: ⌊x/d⌋ ≥ (x − d + 1)/d where it counts up, ≤ x/d where down.

    Only where what stands beside the floor is never negative, and one floor a term where it counts up.
    """
    if not any(isinstance(a, Floor) for m in value.terms for a, _ in m):
        return value
    found: Any = 0
    for m, c in value.terms.items():
        floors = [a for a, e in m if isinstance(a, Floor) and isinstance(a.key[1], int) and e == 1]
        beside = all((_least_of(a) if e > 0 else None) is not None and (_least_of(a) or 0) >= 0 for a, e in m)
        term: Any = c
        for a, e in m:
            if a in floors and beside and (c < 0 or len(floors) == 1):
                top, below = a.key
                term = term * ((top - below + 1 if c > 0 else top) * Fraction(1, below))
            else:
                term = term * poly({((a, e),): 1})
        found = found + term
    return found
