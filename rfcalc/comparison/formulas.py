"""The seam to symbols: walking several networks with the same ones, quotients, printing. Loaded only for formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from math import gcd, lcm
from typing import Any, NamedTuple

from rfcalc.comparison.spelling import CLOSE, FORM, OPEN
from rfcalc.core.size import Size
from rfcalc.formulas.polynomials.analysis import exactly, walk
from rfcalc.formulas.polynomials.atoms import Symbol
from rfcalc.formulas.polynomials.declare import sentence
from rfcalc.formulas.polynomials.divide import divided
from rfcalc.formulas.polynomials.poly import Poly, poly
from rfcalc.formulas.polynomials.show import show
from rfcalc.report.report import Report

FREE = "mnpqrstuvwxyz"  # letters for the whole number behind a symbol that is divisible


class Walked(NamedTuple):
    """Reports with symbols in them, what the symbols were taken to be, in sentences, and which divisions are even."""

    reports: list[Report]
    assumptions: tuple[str, ...]
    even: dict[Any, None]


def walked(build: Callable[[Mapping[str, Size]], list[Report]], names: Iterable[str], sizes: Iterable[str]) -> Walked:
    """Reports of several networks for the same symbols, with the assumptions that all of them need.

    Args:
        build: makes the reports from values for the names.
        names: the symbols, each a whole number of at least 1.
        sizes: those among them that are sizes of the input, and may be taken to be divisible where strides ask for it.
    """
    symbols = {name: Symbol(name) for name in names}
    found = walk(
        lambda declared: build({name: s.value for name, s in declared.items()}),
        symbols,
        lambda reports: (d for r in reports for shape in r.walked.shapes for d in shape.dims),
        lambda reports: reports,
        {},
        sizes,
    )
    letters = [c for c in FREE if c not in symbols]
    own = [sentence(s, letters[i % len(letters)]) for i, s in enumerate(found.symbols.values())]
    return Walked(found.result, (*filter(None, own), *found.assumptions), found.even)


@contextmanager
def evenly(even: dict[Any, None]) -> Iterator[None]:
    """While the block runs, the divisions that were taken to be even are written as quotients."""
    with exactly(even):
        yield


class Quotient(NamedTuple):
    """A quotient that does not come out even, its common factors cancelled."""

    top: Size
    below: Size

    def __str__(self) -> str:
        return f"{_part(self.top, 'python')}/{_part(self.below, 'python', below=True)}"


def quotient(a: Size, b: Size) -> Any:
    """a / b: a `Fraction` where the symbols cancel, else a formula or a `Quotient`.

    >>> C = Symbol("C").value
    >>> quotient(27 * C**2, 49 * C**2), written(quotient(9 * C + 9, 9 * C**2)), written(quotient(C, C + 1))
    (Fraction(27, 49), '(C + 1)/C²', 'C/(C + 1)')
    """
    if a == b:
        return Fraction(1)
    found = divided(a, b)
    if found is not None:
        return found if isinstance(found, Poly) else Fraction(found)
    common = _common(a, b)
    top, below = (divided(v, common, fractions=True) for v in (a, b))
    return Quotient(top, below)


def _common(a: Size, b: Size) -> Any:
    """What divides every term of both, so that nothing is left to divide by: a number times symbols."""
    terms = [t for v in (a, b) for t in (v.terms.items() if isinstance(v, Poly) else [((), v)])]
    numbers = [Fraction(c) for _, c in terms]
    number = Fraction(gcd(*(n.numerator for n in numbers)), lcm(*(n.denominator for n in numbers)))
    monomials = [dict(m) for m, _ in terms]
    least = {x: min(m.get(x, 0) for m in monomials) for m in monomials for x in m}
    kept = sorted(((x, e) for x, e in least.items() if e), key=lambda pair: pair[0].serial)
    return poly({tuple(kept): number})


def written(value: Size) -> str:
    """A formula as it is read: 27C²HW; in LaTeX marked, so that it is not escaped."""
    form = FORM.get()
    if isinstance(value, Quotient):
        if form == "latex":
            return rf"{OPEN}\frac{{{show(value.top, form)}}}{{{show(value.below, form)}}}{CLOSE}"
        return f"{_part(value.top, form)}/{_part(value.below, form, below=True)}"
    text = show(value, form)
    return f"{OPEN}{text}{CLOSE}" if form == "latex" else text


def _part(value: Size, form: str, below: bool = False) -> str:
    """One side of a quotient, in brackets where it has several parts."""
    terms = getattr(value, "terms", {})
    factors = max((len(m) + (c != 1) for m, c in terms.items()), default=1)
    text = show(value, form)
    return f"({text})" if len(terms) > 1 or (below and factors > 1) else text
