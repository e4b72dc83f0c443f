"""Markdown: the table as GitHub renders it, totals and conventions as lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rfcalc.render.model import Table, build
from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.render import View

# Signs that could be taken for markup; an underscore inside a word is none in GitHub's Markdown.
_MARKUP = re.compile(r"[\\`*|<>\[\]~&#!]|(?<!\w)_|_(?!\w)")


def escape(text: str) -> str:
    """The text as Markdown that renders as it stands, inside a table too.

    >>> escape("a|b*c conv1_1 _x")
    'a\\\\|b\\\\*c conv1_1 \\\\_x'
    """
    return _MARKUP.sub(lambda m: f"\\{m[0]}", " ".join(text.split()))


def render(report: Report, view: View) -> str:
    """The report as a GitHub table; stages are bold."""
    return draw(build(report, view))


def draw(table: Table) -> str:
    """A table, its totals as a list, its notes as quotes."""
    rows = [[escape(cell.text) for cell in line.cells] for line in table.lines]
    for row, shown in zip(rows, table.lines, strict=True):
        if shown.heading:
            row[:] = [f"**{text}**" if text else "" for text in row]
    heads = [escape(title) for title, _ in table.columns]
    widths = [max(3, len(head), *(len(row[i]) for row in rows)) for i, head in enumerate(heads)]
    right = [r for _, r in table.columns]

    def line(cells: list[str]) -> str:
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
    found = [line(heads), line(rule), *map(line, rows), ""]
    found += [f"- **{name}**: {escape(figure)}" for name, figure in table.totals]
    found += ["", *(f"> {escape(note)}  " for note in table.notes)]
    return "\n".join(s.rstrip() if not s.startswith(">") else s for s in found).rstrip()
