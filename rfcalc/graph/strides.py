"""How PyTorch lays maps out in memory, and where that makes it copy.

A permutation of axes moves no value: the map is a view with other strides. What cannot read a view copies it: a reshape
that merges axes which no longer lie beside one another, the operands of a product of matrices, the rows that a linear
layer reads. The copy is what backward keeps.

The batch is the outermost axis here: of extent 1 or, standing for any larger one, 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from rfcalc.core.layer import VIEW, Layer
from rfcalc.core.shape import Shape
from rfcalc.graph import uncollected
from rfcalc.graph.forward import Shaped

Strides = tuple[int, ...]


class Laid(NamedTuple):
    """Extents and strides of a map, the batch first."""

    dims: tuple[int, ...]
    strides: Strides

    def ordered(self, dims: tuple[int, ...]) -> Laid:
        """A dense map of these extents whose axes lie in the order of this one's (as many axes)."""
        found, step = [0] * len(dims), 1
        for axis in sorted(range(len(dims)), key=lambda a: (self.strides[a], -a)):
            found[axis], step = step, step * dims[axis]
        return Laid(dims, tuple(found))

    def with_batch(self, at: int) -> Laid:
        """The same with the batch, the first axis here, as axis `at`."""
        if not at:
            return self
        dims, strides = [*self.dims[1:]], [*self.strides[1:]]
        dims.insert(at, self.dims[0])
        strides.insert(at, self.strides[0])
        return Laid(tuple(dims), tuple(strides))

    def alike(self, other: Laid) -> bool:
        """Whether the values of another map of these extents lie so too."""
        return all(n == 1 or a == b for n, a, b in zip(self.dims, self.strides, other.strides, strict=True))

    @property
    def channels_last(self) -> bool:
        """Whether the first axis after the batch lies innermost, and the others in their order."""
        return self.dims[1] > 1 and self.ordered(self.dims) == innermost(self.dims)

    def viewed(self, dims: tuple[int, ...]) -> Laid | None:
        """The same values as a view of other extents, row-major; None: they do not lie so, and must be copied.

        >>> dense((2, 3, 4)).viewed((6, 4)), Laid((3, 2), (1, 3)).viewed((6,))
        (Laid(dims=(6, 4), strides=(4, 1)), None)
        """
        runs: list[tuple[int, int]] = []  # axes that lie beside one another: values, and the step between them
        for n, step in zip(self.dims, self.strides, strict=True):
            if n == 1:
                continue
            if runs and runs[-1][1] == n * step:
                runs[-1] = (runs[-1][0] * n, step)
            else:
                runs.append((n, step))
        found, (left, step) = [], runs.pop() if runs else (1, 1)
        for n in reversed(dims):
            if n > 1 and left == 1:
                left, step = runs.pop()
            if left % n:
                return None
            found.append(step)
            left, step = left // n, step * n
        return Laid(dims, tuple(reversed(found)))


def dense(dims: Sequence[int], at: int = 0) -> Laid:
    """A map whose values lie row by row, where the batch, the first of its axes here, is axis `at` in truth.

    >>> dense((2, 3, 4)).strides, dense((2, 3, 4), 1).strides
    ((12, 4, 1), (4, 8, 1))
    """
    found, step = [0] * len(dims), 1
    order = [*range(1, len(dims))]
    order.insert(at, 0)
    for axis in reversed(order[: len(dims)]):
        found[axis] = step
        step *= dims[axis]
    return Laid(tuple(dims), tuple(found))


def innermost(dims: tuple[int, ...]) -> Laid:
    """A dense map whose channels, the first axis after the batch, lie innermost."""
    rank = len(dims)
    return Laid(dims, (rank, 0, *range(rank - 1, 1, -1))).ordered(dims)


class Copy(NamedTuple):
    """How a copy lies: whether its channels lie innermost, and along which axis its items; whether it is made even of
    what lies so already."""

    last: bool
    always: bool
    at: int = 0

    def of(self, one: Laid) -> Laid:
        """The copy of a map."""
        return innermost(one.dims) if self.last else dense(one.dims, self.at)


class MemoryLayout(NamedTuple):
    """How each map lies; reshapes that copy; inputs (by position and number) that are copied before they are read."""

    maps: tuple[Laid, ...]
    reshaped: frozenset[int]
    read: frozenset[tuple[int, int]]


@uncollected
def layout(walked: Shaped, batch: int, alike: Sequence[bool] = ()) -> MemoryLayout:
    """The layout of all maps; sizes must be numbers; `alike` are the maps that are there once (those of `once`)."""
    network, arity = walked.network, walked.network.arity
    lead, alike = min(batch, 2), alike or once(walked)
    maps = [dense(_dims(shape, lead)) for shape in walked.shapes[:arity]]
    copied: Mapping[tuple[str, int], Copy] = getattr(network.source, "copied", {})
    batches: Mapping[str, int] = getattr(network.source, "batches", {})
    reshaped, read, places = set(), set(), [0] * arity  # along which axis of each map the items lie in truth
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
        dims, layer = _dims(walked.shapes[position], lead), node.layer
        given, at = [maps[s] for s in sources], batches.get(node.name, 0)
        if at < 0:  # they are part of an axis, as they lay before
            at = _read_at(layer, given[0], places[sources[0]]) if sources else 0
        places.append(at := min(at, len(dims) - 1))
        for i, one in enumerate(given):
            if (node.name, i) not in copied:
                continue
            copy, always = copied[node.name, i].of(one), copied[node.name, i].always
            same, given[i] = one.alike(copy), copy
            if (layer.memory == VIEW or layer.repeats) and (always or not same):
                reshaped.add(position)
            elif always or not same:
                read.add((position, i))
        if layer.row_major and given:
            found = given[0].viewed(dims)
            if found is None:
                reshaped.add(position)
        else:
            found = moved(layer, walked.input_shapes(position), walked.shapes[position], given)
        found = found or dense(dims, at)
        if (node.name, -1) in copied:
            copy = copied[node.name, -1].of(found)
            if copied[node.name, -1].always or not found.alike(copy):
                reshaped.add(position)
                found = copy
        maps.append(found)
        for i, one in enumerate(given):
            true = one.with_batch(at)
            wanted = None if alike[sources[i]] else layer.read_as(i, true.dims)
            if wanted is not None and true.viewed(wanted) is None:
                read.add((position, i))
    return MemoryLayout(tuple(maps), frozenset(reshaped), frozenset(read))


def _read_at(layer: Layer, one: Laid, at: int) -> int:
    """Along which axis the items of a map lie that are part of one: as before, or outermost where only so it is read
    without a copy."""
    true = one.with_batch(at)
    wanted = layer.read_as(0, true.dims)
    first = layer.read_as(0, one.dims)
    copied = wanted is not None and true.viewed(wanted) is None
    return 0 if copied and first is not None and one.viewed(first) is not None else at


def once(walked: Shaped) -> tuple[bool, ...]:
    """For each position whether no input is behind it, so that it is there once whatever the batch."""
    found = [False] * walked.network.arity
    for sources in walked.network.sources:
        found.append(all(found[s] for s in sources))
    return tuple(found)


def _dims(shape: Shape, lead: int) -> tuple[int, ...]:
    return (lead, *(int(n) for n in shape.dims))


def moved(layer: Layer, xs: tuple[Shape, ...], y: Shape, given: Sequence[Laid]) -> Laid | None:
    """How the output of a layer lies that does not reshape; None: row by row."""
    if not given:
        return None
    dims = (given[0].dims[0], *(int(n) for n in y.dims))
    if layer.memory == VIEW or layer.repeats:
        strides = layer.strides(xs[0], given[0].strides)
        if strides is None or len(strides) != len(dims):  # an axis comes or goes
            return None
        if layer.repeats:  # the one position of an axis stands for all: what merges it with others copies
            strides = tuple([s if n == m else 0 for s, n, m in zip(strides, given[0].dims, dims, strict=True)])
        return Laid(dims, strides)
    if layer.lies == "positions" and len(dims) == 3:
        return by_positions(dims)
    like = [x for x in given if x.dims == dims] or [x for x in given[:1] if len(x.dims) == len(dims)]
    if not like or layer.lies == "rows":
        return None
    if layer.lies == "channels":
        return like[0].ordered(dims) if y.channel == 0 and len(dims) > 3 and like[0].channels_last else None
    return like[0].ordered(dims)


def by_positions(dims: tuple[int, ...]) -> Laid:
    """A map of positions whose items lie beside one another at each of them."""
    return Laid(dims, (dims[2], dims[0] * dims[2], 1))


def gradient(layer: Layer, x: Laid, mine: Laid, hands_on: bool) -> Laid | None:
    """How the gradient of an input that lies as x lies, where that of the output is `mine`.

    Args:
        hands_on: whether it is the output's gradient, or a part of it; None is returned where it must be copied then.
    """
    if layer.row_major:
        return mine.viewed(x.dims)
    if layer.lies == "positions" and len(x.dims) == 3:
        return by_positions(x.dims)
    back = layer.strides_back(mine.strides)
    if back is not None:
        return Laid(x.dims, back)
    if hands_on and prod(x.dims) > prod(mine.dims):  # stretched
        return Laid(x.dims, (0,) * len(x.dims))
    if hands_on and len(x.dims) == len(mine.dims):
        return Laid(x.dims, mine.strides)
    return mine.ordered(x.dims) if mine.dims == x.dims and layer.lies != "rows" else dense(x.dims)
