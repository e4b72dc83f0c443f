"""Items as HTML fragments, for the formats that hold HTML."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape

from rfcalc.teaching.exercises.item import Blank, Code, Grid, Item, Slot, Text

_CODE = re.compile(r"`([^`]*)`")


def text(found: str) -> str:
    """A text with its code spans.

    >>> text("a < `b & c`")
    'a &lt; <code>b &amp; c</code>'
    """
    return _CODE.sub(lambda m: f"<code>{m[1]}</code>", escape(found))


def body(item: Item, slot: Callable[[Blank], str] = lambda blank: "") -> str:
    """The item's body; `slot` draws the places for answers, and gets their blanks."""
    blanks = {b.name: b for b in item.blanks}
    found = []
    for block in item.body:
        if isinstance(block, Text):
            found.append(f"<p>{text(block.text)}</p>")
        elif isinstance(block, Code):
            found.append(f"<pre>{escape(block.code)}</pre>")
        else:
            found.append(table(block, lambda s: slot(blanks[s.blank])))
    return "".join(found)


def table(grid: Grid, slot: Callable[[Slot], str]) -> str:
    """A table with its places for answers."""
    head = "".join(f"<th>{text(h)}</th>" for h in grid.header)
    rows = [
        "<tr>" + "".join(f"<td>{slot(c) if isinstance(c, Slot) else text(c)}</td>" for c in row) + "</tr>"
        for row in grid.rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def conventions(item: Item) -> str:
    """The sentence on conventions."""
    return f"<p><em>{text(item.question.conventions)}</em></p>"


def derivation(item: Item) -> str:
    """The derivation as a list."""
    return "<ol>" + "".join(f"<li>{text(line)}</li>" for line in item.question.derivation) + "</ol>"
