"""Solves ``metric relation number`` for one symbol, in whole numbers, exactly.

Where the figure only rises (or falls) with the symbol, the edge is found by halving an interval; a polynomial that does
neither is taken apart at its real roots, which sympy isolates by rational intervals. Every edge is checked by putting
the numbers in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from rfcalc.core.errors import ConstraintFailed, RfcalcError
from rfcalc.formulas.polynomials.analysis import rises
from rfcalc.formulas.polynomials.bounds import least, sign
from rfcalc.formulas.polynomials.declare import spelled
from rfcalc.formulas.polynomials.poly import Missing, Number, Poly, Symbol, SymbolError, put, symbols_of, whole
from rfcalc.formulas.polynomials.powers import extreme
from rfcalc.formulas.polynomials.result import FIGURES, Formulas
from rfcalc.formulas.polynomials.show import show
from rfcalc.formulas.polynomials.source import plain
from rfcalc.formulas.polynomials.tree import factored
from rfcalc.report.metrics.units import read
from rfcalc.report.metrics.vocabulary import metric

FAR = 1 << 200
_ASKED = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(?:@\s*(\S+?))?\s*(<=|>=|==|≤|≥|<|>|=)\s*(.+?)\s*$")
_SIGNS = {"<=": "≤", ">=": "≥", "==": "="}
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "≤": lambda a, b: a <= b,
    "≥": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "=": lambda a, b: a == b,
}
FIELDS = {"receptive_field": "size", "stride": "stride", "padding": "padding"}


class Edge(NamedTuple):
    """A value of the symbol and the figure there; `against` is the bound, where that depends on the symbol, too."""

    at: Number
    value: Number
    against: Number | None = None


class Solution(NamedTuple):
    """For which values of a symbol a figure keeps a bound.

    `ranges`: first and last value of each run of solutions (None: no last one), in the symbol's own values. `edges`:
    the figure at the ends of the runs and just outside.
    """

    name: str
    node: str
    formula: Any
    relation: str
    bound: Any
    symbol: Symbol | None
    ranges: tuple[tuple[Number, Number | None], ...]
    edges: tuple[Edge, ...]

    @property
    def smallest(self) -> Number | None:
        """The smallest solution; None if there is none."""
        return self.ranges[0][0] if self.ranges else None

    @property
    def largest(self) -> Number | None:
        """The largest solution; None if there is none, or no end."""
        return self.ranges[-1][1] if self.ranges else None


def solve(found: Formulas, asked: str, unknown: str | None = None) -> Solution:
    """Solve ``metric[@node] relation number`` for the one symbol that it depends on.

    Raises:
        SymbolError: it cannot be read, depends on several symbols (or on none), or has no closed form.

    >>> from rfcalc.formulas import formulas
    >>> solve(formulas("conv3-C xN"), "rf >= 224").smallest
    112
    """
    match = _ASKED.match(asked)
    if match is None:
        raise SymbolError(
            f"cannot read {asked!r}", why="it is metric [@node] relation number", fix='write it like "rf >= 224"'
        )
    name, node, relation, text = match.groups()
    relation = _SIGNS.get(relation, relation)
    name = metric(name).name
    value = figure(found, name, node, relation)
    return settled(name, node or "", value, relation, whole(read(text)), unknown, found)


def figure(found: Formulas, name: str, node: str | None = None, relation: str = "≥") -> Any:
    """A figure by the metric's name, of a node or of the whole network (its output's, where it is no sum).

    Raises:
        SymbolError: it has no closed form, or is none of the figures here.
    """
    line = found[node] if node else found.lines[-1]
    if name in FIELDS or name == "output_shape":
        values = line.field[FIELDS[name]] if name in FIELDS else line.output_shape[1:]
        if not values or any(v is None or isinstance(v, Missing) for v in values):
            raise SymbolError(
                f"{name} of {line.name} has no closed form", why="; ".join(found.unknown) or line.field["status"]
            )
        return extreme("max" if relation in "≤<" else "min", values)
    places: dict[str, Any] = {**line.ops, **line.figures} if node else {**found.totals["ops"], **found.totals}
    if name not in places or isinstance(places[name], (Missing, dict)):
        why = next((t for t in found.unknown if name in t), None)
        known = [*FIELDS, "output_shape", *FIGURES, "peak_bytes", "weight_layers"]
        what = f"{name} has no closed form" if why else f"{name} is no figure that can be solved for"
        raise SymbolError(what, why=why, fix=None if why else f"there is {', '.join(known)}")
    return places[name]


def settled(
    name: str, node: str, value: Any, relation: str, bound: Any, unknown: str | None, found: Formulas
) -> Solution:
    """The solution for one symbol; positive factors that the difference shares are of no account."""
    inside = {s.name: s for s in symbols_of(value) | symbols_of(bound)}
    if unknown is not None:
        unknown = spelled(unknown)
        if unknown not in found.symbols:
            raise SymbolError(f"{unknown} is not among the symbols", why=f"they are {', '.join(found.symbols)}")
        if unknown not in inside:
            raise SymbolError(f"{name} does not depend on {unknown}", why=f"it is {show(value)}")
    difference = value - bound
    core = _core(difference)
    if core is not difference:
        inside = {s.name: s for s in symbols_of(core)}
    if len(inside) > 1:
        others = sorted(n for n in inside if n != unknown)
        decided = sign(core, relation in "<>") if relation in "≥>" else None
        if decided is None and relation in "≤<":
            decided = sign(-core, relation == "<")
        if decided is None:
            raise SymbolError(
                f"{name} depends on {' and '.join(sorted(inside))}",
                why=f"{name} = {show(value)}",
                fix=f"put numbers in for all but one: --set {','.join(f'{n}=64' for n in others[-1:])}",
            )
        whole_range = ((1, None),) if decided else ()
        return Solution(name, node, value, relation, bound, None, whole_range, ())
    if not inside:
        holds = _HOLDS[relation](core, 0)
        if isinstance(difference, Poly):
            return Solution(name, node, value, relation, bound, None, ((1, None),) if holds else (), ())
        raise SymbolError(
            f"{name} depends on no symbol",
            why=f"it is {show(value)}: {show(value)} {relation} {show(bound)} is {holds}",
        )
    (symbol,) = inside.values()
    ranges = _ranges(core, symbol, relation)
    declared = tuple(tuple(None if t is None else _value(symbol, t) for t in r) for r in ranges)
    edges: dict[int, None] = {}
    for low, high in ranges:
        for t in (low - 1, low, high, None if high is None else high + 1):
            if t is not None and t >= symbol.start:
                edges[t] = None
    if not ranges and relation == "=":
        edges = dict.fromkeys(_crossing(core, symbol))
    told = []
    if symbols_of(value) | symbols_of(bound) == {symbol}:
        for t in edges:
            at = {symbol.name: _value(symbol, t)}
            told.append(Edge(at[symbol.name], put(value, at), put(bound, at) if isinstance(bound, Poly) else None))
    return Solution(name, node, value, relation, bound, symbol, declared, tuple(told))  # type: ignore[arg-type]


def _value(symbol: Symbol, t: int) -> Number:
    return whole(symbol.modulus * t + symbol.residue)  # type: ignore[no-any-return]


def _core(difference: Any) -> Any:
    """The difference without factors that are positive for all values."""
    if not isinstance(difference, Poly) or len(symbols_of(difference)) < 2:
        return difference
    number, parts = factored(difference)
    left = [(p, e) for p, e in parts if not ((least(p) or 0) > 0)]
    if len(left) == len(parts):
        return difference
    core: Any = 1 if number > 0 else -1
    for p, e in left:
        core = core * p**e if e > 0 else core
    return core


def _ranges(core: Any, symbol: Symbol, relation: str) -> list[tuple[int, int | None]]:
    """The runs of t for which ``core relation 0`` holds."""

    def holds(t: int) -> bool:
        return _HOLDS[relation](_at(core, symbol, t), 0)

    falls = rises(-core, symbol)
    if not rises(core, symbol) and not falls:
        return _by_roots(core, symbol, holds)
    if relation == "=":
        reach = (lambda t: _at(core, symbol, t) <= 0) if falls else (lambda t: _at(core, symbol, t) >= 0)
        past = (lambda t: _at(core, symbol, t) < 0) if falls else (lambda t: _at(core, symbol, t) > 0)
        low, high = _edge(reach, symbol.start), _edge(past, symbol.start)
        if low is None or low == high:
            return []
        return [(low, None if high is None else high - 1)]
    opens = (relation in "≥>") is not falls
    if opens:
        low = _edge(holds, symbol.start)
        return [] if low is None else [(low, None)]
    high = _edge(lambda t: not holds(t), symbol.start)
    return [(symbol.start, None)] if high is None else [] if high == symbol.start else [(symbol.start, high - 1)]


def _crossing(core: Any, symbol: Symbol) -> list[int]:
    """The last t below zero and the first above, where the formula only rises or only falls."""
    if not rises(core, symbol):
        core = -core
    past = _edge(lambda t: _at(core, symbol, t) > 0, symbol.start) if rises(core, symbol) else None
    return [] if past is None else [t for t in (past - 1, past) if t >= symbol.start]


def _at(core: Any, symbol: Symbol, t: int) -> Any:
    return put(core, {symbol.name: _value(symbol, t)})


def _edge(holds: Callable[[int], bool], start: int) -> int | None:
    """The first t from which on it holds; None if it never does."""
    low = start
    step = 1
    high = start
    while not holds(high):
        low, high = high + 1, high + step
        step *= 2
        if high > FAR:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _by_roots(core: Any, symbol: Symbol, holds: Callable[[int], bool]) -> list[tuple[int, int | None]]:
    """Runs of a polynomial's sign between its real roots, which sympy isolates."""
    coefficients: dict[int, Any] = {}
    for m, c in core.terms.items():
        if m and (len(m) != 1 or m[0][0] is not symbol or m[0][1] < 0):
            raise SymbolError(
                f"cannot tell for which {symbol.name} this holds: {show(core)}",
                why="it neither only rises nor only falls, and is no polynomial",
            )
        coefficients[m[0][1] if m else 0] = c
    import sympy

    degree = max(coefficients)
    listed = [sympy.Rational(*Fraction(coefficients.get(k, 0)).as_integer_ratio()) for k in range(degree, -1, -1)]
    isolated = sympy.Poly(listed, sympy.Symbol("t")).intervals(eps=sympy.Rational(1, 4))
    cuts: set[int] = {symbol.start}
    for (low, high), _ in isolated:
        for t in range(int(sympy.floor(low)) - 1, int(sympy.ceiling(high)) + 3):
            if t > symbol.start:
                cuts.add(t)
    points = sorted(cuts)
    found: list[tuple[int, int | None]] = []
    for i, t in enumerate(points):
        if not holds(t):
            continue
        last = points[i + 1] - 1 if i + 1 < len(points) else None
        if found and found[-1][1] == t - 1:
            found[-1] = (found[-1][0], last)
        else:
            found.append((t, last))
    return found


def told(solution: Solution, form: str = "unicode") -> list[str]:
    """The inequality and its solutions, in lines."""
    sign_ = {"≤": r"\le", "≥": r"\ge"} if form == "latex" else {"≤": "<=", "≥": ">="} if form == "plain" else {}
    relation = sign_.get(solution.relation, solution.relation)
    at = f" of {solution.node}" if solution.node else ""
    lines = [
        f"{solution.name}{at}: {_math(f'{show(solution.formula, form)} {relation} {show(solution.bound, form)}', form)}"
    ]
    if solution.symbol is None:
        return [*lines, "for all values" if solution.ranges else "for no values"]
    name = show(solution.symbol.value, form)
    gives = []
    for e in solution.edges:
        other = "" if e.against is None else f" against {_math(show(e.against, form), form)}"
        gives.append(f"  {_math(f'{name} = {show(e.at, form)}', form)} gives {_math(show(e.value, form), form)}{other}")
    if not solution.ranges:
        return [*lines, f"no {name} solves it", *gives]
    at_least, at_most = sign_.get("≥", "≥"), sign_.get("≤", "≤")
    runs = []
    for low, high in solution.ranges:
        if high is None:
            runs.append(f"{name} {at_least} {show(low, form)}")
        elif low == high:
            runs.append(f"{name} = {show(low, form)}")
        else:
            runs.append(f"{show(low, form)} {at_most} {name} {at_most} {show(high, form)}")
    own = _class(solution.symbol)
    lines.append(" or ".join(_math(run, form) for run in runs) + own)
    lines += gives
    if solution.relation in "≥>=" or len(solution.ranges) > 1:
        lines.append(f"smallest {_math(f'{name} = {show(solution.smallest, form)}', form)}")
    elif solution.largest is not None:
        lines.append(f"largest {_math(f'{name} = {show(solution.largest, form)}', form)}")
    return lines


def _math(text: str, form: str) -> str:
    return f"${text}$" if form == "latex" else text


def _class(symbol: Symbol) -> str:
    if symbol.modulus == 1:
        return ""
    return f", where {symbol.name} is declared {symbol.declared()}"


def cheaper(one: Formulas, other: Formulas, by: str, unknown: str | None = None) -> Solution:
    """For which values of a symbol the first network has less of a figure than the second.

    Raises:
        SymbolError: it depends on several symbols, or a figure has no closed form.
    """
    name = metric(by).name
    a, b = figure(one, name), figure(other, name)
    if not isinstance(a, Poly) and not isinstance(b, Poly):
        return Solution(name, "", a, "<", b, None, ((1, None),) if a < b else (), ())
    return settled(name, "", a, "<", b, unknown, one if len(one.symbols) >= len(other.symbols) else other)


def refuse(solution: Solution) -> RfcalcError:
    """The error for a bound that no value keeps."""
    return ConstraintFailed("there is no solution", why="\n".join(told(solution)))


def data(solution: Solution) -> dict[str, Any]:
    """A solution as JSON has it."""
    return {
        "metric": solution.name,
        "node": solution.node or None,
        "formula": plain(solution.formula),
        "relation": solution.relation,
        "bound": plain(solution.bound),
        "symbol": None if solution.symbol is None else solution.symbol.name,
        "solutions": [[plain(low), plain(high)] for low, high in solution.ranges],
        "smallest": plain(solution.smallest),
        "largest": plain(solution.largest),
        "edges": [{"at": plain(e.at), "value": plain(e.value), "against": plain(e.against)} for e in solution.edges],
    }
