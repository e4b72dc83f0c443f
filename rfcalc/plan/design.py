"""From constraints to networks: exact searches through declared families (`rfcalc.plan.search`), put together.

Designs of one family are left out where another's are as good in everything. The designs that are listed are walked
again, as `rfcalc table` walks them, so that a family that says wrongly how its figures move is found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError, plural, suggestion
from rfcalc.core.shape import Shape
from rfcalc.graph import uncollected
from rfcalc.notation import parse as read
from rfcalc.plan.contradictions import refuse
from rfcalc.plan.families import FAMILIES, DesignFamily, limited
from rfcalc.plan.figures import FamilyFigures, SearchWork, figure, figure_of, measured
from rfcalc.plan.search import FamilySearch, FoundDesign, least_side, pareto
from rfcalc.receptive.receptive_field import plain
from rfcalc.report import Report
from rfcalc.report.constraints import Constraint, parse
from rfcalc.report.document import Cell, Column, Document, Listing, Sentences, Table, TableLine
from rfcalc.report.metrics import metric

OBJECTIVES = ("params", "macs", "peak_bytes", "weight_layers")
WIDE = 100  # letters of a line of notation
MOST_CONFIRMED = 20_000  # nodes of designs that are walked again
LARGEST_GOAL = 10**7  # a side of a receptive field beyond this is taken for a mistake


class Tightest(NamedTuple):
    """A constraint as it would have to be for anything to fit with the others: the nearest figure that there is."""

    constraint: str
    bound: Any
    off: Fraction | None  # how far that is from what was asked, as a part of it

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"constraint": self.constraint, "bound": plain(self.bound)}


class Conflict(NamedTuple):
    """A constraint that no network of the families holds by itself, or two that none holds together, and why."""

    constraints: tuple[str, ...]
    told: str


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    constraints: tuple[str, ...]
    objectives: tuple[str, ...]
    families: tuple[DesignFamily, ...]
    inputs: tuple[Shape, ...]
    searched: int
    optimal: bool
    designs: tuple[FoundDesign, ...]
    tightest: tuple[Tightest, ...]
    conflicts: tuple[Conflict, ...] = ()
    stopped: bool = False  # while designs were searched, or what would be nearest

    def __repr__(self) -> str:
        return f"<{plural(len(self.designs), 'design')} for {', '.join(self.constraints)}>"

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
            "conflicts": [{"constraints": list(c.constraints), "why": c.told} for c in self.conflicts],
        }

    _repr_html_ = displayed

    def document(self) -> Document:
        """What `rfcalc design` shows: figures by design, and below each design as it is written."""
        asked = ", ".join(self.constraints)
        sections: list[Any] = []
        if self.designs:
            best = "is better in all of" if len(self.designs) > 1 else "is as good in any of"
            sections = [
                Table(self._columns, tuple([self._line(i, d) for i, d in enumerate(self.designs, 1)])),
                Listing(
                    "\n".join(_broken(f"{i}  {d.notation}") for i, d in enumerate(self.designs, 1)),
                    title="As every other command takes them:",
                ),
                Sentences((f"No other of these families {best}: {', '.join(self.objectives)}.",)),
            ]
        else:
            told = [f"{c.told}." for c in self.conflicts]
            which = "of these families" if self.optimal else "that was looked at"
            if self.stopped:
                told.append("The nearest bounds are not all known, since the search was stopped.")
            sections = [Sentences((f"No network {which} holds all of: {asked}.", *told))]
            if self.tightest:
                sections.append(nearest_table(self.tightest))
        total = sum(f.size for f in self.families)
        sure = (
            "the others follow by the families' rules: the answer is exact there" if self.optimal
            else "the search was stopped there: there may be better ones (--family and --set make it smaller)"
        )  # fmt: skip
        families = "; ".join(f"{f.name} ({f.told}, for {i})" for f, i in zip(self.families, self.inputs, strict=True))
        notes = (f"searched: {families}", f"{self.searched:,} of {plural(total, 'network')} were walked; {sure}")
        return Document(
            f"designs for {asked}", tuple(sections), notes=notes, data=self.to_dict,
            records=self._records if self.designs else None,
        )  # fmt: skip

    @property
    def _columns(self) -> tuple[Column, ...]:
        shown = [metric(n) for n in self.designs[0].figures]
        return (
            Column("", "design", right=True), Column("family"), *(Column(m.title, m.name, right=True) for m in shown),
        )  # fmt: skip

    def _line(self, i: int, design: FoundDesign) -> TableLine:
        figures = [cell(metric(n), value) for n, value in design.figures.items()]
        return TableLine((Cell(str(i), i), Cell(design.family), *figures))

    def _records(self) -> tuple[Sequence[str], Iterator[Sequence[Any]]]:
        """What spreadsheets get: a design a line, with its notation."""
        heads = ("family", *self.designs[0].figures, "notation")
        lines = (
            (d.family, *(told(v) if isinstance(v, list) else v for v in d.figures.values()), d.notation)
            for d in self.designs
        )
        return heads, lines


def _broken(line: str) -> str:
    """A network as it is written, in lines of at most `WIDE` letters where it can be broken; they are read as one."""
    lines = [""]
    for word in line.split(" > "):
        joined = f"{lines[-1]} > {word}" if lines[-1] else word
        if lines[-1] and len(joined) > WIDE:
            lines[-1] += " >"
            lines.append("   " + word)
        else:
            lines[-1] = joined
    return "\n".join(lines)


def nearest_table(tightest: Sequence[Tightest]) -> Table:
    """The nearest bounds that there are, the least violated first."""
    lines = [
        TableLine((Cell(t.constraint), Cell(told(t.bound)), Cell(percent(t.off) if t.off else "–", t.off)))
        for t in tightest
    ]
    columns = (Column("constraint"), Column("the nearest that there is", "bound"), Column("off by", "off", right=True))
    return Table(columns, tuple(lines), title="With the other constraints as they are, the least violated first:")


def cell(asked: Any, value: Any) -> Cell:
    """A figure in a table."""
    return Cell(asked.short(tuple(value) if isinstance(value, list) else value), value)


def told(value: Any) -> str:
    """A bound as text."""
    if isinstance(value, (list, tuple)):
        return told(value[0]) if len(set(value)) == 1 else "x".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


@uncollected
def design(
    constraints: str,
    families: Sequence[str] = (),
    given: Shape | None = None,
    objectives: Sequence[str] = (),
    values: Mapping[str, Sequence[int]] | None = None,
) -> Found:
    """Search families for the networks that hold constraints.

    Args:
        constraints: in the constraint language; a figure of a node without a node is the output's.
        families: names of `FAMILIES`; those for maps of the input's rank if left out.
        given: the input; each family's own if left out.
        objectives: what is to be small; `OBJECTIVES` if left out, and for signals the look-ahead too.
        values: for numbers of the families, by name, the values that are tried.

    Raises:
        RfcalcError: a constraint that cannot be read, that contradicts another, or is out of reach of any network; a
            family, an objective or an input that does not fit.
    """
    parsed = parse(constraints, output=True)
    refuse(parsed)
    chosen = _chosen(families, given, values or {})
    for constraint in parsed:
        _reasonable(constraint, chosen)
        _axes_there(constraint, [given or Shape.parse(f.input) for f in chosen])
    signal = all((given or Shape.parse(f.input)).rank == 1 for f in chosen)
    asked = objectives or ((*OBJECTIVES, "lookahead") if signal else OBJECTIVES)
    names = tuple([_objective(name) for name in asked])
    searches: list[FamilySearch] = []
    found: Sequence[FoundDesign] = ()
    work = SearchWork()
    tables = [FamilyFigures(f, given or Shape.parse(f.input), work) for f in chosen]
    _nodes_there(parsed, tables)
    _kinds_there(parsed, tables)
    for figures in tables:
        search = FamilySearch(figures.family, figures.shape, parsed, names, figures, found)
        search.run()
        searches.append(search)
        found = search.found
    found = pareto(found, names)
    if not found:
        _read_somewhere(searches, parsed)
    tightest, conflicts = (_tightest(searches, parsed), _conflicts(searches, parsed)) if not found else ((), ())
    shapes = tuple(s.shape for s in searches)
    _confirm(found, parsed, dict(zip((f.name for f in chosen), shapes, strict=True)))
    return Found(
        tuple(map(str, parsed)), names, tuple(chosen), shapes, work.walked, all(s.exhausted for s in searches),
        tuple(found), tightest, conflicts, work.stopped,
    )  # fmt: skip


def _chosen(families: Sequence[str], given: Shape | None, values: Mapping[str, Sequence[int]]) -> list[DesignFamily]:
    """The families that are searched.

    Raises:
        RfcalcError: a family that there is not, or not for this input.
    """
    chosen = [FAMILIES[name] for name in dict.fromkeys(families)] if families else list(FAMILIES.values())
    if given is not None:
        wrong = next((f for f in chosen if given.rank not in f.ranks), None)
        if families and wrong is not None:
            raise RfcalcError(
                f"the family {wrong.name} is not for an input of {given}",
                why=f"it takes maps of {' or '.join(map(str, wrong.ranks))} spatial axes",
            )
        chosen = [f for f in chosen if given.rank in f.ranks]
    elif not families:
        chosen = [f for f in chosen if 2 in f.ranks]
    if not chosen:
        raise RfcalcError(f"no family is for an input of {given}", fix="rfcalc design --families lists them")
    return limited(chosen, values)


def _axes_there(constraint: Constraint, shapes: Sequence[Shape]) -> None:
    """Refuse a bound for each axis of maps that have another number of axes.

    Raises:
        RfcalcError: no map has so many.
    """
    sides = len(constraint.wanted) if isinstance(constraint.wanted, tuple) else 0
    ranks = sorted({shape.rank for shape in shapes})
    if sides and sides not in ranks:
        there = " or ".join(plural(rank, "spatial axis", "spatial axes") for rank in ranks)
        raise RfcalcError(
            f"{constraint} has a bound for each of {sides} axes", why=f"the maps that are searched have {there}",
            fix=f"give one bound for all axes, or an --input with {sides} spatial axes",
        )  # fmt: skip


def _objective(name: str) -> str:
    """The name of a metric that can be small.

    Raises:
        RfcalcError: one that is no number of a network or its output.
    """
    asked = metric(name)
    if asked.full is str or asked.name == "output_shape" or (asked.whole is None and asked.row is None):
        raise RfcalcError(
            f"{name} cannot be minimised, because it is not one number of a network",
            fix="minimise params, macs, peak_bytes, …",
        )
    return asked.name


def _nodes_there(constraints: Sequence[Constraint], tables: Sequence[FamilyFigures]) -> None:
    """Refuse a constraint on a node that no network has.

    Raises:
        RfcalcError: with the nearest names that there are.
    """
    for constraint in constraints:
        node = constraint.subject.partition("@")[2]
        if any(t.has(node) for t in tables):
            continue
        there = [n for t in tables if t.largest for n in t.largest.positions]
        raise RfcalcError(
            f"no network of these families has a node {node!r}", where=str(constraint),
            why=f"searched: {', '.join(t.family.name for t in tables)}",
            fix=f"{suggestion(node, there)}; {constraint.subject.partition('@')[0]} without a node is the output's",
        )  # fmt: skip


def _kinds_there(constraints: Sequence[Constraint], tables: Sequence[FamilyFigures]) -> None:
    """Refuse a pattern of a kind of layers that there is not.

    Raises:
        UnknownName: with the nearest kinds.
    """
    for constraint in (c for c in constraints if measured(c) is None):
        for figures in tables:
            report = figures.report(tuple([p.values[0] for p in figures.family.parameters]))
            if report is not None:
                constraint.check(report)


def _read_somewhere(searches: Sequence[FamilySearch], constraints: Sequence[Constraint]) -> None:
    """Raise what keeps a constraint from being read in every network: a layer kind or a node that there is not.

    Raises:
        RfcalcError: the first such reason.
    """
    failures = [error for s in searches for error in s.figures.failures]
    for constraint in constraints:
        if "@" in constraint.subject and failures:
            of = figure_of(constraint)
            read = any(v is not None for s in searches for (name, _), v in s.figures.known.items() if name == of.key)
            alone = (FamilySearch(s.family, s.shape, [], (), s.figures) for s in searches)
            if not read and all(s.extreme(of, True) is None for s in alone):
                raise failures[0]


def _confirm(designs: Sequence[FoundDesign], constraints: Sequence[Constraint], shapes: Mapping[str, Shape]) -> None:
    """Walk the designs again: their figures, and that they hold the constraints.

    Raises:
        RfcalcError: a family says of its figures what is not so.
    """
    nodes = 0
    for one in designs:
        if nodes > MOST_CONFIRMED:
            return
        report = Report(read(one.notation).network(), shapes[one.family])
        nodes += len(report)
        wrong = [n for n, value in one.figures.items() if figure(report, n) != value]
        wrong += [str(c) for c in constraints if not c.check(report)[0]]
        if wrong:
            raise RfcalcError(
                f"the family {one.family} says wrongly how {', '.join(wrong)} moves", where=one.notation,
                why="a walk of the network gives another figure", fix="please report this: no answer would be sure",
            )  # fmt: skip


def _reasonable(constraint: Constraint, families: Sequence[DesignFamily]) -> None:
    """Refuse a goal that is taken for a mistake.

    Raises:
        RfcalcError: a receptive field of a billion, say.
    """
    wanted = constraint.wanted
    sides = wanted if isinstance(wanted, tuple) else (wanted,)
    large = any(w is not None and w > LARGEST_GOAL for w in sides)
    if large and measured(constraint) == "receptive_field" and constraint.relation in (">", ">=", "=", "=="):
        names = ", ".join(f.name for f in families)
        raise RfcalcError(
            f"{constraint} is out of reach",
            why=f"a side of {LARGEST_GOAL:,} pixels is the most that is searched for (in {names})",
            fix="ask for a smaller receptive field: no larger one than the input shows more of it",
        )


def nearest_of(constraint: Constraint, reports: Sequence[Report]) -> Tightest | None:
    """The nearest figure to a constraint's bound among networks; None where there is none, or no bound."""
    if not constraint.value or constraint.wanted is None:
        return None
    found = [constraint.value(report) for report in reports]
    return nearest_told(constraint, [v for v in found if v is not None and not (isinstance(v, tuple) and None in v)])


def nearest_told(constraint: Constraint, figures: Sequence[Any]) -> Tightest | None:
    """Of figures the nearest to a constraint's bound, and how far off it is."""
    wanted = constraint.wanted
    if not figures or wanted is None or constraint.relation == "!=":
        return None
    goal = least_side(wanted)
    bound = min(figures, key=lambda have: abs(Fraction(least_side(have)) - goal))
    off = abs(Fraction(least_side(bound)) - goal) / max(1, abs(goal))
    return Tightest(str(constraint), list(bound) if isinstance(bound, tuple) else bound, off)


def _tightest(searches: Sequence[FamilySearch], constraints: Sequence[Constraint]) -> tuple[Tightest, ...]:
    """For each constraint the nearest figure that holds the others, those that are least off first."""
    found = [nearest_told(c, [b for s in searches for b in s.nearest(c)]) for c in constraints]
    return tuple(sorted((t for t in found if t is not None), key=lambda t: t.off or 0))


def _conflicts(searches: Sequence[FamilySearch], constraints: Sequence[Constraint]) -> tuple[Conflict, ...]:
    """The constraints that no network of the families holds alone; if there are none, pairs that exclude each other."""
    names = ", ".join(s.family.name for s in searches)
    found = []
    for c in constraints:
        if _none_holds(searches, [c]):
            near = nearest_told(c, [b for s in searches for b in s.nearest(c, alone=True)])
            nearest = f"; the nearest is {told(near.bound)}" if near is not None else ""
            holds = "no network of it holds that" if len(searches) == 1 else "no network of them holds that"
            why = f"{c} contradicts {_the(searches)} {names}: {holds}, whatever else is asked{nearest}"
            found.append(Conflict((str(c),), why))
    if not found and len(constraints) > 2:
        for one, other in combinations(constraints, 2):
            if _none_holds(searches, [one, other]):
                found.append(Conflict((str(one), str(other)), f"{one} and {other} exclude each other in {names}"))
    return tuple(found)


def _the(searches: Sequence[FamilySearch]) -> str:
    return "the families" if len(searches) > 1 else "the family"


def _none_holds(searches: Sequence[FamilySearch], constraints: Sequence[Constraint]) -> bool:
    """Whether it is sure that no network holds all of these."""
    for s in searches:
        again = FamilySearch(s.family, s.shape, constraints, (), s.figures)
        again.run()
        if again.found or not again.exhausted:
            return False
    return True


def percent(part: Fraction) -> str:
    """A part as text."""
    if part < 10:
        return f"{float(part * 100):.3g} %"
    return f"{float(part):.3g} times" if part < 100 else f"{round(part):,} times"
