"""Attention that is written by hand, found in the graph: what streams needs of it is one product with a mask.

softmax(f(q·kᵀ))·v is a chain from one matrix product to another. It is recognised by what reads what: the second
product's rows read a softmax over their last axis, which reads, value by value, a product of two maps that move. What
is done to the scores between the two may read other things only if no input reaches them (a scale, a mask, a bias for
each pair); what it does in numbers is for `backend/stream/scores` to find out. The mask stands in the second product,
which leaves out what the softmax makes zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rfcalc.core.layer import POINTWISE, Layer
from rfcalc.core.window import STEP
from rfcalc.graph.forward import Shaped, reads_of
from rfcalc.graph.network import Network
from rfcalc.layers.general import AttentionProduct
from rfcalc.layers.merge import Concat
from rfcalc.layers.reshape import Permute


class Scores(NamedTuple):
    """Where the scores of an attention stand in the network as it was read: the node that makes them of queries and
    keys, and the one that takes the softmax (both the product itself, where it is one operator); by what they are
    multiplied between the two, None where more is done to them."""

    product: str
    softmax: str
    scale: float | None


class GatheredAttention(NamedTuple):
    """A network in which every attention is one node, and where its scores stood, by that node's name."""

    network: Network
    scores: dict[str, Scores]


def gathered(walked: Shaped, at: str | None = None) -> GatheredAttention | None:
    """The network with attention that is written by hand, or that has a fixed bias, as products with a mask alone, and
    without nodes that are read by nothing else then; None where it has none.

    >>> import rfcalc
    >>> text = "{{fc4, fc4 > permute1x0} matmul > softmax axis1, fc4} matmul causal"
    >>> print(gathered(rfcalc.analyze(text, "6x8")).network.nodes[-1].layer.notation())
    attentionproduct causal scale1
    """
    network = walked.network
    reached = _reached(network)
    names = [*network.inputs, *(n.name for n in network.nodes)]
    layers: dict[str, tuple[Layer, tuple[str, ...]]] = {n.name: (n.layer, n.inputs) for n in network.nodes}
    scores: dict[str, Scores] = {}
    changed = False
    for position, node in enumerate(network.nodes, network.arity):
        sources = network.sources[position - network.arity]
        layer: Any = node.layer
        if layer.in_attention == "product" and not layer.transpose:
            found = _by_hand(walked, position, reached)
            if found is None:
                continue
            product, softmax, mask, scale = found
            q, k = (names[s] for s in network.sources[product - network.arity])
            turned = f"{node.name}.keys"
            first: Any = network.nodes[product - network.arity].layer
            if not first.transpose:
                count = len(walked.shapes[product].dims)
                layers[turned] = (Permute((*range(count - 2), count - 1, count - 2)), (k,))
                k = turned
            made = AttentionProduct(mask=mask, scale=scale)
            layers[node.name] = (made, (q, k, names[sources[1]]))
            scores[node.name] = Scores(names[product], names[softmax], scale)
        elif layer.in_attention == "all" and len(sources) > 3 and not reached[sources[3]]:
            layers[node.name] = (node.layer, tuple(names[s] for s in sources[:3]))
            scores[node.name] = Scores(node.name, node.name, None)
        elif layer.repeats and reached[sources[0]]:
            layers |= _copies(walked, position, names)
            changed = True
    if not scores and not changed:
        return None
    output = at or network.outputs[0]
    return GatheredAttention(_without_unread(walked, layers, output), scores)


def with_layers(network: Network, layers: Mapping[str, Layer]) -> Network:
    """The network with other layers for some of its nodes."""
    nodes = [(n.name, layers.get(n.name, n.layer), n.inputs) for n in network.nodes]
    about = {"outputs": network.outputs, "name": network.name, "source": network.source}
    return Network.from_nodes(nodes, network.inputs, _groups(network), **about)


def _groups(network: Network) -> dict[str, str]:
    return {n.name: n.group.rpartition(".")[0] for n in network.nodes if n.group}


def _reached(network: Network) -> list[bool]:
    """Which maps depend on an input."""
    found = [True] * network.arity
    for sources in network.sources:
        found.append(any(found[s] for s in sources))
    return found


def _by_hand(walked: Shaped, position: int, reached: Sequence[bool]) -> tuple[int, int, object, float | None] | None:
    """The product of queries and keys, the softmax, the mask and the scale, of the second product of attention."""
    network, arity = walked.network, walked.network.arity
    layer: Any = network.nodes[position - arity].layer
    weights, values = network.sources[position - arity]
    if not reached[values]:
        return None
    softmax: int | None = None
    mask, at, scale, known = layer.mask, weights, 1.0, True
    while at >= arity:
        own: Any = network.nodes[at - arity].layer
        shape, sources = walked.shapes[at], network.sources[at - arity]
        if own.in_attention == "product":
            if softmax is None or own.mask is not None or not all(reached[s] for s in sources):
                return None
            return at, softmax, mask, scale if known else None
        if own.in_attention == "softmax":
            axis = shape.channel if own.axis is None else own.axis % len(shape.dims)
            if softmax is not None or own.log or axis != len(shape.dims) - 1:
                return None
            softmax, mask = at, own.mask if mask is None else mask
            (at,) = sources
            continue
        on = [s for s in sources if reached[s]]
        if len(on) != 1 or walked.shapes[on[0]].dims != shape.dims or not _value_by_value(walked, at, on[0]):
            return None
        factor = own.multiplies_by  # what scales the scores comes before the softmax
        if factor is not None and (factor == 1 or softmax is not None):
            scale *= factor
        else:
            known = False
        (at,) = on
    return None


def _value_by_value(walked: Shaped, position: int, source: int) -> bool:
    """Whether a node makes each value of the value at the same place of a map."""
    network = walked.network
    node = network.nodes[position - network.arity]
    relation = reads_of(node, walked.input_shapes(position), walked.shapes[position])
    place = network.sources[position - network.arity].index(source)
    return all(
        a == POINTWISE or all(out == i and index == STEP for i, (out, index) in enumerate(a)) for a in relation[place]
    )


def _copies(walked: Shaped, position: int, names: Sequence[str]) -> dict[str, tuple[Layer, tuple[str, ...]]]:
    """The same by copies one after another, axis by axis."""
    network = walked.network
    name, source = names[position], network.sources[position - network.arity][0]
    x, y = walked.shapes[source], walked.shapes[position]
    axes = [i for i, (a, b) in enumerate(zip(x.dims, y.dims, strict=True)) if a != b]
    found: dict[str, tuple[Layer, tuple[str, ...]]] = {}
    before = names[source]
    for i in axes:
        own = name if i == axes[-1] else f"{name}.{i}"
        found[own] = (Concat(i), (before,) * int(y.dims[i]))
        before = own
    return found


def _without_unread(walked: Shaped, layers: dict[str, tuple[Layer, tuple[str, ...]]], output: str) -> Network:
    """The network of these nodes that an output needs."""
    network = walked.network
    needed, open_names = set[str](), [output]
    while open_names:
        name = open_names.pop()
        if name in layers and name not in needed:
            needed.add(name)
            open_names += layers[name][1]
    nodes = [(name, layer, inputs) for name, (layer, inputs) in layers.items() if name in needed]
    inputs = dict(zip(network.inputs, walked.shapes, strict=False))
    groups = {name: group for name, group in _groups(network).items() if name in needed}
    return Network.from_nodes(nodes, inputs, groups, outputs=(output,), name=network.name, source=network.source)
