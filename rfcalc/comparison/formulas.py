"""The seam to symbols: walking several networks with the same ones, quotients, printing. Loaded only for formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import sympy

from rfcalc.comparison.spelling import CLOSE, FORM, OPEN
from rfcalc.core.size import Size, algebra_in_use
from rfcalc.formulas.algebra import SympyAlgebra
from rfcalc.formulas.forms import canonical, plain, told
from rfcalc.formulas.symbols import Declared, sentence
from rfcalc.formulas.walking import walk
from rfcalc.formulas.writing import show
from rfcalc.report import Report

FREE = "mnpqrstuvwxyz"  # letters for the whole number behind a symbol that is divisible


class SymbolicReports(NamedTuple):
    """Reports with symbols in them, what the symbols were taken to be, in sentences, and the algebra of the walk."""

    reports: list[Report]
    assumptions: tuple[str, ...]
    algebra: SympyAlgebra


def walked(
    build: Callable[[Mapping[str, Size]], list[Report]], names: Iterable[str], sizes: Iterable[str]
) -> SymbolicReports:
    """Reports of several networks for the same symbols, with the assumptions that all of them need.

    Args:
        build: makes the reports from values for the names.
        names: the symbols, each a whole number of at least 1.
        sizes: those among them that are sizes of the input, and may be taken to be divisible where strides ask for it.
    """
    symbols = {name: Declared(name) for name in names}
    found = walk(
        lambda declared: build({name: d.value for name, d in declared.items()}),
        symbols,
        lambda reports: (d for r in reports for shape in r.shapes for d in shape.dims),
        lambda reports: [r.kept for r in reports],
        {},
        sizes,
    )
    letters = [c for c in FREE if c not in symbols]
    own = [sentence(d, letters[i % len(letters)]) for i, d in enumerate(found.symbols.values())]
    return SymbolicReports(found.result, (*filter(None, own), *found.assumptions), found.algebra)


def formula(value: Any) -> Any:
    """A figure in the symbols of the user, as an expanded expression; a number where no symbol is left."""
    algebra = algebra_in_use()
    value = sympy.sympify(value)
    return plain(told(canonical(value, {}) if algebra is None else sympy.sympify(algebra.settle(value))))


class Quotient(NamedTuple):
    """A quotient that does not come out even, its common factors cancelled."""

    top: Size
    below: Size

    def __str__(self) -> str:
        return f"{_part(self.top, 'python')}/{_part(self.below, 'python', below=True)}"


def quotient(a: Size, b: Size) -> Any:
    """a / b: a `Fraction` where the symbols cancel, else a formula or a `Quotient`.

    >>> C = sympy.Symbol("C", integer=True, positive=True)
    >>> quotient(27 * C**2, 49 * C**2), written(quotient(9 * C + 9, 9 * C**2)), written(quotient(C, C + 1))
    (Fraction(27, 49), '(C + 1)/C²', 'C/(C + 1)')
    """
    if a == b:
        return Fraction(1)
    top, below = (told(sympy.sympify(v)) for v in (a, b))
    if not (top / below).has(sympy.Max, sympy.Min):
        top, below = sympy.fraction(sympy.cancel(top / below))
    if not below.free_symbols:
        found = sympy.expand(top / below)
        return Fraction(int(found.p), int(found.q)) if found.is_Rational else found
    return Quotient(top, below)


def difference(first: Size, other: Size) -> Any:
    """other − first, as a formula."""
    return sympy.expand(told(sympy.sympify(other)) - told(sympy.sympify(first)))


def written(value: Size) -> str:
    """A formula as it is read: 27C²HW; in LaTeX marked, so that it is not escaped."""
    form = FORM.get()
    if isinstance(value, Quotient):
        if form == "latex":
            return rf"{OPEN}\frac{{{show(value.top, form)}}}{{{show(value.below, form)}}}{CLOSE}"
        return f"{_part(value.top, form)}/{_part(value.below, form, below=True)}"
    text = show(value, form)
    return f"{OPEN}{text}{CLOSE}" if form == "latex" else text


def _part(value: Any, form: str, below: bool = False) -> str:
    """One side of a quotient, in brackets where it has several parts."""
    several = value.is_Add or (below and len(sympy.Mul.make_args(value)) > 1)
    text = show(value, form)
    return f"({text})" if several else text
