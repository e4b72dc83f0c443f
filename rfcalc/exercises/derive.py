"""How a key is derived, line by line: the formulas that were evaluated, as they were filled in.

The seam to the explanations of figures: everything else asks `derivation`. Imports levels 0 to 6 only.
"""

from __future__ import annotations

import re
from typing import Any

from rfcalc.exercises.case import Case, cases
from rfcalc.exercises.words import dims
from rfcalc.formula import Step, recording
from rfcalc.report import Report

MOST_LINES = 14
_SIZES = ("output_size", "padding")
_COUNTS = ("weights", "biases", "params", "buffers", "macs", "flops")


def derivation(report: Report, figure: str, position: int | None = None) -> tuple[str, ...]:
    """The lines that lead to a figure of the node at a position, or of the whole network."""
    lines = _total(report, figure) if position is None else _place(report, figure, position)
    if len(lines) > MOST_LINES:
        lines = [
            *lines[: MOST_LINES - 5],
            f"… ({len(lines) - MOST_LINES + 1} lines more, made in the same way)",
            *lines[-4:],
        ]
    return tuple(lines)


def _place(report: Report, figure: str, position: int) -> list[str]:
    rows = [(p, c) for p, c in enumerate(cases(report), report.network.arity) if p in _way(report, position)]
    if figure in ("output_shape", "side"):
        return [line for p, case in rows for line in _size_lines(_name(report, p), case)]
    if figure in ("receptive_field", "stride"):
        return _field_lines(report, rows)
    if figure in ("values", "bytes"):
        shape = report.walked.shapes[position]
        parts = [*map(str, shape.dims), *([f"{report.batch} images"] if report.batch != 1 else [])]
        parts += [f"{report.itemsize} bytes"] if figure == "bytes" else []
        value = shape.values * report.batch * (report.itemsize if figure == "bytes" else 1)
        return [f"{_name(report, position)}: {' · '.join(parts)} = {value}"]
    case = next(c for p, c in rows if p == position)
    return _cost_lines(_name(report, position), case, figure)


def _way(report: Report, position: int) -> set[int]:
    """The positions that a position depends on, and itself."""
    found = {position}
    arity = report.network.arity
    for p in range(position, arity - 1, -1):
        if p in found:
            found.update(report.network.sources[p - arity])
    return found


def _name(report: Report, position: int) -> str:
    return report.network.nodes[position - report.network.arity].name


def _size_lines(name: str, case: Case) -> list[str]:
    with recording() as heard:
        y = case.layer.output(*case.xs)
    sizes = list(dict.fromkeys(told(s) for s in heard if s.formula.metric in _SIZES))
    if not sizes and y == case.x:
        return []
    return [f"{name}: {'; '.join(sizes)}{', so ' if sizes else ''}{dims(y.dims)}"]


def _field_lines(report: Report, rows: list[tuple[int, Case]]) -> list[str]:
    lines = []
    for position, case in rows:
        name, seen, before = _name(report, position), case.grown, case.before
        if len(case.xs) > 1:
            sizes = [s.size[0] for s in case.seen if s is not None]
            lines.append(
                f"{name}: paths meet; the widest counts: max({', '.join(map(str, sizes))}) = {max(sizes, default=0)}"
            )
            continue
        if seen is None or before is None:
            found = report.receptive_field(position)
            lines.append(f"{name}: r = {dims(tuple(s for s in found.size if s is not None)) or 'the whole input'}")
            continue
        if seen == before:
            continue
        told_axes = []
        for axis, x in enumerate(case.axes):
            r, j = before.size[axis], before.stride[axis]
            wide = f"({x.k} − 1)" if x.d == 1 else f"{x.d}·({x.k} − 1)"
            step = f", j = {j}·{x.s} = {seen.stride[axis]}" if x.s != 1 else ""
            told_axes.append(f"r = {r} + {wide}·{j} = {seen.size[axis]}{step}")
        lines.append(f"{name}: {'; '.join(dict.fromkeys(told_axes))}")
    return lines or ["every layer on the way looks at one position only: r = 1"]


def _joined(name: str, case: Case, found: tuple[Any, ...]) -> str:
    """Where paths meet: the widest counts, or the union of windows that are shifted against each other."""
    if case.grown is not None and case.grown.size == found:
        sizes = ", ".join(str(s.size[0]) for s in case.seen if s is not None)
        return f"{name}: paths of equal stride meet; the widest counts: max({sizes}) = {found[0]}"
    return f"{name}: paths meet; their windows together span {dims(found)}"


def _cost_lines(name: str, case: Case, figure: str) -> list[str]:
    with recording() as heard:
        cost = case.layer.cost(case.xs, case.y)
    parts = {"params": ("weights", "biases"), "flops": ("macs",)}.get(figure, (figure,))
    steps = [s for s in heard if s.formula.metric in parts and s.value]
    lines = [f"{name}: {s.formula.metric.replace('macs', 'multiply-adds')} = {told(s)}" for s in steps]
    if figure == "params" and len(steps) > 1:
        lines.append(f"{name}: parameters = {' + '.join(str(s.value) for s in steps)} = {cost.params}")
    if figure == "flops":
        lines.append(f"{name}: FLOPs = 2 · {cost.macs} = {2 * cost.macs}")
    return lines or [f"{name}: none"]


def _total(report: Report, figure: str) -> list[str]:
    totals = report.totals
    if figure in _COUNTS:
        name = "macs" if figure == "flops" else figure
        rows = [(r.name, getattr(r, name)) for r in report if getattr(r, name)]
        every = cases(report)
        lines = []
        for row in report:
            if getattr(row, name):
                lines += _cost_lines(row.name, every[row.position - report.network.arity], name)[-1:]
        value = getattr(totals, figure) if figure != "flops" else totals.macs
        if len(rows) > 1 and len(rows) <= MOST_LINES:
            lines.append(f"sum: {' + '.join(str(v) for _, v in rows)} = {value}")
        elif len(rows) > 1:
            lines.append(f"sum of {len(rows)} layers: {value}")
        return [*lines, *([f"FLOPs = 2 · {value} = {2 * value}"] if figure == "flops" else [])]
    if figure == "peak_bytes":
        peak, at = report.peak
        return [
            f"the peak is reached at {_name(report, at) if at >= report.network.arity else 'the input'}, "
            f"where {peak} values are alive: {peak}{_times(report)} · {report.itemsize} = {totals.peak_bytes} bytes"
        ]
    rows = [("input", sum(s.values for s in report.inputs.values()))]
    rows += [(r.name, r.new_values // report.batch) for r in report if r.new_values]
    lines = [f"{name}: {value} values" for name, value in rows]
    values = sum(v for _, v in rows)
    lines.append(f"sum: {values} values")
    if report.batch != 1:
        lines.append(f"batch of {report.batch}: {totals.values} values")
    return [*lines, *([f"{totals.values} · {report.itemsize} = {totals.bytes} bytes"] if figure == "bytes" else [])]


def _times(report: Report) -> str:
    return "" if report.batch == 1 else f" · {report.batch}"


def told(step: Step) -> str:
    """A formula with its numbers put in, and its value.

    >>> from rfcalc.formula import Formula
    >>> out = Formula("output_size", "(n + a + b - d * (k - 1) - 1) // s + 1", "")
    >>> told(Step(out, dict(n=227, a=0, b=0, d=1, k=11, s=4), 55))
    '⌊(227 + 0 + 0 − 1·(11 − 1) − 1) / 4⌋ + 1 = 55'
    """
    text = step.formula.filled(**step.operands)
    text = re.sub(r"prod\(\(([^()]*?),?\)\)", lambda m: "·".join(p.strip() for p in m[1].split(",")) or "1", text)
    text = re.sub(r"prod\((\w+)\)", r"\1", text)
    text = re.sub(r"\((\d+) // 1\)", r"\1", text)
    text = re.sub(r"\((\d+) // (\d+)\)", r"\1/\2", text)
    text = re.sub(r"^(\(.*\)) // (\d+) \+ 1$", r"⌊\1 / \2⌋ + 1", text)
    text = re.sub(r"ceildiv\(([^(),]*(?:\([^()]*\)[^(),]*)*), (\d+)\)", r"⌈(\1) / \2⌉", text)
    text = text.replace(" * ", "·").replace(" - ", " − ")
    return text if text == str(step.value) else f"{text} = {step.value}"
