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
        after = behind(network, _node(network, via))
        for position in after - {network.position(via)}:
            edges |= {(position, i) for i, s in enumerate(network.sources[position - arity]) if s not in after}
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


def behind(network: Network, position: int) -> set[int]:
    """A position, and all those that paths lead to from there."""
    found = {position}
    for later in range(max(position + 1, network.arity), network.arity + len(network.nodes)):
        if not found.isdisjoint(network.sources[later - network.arity]):
            found.add(later)
    return found


def require_path(network: Network, source: str, via: str, node: str) -> None:
    """Refuse what no path through a node tells of.

    Raises:
        NetworkError: no path leads from the source through `via` to the node.
    """
    through = network.position(via)
    if through not in behind(network, network.position(source)):
        raise NetworkError(f"no path leads from {source} to {via}", fix="name a node behind it")
    after = behind(network, through)
    if network.position(node) not in after:
        ends = [name for name in network.outputs if network.position(name) in after]
        told = f"the outputs {', '.join(ends)}" if len(ends) > 1 else f"the output {', '.join(ends)}"
        raise NetworkError(f"no path leads through {via} to {node}", why=f"{via} leads to {told}")


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
