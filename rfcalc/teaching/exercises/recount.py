"""The second road to every key: counting what is there, one position after the other, without the project's rules.

It reads the nodes of a network and the parameters of their layers, and nothing of `Layer`'s rules, windows, walks or
formulas: windows are placed until they no longer fit, receptive fields are sets of input positions propagated back from
one unit, parameters and operations are counted position by position of a kernel. An item whose key it does not confirm
is not given out.

>>> import rfcalc
>>> network = rfcalc.load("conv3-8/2 > maxpool2")
>>> second = Second(network, {"input": (3, 33, 33)})
>>> second.shapes["maxpool1"], second.sees("maxpool1"), second.counts["conv1"].weights
((8, 8, 8), ((5, 4), (5, 4)), 216)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.graph.network import Network

Dims = tuple[int, ...]


class KeyMismatch(RfcalcError):
    """Two roads lead to two keys: the item must not be given out."""


class Counts(NamedTuple):
    """Parameters and multiply-adds of one node."""

    weights: int = 0
    biases: int = 0
    buffers: int = 0
    macs: int = 0


def _per(values: Any, i: int) -> Any:
    return values[i] if len(values) > 1 else values[0]


def _of(layer: Any, i: int) -> tuple[int, int, int]:
    """Kernel, stride and dilation on axis i."""
    return tuple(_per(getattr(layer, name, (1,)), i) for name in ("kernel", "stride", "dilation"))


def _sides(layer: Any, n: int, i: int) -> tuple[int, int]:
    """Padding before and after on axis i."""
    padding = layer.padding
    if not isinstance(padding, str):
        before, after = _per(padding, i)
        return before, after
    k, s, d = _of(layer, i)
    wanted = len(range(0, n, s))  # TensorFlow's SAME: one window for every s-th position
    missing = max((wanted - 1) * s + d * (k - 1) + 1 - n, 0) if padding == "SAME" else d * (k - 1)
    return missing // 2, missing - missing // 2


def _placed(layer: Any, n: int, i: int) -> int:
    """How many windows stand on axis i."""
    k, s, d = _of(layer, i)
    a, b = _sides(layer, n, i)
    last = d * (k - 1)
    up = getattr(layer, "rounding", "floor")
    if up == "floor":
        return len(range(-a, n + b - last, s))
    starts = [u for u in range(0, n + a + b + s, s) if u == 0 or u - s + last < n + a + b - 1]
    if up == "ceil":
        starts = [u for u in starts if u < n + a]
    return len(starts)


def _spread(layer: Any, n: int, i: int) -> Any:
    """How many positions a transposed convolution writes on axis i, after what is cut off."""
    k, s, d = _of(layer, i)
    a, b = _per(layer.padding, i)
    furthest = max(u * s + d * t for u in (0, n - 1) for t in (0, k - 1))
    return furthest + 1 - a - b + _per(layer.output_padding, i)


def _slides(channels: Callable[[Any, Dims], int]) -> Callable[[Any, tuple[Dims, ...]], Dims]:
    return lambda layer, xs: (channels(layer, xs[0]), *[_placed(layer, n, i) for i, n in enumerate(xs[0][1:])])


def _upsampled(layer: Any, xs: tuple[Dims, ...]) -> Dims:
    return (xs[0][0], *[n * _per(layer.factor, i) for i, n in enumerate(xs[0][1:])])


def _adapted(layer: Any, xs: tuple[Dims, ...]) -> Dims:
    sizes = [_per(layer.size, i) for i in range(len(xs[0]) - 1)]
    return (xs[0][0], *[n if s is None else s for s, n in zip(sizes, xs[0][1:], strict=True)])


def _flattened(layer: Any, xs: tuple[Dims, ...]) -> Dims:
    total = 1
    for n in xs[0]:
        total *= n
    return (total,)


def _same(layer: Any, xs: tuple[Dims, ...]) -> Dims:
    return xs[0]


SHAPES: dict[str, Callable[[Any, tuple[Dims, ...]], Dims]] = {
    "conv": _slides(lambda layer, x: layer.out_channels),
    "depthwise": _slides(lambda layer, x: x[0] * layer.multiplier),
    "maxpool": _slides(lambda layer, x: x[0]),
    "avgpool": _slides(lambda layer, x: x[0]),
    "conv_transpose": lambda layer, xs: (
        layer.out_channels,
        *[_spread(layer, n, i) for i, n in enumerate(xs[0][1:])],
    ),
    "upsample": _upsampled,
    "pad": lambda layer, xs: (xs[0][0], *[n + sum(_per(layer.padding, i)) for i, n in enumerate(xs[0][1:])]),
    "adaptive_pool": _adapted,
    "flatten": _flattened,
    "linear": lambda layer, xs: (*xs[0][:-1], layer.out_features),
    "add": _same,
    "multiply": lambda layer, xs: max(xs),
    "concat": lambda layer, xs: (sum(x[0] for x in xs), *xs[0][1:]),
    **dict.fromkeys(
        ("activation", "batchnorm", "lrn", "dropout", "softmax", "identity", "stochastic_depth", "prelu"), _same
    ),
}
VIEWS = ("flatten", "identity")
IN_PLACE = ("activation", "dropout", "stochastic_depth")


class Second:
    """A network seen by counting, for inputs of these shapes (channels first).

    Raises:
        KeyMismatch: a layer kind that it cannot count.
    """

    def __init__(self, network: Network, inputs: dict[str, Dims]) -> None:
        self.network = network
        self.inputs = inputs
        self.nodes = {node.name: node for node in network.nodes}
        self.shapes: dict[str, Dims] = dict(inputs)
        for node in network.nodes:
            rule = SHAPES.get(node.layer.kind)
            if rule is None:
                raise KeyMismatch(f"{node.layer.kind} cannot be counted", where=node.name)
            self.shapes[node.name] = rule(node.layer, tuple(self.shapes[s] for s in node.inputs))

    # --- parameters and operations -----------------------------------------------------------------------------

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """Parameters and multiply-adds of every node; shared weights at their first node."""
        found: dict[str, Counts] = {}
        groups: set[str] = set()
        for node in self.network.nodes:
            counted = self._counted(node.layer, [self.shapes[s] for s in node.inputs], self.shapes[node.name])
            if node.group:
                if node.group in groups:
                    counted = Counts(macs=counted.macs)
                groups.add(node.group)
            found[node.name] = counted
        return found

    def _counted(self, layer: Any, xs: list[Dims], y: Dims) -> Counts:
        kind = layer.kind
        if kind == "batchnorm":
            both = 2 * y[0]
            scale, shift = layer.affine and layer.gamma, layer.affine and layer.bias
            return Counts(y[0] * scale, y[0] * shift, both * layer.track)
        if kind == "prelu":
            return Counts(y[0] if layer.per_channel else 1)
        if kind == "linear":
            rows = _times(xs[0][:-1])
            pairs = sum(xs[0][-1] for _ in range(layer.out_features))
            return Counts(pairs, layer.out_features if layer.bias else 0, 0, pairs * rows)
        if kind not in ("conv", "depthwise", "conv_transpose"):
            return Counts()
        taps = 1
        for i in range(len(xs[0]) - 1):
            taps *= len(range(_per(layer.kernel, i)))
        if kind == "conv" and layer.table is not None:
            connected = sum(len(row) for row in layer.table)
        else:
            groups = xs[0][0] if kind == "depthwise" else layer.groups
            inputs, outputs = xs[0][0] // groups, y[0] // groups
            connected = sum(inputs * outputs for _ in range(groups))
        used = xs[0][1:] if kind == "conv_transpose" else y[1:]
        return Counts(taps * connected, y[0] if layer.bias else 0, 0, taps * connected * _times(used))

    # --- memory ------------------------------------------------------------------------------------------------

    @cached_property
    def homes(self) -> dict[str, str]:
        """For every map the map whose memory it lives in."""
        found = {name: name for name in self.inputs}
        ends = [self._end(name) for name in self.network.outputs]
        for step, node in enumerate(self.network.nodes):
            shares = node.layer.kind in VIEWS
            if node.layer.kind in IN_PLACE:  # over its input, if nobody wants that as it was
                wanted = {*ends, *(name for later in self.network.nodes[step + 1 :] for name in later.inputs)}
                shares = all(name not in wanted for name, home in found.items() if home == found[node.inputs[0]])
            found[node.name] = found[node.inputs[0]] if shares else node.name
        return found

    @property
    def values(self) -> int:
        """Values of the input and of every map with memory of its own."""
        return sum(_times(self.shapes[name]) for name, home in self.homes.items() if home == name)

    def peak(self, itemsize: int) -> int:
        """The most bytes alive at once while running forward, for one item, with the indices of max pooling."""
        readers: dict[str, list[int]] = {}
        for step, node in enumerate(self.network.nodes):
            for name in (*node.inputs, node.name):
                readers.setdefault(self.homes[name], []).append(step)
        end = len(self.network.nodes)
        kept = {self.homes[self._end(name)] for name in self.network.outputs}
        born = dict.fromkeys(self.inputs, 0) | {
            node.name: step for step, node in enumerate(self.network.nodes) if self.homes[node.name] == node.name
        }
        most = 0
        for step in range(end):
            alive = [
                name for name, first in born.items() if first <= step and (name in kept or step <= max(readers[name]))
            ]
            node = self.network.nodes[step]
            found = node.layer.kind == "maxpool" or getattr(node.layer, "op", "") in ("max", "min")
            where = 8 * _times(self.shapes[node.name]) if found else 0
            most = max(most, itemsize * sum(_times(self.shapes[name]) for name in alive) + where)
        return most

    def _end(self, name: str) -> str:
        position = self.network.position(name) - self.network.arity
        return self.network.nodes[position].name

    # --- receptive fields --------------------------------------------------------------------------------------

    def sees(self, at: str) -> tuple[tuple[int, int], ...]:
        """For each axis of the first input: how many pixels the hull of what a unit depends on holds (for the unit that
        sees most), and how many pixels lie between such units."""
        source = next(iter(self.inputs))
        rank = len(self.inputs[source]) - 1
        found: list[tuple[int, int]] = []
        for axis in range(rank):
            if axis and self._alike:
                found.append(found[0])
                continue
            if not self._phased:
                hulls = [self.hull(at, axis, 1000 + u) for u in range(2)]
                found.append((hulls[0][1] - hulls[0][0] + 1, hulls[1][0] - hulls[0][0]))
                continue
            hulls = [self.hull(at, axis, 1024 + u) for u in range(33)]
            sizes = [b - a + 1 for a, b in hulls]
            step = hulls[32][0] - hulls[0][0]
            found.append((max(sizes), step // 32 if step % 32 == 0 else 0))
        return tuple(found)

    @cached_property
    def _phased(self) -> bool:
        """Whether units differ by their position."""
        return any(not _wide(node.layer) for node in self.network.nodes)

    @cached_property
    def _alike(self) -> bool:
        """Whether the second axis is like the first."""
        layers = [node.layer for node in self.network.nodes]
        names = ("kernel", "stride", "dilation", "padding", "output_padding", "factor")
        values = [getattr(layer, name, ()) for layer in layers for name in names]
        square = all(len(set(dims[1:])) < 2 for dims in self.inputs.values())
        return square and all(len(v) < 2 or isinstance(v, str) for v in values if v is not None)

    def pixels(self, at: str, axis: int, unit: int) -> list[int]:
        """The real pixels that a unit depends on, on one axis: what lies in the padding of any map is dropped there."""
        wanted: dict[str, set[int]] = {at: {unit}}
        order = [*self.inputs, *self.nodes]
        for name in reversed(order[: order.index(at) + 1]):
            positions = _clipped(wanted.pop(name, set()), self.shapes[name][axis + 1])
            if name == order[0]:
                return sorted(positions)
            if name in self.inputs:
                continue
            for read in self.nodes[name].inputs if positions else ():
                n = self.shapes[read][axis + 1]
                wanted.setdefault(read, set()).update(_read(self.nodes[name].layer, axis, n, positions))
        return []

    def hull(self, at: str, axis: int, unit: int) -> tuple[int, int]:
        """The first and the last input position that a unit depends on, on one axis, in an endless input."""
        wanted: dict[str, set[int]] = {at: {unit}}
        order = [*self.inputs, *self.nodes]
        source = order[0]
        for name in reversed(order[: order.index(at) + 1]):
            positions = wanted.pop(name, None)
            if name == source:
                assert positions
                return min(positions), max(positions)
            if positions is None or name in self.inputs:  # another input is not asked for
                continue
            node = self.nodes[name]
            for read in node.inputs:
                n = self.shapes[read][axis + 1] if len(self.shapes[read]) > axis + 1 else 1
                seen = _read(node.layer, axis, n, positions)
                if _wide(node.layer):
                    seen = _ends(seen)
                wanted.setdefault(read, set()).update(seen)
        raise KeyMismatch("it depends on no input", where=at)


def _clipped(positions: set[int], n: int) -> set[int]:
    return {p for p in positions if 0 <= p < n}


def _times(dims: Iterable[int]) -> int:
    total = 1
    for n in dims:
        total *= n
    return total


def _wide(layer: Any) -> bool:
    """Whether only the ends of what is read matter for the ends of what is seen: not for the holes of transposed
    convolutions."""
    return layer.kind not in ("conv_transpose", "upsample")


def _ends(positions: set[int]) -> set[int]:
    """The ends of a wide set, and a margin of single positions beside them, which transposed layers tell apart."""
    if len(positions) <= 64:
        return positions
    ordered = sorted(positions)
    return {*ordered[:24], *ordered[-24:]}


def _read(layer: Any, axis: int, n: int, units: set[int]) -> set[int]:
    """The positions of a layer's input that these units of its output read, on one axis."""
    kind = layer.kind
    if kind in ("conv", "depthwise", "maxpool", "avgpool"):
        k, s, d = _of(layer, axis)
        a = _sides(layer, n, axis)[0]
        return {u * s - a + d * t for u in units for t in range(k)}
    if kind == "conv_transpose":
        k, s, d = _of(layer, axis)
        a = _per(layer.padding, axis)[0]
        return {(u + a - d * t) // s for u in units for t in range(k) if (u + a - d * t) % s == 0}
    if kind == "upsample":
        if layer.mode != "nearest":
            raise KeyMismatch(f"{layer.mode} upsampling cannot be counted")
        return {u // _per(layer.factor, axis) for u in units}
    if kind == "pad":
        return {u - _per(layer.padding, axis)[0] for u in units}
    if kind in ("flatten", "linear", "adaptive_pool"):
        raise KeyMismatch(f"{kind} looks at everything")
    return units
