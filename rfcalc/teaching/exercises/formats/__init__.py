"""What courses import: one file a format, all views of the same items. A format is loaded when it is asked for.

A format file has `render(items, paper)`: text, or bytes of one file, or files by their path in a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, TypeAlias

from rfcalc.core.errors import UnknownName
from rfcalc.teaching.exercises.item import ExerciseItem

Rendered: TypeAlias = "str | bytes | dict[str, str]"

FORMATS = {
    "markdown": "for reading and for GitHub; answers are folded",
    "text": "plain text with a key at the end",
    "html": "a page that needs nothing else; answers are folded",
    "latex": "the exam class; \\printanswers shows the solutions",
    "json": "the bank: everything, for machines (schema rfcalc/exercises/1)",
    "gift": "Moodle's text format",
    "moodle": "Moodle XML: numbers, choices, tables as cloze",
    "qti": "a QTI 1.2 package (zip), the flavour that Canvas takes",
    "prairielearn": "a folder of questions; each makes variants with rfcalc",
    "jupyterquiz": "JSON for the jupyterquiz package",
    "nbgrader": "a notebook with solution and hidden-test cells for nbgrader",
    "otter": "a notebook for Otter Assign",
}
FILES = {"qti": ".zip", "prairielearn": "/"}  # what needs --output: a file of its own, or a folder


class PaperHeading(NamedTuple):
    """What stands over the items: a title, the seed, whose paper it is; and the request as data."""

    title: str
    seed: str
    student: str = ""
    request: dict[str, object] = {}  # noqa: RUF012 (never changed)

    @property
    def heading(self) -> str:
        """The title in one line."""
        return clean(f"{self.title}, for {self.student}" if self.student else self.title)


def clean(text: str) -> str:
    """A text that every format can hold: control characters and lone surrogates become a replacement sign, and runs of
    white space one space.

    >>> clean("Ann\\x00\\tB. ")
    'Ann� B.'
    """
    told = "".join("\ufffd" if not (c.isprintable() or c.isspace()) else c for c in text)
    return " ".join(told.encode("utf-8", "replace").decode("utf-8").split())


def render(items: Sequence[ExerciseItem], form: str, paper: PaperHeading) -> Rendered:
    """The items in a format.

    Raises:
        UnknownName: no such format.
    """
    if form not in FORMATS:
        raise UnknownName("format", form, list(FORMATS))
    found: Rendered = import_module(f"rfcalc.teaching.exercises.formats.{form}").render(items, paper)
    return found
