"""Explanations of chains with repetitions of unknown count: the figure of one copy, times the number of copies."""

from __future__ import annotations

from typing import Any

import sympy

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.derivation.answer import SAID
from rfcalc.derivation.model import DerivationSection, Equation, Explanation, Statement
from rfcalc.derivation.rules import subject
from rfcalc.derivation.totals import TIMES, TOTAL
from rfcalc.formulas.forms import NotClosed
from rfcalc.formulas.result import Symbolic, SymbolicRow
from rfcalc.formulas.writing import show
from rfcalc.report.data import CONVENTIONS
from rfcalc.report.metrics import metric

FIELDS = {"receptive_field": "size", "stride": "stride", "padding": "padding", "center": "center"}


def explained(found: Symbolic, node: str | None, name: str) -> Explanation:
    """How a figure of a chain comes about.

    Raises:
        RfcalcError: an unknown metric or node; a figure without a closed form, with the reason.
    """
    chosen = metric(name)
    row = found.last if node is None else found[node]
    if chosen.name in FIELDS or chosen.name == "output_shape":
        value, sections = _placed(found, row, chosen.name)
    elif node is not None:
        value, sections = _figure(row, chosen.name), (DerivationSection("", (_line(row, chosen.name),)),)
    else:
        value, sections = _summed(found, chosen.name)
    shown = _sizes(value) if isinstance(value, tuple) else show(value)
    of = f"of {node} in {found.target}" if node else f"of {found.target}"
    return Explanation(
        found.target,
        found.target,
        chosen.name,
        chosen.meaning,
        node or "",
        "",
        value,
        shown,
        f"{chosen.name.replace('_', ' ')} {of}: {shown}",
        sections,
        tuple(f"{key}: {CONVENTIONS[key]}" for key in SAID.get(chosen.name, ())),
        found.assumptions,
    )


def _sizes(values: Any) -> str:
    """Sizes with a times sign between them; sums in brackets where there are several."""
    texts = [show(v) for v in values]
    if len(texts) > 1:
        texts = [f"({t})" if getattr(v, "is_Add", False) else t for t, v in zip(texts, values, strict=True)]
    return " × ".join(texts) or "–"


def _figure(row: SymbolicRow, name: str) -> Any:
    if name not in row.figures:
        raise UnknownName("figure", name, list(row.figures))
    return row.figures[name]


def _line(row: SymbolicRow, name: str, *equations: Equation) -> Statement:
    text = "" if equations else show(_figure(row, name))
    return Statement(row.name, row.notation, equations, text)


def _placed(found: Symbolic, row: SymbolicRow, name: str) -> tuple[Any, tuple[DerivationSection, ...]]:
    """A figure of each node up to one: what it sees, its size."""

    def at(one: SymbolicRow) -> Any:
        return one.output_shape if name == "output_shape" else one.field[FIELDS[name]]

    value = at(row)
    if any(v is None or isinstance(v, NotClosed) for v in value):
        raise RfcalcError(f"{name} of {row.name} has no closed form", why="; ".join(found.unknown) or None)
    lines = []
    for one in found:
        own = [v for v in at(one) if v is not None]
        alike = len(set(own)) == 1 and name != "output_shape"
        lines.append(Statement(one.name, one.notation, (), _sizes(own[:1] if alike else own)))
        if one is row:
            break
    return value, (DerivationSection("node by node, i counting the copies from 0", tuple(lines)),)


def _summed(found: Symbolic, name: str) -> tuple[Any, tuple[DerivationSection, ...]]:
    """The sum over the nodes: a copy's figure times the copies, where all copies have the same."""
    if name not in found.totals:
        return getattr(found.totals, name), ()  # says why there is none
    value = found.totals[name]
    lines: list[Statement] = []
    parts: list[Any] = []
    copy: list[SymbolicRow] = []
    for row in found:
        if name not in row.figures:
            break
        own = _figure(row, name)
        if row.copies is None:
            if "[" in row.name:
                copy.append(row)
            else:
                parts.append(own)
            if own != 0:
                lines.append(_line(row, name))
            continue
        lines.append(_line(row, name, *_times(row, name, [r for r in copy if r.name.count("[") == 1])))
        if "[" in row.name:  # a repetition inside of another one
            copy = [r for r in copy if r.name.count("[") == 1] + [row]
        else:
            parts.append(own)
            copy = []
    whole: tuple[DerivationSection, ...] = ()
    if sympy.expand(sum(parts) - value) == 0 and len(parts) > 1:
        total = Equation(subject(name), TOTAL, {"x": tuple(p for p in parts if p != 0)}, value, ("x",))
        whole = (DerivationSection("in all", (Statement(equations=(total,)),)),)
    return value, (DerivationSection("node by node, i counting the copies from 0", tuple(lines)), *whole)


def _times(row: SymbolicRow, name: str, copy: list[SymbolicRow]) -> tuple[Equation, ...]:
    """The copies' figure as their number times the figure of one, if it is."""
    one = sum((_figure(r, name) for r in copy), sympy.S.Zero)
    value = _figure(row, name)
    if one == 0 or sympy.expand(row.copies * one - value) != 0:
        return ()
    operands = {"n": row.copies, "x": one}
    return (Equation(subject(name), TIMES, operands, value, ("x",)),)
