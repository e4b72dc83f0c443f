"""Plain text: the questions, then a key."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._text import LETTERS, body, plain, units
from rfcalc.teaching.exercises.item import ExerciseItem

WIDTH = 100


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The paper, and its key on lines of their own."""
    found = [paper.heading, "=" * len(paper.heading)]
    for number, item in enumerate(items, 1):
        found += ["", *question(item, number)]
    found += ["", "Key", "==="]
    for number, item in enumerate(items, 1):
        found += ["", *answer(item, number)]
    return "\n".join(found)


def _wrapped(line: str, indent: str = "") -> str:
    return fill(line, WIDTH, initial_indent=indent, subsequent_indent=indent) if len(line) > WIDTH else indent + line


def question(item: ExerciseItem, number: int) -> list[str]:
    """One question."""
    found = [f"{number}. {item.title}", ""]
    found += [line if "  " in line else _wrapped(line) for line in body(item)]
    single = item.single
    if single is not None and single.kind == "choice":
        found.append("")
        found += [f"   {LETTERS[i]}) {plain(o.text)}" for i, o in enumerate(single.options)]
    elif single is not None:
        found += ["", f"   {single.label}: ____{units(single.unit)}"]
    return [*found, "", _wrapped(f"({plain(item.question.conventions)})"), f"[{item.id}, difficulty {item.difficulty}]"]


def answer(item: ExerciseItem, number: int) -> list[str]:
    """Its answer, what wrong answers come from, and the derivation."""
    found = []
    for blank in item.blanks:
        key = plain(blank.key) + units(blank.unit)
        if blank.kind == "choice":
            key = f"{LETTERS[blank.options.index(blank.right)]}) {key}"
        found.append(f"{number}. {key}" if item.single else f"{number}. {blank.label}: {key}")
    if item.single:
        found += [
            _wrapped(f"{plain(o.text)}: {plain(o.feedback)}", "   ") for o in item.blanks[0].options if not o.right
        ]
    return [*found, *[f"   | {plain(line)}" for line in item.question.derivation]]
