"""A network along one axis of its input: how long each map is, what its units read, how its grid lies in the input.

1. Every map that depends on the input has one axis that follows the input's; its density is positions per input
   position. Where views lay several axes out along one (tokens, windows), the axis is a part of that one: its *place*.
2. An edge says which positions of a source a unit reads: a `Slide` or a `Table`, affine up to a period.
3. What is not affine (a layer that reads everything, positions that are re-arranged or tied to the size, a constant
   that differs from place to place) is a *barrier*, named with its node; behind the first barrier nothing is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import POINTWISE
from rfcalc.core.shape import Shape
from rfcalc.core.window import STEP, All, Border, Listed, Scattered, Slide, Table, Unsized
from rfcalc.graph.forward import reads_of
from rfcalc.graph.network import Network, Node
from rfcalc.plan.demand import read
from rfcalc.plan.places import Place, flips, laid_out, mirrored, places


class Barrier(NamedTuple):
    """A node that no tile can compute: its kind, and why."""

    node: str
    kind: str
    why: str


class Edge(NamedTuple):
    """What a unit reads of a source position by position."""

    source: int
    reads: Slide | Table


class Apart(NamedTuple):
    """Where two views of an axis are not alike: the positions whose units read other positions, and the edges,
    (position, number), on which only what lies outside of the maps stands for something else."""

    within: frozenset[int]
    outside: frozenset[tuple[int, int]]


class LineView:
    """One axis of a network at one size.

    Attributes:
        carriers: for each position the axis of its map that follows the input's axis; None where none does.
        places: the same with the part of that axis, where it holds more than the input's.
        lengths: the length of that part; None where there is none.
        densities: positions of each map per input position.
        edges: for each position what its units read.
        barriers: nodes that no tile can compute, in order.
        unequal: whether a barrier is one where paths of different strides meet.
        align: the step of tile origins that keeps the grid of every map, and every fixed pattern, in place.
    """

    def __init__(
        self,
        network: Network,
        shapes: Sequence[Shape],
        axis: int,
        whole: LineView | None = None,
        factors: Sequence[Fraction | None] | None = None,
    ) -> None:
        self.network, self.shapes, self.axis = network, shapes, axis
        self.whole = (
            whole  # how the whole image is laid out decides where a tile leaves a choice: one window is no axis
        )
        count = len(shapes)
        self.places: list[Place | None] = [None] * count
        self.lengths: list[int | None] = [None] * count
        self.densities: list[Fraction] = [Fraction(0)] * count
        self.edges: list[list[Edge]] = [[] for _ in range(count)]
        self.barriers: list[Barrier] = []
        self.align = 1
        self._blocked = [False] * count
        self._even: list[frozenset[int]] = [frozenset()] * count  # constants: the axes along which all values are alike
        self._others: list[list[Place | None]] | None = None
        self.unequal = False
        self.rank = max(x.rank for x in shapes[: network.arity])
        for p in range(network.arity):
            if shapes[p].rank == self.rank:
                factor = None if factors is None else factors[p]
                self._put(p, Place(shapes[p].axes[axis]), factor or Fraction(1))
        for position in range(network.arity, count):
            self._node(position)

    @cached_property
    def carriers(self) -> list[int | None]:
        return [None if place is None else place.axis for place in self.places]

    def mixed(self, position: int) -> bool:
        """Whether an axis of a map holds more than the image's."""
        place = self.places[position]
        return place is not None and (place.before, place.after) != (1, 1)

    def mirrored(self, position: int) -> bool:
        """Whether a map lies from the image's end to its beginning, behind a flip."""
        place = self.places[position]
        return place is not None and place.mirrored

    def _put(self, position: int, place: Place, density: Fraction) -> None:
        self.places[position] = place
        self.lengths[position] = place.length(self.shapes[position])
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
        if all(self.places[s] is None for s in sources):
            self._even[position] = self._evenly(position, node, sources)
            return
        if node.layer.row_major:
            self._lay_out(position, sources[0])
        else:
            self._join(position, node, sources)

    def _lay_out(self, position: int, source: int) -> None:
        """The same values in other extents, row-major."""
        before, x, y = self.places[source], self.shapes[source], self.shapes[position]
        assert before is not None
        found = laid_out(before, x, y, None if self.whole is None else self.whole.places[position])
        if found is None:
            self._bar(position, "positions are re-arranged over several axes")
            return
        place, index = found
        if place.after > 1 and place.before == 1 and not self._shared(position, place.axis):
            place, index = place._replace(after=1), Table(1, [[0]] * place.after)
        self._put(position, place, self.densities[source] * index.period / index.advance)
        self._edge(position, source, index)

    def _shared(self, position: int, axis: int) -> bool:
        """Whether another axis of the image lies along an axis of a map, too."""
        if self._others is None:
            self._others = [places(self.network, self.shapes, i) for i in range(self.rank) if i != self.axis]
        return any((place := found[position]) is not None and place.axis == axis for found in self._others)

    def _edge(self, position: int, source: int, index: Slide | Table) -> None:
        self.edges[position].append(Edge(source, index))
        if isinstance(index, Table):  # whole periods: units period·j read from advance·j on
            self.align = lcm(self.align, (index.advance / self.densities[source]).numerator)

    def _join(self, position: int, node: Node, sources: Sequence[int]) -> None:
        """A layer whose units read windows of its sources."""
        xs, y = tuple([self.shapes[s] for s in sources]), self.shapes[position]
        relation = reads_of(node, xs, y)
        found: list[tuple[int, Place, Any, Fraction]] = []
        for s, x, alternatives in zip(sources, xs, relation, strict=True):
            place = self.places[s]
            if place is None:
                continue
            for reads in alternatives:
                step: tuple[int | None, Any] = (place.axis, STEP) if reads is POINTWISE else reads[place.axis]
                out, index = step
                if flips(index, x.dims[place.axis]) and not self.mixed(s):
                    place, index = place._replace(mirrored=not place.mirrored), STEP
                why = _unfollowed(out, index, x.dims[place.axis])
                if not why and index != STEP and self.mixed(s):
                    why = "positions are re-arranged over several axes"
                if why:
                    grid = type(index) is All and self.mixed(s) and self.densities[s] < 1
                    self._bar(position, self._attended(s) if grid else why)
                    return
                assert out is not None
                if place.mirrored and index != STEP:
                    index = mirrored(index, int(x.dims[place.axis]), int(y.dims[out]))
                found.append((s, place._replace(axis=out), index, self.densities[s] * index.period / index.advance))
        outs = {place.axis for _, place, _, _ in found}
        densities = {d for *_, d in found}
        if len(outs) > 1:
            self._bar(position, self._attended(found[0][0]))
            return
        if len(densities) > 1:
            self.unequal = True
            self._bar(
                position, "paths of different strides meet: " + " and ".join(str(1 / d) for d in sorted(densities))
            )
            return
        if len({place for _, place, _, _ in found}) > 1:
            turned = len({place.mirrored for _, place, _, _ in found}) > 1
            why = "an image and its mirror image meet: what a unit reads is tied to the size of the whole map"
            self._bar(position, why if turned else "positions are re-arranged over several axes")
            return
        place = found[0][1]
        for s, x, alternatives in zip(sources, xs, relation, strict=True):
            if self.places[s] is None and self._differs(x, alternatives, place.axis, y, self._even[s]):
                self._bar(position, "a constant that differs from place to place is joined here")
                return
        self._put(position, place, densities.pop())
        for s, _, index, _ in found:
            self._edge(position, s, index)

    def _attended(self, source: int) -> str:
        """What a unit reads where the image lies along two axes of a map, as in attention."""
        count, step = self.lengths[source], 1 / self.densities[source]
        if step == 1:
            return f"every unit reads all {count} positions of the axis, as in attention"
        return (
            f"every unit reads {count} places over the whole axis, {step} positions apart, as in attention over a grid "
            "or over patches"
        )

    def _evenly(self, position: int, node: Node, sources: Sequence[int]) -> frozenset[int]:
        """The axes of a constant map along which all of its values are alike: what is resized or expanded from one
        position, say."""
        y = self.shapes[position]
        if node.layer.level:
            return frozenset(range(len(y.dims)))
        even = {d for d, n in enumerate(y.dims) if n == 1}
        if sources and not node.layer.row_major:
            xs = tuple([self.shapes[s] for s in sources])
            relation = list(zip(sources, xs, reads_of(node, xs, y), strict=True))
            even |= {d for d in range(len(y.dims)) if all(self._alike(d, *one, y) for one in relation)}
        return frozenset(even)

    def _alike(self, d: int, source: int, x: Shape, alternatives: Any, y: Shape) -> bool:
        """Whether all units along an axis read values of a constant that are alike."""
        for reads in alternatives:
            if reads is POINTWISE:
                if d not in self._even[source] and x.dims[d] != 1:
                    return False
                continue
            for e, (out, index) in enumerate(reads):
                if out != d or type(index) is All:
                    continue
                if not isinstance(index, (Slide, Table)) or (e not in self._even[source] and x.dims[e] != 1):
                    return False
                low, high = read(index, 0, int(y.dims[d]) - 1)
                if index.border == Border.ZEROS and (low < 0 or high >= x.dims[e]):
                    return False
        return True

    @staticmethod
    def _differs(x: Shape, alternatives: Any, carrier: int, y: Shape, even: frozenset[int]) -> bool:
        """Whether units along the axis read different values of a map that does not depend on the input."""
        if y.dims[carrier] == 1:
            return False
        for reads in alternatives:
            if reads is POINTWISE:
                return bool(x.dims[carrier] != 1 and carrier not in even)
            if any(
                out == carrier and type(index) is not All and n != 1 and e not in even
                for e, ((out, index), n) in enumerate(zip(reads, x.dims, strict=True))
            ):
                return True
        return False

    def apart(self, other: LineView) -> Apart | None:
        """Where units read otherwise than in another view, whatever the lengths are; None if that cannot be told."""
        if self.barriers or other.barriers or self._unlike(other) is not None:
            return None
        within, outside = set(), set()
        for position, (mine, theirs) in enumerate(zip(self.edges, other.edges, strict=True)):
            if mine == theirs:
                continue
            if [a.source for a in mine] != [b.source for b in theirs]:
                return None
            for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
                if not _inside_alike(a.reads, b.reads):
                    within.add(position)
                elif a != b:
                    outside.add((position, number))
        return Apart(frozenset(within), frozenset(outside))

    def difference(self, other: LineView) -> int | None:
        """The first position whose units read otherwise, within the maps, than in another view."""
        found = self.apart(other)
        if found is not None:
            return min(found.within, default=None)
        return self._unlike(other)

    def _unlike(self, other: LineView) -> int | None:
        """The first position whose map lies otherwise than in another view; or a constant made of one that has another
        size there (the mean of all positions, say), whose values may be others."""
        for p, (a, b) in enumerate(zip(self.places, other.places, strict=True)):
            if a != b or (a is None and self._made_of_another(p, other)):
                return p
        return None

    def _made_of_another(self, position: int, other: LineView) -> bool:
        mine, theirs, arity = self.shapes, other.shapes, self.network.arity
        if position < arity or mine[position].dims != theirs[position].dims:
            return False
        sources = self.network.sources[position - arity]
        return any(self.places[s] is None and mine[s].dims != theirs[s].dims for s in sources)

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


def _inside_alike(a: Slide | Table, b: Slide | Table) -> bool:
    """Whether two indices read alike within a map, whatever stands outside of it."""
    if a == b:
        return True
    if isinstance(a, Slide) and isinstance(b, Slide):
        return a.key()[:-1] == b.key()[:-1]
    return isinstance(a, Table) and isinstance(b, Table) and (a.advance, a.phases) == (b.advance, b.phases)


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


def view(
    network: Network,
    inputs: Sequence[Shape],
    axis: int,
    whole: LineView | None = None,
    factors: Sequence[Fraction | None] | None = None,
) -> LineView:
    """The view at these input shapes.

    Args:
        network, inputs, axis: what is viewed.
        whole: the view of the whole image, beside which this is that of a tile.
        factors: positions of each input where the first has one; 1 if left out.

    Raises:
        RfcalcError: they do not run.
    """
    shapes = list(inputs)
    for node, sources in zip(network.nodes, network.sources, strict=True):
        try:
            shapes.append(node.layer.output(*[shapes[s] for s in sources]))
        except RfcalcError as error:
            raise error.at(node.name) from None
    return LineView(network, shapes, axis, whole, factors)
