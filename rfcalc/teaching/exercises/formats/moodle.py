"""Moodle XML: numbers with tolerance 0, choices, tables as cloze questions, feedback for each answer."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from rfcalc.teaching.exercises.formats import Paper
from rfcalc.teaching.exercises.formats._html import body, conventions, derivation
from rfcalc.teaching.exercises.formats._html import text as html
from rfcalc.teaching.exercises.item import Blank, Item, Option

# Cloze questions have signs of their own; as entities they mean nothing to Moodle's parser and the same to a browser.
_CLOZE = str.maketrans(
    {"{": "&lcub;", "}": "&rcub;", "#": "&num;", "/": "&sol;", "\\": "&bsol;", '"': "&quot;", "~": "\\~"}
)


def render(items: Sequence[Item], paper: Paper) -> str:
    """The quiz; a category first, with the item's ids as ID numbers."""
    found = ['<?xml version="1.0" encoding="UTF-8"?>', "<quiz>", _category(paper)]
    found += [_item(item) for item in items]
    return "\n".join([*found, "</quiz>"])


def _category(paper: Paper) -> str:
    name = paper.heading.replace("/", "//")
    return f'<question type="category"><category>{_text(f"$course$/top/{name}")}</category></question>'


def _text(value: str) -> str:
    return f"<text>{escape(value)}</text>"


def _item(item: Item) -> str:
    single = item.single
    kind = "cloze" if single is None else _TYPES[single.kind]
    asked = body(item, cloze) + conventions(item)
    parts = [
        f"<name>{_text(f'{item.title} ({item.id[-6:]})')}</name>",
        f'<questiontext format="html">{_text(asked)}</questiontext>',
        f'<generalfeedback format="html">{_text(derivation(item))}</generalfeedback>',
        *([] if single is None else ["<defaultgrade>1</defaultgrade>"]),
        "<penalty>0</penalty>",
        "<hidden>0</hidden>",
        f"<idnumber>{escape(item.id)}</idnumber>",
        *(_single(single) if single is not None else []),
        "<tags>" + "".join(f"<tag>{_text(t)}</tag>" for t in item.question.tags) + "</tags>",
    ]
    return f"<question type={quoteattr(kind)}>\n  " + "\n  ".join(parts) + "\n</question>"


_TYPES = {"integer": "numerical", "decimal": "numerical", "shape": "shortanswer", "choice": "multichoice"}


def _single(blank: Blank) -> list[str]:
    if blank.kind == "choice":
        about = ["<single>true</single>", "<shuffleanswers>false</shuffleanswers>"]
        return [*about, "<answernumbering>abc</answernumbering>", *[_choice(o) for o in blank.options]]
    ordered = sorted(blank.options, key=lambda o: not o.right)
    if blank.kind == "shape":
        return ["<usecase>0</usecase>", *[_typed(o, "") for o in ordered]]
    found = [_typed(o, f"<tolerance>{blank.tolerance or '0'}</tolerance>") for o in ordered]
    return [*found, "<unitgradingtype>0</unitgradingtype>", "<showunits>3</showunits>"]


def _feedback(option: Option) -> str:
    return f'<feedback format="html">{_text(html(option.feedback))}</feedback>'


def _choice(option: Option) -> str:
    share = "100" if option.right else "0"
    return f'<answer fraction="{share}" format="html">{_text(html(option.text))}{_feedback(option)}</answer>'


def _typed(option: Option, more: str) -> str:
    share = "100" if option.right else "0"
    return f'<answer fraction="{share}" format="plain_text">{_text(option.text)}{_feedback(option)}{more}</answer>'


def _said(option: Option) -> str:
    return escape(option.feedback.replace("`", "")).translate(_CLOZE)


def cloze(blank: Blank) -> str:
    """A place for an answer in a cloze question: ``{1:NUMERICAL:=5:0#Right.~%0%4:0#…}``."""
    kind = {"integer": "NUMERICAL", "decimal": "NUMERICAL", "shape": "SHORTANSWER"}[blank.kind]
    tolerance = f":{blank.tolerance or '0'}" if kind == "NUMERICAL" else ""
    answers = []
    for option in sorted(blank.options, key=lambda o: not o.right):
        sign = "=" if option.right else "%0%"
        answers.append(f"{sign}{option.text.translate(_CLOZE)}{tolerance}#{_said(option)}")
    return f"{{1:{kind}:{'~'.join(answers)}}}"
