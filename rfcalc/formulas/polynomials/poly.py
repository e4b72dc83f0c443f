"""Whole-number formulas: polynomials in symbols, floors, extrema and powers, kept canonical.

A `Poly` is a size in the sense of `rfcalc.core.size`: the core's rules walk it as they walk integers. Requirements:

1. Canonical: two formulas that are the same polynomial in the same atoms are equal values with equal hashes.
2. A result without symbols is a plain `int` (or `Fraction`), never a `Poly`.
3. A symbol of a declared residue class (H = 32m + 3, K = 2j + 1) is kept as the whole number behind it (m, j), so that
   everything that divides evenly does so by itself; it prints as what was declared.
4. ``⌊(a + ⌊x⌋)/b⌋`` is ``⌊(a + x)/b⌋``, ``⌊(b·q + r)/b⌋`` is ``q + ⌊r/b⌋``: nested floors collapse.
5. A comparison that does not hold for all values (or for none) is `Open`: it has no truth.

Nothing here is a float, and nothing foreign is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from rfcalc.formulas.polynomials.atoms import Atom, Extreme, Floor, Number, Power, Symbol, SymbolError, Value

Monomial: TypeAlias = "tuple[tuple[Atom, int], ...]"

__all__ = [
    "Atom",
    "Extreme",
    "Floor",
    "Missing",
    "Monomial",
    "Number",
    "Open",
    "Poly",
    "Power",
    "Symbol",
    "SymbolError",
    "Value",
    "atom",
    "integral",
    "inverse",
    "poly",
    "put",
    "symbols_of",
    "times",
    "whole",
]


def _floor(top: Any, below: Any) -> Any:
    from rfcalc.formulas.polynomials.divide import floor

    return floor(top, below)


def _power(base: Any, exponent: Any) -> Any:
    from rfcalc.formulas.polynomials.powers import power

    return power(base, exponent)


class Missing:
    """A size or figure that has no closed form, and why; whatever is computed with it has none either."""

    __slots__ = ("why",)
    free_symbols = frozenset(("?",))

    def __init__(self, why: str) -> None:
        self.why = why

    def _same(self, *_: Any) -> Missing:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __rfloordiv__ = _same
    __mod__ = __rmod__ = __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __neg__ = __abs__ = _same

    def _open(self, other: Any) -> Open:
        return Open(self, False, (self, "?", other))

    __lt__ = __le__ = __gt__ = __ge__ = _open

    def __str__(self) -> str:
        return "?"


class Open:
    """A comparison that symbols leave open: ``difference ≥ 0``, or > 0 if `strict`."""

    __slots__ = ("difference", "sides", "strict")

    def __init__(self, difference: Any, strict: bool, sides: tuple[Any, str, Any]) -> None:
        self.difference, self.strict, self.sides = difference, strict, sides

    def __bool__(self) -> bool:
        raise TypeError(f"not decided: {self}")

    def __str__(self) -> str:
        left, mark, right = self.sides  # written only when it is read
        return f"{left} {mark} {right}"


class Poly:
    """A polynomial in atoms with rational coefficients; made by `poly` and by arithmetic.

    >>> C = Symbol("C").value
    >>> print(27 * C**2, (C * C * 3) // C, 49 * C**2 > 27 * C**2)
    27*C**2 3*C True
    """

    __slots__ = ("_hash", "_least", "terms")
    terms: dict[Monomial, Number]

    def __init__(self, terms: dict[Monomial, Number]) -> None:
        self.terms = terms
        self._hash: int | None = None
        self._least: Any = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return (poly, (self.terms,))

    @property
    def free_symbols(self) -> frozenset[str]:
        """The names in it."""
        return frozenset(s.name for s in symbols_of(self))

    @property
    def constant(self) -> Number:
        return self.terms.get((), 0)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Poly) and self.terms == other.terms)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, (int, Fraction)):
            if other == 0:
                return self
            terms = dict(self.terms)
            terms[()] = terms.get((), 0) + other
            return poly(terms)
        if not isinstance(other, Poly):
            return NotImplemented
        terms = dict(self.terms)
        for monomial, c in other.terms.items():
            terms[monomial] = terms.get(monomial, 0) + c
        return poly(terms)

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Any) -> Any:
        return self + (-other) if isinstance(other, (int, Fraction, Poly)) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other if isinstance(other, (int, Fraction)) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, (int, Fraction)):
            if other == 1:
                return self
            return poly({m: c * other for m, c in self.terms.items()})
        if not isinstance(other, Poly):
            return NotImplemented
        terms: dict[Monomial, Number] = {}
        for a, c in self.terms.items():
            for b, d in other.terms.items():
                m = times(a, b)
                terms[m] = terms.get(m, 0) + c * d
        return poly(terms)

    __rmul__ = __mul__

    def __pow__(self, exponent: Any) -> Any:
        return _power(self, exponent) if isinstance(exponent, (int, Poly)) else NotImplemented

    def __rpow__(self, base: Any) -> Any:
        return _power(base, self) if isinstance(base, int) else NotImplemented

    def __floordiv__(self, other: Any) -> Any:
        return _floor(self, other) if isinstance(other, (int, Poly)) else NotImplemented

    def __rfloordiv__(self, other: Any) -> Any:
        return _floor(other, self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Any) -> Any:
        return self - other * _floor(self, other) if isinstance(other, (int, Poly)) else NotImplemented

    def __rmod__(self, other: Any) -> Any:
        return other - self * _floor(other, self) if isinstance(other, int) else NotImplemented

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        quotient = self // other
        return quotient, self - other * quotient

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, (int, Fraction)):
            return self * (Fraction(1) / other)
        if isinstance(other, Poly):
            from rfcalc.formulas.polynomials.divide import divided

            found = divided(self, other)
            if found is not None:
                return found
        return NotImplemented

    def _compare(self, other: Any, strict: bool, more: bool) -> Any:
        if not isinstance(other, (int, Fraction, Poly)):
            return NotImplemented
        from rfcalc.formulas.polynomials.bounds import sign

        difference = self - other if more else other - self
        if not isinstance(difference, Poly):
            return difference > 0 if strict else difference >= 0
        known = sign(difference, strict)
        if known is not None:
            return known
        return Open(difference, strict, (self, ("<>" if strict else "≤≥")[more], other))

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, False, True)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, True, True)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, False, False)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, True, False)

    def put(self, values: Mapping[str, Value]) -> Value:
        """The formula with numbers (or formulas) put in, by the names of symbols.

        Raises:
            SymbolError: a number that its symbol was declared not to be.
        """
        total: Value = 0
        for monomial, c in self.terms.items():
            term: Value = c
            for atom, e in monomial:
                factor = atom.put(values)
                term = term * (factor**e if e >= 0 else inverse(factor) ** -e)
            total = total + term
        return whole(total)

    def __str__(self) -> str:
        from rfcalc.formulas.polynomials.show import show

        return show(self, "python")

    def __repr__(self) -> str:
        return str(self)

    def __format__(self, spec: str) -> str:
        """In sentences, as people write it."""
        from rfcalc.formulas.polynomials.show import show

        return show(self)


def whole(value: Any) -> Any:
    """A Fraction that is a whole number as an int."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    return value


def poly(terms: Mapping[Monomial, Number]) -> Any:
    """The formula of these terms; a number where no symbol is left."""
    kept: dict[Monomial, Number] = {}
    for m, c in terms.items():
        if type(c) is Fraction and c.denominator == 1:
            c = c.numerator
        if c != 0:
            kept[m] = c
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        return kept[()]
    return Poly(kept)


def atom(a: Atom, exponent: int = 1) -> Poly:
    """One atom as a formula."""
    return Poly({((a, exponent),): 1})


def times(a: Monomial, b: Monomial) -> Monomial:
    if not a:
        return b
    if not b:
        return a
    found = dict(a)
    for x, e in b:
        found[x] = found.get(x, 0) + e
    return tuple(sorted(((x, e) for x, e in found.items() if e), key=_serial))


def _serial(pair: tuple[Atom, int]) -> int:
    return pair[0].serial


def symbols_of(value: Any) -> frozenset[Symbol]:
    """The symbols in a formula; none in a number."""
    if not isinstance(value, Poly):
        return frozenset()
    return frozenset().union(*(a.symbols for m in value.terms for a, _ in m))


def put(value: Any, values: Mapping[str, Value]) -> Any:
    """A formula with numbers put in; a number stays."""
    return value.put(values) if isinstance(value, Poly) else value


def inverse(value: Any) -> Any:
    """1 / value, of a number or a single term."""
    if isinstance(value, (int, Fraction)):
        return whole(Fraction(1) / value)
    if len(value.terms) == 1:
        ((m, c),) = value.terms.items()
        return poly({tuple((a, -e) for a, e in m): Fraction(1) / c})
    raise SymbolError(f"1/({value}) has no closed form here")


def integral(value: Poly) -> bool:
    """Whether all coefficients are whole and nothing is divided by a symbol: then it is whole for whole symbols."""
    return all(type(c) is int and all(e > 0 for _, e in m) for m, c in value.terms.items())
