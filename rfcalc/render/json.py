"""JSON: the whole report, schema rfcalc/report/1 (rfcalc/report/schemas/report-1.json)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.render import View


def render(report: Report, view: View) -> str:
    """The report as JSON; `view` does not apply: machines get everything."""
    from json import dumps

    return dumps(report.to_dict(), indent=1, ensure_ascii=False)
