"""HTML: one page that needs nothing else, light or dark as the reader's system is; notebooks show its body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape as _escape
from typing import TYPE_CHECKING

from rfcalc.core.errors import printable, printable_lines
from rfcalc.report.document import (
    Cell,
    Column,
    Document,
    Grid,
    Line,
    Listing,
    Picture,
    Section,
    Sentences,
    Steps,
    Table,
    Text,
    pieces,
)

if TYPE_CHECKING:
    from rfcalc.render import Look

STYLE = """
.rfcalc { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --rule: #ccc; --bar: #cfe3f7; --soft: #555;
  --good: #1a6b2f; --bad: #b00020; --known: #7a5200; --mark: #0b5cad;
  color: var(--ink); background: var(--paper); font: 14px/1.45 system-ui, sans-serif; padding: 1em; }
@media (prefers-color-scheme: dark) {
  .rfcalc { --ink: #e8e8e8; --paper: #16181c; --rule: #444; --bar: #21476b; --soft: #aaa;
  --good: #7fd497; --bad: #ff9a9a; --known: #e6c36a; --mark: #8ec5ff; } }
.rfcalc table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.rfcalc th, .rfcalc td { padding: .15em .7em; text-align: left; white-space: nowrap; color: inherit; background: none; }
.rfcalc thead th { border-bottom: 1px solid var(--rule); position: sticky; top: 0; background: var(--paper); }
.rfcalc .n { text-align: right; }
.rfcalc tr.stage > * { font-weight: bold; border-top: 1px solid var(--rule); padding-top: .5em; }
.rfcalc tr.total > * { font-weight: bold; border-top: 1px solid var(--rule); }
.rfcalc td.bar { background: linear-gradient(to right, var(--bar) var(--part), transparent var(--part)); }
.rfcalc .good { color: var(--good); } .rfcalc .bad { color: var(--bad); font-weight: bold; }
.rfcalc .known { color: var(--known); } .rfcalc .unseen, .rfcalc .carried { color: var(--mark); }
.rfcalc .strong, .rfcalc .result { font-weight: bold; } .rfcalc .soft { color: var(--soft); }
.rfcalc dl { display: grid; grid-template-columns: max-content auto; gap: .1em 1em; }
.rfcalc dt { font-weight: bold; } .rfcalc dd { margin: 0; }
.rfcalc ul.notes { color: var(--soft); padding-left: 1.2em; } .rfcalc .scroll { overflow-x: auto; }
.rfcalc svg { max-width: 100%; height: auto; }
"""


def escape(text: str) -> str:
    """The text as HTML that shows as it stands.

    >>> escape("a<b> & \\x1b")
    'a&lt;b&gt; &amp; \\\\x1b'
    """
    return _escape(printable(text))


def spell(text: Text) -> str:
    """A text, its parts in their roles."""
    return "".join(f'<span class="{r}">{escape(p)}</span>' if r else escape(p) for p, r in pieces(text))


def render(document: Document, look: Look) -> str:
    """The document as a page."""
    title = escape(document.title)
    head = f"<h1>{title}</h1>" + "".join(f"<p>{escape(text)}</p>" for text in document.about if text)
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
            *_body(document),
            "</body>",
            "</html>",
        ]
    )


def fragment(document: Document) -> str:
    """The document with its own style, to stand inside another page."""
    return "\n".join([f"<style>{STYLE}</style>", '<div class="rfcalc">', *_body(document), "</div>"])


def _body(document: Document) -> Iterator[str]:
    for section in document.sections:
        yield from _section(section)
    if document.notes:
        yield from _list(document.notes, ' class="notes"')


def _list(lines: Iterable[Text], how: str = "") -> Iterator[str]:
    yield from (f"<ul{how}>", *(f"<li>{spell(line)}</li>" for line in lines), "</ul>")


def _section(section: Section) -> Iterator[str]:
    if section.title and not isinstance(section, Picture):
        yield f"<h2>{escape(section.title)}</h2>"
    if isinstance(section, Table):
        yield from _table(section)
    elif isinstance(section, Sentences):
        yield from _list(section.lines) if section.listed else (f"<p>{spell(line)}</p>" for line in section.lines)
    elif isinstance(section, Steps):
        yield from _steps(section)
    elif isinstance(section, Listing):
        yield f"<pre>{_escape(printable_lines(section.text))}</pre>"
    else:
        from rfcalc.render import svg

        yield svg.grid(section) if isinstance(section, Grid) else svg.picture(section)


def _steps(found: Steps) -> Iterator[str]:
    """A derivation: its formulas, then a line for each step."""
    if found.formulas:
        told = (f"<dt>{spell((formula,))}</dt><dd>{escape(source)}</dd>" for formula, source in found.formulas)
        yield from ('<dl class="formulas">', *told, "</dl>")
    yield '<div class="scroll"><table><tbody>'
    for step in found.lines:
        told_ = "<br>".join(spell(text) for text in (*step.equations, step.text) if text)
        yield f'<tr><th scope="row">{escape(step.name)}</th><td>{escape(step.notation)}</td><td>{told_}</td></tr>'
    yield "</tbody></table></div>"
    if found.notes:
        yield from _list(found.notes)


def _table(table: Table) -> Iterator[str]:
    classes = [' class="n"' if column.right else "" for column in table.columns]
    heads = "".join(
        f'<th scope="col"{c}>{escape(column.title)}</th>' for column, c in zip(table.columns, classes, strict=True)
    )
    yield '<div class="scroll"><table>'
    if table.caption:
        yield f"<caption>{escape(table.caption)}</caption>"
    yield from (f"<thead><tr>{heads}</tr></thead>", "<tbody>")
    yield from (_line(line, table.columns) for line in table.lines)
    yield from ("</tbody>", "</table></div>")
    if table.totals:
        totals = (f"<dt>{escape(name)}</dt><dd>{spell(figure)}</dd>" for name, figure in table.totals)
        yield from ("<dl>", *totals, "</dl>")


def _line(line: Line, columns: tuple[Column, ...]) -> str:
    if line.spans:
        return f'<tr class="stage"><th scope="rowgroup" colspan="{len(columns)}">{spell(line.cells[0].text)}</th></tr>'
    cells = [
        _cell(cell, column.right, first=i == 0, bar=not line.kind)
        for i, (cell, column) in enumerate(zip(line.cells, columns, strict=True))
    ]
    names = [*({"group": ["stage"], "total": ["total"]}.get(line.kind, [])), *([line.role] if line.role else [])]
    how = f' class="{" ".join(names)}"' if names else ""
    return f"<tr{how}>{''.join(cells)}</tr>"


def _cell(cell: Cell, right: bool, first: bool, bar: bool) -> str:
    bar = bar and bool(cell.share)
    names = [*(["n"] if right else []), *(["bar"] if bar else []), *([cell.role] if cell.role else [])]
    how = f' class="{" ".join(names)}"' if names else ""
    if bar:
        how += f' style="--part: {cell.share // 10}.{cell.share % 10}%"'
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    return f"<{tag}{scope}{how}>{spell(cell.text)}</{tag}>"
