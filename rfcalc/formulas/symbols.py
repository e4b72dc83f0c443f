"""Symbols and what is declared of them: ``K odd``, ``H = 32m + 3``, ``H divisible by 32``, ``C >= 16``.

A symbol of a residue class is put into the rules as the whole number behind it (H = 32m), so that everything that
divides evenly does so by itself in sympy; formulas are told in the symbol itself.

>>> {name: str(s.value) for name, s in declarations("K odd, C >= 16").items()}
{'K': '2*((K - 1)/2) + 1', 'C': 'C'}
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeAlias

import sympy

from rfcalc.core.errors import RfcalcError

Number: TypeAlias = "int | Fraction"

GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "λ": "lambda_", "ρ": "rho", "σ": "sigma", "ω": "omega"}
LETTERS = {name.rstrip("_"): letter for letter, name in GREEK.items()}


class SymbolError(RfcalcError):
    """What cannot be said with symbols: a clash, no closed form, no solution."""


class QuotientSymbol(sympy.Symbol):  # type: ignore[misc]  # sympy has no types
    """The whole number behind a symbol: `back` is what it is in terms of the symbol."""

    __slots__ = ("back",)
    back: sympy.Expr


class Declared:
    """A declared symbol: its values are ``modulus·t + residue`` for whole numbers t, and none is below `least`.

    Args:
        name: as it is printed.
        modulus: of the residue class; a fraction for what is no whole number itself (a width α = a/32).
        residue: of the residue class.
        least: the least value that it may have.

    >>> odd = Declared("K", 2, 1)
    >>> odd.symbol, odd.value, odd.behind(7)
    (K, 2*((K - 1)/2) + 1, 3)
    """

    def __init__(self, name: str, modulus: Number = 1, residue: Number = 0, least: Number = 1) -> None:
        self.name, self.modulus, self.residue, self.least = name, modulus, residue, least

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two declarations the same."""
        return (self.name, self.modulus, self.residue, self.least)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Declared) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Declared({self.name!r}, {self.modulus}, {self.residue}, {self.least})"

    @cached_property
    def symbol(self) -> sympy.Symbol:
        """The symbol that formulas are told in."""
        if isinstance(self.modulus, Fraction):
            return sympy.Symbol(self.name, positive=True)
        return sympy.Symbol(self.name, integer=True, **_signs(self.least))

    @cached_property
    def quotient(self) -> sympy.Symbol:
        """The whole number t behind it; the symbol itself where nothing is said of divisibility."""
        if self.modulus == 1 and self.residue == 0:
            return self.symbol
        found = QuotientSymbol(f"(({self.name} - {self.residue})/{self.modulus})", integer=True, **_signs(self.start))
        found.back = (self.symbol - sympy.sympify(self.residue)) / sympy.sympify(self.modulus)
        return found

    @property
    def start(self) -> int:
        """The least t."""
        need = Fraction(self.least - self.residue) / self.modulus
        return -((-need.numerator) // need.denominator)

    @property
    def lowest(self) -> Number:
        """The least value."""
        return plain_number(self.modulus * self.start + self.residue)  # type: ignore[no-any-return]

    @cached_property
    def value(self) -> sympy.Expr:
        """What is put into the rules: modulus·t + residue."""
        return self.quotient * sympy.sympify(self.modulus) + sympy.sympify(self.residue)

    def behind(self, value: Any) -> Any:
        """t for a value.

        Raises:
            SymbolError: a number that the symbol was declared not to be.
        """
        t = plain_number((value - self.residue) * Fraction(1) / self.modulus)
        if isinstance(t, Fraction) or (isinstance(t, int) and t < self.start):
            raise SymbolError(f"{self.name} = {value} does not fit", why=f"{self.name} is declared {self.declared()}")
        return t

    def declared(self) -> str:
        """What was declared of it, in words."""
        kind = {(2, 1): "odd", (2, 0): "even"}.get((self.modulus, self.residue))  # type: ignore[arg-type]
        modulus = Fraction(self.modulus)
        if kind is None and modulus != 1:
            times = "m" if modulus.numerator == 1 else f"{modulus.numerator}m"
            kind = times + ("" if modulus.denominator == 1 else f"/{modulus.denominator}")
            kind += f" + {self.residue}" if self.residue else ""
        return f"{kind}, ≥ {self.lowest}" if kind else f"≥ {self.lowest}"


def _signs(least: Number) -> dict[str, bool]:
    return {"positive": True} if least >= 1 else {"nonnegative": True} if least >= 0 else {}


def plain_number(value: Any) -> Any:
    """A fraction that is a whole number as an int."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


NAME = r"[^\W\d_]\w*"
_FORMS = (
    (re.compile(rf"({NAME})\s+(?:is\s+)?(odd|even)$"), "parity"),
    (re.compile(rf"({NAME})\s+(?:is\s+)?divisible\s+by\s+(\d+)$"), "divisible"),
    (re.compile(rf"({NAME})\s*=\s*(\d+)\s*\*?\s*([^\W\d_]\w*)\s*(?:([+-])\s*(\d+))?$"), "class"),
    (re.compile(rf"({NAME})\s*(>=|≥|>)\s*(\d+)$"), "least"),
)
HOW = 'write "K odd", "K even", "H divisible by 32", "H = 32m + 3" or "C >= 16", with commas between'


def spelled(name: str) -> str:
    """A symbol's name as it is kept: Greek letters for their names (alpha is α)."""
    return LETTERS.get(name, name)


def declarations(text: str) -> dict[str, Declared]:
    """The symbols of a text of declarations.

    Raises:
        SymbolError: what cannot be read, or clashes with what was said before.
    """
    said: dict[str, dict[str, Any]] = {}
    for part in (p.strip() for p in text.split(",")):
        if part:
            _read(part, said)
    return {name: Declared(name, **facts) for name, facts in said.items()}


def _read(part: str, said: dict[str, dict[str, Any]]) -> None:
    for pattern, form in _FORMS:
        match = pattern.match(part)
        if match is None:
            continue
        facts = said.setdefault(spelled(match[1]), {})
        if form == "least":
            if "least" in facts:
                raise SymbolError(f"{match[1]} is bounded twice", where=part)
            facts["least"] = int(match[3]) + (match[2] == ">")
            return
        if "modulus" in facts:
            raise SymbolError(f"--assume says two different things about {match[1]}", where=part, fix="say one")
        modulus, residue = 2, match[2] == "odd"
        if form == "divisible":
            modulus, residue = int(match[2]), 0
        elif form == "class":
            modulus, residue = int(match[2]), int(match[5] or 0) * (-1 if match[4] == "-" else 1)
        if modulus < 1:
            raise SymbolError(f"nothing is divisible by {modulus}", where=part)
        facts["modulus"], facts["residue"] = modulus, residue % modulus
        return
    raise SymbolError(f"the assumption {part!r} is not understood", fix=HOW)


def refined(symbol: Declared, modulus: int, usual: Number | None = None) -> Declared:
    """The symbol where the whole number behind it lies in a residue class: that of its usual value, else 0."""
    own, residue = symbol.modulus, symbol.residue
    behind = Fraction(0) if usual is None else (usual - residue) * Fraction(1) / own
    rest = int(behind) % modulus if behind.denominator == 1 else 0
    return Declared(symbol.name, plain_number(own * modulus), plain_number(residue + own * rest), symbol.least)


def raised(symbol: Declared, least: Number) -> Declared:
    """The symbol with a least value that is no lower than this."""
    return Declared(symbol.name, symbol.modulus, symbol.residue, max(symbol.least, least))


def sentence(symbol: Declared, free: str = "m") -> str:
    """What is taken for granted of a symbol, or nothing."""
    name, modulus, residue = symbol.name, symbol.modulus, symbol.residue
    told = []
    if isinstance(modulus, Fraction) and modulus.numerator == 1:
        told.append(f"{modulus.denominator}{name} is whole")
    elif isinstance(modulus, Fraction):
        told.append(f"{name} is a multiple of {modulus}")
    elif (modulus, residue) == (2, 1):
        told.append(f"{name} odd: {name} = 2{free} + 1")
    elif modulus != 1 and residue == 0:
        told.append(f"{name} divisible by {modulus}: {name} = {modulus}{free}")
    elif modulus != 1:
        told.append(f"{name} = {modulus}{free} + {residue}")
    least = symbol.lowest
    plain = 1 if modulus == 1 else modulus if residue == 0 else residue
    if least > plain:
        told.append(f"{name} ≥ {least}")
    return ", ".join(told)


def letters(name: str) -> str:
    """A name as Python can write it."""
    return GREEK.get(name, name)
