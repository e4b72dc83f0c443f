"""Which sizes a network takes, on every axis, and what comes out: exactly, as congruences.

The forward walk runs once for each class of sizes (`rfcalc.plan.classes`): where a rule rounds, the class is split by
the rest, where a rule compares, at the size where the answer changes. What is left is a finite number of classes, each
of which is taken or refused as a whole, at one node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import lcm
from time import monotonic
from typing import Any, NamedTuple

from rfcalc.core.errors import LimitError, RfcalcError, ShapeError, plural
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.plan.classes import Number, Range, Split, Undecided
from rfcalc.plan.following import Following
from rfcalc.plan.formulas import Affine, Congruence, smallest

MOST_CLASSES = 200_000
MOST_BELOW = 2_000_000


class Class(NamedTuple):
    """The sizes modulus·t + rest of a range of t: what the kept positions become, or what is refused and where."""

    modulus: int
    rest: int
    values: Range
    shapes: dict[int, Shape]
    position: int | None = None  # of the node that refuses
    error: RfcalcError | None = None

    @property
    def first(self) -> int:
        return self.modulus * self.values.first + self.rest

    @property
    def last(self) -> int | None:
        return None if self.values.last is None else self.modulus * self.values.last + self.rest

    def sizes(self, below: int) -> range:
        """Its sizes that are smaller than `below`."""
        last = self.last
        return range(self.first, below if last is None else min(below, last + 1), self.modulus)


class _State(NamedTuple):
    position: int
    shapes: list[Shape | None]
    modulus: int
    rest: int
    values: Range


def with_size(shape: Shape, axis: int, size: Any) -> Shape:
    """The shape with another size on a spatial axis."""
    i = shape.axes[axis]
    return Shape(*shape.dims[:i], size, *shape.dims[i + 1 :], channel=shape.channel)


def classes(
    network: Network,
    inputs: Sequence[Shape],
    varied: Collection[tuple[int, int]],
    kept: Collection[int] = (),
    seconds: float | None = None,
    params: Sequence[int] | None = None,
    following: Following | None = None,
) -> Iterator[Class]:
    """Every size n ≥ 1, in classes.

    Args:
        params: how many parameters each position has: sizes that would need others are refused; None: any number.
        inputs: the shapes of the inputs; sizes of other axes stay as they are.
        varied: the (input, spatial axis) that have size n.
        kept: positions whose shapes are wanted.
        seconds: when to give up.
        following: rules of layers that say sizes in numbers; then all positions must be kept.

    Raises:
        LimitError: there are too many classes, or it takes too long.
        Undecided: a rule does not say what it does with an unknown size.
    """
    arity = network.arity
    n = Number((0, 1), Range(1, None))
    shapes: list[Shape | None] = list(inputs)
    for source, axis in varied:
        given = shapes[source]
        assert given is not None
        shapes[source] = with_size(given, axis, n)
    weights = Weights(network, params, following)
    needed = _needed(network, kept)
    end = arity + len(network.nodes)
    states = [_State(arity, shapes, 1, 0, n.range)]
    begun, count = monotonic(), 0
    while states:
        position, shapes, modulus, rest, values = states.pop()
        count += 1
        if count > MOST_CLASSES or (seconds is not None and monotonic() - begun > seconds):
            raise LimitError(f"{count:,} classes of sizes are too many to tell apart")
        shapes = list(shapes)
        refused: RfcalcError | None = None
        try:
            while position < end:
                sources = network.sources[position - arity]
                shapes.append(weights.output(position, shapes))
                position += 1
                for s in sources:
                    if needed[s] < position:
                        shapes[s] = None  # nothing reads it any more
        except Split as split:
            for count_, more, part in parts(values, split):
                changed = substituted(shapes, count_, more, part)
                states.append(_State(position, changed, modulus * count_, rest + modulus * more, part))
            continue
        except RfcalcError as error:
            refused = error
        found = {p: shape for p in kept if p < len(shapes) and (shape := shapes[p]) is not None}
        yield Class(modulus, rest, values, found, position if refused else None, refused)


class Weights:
    """The rule of each node's output, and that its parameters stay what they are: a fully connected layer behind a
    flattened map, or a table of positions, fits one size."""

    def __init__(self, network: Network, params: Sequence[int] | None, following: Following | None = None) -> None:
        self.network = network
        self.following = following
        self.params = params
        self._same: dict[int, bool] = {}  # by layer: whether its parameters are the same for every size

    def output(self, position: int, shapes: Sequence[Shape | None]) -> Shape:
        """The output of the node at a position.

        Raises:
            ShapeError: it cannot take its inputs, or would need other parameters.
        """
        if self.following is not None:
            layer = self.following.layer(position, shapes)
        else:
            layer = self.network.nodes[position - self.network.arity].layer
        xs: tuple[Any, ...] = tuple([shapes[s] for s in self.network.sources[position - self.network.arity]])
        y: Shape = layer.output(*xs)
        if self.params is None or not self.params[position] or self._independent(layer, xs, y):
            return y
        needed = layer.cost(xs, y).params
        if needed != self.params[position]:
            counted = plural(self.params[position], "parameter")
            raise ShapeError(f"its {counted} fit maps of another size", why=f"{needed} would be needed for {xs[0]}")
        return y

    def _independent(self, layer: Layer, xs: tuple[Shape, ...], y: Shape) -> bool:
        """Whether the number of parameters is the same, whatever the sizes that vary."""
        known = self._same.get(id(layer)) if self.following is None or not self.following.rules else None
        if known is None:
            if not any(isinstance(d, Number) for x in (*xs, y) for d in x.dims):
                return False  # nothing varies here: it says nothing of other sizes
            varied = substituted((*xs, y), 1, 0, Range(1, None))
            try:
                known = not isinstance(layer.cost(tuple(varied[:-1]), varied[-1]).params, Number)
            except (Split, Undecided):
                known = False
            self._same[id(layer)] = known
        return known


def _needed(network: Network, kept: Collection[int]) -> list[int]:
    """For each position the last one that reads it; kept ones to the end."""
    last = list(range(network.arity + len(network.nodes)))
    for position, sources in enumerate(network.sources, network.arity):
        for s in sources:
            last[s] = position
    for p in kept:
        last[p] = len(last)
    return last


def parts(values: Range, split: Split) -> Iterator[tuple[int, int, Range]]:
    """What a class is split into: t = classes·u + rest, and the range of u."""
    if split.classes:
        for rest in range(split.classes):
            part = values.part(split.classes, rest)
            if part is not None:
                yield split.classes, rest, part
        return
    yield 1, 0, Range(values.first, split.at - 1)
    yield 1, 0, Range(split.at, values.last)


def substituted(shapes: Sequence[Shape | None], count: int, rest: int, values: Range) -> list[Any]:
    """The shapes of a part of a class; what is one object stays one."""
    numbers: dict[tuple[int, ...], Any] = {}
    made: dict[int, Shape] = {}
    found: list[Shape | None] = []
    for shape in shapes:
        if shape is None or not any(type(d) is Number for d in shape.dims):
            found.append(shape)
            continue
        new = made.get(id(shape))
        if new is None:
            dims = []
            for d in shape.dims:
                if type(d) is Number:
                    length = numbers.get(d.coefficients)
                    if length is None:
                        length = numbers[d.coefficients] = d.substituted(count, rest, values)
                    d = length
                dims.append(d)
            new = made[id(shape)] = Shape(*dims, channel=shape.channel)
        found.append(new)
    return found


class Axis(NamedTuple):
    """The valid sizes of one axis, and all that was found of it."""

    axis: int
    valid: Congruence
    found: tuple[Class, ...]

    @property
    def taken(self) -> list[Class]:
        return [c for c in self.found if c.error is None]

    def lines(self, position: int, of: int) -> list[Affine] | None:
        """The length of axis `of` of a position for large sizes, a line for each rest; None where it is no line."""
        modulus = 1
        endless = [c for c in self.taken if c.last is None]
        for c in endless:
            modulus = lcm(modulus, c.modulus)
        lines: list[Affine] = []
        for c in endless:
            value = c.shapes[position].dims[of]
            if isinstance(value, Number) and len(value.coefficients) > 2:
                return None
            lines += refined(c.modulus, c.rest, value, modulus)
        return sorted(lines, key=lambda line: line.rest)

    def length(self, position: int, of: int, n: int) -> int | None:
        """The length of axis `of` of a position for one valid size."""
        for c in self.taken:
            last = c.last
            if n % c.modulus == c.rest % c.modulus and c.first <= n and (last is None or n <= last):
                value = c.shapes[position].dims[of]
                return int(value.at((n - c.rest) // c.modulus) if isinstance(value, Number) else value)
        return None


def refined(modulus: int, rest: int, value: Any, whole: int) -> Iterator[Affine]:
    """The line of a class (n = modulus·t + rest) as lines for each rest modulo a multiple of its modulus."""
    start, rate = value.coefficients if isinstance(value, Number) else (value, 0)
    turns = whole // modulus
    for turn in range(turns):  # t = turns·u + turn
        at = modulus * turn + rest
        yield Affine(whole, at % whole, rate * turns, start + rate * turn - at // whole * rate * turns)


def congruence(found: Sequence[Class]) -> Congruence:
    """The sizes of the classes that are taken."""
    taken = [c for c in found if c.error is None]
    modulus = 1
    for c in found:
        if c.last is None:
            modulus = lcm(modulus, c.modulus)
    rests = {r % modulus for c in taken if c.last is None for r in range(c.rest, c.rest + modulus, c.modulus)}
    bound = max([1, *[c.first if c.last is None else c.last + 1 for c in found]])
    if bound > MOST_BELOW:
        raise LimitError(f"the sizes below {bound:,} are too many to list")
    small = {n for c in taken for n in c.sizes(bound)}
    if not rests:
        return Congruence(None, 1, (), tuple(sorted(small)))
    modulus, kept = smallest(modulus, rests)
    start = bound
    allowed = set(kept)
    while start > 1 and ((start - 1) in small) == ((start - 1) % modulus in allowed):
        start -= 1
    start = min(start + (rest - start) % modulus for rest in kept)
    return Congruence(start, modulus, kept, tuple(sorted(n for n in small if n < start)))


def axis_of(network: Network, inputs: Sequence[Shape], axis: int, **given: Any) -> Axis:
    """The valid sizes of one axis; of every input that has it, where there are several.

    Raises:
        LimitError: there are too many classes.
        Undecided: a rule does not say what it does with an unknown size.
    """
    size = inputs[0].spatial[axis]
    varied = [(i, axis) for i, x in enumerate(inputs) if x.rank == inputs[0].rank and x.spatial[axis] == size]
    outputs = [network.position(name) for name in network.outputs]
    kept = dict.fromkeys([*outputs, *given.pop("kept", ())])
    found = tuple(sorted(classes(network, inputs, varied, kept, **given), key=lambda c: (c.first, c.modulus)))
    return Axis(axis, congruence(found), found)
