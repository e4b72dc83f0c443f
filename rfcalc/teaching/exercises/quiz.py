"""A quiz in the terminal: one item after another, answers as people type them, explanations, a score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import wrap
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.teaching.exercises.formats._text import LETTERS, body, plain, units
from rfcalc.teaching.exercises.item import Blank, ExerciseItem
from rfcalc.teaching.exercises.marking import mark

WIDTH = 88
TRIES = 3  # to type something that can be read


class Score(NamedTuple):
    """How many answers were right, of how many that were asked for."""

    right: int = 0
    asked: int = 0

    def __str__(self) -> str:
        return f"{self.right} of {self.asked} right" + (f", {100 * self.right // self.asked} %" if self.asked else "")


class Stop(Exception):
    """Nothing more will be typed."""


def run(items: Sequence[ExerciseItem], ask: Callable[[str], str | None], tell: Callable[[str], None]) -> Score:
    """Ask the items.

    Args:
        ask: shows a prompt and returns a line, None at the end of the input.
        tell: shows a line.
    """
    score = Score()
    for number, item in enumerate(items, 1):
        for line in _shown(item, number, len(items)):
            tell(line)
        try:
            for blank in item.blanks:
                right = _one(item, blank, ask, tell)
                score = Score(score.right + right, score.asked + 1)
        except Stop:
            tell("")
            break
        tell("")
        for line in _explained(item):
            tell(line)
        tell("")
    tell(str(score))
    return score


def _shown(item: ExerciseItem, number: int, count: int) -> Iterator[str]:
    yield f"{number}/{count}  {item.title}"
    yield ""
    for line in body(item, lambda s: "?"):
        yield from [line] if "  " in line or len(line) <= WIDTH else wrap(line, WIDTH)
    single = item.single
    if single is not None and single.kind == "choice":
        yield ""
        for i, option in enumerate(single.options):
            yield from wrap(
                f"{LETTERS[i]}) {plain(option.text)}", WIDTH, initial_indent="  ", subsequent_indent="     "
            )
    yield ""
    yield from wrap(f"({plain(item.question.conventions)})", WIDTH)


def _one(item: ExerciseItem, blank: Blank, ask: Callable[[str], str | None], tell: Callable[[str], None]) -> bool:
    prompt = "> " if item.single else f"{blank.label}{units(blank.unit)} > "
    if blank.unit and item.single:
        prompt = f"{blank.unit} > "
    for _ in range(TRIES):
        typed = ask(prompt)
        if typed is None or typed.strip().lower() in ("q", "quit", "exit"):
            raise Stop
        if not typed.strip():
            tell(f"  It is {_key(blank)}.")
            return False
        try:
            found = mark(blank, typed)
        except RfcalcError as error:
            tell(f"  {error.what}; {error.fix}" if error.fix else f"  {error.what}")
            continue
        said = found.said if found.right else f"{found.said} It is {_key(blank)}."
        if not found.right and not found.said.startswith("Not right"):
            said = f"Not right. {said}"
        for line in wrap(said, WIDTH - 2):
            tell(f"  {line}")
        return found.right
    tell(f"  It is {_key(blank)}.")
    return False


def _key(blank: Blank) -> str:
    if blank.kind == "choice":
        return f"{LETTERS[blank.options.index(blank.right)]}) {plain(blank.key)}"
    return blank.key + units(blank.unit)


def _explained(item: ExerciseItem) -> Iterator[str]:
    for line in item.question.derivation:
        yield from wrap(plain(line), WIDTH, initial_indent="  | ", subsequent_indent="  |   ")
