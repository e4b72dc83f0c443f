"""A student's design against bounds: pass or fail, each failed bound with its figure and the nearest one that holds.

A design is a spec (TOML, JSON) or notation. It is data: nothing in it is run, and what would be code is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import is_number
from rfcalc.readers.target import Target, named, with_inputs
from rfcalc.report import Report
from rfcalc.report.constraints import Constraint, check

ENDINGS = (".toml", ".json", ".txt")  # of the files in a folder of designs
DATA = ("zoo", "notation", "text", "spec")  # sorts of targets that a student may hand in


class JudgedBound(NamedTuple):
    """One constraint: whether it holds, the figure that decides, and the nearest bound of its sort that would hold."""

    constraint: str
    holds: bool
    figure: str
    nearest: str = ""


class JudgedDesign(NamedTuple):
    """A design: its bounds, and the report that they were checked on."""

    bounds: tuple[JudgedBound, ...]
    report: Report

    @property
    def passed(self) -> bool:
        return all(b.holds for b in self.bounds)


def design(given: str, input: Any = None) -> Target:  # noqa: A002
    """The network of a design: a spec file, a file of text or notation, a network of the zoo, notation.

    Raises:
        RfcalcError: it cannot be read, or it is code or a framework's file.

    >>> design("conv3-8/2 > conv3-8").network.nodes[1].name
    'conv2'
    """
    found = named(given)
    if found.sort not in DATA:
        raise RfcalcError(
            "this is no design that can be graded",
            where=given[:200],
            why="a design is data: code is never run, models of frameworks are not loaded",
            fix="hand in a spec (design.toml, design.json) or notation (design.txt, or the text itself)",
        )
    return found.read(input)


def judge(given: str, constraints: Sequence[Constraint], input: Any = None, dtype: str = "float32") -> JudgedDesign:  # noqa: A002
    """Check a design.

    Args:
        given: as for `design`.
        constraints: what has to hold.
        input: the shape that it has to take; its own default if left out.

    Raises:
        RfcalcError: the design cannot be read, or its maps do not fit.

    >>> from rfcalc.report.constraints import parse
    >>> judged = judge("conv3-8/2 > conv3-8", parse("rf > 8, params < 1k, some(pool)"), "3x32x32")
    >>> [(b.holds, b.nearest) for b in judged.bounds]
    [(False, 'rf > 6'), (True, ''), (False, 'none(pool)')]
    """
    found = design(given, input)
    shapes, assumptions = found.at(input)
    report = Report(with_inputs(found.network, shapes), dtype=dtype, target=found.name, assumptions=assumptions)
    if not report.complete:
        raise RfcalcError("a layer is of no known kind, so its figures are not known", where=found.name)
    return JudgedDesign(tuple(_bound(c, report) for c in constraints), report)


def _bound(one: Constraint, report: Report) -> JudgedBound:
    if one.node is not None:
        try:
            report.network.position(one.node)
        except RfcalcError as error:
            return JudgedBound(
                one.text, False, f"{error.what}; there is {', '.join(n.name for n in report.network.nodes[:8])}"
            )
    ((_, holds, told),) = check(report, [one])
    return JudgedBound(one.text, holds, told, "" if holds else nearest(one, report))


def nearest(one: Constraint, report: Report) -> str:
    """The nearest bound of the same sort that the network keeps; empty if there is none."""
    have = one.value(report) if one.value is not None else None
    how, _, rest = one.subject.partition("(")
    if how in ("none", "some") and rest:
        return f"count({rest} = {have}" if how == "none" else f"none({rest}"
    values = have if isinstance(have, tuple) else (have,)
    if not values or not all(is_number(v) for v in values):
        return ""
    if one.relation in (">", ">="):
        low = min(values)
        return f"{one.subject} {one.relation} {int(low) - (one.relation == '>')}"
    if one.relation in ("<", "<="):
        high = max(values)
        return f"{one.subject} {one.relation} {int(high) + (one.relation == '<')}"
    if one.relation in ("=", "=="):
        alike = len(set(values)) == 1 and "x" not in one.text.partition(one.relation)[2]
        return f"{one.subject} {one.relation} {values[0] if alike else 'x'.join(map(str, values))}"
    return ""
