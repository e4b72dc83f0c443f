"""The walk of receptive fields: what every position sees of one source. Linear in nodes and edges."""

from __future__ import annotations

from typing import Any

from rfcalc.core.collector import uncollected
from rfcalc.core.layer import SAME_UNIT, Alternatives, Layer
from rfcalc.graph.forward import Walked, reads_of
from rfcalc.receptive.field import Field, join, of_positions, start, through
from rfcalc.receptive.parts import Apart, gaps


@uncollected
def fields(walked: Walked, source: int = 0) -> tuple[Field | None, ...]:
    """What every position sees of the source (an input or an earlier node); None where it depends on nothing of it.

    Maps to the source accumulate forward, in constant time for each edge and axis.
    """
    network, shapes = walked.network, walked.shapes
    arity = network.arity
    found: list[Field | None] = [None] * len(shapes)
    found[source] = start(shapes[source].axes)
    apart = Apart(walked, source, found)
    known: dict[Any, tuple[tuple[Alternatives, ...], Layer]] = {}
    for position in range(max(arity, source + 1), len(shapes)):
        node = network.nodes[position - arity]
        sources = network.sources[position - arity]
        result: Field | None = None
        if node.layer.opaque:  # what reads something unknown may read the source
            if not sources or any(found[s] is not None for s in sources):
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
                    cached = known[key] = (reads_of(node, (x,), shapes[position]), node.layer)
                result = through(field, cached[0][0], node.name, x.dims)
                if result is not None and result is not field:
                    y = shapes[position]
                    result = of_positions(result, y.channel, y.dims, node.name)
                if node.layer.selective or sources[0] in apart.branched or gaps(result, node.name):
                    result = apart.joined(position, result)
                if result is not None and (result.blurred or node.layer.row_major):
                    result = apart.settled(position, result)
            found[position] = result
            continue
        if not any(found[s] is not None for s in sources):
            continue
        xs = tuple([shapes[s] for s in sources])
        own = shapes[position].dims
        first = ""
        for edge, (s, alternatives) in enumerate(zip(sources, reads_of(node, xs, shapes[position]), strict=True)):
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
            if node.layer.selective or not apart.branched.isdisjoint(sources) or gaps(result, node.name):
                result = apart.joined(position, result)
            if result is not None and result.blurred:
                result = apart.settled(position, result)
        found[position] = result
    return tuple(found)
