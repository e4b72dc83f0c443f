"""What all units of a long signal see, counted without listing them.

Away from the ends of the signal a unit sees the same as the unit one period before it, moved by the advance. So the
units are told in three parts: those near the left end and near the right end one by one, and between them one unit for
each phase. How long the signal is does not matter; only how far a unit sees does.

For example, of `conv3 p1` on 10,000,000 samples unit 0 and the last one see 2 samples, and every other one sees 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, lcm

from rfcalc.core.errors import LimitError
from rfcalc.core.layer import POINTWISE, Reads
from rfcalc.core.shape import Shape
from rfcalc.core.window import Border, Slide, Table
from rfcalc.graph.forward import Shaped, Walked, relation
from rfcalc.receptive.region import runs
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.unit_walk import Runs, UnitWalk, union

MOST_UNITS = 100_000  # told one by one


class LongSignal:
    """The units of a node whose maps have one axis each, back to the source.

    >>> import rfcalc
    >>> walked = rfcalc.analyze("conv3-8 p1 > conv3-8/2", input="1x10000000")
    >>> LongSignal(walked, 2).sizes()
    {(3,): 1, (4,): 1, (5,): 4999998}

    Raises:
        LimitError: what a unit sees depends on more than its distance from the ends, or too many units lie near them.
    """

    def __init__(self, walked: Shaped, at: int, source: int = 0) -> None:
        self.walked, self.at, self.source = walked, at, source
        self.periods = _periods(walked, at, source)
        self.period, self.advance = self.periods[at]
        self.units = int(walked.shapes[at].spatial[0])
        self.extent = int(walked.shapes[source].spatial[0])
        try:
            self.left, self.right = self._together()
        except LimitError:
            self.left = self._near(range(self.units), "left")
            self.right = self._near(range(self.units - 1, len(self.left) - 1, -1), "right")
        self.first = len(self.left)  # of the units between
        self.between = self.units - len(self.left) - len(self.right)
        self.phases = [self._seen(self.first + p) for p in range(min(self.period, self.between))]

    def _seen(self, unit: int) -> Runs:
        return self._walk(unit)[1]

    def _walk(self, unit: int) -> tuple[UnitWalk, Runs]:
        walk = UnitWalk(self.walked, self.at, (unit,), self.source)
        if walk.placed:
            raise LimitError("what a unit sees depends on where in the signal it lies", fix="give a smaller --input")
        axis = self.walked.shapes[self.source].axes[0]
        return walk, union(run for box in walk.boxes for run in box[axis])

    def _together(self) -> tuple[list[Runs], list[Runs]]:
        """What the units near the left and near the right end see, each from its end on, listed on a shorter signal.

        Raises:
            LimitError: the borders join the two ends, or the units near them are too many to list.
        """
        left, right = self._cut_off("left"), self._cut_off("right")
        advances = [advance for _, advance in self.periods.values()]
        step = lcm(*advances)  # source positions after which every map repeats
        if min(advances) < 1:
            raise LimitError("the signal does not advance")
        units_a_turn = step * self.period // self.advance
        short: Shaped = self.walked
        turns = max(0, self.units - left - right - 2 * self.period) // units_a_turn
        while turns:
            short = _shorter(self.walked, self.periods, turns * step)
            units = self.units - turns * units_a_turn
            last, first = range(max(0, left - self.period), left), range(units - right, units)[: self.period]
            walks = {
                end: [UnitWalk(short, self.at, (u,), self.source) for u in near]
                for end, near in (("right", last), ("left", first))
            }
            if not any(getattr(walk, end) for end, found in walks.items() for walk in found):
                break
            turns //= 2
        else:  # the ends meet: all units are near one
            short, left, right, units = self.walked, self.units, 0, self.units
        listed = regions(short, self.at, self.source)
        if listed.bounded:
            raise LimitError("channels are not told apart")
        moved = turns * step
        seen = [runs(listed.unit((u,)).shadow[0]) for u in (*range(left), *range(units - 1, units - 1 - right, -1))]
        at_right = [tuple((a + moved, b + moved) for a, b in one) for one in seen[left:]]
        return [tuple(one) for one in seen[:left]], at_right

    def _cut_off(self, end: str) -> int:
        """How many units from one end on may be cut off there: at most about twice those that are.

        A unit that is not cut off is followed by one, a period further in, that is not either.
        """
        count = 0
        while count < self.units:
            block = range(count, min(count + self.period, self.units))
            if not any(getattr(self._walk(u if end == "left" else self.units - 1 - u)[0], end) for u in block):
                return count
            count = 2 * count + self.period
        return self.units

    def _near(self, units: Sequence[int], end: str) -> list[Runs]:
        """What the units from one end on see, until a whole period of them is not cut off at that end."""
        found: list[Runs] = []
        free = 0
        for unit in units:
            walk, seen = self._walk(unit)
            free = 0 if getattr(walk, end) else free + 1
            found.append(seen)
            if free == self.period:
                return found
            if len(found) > MOST_UNITS:
                raise LimitError(f"more than {MOST_UNITS:,} units lie near the {end} end", fix="give a smaller --input")
        return found

    def sizes(self) -> dict[tuple[int, ...], int]:
        """Sizes of the units' regions, and how many units have each."""
        found: dict[tuple[int, ...], int] = {}
        told = [(seen, 1) for seen in (*self.left, *self.right)]
        for phase, seen in enumerate(self.phases):
            told.append((seen, (self.between - 1 - phase) // self.period + 1))
        for seen, units in told:
            size = (seen[-1][1] - seen[0][0] + 1,) if seen else (0,)
            found[size] = found.get(size, 0) + units
        return found

    def unseen(self) -> int:
        """How many positions of the source no unit depends on.

        Between the ends, positions that are alike modulo the advance are seen together: position s of phase p is
        followed by s + advance, s + 2·advance, …, one for each unit of that phase.
        """
        covered: dict[int, list[tuple[int, int]]] = {}
        step = max(1, self.advance)
        for a, b in union(run for seen in (*self.left, *self.right) for run in seen):
            for s in range(a, b + 1):
                covered.setdefault(s % step, []).append((s // step, s // step))
        for phase, seen in enumerate(self.phases):
            more = (self.between - 1 - phase) // self.period
            for a, b in seen:
                for s in range(a, b + 1):
                    covered.setdefault(s % step, []).append((s // step, s // step + more))
        return self.extent - sum(b - a + 1 for parts in covered.values() for a, b in union(parts))

    def reached_by(self, pixel: int) -> tuple[tuple[int, ...], ...]:
        """The units that see one position of the source."""
        last = self.units - len(self.right)
        found = [u for u, seen in enumerate(self.left) if _holds(seen, pixel)]
        for phase, seen in enumerate(self.phases):
            if not seen:
                continue
            least = -((seen[-1][1] - pixel) // self.advance) if self.advance else 0
            most = (pixel - seen[0][0]) // self.advance if self.advance else 0
            for turn in range(max(0, least), most + 1):
                unit = self.first + phase + turn * self.period
                if unit < last and _holds(seen, pixel - turn * self.advance):
                    found.append(unit)
        found += [self.units - 1 - u for u, seen in enumerate(self.right) if _holds(seen, pixel)]
        return tuple((u,) for u in sorted(found))


def _holds(seen: Runs, pixel: int) -> bool:
    return any(a <= pixel <= b for a, b in seen)


def _shorter(walked: Shaped, periods: dict[int, tuple[int, int]], removed: int) -> Walked:
    """The same maps on a signal that lacks so many positions of the source, whole periods of every map.

    Raises:
        LimitError: a layer's map is not shorter by as many periods, or its border brings in the other end.
    """
    network = walked.network
    shapes = [*walked.shapes]
    for position, (period, advance) in periods.items():
        shape = shapes[position]
        fewer = removed * period // advance
        dims = [n - fewer if axis in shape.axes else n for axis, n in enumerate(shape.dims)]
        if min(dims) < 1:
            raise LimitError("a map is shorter than its ends")
        shapes[position] = Shape(*dims, channel=shape.channel)
    short = Walked(network, tuple(shapes), walked.costs)
    for position in sorted(periods)[1:]:
        node, sources, xs, y = short.at(position)
        if node.layer.output(*xs) != y:
            raise LimitError("its map is of another length", where=node.name)
        for s, alternatives in zip(sources, relation(short, position), strict=True):
            for reads in alternatives if s in periods else ():
                if reads is not POINTWISE and getattr(reads[shapes[s].axes[0]][1], "border", None) == Border.CIRCULAR:
                    raise LimitError("its border joins both ends", where=node.name)
    return short


def _periods(walked: Shaped, at: int, source: int) -> dict[int, tuple[int, int]]:
    """After how many units everything repeats on each map from the source to `at`, and by how many positions of the
    source it has moved then.

    Raises:
        LimitError: a layer on the way does not repeat, or branches of different strides meet.
    """
    network = walked.network
    found: dict[int, tuple[int, int]] = {source: (1, 1)}
    for position in range(max(network.arity, source + 1), at + 1):
        sources = network.sources[position - network.arity]
        if not any(s in found for s in sources):
            continue
        parts: list[tuple[int, int]] = []
        for s, alternatives in zip(sources, relation(walked, position), strict=True):
            if s in found:
                parts += [_through(walked, found[s], reads, s, position) for reads in alternatives]
        period = lcm(*(q for q, _ in parts))
        moved = {a * (period // q) for q, a in parts}
        if len(moved) > 1:
            raise LimitError(
                "paths of different strides meet",
                where=network.nodes[position - network.arity].name,
                fix="give a smaller --input",
            )
        found[position] = (period, moved.pop())
    return found


def _through(walked: Shaped, before: tuple[int, int], reads: Reads, source: int, position: int) -> tuple[int, int]:
    """The period of a layer's output from that of its input: u ↦ stride·u repeats after q / gcd(q, stride) units."""
    x, y = walked.shapes[source], walked.shapes[position]
    name = walked.network.nodes[position - walked.network.arity].name
    q, advance = before
    if x.rank != 1 or y.rank != 1:
        raise LimitError("maps of other than one axis are not counted at this length", where=name)
    if reads is POINTWISE:
        return before
    out, index = reads[x.axes[0]]
    if out != y.axes[0] or not isinstance(index, (Slide, Table)):
        raise LimitError(
            "what a unit sees depends on where in the signal it lies", where=name, fix="give a smaller --input"
        )
    turns = q // gcd(q, index.advance)
    return index.period * turns, advance * (index.advance * turns) // q
