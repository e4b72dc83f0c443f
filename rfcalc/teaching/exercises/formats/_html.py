"""Items as HTML fragments, for the formats that hold HTML."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import TypeAlias

from rfcalc.teaching.exercises.formats._text import plain
from rfcalc.teaching.exercises.formats._text import said as in_words
from rfcalc.teaching.exercises.formats._xml import Element, element, fragment
from rfcalc.teaching.exercises.item import AnswerSlot, Blank, Code, ExerciseItem, ExerciseTable, PictureRecipe, Text


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


def svg(figure: PictureRecipe) -> bytes:
    """The file of a picture: light or dark, as its reader's system is."""
    from rfcalc.render.svg import alone
    from rfcalc.teaching.exercises.pictures import drawn

    return alone(drawn(figure)).encode()


def inside(figure: PictureRecipe) -> Element:
    """A picture as an image that stands in the page itself."""
    return image(figure, f"data:image/svg+xml;base64,{b64encode(svg(figure)).decode()}")


def image(figure: PictureRecipe, source: str) -> Element:
    """A picture that lies elsewhere."""
    return element("p", element("img", src=source, alt=plain(figure.says), style="max-width:100%"))


def said(figure: PictureRecipe) -> Element:
    """A picture in words, for formats that carry none."""
    return element("p", in_words(figure))


Show: TypeAlias = "Callable[[PictureRecipe], Element]"


def elements(
    item: ExerciseItem, slot: Callable[[Blank], Element | str] = lambda blank: "", show: Show = inside
) -> list[Element]:
    """The item's body and picture; `slot` draws the places for answers, and gets their blanks, `show` the picture."""
    blanks = {b.name: b for b in item.blanks}
    found = []
    for block in item.body:
        if isinstance(block, Text):
            found.append(element("p", *spans(block.text)))
        elif isinstance(block, Code):
            found.append(element("pre", block.code))
        else:
            found.append(table(block, lambda s: slot(blanks[s.blank])))
    if item.question.picture is not None:
        found.append(show(item.question.picture))
    return found


def body(item: ExerciseItem, slot: Callable[[Blank], Element | str] = lambda blank: "", show: Show = inside) -> str:
    """The item's body as HTML."""
    return fragment(*elements(item, slot, show))


def table(grid: ExerciseTable, slot: Callable[[AnswerSlot], Element | str]) -> Element:
    """A table with its places for answers."""
    head = element("tr", *(element("th", *spans(h)) for h in grid.header))
    rows = (
        element("tr", *(element("td", *([slot(c)] if isinstance(c, AnswerSlot) else spans(c))) for c in row))
        for row in grid.rows
    )
    return element("table", element("thead", head), element("tbody", *rows))


def conventions(item: ExerciseItem) -> str:
    """The sentence on conventions."""
    return fragment(element("p", element("em", *spans(item.question.conventions))))


def derived(item: ExerciseItem, show: Show = inside) -> list[Element]:
    """The derivation as a list, and its picture."""
    lines = element("ol", *(element("li", *spans(line)) for line in item.question.derivation))
    return [lines] if item.question.solution is None else [lines, show(item.question.solution)]


def derivation(item: ExerciseItem, show: Show = inside) -> str:
    """The derivation as HTML."""
    return fragment(*derived(item, show))
