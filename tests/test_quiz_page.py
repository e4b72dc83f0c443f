"""The quiz of the page: every item as a form, its keys marked right, its misconceptions wrong, its form well made."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

from rfcalc.teaching.exercises.bank import exercises
from rfcalc.teaching.exercises.formats._text import LETTERS
from rfcalc.teaching.exercises.in_page import marked, question
from rfcalc.teaching.exercises.item import AnswerOption, Blank


def _typed(blank: Blank, option: AnswerOption) -> str:
    return LETTERS[blank.options.index(option)] if blank.kind == "choice" else option.text


def test_keys_are_right_and_misconceptions_wrong() -> None:
    kinds = set()
    for item in exercises(400, "pages"):
        keys = {blank.name: _typed(blank, blank.right) for blank in item.blanks}
        told = marked(item, keys)
        assert told["right"] == told["asked"] == len(item.blanks), item.id
        assert "<li>" in told["derivation"]
        for blank in item.blanks:
            kinds.add((blank.kind, item.single is not None))
            for option in blank.options:
                if not option.right:
                    told = marked(item, {**keys, blank.name: _typed(blank, option)})
                    assert told["right"] == told["asked"] - 1, (item.id, option)
                    assert told["marks"][blank.name]["said"]
            told = marked(item, {**keys, blank.name: ""})
            assert told["right"] == told["asked"] - 1
    assert {("choice", True), ("integer", True), ("integer", False), ("shape", False)} <= kinds


def test_a_form_has_a_field_and_a_place_for_every_answer() -> None:
    for item in exercises(400, "forms"):
        page = fromstring(f"<div>{question(item)}</div>")
        fields = page.findall(".//input")
        assert {field.get("name") for field in fields} == {blank.name for blank in item.blanks}
        assert [place.get("data-blank") for place in page.iter("output")] == [blank.name for blank in item.blanks]
        for blank in item.blanks:
            own = [field for field in fields if field.get("name") == blank.name]
            assert len(own) == (len(blank.options) if blank.kind == "choice" else 1)
            assert blank.kind == "choice" or own[0].get("aria-label")


def test_what_cannot_be_read_costs_nothing() -> None:
    for item in exercises(60, "typing"):
        blank = item.blanks[0]
        told = marked(item, {blank.name: "?!"})
        assert set(told) == {"again"} and set(told["again"]) == {blank.name}
