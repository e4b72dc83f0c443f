"""Receptive fields: as values, by both walks, of single units, and weighted by influence.

Here stands the walk of receptive fields, `fields`: what every position sees of one source, linear in nodes and edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rfcalc.core.layer import POINTWISE, SAME_UNIT, Alternatives, Layer
from rfcalc.core.shape import Shape, axis_groups, numbers
from rfcalc.core.window import STEP, All
from rfcalc.graph import uncollected
from rfcalc.graph.forward import Shaped, reads_of, tells_channels_apart
from rfcalc.receptive.field import Field, Unaligned, followed, gaps, join, merged, of_positions, start, through

if TYPE_CHECKING:
    from rfcalc.receptive.chains import Chain
    from rfcalc.receptive.parts import ChannelsApart
    from rfcalc.receptive.pieces import Pieces
    from rfcalc.receptive.told import Told


@uncollected
def fields(walked: Shaped, source: int = 0) -> tuple[Field | None, ...]:
    """What every position sees of the source (an input or an earlier node); None where it depends on nothing of it.

    Maps to the source accumulate forward, in constant time for each edge and axis.
    """
    network, shapes = walked.network, walked.shapes
    arity = network.arity
    found: list[Field | None] = [None] * len(shapes)
    found[source] = start(shapes[source].axes)
    apart: ChannelsApart | None = None
    branched: set[int] = set()  # positions whose channels, or branches along an axis, see different things
    chains: dict[int, Chain | None] = {}
    pieces: dict[int, Pieces] = {}
    told: Told | None = None
    most: set[str] = set()  # nodes of which units see at most what is told
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
                    result = _chained(walked, position, cached[0][0], found, chains, result, source)
                if sources[0] in pieces:
                    result = _pieced(walked, position, cached[0], found, pieces, result)
                if result is not None and result is not field:
                    y = shapes[position]
                    result = of_positions(result, y.channel, y.dims, node.name)
                if node.layer.selective or sources[0] in branched or gaps(result, node.name):
                    apart = apart or _apart(walked, source, found)
                    result = apart.joined(position, result, branched)
                if result is not None and (result.blurred or node.layer.row_major):
                    result = _settled(walked, position, found, result)
                if told is not None and sources[0] in told.known:
                    result = told.after(position, result) or result
            found[position] = _at_most(node, result, [field], most) if most or node.layer.at_most else result
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
        plain, turned = result, False
        if result is not None:
            result = of_positions(result, shapes[position].channel, own, node.name)
            turned = result is not plain
            if node.layer.selective or not branched.isdisjoint(sources) or gaps(result, node.name):
                apart = apart or _apart(walked, source, found)
                result = apart.joined(position, result, branched)
            if result is not None and result.blurred:
                result = _settled(walked, position, found, result)
        if turned or (told is not None and not told.known.keys().isdisjoint(sources)):
            told = told or _told(walked, source, found)
            result = told.after(position, plain) or result
        at_most = most or node.layer.at_most
        found[position] = _at_most(node, result, [found[s] for s in sources], most) if at_most else result
    return tuple(found)


def _at_most(node: Any, field: Field | None, before: Sequence[Field | None], most: set[str]) -> Field | None:
    """The field of a node that is, or stands behind, one whose units see at most what is told; `most` takes up such."""
    if node.layer.at_most:
        most.add(node.name)
    if field is None:
        return None
    names = [node.name] if node.layer.at_most else []
    names += [n for f in before if f is not None for n in f.bounded if n in most]
    return field._replace(bounded=merged(field.bounded, tuple(dict.fromkeys(names))))


def _told(walked: Shaped, source: int, found: Sequence[Field | None]) -> Told:
    from rfcalc.receptive.told import Told

    return Told(walked, found, _apart(walked, source, found))


def _chained(
    walked: Shaped,
    position: int,
    alternatives: Alternatives,
    found: list[Field | None],
    chains: dict[int, Chain | None],
    plain: Field | None,
    source: int,
) -> Field | None:
    """The field behind a chain of views, from its beginning; `plain` where several axes decide together.

    A first reshape is exact by itself: its chain is written down once a second view follows (until then it is None).
    """
    node, (s,), (x,), y = walked.at(position)
    if plain is None or not numbers(x, y):
        return plain
    before = found[s]
    loose = chains.get(s) is not None or (
        before is not None and any(type(e) is Unaligned for t in before.terms for e in t)
    )
    if s in chains and _is_view(node.layer, alternatives, loose):
        from rfcalc.receptive.chains import begun

        begins = chains[s] or begun(walked, s)
        chain = begins and begins.then(node.layer, alternatives, x, y)
        if chain is not None and not node.layer.row_major and _read_whole(chain, found[chain.root], y.channel):
            chain = None  # a layer that sees all of an axis says so itself
    else:
        chain = None
    if chain is None:
        if node.layer.row_major and chains.get(s) is None:
            chains[position] = None
        return plain
    chains[position] = chain
    shapes, root = walked.shapes, found[chain.root]
    if root is None or plain is found[s]:
        return plain
    along = followed(root)
    relation = chain.relation(shapes[chain.root], y, along)
    if relation is None:
        return plain
    made = through(root, relation, node.name, shapes[chain.root].dims)
    if made is not None and any(f in chain.after[y.channel] for i in along for f in chain.before[i]):
        made = made._replace(blurred=True)
    placed = {id(f) for j, axis in enumerate(chain.after) if j != y.channel for f in axis}
    if made is not None and any(id(f) in placed for f in chain.before[shapes[chain.root].channel]):
        from rfcalc.receptive.parts import trivial

        # a position has one of several channels, or one of the positions that lie in them
        if root.blurred or not trivial(_apart(walked, source, found).of(chain.root, root)):
            made = made._replace(bounded=merged(made.bounded, (node.name,)))
    return made


def _read_whole(chain: Chain, root: Field | None, channel: int) -> bool:
    """Whether nothing is left at a chain's end, but in the channels, of an axis that positions of the source lie along
    at its beginning."""
    left = {id(f) for j, axis in enumerate(chain.after) if j != channel for f in axis}
    along = set() if root is None else followed(root)
    return any(chain.before[i] and not any(id(f) in left for f in chain.before[i]) for i in along)


def _is_view(layer: Layer, alternatives: Alternatives, loose: bool) -> bool:
    """Whether a layer may give the values of its input in other places, or (`loose`) sums over whole axes of them."""
    if len(alternatives) != 1:
        return False
    return layer.row_major or all(index is STEP or (loose and type(index) is All) for _, index in alternatives[0])


def _pieced(
    walked: Shaped,
    position: int,
    relation: tuple[Alternatives, ...],
    found: list[Field | None],
    pieces: dict[int, Pieces],
    plain: Field | None,
) -> Field | None:
    """The field of positions that were joined and picked from; `plain` where units have no common rule."""
    from rfcalc.receptive.pieces import merged, picked

    node, sources, xs, y = walked.at(position)
    if not numbers(*xs, y):
        return plain
    if len(sources) == 1 and relation[0] == SAME_UNIT:
        pieces[position] = pieces[sources[0]]
        return plain
    made = picked(sources, relation, pieces, found, y.dims)
    if made is None:
        return plain
    pieces[position] = made
    extents = {root: walked.shapes[root].dims for root, _ in made.parts}
    return merged(made, found, y.dims, extents, node.name) or plain


def _apart(walked: Shaped, source: int, found: Sequence[Field | None]) -> ChannelsApart:
    """What tells channels and branches apart: loaded where a layer reads some of them and not all."""
    from rfcalc.receptive.parts import ChannelsApart

    return ChannelsApart(walked, source, found)


def _settled(walked: Shaped, position: int, found: Sequence[Field | None], field: Field) -> Field:
    """A node's field where positions lie in the channels: all channels are read now, or some of them, which a field
    that does not tell them apart can only bound."""
    node, sources, xs, y = walked.at(position)
    if not numbers(*xs, y):
        return field
    if node.layer.row_major:
        return _merging(field, found[sources[0]], xs[0], y, node.name)
    if not tells_channels_apart(walked, position):
        return field if _turned(walked, position, found) else field._replace(blurred=False)
    if node.layer.selective:
        told = node.layer.apart(xs, y) or reads_of(node, xs, y)
        for x, relation in zip(xs, told, strict=True):
            if any(reads is not POINTWISE and reads[x.channel][1] is not STEP for reads in relation):
                return field._replace(bounded=(*field.bounded, node.name))
    return field


def _turned(walked: Shaped, position: int, found: Sequence[Field | None]) -> bool:
    """Whether positions of the source come to lie along a node's channel axis in it."""
    node, sources, xs, y = walked.at(position)
    for s, alternatives in zip(sources, reads_of(node, xs, y), strict=True):
        before = found[s]
        along = set() if before is None else followed(before)
        for reads in alternatives:
            if any(out == y.channel and type(i) is not All and axis in along for axis, (out, i) in enumerate(reads)):
                return True
    return False


def _merging(field: Field, before: Field | None, x: Shape, y: Shape, node: str) -> Field:
    """After a row-major reshape: whether it lays positions side by side in the channels, or takes such apart."""
    along = set() if before is None else {axis for axis in followed(before) if x.dims[axis] != 1}
    for inside, outside in axis_groups(x.dims, y.dims):
        if y.channel in outside and along.intersection(inside) and y.channels != 1:
            field = field._replace(blurred=True)
        elif field.blurred and x.channel in inside and any(j != y.channel and y.dims[j] != 1 for j in outside):
            field = field._replace(bounded=(*field.bounded, node))
    return field
