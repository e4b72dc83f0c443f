"""Liveness: whose memory each map lives in, until when, and the largest sum of maps that live at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import gcd

from rfcalc.core.cost import INDEX
from rfcalc.core.layer import IN_PLACE, VIEW
from rfcalc.core.size import Size, is_number, maximum
from rfcalc.graph import uncollected
from rfcalc.graph.forward import Shaped


def repeating(walked: Shaped) -> frozenset[int]:
    """The positions whose map is a view in which values stand several times: nothing is written over it."""
    network, arity = walked.network, walked.network.arity
    found: set[int] = set()
    if any(node.layer.repeats for node in network.nodes):
        for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
            if node.layer.repeats or (node.layer.memory == VIEW and sources and sources[0] in found):
                found.add(position)
    return frozenset(found)


@uncollected
def overwriting(walked: Shaped) -> frozenset[int]:
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
    spread = repeating(walked)
    own = list(range(arity))
    needed = read[:arity]  # the same, over all that live in one memory
    over = set()
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
        memory = own[sources[0]] if sources else position
        if node.layer.memory == IN_PLACE and sources and needed[memory] <= position and sources[0] not in spread:
            over.add(position)
        elif not (node.layer.memory == VIEW or node.layer.repeats) or not sources:
            memory = position
        own.append(memory)
        needed.append(len(read) if node.layer.memory == VIEW and not sources else read[position])
        needed[memory] = max(needed[memory], read[position])
    return frozenset(over)


@uncollected
def storages(walked: Shaped, over: Collection[int] | None = None, copied: Collection[int] = ()) -> tuple[int, ...]:
    """For each position the position whose memory it lives in: its own, or its input's for views and what is written in
    place.

    Args:
        over: the positions that write over their input; those of `overwriting` if left out.
        copied: reshapes that copy, because what they read does not lie row by row.
    """
    network = walked.network
    arity = network.arity
    over = overwriting(walked) if over is None else over
    found = list(range(arity))
    for position in range(arity, len(walked.shapes)):
        sources = network.sources[position - arity]
        layer = network.nodes[position - arity].layer
        same = position in over or ((layer.memory == VIEW or layer.repeats) and position not in copied)
        found.append(found[sources[0]] if same and sources else position)
    return tuple(found)


@uncollected
def new_values(walked: Shaped, own: Sequence[int] | None = None) -> tuple[Size, ...]:
    """Values that each position adds to memory: its output's, 0 for views and what is written in place; `own` are the
    `storages`, where they are known."""
    own = storages(walked) if own is None else own
    arity = walked.network.arity
    return tuple(
        0 if own[p] != p or (p >= arity and walked.network.nodes[p - arity].layer.memory == VIEW) else shape.values
        for p, shape in enumerate(walked.shapes)
    )


def indices(walked: Shaped) -> dict[int, Size]:
    """The indices that a position makes beside its map, for one item: where maxima were. They go when it has run."""
    arity = walked.network.arity
    found = {}
    for position, node in enumerate(walked.network.nodes, arity):
        count = node.layer.saved(walked.input_shapes(position), walked.shapes[position]).indices
        if not (is_number(count) and count == 0):
            found[position] = count
    return found


def lifetimes(walked: Shaped, own: Sequence[int] | None = None) -> tuple[int, ...]:
    """For each position, until when the memory that begins there lives: the last node that reads or rewrites it.

    Beyond the last position for outputs. Positions that live in another's memory (views, in place) say nothing of their
    own; `storages` says whose it is (`own`, where they are known).
    """
    network = walked.network
    own = storages(walked) if own is None else own
    last = list(range(len(walked.shapes)))
    for position in range(network.arity, len(walked.shapes)):
        last[own[position]] = max(last[own[position]], position)
        for s in network.sources[position - network.arity]:
            last[own[s]] = max(last[own[s]], position)
    for name in network.outputs:
        last[own[network.position(name)]] = len(walked.shapes)
    return tuple(last)


@uncollected
def peak(walked: Shaped, itemsize: int, items: Sequence[Size] = ()) -> tuple[Size, int]:
    """The bytes of the largest sum of live maps while running forward, and the position at which it is reached.

    A map lives from the node that makes it until the last node that reads it has run; outputs live to the end. While a
    node runs, its inputs and its output live, and the int64 indices that PyTorch's max pooling makes with or without
    gradients. Inputs count, weights do not; views and in-place results take no new memory.

    Args:
        itemsize: bytes of a value.
        items: how often each position's map is there; once if left out.
    """
    network, own = walked.network, storages(walked)
    arity = network.arity
    sizes, beside = new_values(walked, own), indices(walked)
    unit = gcd(itemsize, INDEX) if beside else itemsize  # sums of symbols stay short in units that divide all
    if items:
        sizes = tuple(size and size * n for size, n in zip(sizes, items, strict=True))
        beside = {p: count * items[p] for p, count in beside.items()}
    sizes = tuple(size and size * (itemsize // unit) for size in sizes)
    last = lifetimes(walked, own)
    end = len(walked.shapes)
    dies: dict[int, list[int]] = {}
    for storage, when in enumerate(last):
        if own[storage] == storage:
            dies.setdefault(when, []).append(storage)
    live: Size = sum(sizes[p] for p in range(arity))
    most, at = live, 0
    for position in range(arity, end):
        live = live + sizes[position]
        larger = maximum(most, live + beside[position] * (INDEX // unit) if position in beside else live)
        if larger is not most:
            most, at = larger, position
        for storage in dies.get(position, ()):
            live = live - sizes[storage]
    return most * unit, at
