"""The forward walk: shapes and costs of every node, from the inputs on; and each node's index relation.

The walk knows no layer kind by name, is iterative, and is linear in nodes and edges. A rule raises the bare cause of
an error; the node's context is added here, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from rfcalc.core.cost import NOTHING, TERMS, Cost
from rfcalc.core.errors import NetworkError, RfcalcError, ShapeError, plural
from rfcalc.core.layer import POINTWISE, Alternatives, Layer
from rfcalc.core.shape import USUAL, Shape, by_name, corrected, doubtful, numbers
from rfcalc.core.size import Size, agree, decide, is_size, native, settler
from rfcalc.core.window import All
from rfcalc.graph import uncollected
from rfcalc.graph.network import Network, Node


class Shaped(Protocol):
    """A network with the shapes and costs of all positions (inputs first, then nodes): what the forward walk gives, or
    a report. The other walks start from it."""

    @property
    def network(self) -> Network: ...
    @property
    def shapes(self) -> tuple[Shape, ...]: ...
    @property
    def costs(self) -> tuple[Cost, ...]: ...
    def input_shapes(self, position: int) -> tuple[Shape, ...]: ...
    def at(self, position: int) -> tuple[Node, tuple[int, ...], tuple[Shape, ...], Shape]: ...


class Walked(NamedTuple):
    """The forward walk's result, by position (inputs first, then nodes)."""

    network: Network
    shapes: tuple[Shape, ...]
    costs: tuple[Cost, ...]  # without the weights that another node of the group already holds

    def input_shapes(self, position: int) -> tuple[Shape, ...]:
        """The shapes that a node reads."""
        return tuple([self.shapes[s] for s in self.network.sources[position - self.network.arity]])

    def at(self, position: int) -> tuple[Node, tuple[int, ...], tuple[Shape, ...], Shape]:
        """The node at a position, the positions that it reads, their shapes, and its own."""
        network = self.network
        sources = network.sources[position - network.arity]
        node = network.nodes[position - network.arity]
        return node, sources, tuple([self.shapes[s] for s in sources]), self.shapes[position]

    def in_complex_numbers(self) -> Walked:
        """The same with costs where numbers are complex: multiply-adds of real numbers, as PyTorch runs them."""
        runs = [1] * self.network.arity + [node.layer.complex_runs for node in self.network.nodes]
        costs = [c if n == 1 else replace(c, macs=n * c.macs) for c, n in zip(self.costs, runs, strict=True)]
        return self._replace(costs=tuple(costs))


def batch_of(given: Any) -> Size:
    """How many items a batch has.

    Raises:
        RfcalcError: it is no whole number, or less than 1.
    """
    batch = native(given)
    if not is_size(batch):
        raise RfcalcError(f"a batch of {batch!r} is no whole number", fix="give a batch of at least 1")
    if decide(batch < 1):
        raise RfcalcError(f"a batch of {batch} is empty", fix="give a batch of at least 1")
    return batch


def shapes_of_inputs(network: Network, given: Any = None) -> tuple[Shape, ...]:
    """The shapes of the inputs, in order: those given, else the network's defaults.

    Raises:
        NetworkError: an input without a shape, or a name that is no input.
    """
    given = by_name(given, tuple(network.inputs))
    for name in given:
        if name not in network.inputs:
            known, only = [*network.inputs], len(network.inputs) == 1
            why = f"the only input is {known[0]}" if only else f"the inputs are {', '.join(known)}"
            fix = f"--input {Shape.of(given[name])}" if only else ""
            raise NetworkError(f"there is no input {name!r}", why=why, fix=fix)
    found = []
    for name, default in network.inputs.items():
        shape = Shape.of(given[name]) if name in given else default
        if name in given and default is not None:
            _checked(name, shape, default)
        if shape is None:
            raise NetworkError(f"the input {name!r} has no shape", fix=f"give one: --input {name}=3x224x224")
        found.append(shape)
    return tuple(found)


def _checked(name: str, shape: Shape | None, default: Shape) -> None:
    """Refuse a shape of another rank or order than the network was made for, before any layer sees it."""
    mistake = None if shape is None or not default.rank else corrected(shape, default)
    if mistake is None:
        return
    why, meant = mistake
    raise NetworkError(f"the input {name!r} cannot be {shape}", why=why, fix=f"did you mean {meant}?")


@uncollected
def forward(network: Network, inputs: Sequence[Shape]) -> Walked:
    """Shapes and costs of every node, from the inputs on.

    Costs are for one item of the batch. Weights of a group are counted where it first appears.

    Raises:
        ShapeError: a layer cannot take what it gets; the message names the node, its inputs and the rule.
    """
    settle = settler()
    plain = settle is None and all(type(n) is int for x in inputs for n in x.dims)
    if plain and network._walked and network._walked[0] == tuple(inputs):
        return Walked(network, *network._walked[1:])  # a reader checks what it read, then it is analysed
    shapes = list(inputs)
    costs = [NOTHING] * len(shapes)
    groups: dict[str, tuple[Node, Cost]] = {}
    known: dict[Any, tuple[Shape, Cost, Layer]] = {}
    for node, sources in zip(network.nodes, network.sources, strict=True):
        layer = node.layer
        if len(sources) == 1:
            x = shapes[sources[0]]
            xs: tuple[Shape, ...] = (x,)
            key: Any = (id(layer), x)
        else:
            xs = tuple([shapes[s] for s in sources])
            key = None
        found = known.get(key) if key is not None else None
        if found is None:
            try:
                y = layer.output(*xs)
                if settle is not None:
                    y = Shape(*map(settle, y.dims), channel=y.channel)
                cost = layer.cost(xs, y)
                if settle is not None:
                    cost = Cost(*(settle(getattr(cost, name)) for name in TERMS))
            except RfcalcError as error:
                mistyped = _mistyped(network, node, inputs)
                placed = mistyped or _placed(error, node, xs)
                placed.walk = None if mistyped else (network, tuple(inputs))
                raise placed from None
            if key is not None:
                known[key] = (y, cost, layer)
        else:
            y, cost, _ = found
        if node.group and cost.params != 0:
            cost = _shared(groups, node, cost)
        shapes.append(y)
        costs.append(cost)
    walked = Walked(network, tuple(shapes), tuple(costs))
    if plain:
        object.__setattr__(network, "_walked", (tuple(inputs), *walked[1:]))
    return walked


def _mistyped(network: Network, node: Node, inputs: Sequence[Shape]) -> RfcalcError | None:
    """The complaint about an input of a network that takes any, where a layer refuses what was probably mistyped."""
    for (name, default), shape in zip(network.inputs.items(), inputs, strict=True):
        axes = len(getattr(node.layer, "kernel", ())) if node.inputs == (name,) else 0
        found = None if default is not None else doubtful(shape)
        if found is None and default is None and axes > 1 and axes in USUAL and shape.rank not in (0, axes):
            found = corrected(shape, Shape(3, *USUAL[axes]))
        if found is not None:
            why, meant = found
            return NetworkError(f"the input {name!r} cannot be {shape}", why=why, fix=f"did you mean {meant}?")
    return None


def _placed(error: RfcalcError, node: Node, xs: tuple[Shape, ...]) -> RfcalcError:
    told = ", ".join(f"{n} {x}" for n, x in zip(node.inputs[:6], xs, strict=False))
    more = f" and {len(xs) - 6} more" if len(xs) > 6 else ""
    return error.at(f"{node.name} ({node.layer.notation()})", f"it reads {told}{more}")


def _shared(groups: dict[str, tuple[Node, Cost]], node: Node, cost: Cost) -> Cost:
    """The cost of a node of a weight group: parameters count where the group first appears."""
    first = groups.setdefault(node.group, (node, cost))
    if first[0] is node:
        return cost
    if not (agree(first[1].weights, cost.weights) and agree(first[1].biases, cost.biases)):
        raise ShapeError(
            f"cannot share the weights of {first[0].name}",
            where=f"{node.name} ({node.layer.notation()})",
            why=f"{plural(first[1].params, 'parameter')} there, {cost.params} here",
            fix="share layers of the same kind, sizes and input channels only",
        )
    return Cost(0, 0, 0, *(getattr(cost, name) for name in Cost.__slots__[3:]))


def relation(walked: Shaped, position: int) -> tuple[Alternatives, ...]:
    """The index relation of the node at a position, one for each of its inputs."""
    node, _, xs, y = walked.at(position)
    return reads_of(node, xs, y)


def reads_of(node: Node, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
    """The index relation of a node whose inputs and output have these shapes."""
    try:
        return node.layer.reads(xs, y)
    except RfcalcError as error:
        raise _placed(error, node, xs) from None


def tells_channels_apart(walked: Shaped, position: int) -> bool:
    """Whether channels may differ after a node: it does not read all channels of all of its inputs."""
    node, _, xs, y = walked.at(position)
    if node.layer.opaque or not numbers(*xs, y):
        return False
    if node.layer.row_major:
        return True
    for x, alternatives in zip(xs, node.layer.apart(xs, y) or reads_of(node, xs, y), strict=True):
        if any(reads is POINTWISE or type(reads[x.channel][1]) is not All for reads in alternatives):
            return True
    return False


def owners(walked: Shaped) -> dict[int, str]:
    """Positions that use the weights of an earlier node, and that node's name."""
    first: dict[str, int] = {}
    found: dict[int, str] = {}
    nodes, arity = walked.network.nodes, walked.network.arity
    for position, node in enumerate(nodes, arity):
        if node.group:
            owner = first.setdefault(node.group, position)
            if owner != position and walked.costs[owner].params != 0:
                found[position] = nodes[owner - arity].name
    return found
