"""Walks a network with symbols, and finds out what has to be assumed of them for the floors to go.

Floors on sizes go where a symbol lies in a residue class: its modulus is the least common multiple of what it is
divided by anywhere in the network, its residue that of the network's own input size (AlexNet's 227 = 32·7 + 3).
Comparisons that the rules left open give each symbol its least value. The walk is repeated until nothing is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import lcm
from typing import Any, NamedTuple

from rfcalc.core import size
from rfcalc.formulas.polynomials import divide
from rfcalc.formulas.polynomials.bounds import least
from rfcalc.formulas.polynomials.declare import raised, refined
from rfcalc.formulas.polynomials.poly import Extreme, Floor, Missing, Open, Poly, Power, Symbol, atom, put, symbols_of
from rfcalc.formulas.polynomials.powers import extreme

LARGEST_MODULUS = 1 << 24
ROUNDS = 4


class Walk(NamedTuple):
    """What a walk gave: its result, the symbols as finally declared, the assumptions left, as sentences."""

    result: Any
    symbols: dict[str, Symbol]
    assumptions: tuple[str, ...]
    even: dict[Any, None]  # divisions that were taken to be even


def _extreme(which: str) -> Callable[[Any, Any], Any]:
    def chosen(a: Any, b: Any) -> Any:
        if isinstance(a, Poly) or isinstance(b, Poly):
            return extreme(which, (a, b))
        half = (a + b + abs(a - b)) // 2  # of another library's symbols
        return half if which == "max" else a + b - half

    return chosen


size.extrema(_extreme("min"), _extreme("max"))


@contextmanager
def exactly(known: dict[Any, None]) -> Iterator[None]:
    """While the block runs, divisions that the rules take to be even are written as quotients and kept in `known`."""
    token = divide.exact.set(known)
    size.evenly(divide.divides_exactly)
    try:
        yield
    finally:
        divide.exact.reset(token)


def walk(
    build: Callable[[Mapping[str, Symbol]], Any],
    symbols: Mapping[str, Symbol],
    sizes: Callable[[Any], Iterable[Any]],
    finish: Callable[[Any], Any],
    usual: Mapping[str, int],
    free: Iterable[str],
) -> Walk:
    """Walk with symbols until what has to be assumed of them is settled; then finish.

    Args:
        build: makes the result from the symbols.
        symbols: as declared so far, by name.
        sizes: the sizes in a result that are to be without floors.
        finish: what is to be made of the last result.
        usual: a value that each symbol usually has: it gives the residue.
        free: names of the symbols that may be put into a residue class.
    """
    declared = dict(symbols)
    may = set(free)
    for left in range(ROUNDS - 1, -1, -1):
        even: dict[Any, None] = {}
        with exactly(even), size.assumptions() as heard:
            made = build(declared)
            known = dict(declared)
            for name, modulus in moduli(sizes(made)).items() if may else ():
                if name in may and modulus <= LARGEST_MODULUS:
                    declared[name] = refined(declared[name], modulus, usual.get(name))
                    may.discard(name)
            for name, low in _lows(heard.comparisons).items():
                if name in declared:
                    declared[name] = raised(declared[name], low)
            if declared == known or not left:
                result = finish(made)
                break
    told = dict.fromkeys(t for t, c in zip(heard, heard.comparisons, strict=True) if _low(c) is None and _of_symbols(c))
    return Walk(result, known, tuple(told), even)


def _of_symbols(comparison: Any) -> bool:
    """Whether it is about formulas; what is said of the index of a repetition is asked again for every copy."""
    parts = comparison if isinstance(comparison, tuple) else (comparison,)
    return all(part is None or isinstance(part, (Open, Poly, Missing, int)) for part in parts)


def moduli(values: Iterable[Any]) -> dict[str, int]:
    """By symbol, what it would have to be divisible by for the floors in these formulas to go."""
    found: dict[str, int] = {}
    seen: set[Any] = set()
    waiting = [v for v in values if isinstance(v, Poly)]
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        for m in value.terms:
            for a, _ in m:
                if isinstance(a, Floor):
                    top, below = a.key
                    waiting += [v for v in (top, below) if isinstance(v, Poly)]
                    if isinstance(below, int):
                        for symbol in symbols_of(top):
                            found[symbol.name] = lcm(found.get(symbol.name, 1), below)
    return found


def _lows(comparisons: Iterable[Any]) -> dict[str, Any]:
    """The least values for which open comparisons of one rising symbol hold."""
    found: dict[str, Any] = {}
    for comparison in comparisons:
        low = _low(comparison)
        if low is not None:
            symbol, t = low
            value = symbol.modulus * t + symbol.residue
            found[symbol.name] = max(found.get(symbol.name, value), value)
    return found


def _low(comparison: Any) -> tuple[Symbol, int] | None:
    """The one symbol of an open comparison, and the least t from which on it holds, where it only rises."""
    if not isinstance(comparison, Open):
        return None
    inside = symbols_of(comparison.difference)
    if len(inside) != 1 or any(isinstance(a, Power) for m in comparison.difference.terms for a, _ in m):
        return None
    (symbol,) = inside
    if not rises(comparison.difference, symbol):
        return None

    def holds(t: int) -> bool:
        value = put(comparison.difference, {symbol.name: symbol.modulus * t + symbol.residue})
        return bool(value > 0 if comparison.strict else value >= 0)

    low, high = symbol.start, max(symbol.start, 1)
    while not holds(high):
        low, high = high + 1, high * 2
        if high > 1 << 40:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return symbol, low


def rises(value: Any, symbol: Symbol) -> bool:
    """Whether a formula never falls as a symbol grows."""
    if _climbs(value, symbol):
        return True
    later = put(value, {symbol.name: symbol.value + symbol.modulus})
    gain = least(later - value)
    return gain is not None and gain >= 0


def _climbs(value: Any, symbol: Symbol) -> bool:
    """Whether a formula is a sum of products of rising parts with positive coefficients, wherever the symbol is."""
    if symbol not in symbols_of(value):
        return True
    for m, c in value.terms.items():
        if not any(symbol in a.symbols for a, _ in m):
            continue
        if c < 0 or any(e < 0 or (least(atom(a)) or 0) < 0 for a, e in m):
            return False
        for a, _ in m:
            inner = a.key if isinstance(a, Floor) else a.members if isinstance(a, Extreme) else ()
            if isinstance(a, Floor) and symbol in symbols_of(a.key[1]):
                return False
            if not all(_climbs(v, symbol) for v in inner):
                return False
    return True
