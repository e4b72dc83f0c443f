"""HTML: one page that needs nothing else, light or dark, with folded answers."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import tostring

from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._html import derived, elements, spans
from rfcalc.teaching.exercises.formats._text import LETTERS, units
from rfcalc.teaching.exercises.formats._xml import Element, element
from rfcalc.teaching.exercises.item import Blank, ExerciseItem

_STYLE = """:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.8rem 0;display:block;overflow-x:auto}
th,td{border:1px solid #8888;padding:.2rem .6rem;text-align:left}
ol.options{list-style:lower-alpha}
details{margin:.5rem 0 2rem;border-left:3px solid #8888;padding-left:.8rem}
summary{cursor:pointer}
.id{font-size:.8rem;opacity:.7}
@media print{details{display:none}}"""


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("title", paper.heading),
        element("meta", name="viewport", content="width=device-width"),
        element("style", _STYLE),
    )
    sections = (_item(item, number) for number, item in enumerate(items, 1))
    page = element("html", head, element("body", element("h1", paper.heading), *sections), lang="en")
    return "<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html")


def _item(item: ExerciseItem, number: int) -> Element:
    single = item.single
    options = []
    if single is not None and single.kind == "choice":
        options = [element("ol", *(element("li", *spans(o.text)) for o in single.options), class_="options")]
    return element(
        "section",
        element("h2", f"{number}. ", *spans(item.title)),
        *elements(item),
        *options,
        element("p", element("em", *spans(item.question.conventions))),
        element(
            "details",
            element("summary", "Answer"),
            *(_single(single) if single is not None else [_several(item)]),
            *derived(item),
            element("p", f"{item.id}, difficulty {item.difficulty}", class_="id"),
        ),
        id=item.id,
    )


def _single(blank: Blank) -> list[Element]:
    tolerance = f" (± {blank.tolerance})" if blank.tolerance else ""
    letter = f"({LETTERS[blank.options.index(blank.right)]}) " if blank.kind == "choice" else ""
    wrong = [element("li", *spans(o.text), ": ", *spans(o.feedback)) for o in blank.options if not o.right]
    key = element("p", element("strong", letter, *spans(blank.key)), units(blank.unit), tolerance)
    return [key, *([element("ul", *wrong)] if wrong else [])]


def _several(item: ExerciseItem) -> Element:
    rows = (element("li", *spans(b.label), ": ", element("strong", *spans(b.key)), units(b.unit)) for b in item.blanks)
    return element("ul", *rows)
