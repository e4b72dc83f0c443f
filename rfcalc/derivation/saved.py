"""What autograd keeps for the backward pass, map by map: who keeps it, and why. Imports `rules`, `maps`, `totals`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rfcalc.core.cost import INDEX, Formula
from rfcalc.core.size import is_number
from rfcalc.derivation.model import DerivationSection, Equation, Statement
from rfcalc.derivation.rules import BATCH, equation, saved_steps
from rfcalc.derivation.steps import labelled
from rfcalc.derivation.totals import TIMES
from rfcalc.graph.autograd import saving
from rfcalc.graph.memory import storages
from rfcalc.report import Report, Row

SUBJECT = "saved bytes"
MAP = Formula("saved_bytes", "prod(d) * size", "a map that the backward pass reads, of the dtype's size")
COPIES = Formula("saved_bytes", "v * size", "further values (copies, statistics), of the dtype's size")
INDICES = Formula("saved_bytes", "v * size", "an index takes 8 bytes (int64), whatever the dtype")
FIXED = Formula("saved_bytes", "v * size", "statistics of the batch: they do not grow with it")
SUM = Formula("total", "sum(x)", "all of it")


def keepers(report: Report) -> dict[int, list[str]]:
    """For each position whose map is kept, who keeps it and as what; learned tables and constants are no maps: they
    are there with the weights."""
    walked = report
    own = storages(walked, over=())
    kept, _ = saving(walked)
    found: dict[int, list[str]] = {}
    for row in report:
        said = kept[row.position]
        sources = report.network.sources[row.position - report.network.arity]
        for i in said.inputs:
            found.setdefault(own[sources[i]], []).append(f"{row.name} (its input)")
        if said.output:
            found.setdefault(own[row.position], []).append(f"{row.name} (its output)")
    arity = report.network.arity
    return {p: by for p, by in found.items() if p < arity or report.network.sources[p - arity]}


def position_lines(report: Report, position: int, kept: dict[int, list[str]]) -> tuple[Statement, ...]:
    """A line for each thing that is kept on account of a position."""
    name, notation = labelled(report, position)
    return tuple(Statement(name, notation, e, text) for e, text in _amounts(report, position, kept))


def _amounts(report: Report, position: int, kept: dict[int, list[str]]) -> Iterator[tuple[tuple[Equation, ...], str]]:
    size, batch = report.itemsize, report.batch
    if position in kept:
        by = list(dict.fromkeys(kept[position]))
        told = ", ".join(by[:3]) + (f" and {len(by) - 3} more" if len(by) > 3 else "")
        operands = {"d": report.shapes[position].dims, "size": size}
        yield _times((Equation(SUBJECT, MAP, operands, MAP(**operands)),), batch), f"its map, kept by {told}"
    if position < report.network.arity:
        return
    said, steps = saved_steps(Row(report, position))
    alone = is_number(batch) and batch == 1
    extra = (
        (said.extra_values, COPIES, batch, "further values"),
        (said.indices, INDICES, batch, "indices"),
        (said.masks, COPIES, batch, "the mask of what was dropped"),
        (said.batch_values, FIXED, 1, "statistics over the batch"),
        (said.single_values if alone else 0, FIXED, 1, "kept in a batch of one"),
    )
    for amount, rule, times, what in extra:
        if is_number(amount) and amount == 0:
            continue
        before = tuple(equation(s) for s in steps if s.formula.metric == "saved" and s.value == amount)[-1:]
        operands = {"v": amount, "size": INDEX if rule is INDICES else size}
        made = Equation(SUBJECT, rule, operands, rule(**operands), ("v",) if before else ())
        yield _times((*before, made), times), what


def _times(equations: tuple[Equation, ...], batch: Any) -> tuple[Equation, ...]:
    """The equations, and for every item of the batch."""
    if is_number(batch) and batch == 1:
        return equations
    one = equations[-1].value
    return (*equations, Equation(SUBJECT, BATCH, {"x": one, "b": batch}, one * batch, ("x",)))


def node_sections(report: Report, position: int) -> tuple[DerivationSection, ...]:
    """What a position adds to what is kept."""
    kept = keepers(report)
    lines = position_lines(report, position, kept)
    name, notation = labelled(report, position)
    if not lines:
        own = storages(report, over=())[position]
        told = f"counted with {labelled(report, own)[0]}, whose map it is" if own != position and own in kept else ""
        if position >= report.network.arity and not report.network.sources[position - report.network.arity]:
            told = "it is there with the weights, which are not counted"
        return (
            DerivationSection(
                "", (Statement(name, notation, text=told or "nothing of it is needed by the backward pass"),)
            ),
        )
    return (DerivationSection("", (*lines, *_sum([line.equations[-1].value for line in lines]))),)


def _sum(amounts: list[Any]) -> tuple[Statement, ...]:
    if len(amounts) < 2:
        return ()
    return (Statement(equations=(Equation(SUBJECT, SUM, {"x": tuple(amounts)}, sum(amounts), ("x",)),)),)


def total_sections(report: Report, positions: Iterable[int] | None = None) -> tuple[DerivationSection, ...]:
    """Everything that is kept (on account of these positions), alike lines together, and the sum."""
    kept = keepers(report)
    groups: dict[Any, list[Statement]] = {}
    for position in range(len(report.shapes)) if positions is None else positions:
        for line in position_lines(report, position, kept):
            what = line.text.partition(",")[0]
            key = (line.notation, what, tuple(str((e.formula.expression, dict(e.operands))) for e in line.equations))
            groups.setdefault(key, []).append(line)
    lines, amounts = [], []
    for members in groups.values():
        line, amount = members[0], members[0].equations[-1].value
        if len(members) > 1:
            operands = {"n": len(members), "x": amount}
            times = Equation(SUBJECT, TIMES, operands, amount * len(members), ("x",))
            text = line.text.partition(",")[0]
            line = line._replace(nodes=tuple(m.node for m in members), equations=(*line.equations, times), text=text)
        lines.append(line)
        amounts.append(amount * len(members))
    note = "a map that several nodes keep is one tensor, and counts once; weights are not counted"
    whole = Equation(SUBJECT, SUM, {"x": tuple(amounts)}, sum(amounts), ("x",))
    return (
        DerivationSection("what the backward pass needs, map by map", tuple(lines)),
        DerivationSection("in all", (Statement(equations=(whole,)),), (note,)),
    )
