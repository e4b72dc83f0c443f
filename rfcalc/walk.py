"""The walks over a network: shapes and costs forward, receptive fields to a source, what a unit reads backward.

No walk knows a layer kind by name, all are iterative, and each is linear in nodes and edges. A rule raises the bare
cause of an error; the node's context is added here, once. Imports levels 0 to 4 only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from rfcalc.cost import KEEPS_NOTHING, NOTHING, Cost, Saved
from rfcalc.errors import NetworkError, RfcalcError, ShapeError
from rfcalc.field import Field, join, of_positions, start, through
from rfcalc.layer import IN_PLACE, POINTWISE, SAME_UNIT, VIEW, Alternatives, Layer, Reads
from rfcalc.network import Network, Node
from rfcalc.shape import Shape
from rfcalc.size import Size, agree, decide, maximum
from rfcalc.window import START, STEP, All, Slide, Table, Window


class Walked(NamedTuple):
    """The forward walk's result, by position (inputs first, then nodes)."""

    network: Network
    shapes: tuple[Shape, ...]
    costs: tuple[Cost, ...]  # without the weights that another node of the group already holds

    def inputs_of(self, position: int) -> tuple[Shape, ...]:
        """The shapes that a node reads."""
        return tuple([self.shapes[s] for s in self.network.sources[position - self.network.arity]])


def shapes_of_inputs(network: Network, given: Any = None) -> tuple[Shape, ...]:
    """The shapes of the inputs, in order: those given, else the network's defaults.

    Raises:
        NetworkError: an input without a shape, or a name that is no input.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        if len(network.inputs) > 1:
            raise NetworkError(
                f"the network has {len(network.inputs)} inputs",
                fix="name them: " + " ".join(f"{n}=3x224x224" for n in network.inputs),
            )
        given = {next(iter(network.inputs)): given}
    for name in given:
        if name not in network.inputs:
            raise NetworkError(f"there is no input {name!r}", why=f"the inputs are {', '.join(network.inputs)}")
    found = []
    for name, default in network.inputs.items():
        shape = Shape.of(given[name]) if name in given else default
        if shape is None:
            raise NetworkError(f"the input {name!r} has no shape", fix=f"give one: --input {name}=3x224x224")
        found.append(shape)
    return tuple(found)


def forward(network: Network, inputs: Sequence[Shape]) -> Walked:
    """Shapes and costs of every node, from the inputs on.

    Costs are for one item of the batch. Weights of a group are counted where it first appears.

    Raises:
        ShapeError: a layer cannot take what it gets; the message names the node, its inputs and the rule.
    """
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
                cost = layer.cost(xs, y)
            except RfcalcError as error:
                raise _placed(error, node, xs) from None
            if key is not None:
                known[key] = (y, cost, layer)
        else:
            y, cost, _ = found
        if node.group and cost.params != 0:
            cost = _shared(groups, node, cost)
        shapes.append(y)
        costs.append(cost)
    return Walked(network, tuple(shapes), tuple(costs))


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
            why=f"{first[1].params} parameters there, {cost.params} here",
            fix="share layers of the same kind, sizes and input channels only",
        )
    return Cost(0, 0, 0, *(getattr(cost, name) for name in Cost.__slots__[3:]))


def relation(walked: Walked, position: int) -> tuple[Alternatives, ...]:
    """The index relation of the node at a position, one for each of its inputs."""
    network = walked.network
    node = network.nodes[position - network.arity]
    return _reads(node, walked.inputs_of(position), walked.shapes[position])


def _reads(node: Node, xs: tuple[Shape, ...], y: Shape) -> tuple[Alternatives, ...]:
    try:
        return node.layer.reads(xs, y)
    except RfcalcError as error:
        raise _placed(error, node, xs) from None


def fields(walked: Walked, source: int = 0) -> tuple[Field | None, ...]:
    """What every position sees of the source (an input or an earlier node); None where it depends on nothing of it.

    Maps to the source accumulate forward, in constant time for each edge and axis.
    """
    network, shapes = walked.network, walked.shapes
    arity = network.arity
    found: list[Field | None] = [None] * len(shapes)
    found[source] = start(shapes[source].axes)
    known: dict[Any, tuple[tuple[Alternatives, ...], Layer]] = {}
    for position in range(max(arity, source + 1), len(shapes)):
        node = network.nodes[position - arity]
        sources = network.sources[position - arity]
        result: Field | None = None
        if node.layer.opaque:
            if any(found[s] is not None for s in sources):
                result = Field((), unknown=(node.name,))
            found[position] = result
            continue
        if len(sources) == 1:
            field = found[sources[0]]
            if field is not None:
                x = shapes[sources[0]]
                key = (id(node.layer), x)
                cached = known.get(key)
                if cached is None:
                    cached = known[key] = (_reads(node, (x,), shapes[position]), node.layer)
                result = through(field, cached[0][0], node.name, x.dims)
                if result is not None and result is not field:
                    y = shapes[position]
                    result = of_positions(result, y.channel, y.dims, node.name)
            found[position] = result
            continue
        if not any(found[s] is not None for s in sources):
            continue
        xs = tuple([shapes[s] for s in sources])
        own = shapes[position].dims
        first = ""
        for edge, (s, alternatives) in enumerate(zip(sources, _reads(node, xs, shapes[position]), strict=True)):
            field = found[s]
            if field is None:
                continue
            part = field if alternatives is SAME_UNIT else through(field, alternatives, node.name, xs[edge].dims)
            if part is None or part is result:
                continue
            name = node.inputs[edge]
            if result is None:
                result, first = part, name
            else:
                result = join(result, part, node.name, own, (first, name))
        if result is not None:
            result = of_positions(result, shapes[position].channel, own, node.name)
        found[position] = result
    return tuple(found)


def overwriting(walked: Walked) -> frozenset[int]:
    """The positions that write over their input: activations and dropout, where no later node needs what was there.

    An output of the network is needed to the end, and what is given with the weights; an input may be written over.
    """
    network, arity = walked.network, walked.network.arity
    if not any(node.layer.memory == IN_PLACE for node in network.nodes):
        return frozenset()
    read = [0] * len(walked.shapes)  # the last position that reads each map, as it is then
    for position, sources in enumerate(network.sources, arity):
        for s in sources:
            read[s] = position
    for name in network.outputs:
        read[network.position(name)] = len(read)
    own = list(range(arity))
    needed = read[:arity]  # the same, over all that live in one memory
    over = set()
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
        memory = own[sources[0]] if sources else position
        if node.layer.memory == IN_PLACE and sources and needed[memory] <= position:
            over.add(position)
        elif node.layer.memory != VIEW or not sources:
            memory = position
        own.append(memory)
        needed.append(len(read) if node.layer.memory == VIEW and not sources else read[position])
        needed[memory] = max(needed[memory], read[position])
    return frozenset(over)


def storages(walked: Walked, over: Collection[int] | None = None) -> tuple[int, ...]:
    """For each position the position whose memory it lives in: its own, or its input's for views and what is written in
    place.

    Args:
        over: the positions that write over their input; those of `overwriting` if left out.
    """
    network = walked.network
    arity = network.arity
    over = overwriting(walked) if over is None else over
    found = list(range(arity))
    for position in range(arity, len(walked.shapes)):
        sources = network.sources[position - arity]
        same = position in over or network.nodes[position - arity].layer.memory == VIEW
        found.append(found[sources[0]] if same and sources else position)
    return tuple(found)


def new_values(walked: Walked) -> tuple[Size, ...]:
    """Values that each position adds to memory: its output's, 0 for views and what is written in place."""
    own = storages(walked)
    arity = walked.network.arity
    return tuple(
        0 if own[p] != p or (p >= arity and walked.network.nodes[p - arity].layer.memory == VIEW) else shape.values
        for p, shape in enumerate(walked.shapes)
    )


def lifetimes(walked: Walked) -> tuple[int, ...]:
    """For each position, until when the memory that begins there lives: the last node that reads or rewrites it.

    Beyond the last position for outputs. Positions that live in another's memory (views, in place) say nothing of their
    own; `storages` says whose it is.
    """
    network, own = walked.network, storages(walked)
    last = list(range(len(walked.shapes)))
    for position in range(network.arity, len(walked.shapes)):
        last[own[position]] = max(last[own[position]], position)
        for s in network.sources[position - network.arity]:
            last[own[s]] = max(last[own[s]], position)
    for name in network.outputs:
        last[own[network.position(name)]] = len(walked.shapes)
    return tuple(last)


def peak_values(walked: Walked) -> tuple[Size, int]:
    """The largest sum of live maps while running forward, and the position at which it is reached.

    A map lives from the node that makes it until the last node that reads it has run; outputs live to the end. While a
    node runs, its inputs and its output live. Inputs count, weights do not; views and in-place results take no new
    memory.
    """
    network, own = walked.network, storages(walked)
    arity = network.arity
    sizes = new_values(walked)
    last = lifetimes(walked)
    end = len(walked.shapes)
    dies: dict[int, list[int]] = {}
    for storage, when in enumerate(last):
        if own[storage] == storage:
            dies.setdefault(when, []).append(storage)
    live: Size = sum(sizes[p] for p in range(arity))
    most, at = live, 0
    for position in range(arity, end):
        live = live + sizes[position]
        larger = maximum(most, live)
        if larger is not most:
            most, at = larger, position
        for storage in dies.get(position, ()):
            live = live - sizes[storage]
    return most, at


class Kept(NamedTuple):
    """What autograd keeps for the backward pass in training mode, split by how it grows.

    Bytes for a batch: values·item size·batch + bytes·batch + masks·(item size on a CPU, 1 on a GPU)·batch +
    batch_values·item size + single_values·item size where the batch is one.
    """

    values: Size = 0
    bytes: Size = 0
    masks: Size = 0
    batch_values: Size = 0
    single_values: Size = 0

    def total(self, itemsize: int, batch: Size = 1, device: str = "cpu") -> Size:
        """Bytes in all."""
        mask = itemsize if device == "cpu" else 1
        fixed = self.batch_values + (self.single_values if decide(batch == 1) else 0)
        return batch * (self.values * itemsize + self.bytes + self.masks * mask) + fixed * itemsize


def kept(walked: Walked) -> tuple[Kept, ...]:
    """What each position adds to what autograd keeps; a map that two nodes keep counts where it was made.

    What is given with the weights (learned tables, constants) adds nothing.
    """
    network = walked.network
    arity = network.arity
    own = storages(walked, over=())
    maps: set[int] = set()
    extra, _ = saving(walked)
    for position, said in enumerate(extra):
        maps.update(own[network.sources[position - arity][i]] for i in said.inputs)
        if said.output:
            maps.add(own[position])
    return tuple(
        Kept(
            (shape.values if p in maps and (p < arity or network.sources[p - arity]) else 0) + e.extra_values,
            e.extra_bytes,
            e.masks,
            e.batch_values,
            e.single_values,
        )
        for p, (shape, e) in enumerate(zip(walked.shapes, extra, strict=True))
    )


def saving(walked: Walked, stays: bool = True) -> tuple[tuple[Saved, ...], frozenset[int]]:
    """What autograd keeps of each position; the positions that may write over their input.

    These are activations and dropout whose input nothing else reads and autograd does not need; inputs and outputs of
    the network stay, and what is given with the weights. Maps are named as if every node had memory of its own: the
    sum is the same.

    Args:
        stays: whether inputs of the network must stay as they are (those of a part of a network need not).
    """
    network, arity = walked.network, walked.network.arity
    own = storages(walked, over=())
    readers = [0] * len(own)
    for node, sources in zip(network.nodes, network.sources, strict=True):
        for s in sources:
            readers[own[s]] += node.layer.memory != VIEW
    needed = {*range(arity if stays else 0), *(own[network.position(name)] for name in network.outputs)}
    said: list[Saved] = [KEEPS_NOTHING] * arity
    over: set[int] = set()
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
        kept = node.layer.saved(walked.inputs_of(position), walked.shapes[position])
        free = len(sources) == 1 and readers[own[sources[0]]] == 1 and own[sources[0]] not in needed
        if node.layer.memory == IN_PLACE and free:
            over.add(position)
        elif node.layer.lends and not free:
            needed.add(own[position])
        if kept.either:
            kept = kept._replace(either=False, **({"output": True} if position in over else {"inputs": (0,)}))
        if kept.output or not sources:
            needed.add(own[position])
        said.append(kept)
    return tuple(said), frozenset(over)


def backward(walked: Walked, at: int) -> tuple[dict[int, Window] | None, ...]:
    """What one unit of position `at` reads of every earlier map: F(i) = (F(i+1) − 1) × stride + k, from there back.

    For each position a window by axis of its map, in units of `at`; an empty dict where that position does not feed it;
    None where paths of different strides (or re-arranged positions) leave no window.
    """
    network = walked.network
    arity = network.arity
    found: list[dict[int, Window] | None] = [{} for _ in walked.shapes]
    shape = walked.shapes[at]
    found[at] = dict.fromkeys(shape.axes, START) | {shape.channel: Window(0, ((0, shape.channels - 1),))}
    for position in range(at, arity - 1, -1):
        mine = found[position]
        sources = network.sources[position - arity]
        if mine == {}:
            continue
        if mine is not None:  # a unit is a position over all channels, of every map on the way
            shape = walked.shapes[position]
            mine = mine | {shape.channel: Window(0, ((0, shape.channels - 1),))}
        if mine is None or network.nodes[position - arity].layer.opaque:
            for s in sources:
                found[s] = None
            continue
        for s, alternatives in zip(sources, relation(walked, position), strict=True):
            for reads in alternatives:
                found[s] = _meet(found[s], _back(mine, reads))
    return tuple(found)


def _back(mine: dict[int, Window], reads: Reads) -> dict[int, Window] | None:
    """The windows on a layer's input, from those on its output."""
    if reads is POINTWISE:
        return mine
    seen: dict[int, Window] = {}
    alike: dict[tuple[Window, object], Window] = {}  # axes are often read alike
    for axis, (out, index) in enumerate(reads):
        kind = type(index)
        if kind is All:
            if out is None or out in mine:
                seen[axis] = Window(0, ((0, index.extent - 1),))  # type: ignore[union-attr]
            continue
        if out is None or out not in mine:
            continue
        window = mine[out]
        if index is STEP:
            seen[axis] = window
            continue
        if kind is not Slide and kind is not Table:
            return None
        known = alike.get((window, index))
        if known is not None:
            seen[axis] = known
            continue
        layer = START.pull(index)  # type: ignore[arg-type]
        if window.period == 1 and layer.period == 1:
            first, last = window.ends[0] or (0, 0)
            found = layer.pull(Slide(window.advance, first, 2, last - first))
        elif not layer.regular or window.sparse:
            return None
        else:
            found = layer.pull(Table(window.advance, [e for e in window.ends if e is not None]))
        seen[axis] = alike[window, index] = found
    return seen


def _meet(a: dict[int, Window] | None, b: dict[int, Window] | None) -> dict[int, Window] | None:
    """The union of what two readers of one map see."""
    if a is None or b is None or not a or not b:
        return b if a == {} else a if b == {} else None
    if any(axis in a and axis in b and not a[axis].same_stride(b[axis]) for axis in a):
        return None
    joined: dict[int, Window] = {}
    alike: dict[tuple[Window, Window], Window] = {}
    for axis in {**a, **b}:
        if axis in a and axis in b:
            pair = (a[axis], b[axis])
            joined[axis] = alike[pair] = alike[pair] if pair in alike else pair[0] | pair[1]
        else:
            joined[axis] = a.get(axis) or b[axis]
    return joined
