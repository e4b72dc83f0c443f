"""Walks a network with symbols, and finds out what has to be assumed of them for the floors to go.

Floors on sizes go where a symbol lies in a residue class: its modulus is the least common multiple of what it is
divided by anywhere in the network, its residue that of the network's own input size (AlexNet's 227 = 32·7 + 3).
Comparisons that the rules left open give each symbol its least value. The walk is repeated until nothing is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple

import sympy
from sympy.core.relational import Relational

from rfcalc.core import size
from rfcalc.formulas.algebra import SympyAlgebra, sides
from rfcalc.formulas.forms import NotClosed, terms_of
from rfcalc.formulas.symbols import Declared, raised, refined

LARGEST_MODULUS = 1 << 24
ROUNDS = 5
FINE = 2**10 * 3**2 * 5 * 7
FARTHEST = 1 << 40


class Walk(NamedTuple):
    """What a walk gave: its result, the symbols as finally declared, what else was assumed, in sentences, and the
    algebra that it was walked with."""

    result: Any
    symbols: dict[str, Declared]
    assumptions: tuple[str, ...]
    algebra: SympyAlgebra


def walk(
    build: Callable[[Mapping[str, Declared]], Any],
    symbols: Mapping[str, Declared],
    sizes: Callable[[Any], Iterable[Any]],
    finish: Callable[[Any], object],
    usual: Mapping[str, int],
    free: Iterable[str],
) -> Walk:
    """Walk with symbols until what has to be assumed of them is settled.

    Args:
        build: makes the result from the symbols.
        symbols: as declared so far, by name.
        sizes: the sizes in a result that are to be without floors.
        finish: works out of the last result what else may have to be assumed something for.
        usual: a value that each symbol usually has: it gives the residue.
        free: names of the symbols that may be put into a residue class.
    """
    may = set(free)
    declared = _classes(build, symbols, sizes, usual, may) if may else dict(symbols)
    for left in range(ROUNDS - 1, -1, -1):
        algebra = SympyAlgebra(declared.values())
        with size.walking_with(algebra), size.assumptions() as heard:
            made = build(declared)
        known = dict(declared)
        for name, modulus in moduli(sizes(made), algebra).items() if may and left else ():
            if name in may and 1 < modulus * declared[name].modulus <= LARGEST_MODULUS:
                declared[name] = refined(declared[name], modulus, usual.get(name))
        if declared != known:
            continue
        lows = {c: low(c, algebra) for c in dict.fromkeys(heard.comparisons) if isinstance(c, Relational)}
        for name, value in filter(None, lows.values()):
            declared[name] = raised(declared[name], value)
        if declared == known or not left:
            break
    with size.walking_with(algebra), size.assumptions() as more:
        finish(made)
    heard.extend(more)
    heard.comparisons.extend(more.comparisons)
    told = dict.fromkeys(
        text
        for text, c in zip(heard, heard.comparisons, strict=True)
        if _of_symbols(c) and not (isinstance(c, Relational) and lows.get(c))
    )
    return Walk(made, known, tuple(told), algebra)


def _classes(
    build: Callable[[Mapping[str, Declared]], Any],
    symbols: Mapping[str, Declared],
    sizes: Callable[[Any], Iterable[Any]],
    usual: Mapping[str, int],
    free: set[str],
) -> dict[str, Declared]:
    """The symbols in the residue classes that sizes ask for: in a class that is fine enough for nearly every network no
    floor is left, and what sizes are divided by can be read off their coefficients."""
    fine = {n: refined(d, FINE, usual.get(n)) if n in free else d for n, d in symbols.items()}
    algebra = SympyAlgebra(fine.values())
    with size.walking_with(algebra):
        values = [v for v in sizes(build(fine)) if isinstance(v, sympy.Basic)]
    found = dict(symbols)
    for value in dict.fromkeys(values):
        if value.has(sympy.floor):
            return dict(symbols)
        inside = value.free_symbols
        if len(inside) != 1:
            continue
        d = algebra.declared.get(next(iter(inside)))
        if d is None or d.name not in free:
            continue
        share = sympy.Rational(value.coeff(d.quotient), FINE)
        modulus = lcm(*(Fraction(found[d.name].modulus / symbols[d.name].modulus).numerator, int(share.q)))
        if modulus > 1:
            found[d.name] = refined(symbols[d.name], modulus, usual.get(d.name))
    return found


def _of_symbols(comparison: Any) -> bool:
    """Whether it is about formulas; what is said of the index of a repetition is asked again for every copy."""
    parts = comparison if isinstance(comparison, tuple) else (comparison,)
    return all(part is None or isinstance(part, (sympy.Basic, NotClosed, int)) for part in parts)


def moduli(values: Iterable[Any], algebra: SympyAlgebra) -> dict[str, int]:
    """By symbol, what it would have to be divisible by for the floors in these formulas to go."""
    found: dict[str, int] = {}
    floors: dict[Any, None] = {}
    for value in values:
        if isinstance(value, sympy.Basic) and value.has(sympy.floor):
            floors.update(dict.fromkeys(value.atoms(sympy.floor)))
    for one in floors:
        below = sympy.ilcm(1, *(c.q for c in terms_of(sympy.expand(one.args[0])).values()))
        for t in one.free_symbols & algebra.declared.keys():
            name = algebra.declared[t].name
            found[name] = lcm(found.get(name, 1), int(below))
    return found


def low(comparison: Any, algebra: SympyAlgebra) -> tuple[str, Any] | None:
    """The one symbol of an open comparison, and the least value from which on it holds, where it only rises."""
    if not hasattr(comparison, "gts"):
        return None
    difference, strict = sides(comparison)
    difference = algebra.settle(difference)
    if isinstance(difference, int) or len(difference.free_symbols) != 1 or _exponential(difference):
        return None
    (t,) = difference.free_symbols
    symbol = algebra.declared.get(t)
    if symbol is None or not rises(difference, t, algebra):
        return None
    at = edge(lambda n: _positive(difference.xreplace({t: sympy.Integer(n)}), strict), symbol.start, FARTHEST)
    return None if at is None else (symbol.name, symbol.modulus * at + symbol.residue)


def _positive(value: Any, strict: bool) -> bool:
    return bool(value > 0 if strict else value >= 0)


def _exponential(value: Any) -> bool:
    return any(p.exp.free_symbols for p in value.atoms(sympy.Pow))


def edge(holds: Callable[[int], bool], start: int, farthest: int) -> int | None:
    """The first t from which on it holds; None if it never does."""
    low = high = start
    step = 1
    while not holds(high):
        low, high = high + 1, high + step
        step *= 2
        if high > farthest:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def rises(value: Any, t: Any, algebra: SympyAlgebra) -> bool:
    """Whether a formula never falls as a symbol grows."""
    value = sympy.sympify(value)
    if _climbs(value, t, algebra):
        return True
    gain = algebra.lowest(value.xreplace({t: t + 1}) - value)
    return gain is not None and bool(gain >= 0)


def _climbs(value: Any, t: Any, algebra: SympyAlgebra) -> bool:
    """Whether a formula is a sum of products of rising parts with positive coefficients, wherever the symbol is."""
    if not value.has(t):
        return True
    for term, c in terms_of(sympy.expand(value, power_base=False)).items():
        if not term.has(t):
            continue
        if c < 0:
            return False
        for factor in sympy.Mul.make_args(term):
            base, exponent = factor.as_base_exp()
            if exponent.has(t):
                if base.has(t) or (algebra.lowest(base) or 0) < 1 or not _climbs(exponent, t, algebra):
                    return False
                continue
            if not (exponent.is_Integer and exponent > 0) or (algebra.lowest(base) or 0) < 0:
                return False
            if base.is_Symbol:
                continue
            if isinstance(base, sympy.floor):
                top, below = sympy.fraction(sympy.together(base.args[0]))
                if below.has(t) or not _climbs(top / below if below.is_Number else top, t, algebra):
                    return False
            elif not isinstance(base, (sympy.Max, sympy.Min)) or not all(_climbs(a, t, algebra) for a in base.args):
                return False
    return True
