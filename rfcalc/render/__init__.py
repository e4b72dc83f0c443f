"""Output formats: one file each, all views of one report. A format is loaded when it is asked for.

A format file has `render(report, view)`, which returns text; `FORMATS` says which there are.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.report.report import Report

FORMATS = {
    "rich": "a table for the terminal, with colour and bars where it can show them",
    "plain": "the same table in plain ASCII columns",
    "json": "everything, for machines: schema rfcalc/report/1",
    "csv": "a line for each node, exact figures, for spreadsheets",
    "markdown": "a table that GitHub renders",
    "latex": "a table with booktabs and siunitx",
    "html": "a page that needs nothing else, light or dark",
}
STYLES = {
    "table": "rows and columns, in any format",
    "cs231n": "the lecture's listing: map, memory, weights, each with its arithmetic",
    "summary": "the summary that PyTorch and Keras users know",
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


def render(report: Report, form: str, view: View = View(), style: str = "table") -> str:  # noqa: B008 (immutable)
    """The report in a format; a style other than ``table`` is plain text.

    Raises:
        UnknownName: no such format, style, column or node.
        RfcalcError: a style that goes with plain text only, in another format.
    """
    if style not in STYLES:
        raise UnknownName("style", style, list(STYLES))
    if style != "table":
        if form not in ("rich", "plain"):
            raise RfcalcError(
                f"the {style} style is plain text, and the format {form} was asked for",
                fix=f"leave out --format {form}",
            )
        return str(import_module(f"rfcalc.render.{style}").render(report, view))
    if form not in FORMATS:
        raise UnknownName("format", form, list(FORMATS))
    return str(import_module(f"rfcalc.render.{form}").render(report, view))


def text(report: Report) -> str:
    """What `print(report)` shows."""
    return render(report, "plain")


def notebook(report: Report) -> str:
    """What a notebook shows: the table, static."""
    return str(import_module("rfcalc.render.html").fragment(report, View()))
