"""Which sizes a network takes, on every axis, and what comes out: exactly, as congruences.

The forward walk runs once for each class of sizes (`rfcalc.plan.classes`): where a rule rounds, the class is split by
the rest, where a rule compares, at the size where the answer changes. What is left is a finite number of classes, each
of which is taken or refused as a whole, at one node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import lcm
from time import thread_time
from typing import Any, NamedTuple

from rfcalc.core.errors import LimitError, RfcalcError, ShapeError, plural
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.core.within import in_time
from rfcalc.graph.forward import Shaped
from rfcalc.graph.network import Network
from rfcalc.plan.classes import Number, Range, Split, Undecided
from rfcalc.plan.following import Following
from rfcalc.plan.formulas import Affine, Congruence, smallest

MOST_CLASSES = 200_000
MOST_BELOW = 2_000_000


class Part(NamedTuple):
    """The sizes modulus·t + rest of a range of t."""

    modulus: int
    rest: int
    values: Range


EVERY = Part(1, 0, Range(1, None))


class Class(NamedTuple):
    """The sizes modulus·t + rest of a range of t: the shapes of all positions that are reached; what refuses them."""

    modulus: int
    rest: int
    values: Range
    shapes: Sequence[Shape]
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


def with_size(shape: Shape, axis: int, size: Any) -> Shape:
    """The shape with another size on a spatial axis."""
    i = shape.axes[axis]
    return Shape(*shape.dims[:i], size, *shape.dims[i + 1 :], channel=shape.channel)


def classes(
    network: Network,
    inputs: Sequence[Shape],
    varied: Collection[tuple[int, int]] | Mapping[tuple[int, int], tuple[int, int]],
    seconds: float | None = None,
    made: Shaped | None = None,
    following: Following | None = None,
    among: Iterable[Part] | None = None,
) -> list[Class]:
    """Every size n ≥ 1, in classes.

    Args:
        made: the walk at the sizes for which it is made: those that need other parameters are refused; None: none is.
        inputs: the shapes of the inputs; sizes of other axes stay as they are.
        varied: the (input, spatial axis) that have size n; or, for each, a and b of its size a·n + b.
        seconds: when to give up.
        following: rules of layers that say sizes in numbers.
        among: only these sizes.

    Raises:
        LimitError: there are too many classes, or it takes too long.
        Undecided: a rule does not say what it does with an unknown size.
    """
    sizes = varied if isinstance(varied, Mapping) else dict.fromkeys(varied, (1, 0))
    if among is None:
        among = [Part(1, 0, Range(max(max(-((b - 1) // a), 0) for a, b in sizes.values()), None))]
    walk = _Walk(network, Weights(network, made, following), cuts(network, following), seconds)
    found: list[Class] = []
    for modulus, rest, values in among:
        n = modulus * values.first + rest if values.single else Number((rest, modulus), values)
        shapes = list(inputs)
        for (source, axis), (a, b) in sizes.items():
            shapes[source] = with_size(shapes[source], axis, a * n + b)
        for c, given in walk.behind(-1, shapes, values):
            whole = modulus * c.modulus, modulus * c.rest + rest
            found.append(Class(*whole, c.values, [*given, *c.shapes], c.position, c.error))
    return found


FEW_NODES = 6  # between two cuts
MOST_CUTS = 64
MOST_LIVE = 6


class Cut(NamedTuple):
    """A position, and the positions up to it that are read behind it: all else there depends on their maps alone."""

    position: int
    live: tuple[int, ...]


def cuts(network: Network, following: Following | None = None) -> list[Cut]:
    """Places where few maps are live, a few nodes apart."""
    arity, count = network.arity, len(network.nodes)
    apart = max(FEW_NODES, count // MOST_CUTS)
    last = list(range(arity + count))  # for each position the last one that reads it
    for position, sources in enumerate(network.sources, arity):
        for s in (*sources, *(following.read_by(position) if following is not None else ())):
            last[s] = position
    for s in following.read_by(arity + count) if following is not None else ():
        last[s] = arity + count
    found: list[Cut] = []
    live = [p for p in range(arity) if last[p] > p]
    before = 0
    for position in range(arity, arity + count):
        live = [p for p in (*live, position) if last[p] > position]
        if 0 < len(live) <= MOST_LIVE and position - before >= apart:
            found.append(Cut(position, tuple(live)))
            before = position
    return found


class _Walk:
    """The forward walk with classes of sizes: from each cut on, all maps that come there are walked once."""

    def __init__(self, network: Network, weights: Weights, places: Sequence[Cut], seconds: float | None) -> None:
        self.weights = weights
        self.places = [*places, Cut(network.arity + len(network.nodes) - 1, ())]
        self.arity = network.arity
        self.seconds, self.begun, self.count = seconds, thread_time(), 0
        self.known: dict[Any, list[Class]] = {}

    def behind(self, cut: int, given: list[Shape], values: Range) -> Iterator[tuple[Class, list[Shape]]]:
        """The classes of t, with the shapes behind a cut (-1: behind the inputs); beside each, those of its live maps.

        Args:
            given: the shapes of its live maps.
        """
        live = self.places[cut].live if cut >= 0 else tuple(range(self.arity))
        start = self.places[cut].position + 1 if cut >= 0 else self.arity
        stop, own = self.places[cut + 1].position + 1, len(given)
        states = [(start, [*given], 1, 0, values)]
        while states:
            at, held, modulus, rest, values = states.pop()
            self._counted()
            shapes = _Held(held, live, start)
            error: RfcalcError | None = None
            try:
                while at < stop:
                    held.append(self.weights.output(at, shapes))
                    at += 1
            except Split as split:
                for count, more, part in parts(values, split):
                    changed = substituted(held, count, more, part)
                    states.append((at, changed, modulus * count, rest + modulus * more, part))
                continue
            except RfcalcError as refused:
                error = refused
            if error is not None or cut + 2 == len(self.places):
                yield Class(modulus, rest, values, held[own:], at if error else None, error), held[:own]
                continue
            for c in self._tail(cut + 1, [shapes[p] for p in self.places[cut + 1].live], values):
                changed = substituted(held, c.modulus, c.rest, c.values)
                whole = modulus * c.modulus, rest + modulus * c.rest
                yield Class(*whole, c.values, [*changed[own:], *c.shapes], c.position, c.error), changed[:own]

    def _tail(self, cut: int, given: list[Shape], values: Range) -> list[Class]:
        """The classes of t behind a cut with live maps of these shapes."""
        varies = any(type(d) is Number for shape in given for d in shape.dims)
        first = values.first if varies else 0  # counted from the first one, equal maps are equal
        if first:
            last = None if values.last is None else values.last - first
            given = substituted(given, 1, first, Range(0, last))
            values = Range(0, last)
        key = (cut, *map(key_of, given), values if varies else None)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = [c for c, _ in self.behind(cut, given, values)]
        if not varies:
            return [c._replace(values=values) for c in found]
        return [c._replace(rest=c.rest + first) for c in found] if first else found

    def _counted(self) -> None:
        in_time()
        self.count += 1
        if self.count > MOST_CLASSES or (self.seconds is not None and thread_time() - self.begun > self.seconds):
            raise LimitError(f"{self.count:,} classes of sizes are too many to tell apart")


class _Held(Sequence[Shape]):
    """The shapes of the live maps of a cut and of those behind it, by their positions in the network."""

    def __init__(self, held: list[Shape], live: tuple[int, ...], start: int) -> None:
        self.held, self.live, self.start = held, live, start

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [self[p] for p in range(*position.indices(len(self)))]
        if position >= self.start:
            return self.held[len(self.live) + position - self.start]
        return self.held[self.live.index(position)]

    def __len__(self) -> int:
        return self.start + len(self.held) - len(self.live)


def key_of(shape: Shape) -> tuple[Any, ...]:
    """What tells shapes of one class apart."""
    return (shape.channel, *[d.coefficients if type(d) is Number else d for d in shape.dims])


class Weights:
    """The rule of each node's output, and that its parameters stay what they are: a fully connected layer behind a
    flattened map, or a table of positions, fits one size."""

    def __init__(self, network: Network, made: Shaped | None, following: Following | None = None) -> None:
        self.network = network
        self.following = following
        self.made = made
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
        y = self._output(position, layer, xs)
        if self.following is not None:
            self.following.ended(position, shapes, y)
        return y

    def _output(self, position: int, layer: Layer, xs: tuple[Any, ...]) -> Shape:
        try:
            y: Shape = layer.output(*xs)
        except Undecided as error:
            error.position = position
            raise
        params = self.made.costs[position].params if self.made is not None else 0
        if self.made is None or not params or self._independent(layer, xs, y):
            return y
        fitted = layer.fitted(y, self.made.shapes[position])
        if fitted is not None:
            return fitted
        needed = layer.cost(xs, y).params
        if needed != params:
            counted = f"{params:,}" if isinstance(params, int) else params
            why = f"{xs[0] if xs else y} needs {plural(needed, 'parameter')}, there are {counted}"
            raise ShapeError("its parameters fit maps of another size", why=why)
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


def substituted(shapes: Sequence[Shape], count: int, rest: int, values: Range) -> list[Shape]:
    """The shapes of a part of a class; what is one object stays one."""
    numbers: dict[tuple[int, ...], Any] = {}
    made: dict[int, Shape] = {}
    found: list[Shape] = []
    for shape in shapes:
        new = made.get(id(shape))
        if new is None:
            if not any(type(d) is Number for d in shape.dims):
                found.append(shape)
                continue
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


def axis_of(
    network: Network, inputs: Sequence[Shape], axis: int, known: Sequence[Class] | None = None, **given: Any
) -> Axis:
    """The valid sizes of one axis; of every input that has it, where there are several.

    Args:
        known: the classes, where they were found already.

    Raises:
        LimitError: there are too many classes.
        Undecided: a rule does not say what it does with an unknown size.
    """
    size = inputs[0].spatial[axis]
    varied = [(i, axis) for i, x in enumerate(inputs) if x.rank == inputs[0].rank and x.spatial[axis] == size]
    every = classes(network, inputs, varied, **given) if known is None else known
    found = tuple(sorted(every, key=lambda c: (c.first, c.modulus)))
    return Axis(axis, congruence(found), found)
