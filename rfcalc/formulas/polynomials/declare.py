"""What is declared of symbols: ``K odd``, ``H = 32m + 3``, ``H divisible by 32``, ``C >= 16``.

>>> [str(s.value) for s in declarations("K odd, H = 32m + 3, C >= 16").values()]
['K', 'H', 'C']
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from rfcalc.formulas.polynomials.poly import Number, Symbol, SymbolError, whole
from rfcalc.formulas.polynomials.show import GREEK, LETTERS

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


def declarations(text: str) -> dict[str, Symbol]:
    """The symbols of a text of declarations.

    Raises:
        SymbolError: what cannot be read, or clashes with what was said before.
    """
    said: dict[str, dict[str, Any]] = {}
    for part in (p.strip() for p in text.split(",")):
        if part:
            _read(part, said)
    return {name: Symbol(name, **facts) for name, facts in said.items()}


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
            raise SymbolError(f"two things are said of {match[1]}", where=part, fix="say one")
        modulus, residue = 2, match[2] == "odd"
        if form == "divisible":
            modulus, residue = int(match[2]), 0
        elif form == "class":
            modulus, residue = int(match[2]), int(match[5] or 0) * (-1 if match[4] == "-" else 1)
        if modulus < 1:
            raise SymbolError(f"nothing is divisible by {modulus}", where=part)
        facts["modulus"], facts["residue"] = modulus, residue % modulus
        return
    raise SymbolError(f"{part!r} is no assumption that is understood", fix=HOW)


def refined(symbol: Symbol, modulus: int, usual: Number | None = None) -> Symbol:
    """The symbol where the whole number behind it lies in a residue class: that of its usual value, else 0."""
    own, residue = symbol.modulus, symbol.residue
    behind = 0 if usual is None else (usual - residue) * Fraction(1) / own
    rest = int(behind) % modulus if Fraction(behind).denominator == 1 else 0
    return Symbol(symbol.name, whole(own * modulus), whole(residue + own * rest), symbol.key[3])


def raised(symbol: Symbol, least: Number) -> Symbol:
    """The symbol with a least value that is no lower than this."""
    return Symbol(symbol.name, symbol.modulus, symbol.residue, max(symbol.key[3], least))


def sentence(symbol: Symbol, free: str = "m") -> str:
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
    least = modulus * symbol.start + residue
    plain = 1 if modulus == 1 else modulus if residue == 0 else residue
    if least > plain:
        told.append(f"{name} ≥ {least}")
    return ", ".join(told)


def letters(name: str) -> str:
    """A name as Python can write it."""
    return GREEK.get(name, name)
