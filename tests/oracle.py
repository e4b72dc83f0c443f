"""A second road to every receptive field: index sets, propagated unit by unit through the whole network.

It uses the network's nodes and their layer parameters, its own shapes (`oracle_figures`) and its own index relations
(`oracle_rules`), and nothing of rfcalc's windows, fields, walks or relations.

>>> from rfcalc import Conv, MaxPool, Network
>>> oracle = Oracle(Network(Conv(1, 3) >> MaxPool(2), "1x8"))
>>> sorted(oracle.clipped(2)[(0,)]), oracle.box(2, (1,)), sorted(oracle.points(2, (-1,)))
([(0,), (1,), (2,), (3,)], ((2, 5),), [(-2,), (-1,), (0,), (1,)])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

from oracle_channels import Reader, apart, turned
from oracle_edges import gathered
from oracle_figures import output
from oracle_rules import Edge, Unit, edges, per, place, space, units

from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network

Box = tuple[tuple[int, int], ...]


class Undefined:
    """Beyond the border of a map that has nothing beyond its border; or more work than `MOST_BOXES`."""

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED = Undefined()
MOST_BOXES = 20_000  # for one network and source: three dimensions and many layers are skipped, and counted as such


class Oracle:
    """What every unit of every position sees of one source (an input or an earlier node), by brute force.

    Args:
        network: with concrete input shapes.
        source: the position that is looked at; inputs come first.
        shapes: input shapes by name, in place of the network's own.
    """

    def __init__(self, network: Network, source: int = 0, shapes: dict[str, Shape] | None = None) -> None:
        self.network = network
        self.source = source
        self.shapes: list[Shape] = []
        for name, default in network.inputs.items():
            shape = (shapes or {}).get(name, default)
            assert shape is not None
            self.shapes.append(shape)
        self.arity = len(self.shapes)
        for node, sources in zip(network.nodes, network.sources, strict=True):
            self.shapes.append(output(node.layer, tuple(self.shapes[s] for s in sources)))
        self._edges: dict[int, list[Edge]] = {}
        self._boxes: list[dict[Unit, Box | Undefined | None]] = [{} for _ in self.shapes]
        self._points: list[dict[Unit, frozenset[Unit] | Undefined]] = [{} for _ in self.shapes]
        self._readers: dict[tuple[int, int], Reader | None] = {}
        self._elements: dict[int, dict[tuple[int, Unit], int]] = {}
        self._fine_boxes: dict[tuple[int, int, Unit], Box | Undefined | None] = {}
        self.spent = 0
        self.pixels = {unit: 1 << i for i, unit in enumerate(units(self.shapes[source]))}

    def sources(self, position: int) -> tuple[int, ...]:
        return () if position < self.arity else self.network.sources[position - self.arity]

    def layer(self, position: int) -> Any:
        return self.network.nodes[position - self.arity].layer

    def edges(self, position: int) -> list[Edge]:
        found = self._edges.get(position)
        if found is None:
            xs = tuple(self.shapes[s] for s in self.sources(position))
            found = self._edges[position] = edges(self.layer(position), xs, self.shapes[position])
        return found

    def _spread(self, start: Iterable[int]) -> list[bool]:
        """Which positions depend on one of these."""
        found = [False] * len(self.shapes)
        for position in start:
            found[position] = True
        for position in range(self.arity, len(self.shapes)):
            found[position] |= any(found[s] for s in self.sources(position))
        return found

    @cached_property
    def reaches(self) -> list[bool]:
        """Whether a path leads from the source to the position at all."""
        return self._spread([self.source])

    @cached_property
    def unknown(self) -> list[bool]:
        """Whether an operator that was not understood stands on the way from the source."""
        nodes = range(max(self.arity, self.source + 1), len(self.shapes))
        opaque = [p for p in nodes if self.layer(p).kind == "unknown"]
        return self._spread([p for p in opaque if self.reaches[p] or not self.sources(p)])

    @cached_property
    def differs(self) -> list[bool]:
        """Whether the channels of a position may see different pixels: until a layer reads all channels."""
        found: list[bool] = []
        for position, shape in enumerate(self.shapes):
            own = False
            sources = self.sources(position)
            if self.reaches[position] and position != self.source and not self.unknown[position]:
                layer, xs = self.layer(position), tuple(self.shapes[s] for s in sources)
                own = (layer.kind == "concat" and len(sources) > 1) or layer.kind == "pixel_unshuffle"
                own |= layer.kind in ("flatten", "reshape", "matmul", "attention_product")
                own |= layer.kind in ("mean", "reduce") and turned(layer, xs[0])
                own |= any(found[s] for s in sources)
                own = own and any(self.reader(position, e) is not None for e in range(len(xs)))
                del shape
            found.append(own)
        return found

    def reader(self, position: int, edge: int) -> Reader | None:
        """What elements of a position read of one of its inputs; None where every channel reads all channels."""
        key = (position, edge)
        if key not in self._readers:
            xs = tuple(self.shapes[s] for s in self.sources(position))
            self._readers[key] = apart(self.layer(position), edge, xs, self.shapes[position])
        return self._readers[key]

    def _fine(self, position: int, masks: list[dict[Unit, int]]) -> dict[tuple[int, Unit], int]:
        """The pixels of every element, where channels differ."""
        shape = self.shapes[position]
        found = {(c, u): 0 for c in range(shape.channels) for u in units(shape)}
        for number, (edge, s) in enumerate(zip(self.edges(position), self.sources(position), strict=True)):
            if not self.reaches[s]:
                continue
            reader = self.reader(position, number)
            for element in found:
                mask = found[element]
                if reader is None:
                    for unit in edge.near(element[1]):
                        mask |= masks[s][unit]
                else:
                    for read in reader(element, False) or ():
                        mask |= self._elements[s][read] if self.differs[s] else masks[s][read[1]]
                found[element] = mask
        return found

    # --- real pixels -------------------------------------------------------------------------------------------

    @cached_property
    def masks(self) -> list[dict[Unit, int]]:
        """For every position and unit, the real pixels of the source that it depends on, as a bit each."""
        found: list[dict[Unit, int]] = []
        for position, shape in enumerate(self.shapes):
            if position == self.source:
                found.append(dict(self.pixels))
                continue
            own = dict.fromkeys(units(shape), 0)
            if self.differs[position]:
                fine = self._elements[position] = self._fine(position, found)
                for (_, unit), mask in fine.items():
                    own[unit] |= mask
            elif self.reaches[position] and not self.unknown[position]:
                for edge, s in zip(self.edges(position), self.sources(position), strict=True):
                    if not self.reaches[s]:
                        continue
                    before = found[s]
                    for unit in own:
                        mask = own[unit]
                        for read in edge.near(unit):
                            mask |= before[read]
                        own[unit] = mask
            found.append(own)
        return found

    def clipped(self, position: int) -> dict[Unit, frozenset[Unit]]:
        """For every unit of the position, the real pixels that it depends on."""
        return {unit: self.named(mask) for unit, mask in self.masks[position].items()}

    def named(self, mask: int) -> frozenset[Unit]:
        return frozenset(unit for unit, bit in self.pixels.items() if mask & bit)

    def seen(self, position: int) -> Box | None:
        """The hull of the real pixels that any unit of the position depends on."""
        mask = 0
        for own in self.masks[position].values():
            mask |= own
        return bounds(self.named(mask))

    # --- padding counted ---------------------------------------------------------------------------------------

    def box(self, position: int, unit: Unit) -> Box | Undefined | None:
        """The hull, padding counted, of what a unit (of the endless grid) depends on; None for nothing."""
        memo = self._boxes[position]
        if unit in memo:
            return memo[unit]
        found: Box | Undefined | None = None
        if position == self.source:
            found = tuple((u, u) for u in unit)
        elif self.unknown[position]:
            found = UNDEFINED
        elif self.differs[position]:
            found = union([self._fine_box(position, c, unit) for c in range(self.shapes[position].channels)])
        elif self.reaches[position]:
            found = self._box(position, unit)
        memo[unit] = found
        return found

    def _fine_box(self, position: int, channel: int, unit: Unit) -> Box | Undefined | None:
        """The same of one channel, where channels differ."""
        if not self.differs[position]:
            return self.box(position, unit)
        key = (position, channel, unit)
        if key not in self._fine_boxes:
            self.spent += 1
            self._fine_boxes[key] = UNDEFINED if self.spent > MOST_BOXES else self._boxes_of(position, channel, unit)
        return self._fine_boxes[key]

    def _boxes_of(self, position: int, channel: int, unit: Unit) -> Box | Undefined | None:
        parts: list[Box | Undefined | None] = []
        for number, (edge, s) in enumerate(zip(self.edges(position), self.sources(position), strict=True)):
            if not self.reaches[s]:
                continue
            reader = self.reader(position, number)
            if reader is None:
                far = edge.far(unit)
                parts += [UNDEFINED] if far is None else [self.box(s, v) for v in far]
                continue
            read = reader((channel, unit), True)
            parts += [UNDEFINED] if read is None else [self._fine_box(s, *element) for element in read]
        return union(parts)

    def _box(self, position: int, unit: Unit) -> Box | Undefined | None:
        self.spent += 1
        if self.spent > MOST_BOXES:
            return UNDEFINED
        low: list[int] = []
        high: list[int] = []
        for edge, s in zip(self.edges(position), self.sources(position), strict=True):
            if not self.reaches[s]:
                continue
            read = edge.far(unit)
            if read is None:
                return UNDEFINED
            memo = self._boxes[s]
            for v in read:
                part = memo[v] if v in memo else self.box(s, v)
                if part is None:
                    continue
                if isinstance(part, Undefined):
                    return UNDEFINED
                if not low:
                    low, high = [a for a, _ in part], [b for _, b in part]
                    continue
                for i, (a, b) in enumerate(part):
                    if a < low[i]:
                        low[i] = a
                    if b > high[i]:
                        high[i] = b
        if not low and self.shapes[self.source].rank:
            return None
        return tuple(zip(low, high, strict=True))

    def points(self, position: int, unit: Unit) -> frozenset[Unit] | Undefined:
        """The set itself, padding counted, of what a unit (of the endless grid) depends on."""
        memo = self._points[position]
        if unit in memo:
            return memo[unit]
        found: set[Unit] = set()
        if position == self.source:
            found.add(unit)
        elif self.unknown[position]:
            return UNDEFINED
        elif self.reaches[position]:
            for edge, s in zip(self.edges(position), self.sources(position), strict=True):
                read = edge.far(unit) if self.reaches[s] else ()
                if read is None:
                    return UNDEFINED
                for v in read:
                    part = self.points(s, v)
                    if isinstance(part, Undefined):
                        return UNDEFINED
                    found |= part
        memo[unit] = frozenset(found)
        return memo[unit]

    # --- what can be said about the way ------------------------------------------------------------------------

    @cached_property
    def snug(self) -> list[bool]:
        """Whether nothing that the position's real units depend on lies beyond a map: padding plays no part."""
        found: list[bool] = []
        for position, shape in enumerate(self.shapes):
            good = all(found[s] for s in self.sources(position) if self.reaches[s])
            if good and self.reaches[position] and position != self.source and not self.unknown[position]:
                for edge, s in zip(self.edges(position), self.sources(position), strict=True):
                    if self.reaches[s]:
                        real = set(units(self.shapes[s]))
                        good = good and all((r := edge.far(u)) is not None and real.issuperset(r) for u in units(shape))
            found.append(good)
        return found

    @cached_property
    def strides(self) -> list[set[tuple[int, int, Fraction]]]:
        """The strides of the local paths to each position: (axis of the source, of the position, pixels a unit).

        By multiplying what the kinds do on the way. Axes count as in units. Paths end where an axis is read as a whole
        or re-arranged.
        """
        found: list[set[tuple[int, int, Fraction]]] = []
        for position, shape in enumerate(self.shapes):
            own: set[tuple[int, int, Fraction]] = set()
            if position == self.source:
                own = {(i, i, Fraction(1)) for i in range(shape.rank)}
            elif self.reaches[position]:
                for edge, s in enumerate(self.sources(position)):
                    steps = _steps(self.layer(position), self.shapes[s], shape, edge)
                    for start, axis, stride in found[s]:
                        own |= {(start, out, stride * by) for a, out, by in steps if a == axis}
            found.append(own)
        return found

    def unequal(self, position: int) -> bool:
        """Whether two paths of different strides, or laid out along different axes, meet in this position's node."""
        by_axis: dict[int, set[tuple[int, Fraction]]] = {}
        for start, axis, stride in self.strides[position]:
            by_axis.setdefault(start, set()).add((axis, stride))
        own = any(len(v) > 1 for v in by_axis.values())
        return (
            own
            and len(self.sources(position)) > 1
            and not any(self.strides[position] <= self.strides[s] for s in self.sources(position))
        )


def _steps(layer: Any, x: Shape, y: Shape, edge: int) -> list[tuple[int, int, Fraction]]:
    """(axis of the input, of the output, input positions a unit) where an axis of the output slides over the input."""
    kind = layer.kind
    before, after = space(x), space(y)
    same = [(i, i, Fraction(1)) for i in range(min(len(before), len(after)))]
    if kind in ("conv", "depthwise", "maxpool", "avgpool", "lppool"):
        return [(i, i, Fraction(per(layer.stride, i))) for i in range(len(after))]
    if kind == "conv_transpose" or (kind == "max_unpool" and edge == 0):
        return [(i, i, Fraction(1, per(layer.stride, i))) for i in range(len(after))]
    if kind in ("adaptive_pool", "pixel_shuffle", "pixel_unshuffle"):
        return [(i, i, Fraction(before[i], m)) for i, m in enumerate(after) if m > 1 or before[i] == 1]
    if kind == "upsample" and layer.align_corners:
        pairs = list(zip(before, after, strict=True))
        return [(i, i, Fraction(n - 1, m - 1)) for i, (n, m) in enumerate(pairs) if n > 1 and m > 1]
    if kind == "upsample":
        return [(i, i, Fraction(n, m)) for i, (n, m) in enumerate(zip(before, after, strict=True))]
    if kind == "gather" and layer.axis % len(x.dims) != x.channel:
        gaps = {b - a for a, b in pairwise(gathered(layer, x))} or {1}
        at = place(x, layer.axis % len(x.dims))
        even = len(gaps) == 1 and min(gaps) > 0
        return [(i, j, Fraction(min(gaps) if i == at else 1)) for i, j, _ in same if even or i != at]
    if kind == "index_sum" and layer.axis % len(x.dims) != x.channel:
        at = place(x, layer.axis % len(x.dims))
        step = Fraction(layer.by, len(layer.rows)) if layer.by else None
        return [(i, j, step if i == at else Fraction(1)) for i, j, _ in same if i != at or step]  # type: ignore[misc]
    if kind == "slice" and layer.axis % len(x.dims) != x.channel:
        at = place(x, layer.axis % len(x.dims))
        return [(i, j, Fraction(layer.step if i == at else 1)) for i, j, _ in same]
    if kind == "permute":
        pairs = [(i, j) for j, i in enumerate(layer.order) if i != x.channel]
        return [(place(x, i), place(y, j), Fraction(1)) for i, j in pairs]
    if kind in ("add", "multiply"):
        return [s for s, n, m in zip(same, before, after, strict=True) if n == m]
    if kind == "mean":
        rank = len(x.dims)
        gone = set(x.axes) if layer.axes is None else {a % rank for a in layer.axes}
        if layer.keep:
            return [s for s in same if x.axes[s[0]] not in gone or before[s[0]] == 1]
        stay = [i for i in range(rank) if i not in gone]
        return [
            (place(x, i), place(y, stay.index(i)), Fraction(1))
            for i in stay
            if i != x.channel and stay.index(i) != y.channel
        ]
    if kind == "recurrent":  # the sequence's axis is read up to the position, or as a whole
        return [
            s for s in same if x.axes[s[0]] < len(x.dims) - 2 or (x.axes[s[0]] == len(x.dims) - 2 and before[s[0]] == 1)
        ]
    if kind in ("linear", "rbf", "rmsnorm"):
        return [s for s in same if kind == "rmsnorm" or x.axes[s[0]] != len(x.dims) - 1]
    if kind == "along":
        return [s for s in same if x.axes[s[0]] != layer.axis % len(x.dims) or before[s[0]] == 1]
    if kind == "softmax":
        gone_axis = x.channel if layer.axis is None else layer.axis % len(x.dims)
        return [s for s in same if x.axes[s[0]] != gone_axis or before[s[0]] == 1]
    if kind == "matmul":  # of stacks of matrices: the stack's axes stay
        return [s for s in same if x.axes[s[0]] < len(x.dims) - 2]
    if kind in ("flatten", "reshape", "window_partition", "unknown", "parameter"):
        return same if before == after and x.channel == y.channel and kind in ("flatten", "reshape") else []
    if kind == "self_attention":
        return [s for s in same if before[s[0]] == 1]
    return same


def bounds(points: Iterable[Sequence[int]]) -> Box | None:
    """The smallest box around the points; None for no points."""
    columns = list(zip(*points, strict=True))
    listed = tuple((min(c), max(c)) for c in columns)
    return listed or None


def union(parts: Iterable[Box | Undefined | None]) -> Box | Undefined | None:
    """The smallest box around boxes; undefined where one of them is."""
    found: list[Box] = []
    for part in parts:
        if isinstance(part, Undefined):
            return UNDEFINED
        if part is not None:
            found.append(part)
    if not found:
        return None
    return tuple((min(a for a, _ in axis), max(b for _, b in axis)) for axis in zip(*found, strict=True))
