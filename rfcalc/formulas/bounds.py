"""What is known of a formula's sign, from the least values of its symbols.

Sound, not complete: an answer holds for all values; where none is found the comparison stays open. sympy's own
assumptions know the sign of a symbol, but not that it is at least 67, nor what a floor is at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sympy

from rfcalc.formulas.forms import expanded, terms_of
from rfcalc.formulas.symbols import Declared


def lowest(value: Any, declared: Mapping[Any, Declared]) -> Any:
    """A number that a formula is never below, from the least values of its symbols; None if none is found."""
    value = sympy.sympify(value)
    if value.is_Number:
        return value
    if isinstance(value, (sympy.Max, sympy.Min)):
        lows = [lowest(v, declared) for v in value.args]
        known = [v for v in lows if v is not None]
        if isinstance(value, sympy.Max):
            return max(known) if known else None
        return min(known) if len(known) == len(lows) else None
    direct = _shifted(value, declared)
    if direct is None and value.has(sympy.floor):
        return _shifted(_unfloored(expanded(value), declared), declared)
    return direct


def _shifted(value: Any, declared: Mapping[Any, Declared]) -> Any:
    """The constant after every atom has been written as its least value plus something ≥ 0, if no other coefficient is
    negative then."""
    moved: dict[Any, Any] = {}
    for atom in _atoms(value):
        low = least_of(atom, declared)
        if low is None:
            return None
        moved[atom] = _above(atom) + low
    constant = sympy.S.Zero
    for term, c in terms_of(expanded(value.xreplace(moved))).items():
        if term is sympy.S.One:
            constant = c
        elif c < 0 or any(f.as_base_exp()[1].is_negative for f in sympy.Mul.make_args(term)):
            return None
    return constant


@lru_cache(maxsize=4096)
def _above(atom: Any) -> Any:
    return sympy.Dummy(nonnegative=True)


def _atoms(value: Any) -> set[Any]:
    """What a polynomial is made of: symbols, floors, extrema, powers with symbols in the exponent."""
    found: set[Any] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if one.is_Add or one.is_Mul:
            waiting += one.args
        elif one.is_Pow and one.exp.is_Integer:
            waiting.append(one.base)
        elif not one.is_Number:
            found.add(one)
    return found


def least_of(atom: Any, declared: Mapping[Any, Declared]) -> Any:
    """A number that an atom is never below, or None."""
    if atom.is_Number:
        return atom
    if atom.is_Symbol:
        known = declared.get(atom)
        return known.start if known is not None else 1 if atom.is_positive else 0 if atom.is_nonnegative else None
    if isinstance(atom, sympy.floor):
        low = lowest(atom.args[0], declared)
        if low is None:
            top, below = sympy.fraction(atom.args[0])
            under = lowest(below, declared) if below.free_symbols else None
            over = lowest(top, declared) if under is not None and under > 0 else None
            return 0 if over is not None and over >= 0 else None
        return low // 1
    if isinstance(atom, (sympy.Max, sympy.Min)):
        return lowest(atom, declared)
    if atom.is_Pow:
        base, exponent = lowest(atom.base, declared), lowest(atom.exp, declared)
        if base is not None and exponent is not None and base >= 1 and exponent >= 0:
            return base**exponent
    return None


def _unfloored(value: Any, declared: Mapping[Any, Declared]) -> Any:
    """A formula that is never larger, without floors: ⌊x/d⌋ ≥ (x − d + 1)/d where it counts up, ≤ x/d where down.

    Only where what stands beside the floor is never negative, and one floor a term where it counts up.
    """
    found = []
    for term, c in terms_of(value).items():
        pairs = [f.as_base_exp() for f in sympy.Mul.make_args(term)]
        floors = [b for b, e in pairs if isinstance(b, sympy.floor) and e == 1 and _step(b) is not None]
        lows = [least_of(b, declared) if e.is_positive else None for b, e in pairs]
        if floors and all(low is not None and low >= 0 for low in lows) and (c < 0 or len(floors) == 1):
            less = sympy.S.One if c > 0 else sympy.S.Zero
            term = term.xreplace({f: f.args[0] - less + less / _step(f) for f in floors})
        found.append(c * term)
    return sympy.Add(*found)


def _step(value: Any) -> int | None:
    """d where a floor is ⌊x/d⌋ of a whole x."""
    terms = terms_of(sympy.expand(value.args[0]))
    return int(sympy.ilcm(1, *(c.q for c in terms.values()))) if all(t.is_integer for t in terms) else None
