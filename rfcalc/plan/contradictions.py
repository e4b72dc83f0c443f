"""Constraints that no network at all can hold, told from the constraints alone: the two that exclude each other."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.plan.figures import PLACED
from rfcalc.report.constraints import SIGNED, Constraint
from rfcalc.report.metrics import METRICS, SHARES, metric

LEAST = {"receptive_field": 1, "nodes": 1}  # what is never less than this; other counts never less than 0
FRACTIONS = ("padding", "center", "stride", *SHARES)


class Interval(NamedTuple):
    """What a constraint leaves of a figure on an axis: from a least to a greatest value, ends included or not."""

    low: Fraction | None
    high: Fraction | None
    open_low: bool = False
    open_high: bool = False

    def empty(self, other: Interval) -> bool:
        """Whether nothing lies in both."""
        return self._above(other) or other._above(self)

    def _above(self, other: Interval) -> bool:
        if self.low is None or other.high is None:
            return False
        return self.low > other.high or (self.low == other.high and (self.open_low or other.open_high))


def refuse(constraints: Sequence[Constraint]) -> None:
    """Refuse constraints that contradict each other, or themselves.

    Raises:
        RfcalcError: naming the two.

    >>> from rfcalc.report.constraints import parse
    >>> refuse(parse("rf >= 10 and rf <= 5", output=True))
    Traceback (most recent call last):
    rfcalc.core.errors.RfcalcError: rf >= 10 and rf <= 5 contradict each other...
    """
    read = [(c, *_interval(c)) for c in constraints]
    for i, (one, subject, intervals) in enumerate(read):
        least = _least(subject)
        if least is not None and any(Interval(Fraction(least), None).empty(v) for v in intervals):
            raise RfcalcError(
                f"{one} contradicts what {subject.partition('@')[0]} is", why=f"it is never less than {least}",
                fix="ask for more than that",
            )  # fmt: skip
        for other, same, others in read[:i]:
            if subject != same or not subject:
                continue
            pairs = list(zip(intervals, others, strict=True)) if len(intervals) == len(others) > 1 else []
            pairs = pairs or [(a, b) for a in intervals for b in others]
            if any(a.empty(b) for a, b in pairs):
                raise RfcalcError(
                    f"{other} and {one} contradict each other", why="no number is both",
                    fix="leave one of them out, or change its bound",
                )  # fmt: skip


def _least(subject: str) -> int | None:
    """What a figure never falls below; None where it may."""
    name = subject.partition("@")[0]
    if not subject or name in SIGNED:
        return None
    return LEAST.get(name, 0)


def _interval(constraint: Constraint) -> tuple[str, list[Interval]]:
    """What is bounded, by one name, and what is left of it, for each axis that has a bound of its own."""
    how, sign, pattern = constraint.subject.partition("(")
    if how == "dense":
        return "", []
    if sign:
        words = " ".join(pattern.split())
        bounds = {"none": ("=", Fraction(0)), "some": (">", Fraction(0))}
        relation, wanted = bounds.get(how) or (constraint.relation, constraint.wanted)
        return f"count({words}", _read(relation, wanted, whole=True)
    name, _, node = constraint.subject.partition("@")
    name = metric(name).name
    if METRICS[name].full is str:
        return "", []
    intervals = _read(constraint.relation, constraint.wanted, name not in FRACTIONS)
    return (name if not node or (node == "output" and name in PLACED) else f"{name}@{node}"), intervals


def _read(relation: str, wanted: Any, whole: bool) -> list[Interval]:
    """The values that a relation leaves; whole numbers up to those at the ends."""
    found = []
    for v in wanted if isinstance(wanted, tuple) else (wanted,):
        low = v if relation in (">", ">=", "=", "==") else None
        high = v if relation in ("<", "<=", "=", "==") else None
        one = Interval(low, high, relation == ">", relation == "<")
        if whole:
            one = Interval(
                None if low is None else Fraction(floor(low) + 1 if one.open_low else ceil(low)),
                None if high is None else Fraction(ceil(high) - 1 if one.open_high else floor(high)),
            )
        found.append(one)
    return found
