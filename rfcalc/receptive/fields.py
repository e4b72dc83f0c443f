"""The walk of receptive fields: what every position sees of one source. Linear in nodes and edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfcalc.core.collector import uncollected
from rfcalc.core.layer import SAME_UNIT, Alternatives, Layer
from rfcalc.graph.forward import Walked, reads_of
from rfcalc.receptive.chains import Chain, begun, numbers
from rfcalc.receptive.field import Field, join, of_positions, start, through
from rfcalc.receptive.parts import Apart, followed, gaps
from rfcalc.receptive.told import Told

if TYPE_CHECKING:
    from rfcalc.receptive.pieces import Pieces


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
    told = Told(walked, found, apart)
    chains: dict[int, Chain] = {}
    pieces: dict[int, Pieces] = {}
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
                if sources[0] in chains or node.layer.row_major:
                    result = _chained(walked, position, cached[0][0], found, chains, result)
                if sources[0] in pieces:
                    result = _pieced(walked, position, cached[0], found, pieces, result)
                plain = result
                if result is not None and result is not field:
                    y = shapes[position]
                    result = of_positions(result, y.channel, y.dims, node.name)
                if node.layer.selective or sources[0] in apart.branched or gaps(result, node.name):
                    result = apart.joined(position, result)
                if result is not None and (result.blurred or node.layer.row_major):
                    result = apart.settled(position, result)
                if plain is not result or sources[0] in told.known:
                    result = told.after(position, plain) or result
            found[position] = result
            continue
        if not any(found[s] is not None for s in sources):
            continue
        xs = tuple([shapes[s] for s in sources])
        own = shapes[position].dims
        first = ""
        relation = reads_of(node, xs, shapes[position])
        for edge, (s, alternatives) in enumerate(zip(sources, relation, strict=True)):
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
        if result is not None and result.joins and result.joins[-1].node == node.name:
            result = _pieced(walked, position, relation, found, pieces, result)
        plain = result
        if result is not None:
            result = of_positions(result, shapes[position].channel, own, node.name)
            if node.layer.selective or not apart.branched.isdisjoint(sources) or gaps(result, node.name):
                result = apart.joined(position, result)
            if result is not None and result.blurred:
                result = apart.settled(position, result)
        if plain is not result or not told.known.keys().isdisjoint(sources):
            result = told.after(position, plain) or result
        found[position] = result
    return tuple(found)


def _chained(
    walked: Walked,
    position: int,
    alternatives: Alternatives,
    found: list[Field | None],
    chains: dict[int, Chain],
    plain: Field | None,
) -> Field | None:
    """The field behind a chain of views, from its beginning; `plain` where several axes decide together."""
    network, shapes = walked.network, walked.shapes
    node, (s,) = network.nodes[position - network.arity], network.sources[position - network.arity]
    x, y = shapes[s], shapes[position]
    if plain is None or not numbers(x, y):
        return plain
    known = s in chains
    chain = (chains.get(s) or begun(s, x)).then(node.layer, alternatives, x, y)
    if chain is None:
        return plain
    chains[position] = chain
    root = found[chain.root]
    if not known or root is None or plain is found[s]:
        return plain
    along = followed(root)
    relation = chain.relation(shapes[chain.root], y, along)
    if relation is None:
        return plain
    made = through(root, relation, node.name, shapes[chain.root].dims)
    if made is not None and any(f in chain.after[y.channel] for i in along for f in chain.before[i]):
        made = made._replace(blurred=True)
    return made


def _pieced(
    walked: Walked,
    position: int,
    relation: tuple[Alternatives, ...],
    found: list[Field | None],
    pieces: dict[int, Pieces],
    plain: Field | None,
) -> Field | None:
    """The field of positions that were joined and picked from; `plain` where units have no common rule."""
    from rfcalc.receptive.pieces import merged, picked

    network, shapes = walked.network, walked.shapes
    node, sources = network.nodes[position - network.arity], network.sources[position - network.arity]
    y = shapes[position]
    if not numbers(y, *(shapes[s] for s in sources)):
        return plain
    if len(sources) == 1 and relation[0] == SAME_UNIT:
        pieces[position] = pieces[sources[0]]
        return plain
    made = picked(sources, relation, pieces, found, y.dims)
    if made is None:
        return plain
    pieces[position] = made
    extents = {root: shapes[root].dims for root, _ in made.parts}
    return merged(made, found, y.dims, extents, node.name) or plain
