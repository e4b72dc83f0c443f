"""An item as a form in a page, and the marks of what is typed into it. `docs/playground` shows them in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.teaching.exercises.formats._html import conventions, derivation, elements, spans
from rfcalc.teaching.exercises.formats._text import LETTERS, plain, units
from rfcalc.teaching.exercises.formats._xml import Element, element, fragment
from rfcalc.teaching.exercises.item import Blank, ExerciseItem
from rfcalc.teaching.exercises.marking import mark


def question(item: ExerciseItem) -> str:
    """The item's body as HTML, with a field for every answer, called by its blank's name, and a place for its mark.

    Choices are radio buttons whose values are the letters of the options.

    >>> from rfcalc.teaching.exercises.bank import exercises
    >>> typed, chosen = exercises(2, 2, family="parameters", form="one-layer")
    >>> [question(item).count("<input") for item in (chosen, typed)]
    [4, 1]
    """
    placed = elements(item, lambda blank: element("span", *_field(blank, shown=False)))
    after = [] if item.inline else [element("p", *_field(blank, shown=item.single is None)) for blank in item.blanks]
    return fragment(*placed, *after) + conventions(item)


def _field(blank: Blank, shown: bool) -> list[Element | str]:
    """The field of an answer and the place for its mark; `shown`: the label stands before it."""
    place = element("output", **{"data-blank": blank.name})
    label: list[Element | str] = [*spans(blank.label), ": "] if shown else []
    if blank.kind == "choice":
        lines = [element("br") if i else element("span") for i in range(len(blank.options))]
        radios = [
            element(
                "label",
                element("input", type="radio", name=blank.name, value=letter),
                f" {letter}) ",
                *spans(option.text),
            )
            for letter, option in zip(LETTERS, blank.options, strict=False)
        ]
        options = [one for pair in zip(lines, radios, strict=True) for one in pair]
        return [*label, element("span", *options, role="radiogroup", **{"aria-label": plain(blank.label)}), " ", place]
    field = element(
        "input", type="text", name=blank.name, size="14", autocomplete="off", **{"aria-label": plain(blank.label)}
    )
    return [*label, field, units(blank.unit), " ", place]


def marked(item: ExerciseItem, typed: Mapping[str, str]) -> dict[str, Any]:
    """The marks of a filled-in form, as JSON.

    Returns:
        ``again``, a message for each answer that cannot be read: then nothing is marked, and it costs nothing to type
        it again. Else ``marks`` (for each blank whether it is ``right``, what to say, the key), how many are ``right``
        of how many were ``asked``, and the derivation as HTML.

    >>> from rfcalc.teaching.exercises.bank import exercises
    >>> item = exercises(1, 1, family="parameters", form="one-layer")[0]
    >>> marked(item, {item.blanks[0].name: item.blanks[0].key})["right"]
    1
    >>> marked(item, {item.blanks[0].name: "many"})["again"]
    {'answer': "'many' is not a number: write it like 212, 200k, 1.5GMac, 58MiB or 1,728"}
    """
    marks: dict[str, dict[str, Any]] = {}
    again = {}
    for blank in item.blanks:
        key = plain(blank.key) + units(blank.unit)
        if blank.kind == "choice":
            key = f"{LETTERS[blank.options.index(blank.right)]}) {key}"
        answer = typed.get(blank.name, "").strip()
        if not answer:
            marks[blank.name] = {"right": False, "said": "No answer.", "key": key}
            continue
        try:
            found = mark(blank, answer)
        except RfcalcError as error:
            again[blank.name] = f"{error.what}: {error.fix}" if error.fix else error.what
            continue
        marks[blank.name] = {"right": found.right, "said": found.said, "key": key}
    if again:
        return {"again": again}
    right = sum(one["right"] for one in marks.values())
    return {"marks": marks, "right": right, "asked": len(marks), "derivation": derivation(item)}
