"""Which positions of the input reach an output, on one axis: sizes that run may still lose their last rows.

What is read goes backward from the outputs as progressions (first, last, step), clipped at every map. Ends may be
numbers of a class (`rfcalc.plan.classes`), so that one walk answers for all sizes of the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import lcm
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import POINTWISE
from rfcalc.core.shape import Shape
from rfcalc.core.size import maximum, minimum
from rfcalc.core.window import STEP, All, Border, Listed, Scattered, Slide, Table
from rfcalc.graph.forward import Walked, reads_of, relation
from rfcalc.graph.network import Network
from rfcalc.plan.classes import Number, Range, Undecided
from rfcalc.plan.following import Following
from rfcalc.plan.formulas import of_each, with_exceptions
from rfcalc.plan.solving import Cut, key_of, refined

MOST_PARTS = 64
MOST_LISTED = 100_000


class Part(NamedTuple):
    """The positions first, first + step, … last."""

    first: Any
    last: Any
    step: int = 1


class Unclear(Exception):
    """What is read is no union of a few progressions."""


Demand = dict[int, list[Part]]  # by axis of the map
Piece = tuple[int, int, Range, Any]  # modulus, rest, the t; what holds for these sizes


def is_behind_unknown(network: Network, name: str) -> bool:
    """Whether a map hangs on what an operator makes that is not understood."""
    found = [False] * network.arity
    for node, sources in zip(network.nodes, network.sources, strict=True):
        found.append(node.layer.opaque or any(found[s] for s in sources))
    return found[network.position(name)]


def axes_from(network: Network, walked: Walked, source: int, axis: int) -> list[frozenset[int]]:
    """For every position the axes of its map along which it depends on the place on this axis of a source."""
    found: list[frozenset[int]] = [frozenset() for _ in range(len(walked.shapes))]
    found[source] = frozenset([axis])
    for position in range(network.arity, len(walked.shapes)):
        mine: set[int] = set()
        if network.nodes[position - network.arity].layer.opaque:  # what it reads is not known
            found[position] = frozenset(range(len(walked.shapes[position].dims)))
            continue
        for s, alternatives in zip(network.sources[position - network.arity], relation(walked, position), strict=True):
            for reads in alternatives:
                if reads is POINTWISE:
                    mine |= found[s]
                else:
                    mine.update(out for a in found[s] if (out := reads[a][0]) is not None)
        found[position] = frozenset(mine)
    return found


class Backward:
    """Which positions of a source reach an output, from the output back: behind a cut (`rfcalc.plan.solving.cuts`) once
    for all maps that come there.

    Args:
        following: the network, with the layers that belong to the shapes.
        output: the position whose units are wanted, all of them.
        along: the axes of each position that are asked for (`axes_from`); all if left out.
    """

    def __init__(
        self,
        following: Following,
        output: int,
        source: int = 0,
        along: Sequence[frozenset[int]] | None = None,
        cuts: Sequence[Cut] = (),
    ) -> None:
        self.following, self.network = following, following.network
        self.output, self.source, self.along = output, source, along
        self.cuts = [cut for cut in cuts if cut.position < output]
        self.known: dict[Any, list[Demand | None]] = {}

    def read(self, shapes: Sequence[Shape]) -> Demand:
        """The positions of the source that are read, by axis; no entry: nothing is read.

        Raises:
            Unclear: it is no union of a few progressions.
        """
        along, arity = self.along, self.network.arity
        found: list[Demand | None] = [None] * len(shapes)
        start: int = self.output
        keys: dict[int, tuple[Cut, Any]] = {}
        for cut in self.cuts:
            key = (cut.position, _key([shapes[p] for p in cut.live]))
            if key in self.known:
                start = cut.position
                for p, demand in zip(cut.live, self.known[key], strict=True):
                    found[p] = demand
                break
            keys[cut.position] = (cut, key)
        else:
            dims = shapes[start].dims
            found[start] = {i: [Part(0, n - 1)] for i, n in enumerate(dims) if along is None or i in along[start]}
        for position in range(start, arity - 1, -1):
            mine = found[position]
            if position in keys:
                cut, key = keys[position]
                self.known[key] = [found[p] for p in cut.live]
            sources = self.network.sources[position - arity]
            if mine is not None and sources:
                self._step(found, mine, position, sources, shapes)
        return found[self.source] or {}

    def _step(
        self,
        found: list[Demand | None],
        mine: Demand,
        position: int,
        sources: Sequence[int],
        shapes: Sequence[Shape],
    ) -> None:
        """Add what the units of a node read of its sources."""
        along = self.along
        node = self.network.nodes[position - self.network.arity]
        if position in self.following.rules:
            node = node._replace(layer=self.following.layer(position, shapes))
        xs = tuple([shapes[s] for s in sources])
        if node.layer.opaque:
            raise Unclear(node.name)
        try:
            relation = reads_of(node, xs, shapes[position])
        except Undecided:
            asked = range(len(shapes[position].dims)) if along is None else along[position]
            if not node.layer.covers(xs, shapes[position]) or not all(_all(mine, a, shapes[position]) for a in asked):
                raise
            for s, x in zip(sources, xs, strict=True):
                whole = {a: [Part(0, n - 1)] for a, n in enumerate(x.dims) if along is None or a in along[s]}
                found[s] = _joined(found[s], whole)
            return
        except RfcalcError as error:
            raise Unclear(node.name) from error
        for s, x, alternatives in zip(sources, xs, relation, strict=True):
            for reads in alternatives:
                if reads is POINTWISE:
                    demand = mine
                else:
                    asked = range(x.rank + 1) if along is None else along[s]
                    if along is not None and any(
                        reads[a][0] not in along[position] for a in asked if reads[a][0] is not None
                    ):
                        raise Unclear("the axes change their order with the size")
                    demand = {
                        axis: _back(mine.get(out) if out is not None else None, index, x.dims[axis])
                        for axis, (out, index) in enumerate(reads)
                        if axis in asked
                    }
                found[s] = _joined(found[s], demand)


def _key(shapes: Sequence[Shape]) -> Any:
    """What tells maps apart, with the range of what varies."""
    return (*map(key_of, shapes), next((d.range for x in shapes for d in x.dims if type(d) is Number), None))


def _all(demand: Demand, axis: int, shape: Shape) -> bool:
    """Whether all positions of an axis are among them."""
    return any(p.step == 1 and p.first == 0 and p.last == shape.dims[axis] - 1 for p in demand.get(axis, ()))


def _back(units: list[Part] | None, index: Any, n: Any) -> list[Part]:
    """The positions of an axis of n that these units read."""
    if index is STEP:
        return units if units is not None else [Part(0, n - 1)]
    kind = type(index)
    if kind is All or kind is Scattered or units is None:
        return [Part(0, n - 1)]
    if kind is Slide:
        parts = [part for unit in units for part in _slid(unit, index)]
    elif kind is Table or kind is Listed:
        parts = [part for unit in units for part in _listed(unit, index)]
    else:
        raise Unclear(type(index).__name__)
    border = index.border
    kept = []
    for part in parts:
        first, last = part.first, part.last
        if border == Border.CIRCULAR and (first < 0 or last > n - 1):
            kept.append(Part(0, n - 1))
            continue
        if border == Border.REFLECT and part.step == 1:
            if first < 0:
                kept.append(Part(0, minimum(-first, n - 1)))
            if last > n - 1:
                kept.append(Part(maximum(n - 1 - (last - n + 1), 0), n - 1))
        elif border != Border.ZEROS and (first < 0 or last > n - 1):
            if part.step != 1:
                raise Unclear("a border")
            first, last = minimum(first, n - 1), maximum(last, 0)
        if first < 0:
            first = first + -(first // part.step) * part.step
        if last > n - 1:
            last = last - -((n - 1 - last) // part.step) * part.step
        if first <= last:
            kept.append(Part(first, last, part.step))
    return _tidy(kept)


def _slid(units: Part, index: Slide) -> list[Part]:
    s, first, k, d = index.stride, index.first, index.kernel, index.dilation
    step = s * units.step
    low, high = s * units.first + first, s * units.last + first
    if (d == 1 and k >= step) or (k == 1 and step == 1):
        return [Part(low, high + k - 1)]
    if not isinstance(step, int):
        raise Unclear("windows with holes, as far apart as the size says")
    if k > MOST_PARTS:
        raise Unclear("a long kernel with holes")
    return [Part(low + d * t, high + d * t, step) for t in range(k)]


def _listed(units: Part, index: Table | Listed) -> list[Part]:
    """The positions of units that are known one by one; else of a table without holes."""
    if isinstance(index, Table) and not isinstance(index.advance, int):
        raise Unclear("phases that are as far apart as the size says")
    if isinstance(units.first, int) and isinstance(units.last, int) and units.last - units.first < MOST_LISTED:
        taps = sorted({t for u in range(units.first, units.last + 1, units.step) for t in index.taps(u)})
        starts = [0, *(i for i in range(1, len(taps)) if taps[i] > taps[i - 1] + 1), len(taps)]
        return [Part(taps[a], taps[b - 1]) for a, b in pairwise(starts)] if taps else []
    if isinstance(index, Listed):
        raise Unclear("units that are listed, of an unknown number")
    return [_tabled(units, index)]


def _tabled(units: Part, index: Table) -> Part:
    if units.step != 1 or not all(index.phases):
        raise Unclear("phases with holes")
    advance, period = index.advance, index.period
    covered = sorted({t + advance * turn for turn in (-1, 0, 1) for phase in index.phases for t in phase})
    if any(b - a > 1 for a, b in pairwise(covered)):
        raise Unclear("phases with holes")

    def ends(unit: Any, last: bool) -> Any:
        turn, phase = divmod(unit, period)
        if not isinstance(phase, int):
            raise Unclear("phases of an unknown unit")
        near = range(phase - period + 1, phase + 1) if last else range(phase, phase + period)
        values = [t + advance * (p // period) for p in near for t in index.phases[p % period]]
        return advance * turn + (max(values) if last else min(values))

    first, last = ends(units.first, False), ends(units.last, True)
    return Part(first, last)


def _tidy(parts: list[Part]) -> list[Part]:
    """Without parts that lie within another; dense parts that touch are one."""
    if len(parts) > MOST_PARTS:
        raise Unclear("many parts")
    kept: list[Part] = []
    for part in parts:
        merged = True
        while merged:
            merged = False
            for i, other in enumerate(kept):
                union = _union(other, part)
                if union is not None:
                    kept.pop(i)
                    part, merged = union, True
                    break
        kept.append(part)
    return kept


def _union(a: Part, b: Part) -> Part | None:
    if a == b:
        return a
    if a.step > b.step:
        a, b = b, a
    if a.step == 1:
        if a.first <= b.first and b.last <= a.last:
            return a
        if b.step == 1 and b.first <= a.last + 1 and a.first <= b.last + 1:
            return Part(minimum(a.first, b.first), maximum(a.last, b.last))
        return None
    if a.step == b.step == 2 and a.first > b.first:
        a, b = b, a
    if a.step == b.step == 2 and b.first == a.first + 1 and b.last == a.last + 1:  # every second one, and those between
        return Part(a.first, b.last)
    near = b.first <= a.last + a.step and a.first <= b.last + a.step
    if a.step == b.step and near and (b.first - a.first) % a.step == 0:
        return Part(minimum(a.first, b.first), maximum(a.last, b.last), a.step)
    return None


def _joined(a: Demand | None, b: Demand) -> Demand:
    if a is None:
        return b
    found = dict(a)
    for axis, parts in b.items():
        mine = found.get(axis)
        found[axis] = parts if mine is None else mine if mine is parts else _tidy([*mine, *parts])
    return found


def count(parts: Sequence[Part]) -> Any:
    """How many positions they are.

    Raises:
        Unclear: parts with holes that may meet.
    """
    if len(parts) > 1 and any(p.step > 1 for p in parts):
        ends = [end for p in parts for end in p[:2]]
        if all(isinstance(end, int) for end in ends) and max(ends) < MOST_LISTED:
            return len({n for p in parts for n in range(p.first, p.last + 1, p.step)})
        steps = {p.step for p in parts}
        rests = [p.first % p.step for p in parts]
        if len(steps) > 1 or len({int(r) for r in rests}) < len(rests):
            raise Unclear("parts that meet")
    total: Any = 0
    for part in parts:
        total = total + (part.last - part.first) // part.step + 1
    return total


def unseen_told(pieces: Sequence[Piece]) -> str | None:
    """A number for each class of sizes, as a formula in n."""
    endless = [(m, rest, values, value) for m, rest, values, value in pieces if values.last is None]
    small = {}
    bound = max([1, *(m * values.first + rest for m, rest, values, _ in endless)])
    for m, rest, values, value in pieces:
        last = (bound - rest) // m if values.last is None else values.last
        for t in range(values.first, last + 1):
            small[m * t + rest] = value.at(t) if isinstance(value, Number) else value
    if not endless:
        return str(small.popitem()[1]) if len(set(small.values())) == 1 else of_each(small)
    turn = lcm(*(m for m, *_ in endless))
    lines = [line for m, rest, _, value in endless for line in refined(m, rest, value, turn)]
    return with_exceptions(sorted(lines, key=lambda line: line.rest), small)
