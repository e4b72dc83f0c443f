"""Which misconception makes a wrong number: every one whose rule gives it, those that explain most first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.teaching.case import Case
from rfcalc.teaching.grading.answers import Answer
from rfcalc.teaching.grading.columns import ADDED, PARTS
from rfcalc.teaching.grading.following import Followed, figure_of
from rfcalc.teaching.misconceptions import Misconception, ordered, touching

MEGABYTES = Misconception(
    "M14",
    "mebibytes-for-megabytes",
    "MB against MiB",
    "1 MB is 10⁶ bytes and 1 MiB is 2²⁰; say which one is meant.",
)
_BINARY = (Fraction(2**10, 10**3), Fraction(2**20, 10**6), Fraction(2**30, 10**9))


def makers(answer: Answer, figure: str, step: Followed, others: Sequence[Followed] = ()) -> list[Misconception]:
    """The misconceptions that give the number: from the student's numbers before the row, with the student's own map,
    from the right numbers before it. `others` are layers whose counts the row includes."""
    found: dict[str, Misconception] = {}
    asked = "output_shape" if figure in PARTS else figure
    cases = list(dict.fromkeys(id(c) for c in (step.case, step.own, step.clean)))
    by_id = {id(c): c for c in (step.case, step.own, step.clean)}
    for case in (by_id[i] for i in cases):
        more = sum(figure_of(o.case, figure) or 0 for o in others) if figure in ADDED else 0
        for one in touching(asked):
            for value in _wrong(one, case, asked):
                if figure in PARTS:
                    axis = PARTS.index(figure)
                    value = value[axis] if axis < len(value) and case.y.rank else None
                    if value == figure_of(case, figure):
                        continue
                if answer.fits(value) or (more and answer.fits(value + more)):
                    found[one.name] = one
    if figure == "bytes":
        right = figure_of(step.clean, figure)
        if right and any(abs(n.value * b - right) <= max(n.half * b, 0) for n in answer.counts for b in _BINARY):
            found[MEGABYTES.name] = MEGABYTES
    return list(found.values())


def _wrong(one: Misconception, case: Case, figure: str) -> tuple[Any, ...]:
    try:
        return one.wrong(case, figure)
    except (RfcalcError, ArithmeticError, IndexError, AttributeError, TypeError):
        return ()  # the student's map is none that the rule can work on


def ranked(found: Sequence[Iterable[Misconception]]) -> dict[str, int]:
    """How many wrong cells of a table each misconception explains, by name."""
    counts: dict[str, int] = {}
    for cell in found:
        for one in cell:
            counts[one.name] = counts.get(one.name, 0) + 1
    return counts


@cache
def _listed() -> dict[str, int]:
    return {m.name: i for i, m in enumerate(ordered())}


def order(found: Iterable[Misconception], row: dict[str, int], table: dict[str, int]) -> tuple[Misconception, ...]:
    """Those that explain most cells of the row first, then most of the table, then as they are listed."""
    listed = _listed()
    return tuple(sorted(found, key=lambda m: (-row.get(m.name, 0), -table.get(m.name, 0), listed.get(m.name, 999))))
