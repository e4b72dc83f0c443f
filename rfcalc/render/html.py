"""HTML: one page that needs nothing else, light or dark as the reader's system is; and fragments for notebooks.

A page has a style sheet, and its elements have classes. A fragment stands in a page of someone else, whose theme is not
known, whose styles reach into it, and which may take style sheets and SVG away where it does not trust them: there each
element carries its own style, text has the host's colour, what has a background has its own colour of text, maps are
letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape as _escape
from typing import TYPE_CHECKING

from rfcalc.core.errors import printable, printable_lines
from rfcalc.report.document import (
    Cell,
    Column,
    Derivation,
    Document,
    Grid,
    Listing,
    Picture,
    Section,
    Sentences,
    Table,
    TableLine,
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
.rfcalc th, .rfcalc td { padding: .15em .7em; text-align: left; white-space: pre; color: inherit; background: none; }
.rfcalc tbody th { font-weight: inherit; } .rfcalc caption { text-align: left; font-weight: bold; padding: .2em .7em; }
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


_CELL = "padding:0.15em 0.7em;white-space:pre;text-align:left;vertical-align:top;border:0;color:inherit"
_CHIP = "padding:0 0.3em;border-radius:0.2em;"  # readable on whatever is behind it
INLINE = {  # class (or element) → its style in a fragment
    "table": "border-collapse:collapse;border:0;font-variant-numeric:tabular-nums;text-align:left;margin:0.5em 0",
    "caption": "caption-side:top;text-align:left;color:inherit;font-weight:bold;padding:0.2em 0.7em",
    "td": _CELL,
    "th": f"{_CELL};font-weight:inherit",
    "head": "font-weight:bold;border-bottom:1px solid currentColor;background:none",
    "n": "text-align:right",
    "stage": "font-weight:bold;border-top:1px solid currentColor",
    "total": "font-weight:bold;border-top:1px solid currentColor",
    "bar": "background:linear-gradient(to right,rgba(64,132,214,0.3) PART,transparent PART)",
    "good": f"{_CHIP}background:#1a6b2f;color:#fff",
    "bad": f"{_CHIP}background:#b00020;color:#fff;font-weight:bold",
    "known": f"{_CHIP}background:#7a5200;color:#fff",
    "unseen": f"{_CHIP}background:#0b5cad;color:#fff",
    "carried": "text-decoration:underline",
    "strong": "font-weight:bold",
    "result": "font-weight:bold",
    "soft": "opacity:0.8",
    "notes": "opacity:0.8;padding-left:1.2em;text-align:left",
    "dl": "display:grid;grid-template-columns:max-content auto;gap:0.1em 1em;margin:0.3em 0.7em",
    "dt": "font-weight:bold;text-align:left;float:none;width:auto",
    "dd": "margin:0;text-align:left;float:none;width:auto",
    "ul": "text-align:left",
    "p": "margin:0.3em 0;text-align:left",
    "h2": "font-size:1.1em;font-weight:bold;margin:0.8em 0 0.2em;text-align:left",
    "pre": "text-align:left;line-height:1.1;background:none;color:inherit;overflow-x:auto;white-space:pre",
    "scroll": "overflow-x:auto",
}


def fragment(document: Document) -> str:
    """The document to stand inside another page, whatever its theme, whether it is trusted or not."""
    captions = [section.caption for section in document.sections if isinstance(section, Table)]
    titled = document.titled and document.title not in captions
    title = [f'<p style="{INLINE["h2"]}">{escape(document.title)}</p>'] if titled else []
    body = [*title, *_body(document, inline=True)]
    text = re.sub(r'<(\w+)((?: [\w-]+="[^"]*")*)>', lambda tag: _dressed(tag[1], tag[2]), "\n".join(body))
    return f'<div style="text-align:left;color:inherit;background:none">\n{text}\n</div>'


def _dressed(tag: str, attributes: str) -> str:
    """An opening tag with its style in itself instead of its classes."""
    given = dict(re.findall(r' ([\w-]+)="([^"]*)"', attributes))
    names = [tag, *given.pop("class", "").split()]
    part = given.pop("style", "").removeprefix("--part: ")
    found = [INLINE[name].replace("PART", part) for name in names if name in INLINE]
    if part and not part.endswith("%"):  # a style of its own
        found.append(part)
    if found:
        given["style"] = ";".join(found)
    return f"<{tag}{''.join(f' {name}={chr(34)}{value}{chr(34)}' for name, value in given.items())}>"


def _body(document: Document, inline: bool = False) -> Iterator[str]:
    for section in document.sections:
        yield from _section(section, inline)
    if document.notes:
        yield from _list(document.notes, ' class="notes"')


def _list(lines: Iterable[Text], how: str = "") -> Iterator[str]:
    yield from (f"<ul{how}>", *(f"<li>{spell(line)}</li>" for line in lines), "</ul>")


def _section(section: Section, inline: bool = False) -> Iterator[str]:
    if section.title and not isinstance(section, Picture):
        yield f"<h2>{escape(section.title)}</h2>"
    if isinstance(section, Table):
        yield from _table(section)
    elif isinstance(section, Sentences):
        yield from _list(section.lines) if section.listed else (f"<p>{spell(line)}</p>" for line in section.lines)
    elif isinstance(section, Derivation):
        yield from _steps(section)
    elif isinstance(section, Listing):
        yield f"<pre>{_escape(printable_lines(section.text))}</pre>"
    elif inline and isinstance(section, Grid):
        from rfcalc.render.raster import raster

        yield f"<pre>{_escape(chr(10).join(raster(section)))}</pre>"
    else:
        from rfcalc.render import svg

        if isinstance(section, Grid):
            yield svg.grid(section)
        else:
            yield svg.embedded(section) if inline else svg.picture(section)


def _steps(found: Derivation) -> Iterator[str]:
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
    """A table with a caption; each stage is a group of rows with its heading."""
    heads = "".join(
        f'<th scope="col" class="head{" n" if column.right else ""}">{escape(column.title)}</th>'
        for column in table.columns
    )
    yield '<div class="scroll"><table>'
    if table.caption:
        yield f"<caption>{escape(table.caption)}</caption>"
    yield from (f"<thead><tr>{heads}</tr></thead>", "<tbody>")
    for i, line in enumerate(table.lines):
        if i and line.kind in ("group", "total") and table.lines[i - 1].kind != line.kind:
            yield from ("</tbody>", "<tbody>")
        yield _line(line, table.columns)
    yield from ("</tbody>", "</table></div>")
    if table.totals:
        totals = (f"<dt>{escape(name)}</dt><dd>{spell(figure)}</dd>" for name, figure in table.totals)
        yield from ("<dl>", *totals, "</dl>")


def _line(line: TableLine, columns: tuple[Column, ...]) -> str:
    kind = {"group": ["stage"], "total": ["total"]}.get(line.kind, [])
    if line.spans:
        told = spell(line.cells[0].text)
        return f'<tr class="stage"><th scope="rowgroup" class="stage" colspan="{len(columns)}">{told}</th></tr>'
    scope = "rowgroup" if line.kind == "group" else "row"
    cells = [
        _cell(cell, column.right, scope if i == 0 else "", not line.kind, kind)
        for i, (cell, column) in enumerate(zip(line.cells, columns, strict=True))
    ]
    names = [*kind, *([line.role] if line.role else [])]
    how = f' class="{" ".join(names)}"' if names else ""
    return f"<tr{how}>{''.join(cells)}</tr>"


def _cell(cell: Cell, right: bool, scope: str, bar: bool, kind: list[str]) -> str:
    bar = bar and bool(cell.share)
    names = [*kind, *(["n"] if right else []), *(["bar"] if bar else []), *([cell.role] if cell.role else [])]
    how = f' class="{" ".join(names)}"' if names else ""
    if bar:  # the share as a bar, and as a number for who cannot see it
        share = f"{cell.share // 10}.{cell.share % 10}"
        how += f' title="{share} % of all" style="--part: {share}%"'
    if scope:
        return f'<th scope="{scope}"{how}>{spell(cell.text)}</th>'
    return f"<td{how}>{spell(cell.text)}</td>"
