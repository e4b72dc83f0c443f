"""A network along one axis: which axis of each map carries it, what a unit reads along it, how long every map is.

A stream is a network of which only one axis matters. `trace` follows that axis through every node by the index
relations alone; a node through which it cannot be followed step by step is a `Blocker`. Then two counts say everything
about a stream of which `b` input positions have come (`counts`):

- the *length* of a map: how long it would be if the input ended now, and so how long it will be at least;
- how many of its positions are *known*: those that read known positions only, whatever comes afterwards.

Zeros, reflection or repetition at the end count as not known before the end. A slice that drops the last two positions
knows a position only when two more are certain to come, which is what the lengths are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import POINTWISE, Layer
from rfcalc.core.masks import pattern
from rfcalc.core.shape import Shape
from rfcalc.core.size import is_number
from rfcalc.core.window import START, STEP, All, Border, Listed, PeriodTooLong, Scattered, Slide, Table, Window
from rfcalc.graph.forward import Shaped, reads_of
from rfcalc.plan.blockers import (
    ALL,
    BY_LENGTH,
    FIXED,
    FRAMES,
    LENGTHS,
    LISTED,
    NOT_UNDERSTOOD,
    OWN,
    PAIRS,
    PLACES,
    TURNED,
    UNTOLD,
    Blocker,
    refused,
)
from rfcalc.plan.even import even, placed, widened, width, with_length
from rfcalc.plan.frames import frames
from rfcalc.plan.inputs import along
from rfcalc.plan.positions import Along, known, lowest, unread
from rfcalc.plan.taps import hull


class Edge(NamedTuple):
    """What a unit of a node reads of one of its inputs along the axis; `index` None where that input is constant:
    its positions along `even` are alike then, so that it is as long as it has to be."""

    source: int
    index: Along | None  # type: ignore[assignment]  # no tuple method here
    after: int = 0  # how far the last window reaches beyond the end
    even: int | None = None


class AxisMap(NamedTuple):
    """One map along the axis. `axis` is its index among the map's axes, None for what depends on no position;
    `rate`: positions for one of the input; `width`: values at one position; `size`: bytes of a value; `carried`: what a
    recurrence hands on."""

    name: str
    layer: Layer | None
    axis: int | None
    rate: Fraction = Fraction(1)
    width: int = 0
    edges: tuple[Edge, ...] = ()
    carried: int = 0
    masked: bool = False  # it attends to others by a mask, which says what
    before: tuple[int, ...] = ()  # the maps of which it reads everything that came before
    size: int = 4
    framed: bool = False  # it cuts the axis into frames, or puts frames in a row

    @property
    def weight(self) -> int:
        """Bytes of one position."""
        return self.width * self.size

    @property
    def even(self) -> dict[int, int]:
        """The constants that it reads position by position, all alike: of each, along which axis."""
        return {e.source: e.even for e in self.edges if e.even is not None}

    @property
    def pointwise(self) -> bool:
        """Whether each position is made of the same position of one map or several, and of nothing else."""
        return (
            bool(self.edges) and not (self.carried or self.masked) and all(e.index in (None, STEP) for e in self.edges)
        )

    @property
    def again(self) -> bool:
        """Whether it may be made again from what it reads, one position from one: position by position, or moved by
        padding with zeros."""
        if self.pointwise:
            return True
        index = self.edges[0].index if len(self.edges) == 1 and not self.carried else None
        return isinstance(index, Slide) and index.stride == index.kernel == 1 and index.border == "zeros"


class Timeline:
    """A network along one axis of its first input.

    Args:
        walked: the forward walk; its sizes are numbers.
        axis: which spatial axis of the input, from 0; negative ones count from the end.
        at: the output; the network's first one if left out.
        itemsize: bytes of a value; `sizes`: of the maps whose values have others, by name.

    Raises:
        RfcalcError: an axis that is not there, sizes that are symbols.
    """

    def __init__(
        self,
        walked: Shaped,
        axis: int = -1,
        at: str | None = None,
        itemsize: int = 4,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        self.walked = walked
        network = walked.network
        x = walked.shapes[0]
        if not x.rank and len(x.dims) == 1:
            raise RfcalcError(
                "the input has no axis to stream along", why=f"it is {x}", fix="give one: --input 1x16000"
            )
        if not isinstance(axis, int) or not -x.rank <= axis < x.rank:
            raise RfcalcError(
                f"there is no axis {axis} in {x}",
                why=f"its spatial axes are 0 … {x.rank - 1}" if x.rank > 1 else "its only spatial axis is 0",
                fix="--axis -1 is the last one",
            )
        for shape in walked.shapes:
            if not all(is_number(n) for n in shape.dims):
                raise RfcalcError(f"the size of {shape} is a symbol", fix="give numbers: --input 1x16000")
        self.axis = axis % x.rank
        self.output = network.position(network.outputs[0] if at is None else at)
        self.blockers: list[Blocker] = []
        self.lines: list[AxisMap] = []
        self._lengths: dict[int, tuple[int, ...]] = {}
        self.assumptions: list[str] = []
        self._trace()
        given = sizes or {}
        self.lines = [line._replace(size=given.get(line.name, itemsize)) for line in self.lines]

    @cached_property
    def extras(self) -> tuple[int, ...]:
        """How much longer every map is than its rate times the input's length, for whole blocks."""
        n = -(-self.length // self.block[0]) * self.block[0] + self.block[0]
        pairs = zip(self.lines, self.lengths(n), strict=True)
        return tuple(0 if line.axis is None else int(length - n * line.rate) for line, length in pairs)

    def may_again(self, position: int) -> bool:
        """Whether a map may be made again instead of being kept."""
        return self.lines[position].again and position not in self.growing

    @cached_property
    def growing(self) -> frozenset[int]:
        """The maps that are kept from the beginning on."""
        return frozenset(s for line in self.lines for s in line.before)

    @cached_property
    def heads(self) -> tuple[int, ...]:
        """How many positions at the beginning of each map are read by nobody."""
        read = [(e.source, 0 if line.before else lowest(e.index)) for line in self.lines for e in line.edges]
        return unread(len(self.lines), [(self.output, 0), *read])

    @property
    def length(self) -> int:
        """How long the input is that the network was walked with."""
        return int(self.walked.shapes[0].dims[self.lines[0].axis or 0])

    @property
    def moving(self) -> bool:
        """Whether the output still has the axis."""
        return self.lines[self.output].axis is not None

    # --- following the axis ------------------------------------------------------------------------------------

    def _trace(self) -> None:
        walked, network = self.walked, self.walked.network
        needed = self._ancestors()
        for position, name in enumerate(network.inputs):
            x = walked.shapes[position]
            if position == 0:
                axis = x.axes[self.axis]
                self.lines.append(AxisMap(name, None, axis, Fraction(1), width(x, axis)))
            else:
                self.lines.append(self._beside(name, x) if position in needed else AxisMap(name, None, None))
        for position, node in enumerate(network.nodes, network.arity):
            if position in needed:
                line = self._line(position)
            else:
                line = AxisMap(node.name, node.layer, None)
            self.lines.append(line)

    def _beside(self, name: str, x: Shape) -> AxisMap:
        """Another input: it comes along with the first one where it has the axis, else it is the same all along."""
        found = along(name, x, next(iter(self.walked.network.inputs)), self.walked.shapes[0], self.axis)
        if isinstance(found, Blocker):
            self.blockers.append(found)
            return AxisMap(name, None, None)
        axis, rate, told = found
        self.assumptions.append(told)
        return AxisMap(name, None, axis, rate, 0 if axis is None else width(x, axis))

    def reaches(self, position: int) -> bool:
        """Whether the output depends on a map."""
        return position in self._ancestors()

    def _ancestors(self) -> set[int]:
        network = self.walked.network
        found = {self.output}
        for position in range(self.output, network.arity - 1, -1):
            if position in found:
                found.update(network.sources[position - network.arity])
        return found

    def _line(self, position: int) -> AxisMap:
        network = self.walked.network
        node = network.nodes[position - network.arity]
        sources = network.sources[position - network.arity]
        xs, y = self.walked.input_shapes(position), self.walked.shapes[position]
        still = AxisMap(node.name, node.layer, None)
        moving = [i for i, s in enumerate(sources) if self.lines[s].axis is not None]
        if not moving:
            return still
        if node.layer.opaque:
            self.blockers.append(Blocker(node.name, *NOT_UNDERSTOOD))
            return still
        relation = reads_of(node, xs, y)
        into: set[int | None] = set()
        edges: list[Edge] = []
        constants: list[tuple[int, int]] = []  # places among the edges, and among the sources
        carried, free, masked, before, framed = 0, node.layer.any_length(), False, list[int](), False
        for i, s in enumerate(sources):
            axis = self.lines[s].axis
            if axis is None:
                constants.append((len(edges), i))
                edges.append(Edge(s, None))
                continue
            mine: list[Along] = []
            for alternative in relation[i]:
                out, index = (axis, STEP) if alternative == POINTWISE else alternative[axis]
                if isinstance(index, Listed) and self._carries(node.layer, xs, y, index):
                    carried, index = int(node.layer.carried(xs, y) or 0), STEP
                if free is not None and isinstance(index, Listed) and out is not None:
                    rule = pattern(index.units, int(xs[i].dims[axis]))
                    if rule is None:
                        why = "its mask follows no rule by which it would go on"
                        self.blockers.append(
                            Blocker(node.name, why, "use a window, or a longer input: it shows the rule")
                        )
                        return still._replace(axis=out, rate=self.lines[s].rate)
                    index, masked = rule.index, True
                    before += [s] if rule.open else []
                if isinstance(index, Scattered) and (cut := frames(node.layer, xs[i], y, axis)) is not None:
                    (out, index), framed = cut, True
                if not isinstance(index, (Slide, Table)) or out is None:
                    cuts = isinstance(index, Scattered) and not node.layer.unstreamed[0]
                    found = Blocker(node.name, *FRAMES) if cuts else refused(node.name, node.layer, _why(index))
                    self.blockers.append(found)
                    # where the axis goes on, what stands in the way behind this node is told too
                    return still if out is None else still._replace(axis=out, rate=self.lines[s].rate)
                if index.border == Border.CIRCULAR:
                    self.blockers.append(
                        Blocker(node.name, "circular padding joins the end to the beginning", "pad with zeros")
                    )
                    return still
                if isinstance(index, Table) and index.advance == 0:
                    self.blockers.append(Blocker(node.name, *TURNED))
                    return still
                into.add(out)
                mine += [index] if index not in mine[-1:] else []
            edges += [Edge(s, index) for index in (hull(mine) if getattr(node.layer, "taps", None) else mine)]
        if len(into) != 1:
            self.blockers.append(Blocker(node.name, "the axis comes out on several axes", PAIRS))
            return still
        (out,) = into
        assert out is not None
        windows = any(e.index not in (None, STEP) for e in edges)
        for number, i in constants:
            edge, places = edges[number], placed(relation[i], xs[i], out)
            if len(places) > 1 or not all(not windows and even(self.walked, edge.source, at) for at in places):
                why = "it takes values that are tied to positions (a table, a mask)"
                self.blockers.append(Blocker(node.name, why, PLACES))
                return still
            edges[number] = edge._replace(even=next(iter(places), None))
        layer = free if masked and free is not None else node.layer
        axes = [(x, at) for x, s in zip(xs, sources, strict=True) if (at := self.lines[s].axis) is not None]
        for x, at in axes:
            layer = layer.ended(x, at)
        if framed:
            self.assumptions.append(f"{node.name} cuts frames of as many positions at any length")
        elif masked:
            self.assumptions.append(f"the mask of {node.name} goes on by the same rule at any length")
        elif layer != node.layer:
            self.assumptions.append(f"{node.name} is {layer.notation()} at any length")
        rates = {self._rate(e) for e in edges if e.index is not None}
        if len(rates) != 1:
            self.blockers.append(Blocker(node.name, "its inputs have different strides", "resample one of them"))
            return still
        return AxisMap(
            node.name,
            layer,
            out,
            rates.pop(),
            width(y, out),
            tuple(edges),
            carried,
            masked,
            tuple(before),
            framed=framed,
        )

    @staticmethod
    def _carries(layer: Layer, xs: tuple[Shape, ...], y: Shape, index: Listed) -> bool:
        return layer.carried(xs, y) is not None and all(
            tuple(units) == tuple(range(u + 1)) for u, units in enumerate(index.units)
        )

    def _rate(self, edge: Edge) -> Fraction:
        index = edge.index
        assert index is not None
        return self.lines[edge.source].rate * index.period / index.advance

    # --- counts ------------------------------------------------------------------------------------------------

    @cached_property
    def block(self) -> tuple[int, int]:
        """Input positions and output positions of one block: after whole blocks every map is at the same phase."""
        size = 1
        for line in self.lines:
            if line.axis is None:
                continue
            size = lcm(size, line.rate.denominator)
            for edge in line.edges:
                if edge.index is not None:
                    size = lcm(size, (line.rate / edge.index.period).denominator)
        return size, int(size * self.lines[self.output].rate)

    def lengths(self, n: int) -> tuple[int, ...]:
        """How long every map is for an input of n positions (0 for what has no such axis).

        Raises:
            ShapeError: a layer cannot take what it gets.
        """
        found = self._lengths.get(n)
        if found is None:
            network, shapes = self.walked.network, list(self.walked.shapes)
            made = []
            for position, line in enumerate(self.lines):
                if line.axis is None:
                    made.append(0)
                    continue
                if position < network.arity:
                    length = int(n * line.rate)
                else:
                    sources = network.sources[position - network.arity]
                    xs = tuple([shapes[s] for s in sources])
                    edge = next(e for e in line.edges if e.index is not None)
                    xs = widened(line.even, sources, xs, made[edge.source])
                    index = edge.index
                    assert index is not None
                    layer = line.layer
                    assert layer is not None
                    layer = layer.stretched(line.axis, made[edge.source] * index.period // index.advance)
                    try:
                        length = layer.output(*xs).dims[line.axis]
                    except RfcalcError as error:
                        raise error.at(line.name) from None
                made.append(length)
                shapes[position] = with_length(shapes[position], line.axis, length)
            found = self._lengths[n] = tuple(made)
        return found

    def check(self) -> None:
        """Compare the relations at two other lengths: what depends on the length is a blocker.

        Both lengths are whole blocks, so that rounding cannot differ.
        """
        if self.blockers or not self.moving:
            return
        size, network = self.block[0], self.walked.network
        first = -(-self.length // size) * size + size
        second = first + 2 * size
        try:
            short, long = self.lengths(first), self.lengths(second)
        except RfcalcError as error:
            why = f"it does not take other lengths: {error.what}"
            self.blockers.append(Blocker(error.where or network.outputs[0], why, error.own_fix or LENGTHS))
            return
        shapes = [
            [
                s if at.axis is None else with_length(s, at.axis, n)
                for s, at, n in zip(self.walked.shapes, self.lines, found, strict=True)
            ]
            for found in (short, long)
        ]
        for position, line in enumerate(self.lines):
            if line.layer is None or line.axis is None:
                continue
            if long[position] - short[position] != 2 * size * line.rate:
                self.blockers.append(refused(line.name, line.layer, FIXED))
            elif line.carried or line.masked or line.framed:  # as at any length
                continue
            else:
                sources = network.sources[position - network.arity]
                told = []
                for at_length in shapes:
                    xs = tuple([at_length[s] for s in sources])
                    xs = widened(line.even, sources, xs, at_length[position].dims[line.axis])
                    relation = line.layer.reads(xs, at_length[position])
                    params = line.layer.cost(xs, at_length[position]).params
                    told.append(([self._along(a, s) for a, s in zip(relation, sources, strict=True)], params))
                if told[0][0] != told[1][0]:
                    self.blockers.append(refused(line.name, line.layer, BY_LENGTH))
                elif told[0][1] != told[1][1]:
                    self.blockers.append(refused(line.name, line.layer, OWN))
        if self.blockers:
            return
        for position, line in enumerate(self.lines):
            self.lines[position] = line._replace(edges=tuple(self._ended(position, e, first) for e in line.edges))

    def _along(self, alternatives: Any, source: int) -> Any:
        axis = self.lines[source].axis
        if axis is None:
            return None
        return [STEP if a == POINTWISE else a[axis][1] for a in alternatives]

    def _ended(self, position: int, edge: Edge, n: int) -> Edge:
        """The edge with how far its last window reaches beyond the end of what it reads."""
        if edge.index is None:
            return edge
        lengths = self.lengths(n)
        period = edge.index.period
        last = max(
            (t for u in range(max(0, lengths[position] - period), lengths[position]) for t in edge.index.taps(u)),
            default=-1,
        )
        return edge._replace(after=max(0, last + 1 - lengths[edge.source]))

    def counts(self, n: int, holds: dict[int, int] | None = None) -> list[int]:
        """How many positions of every map are known when n positions of the input (whole blocks) have come.

        `holds`: positions by which a node waits longer than it must.
        """
        found: list[int] = []
        for position, line in enumerate(self.lines):
            if line.axis is None:
                found.append(0)
            elif not line.edges:
                found.append(int(n * line.rate))
            else:
                heads = self.heads
                most = min(known(e.index, found[e.source], heads[position]) for e in line.edges if e.index is not None)
                most = min(most, n * line.rate.numerator // line.rate.denominator + self.extras[position])
                found.append(max(0, most - (holds or {}).get(position, 0)))
        return found

    # --- what a unit sees --------------------------------------------------------------------------------------

    def windows(self, source: int = 0) -> list[Window | None]:
        """What the units of every map see of an input along the axis, padding counted.

        Raises:
            RfcalcError: patterns that repeat too late.
        """
        found: list[Window | None] = []
        for position, line in enumerate(self.lines):
            if line.axis is None:
                found.append(None)
            elif not line.edges:
                found.append(START if position == source else None)
            else:
                window: Window | None = None
                for edge in line.edges:
                    seen = found[edge.source]
                    if edge.index is None or seen is None:
                        continue
                    try:
                        pulled = seen.pull(edge.index)
                        window = pulled if window is None else window | pulled
                    except PeriodTooLong:
                        raise RfcalcError("the pattern along the axis repeats too late", where=line.name) from None
                found.append(window)
        return found


def _why(index: Any) -> tuple[str, str]:
    return ALL if isinstance(index, All) else LISTED if isinstance(index, Listed) else UNTOLD
