"""HTML: one page that needs nothing else, light or dark as the reader's system is; notebooks show its table."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from rfcalc.render.model import Cell, Line, Table, build
from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.render import View

STYLE = """
.rfcalc { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --rule: #ccc; --bar: #cfe3f7; --soft: #555;
  color: var(--ink); background: var(--paper); font: 14px/1.45 system-ui, sans-serif; padding: 1em; }
@media (prefers-color-scheme: dark) {
  .rfcalc { --ink: #e8e8e8; --paper: #16181c; --rule: #444; --bar: #21476b; --soft: #aaa; } }
.rfcalc table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.rfcalc th, .rfcalc td { padding: .15em .7em; text-align: left; white-space: nowrap; color: inherit; background: none; }
.rfcalc thead th { border-bottom: 1px solid var(--rule); position: sticky; top: 0; background: var(--paper); }
.rfcalc .n { text-align: right; }
.rfcalc tr.stage > * { font-weight: bold; border-top: 1px solid var(--rule); padding-top: .5em; }
.rfcalc td.bar { background: linear-gradient(to right, var(--bar) var(--part), transparent var(--part)); }
.rfcalc dl { display: grid; grid-template-columns: max-content auto; gap: .1em 1em; }
.rfcalc dt { font-weight: bold; } .rfcalc dd { margin: 0; }
.rfcalc ul { color: var(--soft); padding-left: 1.2em; } .rfcalc .scroll { overflow-x: auto; }
"""


def render(report: Report, view: View) -> str:
    """The report as a page."""
    about = (report.network.title, report.network.citation)
    return page(report.network.name or report.target, about, _table(build(report, view)))


def page(title: str, about: Iterable[str], body: Iterable[str]) -> str:
    """A page around a body."""
    title = escape(title)
    head = f"<h1>{title}</h1>" + "".join(f"<p>{escape(text)}</p>" for text in about if text)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}</title>",
            f"<style>{STYLE}body {{ margin: 0; }} body.rfcalc {{ min-height: 100vh; box-sizing: border-box; }}</style>",
            "</head>",
            '<body class="rfcalc">',
            head,
            *body,
            "</body>",
            "</html>",
        ]
    )


def fragment(report: Report, view: View) -> str:
    """The table with its own style, to stand inside another page."""
    return "\n".join([f"<style>{STYLE}</style>", '<div class="rfcalc">', *_table(build(report, view)), "</div>"])


def _table(table: Table) -> list[str]:
    found = [*grid(table), "<dl>"]
    found += [f"<dt>{escape(name)}</dt><dd>{escape(figure)}</dd>" for name, figure in table.totals]
    found += ["</dl>", "<ul>", *(f"<li>{escape(note)}</li>" for note in table.notes), "</ul>"]
    return found


def grid(table: Table) -> list[str]:
    """The table itself, without totals and notes."""
    classes = [' class="n"' if right else "" for _, right in table.columns]
    heads = "".join(
        f'<th scope="col"{c}>{escape(title)}</th>' for (title, _), c in zip(table.columns, classes, strict=True)
    )
    found = ['<div class="scroll"><table>', f"<thead><tr>{heads}</tr></thead>", "<tbody>"]
    found += [_line(line, table) for line in table.lines]
    return [*found, "</tbody>", "</table></div>"]


def _line(line: Line, table: Table) -> str:
    cells = [
        _cell(cell, right, first=i == 0, bar=not line.heading)
        for i, (cell, (_, right)) in enumerate(zip(line.cells, table.columns, strict=True))
    ]
    how = ' class="stage"' if line.heading else ""
    return f"<tr{how}>{''.join(cells)}</tr>"


def _cell(cell: Cell, right: bool, first: bool, bar: bool) -> str:
    kinds = (["n"] if right else []) + (["bar"] if bar and cell.share else [])
    named = " ".join(kinds)
    how = f' class="{named}"' if kinds else ""
    if bar and cell.share:
        how += f' style="--part: {cell.share // 10}.{cell.share % 10}%"'
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    return f"<{tag}{scope}{how}>{escape(cell.text)}</{tag}>"
