"""From constraints to networks: an exact search through declared families, with the designs of which none is better.

A family's networks are the points of a box of whole numbers. Figures move one way with most of them, so that the
figures of a whole box lie between those of two of its corners. A box is left out where a constraint fails at its most
favourable corner, or where a design that was found is as good in every objective as the box's best corner; else it is
halved. What is left are single networks, which are walked. Nothing is estimated: every figure is the walk's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from inspect import signature
from typing import Any, NamedTuple, Protocol, TypeVar

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError, plural
from rfcalc.core.shape import Shape
from rfcalc.notation import parse as read
from rfcalc.plan.families import FAMILIES, Family, limited
from rfcalc.report.constraints import Constraint, parse
from rfcalc.report.document import Cell, Column, Document, Sentences, Table, TableLine
from rfcalc.report.metrics import metric
from rfcalc.report.report import Report

OBJECTIVES = ("params", "macs", "peak_bytes", "weight_layers")
MOST_WALKS = 20_000  # networks that are walked before a search is stopped
LARGEST_GOAL = 10**7  # a side of a receptive field beyond this is taken for a mistake

Box = tuple[tuple[int, int], ...]  # the first and last index of each number's values


class Design(NamedTuple):
    """A network that fits: its family, its notation, and its figures."""

    family: str
    notation: str
    figures: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"family": self.family, "notation": self.notation, "figures": self.figures}


class Tightest(NamedTuple):
    """A constraint as it would have to be for anything to fit with the others: the nearest figure that there is."""

    constraint: str
    bound: Any
    off: Fraction | None  # how far that is from what was asked, as a part of it

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"constraint": self.constraint, "bound": self.bound}


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    constraints: tuple[str, ...]
    objectives: tuple[str, ...]
    families: tuple[Family, ...]
    inputs: tuple[Shape, ...]
    searched: int
    optimal: bool
    designs: tuple[Design, ...]
    tightest: tuple[Tightest, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it (schema rfcalc/design/1)."""
        space = [
            {
                "family": f.name,
                "input": list(shape.dims),
                "size": f.size,
                "parameters": {p.name: list(p.values) for p in f.parameters},
            }
            for f, shape in zip(self.families, self.inputs, strict=True)
        ]
        return {
            "schema": "rfcalc/design/1",
            "constraints": list(self.constraints),
            "objectives": list(self.objectives),
            "space": space,
            "searched": self.searched,
            "designs": [d.to_dict() for d in self.designs],
            "optimal": self.optimal,
            "tightest": [t.to_dict() for t in self.tightest],
        }

    _repr_html_ = displayed

    def document(self) -> Document:
        """What `rfcalc design` shows."""
        asked = ", ".join(self.constraints)
        sections: list[Any] = []
        if self.designs:
            names = list(self.designs[0].figures)
            shown = [metric(n) for n in names]
            columns = (
                Column("family"), Column("notation", least=24), *(Column(m.title, m.name, right=True) for m in shown),
            )  # fmt: skip
            lines = [
                TableLine(
                    (
                        Cell(d.family),
                        Cell(d.notation),
                        *(cell(m, d.figures[n]) for m, n in zip(shown, names, strict=True)),
                    )
                )
                for d in self.designs
            ]
            best = "is better in all of" if len(self.designs) > 1 else "is as good in any of"
            sections = [
                Table(columns, tuple(lines)),
                Sentences((f"No other of these families {best}: {', '.join(self.objectives)}.",)),
            ]
        else:
            sections = [Sentences(("No network of these families holds all of: " + asked + ".",))]
            if self.tightest:
                lines = [TableLine((Cell(t.constraint), Cell(told(t.bound)))) for t in self.tightest]
                columns = (Column("constraint"), Column("the nearest that there is", "bound"))
                sections.append(Table(columns, tuple(lines), title="With the other constraints as they are:"))
        total = sum(f.size for f in self.families)
        sure = "the answer is exact there" if self.optimal else "the search was stopped: there may be better ones"
        families = "; ".join(f"{f.name} ({f.told}, for {i})" for f, i in zip(self.families, self.inputs, strict=True))
        notes = (f"searched: {families}", f"{self.searched:,} of {plural(total, 'network')} were walked; {sure}")
        return Document(f"designs for {asked}", tuple(sections), notes=notes, data=self.to_dict)


def cell(asked: Any, value: Any) -> Cell:
    """A figure in a table."""
    return Cell(asked.short(tuple(value) if isinstance(value, list) else value), value)


def told(value: Any) -> str:
    """A bound as text."""
    return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value:,}"


def design(
    constraints: str,
    families: Sequence[str] = (),
    given: Shape | None = None,
    objectives: Sequence[str] = (),
    most_walks: int = MOST_WALKS,
    values: Mapping[str, Sequence[int]] | None = None,
) -> Found:
    """Search families for the networks that hold constraints.

    Args:
        constraints: in the constraint language; a figure of a node without a node is the output's.
        families: names of `FAMILIES`; those for maps of the input's rank if left out.
        given: the input; each family's own if left out.
        objectives: what is to be small; `OBJECTIVES` if left out, and for signals the look-ahead too.
        most_walks: networks that are walked before the search is stopped.
        values: for numbers of the families, by name, the values that are tried.

    Raises:
        RfcalcError: a constraint that cannot be read or is out of reach of any network; a family, an objective or an
            input that does not fit.
    """
    parsed = parse(constraints, output=True)
    for constraint in parsed:
        _reasonable(constraint)
    chosen = [FAMILIES[name] for name in families] if families else list(FAMILIES.values())
    if given is not None:
        fitting = [f for f in chosen if given.rank in f.ranks]
        if families and len(fitting) < len(chosen):
            wrong = next(f for f in chosen if given.rank not in f.ranks)
            raise RfcalcError(
                f"the family {wrong.name} is not for an input of {given}",
                why=f"it takes maps of {' or '.join(map(str, wrong.ranks))} spatial axes",
            )
        chosen = fitting
    elif not families:
        chosen = [f for f in chosen if 2 in f.ranks]
    if not chosen:
        raise RfcalcError(f"no family is for an input of {given}", fix="rfcalc design --families lists them")
    chosen = limited(chosen, values or {})
    signal = all((given or Shape.parse(f.input)).rank == 1 for f in chosen)
    asked = objectives or ((*OBJECTIVES, "lookahead") if signal else OBJECTIVES)
    names = tuple(metric(name).name for name in asked)
    searches = []
    left = most_walks
    for family in chosen:
        search = Search(family, given or Shape.parse(family.input), parsed, names, left)
        search.run()
        searches.append(search)
        left = max(0, left - search.walked)
    designs = pareto([d for s in searches for d in s.found], names)
    tightest: tuple[Tightest, ...] = ()
    if not designs:
        tightest = _tightest(searches, parsed)
    return Found(
        tuple(map(str, parsed)), names, tuple(chosen), tuple(s.shape for s in searches),
        sum(s.walked for s in searches), all(s.exhausted for s in searches), tuple(designs), tightest,
    )  # fmt: skip


def _reasonable(constraint: Constraint) -> None:
    """Refuse a goal that no network has.

    Raises:
        RfcalcError: a receptive field of a billion, say.
    """
    wanted = constraint.wanted
    sides = wanted if isinstance(wanted, tuple) else (wanted,)
    field = constraint.subject.split("@")[0] in ("rf", "receptive_field", "receptive-field")
    if (
        field
        and constraint.relation in (">", ">=", "=", "==")
        and any(w is not None and w > LARGEST_GOAL for w in sides)
    ):
        raise RfcalcError(
            f"{constraint} is out of reach", why=f"a side of {LARGEST_GOAL:,} pixels is the most that is searched for",
            fix="ask for a smaller receptive field",
        )  # fmt: skip


class Search:
    """One family, searched for the designs that hold constraints, of which none is better in every objective."""

    def __init__(
        self,
        family: Family,
        shape: Shape,
        constraints: Sequence[Constraint],
        objectives: Sequence[str],
        most_walks: int,
    ) -> None:
        self.family, self.shape, self.constraints, self.objectives = family, shape, constraints, objectives
        self.most_walks = most_walks
        self.walked = 0
        self.exhausted = True
        self.found: list[Design] = []
        self._known: dict[tuple[int, ...], Report | None] = {}
        self._extra = [n for n in dict.fromkeys(measured(c) for c in constraints) if n and n not in objectives]

    @property
    def full_box(self) -> Box:
        return tuple((0, len(p.values) - 1) for p in self.family.parameters)

    def report(self, point: tuple[int, ...]) -> Report | None:
        """The network at a point; None where it does not run on the input."""
        if point not in self._known:
            self.walked += 1
            try:
                self._known[point] = Report(read(self.notation(point)).network(), self.shape)
            except RfcalcError:
                self._known[point] = None
        return self._known[point]

    def notation(self, point: tuple[int, ...]) -> str:
        """The network at a point, as it is written."""
        values = {p.name: p.values[i] for p, i in zip(self.family.parameters, point, strict=True)}
        if "shape" in signature(self.family.build).parameters:
            return self.family.build(**values, shape=self.shape.spatial)
        return self.family.build(**values)

    def corner(self, box: Box, name: str, most: bool) -> tuple[int, ...] | None:
        """The corner of a box at which a figure is largest (or least); None where it is not said how it moves."""
        found = []
        for parameter, (low, high) in zip(self.family.parameters, box, strict=True):
            sign = parameter.moves.get(name)
            if sign is None and low != high:
                return None
            found.append(high if (sign == "+") == most and sign != "0" else low)
        return tuple(found)

    def possible(self, box: Box) -> bool:
        """Whether no constraint fails in the whole box, as far as corners tell."""
        for constraint in self.constraints:
            name = measured(constraint)
            if name is None or constraint.relation not in ("<", "<=", ">", ">="):
                continue
            at = self.corner(box, name, constraint.relation.startswith(">"))
            report = self.report(at) if at is not None else None
            if report is not None and not constraint.check(report)[0]:
                return False
        return True

    def better(self, box: Box) -> bool:
        """Whether nothing that was found is as good in every objective as the box can be."""
        if not self.found:
            return True
        least = []
        for name in self.objectives:
            at = self.corner(box, name, most=False)
            report = self.report(at) if at is not None else None
            if report is None:
                return True
            least.append(figure(report, name))
        return not any(
            all(d.figures[n] <= bound for n, bound in zip(self.objectives, least, strict=True)) for d in self.found
        )

    def run(self) -> None:
        """Search the family."""
        boxes = [self.full_box]
        while boxes:
            if self.walked >= self.most_walks:
                self.exhausted = False
                return
            box = boxes.pop()
            if not self.possible(box):
                continue
            box = self.tightened(box)
            if not self.better(box):
                continue
            if all(low == high for low, high in box):
                self._take(tuple(low for low, _ in box))
                continue
            best = self.best_corner(box)
            if best is not None and self._take(best):
                continue  # nothing in the box is better in any objective
            boxes += reversed(_halves(box))

    def tightened(self, box: Box) -> Box:
        """The box without the ends of its sides in which a constraint fails, whatever the other numbers are."""
        for i in range(len(box)):
            first, last = box[i]
            low, high = first, last
            while low < high:  # the least end from which on a run from the first value may hold
                middle = (low + high) // 2
                held = self.possible((*box[:i], (first, middle), *box[i + 1 :]))
                low, high = (low, middle) if held else (middle + 1, high)
            first = low
            low, high = first, last
            while low < high:
                middle = (low + high + 1) // 2
                held = self.possible((*box[:i], (middle, last), *box[i + 1 :]))
                low, high = (middle, high) if held else (low, middle - 1)
            box = (*box[:i], (first, low), *box[i + 1 :])
        return box

    def best_corner(self, box: Box) -> tuple[int, ...] | None:
        """The corner at which every objective is least; None where they differ, or it is not said."""
        corners = {self.corner(box, name, most=False) for name in self.objectives}
        return corners.pop() if len(corners) == 1 else None

    def _take(self, point: tuple[int, ...]) -> bool:
        """Keep the network at a point if it holds all constraints; whether it does."""
        report = self.report(point)
        if report is None or not all(c.check(report)[0] for c in self.constraints):
            return False
        figures = {name: figure(report, name) for name in (*self.objectives, *self._extra)}
        self.found = pareto([*self.found, Design(self.family.name, self.notation(point), figures)], self.objectives)
        return True

    def nearest(self, constraint: Constraint) -> Any:
        """The figure nearest to a constraint's bound among the networks that hold all others; None if there is none."""
        others = [c for c in self.constraints if c is not constraint]
        name, most = measured(constraint), constraint.relation.startswith(">")
        assert name is not None
        best: Any = None
        relaxed = Search(self.family, self.shape, others, (), self.most_walks)
        relaxed._known = self._known
        boxes = [self.full_box]
        while boxes and relaxed.walked < self.most_walks:
            box = boxes.pop()
            if not relaxed.possible(box):
                continue
            at = relaxed.corner(box, name, most)
            report = relaxed.report(at) if at is not None else None
            if report is not None and best is not None and not _beyond(constraint, report, best, most):
                continue
            if all(low == high for low, high in box):
                report = relaxed.report(tuple(low for low, _ in box))
                if report is not None and all(c.check(report)[0] for c in others):
                    value = constraint.value(report) if constraint.value else None
                    if value is not None and (best is None or _beyond(constraint, report, best, most)):
                        best = value
                continue
            first, second = _halves(box)
            boxes += [first, second] if most else [second, first]
        return best


def _halves(box: Box) -> list[Box]:
    """A box, cut in the middle of its longest side."""
    at = max(range(len(box)), key=lambda i: box[i][1] - box[i][0])
    low, high = box[at]
    middle = (low + high) // 2
    return [(*box[:at], (low, middle), *box[at + 1 :]), (*box[:at], (middle + 1, high), *box[at + 1 :])]


def measured(constraint: Constraint) -> str | None:
    """The metric that a constraint bounds; None for those that count."""
    if not constraint.relation or "(" in constraint.subject:
        return None
    return metric(constraint.subject.partition("@")[0]).name


def _beyond(constraint: Constraint, report: Report, best: Any, most: bool) -> bool:
    """Whether a report's figure is beyond the best so far, in the direction that a constraint asks for."""
    value = constraint.value(report) if constraint.value else None
    if value is None:
        return False
    mine, other = _least(value), _least(best)
    return bool(mine > other if most else mine < other)


def _least(value: Any) -> Any:
    """A figure with an axis each is as good as its worst axis."""
    if isinstance(value, tuple):
        return min((v if v is not None else -1) for v in value) if value else -1
    return value


def figure(report: Report, name: str) -> Any:
    """A figure of the whole network, else of its output."""
    asked = metric(name)
    value = (
        asked.whole(report) if asked.whole is not None else None if asked.row is None else asked.row(report.outputs[-1])
    )
    return list(value) if isinstance(value, tuple) else value


D = TypeVar("D", bound="Figured")


class Figured(Protocol):
    """What has figures by name."""

    @property
    def figures(self) -> dict[str, Any]: ...


def pareto(designs: Iterable[D], objectives: Sequence[str]) -> list[D]:
    """Those than which none is as good in every objective and better in one; of equal ones the first."""
    kept: list[D] = []
    for one in sorted(designs, key=lambda d: [d.figures[n] for n in objectives]):
        if not any(all(k.figures[n] <= one.figures[n] for n in objectives) for k in kept):
            kept.append(one)
    return kept


def nearest_of(constraint: Constraint, reports: Sequence[Report]) -> Tightest | None:
    """The nearest figure to a constraint's bound among networks; None where there is none, or no bound."""
    if measured(constraint) is None or constraint.relation not in ("<", "<=", ">", ">=") or not constraint.value:
        return None
    values = [v for v in map(constraint.value, reports) if v is not None]
    return nearest_told(constraint, values)


def nearest_told(constraint: Constraint, bounds: Sequence[Any]) -> Tightest | None:
    """Of figures the nearest to a constraint's bound, and how far off it is."""
    if not bounds:
        return None
    most = constraint.relation.startswith(">")
    bound = max(bounds, key=_least) if most else min(bounds, key=_least)
    wanted = _least(constraint.wanted) if constraint.wanted is not None else None
    off = abs(Fraction(_least(bound)) - wanted) / max(1, abs(wanted)) if wanted is not None else None
    return Tightest(str(constraint), list(bound) if isinstance(bound, tuple) else bound, off)


def _tightest(searches: Sequence[Search], constraints: Sequence[Constraint]) -> tuple[Tightest, ...]:
    """For each constraint the nearest figure that holds the others, those that are least off first."""
    found = []
    for constraint in constraints:
        if measured(constraint) is None or constraint.relation not in ("<", "<=", ">", ">="):
            continue
        one = nearest_told(constraint, [b for b in (s.nearest(constraint) for s in searches) if b is not None])
        if one is not None:
            found.append(one)
    return tuple(sorted(found, key=lambda t: (t.off is None, t.off or 0)))
