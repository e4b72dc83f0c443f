"""HTML: one page that needs nothing else, light or dark, with folded answers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rfcalc.teaching.exercises.formats import Paper
from rfcalc.teaching.exercises.formats._html import body, conventions, derivation, text
from rfcalc.teaching.exercises.formats._text import LETTERS, units
from rfcalc.teaching.exercises.item import Blank, Item

_STYLE = """:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.8rem 0;display:block;overflow-x:auto}
th,td{border:1px solid #8888;padding:.2rem .6rem;text-align:left}
ol.options{list-style:lower-alpha}
details{margin:.5rem 0 2rem;border-left:3px solid #8888;padding-left:.8rem}
summary{cursor:pointer}
.id{font-size:.8rem;opacity:.7}
@media print{details{display:none}}"""


def render(items: Sequence[Item], paper: Paper) -> str:
    """The page."""
    parts = [_item(item, number) for number, item in enumerate(items, 1)]
    title = escape(paper.heading)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n'
        + "\n".join(parts)
        + "\n</body>\n</html>"
    )


def _item(item: Item, number: int) -> str:
    single = item.single
    options = ""
    if single is not None and single.kind == "choice":
        options = '<ol class="options">' + "".join(f"<li>{text(o.text)}</li>" for o in single.options) + "</ol>"
    answers = _single(single) if single is not None else _several(item)
    about = f'<p class="id">{escape(item.id)}, difficulty {item.difficulty}</p>'
    return (
        f'<section id="{escape(item.id)}"><h2>{number}. {text(item.title)}</h2>{body(item)}{options}{conventions(item)}'
        f"<details><summary>Answer</summary>{answers}{derivation(item)}{about}</details></section>"
    )


def _single(blank: Blank) -> str:
    tolerance = f" (± {escape(blank.tolerance)})" if blank.tolerance else ""
    key = text(blank.key)
    if blank.kind == "choice":
        key = f"({LETTERS[blank.options.index(blank.right)]}) {key}"
    wrong = [f"<li>{text(o.text)}: {text(o.feedback)}</li>" for o in blank.options if not o.right]
    more = f"<ul>{''.join(wrong)}</ul>" if wrong else ""
    return f"<p><strong>{key}</strong>{escape(units(blank.unit))}{tolerance}</p>{more}"


def _several(item: Item) -> str:
    rows = [f"<li>{text(b.label)}: <strong>{text(b.key)}</strong>{escape(units(b.unit))}</li>" for b in item.blanks]
    return f"<ul>{''.join(rows)}</ul>"
