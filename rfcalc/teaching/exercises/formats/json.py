"""The JSON bank: the master that other formats are rendered from."""

from __future__ import annotations

from collections.abc import Sequence
from json import dumps

from rfcalc.teaching.exercises.bank import document
from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.item import ExerciseItem


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The bank, schema rfcalc/exercises/1."""
    return dumps(document(list(items), dict(paper.request)), indent=1, ensure_ascii=False)
