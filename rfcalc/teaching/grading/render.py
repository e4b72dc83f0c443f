"""Grades as text, Markdown, JSON and CSV. What students wrote is shown as text: never as markup, never as a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Any

from rfcalc.core.errors import UnknownName
from rfcalc.report.metrics.vocabulary import METRICS
from rfcalc.teaching.exercises.words import count
from rfcalc.teaching.grading.batch import Result
from rfcalc.teaching.grading.marking import CONSISTENT, MISSING, RIGHT, WRONG, Cell, Grade, Marked
from rfcalc.teaching.grading.reading import shown

SCHEMA = "rfcalc/grade/1"
WIDTH = 100  # of sentences, as in exercises
CONVENTIONS = (
    "A cell is consistent if it is wrong but follows from the student's own numbers: those of the rows before it, or "
    "of its own row. Numbers with a unit count as rounded to the digits that are written. Biases are parameters, "
    "running statistics are not; one multiply-add is 2 FLOPs; MB is 10^6 bytes; the receptive field is its side in "
    "input pixels, padding counted."
)
_SIGNS = {
    RIGHT: "ok",
    CONSISTENT: "follows",
    WRONG: "WRONG",
    "blank": "blank",
    "unreadable": "unread",
    MISSING: "missing",
}


def title(figure: str) -> str:
    """The head of a figure's column."""
    found = METRICS.get(figure)
    return found.title if found is not None else figure


def marks(grade: Grade) -> str:
    """The marks in words."""
    told = f"{grade.carried} of {grade.cells} cells with errors carried forward ({_percent(grade, True)} %)"
    return f"{told}, {grade.strict} without ({_percent(grade, False)} %)"


def _percent(grade: Grade, carried: bool) -> str:
    exact = grade.percent(carried)
    tenths = int(exact * 10)  # rounded down: 99.97 is not 100
    return str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"


def said(row: Marked, cell: Cell) -> str:
    """What is wrong with a cell, in a sentence."""
    what = title(cell.figure)
    if cell.status == CONSISTENT:
        return f"{what} {cell.written} follows from the numbers before; right is {cell.right}"
    if cell.status == MISSING:
        return f"{what} is missing; right is {cell.right}"
    if cell.status == "blank":
        return f"{what} is blank; right is {cell.right}"
    if cell.status == "unreadable":
        return f"{what} {cell.written!r} cannot be read as a figure; right is {cell.right}"
    follows = f"; from the student's own numbers {cell.follows}" if cell.follows else ""
    return f"{what} is {cell.written}, right is {cell.right}{follows}"


def blamed(cell: Cell) -> str:
    """The misconceptions that give the cell's number, the likeliest first."""
    return " or ".join(f"{m.title} ({m.code} {m.name})" for m in cell.by[:3])


def first(grade: Grade) -> str:
    """The first wrong row and why, in a few words; empty if there is none."""
    row = grade.first_wrong
    if row is None:
        return ""
    return row.node + (": " + " or ".join(m.title for m in row.by[:2]) if row.by else "")


def text(results: Sequence[Result], folder: bool, network: str) -> str:
    """For the terminal."""
    if not folder:
        return "\n".join(_design(results[0]) if results[0].judged else _table(results[0], network))
    heads = (
        ["student", "marks", "carried", "first wrong row"]
        if any(r.grade for r in results)
        else ["student", "result", "", ""]
    )
    rows = [_summary(r) for r in results]
    widths = [max(len(r[i]) for r in [heads, *rows]) for i in range(3)]
    lines = ["  ".join([*(c.ljust(w) for c, w in zip(r, widths, strict=False)), r[3]]).rstrip() for r in [heads, *rows]]
    rule = "  ".join(["-" * w for w in widths] + ["-" * len(heads[3])]).rstrip()
    common = _common(results)
    tail = ["", "Most common: " + ", ".join(f"{name} ({n})" for name, n in common[:5])] if common else []
    return "\n".join([lines[0], rule, *lines[1:], *tail])


def _summary(one: Result) -> list[str]:
    name = shown(one.student)
    if one.error:
        return [name, "no grade", "", " ".join(shown(one.error).split())]
    if one.judged is not None:
        failed = [b for b in one.judged.bounds if not b.holds]
        return [name, "fail" if failed else "pass", "", "; ".join(f"{b.constraint}: {b.figure}" for b in failed)]
    grade = one.grade
    assert grade is not None
    return [name, f"{grade.strict}/{grade.cells}", f"{grade.carried}/{grade.cells}", first(grade)]


def _common(results: Sequence[Result]) -> list[tuple[str, int]]:
    """The likeliest misconceptions of wrong rows, and how many students have them."""
    counts: dict[str, int] = {}
    for one in results:
        rows = one.grade.rows if one.grade is not None else ()
        for name in dict.fromkeys(row.by[0].title for row in rows if row.status == WRONG and row.by):
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _table(one: Result, network: str) -> list[str]:
    grade = one.grade
    if grade is None:
        return [f"{shown(one.student)}: no grade", shown(one.error)]
    lines = [f"{shown(one.student)}, marked against {network}", ""]
    heads = ["row", *(title(c.figure) for c in grade.columns), ""]
    figures = [c.figure for c in grade.columns]
    body = []
    for row in grade.rows:
        if row.status == MISSING:
            continue
        cells = {c.figure: c for c in row.cells}
        mine = [_short(cells[f]) if f in cells else "" for f in figures]
        body.append([shown(row.written or row.node)[:40], *mine, _SIGNS[row.status] if row.status != RIGHT else ""])
    widths = [max(len(r[i]) for r in [heads, *body]) for i in range(len(heads))]
    for r in [heads, ["-" * w for w in widths], *body]:
        lines.append("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip())
    lines += ["", "* wrong   ~ wrong, but follows from the student's own numbers   ? blank or unreadable", ""]
    for row in grade.rows:
        if row.status in (RIGHT, MISSING):
            continue
        for cell in row.cells:
            if cell.status in (RIGHT, CONSISTENT):
                continue
            lines.append(f"{row.node}: {said(row, cell)}")
            if cell.by:
                for told in (blamed(cell), cell.by[0].feedback):
                    lines += wrap(told, WIDTH, initial_indent="  ", subsequent_indent="    ")
    if grade.first_wrong is not None:
        lines += ["", f"First wrong row: {first(grade)}"]
    if grade.missing:
        rows = f"{count(len(grade.missing), 'row')} missing: {', '.join(grade.missing[:12])}"
        lines += [rows + (" …" if len(grade.missing) > 12 else "") + " (--rows given marks only what is handed in)"]
    lines += [f"Marks: {marks(grade)}", *(f"Note: {shown(n)}" for n in grade.notes[:20])]
    return lines


def _short(cell: Cell) -> str:
    sign = {RIGHT: "", CONSISTENT: "~", WRONG: "*", MISSING: "?"}.get(cell.status, "?")
    written = cell.written if len(cell.written) <= 24 else cell.written[:23] + "…"
    return f"{sign}{written}"


def _design(one: Result) -> list[str]:
    judged = one.judged
    assert judged is not None
    lines = [f"{shown(one.student)}: {'pass' if judged.passed else 'fail'}", ""]
    for b in judged.bounds:
        lines.append(f"{'pass' if b.holds else 'FAIL'}  {b.constraint}: {b.figure}")
        if b.nearest:
            lines.append(f"      the nearest bound that holds: {b.nearest}")
    shapes = ", ".join(f"{name} {shape}" for name, shape in judged.report.inputs.items())
    return [*lines, "", f"Input: {shapes}", *(f"Assumed: {shown(a)}" for a in judged.report.assumptions)]


def markdown(results: Sequence[Result], folder: bool, network: str) -> str:
    """For GitHub and course pages; what students wrote is escaped."""
    from rfcalc.render.markdown import escape

    def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        lines = [heads, ["---"] * len(heads), *rows]
        return ["| " + " | ".join(r if r == "---" else escape(shown(r)) for r in row) + " |" for row in lines]

    if folder:
        lines = grid(["student", "marks", "carried", "first wrong row"], [_summary(r) for r in results])
        common = _common(results)
        if common:
            lines += ["", "Most common mistakes:", "", *(f"- {escape(name)}: {n}" for name, n in common[:8])]
        return "\n".join(lines)
    one = results[0]
    lines = [f"## {escape(shown(one.student))}", ""]
    if one.judged is not None:
        lines += [f"**{'pass' if one.judged.passed else 'fail'}**", ""]
        rows = [[b.constraint, "pass" if b.holds else "fail", b.figure, b.nearest] for b in one.judged.bounds]
        return "\n".join([*lines, *grid(["constraint", "result", "figure", "nearest bound that holds"], rows)])
    grade = one.grade
    assert grade is not None
    lines += [f"Marked against {escape(network)}. Marks: {marks(grade)}.", ""]
    table = []
    for row in grade.rows:
        for cell in row.cells:
            if cell.status != RIGHT:
                table.append(
                    [row.node, title(cell.figure), cell.written, cell.right, cell.follows, cell.status, blamed(cell)]
                )
    if table:
        lines += grid(["row", "figure", "written", "right", "follows", "status", "misconception"], table)
    if grade.first_wrong is not None:
        lines += ["", f"First wrong row: {escape(first(grade))}."]
        for one_by in dict.fromkeys(row.by[0] for row in grade.rows if row.status == WRONG and row.by):
            lines.append(f"- {escape(one_by.title)}: {escape(one_by.feedback)}")
    lines += ["", *(f"> {escape(shown(n))}  " for n in (*grade.notes[:20], CONVENTIONS))]
    return "\n".join(lines)


def as_json(results: Sequence[Result], folder: bool, network: str) -> str:
    """For machines: schema rfcalc/grade/1."""
    found: dict[str, Any] = {"schema": SCHEMA, "network": network or None, "conventions": CONVENTIONS}
    found["results"] = [_record(r) for r in results]
    return json.dumps(found, indent=1, ensure_ascii=False)


def _record(one: Result) -> dict[str, Any]:
    found: dict[str, Any] = {
        "student": shown(one.student),
        "error": shown(one.error) or None,
        "table": None,
        "design": None,
    }
    if one.judged is not None:
        bounds = [b._asdict() | {"nearest": b.nearest or None} for b in one.judged.bounds]
        shapes = {name: [int(n) for n in shape.dims] for name, shape in one.judged.report.inputs.items()}
        assumed = list(one.judged.report.assumptions)
        found["design"] = {"passed": one.judged.passed, "inputs": shapes, "bounds": bounds, "assumptions": assumed}
    if one.grade is not None:
        grade = one.grade
        wrong = grade.first_wrong
        found["table"] = {
            "marks": {"cells": grade.cells, "strict": grade.strict, "carried": grade.carried},
            "columns": [{"head": c.head, "figure": c.figure, "scale": c.scale} for c in grade.columns],
            "first_wrong": None if wrong is None else wrong.node,
            "misconception": wrong.by[0].name if wrong is not None and wrong.by else None,
            "missing": list(grade.missing),
            "notes": list(grade.notes),
            "rows": [_row(row) for row in grade.rows],
        }
    return found


def _row(row: Marked) -> dict[str, Any]:
    cells = [
        {
            "figure": c.figure,
            "written": c.written,
            "status": c.status,
            "right": c.right,
            "follows": c.follows or None,
            "misconceptions": [{"code": m.code, "name": m.name, "feedback": m.feedback} for m in c.by],
        }
        for c in row.cells
    ]
    return {"line": row.line or None, "written": row.written, "node": row.node, "status": row.status, "cells": cells}


def as_csv(results: Sequence[Result], folder: bool, network: str) -> str:
    """For spreadsheets: a line for each student of a folder, else one for each cell (or bound)."""
    if folder:
        heads = ["student", "cells", "strict", "carried", "first_wrong", "misconception", "passed", "error"]
        lines: list[list[Any]] = [_line(r) for r in results]
    elif results[0].judged is not None:
        heads = ["constraint", "holds", "figure", "nearest"]
        lines = [[b.constraint, b.holds, b.figure, b.nearest] for b in results[0].judged.bounds]
    else:
        heads = ["line", "row", "node", "figure", "written", "status", "right", "follows", "misconceptions"]
        grade = results[0].grade
        assert grade is not None
        lines = [
            [
                r.line or "",
                r.written,
                r.node,
                c.figure,
                c.written,
                c.status,
                c.right,
                c.follows,
                " ".join(m.name for m in c.by),
            ]
            for r in grade.rows
            for c in r.cells
        ]
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow(heads)
    write.writerows([_harmless(v) for v in line] for line in lines)
    return out.getvalue().rstrip("\n")


def _line(one: Result) -> list[Any]:
    name = shown(one.student)
    if one.judged is not None:
        failed = "; ".join(b.constraint for b in one.judged.bounds if not b.holds)
        return [name, "", "", "", failed, "", one.judged.passed, ""]
    if one.grade is None:
        return [name, "", "", "", "", "", False, shown(one.error)]
    g = one.grade
    wrong = g.first_wrong
    by = wrong.by[0].name if wrong is not None and wrong.by else ""
    return [name, g.cells, g.strict, g.carried, wrong.node if wrong else "", by, one.passed(), ""]


def _harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula.

    >>> _harmless("=1+1"), _harmless("conv1"), _harmless(-1)
    ("'=1+1", 'conv1', -1)
    """
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r", "|", "%") else value


FORMATS: dict[str, Callable[[Sequence[Result], bool, str], str]] = {
    "text": text,
    "markdown": markdown,
    "json": as_json,
    "csv": as_csv,
}


def render(results: Sequence[Result], form: str, folder: bool, network: str) -> str:
    """The results in a format.

    Raises:
        UnknownName: no such format.
    """
    if form not in FORMATS:
        raise UnknownName("format", form, list(FORMATS))
    return FORMATS[form](results, folder, network)
