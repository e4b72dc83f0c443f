"""A report in a format, as the command `table` shows it."""

from __future__ import annotations

from typing import Any

from rfcalc import Report
from rfcalc.render import Look
from rfcalc.render import render as _render
from rfcalc.report import table
from rfcalc.report.table import document


def View(width: int | None = None, color: bool = False, **view: Any) -> tuple[table.View, Look]:  # noqa: N802
    """What of the report is shown, and how."""
    return table.View(**view), Look(width, color)


def render(report: Report, form: str, view: tuple[table.View, Look] | None = None, style: str = "table") -> str:
    """The text."""
    what, look = view or View()
    return _render(document(report, what, style), form, look)
