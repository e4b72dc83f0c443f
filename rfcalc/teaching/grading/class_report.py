"""What a class got wrong: by misconception, and by row of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rfcalc.report.document import Cell as Shown
from rfcalc.report.document import Column, Section, Table, TableLine
from rfcalc.teaching.grading.batch import GradedFile
from rfcalc.teaching.grading.marking import CONSISTENT, MISSING, REPEATED, RIGHT, WRONG
from rfcalc.teaching.misconceptions import Misconception

MOST = 8  # mistakes that are shown; the JSON has all
SAID = (RIGHT, CONSISTENT, REPEATED, WRONG, MISSING)


@dataclass
class Mistake:
    """One misconception in a class: the students that have it, and in which rows how often."""

    by: Misconception
    students: dict[str, None] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        return sum(self.rows.values())

    def to_dict(self) -> dict[str, Any]:
        told = {"code": self.by.code, "name": self.by.name, "title": self.by.title}
        return {**told, "students": list(self.students), "cells": self.cells, "rows": self.rows}


def mistakes(results: Sequence[GradedFile]) -> list[Mistake]:
    """The likeliest misconception of every wrong cell, counted; that of most students first."""
    found: dict[str, Mistake] = {}
    for one in results:
        for row in () if one.grade is None else one.grade.rows:
            for cell in row.cells:
                if cell.status in (WRONG, REPEATED) and cell.by:
                    mistake = found.setdefault(cell.by[0].name, Mistake(cell.by[0]))
                    mistake.students[one.student] = None
                    mistake.rows[row.node] = mistake.rows.get(row.node, 0) + 1
    return sorted(found.values(), key=lambda m: (-len(m.students), -m.cells, m.by.name))


def by_row(results: Sequence[GradedFile]) -> list[dict[str, Any]]:
    """How many students have each row right, wrong …; and its commonest mistake."""
    found: dict[str, dict[str, Any]] = {}
    made: dict[str, dict[str, int]] = {}
    for one in results:
        for row in () if one.grade is None else one.grade.rows:
            counts = found.setdefault(row.node, {"row": row.node, **dict.fromkeys(SAID, 0)})
            counts[row.status] += 1
            if row.by:
                names = made.setdefault(row.node, {})
                names[row.by[0].title] = names.get(row.by[0].title, 0) + 1
    for node, counts in found.items():
        names = made.get(node, {})
        counts["commonest"] = max(names, key=lambda n: names[n]) if names else None
    return list(found.values())


def summary(results: Sequence[GradedFile]) -> Iterator[Section]:
    """Two tables: the mistakes of the class, and how it did in each row."""
    common = mistakes(results)
    if not common:
        return
    lines = tuple(
        TableLine(
            (
                Shown(f"{m.by.title} ({m.by.code})"),
                Shown(str(len(m.students)), value=len(m.students)),
                Shown(str(m.cells), value=m.cells),
                Shown(", ".join(f"{row} ({n})" if n > 1 else row for row, n in m.rows.items())),
            )
        )
        for m in common[:MOST]
    )
    columns = (Column("mistake", least=16, most=60), Column("students", right=True), Column("cells", right=True))
    yield Table((*columns, Column("rows", least=12, most=40)), lines)
    rows = by_row(results)
    heads = ("right", "follows", *(("again",) if any(r[REPEATED] for r in rows) else ()), "wrong", "missing")
    keys = {"right": RIGHT, "follows": CONSISTENT, "again": REPEATED, "wrong": WRONG, "missing": MISSING}
    told = tuple(
        TableLine(
            (
                Shown(r["row"]),
                *(Shown(str(r[keys[h]]), value=r[keys[h]]) for h in heads),
                Shown(r["commonest"] or ""),
            )
        )
        for r in rows
    )
    counted = (Column(head, right=True) for head in heads)
    yield Table((Column("row"), *counted, Column("commonest mistake", least=16, most=60)), told)
