"""Markdown: the questions, with the answers folded below each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rfcalc.render.markdown import escape as _escape
from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._text import LETTERS, said, units
from rfcalc.teaching.exercises.item import AnswerSlot, Blank, Code, ExerciseItem, ExerciseTable, Text

_SPANS = re.compile(r"(`[^`]*`)")


def escape(text: str) -> str:
    """The text as Markdown that reads as it stands; code spans stay (a bar in them would end a table's cell).

    >>> escape("a*b `x|y` <c>")
    'a\\\\*b `x\\\\|y` \\\\<c\\\\>'
    """
    parts = _SPANS.split(text)
    marked = [p.replace("|", "\\|") if i % 2 else _escape(p) for i, p in enumerate(parts)]
    return "".join(marked)


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The paper; every answer is folded into a details element."""
    found = [f"# {escape(paper.heading)}"]
    for number, item in enumerate(items, 1):
        found += ["", f"## {number}. {escape(item.title)}", "", *_body(item)]
        single = item.single
        if single is not None and single.kind == "choice":
            found += ["", *[f"- ({LETTERS[i]}) {escape(o.text)}" for i, o in enumerate(single.options)]]
        found += ["", f"*{escape(item.question.conventions)}*", "", *_answer(item)]
    return "\n".join(found)


def _body(item: ExerciseItem) -> list[str]:
    found: list[str] = []
    for block in item.body:
        if found:
            found.append("")
        if isinstance(block, Text):
            found.append(escape(block.text))
        elif isinstance(block, Code):
            found += ["```text", *block.code.split("\n"), "```"]
        else:
            found += table(block)
    if item.question.picture is not None:
        found += ["", escape(said(item.question.picture))]
    return found


def table(grid: ExerciseTable) -> list[str]:
    """A table; places for answers are empty cells."""
    rows = [["" if isinstance(c, AnswerSlot) else escape(c) for c in row] for row in grid.rows]
    lines = [[escape(h) for h in grid.header], ["---"] * len(grid.header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _answer(item: ExerciseItem) -> list[str]:
    found = ["<details><summary>Answer</summary>", ""]
    if item.single:
        found += _single(item.blanks[0])
    else:
        found += [f"- {escape(b.label)}: **{escape(b.key)}**{units(b.unit)}" for b in item.blanks]
    found += ["", *[f"{i}. {escape(line)}" for i, line in enumerate(item.question.derivation, 1)]]
    tags = ", ".join(item.question.tags)
    return [*found, "", f"`{item.id}`, difficulty {item.difficulty}, {escape(tags)}", "", "</details>"]


def _single(blank: Blank) -> list[str]:
    tolerance = f" (± {blank.tolerance})" if blank.tolerance else ""
    key = escape(blank.key)
    if blank.kind == "choice":
        key = f"({LETTERS[blank.options.index(blank.right)]}) {key}"
    found = [f"**{key}**{units(blank.unit)}{tolerance}"]
    wrong = [o for o in blank.options if not o.right]
    if wrong:
        found += ["", *[f"- {escape(o.text)}: {escape(o.feedback)}" for o in wrong]]
    return found
