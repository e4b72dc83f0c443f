"""Sizes inside of code, followed: what a reading freezes into layers, as rules over the maps before them.

Code that is read at one size has that size in its resizing, its views, its padding. So it is read at several sizes, and
what differs between the readings is told from the lengths of earlier maps: a length (and a constant), a multiple or a
product of lengths, half of a difference, what is missing to a multiple (and what a kernel adds to it). Readings of
further sizes must confirm all of it; what follows no rule is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, Protocol

from rfcalc.core.errors import RfcalcError, ShapeError
from rfcalc.core.layer import Layer
from rfcalc.core.lengths import Watched
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network, Node
from rfcalc.plan.aligning import Reading, Unfollowed, aligned, plan
from rfcalc.plan.alone import alone, lower_half, upper_half, whole
from rfcalc.plan.asked import Certainty, Check, Code, Lengths, Rule, moved_to, nothing_lost, places_of

OTHERWISE = "what it reads at other sizes follows no rule that is known"
ENOUGH_ALIKE = 3  # readings, with maps of other sizes, that tell rules where some have other nodes

Path = tuple[Any, ...]
Solved = dict[tuple[int, tuple[tuple[Any, ...], ...]], list[Any]]


class Guard(Protocol):
    """A condition of the code itself on the sizes of the inputs."""

    def check(self, shapes: Sequence[Shape], /) -> None: ...


class OtherWay(ShapeError):
    """Code takes another way at this size: what was read is not what runs; from which of its conditions on."""

    def __init__(self, check: Check) -> None:
        super().__init__(f"the code takes another way at {check.where}")
        self.number = check.number


class Following:
    """A network whose layers follow the sizes of the maps before them.

    Args:
        checks: by position, what code asked before it, of this way through the code.
        masked: whether masks that differ from size to size were left out: sizes are told, but not what is read.
        valued: a node that works with a number which the code computes from a size; no size hangs on it, values do.
        certainty: how all rules and checks were told.
        implied: by position, what must hold besides, of these layers.

    Attributes:
        solved: by axis and input shapes, the classes of sizes, where they are known already.
    """

    def __init__(
        self,
        network: Network,
        rules: dict[int, list[tuple[Path, Rule]]],
        guards: Sequence[Guard] = (),
        checks: Mapping[int, Sequence[Check]] | None = None,
        masked: bool = False,
        valued: str = "",
        certainty: Certainty = Certainty.INFERRED,
        implied: Mapping[int, Sequence[Check]] | None = None,
    ) -> None:
        self.network = network
        self.rules = rules
        self.guards = guards
        self.checks = checks or {}
        self.masked = masked
        self.valued = valued
        self.certainty = certainty
        self.implied = implied or {}
        self.solved: Solved = {}

    @property
    def follows(self) -> bool:
        """Whether anything hangs on the sizes at all."""
        return bool(self.rules or self.guards or self.checks)

    @property
    def questions(self) -> dict[int, list[Check]]:
        """By position, what code asked before it, and what must hold besides."""
        every = {*self.checks, *self.implied}
        return {p: [*self.checks.get(p, ()), *self.implied.get(p, ())] for p in every}

    def guarded(self, guard: Guard) -> Following:
        """The same, with one more condition on the sizes of the inputs."""
        return self._with(guards=[*self.guards, guard])

    def _with(self, **changes: Any) -> Following:
        other = copy(self)
        vars(other).update(changes, solved={})
        return other

    def layer(self, position: int, shapes: Sequence[Shape | None]) -> Layer:
        """The layer of a position behind maps of these shapes."""
        if self.guards and position == self.network.arity:
            for guard in self.guards:
                guard.check([x for x in shapes[:position] if x is not None])
        self.asked(position, shapes)
        layer = self.network.nodes[position - self.network.arity].layer
        rules = self.rules.get(position)
        if not rules:
            return layer
        given = layer.given
        try:
            for (name, *path), rule in rules:
                given[name] = _put(given[name], tuple(path), rule.value(shapes))  # type: ignore[arg-type]
        except ZeroDivisionError:
            raise ShapeError("the code divides by a length that is 0 at this size") from None
        return type(layer)(**given)

    def asked(self, position: int, shapes: Sequence[Shape | None]) -> None:
        """Refuse sizes at which code gets another answer to what it asks before a position.

        Raises:
            ShapeError: it does.
        """
        for check in self.checks.get(position, ()):
            try:
                answer = check.rule.value(shapes)  # type: ignore[arg-type]
            except ZeroDivisionError:
                answer = None
            if answer != check.holds:
                if check.refuses:
                    raise ShapeError("the code refuses this size by itself", why=f"by a condition in {check.where}")
                raise OtherWay(check)

    def answered_otherwise(self, shapes: Sequence[Shape]) -> list[int]:
        """The numbers of what code asked that gets another answer for maps of these shapes."""
        asked = [check for checks in self.checks.values() for check in checks]
        return [check.number for check in asked if check.rule.value(shapes) != check.holds]

    def ended(self, position: int, shapes: Sequence[Shape | None], y: Shape) -> None:
        """The same for what code asks behind the last position, whose map is y."""
        if position + 1 in self.checks and position + 1 == self.network.arity + len(self.network.nodes):
            self.asked(position + 1, _Behind(shapes, y))

    def refusing(self, number: int) -> Following:
        """The same, of code that refuses what answers one of its conditions otherwise."""
        checks = {p: [c._replace(refuses=c.number == number) for c in found] for p, found in self.checks.items()}
        return self._with(checks=checks)

    def read_by(self, position: int) -> set[int]:
        """The positions whose lengths the rules of a layer read."""
        rules = [rule for _, rule in self.rules.get(position, ())]
        return {p for rule in (*rules, *(c.rule for c in self.checks.get(position, ()))) for p in rule.positions}

    def at(self, inputs: Sequence[Shape]) -> Network:
        """The network for inputs of these shapes.

        Raises:
            ShapeError: they do not run.
        """
        if not self.follows:
            return self.network
        network, arity = self.network, self.network.arity
        shapes = list(inputs)
        listed = []
        for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
            try:
                layer = self.layer(position, shapes)
                y = layer.output(*[shapes[s] for s in sources])
                self.ended(position, shapes, y)
                shapes.append(y)
            except RfcalcError as error:
                raise error.at(node.name) from None
            listed.append((node.name, layer, node.inputs))
        named = dict(zip(network.inputs, inputs, strict=True))
        return Network.from_nodes(listed, named, outputs=network.outputs, name=network.name)

    def within(self, part: Network) -> Following:
        """The rules of a part of the network, whose nodes have the same names; a rule over a map that the part lacks
        refuses every size but the one that was read."""
        mine = [*self.network.inputs, *(node.name for node in self.network.nodes)]
        theirs = {name: p for p, name in enumerate([*part.inputs, *(node.name for node in part.nodes)])}
        places = [theirs.get(name) for name in mine]
        rules: dict[int, list[tuple[Path, Rule]]] = {
            place: [(path, _elsewhere(rule, places)) for path, rule in found]
            for position, found in self.rules.items()
            if (place := places[position]) is not None
        }
        checks: dict[int, list[Check]] = {}
        for position, asked in self.checks.items():
            place = next((q for q in places[position:] if q is not None), None)
            for check in asked:
                if place is None:
                    break
                checks.setdefault(place, []).append(check._replace(rule=_elsewhere(check.rule, places)))
        return Following(part, rules, self.guards if len(part.inputs) == len(self.network.inputs) else (), checks)


class _Behind(Sequence[Any]):
    """Shapes, and one more behind them."""

    def __init__(self, shapes: Sequence[Any], y: Shape) -> None:
        self.shapes, self.y = shapes, y

    def __getitem__(self, position: Any) -> Any:
        return self.y if position == len(self.shapes) else self.shapes[position]

    def __len__(self) -> int:
        return len(self.shapes) + 1


def _elsewhere(rule: Rule, places: Sequence[int | None]) -> Rule:
    """A rule whose maps have other positions, or none."""
    return Rule(partial(_moved, rule, places), tuple([q for p in rule.positions if (q := places[p]) is not None]))


def _moved(rule: Rule, places: Sequence[int | None], shapes: Sequence[Shape]) -> Any:
    if any(places[p] is None for p in rule.positions):
        raise ShapeError("a size follows a map that is not computed here")
    return rule.value([None if p is None or p >= len(shapes) else shapes[p] for p in places])  # type: ignore[misc]


def follow(readings: Sequence[Reading], watched: Sequence[Watched] = ()) -> Following:
    """The rules that all readings agree with, or most of them: where numbers are alike by chance (an axis of 1, as many
    rows as channels), views are told otherwise or come to nothing, and these readings must only give the same outputs.

    Args:
        watched: what code asked in each of them, with the same answers, and what it gave to operators.

    Raises:
        Unfollowed: something differs that follows no rule.
    """
    nothing_lost(watched)
    try:
        return _follow(readings, watched)
    except Unfollowed:
        alike: dict[Any, list[int]] = {}
        for i, reading in enumerate(readings):
            alike.setdefault(tuple(plan(reading.network)), []).append(i)
        sizes = {plan: {readings[i].shapes[readings[i].network.arity :] for i in of} for plan, of in alike.items()}
        enough = [plan for plan in alike if len(sizes[plan]) >= ENOUGH_ALIKE]
        if not enough:
            raise
        told = max(enough, key=lambda plan: max(x.values for i in alike[plan] for x in readings[i].shapes))
        most = alike[told]
        if len(most) == len(readings):
            raise
        return _follow([readings[i] for i in most], [watched[i] for i in most] if watched else ())


def _follow(readings: Sequence[Reading], watched: Sequence[Watched]) -> Following:
    longest = max(readings, key=lambda r: len(r.network.nodes))
    order = sorted(range(len(readings)), key=lambda i: readings[i] is not longest)
    asked = [places_of(watched[i], readings[i]) for i in order] if watched else []
    readings, steps, places = aligned([readings[i] for i in order], bool(watched))
    network, arity = readings[0].network, longest.network.arity
    rules: dict[int, list[tuple[Path, Rule]]] = {}
    lengths = _Lengths(readings)
    told_by = Code([watched[i] for i in order], moved_to(asked, places), steps, arity, lengths) if watched else None
    nodes, masked, valued = list(network.nodes), False, ""
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
        layers = [r.network.nodes[position - arity].layer for r in readings]
        if all(layer == layers[0] for layer in layers):
            if told_by is not None:
                told_by.alike(position, layers[0], sources)
            continue
        if len({layer.operands for layer in layers}) > 1:
            layers, valued = [layer.unvalued() for layer in layers], valued or node.name
            nodes[position - arity] = node._replace(layer=layers[0])
        if watched and any(layer.unlisted() is not None for layer in layers):  # it changes no size
            layers, masked = [layer.unlisted() or layer for layer in layers], True
        layers = _for_each_axis(layers, [(*(r.shapes[s] for s in sources), r.shapes[position]) for r in readings])
        unlike = len({(type(layer), *(p for p, _ in _numbers(layer))) for layer in layers}) > 1
        if unlike or watched:  # a factor that is not the same everywhere was a size in the code
            layers = [layer.sized(r.shapes[position]) for layer, r in zip(layers, readings, strict=True)]
        if len(sources) == 1 and (watched or all(layer.row_major for layer in layers)):
            before = [r.shapes[sources[0]] for r in readings]
            like = max(zip(layers, before, strict=True), key=lambda pair: pair[1].values)[0]
            layers = [layer.stated(x, like) for layer, x in zip(layers, before, strict=True)]
        if watched and all(layer.row_major for layer in layers) and any(layer != layers[0] for layer in layers):
            layers = [layer.sized(r.shapes[position]) for layer, r in zip(layers, readings, strict=True)]
        if len({type(layer) for layer in layers}) > 1:
            raise Unfollowed(node.name, OTHERWISE)
        values = [dict(_numbers(layer)) for layer in layers]
        if len({tuple(v) for v in values}) > 1:
            raise Unfollowed(node.name, OTHERWISE)
        nodes[position - arity] = node._replace(layer=layers[0])
        found = rules[position] = []
        for path in values[0]:
            told = [v[path] for v in values]
            if len(set(told)) > 1 and path[0] != "channel":  # which axis holds them is no length: as in the first one
                rule = told_by.of_call(position, told) if told_by is not None else None
                if watched and rule is None and len(sources) == 1:
                    rule = _viewed(told, position, sources[0], readings)
                if told_by is not None and rule is None:
                    rule = told_by.rule(position, told)
                    told_by.at_most(Certainty.EQUAL if rule or lengths.has(told, position) else Certainty.INFERRED)
                found.append((path, rule or _rule(node, position, path, told, readings, lengths)))
    if rules or valued:
        listed = [(n.name, n.layer, n.inputs) for n in nodes]
        network = Network.from_nodes(listed, network.inputs, outputs=network.outputs, name=network.name)
    if told_by is None:
        return Following(network, rules, masked=masked, valued=valued)
    about: dict[str, Any] = {"checks": told_by.checks(), "implied": told_by.implied()}
    return Following(network, rules, masked=masked, valued=valued, certainty=told_by.certainty, **about)


def _for_each_axis(layers: Sequence[Layer], shapes: Sequence[Sequence[Shape]]) -> list[Layer]:
    """Layers whose one number stands for all axes, with a number for each, where another one has that."""
    given = [layer.given for layer in layers]
    found = list(layers)
    for name in given[0]:
        values = [v for g in given if isinstance(v := g.get(name), tuple)]
        counts = {len(v) for v in values}
        if len(values) < len(layers) or len(counts) != 2 or 1 not in counts:
            continue
        for i, (layer, value, (*xs, y)) in enumerate(zip(found, values, shapes, strict=True)):
            if len(value) == 1:
                spread = type(layer)(**{**layer.given, name: value * max(counts)})
                if spread.output(*xs) == y:
                    found[i] = spread
    return found


def unanswered(readings: Sequence[Reading], watched: Sequence[Watched]) -> dict[int, list[Check]]:
    """What code asked of lengths in these readings that got the same answer in all of them, by position; without what
    follows no length of a map."""
    longest = max(readings, key=lambda r: len(r.network.nodes))
    order = sorted(range(len(readings)), key=lambda i: readings[i] is not longest)
    known, steps, places = aligned([readings[i] for i in order])
    asked = moved_to([places_of(watched[i], readings[i]) for i in order], places)
    code = Code([watched[i] for i in order], asked, steps, longest.network.arity, _Lengths(known))
    found = code.checks(strict=False)
    for position, checks in code.implied().items():
        found.setdefault(position, []).extend(checks)
    return found


class _Lengths(Lengths):
    """The same, with what gives numbers from them."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        super().__init__(readings)
        self._known: dict[Any, list[tuple[int, Callable[[Any], Any]]]] = {}

    def alone(self, told: list[int], dims: tuple[int, ...]) -> list[tuple[int, Callable[[Any], Any]]]:
        key = (tuple(told), dims)
        if key not in self._known:
            self._known[key] = list(alone(told, dims))
        return self._known[key]


def _viewed(told: Sequence[Any], position: int, source: int, readings: Sequence[Reading]) -> Rule | None:
    """A number of a view as a length of the map that it views, or a product of neighbouring ones, if it is only one."""
    if any(r.shapes[position].values != r.shapes[source].values for r in readings):
        return None
    count = min(len(r.shapes[source].dims) for r in readings)
    parts = [(a, b) for a in range(count) for b in range(a + 1, count + 1)]
    found = {
        (a, b)
        for a, b in parts
        if all(v == _product(r.shapes[source], a, b) for v, r in zip(told, readings, strict=True))
    }
    shortest = min([b - a for a, b in found], default=0)
    least = [(a, b) for a, b in found if b - a == shortest]
    return Rule(partial(_of_axes, source, *least[0]), (source,)) if len(least) == 1 else None


def _rule(
    node: Node, position: int, path: Path, told: list[int], readings: Sequence[Reading], varied: _Lengths
) -> Rule:
    """The simplest rule over earlier maps that gives these numbers; the same axis and nearer maps come first."""
    numbers = ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in told)
    if not all(isinstance(v, int) for v in told):
        raise Unfollowed(node.name, f"{path[0]} is {numbers} in {len(told)} readings: code computes it from a size")
    network = readings[0].network
    own = network.sources[position - network.arity]
    order = [*own, *(p for p in range(position - 1, -1, -1) if p not in own)]
    lengths = {(p, i): dims for p in order for i, dims in varied.varied[p].items()}
    candidates: list[tuple[tuple[int, bool], Rule]] = []
    for (p, i), dims in lengths.items():
        axes = readings[0].shapes[p].axes
        other = len(path) > 1 and path[1] < len(axes) and axes[path[1]] != i
        for rank, rule in varied.alone(told, dims):
            far = rank >= 3 and p not in own  # what is missing to a multiple is missing to the map that is padded
            candidates.append(((rank + 10 * far, other), Rule(partial(_of_one, rule, p, i), (p,))))
    if candidates:
        return min(candidates, key=lambda c: c[0])[1]
    for p in own:  # a view: a product of neighbouring axes
        count = len(readings[0].shapes[p].dims)
        for a in range(count):
            for b in range(a + 2, count + 1):
                if all(v == _product(r.shapes[p], a, b) for v, r in zip(told, readings, strict=True)):
                    return Rule(partial(_of_axes, p, a, b), (p,))
    for q in own:  # padding: what one map is longer than another, or half of it
        for (p, i), dims in lengths.items():
            mine = lengths.get((q, i))
            missing = [n - m for n, m in zip(dims, mine or dims, strict=True)]
            if len(set(missing)) > 1:
                for share in (lower_half, upper_half, whole):
                    if all(v == share(d) for v, d in zip(told, missing, strict=True)):
                        return Rule(partial(_of_two, share, p, q, i), (p, q))
    raise Unfollowed(node.name, f"{path[0]} is {numbers} in {len(told)} readings, which follows no earlier map")


def _of_one(rule: Callable[[Any], Any], p: int, i: int, shapes: Sequence[Shape]) -> Any:
    return rule(shapes[p].dims[i])


def _of_two(share: Callable[[Any], Any], p: int, q: int, i: int, shapes: Sequence[Shape]) -> Any:
    return share(shapes[p].dims[i] - shapes[q].dims[i])


def _of_axes(p: int, a: int, b: int, shapes: Sequence[Shape]) -> Any:
    return _product(shapes[p], a, b)


def _product(shape: Shape, a: int, b: int) -> Any:
    result: Any = 1
    for n in shape.dims[a:b]:
        result = result * n
    return result


def _numbers(layer: Layer) -> Iterator[tuple[Path, Any]]:
    """The whole numbers among a layer's parameters, each with its place; other values as they are."""
    for name, value in layer.given.items():
        yield from _inside((name,), value)


def _inside(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, tuple):
        if not value:
            yield path, value
        for i, part in enumerate(value):
            yield from _inside((*path, i), part)
    else:
        yield path, value


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    i = path[0]
    return (*value[:i], _put(value[i], path[1:], new), *value[i + 1 :])
