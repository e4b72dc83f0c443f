"""Maps that one operator of a network's source makes of one map: it runs backward once, when all their gradients are
there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rfcalc.core.layer import VIEW
from rfcalc.graph.forward import Shaped


def splits(walked: Shaped, given: Callable[[int], bool]) -> dict[int, tuple[int, ...]]:
    """Positions that one operator of the network's source made of one map (a split into chunks), by each."""
    network = walked.network
    steps: Mapping[str, int] = getattr(network.source, "steps", {})
    found: dict[tuple[int, int], list[int]] = {}
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), network.arity):
        step = steps.get(node.name, -1)
        if step >= 0 and len(sources) == 1 and node.layer.memory == VIEW:
            found.setdefault((step, sources[0]), []).append(position)
    # the parts of a learned map (of the projections of attention) are those of a split too
    parts: dict[int, list[int]] = {}
    for position, sources in enumerate(network.sources, network.arity):
        if len(sources) == 1 and given(sources[0]) and walked.costs[sources[0]].params:
            parts.setdefault(sources[0], []).append(position)
    values = [int(shape.values) for shape in walked.shapes]
    for source, group in parts.items():
        if len(group) > 1 and sum(values[p] for p in group) == values[source]:
            found[-1, source] = group
    return {p: tuple(group) for group in found.values() if len(group) > 1 for p in group}
