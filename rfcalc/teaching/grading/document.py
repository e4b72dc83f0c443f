"""Grades as documents. What students wrote is data in them: every format escapes it, none takes it for markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from rfcalc.report.document import Cell as Shown
from rfcalc.report.document import Column, Document, Records, Role, Section, Sentences, Table, TableLine
from rfcalc.report.metrics import METRICS
from rfcalc.teaching.exercises.words import count
from rfcalc.teaching.grading.batch import GradedFile
from rfcalc.teaching.grading.class_report import by_row, mistakes, summary
from rfcalc.teaching.grading.marking import CONSISTENT, MISSING, REPEATED, RIGHT, WRONG, Grade, Marked, MarkedCell
from rfcalc.teaching.grading.reading import shown

SCHEMA = "rfcalc/grade/1"
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
    REPEATED: "again",
}
_ROLES: dict[str, Role] = {RIGHT: "", CONSISTENT: "known", REPEATED: "known", WRONG: "bad"}


def document(results: Sequence[GradedFile], folder: bool, network: str) -> Document:
    """The grades of a class (a line for each student), of one table (each cell), or of one design (each bound)."""
    one = results[0] if results else None
    data = partial(_data, results, network)
    if folder or one is None:
        return Document("grades", tuple(_class(results)), data=data, records=partial(_students, results))
    if one.judged is not None:
        judged = one.judged
        shapes = ", ".join(f"{name} {shape}" for name, shape in judged.report.inputs.items())
        notes = (f"Input: {shapes}", *(f"Assumed: {shown(a)}" for a in judged.report.assumptions))
        title = f"{shown(one.student)}: {'pass' if judged.passed else 'fail'}"
        return Document(title, (_design(one),), notes, data, partial(_bounds, one), titled=True)
    if one.grade is None:
        lines = Sentences((_why(one),), listed=False)
        return Document(f"{shown(one.student)}: no grade", (lines,), (), data, partial(_students, results), titled=True)
    notes = (*(f"Note: {shown(n)}" for n in one.grade.notes[:20]), f"Conventions: {CONVENTIONS}")
    title = f"{shown(one.student)}, marked against {network}"
    return Document(title, tuple(_table(one.grade)), notes, data, partial(_cells, one.grade), titled=True)


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


def said(row: Marked, cell: MarkedCell) -> str:
    """What is wrong with a cell, in a sentence."""
    what = title(cell.figure)
    if cell.status == CONSISTENT:
        return f"{what} {cell.written} follows from the numbers before; right is {cell.right}"
    if cell.status == MISSING:
        return f"{what} is missing; right is {cell.right}"
    if cell.status == REPEATED:
        return f"{what} is {cell.written}, right is {cell.right}: the same mistake as before"
    if cell.status == "blank":
        return f"{what} is blank; right is {cell.right}"
    if cell.status == "unreadable":
        return f"{what} {cell.written!r} cannot be read as a figure; right is {cell.right}"
    follows = f"; from the student's own numbers {cell.follows}" if cell.follows else ""
    return f"{what} is {cell.written}, right is {cell.right}{follows}"


def blamed(cell: MarkedCell) -> str:
    """The misconceptions that give the cell's number, the likeliest first."""
    return " or ".join(f"{m.title} ({m.code} {m.name})" for m in cell.by[:3])


def first(grade: Grade) -> str:
    """The first wrong row and why, in a few words; empty if there is none."""
    row = grade.first_wrong
    if row is None:
        return ""
    return row.node + (": " + " or ".join(m.title for m in row.by[:2]) if row.by else "")


def _class(results: Sequence[GradedFile]) -> Iterator[Section]:
    tables = any(r.grade for r in results)
    heads = ("student", "marks", "carried", "first wrong row") if tables else ("student", "result", "", "not kept")
    columns = tuple(Column(head, least=None if i < 3 else 16, most=None if i else 40) for i, head in enumerate(heads))
    kept = [i for i, head in enumerate(heads) if head]
    lines = (TableLine(tuple(Shown(text) for text in _summary(r)), role="bad" if r.error else "") for r in results)
    yield Table(
        tuple(columns[i] for i in kept),
        tuple(line._replace(cells=tuple(line.cells[i] for i in kept)) for line in lines),
    )
    yield from summary(results)


def _why(one: GradedFile) -> str:
    """Why there is no grade, its parts (what, why, fix) in one line."""
    return "; ".join(shown(line) for line in one.error.splitlines())


def _summary(one: GradedFile) -> list[str]:
    name = shown(one.student)
    if one.error:
        return [name, "no grade", "", _why(one).rpartition(f"{name}: ")[2]]
    if one.judged is not None:
        failed = [b for b in one.judged.bounds if not b.holds]
        return [name, "fail" if failed else "pass", "", "; ".join(f"{b.constraint}: {b.figure}" for b in failed)]
    grade = one.grade
    assert grade is not None
    return [name, f"{grade.strict}/{grade.cells}", f"{grade.carried}/{grade.cells}", first(grade)]


def _table(grade: Grade) -> Iterator[Section]:
    figures = [c.figure for c in grade.columns]
    lines = []
    for row in grade.rows:
        if row.status == MISSING:
            continue
        cells = {c.figure: c for c in row.cells}
        mine = [
            Shown(_short(cells[f]), role=_ROLES.get(cells[f].status, "unseen")) if f in cells else Shown()
            for f in figures
        ]
        status = "" if row.status == RIGHT else _SIGNS[row.status]
        lines.append(TableLine((Shown(shown(row.written or row.node)[:40]), *mine, Shown(status))))
    yield Table((Column("row"), *(Column(title(f)) for f in figures), Column("")), tuple(lines))
    wrong = tuple(_mistakes(grade))
    if wrong:
        legend = "* wrong   ~ wrong, but follows from the student's own numbers   ? blank or unreadable"
        if any(c.status == REPEATED for row in grade.rows for c in row.cells):
            legend += "   + a mistake made before"
        yield Sentences((legend,), listed=False)
        yield Sentences(wrong, listed=False)
    told = [f"First wrong row: {first(grade)}"] if grade.first_wrong is not None else []
    if grade.missing:
        rows = f"{count(len(grade.missing), 'row')} missing: {', '.join(grade.missing[:12])}"
        told.append(rows + (" …" if len(grade.missing) > 12 else "") + " (--rows given marks only what is handed in)")
    yield Sentences((*told, f"Marks: {marks(grade)}"), listed=False)


def _mistakes(grade: Grade) -> Iterator[str]:
    """Each wrong cell in a sentence, and the misconceptions that explain it."""
    for row in grade.rows:
        if row.status in (RIGHT, MISSING):
            continue
        for cell in row.cells:
            if cell.status in (RIGHT, CONSISTENT):
                continue
            yield f"{row.node}: {said(row, cell)}"
            if cell.by:
                yield from (f"  {told}" for told in (blamed(cell), cell.by[0].feedback))


def _short(cell: MarkedCell) -> str:
    sign = {RIGHT: "", CONSISTENT: "~", REPEATED: "+", WRONG: "*", MISSING: "?"}.get(cell.status, "?")
    written = cell.written if len(cell.written) <= 24 else cell.written[:23] + "…"
    return f"{sign}{written}"


def _design(one: GradedFile) -> Table:
    assert one.judged is not None
    lines = []
    for b in one.judged.bounds:
        verdict = Shown("pass") if b.holds else Shown("FAIL", role="bad")
        lines.append(TableLine((verdict, Shown(str(b.constraint)), Shown(b.figure), Shown(b.nearest))))
    columns = (Column("result"), Column("constraint", least=20), Column("figure", least=20))
    return Table((*columns, Column("the nearest bound that holds", "nearest", least=20)), tuple(lines))


def _data(results: Sequence[GradedFile], network: str) -> dict[str, Any]:
    """For machines: schema rfcalc/grade/1."""
    found = [_record(r) for r in results]
    told = {"schema": SCHEMA, "network": network or None, "conventions": CONVENTIONS, "results": found}
    return {**told, "class": {"mistakes": [m.to_dict() for m in mistakes(results)], "rows": by_row(results)}}


def _record(one: GradedFile) -> dict[str, Any]:
    found: dict[str, Any] = {
        "student": shown(one.student),
        "error": _why(one) or None,
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


def _students(results: Sequence[GradedFile]) -> Records:
    heads = ("student", "cells", "strict", "carried", "first_wrong", "misconception", "passed", "error")
    return heads, map(_line, results)


def _bounds(one: GradedFile) -> Records:
    bounds = one.judged.bounds if one.judged is not None else ()
    return ("constraint", "holds", "figure", "nearest"), ((b.constraint, b.holds, b.figure, b.nearest) for b in bounds)


def _cells(grade: Grade) -> Records:
    heads = ("line", "row", "node", "figure", "written", "status", "right", "follows", "misconceptions")
    rows = (
        (
            *(r.line or "", r.written, r.node, c.figure, c.written, c.status, c.right, c.follows),
            " ".join(m.name for m in c.by),
        )
        for r in grade.rows
        for c in r.cells
    )
    return heads, rows


def _line(one: GradedFile) -> list[Any]:
    name = shown(one.student)
    if one.judged is not None:
        failed = "; ".join(b.constraint for b in one.judged.bounds if not b.holds)
        return [name, "", "", "", failed, "", one.judged.passed, ""]
    if one.grade is None:
        return [name, "", "", "", "", "", False, _why(one)]
    g = one.grade
    wrong = g.first_wrong
    by = wrong.by[0].name if wrong is not None and wrong.by else ""
    return [name, g.cells, g.strict, g.carried, wrong.node if wrong else "", by, one.passed(), ""]
