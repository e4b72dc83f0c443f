"""Moodle XML: numbers with tolerance 0, choices, tables as cloze questions, feedback for each answer."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape

from rfcalc.teaching.exercises.draw import seed_of, text_of
from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._html import body, conventions, derivation, image, svg
from rfcalc.teaching.exercises.formats._html import text as html
from rfcalc.teaching.exercises.formats._xml import Element, document, element
from rfcalc.teaching.exercises.item import AnswerOption, Blank, ExerciseItem, PictureRecipe

# Cloze questions have signs of their own; as entities they mean nothing to Moodle's parser and the same to a browser.
_CLOZE = str.maketrans(
    {"{": "&lcub;", "}": "&rcub;", "#": "&num;", "/": "&sol;", "\\": "&bsol;", '"': "&quot;", "~": "\\~"}
)


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The quiz; a category first, with the item's ids as ID numbers."""
    name = paper.heading.replace("/", "//")
    category = element("question", element("category", _text(f"$course$/top/{name}")), type="category")
    return document(element("quiz", category, *map(_item, items)))


def _text(value: str) -> Element:
    return element("text", value)


def _html(tag: str, value: str, picture: PictureRecipe | None = None) -> Element:
    files = [] if picture is None else [_file(picture)]
    return element(tag, _text(value), *files, format="html")


def _file(picture: PictureRecipe) -> Element:
    """The picture as Moodle stores it: a file of the text that it stands in."""
    return element("file", b64encode(svg(picture)).decode(), name=_name(picture), path="/", encoding="base64")


def _placed(picture: PictureRecipe) -> Element:
    return image(picture, f"@@PLUGINFILE@@/{_name(picture)}")


def _name(picture: PictureRecipe) -> str:
    return f"{picture.kind}-{text_of(seed_of('picture', *picture))}.svg"


def _item(item: ExerciseItem) -> Element:
    single = item.single
    return element(
        "question",
        element("name", _text(f"{item.title} ({item.id[-6:]})")),
        _html("questiontext", _asked(item) + conventions(item), item.question.picture),
        _html("generalfeedback", derivation(item, _placed), item.question.solution),
        *([] if single is None else [element("defaultgrade", "1")]),
        element("penalty", "0"),
        element("hidden", "0"),
        element("idnumber", item.id),
        *([] if single is None else _single(single)),
        element("tags", *(element("tag", _text(tag)) for tag in item.question.tags)),
        type="cloze" if single is None else _TYPES[single.kind],
    )


def _asked(item: ExerciseItem) -> str:
    """The body with Moodle's own signs for the places for answers, which are no HTML."""
    places = {b.name: cloze(b) for b in item.blanks if b.kind != "choice"}
    return re.sub("\ue000(.*?)\ue001", lambda m: places[m[1]], body(item, lambda b: f"\ue000{b.name}\ue001", _placed))


_TYPES = {"integer": "numerical", "decimal": "numerical", "shape": "shortanswer", "choice": "multichoice"}


def _single(blank: Blank) -> list[Element]:
    if blank.kind == "choice":
        about = {"single": "true", "shuffleanswers": "false", "answernumbering": "abc"}
        return [*(element(tag, value) for tag, value in about.items()), *map(_choice, blank.options)]
    ordered = sorted(blank.options, key=lambda o: not o.right)
    if blank.kind == "shape":
        return [element("usecase", "0"), *(_typed(o, text) for o in ordered for text in blank.typed(o))]
    found = [_typed(o, o.text, element("tolerance", blank.tolerance or "0")) for o in ordered]
    return [*found, element("unitgradingtype", "0"), element("showunits", "3")]


def _choice(option: AnswerOption) -> Element:
    parts = (_text(html(option.text)), _html("feedback", html(option.feedback)))
    return element("answer", *parts, fraction=_share(option), format="html")


def _typed(option: AnswerOption, text: str, *more: Element) -> Element:
    parts = (_text(text), _html("feedback", html(option.feedback)), *more)
    return element("answer", *parts, fraction=_share(option), format="plain_text")


def _share(option: AnswerOption) -> str:
    return "100" if option.right else "0"


def _said(option: AnswerOption) -> str:
    return escape(option.feedback.replace("`", ""), quote=False).translate(_CLOZE)


def cloze(blank: Blank) -> str:
    """A place for an answer in a cloze question: ``{1:NUMERICAL:=5:0#Right.~%0%4:0#…}``."""
    kind = {"integer": "NUMERICAL", "decimal": "NUMERICAL", "shape": "SHORTANSWER"}[blank.kind]
    tolerance = f":{blank.tolerance or '0'}" if kind == "NUMERICAL" else ""
    answers = []
    for option in sorted(blank.options, key=lambda o: not o.right):
        sign = "=" if option.right else "%0%"
        answers += [f"{sign}{text.translate(_CLOZE)}{tolerance}#{_said(option)}" for text in blank.typed(option)]
    return f"{{1:{kind}:{'~'.join(answers)}}}"
