"""Items as HTML fragments, for the formats that hold HTML."""

from __future__ import annotations

from collections.abc import Callable

from rfcalc.teaching.exercises.formats._xml import Element, element, fragment
from rfcalc.teaching.exercises.item import Blank, Code, Grid, Item, Slot, Text


def spans(found: str) -> list[Element | str]:
    """A text as strings and its code spans as elements."""
    parts = found.split("`")
    if len(parts) % 2 == 0:  # a sign without its partner stands for itself
        parts[-2:] = ["`".join(parts[-2:])]
    return [element("code", part) if i % 2 else part for i, part in enumerate(parts) if part or i % 2]


def text(found: str) -> str:
    """A text with its code spans, as HTML.

    >>> text("a < `b & c`")
    'a &lt; <code>b &amp; c</code>'
    """
    return fragment(element("p", *spans(found)))[len("<p>") : -len("</p>")]


def elements(item: Item, slot: Callable[[Blank], Element | str] = lambda blank: "") -> list[Element]:
    """The item's body; `slot` draws the places for answers, and gets their blanks."""
    blanks = {b.name: b for b in item.blanks}
    found = []
    for block in item.body:
        if isinstance(block, Text):
            found.append(element("p", *spans(block.text)))
        elif isinstance(block, Code):
            found.append(element("pre", block.code))
        else:
            found.append(table(block, lambda s: slot(blanks[s.blank])))
    return found


def body(item: Item, slot: Callable[[Blank], Element | str] = lambda blank: "") -> str:
    """The item's body as HTML."""
    return fragment(*elements(item, slot))


def table(grid: Grid, slot: Callable[[Slot], Element | str]) -> Element:
    """A table with its places for answers."""
    head = element("tr", *(element("th", *spans(h)) for h in grid.header))
    rows = (
        element("tr", *(element("td", *([slot(c)] if isinstance(c, Slot) else spans(c))) for c in row))
        for row in grid.rows
    )
    return element("table", element("thead", head), element("tbody", *rows))


def conventions(item: Item) -> str:
    """The sentence on conventions."""
    return fragment(element("p", element("em", *spans(item.question.conventions))))


def derivation(item: Item) -> str:
    """The derivation as a list."""
    return fragment(element("ol", *(element("li", *spans(line)) for line in item.question.derivation)))
