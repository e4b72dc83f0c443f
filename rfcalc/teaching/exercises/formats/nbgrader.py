"""A notebook for nbgrader: a solution cell and a cell with hidden tests for each item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._notebook import cell, heading, literal, names, notebook, question, test
from rfcalc.teaching.exercises.item import ExerciseItem


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The instructor's version; `nbgrader generate_assignment` takes solutions and hidden tests out."""
    cells = [cell("markdown", heading(paper))]
    for number, item in enumerate(items, 1):
        named = names(item, number)
        about = f"question_{number}_{item.seed}"
        cells.append(cell("markdown", question(item, number, named), nbgrader=_about(f"{about}_text", locked=True)))
        solution = "\n".join(f"{named[b.name]} = {literal(b)}" for b in item.blanks)
        source = f"### BEGIN SOLUTION\n{solution}\n### END SOLUTION"
        cells.append(cell("code", source, nbgrader=_about(about, solution=True)))
        checks = "\n".join(f"assert {test(b, named[b.name])}" for b in item.blanks)
        source = f"# {item.id}\n### BEGIN HIDDEN TESTS\n{checks}\n### END HIDDEN TESTS"
        cells.append(cell("code", source, nbgrader=_about(f"{about}_test", grade=True, locked=True, points=1)))
    return notebook(cells)


def _about(grade_id: str, **more: Any) -> dict[str, Any]:
    usual = {
        "grade": False,
        "grade_id": grade_id,
        "locked": False,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }
    return usual | more
