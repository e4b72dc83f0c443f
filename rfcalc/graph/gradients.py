"""Which maps and weights have gradients while a network trains, and the multiply-adds that backward takes for them.

A product y = w·x gives two products in backward: the gradient of x is wᵀ times the gradient of y, that of w is the
gradient of y times x, each with as many multiply-adds as forward (Goodfellow, Bengio & Courville 2016, §6.5). The first
is left out where nothing before the layer is trained (a network's first layer), the second where its weights are
frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rfcalc.core.size import Size
from rfcalc.graph import uncollected
from rfcalc.graph.forward import Shaped


class Learning(NamedTuple):
    """By position: whether its output has a gradient, whether the parameters that it uses are trained (at least one),
    whether its weights are, and whether a gradient arrives there at all (an output depends on it)."""

    maps: tuple[bool, ...]
    params: tuple[bool, ...]
    weights: tuple[bool, ...]
    reached: tuple[bool, ...]


class Gradient(NamedTuple):
    """Multiply-adds for one item of the batch: of the gradients of a node's inputs, and of its weights."""

    inputs: Size = 0
    weights: Size = 0


NO_GRADIENT = Gradient()


def holders(walked: Shaped) -> tuple[int, ...]:
    """For each position the position that holds the parameters it uses: itself, or the first of its weight group."""
    network, arity = walked.network, walked.network.arity
    first: dict[str, int] = {}
    found = list(range(len(walked.shapes)))
    for position, node in enumerate(network.nodes, arity):
        if node.group:
            found[position] = first.setdefault(node.group, position)
    return tuple(found)


@uncollected
def learning(walked: Shaped, frozen: Mapping[int, int]) -> Learning:
    """What has gradients.

    Args:
        walked: the network's forward walk.
        frozen: for positions that hold parameters without a gradient, how many these are.
    """
    network, arity, count = walked.network, walked.network.arity, len(walked.shapes)
    held = holders(walked)
    params, weights, maps = [False] * count, [False] * count, [False] * count
    for position, sources in enumerate(network.sources, arity):
        cost, still = walked.costs[held[position]], frozen.get(held[position], 0)
        params[position] = cost.params != 0 and cost.params != still
        # where some parameters are frozen, these are the weights if there are enough of them
        weights[position] = params[position] and cost.weights != 0 and (still == 0 or still < cost.weights)
        maps[position] = params[position] or any(maps[s] for s in sources)
    reached = [False] * count
    for name in network.outputs:
        reached[network.position(name)] = True
    for position in range(count - 1, arity - 1, -1):
        if reached[position] and maps[position]:
            for s in network.sources[position - arity]:
                reached[s] = True
    return Learning(tuple(maps), tuple(params), tuple(weights), tuple(reached))


@uncollected
def gradients(walked: Shaped, frozen: Mapping[int, int]) -> tuple[Gradient, ...]:
    """The multiply-adds of backward, by position.

    Args:
        walked, frozen: as for `learning`.
    """
    network, arity = walked.network, walked.network.arity
    told = learning(walked, frozen)
    found = [NO_GRADIENT] * len(walked.shapes)
    for position, node in enumerate(network.nodes, arity):
        macs = walked.costs[position].macs
        if macs != 0 and told.maps[position] and told.reached[position]:
            has = tuple([told.maps[s] for s in network.sources[position - arity]])
            inputs = node.layer.gradient_macs(walked.input_shapes(position), walked.shapes[position], macs, has)
            found[position] = Gradient(inputs, macs if told.weights[position] else 0)
    return tuple(found)
