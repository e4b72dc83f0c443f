"""Items as plain text: for the terminal, and for formats without markup of their own."""

from __future__ import annotations

from collections.abc import Callable

from rfcalc.teaching.exercises.item import AnswerSlot, Code, ExerciseItem, ExerciseTable, PictureRecipe, Text

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def plain(text: str) -> str:
    """A text without the marks of code."""
    return text.replace("`", "")


def grid(found: ExerciseTable, slot: Callable[[AnswerSlot], str] = lambda s: "____") -> list[str]:
    """A table in columns."""
    rows = [[slot(c) if isinstance(c, AnswerSlot) else plain(c) for c in row] for row in found.rows]
    widths = [max(len(h), *(len(r[i]) for r in rows)) for i, h in enumerate(found.header)]
    lines = [[*found.header], ["─" * w for w in widths], *rows]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]


def body(item: ExerciseItem, slot: Callable[[AnswerSlot], str] = lambda s: "____") -> list[str]:
    """The body, paragraph by paragraph, with an empty line between them."""
    found: list[str] = []
    for block in item.body:
        if found:
            found.append("")
        if isinstance(block, Text):
            found.append(plain(block.text))
        elif isinstance(block, Code):
            found += block.code.split("\n")
        else:
            found += grid(block, slot)
    if item.question.picture is not None:
        found += ["", said(item.question.picture)]
    return found


def said(figure: PictureRecipe) -> str:
    """A picture in words, for formats that carry none."""
    return f"[Picture: {plain(figure.says)}]"


def units(unit: str) -> str:
    """A unit behind a number."""
    return f" {unit}" if unit else ""
