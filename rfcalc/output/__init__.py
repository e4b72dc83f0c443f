"""Output formats: one file each, all views of one report. A format is loaded when it is asked for.

A format file has `render(report, view)`, which returns text; `FORMATS` says which there are.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from rfcalc.errors import UnknownName
from rfcalc.report import Report

FORMATS = {
    "rich": "a table for the terminal, with colour and bars where it can show them",
    "plain": "the same table in plain ASCII columns",
    "json": "everything, for machines: schema rfcalc/report/1",
}


class View(NamedTuple):
    """What of the report is shown, and how wide.

    `columns`: metric names, in order; None for the usual ones. `every`: activations, normalisation and dropout get rows
    of their own. `fold`: repeated rows are shown once with their count; None where it helps. `width`: of the terminal;
    None where lines may be as long as they need. `color`: whether colour and bars may be used.
    """

    columns: tuple[str, ...] | None = None
    every: bool = False
    fold: bool | None = None
    width: int | None = None
    color: bool = False
    at: str | None = None


def render(report: Report, form: str, view: View = View()) -> str:  # noqa: B008 (an immutable value)
    """The report in a format.

    Raises:
        UnknownName: no such format, column or node.
    """
    if form not in FORMATS:
        raise UnknownName("format", form, list(FORMATS))
    return str(import_module(f"rfcalc.output.{form}").render(report, view))


def text(report: Report) -> str:
    """What `print(report)` shows."""
    return render(report, "plain")


def notebook(report: Report) -> str:
    """What a notebook shows: the table, static."""
    from html import escape

    return f"<pre style='line-height:1.25'>{escape(render(report, 'plain'))}</pre>"
