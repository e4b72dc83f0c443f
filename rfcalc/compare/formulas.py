"""The seam to symbols: reading notation with names in it, quotients and printing of formulas. Loaded only for those."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rfcalc.size import Size


def symbol(name: str) -> Size:
    """A positive whole number by this name."""
    from sympy import Symbol

    return Symbol(name, positive=True, integer=True)


def quotient(a: Size, b: Size) -> Any:
    """a / b: a `Fraction` where the symbols cancel, else a formula."""
    from sympy import Integer, cancel

    found = cancel(Integer(a) / b if isinstance(a, int) else a / b)
    return Fraction(int(found.p), int(found.q)) if found.is_Rational else found


def written(value: Size) -> str:
    """A formula as it is read: 27C²HW."""
    return str(value)
