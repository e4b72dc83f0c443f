"""JSON for the jupyterquiz package: numbers, choices, texts. A table becomes one question for each cell.

`precision` is left out for whole numbers: the package would round what is typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from json import dumps
from typing import Any

from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._html import body, conventions, text
from rfcalc.teaching.exercises.item import Blank, ExerciseItem


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """A list of questions."""
    return dumps([q for item in items for q in _questions(item)], indent=1, ensure_ascii=False)


def _questions(item: ExerciseItem) -> list[dict[str, Any]]:
    if item.single is not None:
        return [_question(item.single, body(item) + conventions(item))]
    found = []
    for blank in item.blanks:
        asked = body(item, lambda b, at=blank: "<strong>?</strong>" if b is at else "…")  # type: ignore[misc]
        asked += f"<p>Which value stands at the question mark ({text(blank.label)})?</p>{conventions(item)}"
        found.append(_question(blank, asked))
    return found


def _question(blank: Blank, asked: str) -> dict[str, Any]:
    if blank.kind == "choice":
        answers = [{"answer": text(o.text), "correct": o.right, "feedback": text(o.feedback)} for o in blank.options]
        return {"question": asked, "type": "multiple_choice", "answers": answers}
    if blank.kind == "shape":
        typed = [
            {"answer": one, "correct": o.right, "feedback": text(o.feedback)}
            for o in blank.options
            for one in blank.typed(o)
        ]
        return {"question": asked, "type": "string", "answers": [*typed, _other()]}
    values: list[dict[str, Any]] = [_value(blank, o.text, o.right, o.feedback) for o in blank.options]
    return {"question": asked, "type": "numeric", "answers": [*values, _other()]}


def _value(blank: Blank, typed: str, right: bool, feedback: str) -> dict[str, Any]:
    said = {"correct": right, "feedback": text(feedback)}
    if blank.kind == "integer":
        return {"type": "value", "value": int(typed), **said}
    around = Fraction(blank.tolerance)
    low, high = Fraction(typed) - around, Fraction(typed) + around
    return {"type": "range", "range": [float(low), float(high)], **said}


def _other() -> dict[str, Any]:
    return {"type": "default", "feedback": "Not yet: go through the steps once more."}
