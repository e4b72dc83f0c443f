"""CSV: a line for each input and node, every figure exact, no totals among the rows (see `records`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.render.records import records
from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.render import View


def render(report: Report, view: View) -> str:
    """The report as CSV (RFC 4180, but lines end with a newline alone); `view` chooses columns and a node."""
    from csv import writer
    from io import StringIO

    names, rows = records(report, view.columns, view.at)
    out = StringIO()
    write = writer(out, lineterminator="\n")
    write.writerow(names)
    write.writerows(["" if v is None else v for v in row] for row in rows)
    return out.getvalue().rstrip("\n")
