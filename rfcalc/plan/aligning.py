"""Readings of one network at several sizes, node by node: what came to nothing at a size stands there as such.

Code that pads to a multiple has no padding where nothing is missing, and cuts nothing off behind it: the networks that
are read there have fewer nodes. All are given the nodes of all, such that those that a reading lacks leave their map as
it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.plan.regrouping import Views, found_behind, is_view, may_be_nothing, written_for

RUNS = (3, 1)  # padding alone, or between an exchange of axes and its inverse
LONGEST = 8  # nodes of a run of views


class Reading(NamedTuple):
    """A network as it was read at some input shapes, and the shapes of all of its positions."""

    network: Network
    shapes: tuple[Shape, ...]


class Unfollowed(Exception):
    """What follows no rule: the node, and why."""

    def __init__(self, node: str, why: str) -> None:
        super().__init__(f"{node}: {why}")
        self.node, self.why = node, why


class Line(NamedTuple):
    """A reading that is compared with others: its nodes, which of the code's steps made each (-1: none)."""

    reading: Reading
    steps: tuple[int, ...]

    @classmethod
    def of(cls, reading: Reading) -> Line:
        steps = getattr(reading.network.source, "steps", {})
        made = [steps.get(node.name, -1) for node in reading.network.nodes]
        return cls(reading, (*(-1 for _ in reading.network.inputs), *made))


def aligned(
    readings: Sequence[Reading], watched: bool = False
) -> tuple[list[Reading], tuple[int, ...], list[tuple[int, ...]]]:
    """The readings with the nodes of all of them, the steps of the first one, and where each reading's own positions
    are now.

    Args:
        watched: whether it is known what the code asked and made of lengths; else views are compared as they are.

    Raises:
        Unfollowed: they differ in more than padding and slices that come to nothing.
    """
    model = Line.of(readings[0])
    for reading in readings[1:]:
        model = _merged(model, reading, watched)[0]
    found = [_merged(model, reading, watched) for reading in readings]
    if len({len(reading.shapes) for _, reading, _ in found}) > 1:  # views that stand for others in some of them only
        raise Unfollowed(readings[0].network.nodes[-1].name, "the code has other views at other sizes")
    return [reading for _, reading, _ in found], model.steps, [places for _, _, places in found]


class _Merge:
    """Two readings side by side: positions of both, and the two positions that each stands for."""

    def __init__(self, first: Line, second: Reading) -> None:
        self.first, self.second = first, second
        self.arity = first.reading.network.arity
        self.stands = [(p, p) for p in range(self.arity)]
        self.latest = {pair: p for p, pair in enumerate(self.stands)}
        self.nodes: list[tuple[str, tuple[int, ...]]] = []
        self.layers: tuple[list[Layer], list[Layer]] = ([], [])
        self.shapes = [*first.reading.shapes[: self.arity]], [*second.shapes[: self.arity]]
        self.steps = list(first.steps[: self.arity])
        self.names = set(first.reading.network.inputs)

    def put(self, name: str, sources: tuple[int, ...], stands: tuple[int, int], layers: Any, shapes: Any) -> None:
        while name in self.names:
            name += "_"
        self.names.add(name)
        self.nodes.append((name, sources))
        self.latest[stands] = len(self.stands)
        self.stands.append(stands)
        for side in (0, 1):
            self.layers[side].append(layers[side])
            self.shapes[side].append(shapes[side])
        own = stands[0] < len(self.first.steps) and stands[0] != self.stands[-2][0]
        self.steps.append(self.first.steps[stands[0]] if own else self.steps[-1] + 1)

    def source(self, side: int, position: int) -> int:
        """The last position that stands for one of a reading."""
        return next(p for p in range(len(self.stands) - 1, -1, -1) if self.stands[p][side] == position)

    def run(self, side: int, at: tuple[int, int], sure: bool) -> int:
        """How many nodes one reading has here that the other one lacks, because they came to nothing; they are put.

        Args:
            sure: only if both go on alike behind them.
        """
        mine, other = (self.first.reading, self.second)[:: 1 if side == 0 else -1]
        own, there = at[side], at[1 - side]
        arity = self.arity
        for length in RUNS:
            nodes = mine.network.nodes[own - arity : own - arity + length]
            sources = mine.network.sources[own - arity : own - arity + length]
            if (
                len(nodes) < length
                or len(sources[0]) != 1
                or list(sources[1:]) != [(own + i,) for i in range(length - 1)]
            ):
                continue
            layers = [node.layer for node in nodes]
            theirs = [node.layer for node in other.network.nodes[there - arity : there - arity + length]]
            if [_place(x) for x in layers] == [_place(x) for x in theirs]:
                return 0
            behind = [n.layer for n in mine.network.nodes[own - arity + length : own - arity + length + 1]]
            if sure and [_place(x) for x in behind] != [_place(x) for x in theirs[:1]]:
                continue
            before = self.source(side, sources[0][0])
            found = _nothing(layers, self.shapes[1 - side][before])
            if not found:
                continue
            left_out = self.stands[before][1 - side]
            for i, (layer, shape) in enumerate(found):
                both = (layers[i], layer), (mine.shapes[own + i], shape)
                one, two = (pair if side == 0 else pair[::-1] for pair in both)
                stands = (own + i, left_out) if side == 0 else (left_out, own + i)
                self.put(nodes[i].name, (before if i == 0 else len(self.stands) - 1,), stands, one, two)
            return length
        return 0

    def regrouped(self, side: int, at: tuple[int, int], gap: bool) -> tuple[int, int]:
        """How many nodes here are a run of views in one reading that the other one has in another form, and how many
        nodes that form has; they are put.

        Args:
            gap: whether something of the run must come to nothing in the other reading.
        """
        mine, other = (self.first.reading, self.second)[:: 1 if side == 0 else -1]
        arity = self.arity
        own, there = at[side] - arity, at[1 - side] - arity
        nodes, theirs = mine.network.nodes[own : own + LONGEST], other.network.nodes[there : there + LONGEST]
        length, gaps = self._views(mine, own, nodes)
        if not length or gap != bool(gaps):
            return 0, 0
        if gap and [_place(n.layer) for n in nodes[: gaps[0] + 1]] == [_place(n.layer) for n in theirs[: gaps[0] + 1]]:
            return 0, 0
        before = self.source(side, mine.network.sources[own][0])
        root = self.stands[before][1 - side]
        last = there - 1
        while last + 1 < len(other.network.nodes) and last < there + LONGEST:
            sources = other.network.sources[last + 1]
            if last >= there and sources != (last + arity,):
                break
            last += 1
        seen = dict(found_behind(other.network, other.shapes, root, last + arity))
        known = [self.shapes[side][before], *mine.shapes[own + arity : own + arity + length]]
        for count in range(gaps[0] + 1 if gap else 1, length + 1):
            layers = [n.layer for n in nodes[:count]]
            for end, views in seen.items():
                if end >= there + arity and (there + arity not in seen or not gap):
                    continue
                run = written_for(layers, known, self.shapes[1 - side][before], other.shapes[end])
                if run is None or run.views[-1] != views:
                    continue
                others = [end if i == count - 1 else _latest(seen, run.views[i], end) for i in range(count)]
                if not set(range(there + arity, end + 1)) <= set(others):
                    continue
                for i in range(count):
                    stands = own + arity + i, others[i]
                    both = (layers[i], run.layers[i]), (known[i + 1], run.shapes[i])
                    one, two = (pair if side == 0 else pair[::-1] for pair in both)
                    source = before if i == 0 else len(self.stands) - 1
                    self.put(nodes[i].name, (source,), stands if side == 0 else stands[::-1], one, two)
                return count, max(0, end + 1 - there - arity)
        return 0, 0

    def _views(self, mine: Reading, own: int, nodes: Sequence[Any]) -> tuple[int, list[int]]:
        """How many nodes are a run of views and of what may come to nothing, one behind another; which ones may."""
        gaps: list[int] = []
        for i, node in enumerate(nodes):
            sources = mine.network.sources[own + i]
            if len(sources) != 1 or (i and sources[0] != own + i - 1 + self.arity):
                return i, gaps
            if may_be_nothing(node.layer, mine.shapes[sources[0]]):
                gaps.append(i)
            elif not is_view(node.layer):
                return i, gaps
        return len(nodes), gaps

    def match(self, at: tuple[int, int]) -> bool:
        """Whether both readings have the same node here; it is put."""
        (a, b), arity = at, self.arity
        one, two = self.first.reading, self.second
        if a - arity >= len(one.network.nodes) or b - arity >= len(two.network.nodes):
            return False
        node, other = one.network.nodes[a - arity], two.network.nodes[b - arity]
        pairs = list(zip(one.network.sources[a - arity], two.network.sources[b - arity], strict=False))
        counts = len(one.network.sources[a - arity]), len(two.network.sources[b - arity])
        views = node.layer.row_major and other.layer.row_major  # one of them may be told as the other
        if (
            (node.layer.kind != other.layer.kind and not views)
            or counts[0] != counts[1]
            or not all(p in self.latest for p in pairs)
        ):
            return False
        sources = tuple(self.latest[pair] for pair in pairs)
        self.put(node.name, sources, at, (node.layer, other.layer), (one.shapes[a], two.shapes[b]))
        return True

    def places(self) -> tuple[int, ...]:
        """Where the positions of the second reading are now."""
        found: dict[int, int] = {}
        for p, (_, other) in enumerate(self.stands):
            found.setdefault(other, p)
        return tuple(found[p] for p in range(len(found)))

    def made(self, side: int) -> Reading:
        network = self.first.reading.network
        names = [*network.inputs, *(name for name, _ in self.nodes)]
        listed = [
            (name, layer, tuple(names[s] for s in sources))
            for (name, sources), layer in zip(self.nodes, self.layers[side], strict=True)
        ]
        outputs = tuple(names[self._output(*pair)] for pair in self._outputs())
        inputs = (self.first.reading, self.second)[side].network.inputs
        inputs = dict(zip(network.inputs, inputs.values(), strict=True))
        return Reading(Network.from_nodes(listed, inputs, outputs=outputs, name=network.name), tuple(self.shapes[side]))

    def _outputs(self) -> list[tuple[int, int]]:
        one, two = self.first.reading.network, self.second.network
        pairs = zip(one.outputs, two.outputs, strict=True)
        return [(one.position(a), two.position(b)) for a, b in pairs]

    def _output(self, a: int, b: int) -> int:
        if (a, b) not in self.latest:
            raise Unfollowed(self.first.reading.network.outputs[0], "the code gives back another map at other sizes")
        return self.latest[a, b]


def _merged(first: Line, second: Reading, watched: bool) -> tuple[Line, Reading, tuple[int, ...]]:
    """Two readings with the nodes of both, and where the positions of the second one are now."""
    one, two = first.reading.network, second.network
    if plan(one) == plan(two) and one.arity == two.arity and len(one.outputs) == len(two.outputs):
        return first, _renamed(second, one), tuple(range(one.arity + len(one.nodes)))
    if one.arity != two.arity or len(one.outputs) != len(two.outputs):
        raise Unfollowed(one.nodes[0].name, "the code takes or gives back other maps at other sizes")
    merge = _Merge(first, second)
    a = b = one.arity
    ends = one.arity + len(one.nodes), two.arity + len(two.nodes)
    while (a, b) != ends:
        found = ((merge.run(side, (a, b), sure), side) for sure in (True, False) for side in (0, 1))
        count, side = next((run for run in found if run[0]), (0, 0))
        if count:
            a, b = (a + count, b) if side == 0 else (a, b + count)
        elif watched and any(both := merge.regrouped(0, (a, b), True)):
            a, b = a + both[0], b + both[1]
        elif watched and any(both := merge.regrouped(1, (a, b), True)):
            a, b = a + both[1], b + both[0]
        elif merge.match((a, b)):
            a, b = a + 1, b + 1
        elif watched and any(both := merge.regrouped(0, (a, b), False)):
            a += both[0]
        elif watched and any(both := merge.regrouped(1, (a, b), False)):
            b += both[0]
        else:
            network, at = (one, a) if a < ends[0] else (two, b)
            node = network.nodes[at - one.arity]
            raise Unfollowed(node.name, _differs(first.reading, second, node.layer.kind))
    return Line(merge.made(0), tuple(merge.steps)), merge.made(1), merge.places()


def _renamed(reading: Reading, model: Network) -> Reading:
    """A reading with the names of another one with the same nodes."""
    network = reading.network
    if [n.name for n in network.nodes] == [n.name for n in model.nodes]:
        return reading
    names = [*model.inputs, *(n.name for n in model.nodes)]
    listed = [
        (mine.name, node.layer, tuple(names[s] for s in sources))
        for mine, node, sources in zip(model.nodes, network.nodes, network.sources, strict=True)
    ]
    inputs = dict(zip(model.inputs, network.inputs.values(), strict=True))
    return Reading(Network.from_nodes(listed, inputs, outputs=model.outputs, name=model.name), reading.shapes)


def _nothing(layers: Sequence[Layer], x: Shape) -> list[tuple[Layer, Shape]]:
    """A run of layers such that it leaves a map as it is, with the shapes behind them; empty where it cannot."""
    found: list[tuple[Layer, Shape]] = []
    try:
        for i, layer in enumerate(layers):
            before = found[-1][1] if found else x
            nothing = layer.nothing(before) if i == len(layers) // 2 else layer
            if nothing is None:
                return []
            found.append((nothing, nothing.output(before)))
        return found if found[-1][1] == x and (len(layers) == 1 or _exchange(layers[0], layers[-1], x)) else []
    except RfcalcError:
        return []


def _exchange(layer: Layer, inverse: Layer, x: Shape) -> bool:
    """Whether a layer exchanges axes, and another one puts them back."""
    unequal = Shape(*range(1001, 1001 + len(x.dims)), channel=x.channel)
    moved = layer.output(unequal)
    return moved != unequal and set(moved.dims) == set(unequal.dims) and inverse.output(moved) == unequal


def _latest(seen: Mapping[int, Views], views: Views, end: int) -> int:
    """The last map up to one that is seen in this way; the first of all where there is none."""
    return max([p for p, v in seen.items() if v == views and p <= end], default=next(iter(seen)))


def _place(layer: Layer) -> Any:
    return ("view" if layer.row_major else layer.kind), layer.given.get("axis")


def _differs(one: Reading, two: Reading, kind: str) -> str:
    own, most = len(two.network.nodes), len(one.network.nodes)
    size = ", ".join("x".join(map(str, x.dims)) for x in two.shapes[: one.network.arity])
    counts = f": {own} operators there, {most} elsewhere" if own != most else ""
    return f"the code does something else at {size}{counts}; they part at {kind}"


def plan(network: Network) -> list[Any]:
    """The kinds of all nodes, and what each reads."""
    return [(n.layer.kind, s) for n, s in zip(network.nodes, network.sources, strict=True)]
