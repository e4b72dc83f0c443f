"""One family of networks, searched exactly for those that hold constraints and of which none is better.

A family's networks are the points of a box of whole numbers. Figures move one way with most of the numbers, so that
the figures of a whole box lie between those of two of its corners. A box is left out where a constraint fails at its
most favourable corner, or where a design that was found is as good in every objective as the box's best corner; else it
is halved.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from math import isqrt
from typing import Any, NamedTuple, Protocol, TypeVar

from rfcalc.core.shape import Shape
from rfcalc.plan.families import DesignFamily, FamilyParameter, Law
from rfcalc.plan.figures import (
    RUNS,
    Bound,
    FamilyFigures,
    Point,
    SearchFigure,
    bounds_of,
    figure,
    figure_of,
    made_of,
    measured,
    no_less,
)
from rfcalc.receptive.receptive_field import plain
from rfcalc.report import Report
from rfcalc.report.constraints import Constraint

SHORT = 8  # so many values of a number are told apart before those of the others
MOST_CORNERS = 24  # of a box, where it is not said how a figure moves with some of its numbers

NOWHERE = "nowhere"  # stands for the bound of a figure of a node that no network of a box has

Asked = tuple[SearchFigure, Constraint, list[Bound]]
Box = tuple[tuple[int, int], ...]  # the first and last index of each number's values


class FoundDesign(NamedTuple):
    """A network that fits: its family, its notation, and its figures."""

    family: str
    notation: str
    figures: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "family": self.family,
            "notation": self.notation,
            "figures": {n: plain(v) for n, v in self.figures.items()},
        }


class FamilySearch:
    """One family, searched for the designs that hold constraints, of which none is better in every objective.

    Args:
        family, shape: what is searched, and the input.
        constraints, objectives: what must hold, and what is to be small.
        figures: those that are known already.
        found: designs of other families, than which designs of this one must be better in something.
    """

    def __init__(
        self,
        family: DesignFamily,
        shape: Shape,
        constraints: Sequence[Constraint],
        objectives: Sequence[str],
        figures: FamilyFigures | None = None,
        found: Sequence[FoundDesign] = (),
    ) -> None:
        self.family, self.shape, self.constraints, self.objectives = family, shape, constraints, objectives
        self.figures = figures or FamilyFigures(family, shape)
        self.exhausted = True
        self._found = [(tuple([d.figures[n] for n in objectives]), d) for d in found]
        needed = [n for c in constraints if (n := self.figures.needed(c.subject.partition("@")[2])) is not None]
        runs = Constraint("runs", lambda report: (True, ""), holds=bool)
        self._asked = [(RUNS, runs, [Bound(True, bool)])]
        self._asked += [(figure_of(c), c, bounds_of(c)) for c in (*needed, *constraints)]
        self._asked.sort(key=lambda asked: (self._many(asked[0]), asked[0].name == "holes"))
        self._quick = [asked for asked in self._asked if not self._many(asked[0])]
        self._slow = self._asked[len(self._quick) :]
        self._least = [SearchFigure(name, name, lambda r, name=name: figure(r, name)) for name in objectives]  # type: ignore[misc]
        names = [n for n in dict.fromkeys(measured(c) for c in constraints) if n and n not in objectives]
        self._shown = [*self._least, *(SearchFigure(n, n, lambda r, n=n: figure(r, n)) for n in names)]  # type: ignore[misc]
        self._ends: tuple[dict[str, tuple[int | None, ...]], ...] = ({}, {})  # of least and of most
        self._above = {of.key: no_less(of) for of, *_ in self._asked}
        unsaid = {i for of, *_ in self._slow for i, p in enumerate(self.family.parameters) if of.sign(p) is None}
        self._first = unsaid  # numbers that are told apart before others, as it is not said how figures move with them
        self._made: dict[str, tuple[SearchFigure, ...]] = {}  # of a count, those that it is made of
        self._nearest: dict[tuple[str, bool], list[Any]] = {}

    def _many(self, of: SearchFigure) -> bool:
        """Whether a figure has to be found at many points: it is not said how it moves with some of the numbers."""
        if of.parts:
            return any(map(self._many, of.parts))
        return any(of.sign(p) is None for p in self.family.parameters if len(p.values) > 1)

    @property
    def found(self) -> list[FoundDesign]:
        """The designs than which none was found that is as good in everything."""
        return [design for _, design in self._found]

    @property
    def _boxes(self) -> list[Box]:
        """What is searched: everything, or nothing where no network has a node of which something is asked."""
        return [self.whole] if all(self.figures.has(c.subject.partition("@")[2]) for c in self.constraints) else []

    @property
    def whole(self) -> Box:
        """All points."""
        return tuple((0, len(p.values) - 1) for p in self.family.parameters)

    def numbers(self, point: Point) -> Point:
        """The numbers at a point."""
        return tuple(p.values[i] for p, i in zip(self.family.parameters, point, strict=True))

    def report(self, point: Point) -> Report | None:
        """The network at a point; None where it does not run on the input."""
        return self.figures.report(self.numbers(point))

    def value(self, of: SearchFigure, point: Point) -> Any:
        """A figure of the network at a point."""
        known = self.figures.found[of.key]
        if point not in known:
            known[point] = self.figures.value(of, self.numbers(point))
        return known[point]

    def corners(self, box: Box, of: SearchFigure, most: bool, many: int = MOST_CORNERS) -> list[Point]:
        """The points of a box among which a figure is largest (or least); none where these would be too many."""
        many = 1 if of.name == "holes" else many
        ends = self._ends_of(of, most)
        if None not in ends:
            return [tuple([side[end] for side, end in zip(box, ends, strict=True)])]  # type: ignore[index]
        found: list[Point] = [()]
        for end, (low, high) in zip(ends, box, strict=True):
            if end is None:
                if len(found) * (high - low + 1) > many:
                    return []
                found = [(*point, i) for point in found for i in range(low, high + 1)]
            else:
                found = [(*point, high if end else low) for point in found]
        return found

    def _ends_of(self, of: SearchFigure, most: bool) -> tuple[int | None, ...]:
        """At which end of each side of a box a figure is largest (or least): 0 the low one, 1 the high one; None where
        it is not said."""
        known = self._ends[most]
        if of.key not in known:
            found: list[int | None] = []
            for sign in map(of.sign, self.family.parameters):
                inside = sign == "0" and not of.whole  # which may not be there at the low end
                high = inside or (sign != "0" and (sign == "+") == most)
                found.append(None if sign is None else int(high))
            known[of.key] = tuple(found)
        return known[of.key]

    def extreme_of(self, box: Box, of: SearchFigure, most: bool, many: int = MOST_CORNERS) -> Any:
        """A bound of a figure in a box, which need not be reached where it is a share or a count; None where none is
        known, or it is among too many; `NOWHERE` where no network of the box has the node."""
        ends = self._ends[most].get(of.key) or self._ends_of(of, most)
        if None not in ends:  # one corner, and mostly it is there
            one = self.value(of, tuple([side[end] for side, end in zip(box, ends, strict=True)]))  # type: ignore[index]
            if one is not None and not (isinstance(one, tuple) and None in one):
                return one
        found = [self.value(of, at) for at in self.corners(box, of, most, many)]
        values = [v for v in found if v is not None] if self._alike(box, of) else found
        if found and not values:
            return NOWHERE
        if not values or any(v is None for v in values):
            return self._loosely(box, of, most, many)
        if isinstance(values[0], tuple):
            if any(None in v for v in values):
                return None
            return tuple([(max if most else min)(v[i] for v in values) for i in range(len(values[0]))])
        return max(values) if most else min(values)

    def _alike(self, box: Box, of: SearchFigure) -> bool:
        """Whether a node that is not there at a corner is nowhere in the box beside that corner."""

        def stays(parameter: FamilyParameter) -> bool:
            moves = parameter.moves
            return moves.get("runs") == "0" and "0" in (moves.get("count"), of.sign(parameter))

        sides = zip(self.family.parameters, box, strict=True)
        return not of.whole and all(low == high or of.sign(p) is None or stays(p) for p, (low, high) in sides)

    def _loosely(self, box: Box, of: SearchFigure, most: bool, many: int) -> Any:
        """A bound of a share from what its parts are as a number grows, or from bounds of them; of a count from those
        of counts that are no less, or that it is made of."""
        if of.parts:
            mine, total = (
                self.extreme_of(box, o, way, many) for o, way in zip(of.parts, (most, not most), strict=True)
            )
            if NOWHERE in (mine, total):
                return NOWHERE
            bound = min(Fraction(1), Fraction(mine, total)) if mine is not None and total else None
            turning = self._turning(box, of, most) if bound is not None else ()
            return (max if most else min)(turning) if turning else bound
        if not most:
            return 0 if of.name in ("count", "holes") else None
        above = [self.extreme_of(box, o, True, many) for o in self._above.get(of.key, ())]
        if of.key not in self._made:
            self._made[of.key] = made_of(of)
        ends = zip(self._made[of.key], (True, True, False), strict=False)
        parts = [self.extreme_of(box, o, end, many) for o, end in ends]
        if parts and None not in parts:
            above.append(parts[0] + parts[1] - parts[2])
        return min((v for v in above if v is not None), default=None)

    def _turning(self, box: Box, of: SearchFigure, most: bool) -> list[Fraction]:
        """The values of a share among which its greatest and least are, where one number alone is left of which it is
        not said how the share moves, and both parts are polynomials in it, of degree 2 at most: at its ends, and where
        p′q − pq′ changes its sign, which is of degree 2 then; none where that is not so."""
        ends = self._ends_of(of, most)
        free = [i for i, (end, (low, high)) in enumerate(zip(ends, box, strict=True)) if end is None and low != high]
        if len(free) != 1:
            return []
        parameter, (first, last) = self.family.parameters[free[0]], box[free[0]]
        low, high = parameter.values[first], parameter.values[last]
        for part in of.parts:
            law = part.law(parameter)
            law = Law(0) if part.sign(parameter) == "0" else law and law.on(self.shape.rank)
            if law is None or law.convex or law.degree > 2 or law.start > low:
                return []
        at = list(self.numbers(tuple([low if not end else high for end, (low, high) in zip(ends, box, strict=True)])))

        def value(part: SearchFigure, n: int) -> Any:
            at[free[0]] = n
            return self.figures.value(part, tuple(at))

        rows = [[value(part, low + i) for i in range(3)] for part in of.parts]
        if None in (*rows[0], *rows[1]):
            return []
        (a, b, c), (d, e, f) = map(_quadratic, rows)
        roots = _roots(a * e - b * d, 2 * (a * f - c * d), b * f - c * e)
        inside = {low + r + i for r in roots for i in (0, 1) if low < low + r + i < high}
        return [value(of, n) for n in (low, high, *inside)]

    def possible(self, box: Box, asked: Sequence[Asked] | None = None, many: int = MOST_CORNERS) -> bool:
        """Whether no constraint (of those that are given) fails in the whole box, as far as corners tell."""
        for of, constraint, bounds in self._asked if asked is None else asked:
            for bound in bounds:
                value = self.extreme_of(box, of, bound.most, many)
                if value is NOWHERE or (value is not None and not bound.holds(value)):
                    return False
            if constraint.relation == "!=" and not self._many(of) and not self._differs(box, of, constraint, many):
                return False
        return True

    def _differs(self, box: Box, of: SearchFigure, constraint: Constraint, many: int) -> bool:
        """Whether a figure that is to be another than some number may be, in a box: it is not that everywhere."""
        least = self.extreme_of(box, of, False, many)
        return least in (None, NOWHERE) or constraint.holds(least) or least != self.extreme_of(box, of, True, many)

    def better(self, box: Box) -> bool:
        """Whether nothing that was found is as good in every objective as the box can be."""
        if not self._found:
            return True
        least = []
        for of in self._least:
            value = self.extreme_of(box, of, most=False)
            if value is None:
                return True
            least.append(list(value) if isinstance(value, tuple) else value)
        return not any(all(map(operator.le, one, least)) for one, _ in self._found)

    def run(self) -> None:
        """Search the family."""
        boxes = self._boxes
        while boxes:
            if self.figures.work.stopped:
                self.exhausted = False
                return
            self.figures.work.boxes += 1
            box = boxes.pop()
            if not self.possible(box, self._quick):
                continue
            box = self.tightened(box)
            if not self.better(box) or not self.possible(box, self._slow, 1):
                continue
            if all(low == high for low, high in box):
                self._take(tuple(low for low, _ in box))
                continue
            best = self.best_corner(box)
            if best is not None and self._take(best):
                continue  # nothing in the box is better in any objective
            boxes += reversed(self._halves(box))

    def tightened(self, box: Box) -> Box:
        """The box without the ends of its sides in which a constraint fails, whatever the other numbers are; not one on
        a figure that takes many points to be found."""
        for i in range(len(box)):
            first, last = box[i]

            def held(low: int, high: int, i: int = i, box: Box = box) -> bool:
                return self.possible((*box[:i], (low, high), *box[i + 1 :]), self._quick)

            low, high = first, first if first == last or held(first, first) else last
            while low < high:  # the least end from which on a run from the first value may hold
                middle = (low + high) // 2
                low, high = (low, middle) if held(first, middle) else (middle + 1, high)
            first = low
            low, high = last if first == last or held(last, last) else first, last
            while low < high:
                middle = (low + high + 1) // 2
                low, high = (middle, high) if held(middle, last) else (low, middle - 1)
            box = (*box[:i], (first, low), *box[i + 1 :])
        return box

    def _halves(self, box: Box, first: Collection[int] = ()) -> list[Box]:
        """A box, cut in the middle of a side: of one of the first, of the shortest, as long as there are short ones,
        then of one with which it is not said how a figure moves, then of the longest."""
        sides = [(high - low, i) for i, (low, high) in enumerate(box) if high > low]
        few = [side for side in sides if side[1] in first] or [side for side in sides if side[0] < SHORT]
        unsaid = [side for side in sides if side[1] in self._first]
        _, at = min(few or unsaid) if few or unsaid else max(sides)
        low, high = box[at]
        middle = (low + high) // 2
        return [(*box[:at], (low, middle), *box[at + 1 :]), (*box[:at], (middle + 1, high), *box[at + 1 :])]

    def best_corner(self, box: Box) -> Point | None:
        """The corner at which every objective is least; None where they differ, or it is not said."""
        corners = {tuple(self.corners(box, of, most=False)) for of in self._least}
        first = corners.pop() if len(corners) == 1 else ()
        return first[0] if len(first) == 1 else None

    def _take(self, point: Point) -> bool:
        """Keep the network at a point if it holds all constraints; whether it does."""
        if not all(self._holds(of, c, point) for of, c, _ in self._asked):
            return False
        figures = {of.key: self.value(of, point) for of in self._shown}
        if any(v is None for v in figures.values()) and self.report(point) is None:
            return False
        told = {n: list(v) if isinstance(v, tuple) else v for n, v in figures.items()}
        design = FoundDesign(self.family.name, self.figures.notation(self.numbers(point)), told)
        mine = tuple([told[n] for n in self.objectives])
        if not any(all(map(operator.le, one, mine)) for one, _ in self._found):
            kept = [entry for entry in self._found if not all(map(operator.le, mine, entry[0]))]
            self._found = [*kept, (mine, design)]
        return True

    def _holds(self, of: SearchFigure, constraint: Constraint, point: Point) -> bool:
        value = self.value(of, point)
        return value is not None and constraint.holds(value)

    def nearest(self, constraint: Constraint, alone: bool = False) -> list[Any]:
        """The figures nearest to a constraint's bound, one from each side that it bounds, among the networks that hold
        all others (`alone`: among all); none where there is no such network."""
        others = [] if alone else [c for c in self.constraints if c is not constraint]
        key = (constraint.text, bool(others))
        if key not in self._nearest:
            self._nearest[key] = self._nearest_with(constraint, others)
        return self._nearest[key]

    def _nearest_with(self, constraint: Constraint, others: Sequence[Constraint]) -> list[Any]:
        of, bounds = figure_of(constraint), bounds_of(constraint)
        found = []
        for bound in bounds:
            # A figure that is asked for exactly: the nearest that is not beyond, from either side
            sides = [b for b in bounds if b is not bound]
            near = [constraint._replace(relation=">=" if b.most else "<=", holds=b.holds) for b in sides]
            needed = self.figures.needed(constraint.subject.partition("@")[2])
            asked = [*others, *near, *([needed] if needed is not None else ())]
            best = FamilySearch(self.family, self.shape, asked, (), self.figures).extreme(of, bound.most)
            if best is not None:
                found.append(best)
        return found

    def _moves_nothing(self, parameter: FamilyParameter, of: SearchFigure) -> bool:
        """Whether neither what is asked nor a figure depends on a number, so that one value of it stands for all."""
        figures = (of, *(asked for asked, *_ in self._asked))
        return all(one.sign(parameter) == "0" for one in figures) and (
            all(one.whole for one in figures) or parameter.moves.get("count") == "0"
        )

    def extreme(self, of: SearchFigure, most: bool) -> Any:
        """The greatest (or least) of a figure among the networks that hold the constraints; None where none does, or
        where the search was stopped. The box that promises most is looked at first."""
        best: Any = None
        many = 1 if self._many(of) else MOST_CORNERS
        unsaid = [i for i, p in enumerate(self.family.parameters) if of.sign(p) is None]
        waiting: list[tuple[Any, int, Any, Box]] = []  # what a box promises, the latest first, its bound, the box

        def wait(box: Box) -> None:
            if self.possible(box, self._quick):
                value = self.extreme_of(box, of, most, many)
                if value is NOWHERE:
                    return
                rank = (0, 0) if value is None else (1, -least_side(value) if most else least_side(value))
                heappush(waiting, (rank, -self.figures.work.boxes, value, box))
            self.figures.work.boxes += 1

        for box in self._boxes:
            sides = zip(self.family.parameters, box, strict=True)
            wait(tuple([side[:1] * 2 if self._moves_nothing(p, of) else side for p, side in sides]))
        while waiting:
            if self.figures.work.stopped:
                return None
            _, _, value, box = heappop(waiting)
            if value is not None and best is not None and not _beyond(value, best, most):
                break
            if not self.possible(box, self._slow, 1):
                continue
            ends = self.corners(box, of, most)
            if value is not None and len(ends) == 1 and all(self._holds(o, c, ends[0]) for o, c, _ in self._asked):
                best = value
                continue
            if all(low == high for low, high in box):
                point = tuple(low for low, _ in box)
                value = self.value(of, point)
                fits = value is not None and all(self._holds(o, c, point) for o, c, _ in self._asked)
                best = value if fits and (best is None or _beyond(value, best, most)) else best
                continue
            box = self.tightened(box)
            first = unsaid if value is None else ()
            for part in self._halves(box, first) if any(low != high for low, high in box) else [box]:
                wait(part)
        return best


def _quadratic(values: Sequence[int]) -> tuple[int, int, int]:
    """Twice the coefficients of a polynomial of degree 2 at most, from its values at 0, 1 and 2.

    >>> _quadratic([5, 6, 9])
    (2, 0, 10)
    """
    zero, one, two = values
    bend = two - 2 * one + zero
    return bend, 2 * (one - zero) - bend, 2 * zero


def _roots(a: int, b: int, c: int) -> list[int]:
    """The whole numbers just below the real roots of a·x² + b·x + c, or on them.

    >>> _roots(1, -5, 6), _roots(0, 2, -7), _roots(1, 0, 1), _roots(2, 0, -7)
    ([2, 3], [3], [], [-2, 1])
    """
    if not a:
        return [-c // b] if b else []
    under = b * b - 4 * a * c
    if under < 0:
        return []
    a, b = (a, b) if a > 0 else (-a, -b)
    root = isqrt(under)
    exact = root * root == under
    return [(-b - root - (not exact)) // (2 * a), (-b + root) // (2 * a)]


def _beyond(value: Any, best: Any, most: bool) -> bool:
    """Whether a figure is beyond the best so far."""
    mine, other = least_side(value), least_side(best)
    return bool(mine > other if most else mine < other)


def least_side(value: Any) -> Any:
    """A figure with an axis each is as good as its worst axis."""
    if isinstance(value, (tuple, list)):
        return min((v if v is not None else -1) for v in value) if value else -1
    return value


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
