"""Solves ``metric relation number`` for one symbol, in whole numbers, exactly.

Where the figure only rises (or falls) with the symbol, the edge is found by halving an interval (floors and powers have
no roots that sympy finds); a polynomial that does neither is taken apart at its real roots, which sympy isolates by
rational intervals. Every edge is checked by putting
the numbers in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import sympy

from rfcalc.core.errors import ConstraintFailed, RfcalcError
from rfcalc.formulas.export import plain
from rfcalc.formulas.forms import NotClosed
from rfcalc.formulas.forms import plain as number
from rfcalc.formulas.result import FIGURES, Symbolic
from rfcalc.formulas.symbols import Declared, Number, SymbolError, plain_number, spelled
from rfcalc.formulas.walking import edge, rises
from rfcalc.formulas.writing import show
from rfcalc.report.document import Document, Sentences, Span, Text
from rfcalc.report.metrics import metric
from rfcalc.report.units import read

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


class RunEnd(NamedTuple):
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
    symbol: Declared | None
    ranges: tuple[tuple[Number, Number | None], ...]
    edges: tuple[RunEnd, ...]

    @property
    def smallest(self) -> Number | None:
        """The smallest solution; None if there is none."""
        return self.ranges[0][0] if self.ranges else None

    @property
    def largest(self) -> Number | None:
        """The largest solution; None if there is none, or no end."""
        return self.ranges[-1][1] if self.ranges else None


def solve(found: Symbolic, asked: str, unknown: str | None = None) -> Solution:
    """Solve ``metric[@node] relation number`` for the one symbol that it depends on.

    Raises:
        SymbolError: it cannot be read, depends on several symbols (or on none), or has no closed form.

    >>> import rfcalc
    >>> solve(rfcalc.symbolic("conv3-C xN"), "rf >= 224").smallest
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
    return settled(name, node or "", value, relation, plain_number(read(text)), unknown, found)


def figure(found: Symbolic, name: str, node: str | None = None, relation: str = "≥") -> Any:
    """A figure by the metric's name, of a node or of the whole network (its output's, where it is no sum).

    Raises:
        SymbolError: it has no closed form, or is none of the figures here.
    """
    line = found[node] if node else found.last
    if name in FIELDS or name == "output_shape":
        values = line.field[FIELDS[name]] if name in FIELDS else line.output_shape[1:]
        if not values or any(v is None or isinstance(v, NotClosed) for v in values):
            raise SymbolError(
                f"{name} of {line.name} has no closed form", why="; ".join(found.unknown) or line.field["status"]
            )
        return _extreme("max" if relation in "≤<" else "min", values, found)
    places: Mapping[str, Any] = line.figures if node else found.totals
    if not node and name in found.totals["ops"]:
        places = found.totals["ops"]
    if name not in places or isinstance(places[name], (NotClosed, dict)):
        why = next((t for t in found.unknown if name in t), None)
        known = [*FIELDS, "output_shape", *FIGURES, "peak_bytes", "weight_layers"]
        what = f"{name} has no closed form" if why else f"{name} is no figure that can be solved for"
        raise SymbolError(what, why=why, fix=None if why else f"there is {', '.join(known)}")
    return places[name]


def _extreme(which: str, values: Any, found: Symbolic) -> Any:
    """The largest or smallest of formulas."""
    inner = found.algebra.extreme(which, [number(found.algebra.inside(v)) for v in values])
    return found.algebra.shown(inner)


def settled(
    name: str, node: str, value: Any, relation: str, bound: Any, unknown: str | None, found: Symbolic
) -> Solution:
    """The solution for one symbol; positive factors that the difference shares are of no account."""
    value, bound = sympy.sympify(value), sympy.sympify(bound)
    if unknown is not None:
        unknown = spelled(unknown)
        if unknown not in found.declared:
            raise SymbolError(f"{unknown} is not among the symbols", why=f"they are {', '.join(found.declared)}")
        if unknown not in {s.name for s in value.free_symbols | bound.free_symbols}:
            raise SymbolError(f"{name} does not depend on {unknown}", why=f"it is {show(value)}")
    difference = found.algebra.inside(value - bound)
    core = _core(difference, found)
    inside = {found.algebra.declared[t].name: found.algebra.declared[t] for t in core.free_symbols}
    if len(inside) > 1:
        low = found.algebra.lowest(core if relation in "≥>" else -core)
        if low is None or not (low > 0 if relation in "<>" else low >= 0):
            others = sorted(n for n in inside if n != unknown)
            raise SymbolError(
                f"{name} depends on {' and '.join(sorted(inside))}",
                why=f"{name} = {show(value)}",
                fix=f"put numbers in for all but one: --set {','.join(f'{n}=64' for n in others[-1:])}",
            )
        return Solution(name, node, value, relation, bound, None, ((1, None),), ())
    if not inside:
        holds = bool(_HOLDS[relation](core, 0))
        if difference.free_symbols:
            return Solution(name, node, value, relation, bound, None, ((1, None),) if holds else (), ())
        raise SymbolError(
            f"{name} depends on no symbol",
            why=f"it is {show(value)}: {show(value)} {relation} {show(bound)} is {holds}",
        )
    (symbol,) = inside.values()
    ranges = _ranges(core, symbol, relation, found)
    declared = tuple(tuple(None if t is None else _value(symbol, t) for t in r) for r in ranges)
    edges: dict[int, None] = {}
    for low, high in ranges:
        for t in (low - 1, low, high, None if high is None else high + 1):
            if t is not None and t >= symbol.start:
                edges[t] = None
    if not ranges and relation == "=":
        edges = dict.fromkeys(_crossing(core, symbol, found))
    told = []
    if value.free_symbols | bound.free_symbols == {symbol.symbol}:
        for t in edges:
            at = _value(symbol, t)
            put = {symbol.symbol: sympy.sympify(at)}
            against = number(bound.xreplace(put)) if bound.free_symbols else None
            told.append(RunEnd(at, number(value.xreplace(put)), against))
    return Solution(name, node, value, relation, number(bound), symbol, declared, tuple(told))  # type: ignore[arg-type]


def _value(symbol: Declared, t: int) -> Number:
    return plain_number(symbol.modulus * t + symbol.residue)  # type: ignore[no-any-return]


def _core(difference: Any, found: Symbolic) -> Any:
    """The difference without factors that are positive for all values."""
    if len(difference.free_symbols) < 2:
        return difference
    number, parts = sympy.factor_list(difference)
    left = [p**e for p, e in parts if not (found.algebra.lowest(p) or 0) > 0]
    return sympy.expand(sympy.Mul(*left) * (1 if number > 0 else -1)) if len(left) < len(parts) else difference


def _ranges(core: Any, symbol: Declared, relation: str, found: Symbolic) -> list[tuple[int, int | None]]:
    """The runs of t for which ``core relation 0`` holds."""

    def holds(t: int) -> bool:
        return bool(_HOLDS[relation](_at(core, symbol, t), 0))

    falls = rises(-core, symbol.quotient, found.algebra)
    if not rises(core, symbol.quotient, found.algebra) and not falls:
        return _by_roots(core, symbol, holds)
    if relation == "=":
        reach = (lambda t: _at(core, symbol, t) <= 0) if falls else (lambda t: _at(core, symbol, t) >= 0)
        past = (lambda t: _at(core, symbol, t) < 0) if falls else (lambda t: _at(core, symbol, t) > 0)
        low, high = edge(reach, symbol.start, FAR), edge(past, symbol.start, FAR)
        if low is None or low == high:
            return []
        return [(low, None if high is None else high - 1)]
    opens = (relation in "≥>") is not falls
    if opens:
        low = edge(holds, symbol.start, FAR)
        return [] if low is None else [(low, None)]
    high = edge(lambda t: not holds(t), symbol.start, FAR)
    return [(symbol.start, None)] if high is None else [] if high == symbol.start else [(symbol.start, high - 1)]


def _crossing(core: Any, symbol: Declared, found: Symbolic) -> list[int]:
    """The last t below zero and the first above, where the formula only rises or only falls."""
    if not rises(core, symbol.quotient, found.algebra):
        core = -core
    if not rises(core, symbol.quotient, found.algebra):
        return []
    past = edge(lambda t: _at(core, symbol, t) > 0, symbol.start, FAR)
    return [] if past is None else [t for t in (past - 1, past) if t >= symbol.start]


def _at(core: Any, symbol: Declared, t: int) -> Any:
    return core.xreplace({symbol.quotient: sympy.Integer(t)})


def _by_roots(core: Any, symbol: Declared, holds: Callable[[int], bool]) -> list[tuple[int, int | None]]:
    """Runs of a polynomial's sign between its real roots, which sympy isolates."""
    if not core.is_polynomial(symbol.quotient):
        raise SymbolError(
            f"cannot tell for which {symbol.name} this holds: {show(core)}",
            why="it neither only rises nor only falls, and is no polynomial",
        )
    cuts: set[int] = {symbol.start}
    for (low, high), _ in sympy.Poly(core, symbol.quotient).intervals(eps=sympy.Rational(1, 4)):
        for t in range(int(sympy.floor(low)) - 1, int(sympy.ceiling(high)) + 3):
            if t > symbol.start:
                cuts.add(t)
    points = sorted(cuts)
    runs: list[tuple[int, int | None]] = []
    for i, t in enumerate(points):
        if not holds(t):
            continue
        last = points[i + 1] - 1 if i + 1 < len(points) else None
        if runs and runs[-1][1] == t - 1:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((t, last))
    return runs


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
    name = show(solution.symbol.symbol, form)
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


def _class(symbol: Declared) -> str:
    if symbol.modulus == 1:
        return ""
    return f", where {symbol.name} is declared {symbol.declared()}"


def document(found: Symbolic, solution: Solution, form: str = "terminal") -> Document:
    """A solution as a document, with what was assumed."""
    lines = told(solution, "plain" if form == "plain" else "unicode")
    said: list[Text] = [*lines]
    if form in ("latex", "markdown"):
        said = [(Span(line, latex=_typeset(math)),) for line, math in zip(lines, told(solution, "latex"), strict=True)]
    kept = [f"assumed: {text}" for text in found.assumptions if "=" in text or "≥" in text or "divisible" in text]
    title = f"{solution.name} of {solution.node or found.target}"
    sections = (Sentences(tuple(said)), *([Sentences(tuple(kept), listed=False)] if kept else []))
    return Document(title, sections, data=partial(export, found, data(solution)))


def export(found: Symbolic, solution: dict[str, Any]) -> dict[str, Any]:
    """The formulas with the solution, as JSON has them."""
    from rfcalc.formulas.export import data as formulas

    return formulas(found, solution)


def _typeset(line: str) -> str:
    """A line with formulas between dollar signs as one formula, its words as text."""
    parts = line.split("$")
    return "".join(part if i % 2 else rf"\text{{{part}}}".replace("_", r"\_") for i, part in enumerate(parts) if part)


def cheaper(one: Symbolic, other: Symbolic, by: str, unknown: str | None = None) -> Solution:
    """For which values of a symbol the first network has less of a figure than the second.

    Raises:
        SymbolError: it depends on several symbols, or a figure has no closed form.
    """
    name = metric(by).name
    a, b = figure(one, name), figure(other, name)
    if not a.free_symbols and not b.free_symbols:
        return Solution(name, "", a, "<", b, None, ((1, None),) if a < b else (), ())
    return settled(name, "", a, "<", b, unknown, one if len(one.declared) >= len(other.declared) else other)


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
