"""Figures that add up: of one node by its rule, of the network as the sum over its nodes. Imports `rules`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rfcalc.core.cost import Formula
from rfcalc.core.size import is_number
from rfcalc.derivation.model import DerivationSection, Equation, Statement
from rfcalc.derivation.rules import figure, line, subject
from rfcalc.report import Report, Row
from rfcalc.report.metrics import Metric

PARAMS = Formula("params", "weights + biases", "what training changes")
FLOPS = Formula("flops", "2 * macs", "a multiply-add is a multiplication and an addition")
TIMES = Formula("times", "n * x", "the same in n nodes")
TOTAL = Formula("total", "sum(x)", "the sum over all nodes")

PARTS = {"params": ("weights", "biases"), "flops": ("macs",)}


def node_line(row: Row, metric: str) -> tuple[Any, Statement]:
    """A node's figure, and the line that derives it."""
    if metric == "params":
        return _params(row)
    if metric == "flops":
        value, equations, text = figure(row, "macs")
        if value != 0:
            equations = (*equations, Equation("flops", FLOPS, {"macs": value}, 2 * value, ("macs",)))
        return 2 * value, line(row, *equations, text=text)
    value, equations, text = figure(row, metric)
    return value, line(row, *equations, text=text)


def _params(row: Row) -> tuple[Any, Statement]:
    weights, first, said = figure(row, "weights")
    biases, second, more = figure(row, "biases")
    value = weights + biases
    equations = (*first, *second)
    texts = [said] if said == more else [f"{n}: {t}" for n, t in (("weights", said), ("biases", more)) if t]
    if first and second:
        operands = {"weights": weights, "biases": biases}
        equations = (*equations, Equation("params", PARAMS, operands, value, ("weights", "biases")))
    return value, line(row, *equations, text="; ".join(texts))


def node_sections(row: Row, metric: Metric) -> tuple[DerivationSection, ...]:
    """How one node comes to its figure."""
    _, told = node_line(row, metric.name)
    reads = ", ".join(f"{n} ({x})" for n, x in zip(row.inputs, _shapes(row), strict=True))
    where = f"reads {reads}; gives {row.shape}" if reads else f"gives {row.shape}"
    return (DerivationSection("", (Statement(text=where), told)),)


def _shapes(row: Row) -> Iterable[Any]:
    return row.input_shapes


def total_sections(report: Report, metric: Metric, value: Any) -> tuple[DerivationSection, ...]:
    """The sum over the nodes; nodes with the same rule and the same numbers stand in one line."""
    return summed(report, metric.name, [(row, *node_line(row, metric.name)) for row in report], value)


def summed(
    report: Report,
    metric: str,
    found: Iterable[tuple[Row, Any, Statement]],
    value: Any,
    more: tuple[Statement, ...] = (),
) -> tuple[DerivationSection, ...]:
    """Lines for what each node adds, alike ones together, and the sum."""
    groups: dict[Any, list[tuple[Row, Any, Statement]]] = {}
    silent: list[str] = []
    for row, amount, told in found:
        if is_number(amount) and amount == 0:
            if told.text.startswith("shares"):
                silent.append(row.name)
            continue
        key = (row.notation, tuple((e.subject, e.formula, str(dict(e.operands)), str(e.value)) for e in told.equations))
        groups.setdefault((key, told.text, str(amount)), []).append((row, amount, told))
    lines, amounts = list(more), [m.equations[-1].value for m in more]
    for members in groups.values():
        _, amount, told = members[0]
        equations = told.equations
        if len(members) > 1:
            operands = {"n": len(members), "x": amount}
            carried = ("x",) if equations else ()
            equations = (*equations, Equation(subject(metric), TIMES, operands, amount * len(members), carried))
            told = told._replace(nodes=tuple(r.name for r, _, _ in members))
        amounts.append(amount * len(members))
        lines.append(told._replace(equations=equations))
    whole = Equation(subject(metric), TOTAL, {"x": tuple(amounts)}, value, ("x",))
    notes = [f"shared weights count once: {', '.join(silent[:6])}{' …' if len(silent) > 6 else ''} add nothing"]
    if not report.complete:
        notes.append("an operator was not understood: the total is a lower bound")
    kept = notes if silent else notes[1:]
    return (
        DerivationSection("node by node", tuple(lines)),
        DerivationSection("in all", (Statement(equations=(whole,)),), tuple(kept)),
    )
