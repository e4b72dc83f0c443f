"""A network in which only some paths from the input lead on: those through a node, or those around it.

What is left out becomes a constant of the same shape, so that every walk and every figure serves the rest as it is.
"""

from __future__ import annotations

from rfcalc.core.errors import NetworkError
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped
from rfcalc.graph.network import Network
from rfcalc.layers.general import Constant


def along(walked: Shaped, via: str | None = None, without: str | None = None) -> Network:
    """The network with the paths through `via` only, and with none through `without`.

    >>> import rfcalc
    >>> report = rfcalc.analyze("{conv3-4, conv7-4} add", "1x32x32")
    >>> rfcalc.analyze(along(report, via="conv1"))["add1"].receptive_field.size
    (3, 3)

    Raises:
        UnknownName: there is no such node.
        NetworkError: it is an input, or no path is left.
    """
    network, arity = walked.network, walked.network.arity
    inputs = dict(zip(network.inputs, walked.shapes, strict=False))
    blocked: set[int] = set()
    if without is not None:
        blocked.add(_node(network, without))
    edges: set[tuple[int, int]] = set()  # (node, which of its inputs) that become constants
    if via is not None:
        through = _node(network, via)
        after = {through}
        for position in range(through + 1, len(walked.shapes)):
            sources = network.sources[position - arity]
            if not after.isdisjoint(sources):
                after.add(position)
                edges |= {(position, i) for i, s in enumerate(sources) if s not in after}
        if not any(network.position(name) in after for name in network.outputs):
            raise NetworkError(f"no path goes through {via} to an output")
    names = [*network.inputs, *(node.name for node in network.nodes)]
    taken = set(names)
    listed: list[tuple[str, Layer, tuple[str, ...]]] = []
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), arity):
        if position in blocked:
            listed.append((node.name, _constant(walked.shapes[position]), ()))
            continue
        reads = [names[s] for s in sources]
        for i, s in enumerate(sources):
            if (position, i) in edges:
                reads[i] = _free(f"{node.name}_without_{i}", taken)
                listed.append((reads[i], _constant(walked.shapes[s]), ()))
        listed.append((node.name, node.layer, tuple(reads)))
    outputs = [names[network.position(name)] for name in network.outputs]
    return Network.from_nodes(listed, inputs, outputs=tuple(outputs), name=network.name)


def _node(network: Network, name: str) -> int:
    position = network.position(name)
    if position < network.arity:
        raise NetworkError(f"{name} is an input: every path begins at an input", fix="name a node")
    return position


def _constant(shape: Shape) -> Constant:
    return Constant(shape.dims, shape.channel)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
