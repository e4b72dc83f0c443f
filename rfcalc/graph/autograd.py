"""The model of PyTorch's autograd: what a step of training keeps of every map for the backward pass."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from rfcalc.core.cost import INDEX, KEEPS_NOTHING, Saved
from rfcalc.core.layer import IN_PLACE, VIEW
from rfcalc.core.size import Size, decide
from rfcalc.graph import uncollected
from rfcalc.graph.forward import Shaped
from rfcalc.graph.memory import repeating, storages


class Kept(NamedTuple):
    """What autograd keeps for the backward pass in training mode, split by how it grows.

    Bytes for a batch: values·item size·batch + indices·8·batch + masks·(item size on a CPU, 1 on a GPU)·batch +
    batch_values·item size + single_values·item size where the batch is one.
    """

    values: Size = 0
    indices: Size = 0
    masks: Size = 0
    batch_values: Size = 0
    single_values: Size = 0

    def total(self, itemsize: int, batch: Size = 1, device: str = "cpu") -> Size:
        """Bytes in all."""
        mask = itemsize if device == "cpu" else 1
        fixed = self.batch_values + (self.single_values if decide(batch == 1) else 0)
        return batch * (self.values * itemsize + self.indices * INDEX + self.masks * mask) + fixed * itemsize


@uncollected
def kept(walked: Shaped, again: Sequence[frozenset[str]] = (), idle: frozenset[str] = frozenset()) -> tuple[Kept, ...]:
    """What each position adds to what autograd keeps; a map that two nodes keep counts where it was made.

    What is given with the weights (learned tables, constants) adds nothing.

    Args:
        again: the nodes of each part that is computed again in the backward pass; of it only what it reads is kept.
        idle: nodes whose weights get no gradient.
    """
    network = walked.network
    arity = network.arity
    own = storages(walked, over=())
    maps: set[int] = set()
    extra = list(saving(walked)[0])
    part = {network.position(name): i for i, names in enumerate(again) for name in names}
    for position, i in part.items():
        maps.update(own[s] for s in network.sources[position - arity] if part.get(s) != i)
        extra[position] = KEEPS_NOTHING
    for name in idle:
        if extra[network.position(name)].learning:
            extra[network.position(name)] = KEEPS_NOTHING
    for position, said in enumerate(extra):
        maps.update(own[network.sources[position - arity][i]] for i in said.inputs)
        if said.output:
            maps.add(own[position])
    return tuple(
        Kept(
            (shape.values if p in maps and (p < arity or network.sources[p - arity]) else 0) + e.extra_values,
            e.indices,
            e.masks,
            e.batch_values,
            e.single_values,
        )
        for p, (shape, e) in enumerate(zip(walked.shapes, extra, strict=True))
    )


def saving(
    walked: Shaped, stays: bool = True, done: Collection[str] | None = None
) -> tuple[tuple[Saved, ...], frozenset[int]]:
    """What autograd keeps of each position; the positions that may write over their input.

    These are activations and dropout whose input nothing else reads and autograd does not need; inputs and outputs of
    the network stay, and what is given with the weights. Maps are named as if every node had memory of its own: the
    sum is the same.

    Args:
        stays: whether inputs of the network must stay as they are (those of a part of a network need not).
        done: the nodes that write over their input in the code that the network was read from; None: all that may.
    """
    network, arity = walked.network, walked.network.arity
    own, spread = storages(walked, over=()), repeating(walked)
    readers = [0] * len(own)
    for node, sources in zip(network.nodes, network.sources, strict=True):
        for s in sources:
            readers[own[s]] += not (node.layer.memory == VIEW or node.layer.repeats)
    needed = {*range(arity if stays else 0), *(own[network.position(name)] for name in network.outputs)}
    said: list[Saved] = [KEEPS_NOTHING] * arity
    over: set[int] = set()
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
        kept = node.layer.saved(walked.input_shapes(position), walked.shapes[position])
        free = len(sources) == 1 and readers[own[sources[0]]] == 1 and own[sources[0]] not in needed
        free = free and sources[0] not in spread and (done is None or node.name in done)
        if node.layer.memory == IN_PLACE and free:
            over.add(position)
        elif node.layer.lends and not free:
            needed.add(own[position])
        if kept.either:
            written = position in over if done is None else node.name in done
            kept = kept._replace(either=False, **({"output": True} if written else {"inputs": (0,)}))
        if kept.output or not sources:
            needed.add(own[position])
        said.append(kept)
    return tuple(said), frozenset(over)
