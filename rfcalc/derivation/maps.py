"""Maps: their shape, values and bytes; what lives at the peak; what autograd keeps. Imports `rules`, `totals`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rfcalc.core.cost import Formula
from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import VIEW
from rfcalc.core.shape import Shape
from rfcalc.core.size import is_number
from rfcalc.derivation.model import DerivationSection, Equation, Statement
from rfcalc.derivation.rules import BATCH, line, shape_line
from rfcalc.derivation.totals import summed
from rfcalc.graph.memory import indices, lifetimes
from rfcalc.report import Report, Row

VALUES = Formula("values", "prod(d)", "every channel at every position")
VALUES_BATCH = Formula("values", "prod(d) * b", "every channel at every position, for every item of the batch")
BYTES = Formula("bytes", "values * size", "each value takes the dtype's size")
LIVE = Formula("total", "sum(x)", "what lives at once")
PEAK = Formula("peak_bytes", "values * size", "each value takes the dtype's size")
PEAK_INDICES = Formula(
    "peak_bytes", "values * size + indices * 8", "max pooling also writes where each maximum was, in 8 bytes (int64)"
)


def values_equation(shape: Shape, report: Report) -> Equation:
    """values = C × H × W (× batch)."""
    if is_number(report.batch) and report.batch == 1:
        return Equation("values", VALUES, {"d": shape.dims}, shape.values)
    return Equation("values", VALUES_BATCH, {"d": shape.dims, "b": report.batch}, shape.values * report.batch)


def bytes_equation(values: Any, report: Report) -> Equation:
    """bytes = values × the dtype's size."""
    operands = {"values": values, "size": report.itemsize}
    return Equation("bytes", BYTES, operands, values * report.itemsize, ("values",))


def shape_sections(report: Report, position: int) -> tuple[DerivationSection, ...]:
    """The node's own rule, after those that changed the size on the way from the input."""
    arity = report.network.arity
    chain = [position]
    while chain[-1] >= arity and report.network.sources[chain[-1] - arity]:
        chain.append(report.network.sources[chain[-1] - arity][0])
    shapes = report.shapes
    lines, skipped = [_input_line(report, chain[-1])] if chain[-1] < arity else [], 0
    for p in reversed(chain):
        if p < arity:
            continue
        row = Row(report, p)
        xs = report.input_shapes(p)
        if p != position and xs and shapes[p].spatial == xs[0].spatial:
            skipped += 1
            continue
        lines.append(shape_line(row, report))
    many = f"{skipped} layers on the way keep" if skipped > 1 else "1 layer on the way keeps"
    notes = (f"{many} the map's size, not shown",) if skipped else ()
    return (DerivationSection("the size, from the input on", tuple(lines), notes),)


def _input_line(report: Report, position: int) -> Statement:
    name = list(report.inputs)[position]
    return Statement(name, text=f"the input, {report.shapes[position]}")


def values_sections(report: Report, position: int, metric: str) -> tuple[DerivationSection, ...]:
    """Output elements of one position, and their bytes."""
    shape = report.shapes[position]
    found = [values_equation(shape, report)]
    if metric == "bytes":
        found.append(bytes_equation(found[0].value, report))
    row = None if position < report.network.arity else Row(report, position)
    text = "" if row is None else _taken(row)
    said = Statement(_name(report, position), "" if row is None else row.notation, tuple(found), text)
    return (DerivationSection("", (said,)),)


def _taken(row: Row) -> str:
    if row.node.layer.memory == VIEW:
        return "a view: it takes no memory of its own, and adds nothing to the total"
    if row.in_place:
        return "written over its input: it adds nothing to the total"
    return ""


def total_values_sections(report: Report, metric: str) -> tuple[DerivationSection, ...]:
    """The input and every output that takes memory of its own."""
    fixed = []
    for p, name in enumerate(report.inputs):
        fixed.append(Statement(name, text="the input", equations=(values_equation(report.shapes[p], report),)))
    values = report.totals.values
    return live_sections(report, report, metric, values * report.itemsize if metric == "bytes" else values, fixed)


def live_sections(
    report: Report, rows: Iterable[Row], metric: str, value: Any, fixed: Iterable[Statement] = ()
) -> tuple[DerivationSection, ...]:
    """Every output that takes memory of its own, after what is `fixed`, and the sum of all."""
    found = []
    left: list[str] = []
    for row in rows:
        amount = row.new_values
        if is_number(amount) and amount == 0:
            left.append(row.name)
            continue
        found.append((row, amount, line(row, values_equation(row.shape, report))))
    values = value if metric == "values" else value // report.itemsize
    sections = summed(report, "values", found, values, tuple(fixed))
    if left:
        said = f"views and what is written in place add nothing: {_few(left)}"
        sections = (sections[0], sections[1]._replace(notes=(said, *sections[1].notes)))
    if metric == "bytes":
        last = Statement(equations=(bytes_equation(values, report),))
        sections = (sections[0], sections[1]._replace(lines=(*sections[1].lines, last)))
    return sections


def _few(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def peak_sections(report: Report) -> tuple[DerivationSection, ...]:
    """Which maps live where the sum of live maps is largest, and why."""
    walked = report
    most, at = report.peak
    if not is_number(most):
        raise RfcalcError("which maps live at the peak depends on the sizes", fix="give numbers, or --input in numbers")
    sizes, last = report.new_values, lifetimes(walked)
    arity = report.network.arity
    name = _name(report, at)
    lines = []
    amounts = []
    for p in range(max(at + 1, arity)):
        gone = last[p] < at and last[p] >= arity  # an input that nothing reads stays
        if report.storages[p] != p or gone or (is_number(sizes[p]) and sizes[p] == 0):
            continue
        shape = walked.shapes[p]
        why = _why(report, p, at, last[p])
        made = Equation("values", VALUES, {"d": shape.dims}, shape.values)
        notation = "" if p < arity else Row(report, p).notation
        lines.append(Statement(_name(report, p), notation, (made,), why))
        amounts.append(shape.values)
    values, beside = sum(amounts), indices(walked).get(at, 0)
    found = [Equation("values", LIVE, {"x": tuple(amounts)}, values, ("x",))]
    if not (is_number(report.batch) and report.batch == 1):
        found.append(Equation("values", BATCH, {"x": values, "b": report.batch}, values * report.batch, ("x",)))
    operands = {"values": values * report.batch, "size": report.itemsize}
    if beside:
        operands["indices"] = beside * report.batch
    rule = PEAK_INDICES if beside else PEAK
    found.append(Equation("peak bytes", rule, operands, most * report.batch, ("values",)))
    where = "before the first layer" if at < arity else f"while {name} runs"
    note = "a map lives from the node that makes it until the last node that reads it has run; weights are not counted"
    return (
        DerivationSection(f"the peak is reached {where}: these maps live", tuple(lines)),
        DerivationSection("in all", (Statement(equations=tuple(found)),), (note,)),
    )


def _why(report: Report, position: int, at: int, last: int) -> str:
    if last < report.network.arity:
        return "an input"
    if position == at:
        return "being written"
    if last >= len(report.shapes):
        return "an output of the network"
    reader = _name(report, last)
    return f"read by {reader} now" if last == at else f"{reader} will read it"


def _name(report: Report, position: int) -> str:
    arity = report.network.arity
    return list(report.inputs)[position] if position < arity else report.network.nodes[position - arity].name
