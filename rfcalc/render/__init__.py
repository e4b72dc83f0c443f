"""Output formats: one file each, with one escaping each. A format is loaded when it is asked for.

A format's file has ``render(document, look) -> str``, and `FORMATS` says which formats there are: a new one is a file
and a line here. Formats know documents (`rfcalc.report.document`) and nothing of the commands that make them.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import NamedTuple

from rfcalc.core.errors import UnknownName
from rfcalc.report.document import Document

FORMATS = {
    "terminal": "text for the terminal, with colour and bars where it can show them",
    "plain": "the same text in plain ASCII",
    "markdown": "what GitHub renders",
    "latex": "tables with booktabs and siunitx, formulas as LaTeX",
    "html": "a page that needs nothing else, light or dark",
    "csv": "exact figures for spreadsheets",
    "json": "everything, for machines, with a schema",
}
ENDINGS = {
    ".txt": "plain",
    ".md": "markdown",
    ".tex": "latex",
    ".html": "html",
    ".htm": "html",
    ".csv": "csv",
    ".json": "json",
}
OTHER_NAMES = {"rich": "terminal", "text": "terminal", "unicode": "terminal", "md": "markdown", "tex": "latex"}


class Look(NamedTuple):
    """How text is drawn: `width` of the terminal (None: lines may be as long as they need), whether in colour, and
    whether the terminal shows ASCII alone."""

    width: int | None = None
    color: bool = False
    ascii: bool = False


def named(form: str, more: Collection[str] = ()) -> str:
    """The name of a format, however it was called; `more` are formats that a command has beside those of documents.

    Raises:
        UnknownName: with the nearest names.

    >>> named("rich"), named("CSV")
    ('terminal', 'csv')
    """
    name = OTHER_NAMES.get(form.lower(), form.lower())
    if name not in FORMATS and name not in more:
        raise UnknownName("format", form, [*FORMATS, *more])
    return name


def render(document: Document, form: str = "plain", look: Look = Look()) -> str:  # noqa: B008 (immutable)
    """The document as text in a format.

    Raises:
        UnknownName: no such format.
    """
    return str(import_module(f"rfcalc.render.{named(form)}").render(document, look))


def fragment(document: Document) -> str:
    """The document as HTML that stands inside another page (a notebook)."""
    return str(import_module("rfcalc.render.html").fragment(document))
