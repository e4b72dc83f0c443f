"""Figures of the networks of a family, by their numbers: walked, or by what the family says of them.

Where a family says that a figure does not depend on a number, or is a polynomial in it, the figure follows from those
of small networks; all others are walked. Each is worked out once.
"""

from __future__ import annotations

import operator
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from inspect import signature
from itertools import accumulate, pairwise
from math import comb
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.notation import parse as read
from rfcalc.notation.layers import ReadBefore
from rfcalc.plan.families import COSTS, FIELD, LOCAL, OPERATIONS, TRAINING, DesignFamily, FamilyParameter, Law
from rfcalc.report import Report
from rfcalc.report.constraints import RELATIONS, Constraint, holds, of_network, parse
from rfcalc.report.metrics import SHARES, metric

MOST_NODES = 400_000  # of all networks that are walked before a search is stopped
MOST_BOXES = 150_000  # that are looked at before a search is stopped
PLACED = (*FIELD, "stride", "padding", "center")  # figures of the output: its last node's
ADDED = ("macs", "flops", "values", "bytes", *TRAINING, *OPERATIONS)  # those of its nodes, added up
EACH = (
    *COSTS,
    "values",
    "bytes",
    "saved_bytes",
    "activation",
    "receptive_field",
)  # of nodes polynomials too, where the network's are
SCALARS = ("out_channels", "out_features")  # parameters of layers that are one number, not one for each axis
FEW = 4  # values of a number, which are tried one by one

_NUMBERED = re.compile(r"(.*?[^\d])([1-9]\d*)")  # a node that is named after its kind

Point = tuple[int, ...]


class Term(NamedTuple):
    """What a pattern asks of a parameter of layers, and in which relation."""

    name: str
    relation: str
    rest: str


class SearchFigure(NamedTuple):
    """A figure of a search: its key, the name under which families say how it moves, how a report gives it.

    `whole`: whether it is the whole network's or its output's, not one of a node inside; `terms`: what a pattern
    that is counted asks of parameters of layers; `parts`: of a share, the part and what it is a part of.
    """

    key: str
    name: str
    read: Callable[[Report], Any]
    whole: bool = True
    terms: tuple[Term, ...] = ()
    parts: tuple[SearchFigure, ...] = ()

    def sign(self, parameter: FamilyParameter) -> str | None:
        """How it moves with a number; None where it is not said."""
        if self.parts:
            signs = {self.parts[0].sign(parameter), _TURNED[self.parts[1].sign(parameter)]} - {"0"}
            return signs.pop() if len(signs) == 1 else None if signs else "0"
        moves = parameter.moves
        touched = {t.relation for t in self.terms if t.name in parameter.touches}
        if touched:  # layers fit "kernel>2" once they do: their numbers rise with this one
            stays = moves.get("weight_layers") == "0"
            return "+" if stays and touched <= {">", ">="} else "-" if stays and touched <= {"<", "<="} else None
        if not self.whole and moves.get("weight_layers") != "0":
            if self.key.endswith("@output"):
                return moves.get(self.key)
            if moves.get("before") != "0":
                return None  # there are other nodes
            return "0" if self.name in LOCAL else "+" if self.name == "seen" else None
        if not self.whole and self.name == "seen":
            return moves.get("receptive_field")
        return moves.get(self.name)

    def law(self, parameter: FamilyParameter) -> Law | None:
        """Its polynomial in a number; None where it is not said."""
        law = parameter.laws.get(self.name)
        if law is None or self.terms or self.whole:
            return None if self.terms else law
        return law if self.name in EACH and parameter.moves.get("weight_layers") == "0" else None


_TURNED = {"+": "-", "-": "+", "0": "0", None: None}
NODES = SearchFigure("nodes", "nodes", lambda report: len(report.network.nodes))
RUNS = SearchFigure("runs", "runs", lambda report: 1)


class Bound(NamedTuple):
    """What a constraint asks at the most favourable corner of a box: whether that is the greatest figure."""

    most: bool
    holds: Callable[[Any], bool]


def figure(report: Report, name: str) -> Any:
    """A figure of the whole network, else of its output."""
    asked = metric(name)
    value = (
        asked.whole(report) if asked.whole is not None else None if asked.row is None else asked.row(report.outputs[-1])
    )
    value = of_network(report, asked, value)
    return list(value) if isinstance(value, tuple) else value


def measured(constraint: Constraint) -> str | None:
    """The metric that a constraint bounds; None for those that count."""
    return None if "(" in constraint.subject else metric(constraint.subject.partition("@")[0]).name


def figure_of(constraint: Constraint) -> SearchFigure:
    """What a constraint bounds."""
    _, _, node = constraint.subject.partition("@")
    found = measured(constraint)
    assert constraint.value is not None
    if found is None:
        how, _, pattern = constraint.subject.partition("(")
        key = "holes" if how == "dense" else "count"
        return SearchFigure(f"{key}({pattern}", key, constraint.value, True, tuple(Term(*t) for t in constraint.terms))
    if node == "" or (node == "output" and found in (*PLACED, "seen")):
        return SearchFigure(found, found, constraint.value)
    one = SearchFigure(f"{found}@{node}", found, constraint.value, False)
    if found in SHARES:
        of = SHARES[found]
        mine, total = parse(f"{of}@{node} > 0, {of} > 0", output=True)
        one = one._replace(parts=(figure_of(mine), figure_of(total)))
    return one


def no_less(of: SearchFigure) -> list[SearchFigure]:
    """Figures that are never less than the count of a pattern, and of which it is said how they move: of layers whose
    parameter is not asked for exactly, but at least or at most that."""
    at = next((i for i, t in enumerate(of.terms) if t.relation in ("=", "==", "!=")), None)
    if at is None:
        return []
    kind = of.key.partition("(")[2].rstrip(")").split()[0]
    ways = [">=", "<="] if of.terms[at].relation != "!=" else [None]
    found = []
    for way in ways:
        terms = [t._replace(relation=way) if i == at and way else t for i, t in enumerate(of.terms) if way or i != at]
        text = " ".join([kind, *(f"{t.name}{t.relation}{t.rest}" for t in terms)])
        found.append(figure_of(parse(f"count({text}) > 0")[0]))
    return [one for other in found for one in (no_less(other) or [other])]


def made_of(of: SearchFigure) -> tuple[SearchFigure, ...]:
    """Of the count of a pattern that asks for a whole number of layers exactly: the counts of those that have at least
    that, at most that, and any. The first two together are the third and the count itself. Else none."""
    at = next((i for i, t in enumerate(of.terms) if t.name in SCALARS and t.relation in ("=", "==")), None)
    if at is None:
        return ()
    kind = of.key.partition("(")[2].rstrip(")").split()[0]
    found = []
    for relation, rest in ((">=", of.terms[at].rest), ("<=", of.terms[at].rest), (">=", "0")):
        terms = [t._replace(relation=relation, rest=rest) if i == at else t for i, t in enumerate(of.terms)]
        text = " ".join([kind, *(f"{t.name}{t.relation}{t.rest}" for t in terms)])
        found.append(figure_of(parse(f"count({text}) > 0")[0]))
    return tuple(found)


def bounds_of(constraint: Constraint) -> list[Bound]:
    """What a constraint asks of the greatest and least figures."""
    how, counts, _ = constraint.subject.partition("(")
    relation, wanted = constraint.relation, _plain(constraint.wanted)
    held = constraint.holds if counts else (lambda have: holds(have, RELATIONS[relation], wanted))
    if relation in (">", ">=") or how == "some":
        return [Bound(True, held)]
    if relation in ("<", "<=") or how in ("none", "dense"):
        return [Bound(False, held)]
    if relation in ("=", "=="):
        return [
            Bound(True, lambda have: holds(have, operator.ge, wanted)),
            Bound(False, lambda have: holds(have, operator.le, wanted)),
        ]
    return []


def _plain(wanted: Any) -> Any:
    """A bound in whole numbers where it is one: they compare faster than fractions."""
    if isinstance(wanted, tuple):
        return tuple(map(_plain, wanted))
    return int(wanted) if isinstance(wanted, Fraction) and wanted.denominator == 1 else wanted


@dataclass
class SearchWork:
    """How many networks were walked, and their nodes; `stopped`: whether that was too much."""

    walked: int = 0
    nodes: int = 0
    boxes: int = 0

    @property
    def stopped(self) -> bool:
        return self.nodes > MOST_NODES or self.boxes > MOST_BOXES


class FamilyFigures:
    """The figures of a family's networks, by their numbers; each is worked out once."""

    def __init__(self, family: DesignFamily, shape: Shape, work: SearchWork | None = None) -> None:
        self.family, self.shape, self.work = family, shape, work or SearchWork()
        self._reports: dict[Point, Report | None] = {}
        self.known: dict[tuple[str, Point], Any] = {}
        self._rows: dict[tuple[str, int, Point], tuple[bool, list[list[Any]]] | None] = {}
        self._parts: dict[tuple[str, int, Point], list[Any] | None] = {}
        self.found: defaultdict[str, dict[tuple[int, ...], Any]] = defaultdict(
            dict
        )  # what a search has found, by figure and point
        self._plans: dict[str, tuple[list[int], list[tuple[int, Law]]]] = {}
        self.failures: list[RfcalcError] = []
        self._counts: dict[str, Constraint | None] = {}
        self._words = ReadBefore()

    def notation(self, numbers: Point) -> str:
        """The network of these numbers, as it is written."""
        values = {p.name: n for p, n in zip(self.family.parameters, numbers, strict=True)}
        if self._shaped:
            return self.family.build(**values, shape=self.shape.spatial)
        return self.family.build(**values)

    @cached_property
    def _shaped(self) -> bool:
        return "shape" in signature(self.family.build).parameters

    def report(self, numbers: Point) -> Report | None:
        """The network of these numbers; None where it does not run on the input."""
        if numbers not in self._reports:
            self.work.walked += 1
            found: Report | None
            try:
                found = Report(read(self.notation(numbers), known=self._words).network(), self.shape)
            except RfcalcError:
                found = None
            self.work.nodes += len(found.network.nodes) if found is not None else 1
            self._reports[numbers] = found
        return self._reports[numbers]

    @cached_property
    def largest(self) -> Network | None:
        """The network that has the most layers of every kind; None where the family does not say which one."""
        signs = [p.moves.get("count", "0" if len(p.values) == 1 else None) for p in self.family.parameters]
        if not set(signs) <= {"+", "0"}:
            return None
        ends = zip(self.family.parameters, signs, strict=True)
        return read(self.notation(tuple(p.values[-1 if sign == "+" else 0] for p, sign in ends))).network()

    def has(self, node: str) -> bool:
        """Whether a network of the family may have a node of this name: the one with the most layers has, if any has,
        as nodes are called after their kind, with a number."""
        largest = self.largest
        return largest is None or node in ("", "output") or node in largest.positions or bool(largest.inside(node))

    def needed(self, node: str) -> Constraint | None:
        """What a constraint on a node asks beside: as many layers of the node's kind as its number says."""
        if node not in self._counts:
            self._counts[node] = self._count(node)
        return self._counts[node]

    def _count(self, node: str) -> Constraint | None:
        numbered = _NUMBERED.fullmatch(node)
        if numbered is None or self.largest is None:
            return None
        stem, number = numbered.groups()
        names = [node.name for node in self.largest.nodes if node.layer.stem == stem]
        if names != [f"{stem}{i}" for i in range(1, len(names) + 1)] or not names:
            return None
        return parse(f"count({stem}) >= {number}")[0]

    def value(self, of: SearchFigure, numbers: Point) -> Any:
        """A figure of the network of these numbers; None where it has none, or does not run."""
        if of.parts:
            mine, total = (self.value(part, numbers) for part in of.parts)
            return Fraction(mine, total) if mine is not None and total else None
        if of.key not in self._plans:
            self._plans[of.key] = self._plan(of)
        still, laws = self._plans[of.key]
        for i in still:
            first = self.family.parameters[i].values[0] if of.whole else self._first_with(of, numbers, i)
            if first is None:
                return None
            numbers = (*numbers[:i], first, *numbers[i + 1 :])
        key = (of.key, numbers)
        if key in self.known:
            return self.known[key]
        for i, law in laws:
            if law.convex:
                if len(self.family.parameters[i].values) > FEW:
                    found = self._convex(of, numbers, i)
                    break
            elif numbers[i] > law.start + law.degree:
                found = self._polynomial(of, numbers, i, law)
                break
        else:
            at = self._growing(of)
            found = self._read(of, numbers) if at is None else self._part(of, numbers, at)
        self.known[key] = found
        return found

    def _plan(self, of: SearchFigure) -> tuple[list[int], list[tuple[int, Law]]]:
        """The numbers with which a figure stays as it is, and those in which it is a polynomial; those last that make
        networks no smaller."""
        still, laws = [], []
        for i, parameter in enumerate(self.family.parameters):
            law = of.law(parameter)
            if of.sign(parameter) == "0":
                still.append(i)
            elif law is not None:
                laws.append((i, law.on(self.shape.rank)))
        return still, sorted(laws, key=lambda entry: entry[1].convex)

    def _first_with(self, of: SearchFigure, numbers: Point, i: int) -> int | None:
        """The least value of a number with which there is the node of a figure; None where it is not there yet."""
        parameter = self.family.parameters[i]
        if parameter.moves.get("count") == "0":
            return parameter.values[0]
        needed = self.needed(of.key.partition("@")[2])
        if needed is None:
            return numbers[i]
        count = figure_of(needed)
        at = bisect_left(
            parameter.values, True, key=lambda n: needed.holds(self.value(count, (*numbers[:i], n, *numbers[i + 1 :])))
        )
        first = parameter.values[at] if at < len(parameter.values) else None
        return first if first is None or first <= numbers[i] else None

    def _polynomial(self, of: SearchFigure, numbers: Point, i: int, law: Law) -> Any:
        """A figure that is a polynomial of a number, from those of the first networks."""
        key = (of.key, i, (*numbers[:i], *numbers[i + 1 :]))
        if key not in self._rows:
            steps = range(law.start, law.start + law.degree + 1)
            self._rows[key] = _differences([self.value(of, (*numbers[:i], n, *numbers[i + 1 :])) for n in steps])
        rows, at = self._rows[key], numbers[i] - law.start
        if rows is None:
            return None
        found = tuple([sum(comb(at, j) * d for j, d in enumerate(row)) for row in rows[1]])
        return found if rows[0] else found[0]

    def _growing(self, of: SearchFigure) -> int | None:
        """A number that puts nodes behind those that are there, and of which it is said how many: figures of its
        networks are those of parts of one of them."""
        if of.name not in (LOCAL if of.key.endswith("@output") else (*PLACED, *ADDED) if of.whole else ()):
            return None
        found = (i for i, p in enumerate(self.family.parameters) if p.moves.get("before") == "0" and "nodes" in p.laws)
        return next(found, None)

    def _part(self, of: SearchFigure, numbers: Point, i: int) -> Any:
        """A figure of a network that is the beginning of a longer one, so that a few walks give those of all."""
        rest, last = (*numbers[:i], 0, *numbers[i + 1 :]), self.family.parameters[i].values[-1]
        longest = max(numbers[i], min(last, 1 << (numbers[i] - 1).bit_length()))
        key = (of.key, longest, rest)
        if key not in self._parts:
            report = self.report((*numbers[:i], longest, *numbers[i + 1 :]))
            self._parts[key] = None if report is None else _of_parts(of, report)
        values = self._parts[key]
        return self._read(of, numbers) if values is None else values[self.value(NODES, numbers) - 1]

    def _convex(self, of: SearchFigure, numbers: Point, i: int) -> Any:
        """A figure that is the greatest of several lines in a number: where the middle of a piece lies on the line
        between its ends, so does all of the piece."""

        def at(n: int) -> Any:
            key = (of.key, (*numbers[:i], n, *numbers[i + 1 :]))
            if key not in self.known:
                self.known[key] = self._read(of, key[1])
            return self.known[key]

        values, goal = self.family.parameters[i].values, numbers[i]
        low, high = values[0], values[-1]
        while high - low > 2 and low < goal < high:
            middle = (low + high) // 2
            ends = at(low), at(middle), at(high)
            if any(v is None for v in ends):
                break
            if (ends[1] - ends[0]) * (high - middle) == (ends[2] - ends[1]) * (middle - low):
                return ends[0] + (ends[2] - ends[0]) * (goal - low) // (high - low)
            low, high = (low, middle) if goal <= middle else (middle, high)
        return at(goal)

    def _read(self, of: SearchFigure, numbers: Point) -> Any:
        report = self.report(numbers)
        if report is None:
            return 0 if of is RUNS else None
        try:
            value = of.read(report)
        except RfcalcError as error:  # a node that this network has not
            self.failures.append(error)
            return None
        return tuple(value) if isinstance(value, list) else value


def _of_parts(of: SearchFigure, report: Report) -> list[Any]:
    """A figure of each beginning of a network, that ends at one of its nodes."""
    asked = metric(of.name)
    assert asked.row is not None
    assert asked.whole is not None
    if not of.whole or of.name not in ADDED:
        return [asked.row(row) for row in report]
    own = [asked.over([row]) for row in report]
    return list(accumulate(own, initial=asked.whole(report) - sum(own)))[1:]


def _differences(values: Sequence[Any]) -> tuple[bool, list[list[Any]]] | None:
    """Newton's forward differences of values, for each axis, and whether there are axes; None where a value is none.

    >>> _differences([1, 4, 9]), _differences([(3, 1), (5, 1)])
    ((False, [[1, 3, 2]]), (True, [[3, 2], [1, 0]]))
    """
    if any(v is None for v in values):
        return None
    axes = isinstance(values[0], tuple)
    found = []
    for row in zip(*values, strict=True) if axes else [values]:
        first = []
        while row:
            first.append(row[0])
            row = [b - a for a, b in pairwise(row)]
        found.append(first)
    return axes, found
