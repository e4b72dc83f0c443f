"""A notebook for Otter Assign: questions, solutions and tests between raw cells."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._notebook import cell, heading, literal, names, notebook, question, test
from rfcalc.teaching.exercises.item import ExerciseItem


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The master notebook; `otter assign` makes the students' version and the autograder."""
    cells = [cell("raw", f"# ASSIGNMENT CONFIG\nname: exercises-{paper_name(paper)}\ngenerate: true")]
    cells.append(cell("markdown", heading(paper)))
    for number, item in enumerate(items, 1):
        named = names(item, number)
        cells.append(cell("raw", f"# BEGIN QUESTION\nname: q{number}\npoints: 1"))
        cells.append(cell("markdown", question(item, number, named)))
        cells.append(cell("raw", "# BEGIN SOLUTION"))
        cells.append(cell("code", "\n".join(f"{named[b.name]} = {literal(b)} # SOLUTION" for b in item.blanks)))
        cells.append(cell("raw", "# END SOLUTION"))
        cells.append(cell("raw", "# BEGIN TESTS"))
        checks = " and ".join(f"({test(b, named[b.name])})" for b in item.blanks)
        cells.append(cell("code", f"# HIDDEN\nassert {checks}"))
        cells.append(cell("raw", "# END TESTS"))
        cells.append(cell("raw", "# END QUESTION"))
    return notebook(cells)


def paper_name(paper: PaperHeading) -> str:
    """The seed as a name that files and YAML can hold."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in paper.seed)[:40] or "0"
