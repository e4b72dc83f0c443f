"""Whether a typed answer is right: numbers, shapes and choices as people type them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.report.units import read
from rfcalc.teaching.cells import sizes
from rfcalc.teaching.exercises.formats._text import LETTERS, plain
from rfcalc.teaching.exercises.item import AnswerOption, Blank


class Mark(NamedTuple):
    """Whether the answer is right, and what to say about it."""

    right: bool
    said: str


_ROUNDED = re.compile(r"\s*([0-9][0-9_,]*(?:\.([0-9]+))?)\s*([kKmMgGtT]i?)")


def mark(blank: Blank, typed: str) -> Mark:
    """The mark of an answer.

    Raises:
        RfcalcError: what was typed cannot be read as an answer of this kind; it costs nothing to type again.

    >>> number = Blank("a", "integer", "parameters", "3211264", (AnswerOption("3211264", True, "Right."),))
    >>> mark(number, "3,211,264").right, mark(number, "3.2M"), mark(number, "3.3M").right
    (True, Mark(right=True, said='Right, rounded; exactly it is 3211264.'), False)
    """
    return _WAYS[blank.kind](blank, typed.strip())


def _choice(blank: Blank, typed: str) -> Mark:
    texts = [plain(o.text) for o in blank.options]
    word = typed.lower().strip("().")
    if len(word) == 1 and word in LETTERS[: len(texts)] and word not in texts:
        return _of(blank, blank.options[LETTERS.index(word)])
    known = [o for o, text in zip(blank.options, texts, strict=True) if text.lower() == typed.lower()]
    if not known and len(typed) >= 1:
        known = [o for o, t in zip(blank.options, texts, strict=True) if t.lower().startswith(typed.lower())]
    if len(known) != 1:
        letters = ", ".join(LETTERS[: len(texts)])
        raise RfcalcError(f"{typed!r} is none of the options", fix=f"type a letter: {letters}")
    return _of(blank, known[0])


def _of(blank: Blank, option: AnswerOption) -> Mark:
    return Mark(option.right, plain(option.feedback))


def _number(blank: Blank, typed: str) -> Mark:
    value = _read(typed, blank.unit)
    key = Fraction(blank.key)
    if abs(value - key) <= Fraction(blank.tolerance or 0):
        return Mark(True, "Right.")
    rounded = _ROUNDED.match(typed)
    if rounded and not blank.unit:
        scale = value / Fraction(rounded[1].replace(",", "").replace("_", "")) if value else Fraction(1)
        if abs(value - key) * 2 <= scale / 10 ** len(rounded[2] or ""):
            return Mark(True, f"Right, rounded; exactly it is {blank.key}.")
    for option in blank.options:
        if not option.right and Fraction(option.text) == value:
            return Mark(False, plain(option.feedback))
    return Mark(False, "Not right.")


def _read(typed: str, unit: str) -> Fraction:
    """A number with or without its unit; a sign and fractions too."""
    text = typed.strip()
    if unit and text.lower().endswith(unit.lower()):
        text = text[: len(text) - len(unit)].strip()
    sign = -1 if text[:1] in "-−" and len(text) > 1 else 1
    text = text.lstrip("-−+").strip()
    if re.fullmatch(r"\d+\s*/\s*\d+", text) and not re.search(r"/\s*0+$", text):
        return sign * Fraction(text.replace(" ", ""))
    return sign * read(text)


def _shape(blank: Blank, typed: str) -> Mark:
    found = sizes(typed)
    for option in blank.options:
        if any(n.denominator > 1 for n in found) and sizes(option.text) == found:  # a size that was not rounded
            return _of(blank, option)
    dims = [int(n) for n in found]
    if not dims or any(n.denominator > 1 for n in found):
        raise RfcalcError(f"{typed!r} is not a shape", fix="write it like 64x112x112")
    key = [int(p) for p in blank.key.split("x")]
    if len(dims) == len(key) + 1 and dims[0] == 1:  # a batch of one
        dims = dims[1:]
    if dims == key:
        return Mark(True, "Right.")
    if len(key) == 3 and dims == [*key[1:], key[0]]:
        return Mark(True, f"Right, with the channels last; here they come first: {blank.key}.")
    text = "x".join(map(str, dims))
    said = next((plain(o.feedback) for o in blank.options if not o.right and o.text == text), "Not right.")
    return Mark(False, said)


_WAYS = {"integer": _number, "decimal": _number, "shape": _shape, "choice": _choice}
