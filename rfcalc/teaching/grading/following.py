"""A network walked with a student's own numbers: what follows for each row from what the student wrote before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.report import Report
from rfcalc.teaching.case import Case, Seen, cases, first_seen, placed, right
from rfcalc.teaching.grading.answers import Answer
from rfcalc.teaching.grading.columns import PARTS


class Followed(NamedTuple):
    """One node: with the student's numbers before it (`case`), with also the student's own map (`own`), with the right
    numbers before it (`clean`). `broken`: the student's map cannot go through the layer; the right one goes on."""

    case: Case
    own: Case
    clean: Case
    dirty: bool
    broken: bool = False

    def follows(self, figure: str) -> list[Any]:
        """What follows from the student's numbers: before this row, and with the map of this row."""
        found = []
        for case in (self.case, self.own):
            value = figure_of(case, figure)
            if value is not None and value not in found:
                found.append(value)
        return found


def figure_of(case: Case, figure: str) -> Any:
    """A figure of a case, parts of the shape too; None where there is none."""
    try:
        if figure in PARTS:
            axis = PARTS.index(figure)
            return case.y.dims[axis] if case.y.rank >= max(axis, 1) and case.y.channel == 0 else None
        return right(case, figure)
    except (RfcalcError, ArithmeticError):
        return None


def follow(report: Report, given: Mapping[int, Mapping[str, Answer]], truth: Any) -> dict[int, Followed]:
    """Walk the network with the maps, receptive fields and strides that a student wrote, where there are any.

    Args:
        given: answers by position and figure.
        truth: `truth(position, figure)`, to choose among readings of one cell.
    """
    network = report.network
    shapes: list[Shape] = []
    seen: list[Seen | None] = []
    dirty: list[bool] = []
    for position in range(network.arity):
        shape = report.shapes[position]
        mine = _map(shape, given.get(position, {}), lambda f, p=position: truth(p, f))
        shapes.append(mine)
        seen.append(first_seen(mine) if position == 0 else None)
        dirty.append(mine != shape)
    found: dict[int, Followed] = {}
    clean_cases = cases(report)
    for position, sources in enumerate(network.sources, network.arity):
        clean = clean_cases[position - network.arity]
        case = placed(report, position, sources, shapes, seen)
        unclean = any(dirty[s] for s in sources)
        broken = False
        try:
            _ = case.y, case.cost
        except (RfcalcError, ArithmeticError):
            case, broken, unclean = clean, True, False
        answers = given.get(position, {})

        def known(figure: str, at: int = position) -> Any:
            return truth(at, figure)

        shape = _map(case.y, answers, known)
        own = case
        if shape != case.y:
            own = replace(case)
            own.__dict__["y"] = shape
        sees = _seen(case, answers, known)
        found[position] = Followed(case, own, clean, unclean, broken)
        shapes.append(shape)
        seen.append(sees)
        dirty.append(shape != clean.y or sees != clean.grown)
    return found


def _chosen(answer: Answer | None, expected: tuple[Any, ...], truth: Any) -> tuple[Any, ...] | None:
    """The reading to go on with: the right one, else the one that follows, else the likeliest; whole numbers only."""
    if answer is None:
        return None
    fitting = [s for s in answer.shapes if len(s) == len(expected) and all(v is None or v.denominator == 1 for v in s)]
    if not fitting:
        return None
    for wanted in (truth, expected):
        for shape in fitting:
            if wanted is not None and Answer("", False, (), (shape,)).fits(wanted):
                return tuple(e if v is None else int(v) for v, e in zip(shape, expected, strict=True))
    return tuple(e if v is None else int(v) for v, e in zip(fitting[0], expected, strict=True))


def _map(expected: Shape, answers: Mapping[str, Answer], truth: Any) -> Shape:
    """The student's map: what is written of it, and what follows for the rest."""
    dims = list(_chosen(answers.get("output_shape"), expected.dims, truth("output_shape")) or expected.dims)
    for axis, part in enumerate(PARTS):
        answer = answers.get(part)
        if answer is None or not answer.counts or axis >= len(dims) or expected.channel != 0 or not expected.rank:
            continue
        value = answer.counts[0].value
        if value.denominator == 1:
            dims[axis] = int(value)
    if min(dims) < 1:
        return expected
    return Shape(*dims, channel=expected.channel)


def _seen(case: Case, answers: Mapping[str, Answer], truth: Any) -> Seen | None:
    rank = case.y.rank
    if rank == 0:
        return case.grown
    grown = case.grown
    nothing = (0,) * rank
    size = _chosen(answers.get("receptive_field"), grown.size if grown else nothing, truth("receptive_field"))
    stride = _chosen(answers.get("stride"), grown.stride if grown else nothing, truth("stride"))
    if grown is None:
        size, stride = size or truth("receptive_field"), stride or truth("stride")
        return Seen(size, stride) if size and stride else None
    return Seen(size or grown.size, stride or grown.stride)
