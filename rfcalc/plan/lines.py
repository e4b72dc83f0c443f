"""A network along one axis of its input: how long each map is, what its units read, how its grid lies in the input.

1. Every map that depends on the input has one axis that follows the input's; its density is positions per input
   position.
2. An edge says which positions of a source a unit reads: a `Slide` or a `Table`, affine up to a period.
3. What is not affine (a layer that reads everything, positions that are re-arranged or tied to the size, a constant
   that differs from place to place) is a *barrier*, named with its node; behind the first barrier nothing is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import POINTWISE
from rfcalc.core.shape import Shape
from rfcalc.core.window import STEP, All, Border, Listed, Scattered, Slide, Table, Unsized
from rfcalc.graph.forward import reads_of
from rfcalc.graph.network import Network


class Barrier(NamedTuple):
    """A node that no tile can compute: its kind, and why."""

    node: str
    kind: str
    why: str


class Edge(NamedTuple):
    """What a unit reads of a source position by position."""

    source: int
    reads: Slide | Table


Interval = tuple[int, int]  # first and last


class LineView:
    """One axis of a network at one size.

    Attributes:
        carriers: for each position the axis of its map that follows the input's axis; None where none does.
        lengths: the length of that axis; None where there is none.
        densities: positions of each map per input position.
        edges: for each position what its units read.
        barriers: nodes that no tile can compute, in order.
        align: the step of tile origins that keeps the grid of every map, and every fixed pattern, in place.
    """

    def __init__(self, network: Network, shapes: Sequence[Shape], axis: int) -> None:
        self.network, self.shapes, self.axis = network, shapes, axis
        count = len(shapes)
        self.carriers: list[int | None] = [None] * count
        self.lengths: list[int | None] = [None] * count
        self.densities: list[Fraction] = [Fraction(0)] * count
        self.edges: list[list[Edge]] = [[] for _ in range(count)]
        self.barriers: list[Barrier] = []
        self.align = 1
        self._blocked = [False] * count
        rank = shapes[0].rank
        for p in range(network.arity):
            if shapes[p].rank == rank:
                self._place(p, shapes[p].axes[axis], Fraction(1))
        for position in range(network.arity, count):
            self._node(position)

    def _place(self, position: int, carrier: int, density: Fraction) -> None:
        self.carriers[position] = carrier
        self.lengths[position] = int(self.shapes[position].dims[carrier])
        self.densities[position] = density
        self.align = lcm(self.align, (1 / density).numerator)

    def _bar(self, position: int, why: str) -> None:
        node = self.network.nodes[position - self.network.arity]
        self.barriers.append(Barrier(node.name, node.layer.kind, why))
        self._blocked[position] = True

    def _node(self, position: int) -> None:
        network = self.network
        node, sources = network.nodes[position - network.arity], network.sources[position - network.arity]
        if any(self._blocked[s] for s in sources):
            self._blocked[position] = True
            return
        if node.layer.opaque:
            self._bar(position, "the operator was not understood")
            return
        if all(self.carriers[s] is None for s in sources):
            return
        xs, y = tuple([self.shapes[s] for s in sources]), self.shapes[position]
        relation = reads_of(node, xs, y)
        found: list[tuple[int, int, Any, Fraction]] = []
        for s, x, alternatives in zip(sources, xs, relation, strict=True):
            carrier = self.carriers[s]
            if carrier is None:
                continue
            for reads in alternatives:
                step: tuple[int | None, Any] = (carrier, STEP) if reads is POINTWISE else reads[carrier]
                out, index = step
                why = _unfollowed(out, index, x.dims[carrier])
                if why:
                    self._bar(position, why)
                    return
                assert out is not None
                found.append((s, out, index, self.densities[s] * index.period / index.advance))
        outs = {out for _, out, _, _ in found}
        densities = {d for *_, d in found}
        if len(outs) > 1:
            self._bar(position, "two paths meet that lay the image out along different axes")
            return
        if len(densities) > 1:
            self._bar(
                position, "paths of different strides meet: " + " and ".join(str(1 / d) for d in sorted(densities))
            )
            return
        carrier = outs.pop()
        for s, x, alternatives in zip(sources, xs, relation, strict=True):
            if self.carriers[s] is None and self._differs(x, alternatives, carrier, y):
                self._bar(position, "a constant that differs from place to place is joined here")
                return
        self._place(position, carrier, densities.pop())
        for s, _, index, _ in found:
            self.edges[position].append(Edge(s, index))
            if isinstance(index, Table):  # whole periods: units period·j read from advance·j on
                self.align = lcm(self.align, (index.advance / self.densities[s]).numerator)

    @staticmethod
    def _differs(x: Shape, alternatives: Any, carrier: int, y: Shape) -> bool:
        """Whether units along the axis read different positions of a map that does not depend on the input."""
        if y.dims[carrier] == 1:
            return False
        for reads in alternatives:
            if reads is POINTWISE:
                return bool(x.dims[carrier] != 1)
            if any(
                out == carrier and type(index) is not All and n != 1
                for (out, index), n in zip(reads, x.dims, strict=True)
            ):
                return True
        return False

    def __eq__(self, other: object) -> bool:
        """Whether units read alike, whatever the lengths."""
        return (
            isinstance(other, LineView)
            and self.edges == other.edges
            and self.carriers == other.carriers
            and not self.barriers
            and not other.barriers
        )

    __hash__ = None  # type: ignore[assignment]

    def difference(self, other: LineView) -> int | None:
        """The first position whose units read otherwise than in another view."""
        for position, (mine, theirs) in enumerate(zip(self.edges, other.edges, strict=True)):
            if mine != theirs or self.carriers[position] != other.carriers[position]:
                return position
        return None

    @property
    def wraps(self) -> bool | None:
        """Whether what is read outside of the maps wraps around: True, False, or None where only some does."""
        kinds = set()
        for position, edges in enumerate(self.edges):
            for source, index in edges:
                low, high = read(index, 0, (self.lengths[position] or 1) - 1)
                if low < 0 or high > (self.lengths[source] or 1) - 1:
                    kinds.add(index.border == Border.CIRCULAR)
        return None if len(kinds) > 1 else True in kinds

    def demand(self, units: dict[int, Interval], clipped: bool = True) -> Demand:
        """The positions of every map that these units of some positions need, as hulls.

        Args:
            units: (first, last) by position.
            clipped: whether maps end where they do (borders count), or go on for ever on both sides.
        """
        hulls: list[Interval | None] = [None] * len(self.shapes)
        ends: list[int | None] = [None] * len(self.shapes)
        for position, interval in units.items():
            hulls[position] = _union(hulls[position], interval)
        for position in range(max(units), self.network.arity - 1, -1):
            mine = hulls[position]
            if mine is None:
                continue
            for source, index in self.edges[position]:
                low, high = read(index, *mine)
                if low > high:
                    continue
                if clipped:
                    n = self.lengths[source] or 1
                    low, high, end = _bordered(index, mine, (low, high), n)
                    ends[source] = min((e for e in (ends[source], end) if e is not None), default=None)
                    if low > high:
                        continue
                hulls[source] = _union(hulls[source], (low, high))
        return Demand(tuple(hulls), tuple(ends))


class Demand(NamedTuple):
    """What some units need of every map (first and last position), and the position beyond its end, if any, by which
    the map of a tile must have ended, because nothing may stand there."""

    hulls: tuple[Interval | None, ...]
    ends: tuple[int | None, ...]


def read(index: Slide | Table, first: int, last: int) -> Interval:
    """The hull of what units first … last read, borders not counted; last < first where they read nothing.

    >>> read(Slide(2, -1, 3), 4, 5)
    (7, 11)
    """
    if index is STEP:
        return first, last
    if isinstance(index, Slide):
        low = index.stride * first + index.first
        return low, index.stride * last + index.first + index.dilation * (index.kernel - 1)
    lows = [t[0] for u in range(first, min(first + index.period - 1, last) + 1) if (t := index.taps(u))]
    highs = [t[-1] for u in range(max(last - index.period + 1, first), last + 1) if (t := index.taps(u))]
    return (min(lows), max(highs)) if lows and highs else (0, -1)


def _bordered(index: Slide | Table, units: Interval, hull: Interval, n: int) -> tuple[int, int, int | None]:
    """What units read of a map of n, where what lies outside stands for positions inside, or for nothing; and where
    the map must have ended.
    """
    (low, high), border = hull, index.border
    end = n if high > n - 1 else None
    if border == Border.REFLECT:
        low, high = (0, max(high, -low)) if low < 0 else (low, high)
        low, high = (min(low, 2 * (n - 1) - high), n - 1) if high > n - 1 else (low, high)
    elif border == Border.REPLICATE:
        low, high = min(low, n - 1), max(high, 0)
    elif border == Border.CIRCULAR and (low < 0 or high > n - 1):
        return 0, n - 1, end
    elif isinstance(index, Slide) and index.dilation > 1 and (low < 0 or high > n - 1):
        return _with_holes(index, units, n)
    return max(low, 0), min(high, n - 1), end


def _with_holes(index: Slide, units: Interval, n: int) -> tuple[int, int, int | None]:
    """The same for windows with holes and a border of zeros: at a hole a map may end sooner or later than the whole.

    >>> _with_holes(Slide(3, -1, 2, 2), (1, 1), 4)  # unit 1 reads 2 and 4: position 3 need not be there
    (2, 2, 4)
    """
    first, last = units
    span = index.dilation * (index.kernel - 1)
    a = max(first, -(index.first // index.stride))  # units a … b read real positions only
    b = min(last, (n - 1 - span - index.first) // index.stride)
    edge = [*range(first, a), *range(b + 1, last + 1)] if a <= b else range(first, last + 1)
    taps = [t for u in edge for t in index.taps(u)]
    within = [t for t in taps if 0 <= t < n]
    if a <= b:
        within += [index.stride * a + index.first, index.stride * b + index.first + span]
    return min(within, default=0), max(within, default=-1), min((t for t in taps if t >= n), default=None)


def _union(a: Interval | None, b: Interval) -> Interval:
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def _unfollowed(out: int | None, index: Any, n: int) -> str:
    """Why an index cannot be followed along the axis; empty if it can."""
    kind = type(index)
    if kind is All:
        return f"every unit reads all {n} positions of the axis" if n > 1 else "it reads the one position that is left"
    if kind is Listed:
        return "what a unit reads is tied to the size of the whole map"
    if kind is Scattered:
        return "positions are re-arranged over several axes"
    if kind is Unsized:
        return str(index.why)
    if out is None:
        return "the axis ends here"
    if index.advance == 0:
        return "neighbouring units do not advance"
    return ""


def view(network: Network, inputs: Sequence[Shape], axis: int) -> LineView:
    """The view at these input shapes.

    Raises:
        RfcalcError: they do not run.
    """
    shapes = list(inputs)
    for node, sources in zip(network.nodes, network.sources, strict=True):
        try:
            shapes.append(node.layer.output(*[shapes[s] for s in sources]))
        except RfcalcError as error:
            raise error.at(node.name) from None
    return LineView(network, shapes, axis)
