"""Comparisons as text: their formulas are spelled for the format, the rest is `rfcalc.render`'s."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace

from rfcalc.report.document import Document, Sentences, Span, Table, Text

FORM: ContextVar[str] = ContextVar("form", default="unicode")  # how formulas are written: unicode, plain, latex
OPEN, CLOSE = "\ue000", "\ue001"  # around LaTeX in a text that is still to be escaped


def spelled(make: Callable[[int | None], Document], form: str, width: int | None = None) -> Document:
    """A document made for a format and a width, its formulas as the format writes them."""
    token = FORM.set({"plain": "plain", "latex": "latex"}.get(form, "unicode"))
    try:
        made = make(width)
    finally:
        FORM.reset(token)
    return _marked(made) if form == "latex" else made


def _marked(made: Document) -> Document:
    """Formulas in LaTeX, which are marked in the texts, as parts of their own."""
    sections = []
    for section in made.sections:
        if isinstance(section, Table):
            lines = (
                line._replace(cells=tuple(c._replace(text=_text(c.text)) for c in line.cells)) for line in section.lines
            )
            section = replace(section, lines=tuple(lines))
        elif isinstance(section, Sentences):
            section = replace(section, lines=tuple(map(_text, section.lines)))
        sections.append(section)
    return replace(made, sections=tuple(sections), notes=tuple(map(_text, made.notes)))


def _text(text: Text) -> Text:
    if not isinstance(text, str) or OPEN not in text:
        return text
    parts = re.split(f"{OPEN}(.*?){CLOSE}", text)
    return tuple(Span(part, latex=part) if i % 2 else part for i, part in enumerate(parts) if part)
