"""The table in plain columns of ASCII: for pipes, diffs and `print(report)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfcalc.render.model import Table, build
from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.render import View

ASCII = str.maketrans({"×": "x", "–": "-", "≤": "<", "−": "-", "…": "..", "≥": ">", "→": "->"})


def render(report: Report, view: View) -> str:
    """The report in plain columns, as wide as it needs."""
    return draw(build(report, view))


def draw(table: Table) -> str:
    """Draw a table with two spaces between columns; headings open a stage."""
    heads = [title for title, _ in table.columns]
    body = [[cell.text.translate(ASCII) for cell in line.cells] for line in table.lines]
    widths = [max(len(head), *(len(row[i]) for row in body), 0) for i, head in enumerate(heads)]
    right = [r for _, r in table.columns]

    def line(cells: list[str]) -> str:
        parts = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)]
        return "  ".join(parts).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    drawn = [line(heads), rule]
    for cells, shown in zip(body, table.lines, strict=True):
        if shown.heading:
            drawn.append("")
            cells = [f"[{cells[0]}]", *cells[1:]]
            widths[0], kept = max(widths[0], len(cells[0])), widths[0]
            drawn.append(line(cells))
            widths[0] = kept
        else:
            drawn.append(line(cells))
    if not table.totals and not table.notes:
        return "\n".join(drawn)
    drawn.append(rule)
    label = max((len(name) for name, _ in table.totals), default=0)
    drawn += [f"{name.ljust(label)}  {figure}".translate(ASCII) for name, figure in table.totals]
    drawn.append("")
    drawn += [note.translate(ASCII) for note in table.notes]
    return "\n".join(drawn)
