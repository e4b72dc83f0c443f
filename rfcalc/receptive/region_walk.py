"""The real pixels that units see: index sets, cut to every map on the way, for a given input size.

The companion of `walk.fields`: the same index relations, with borders resolved (zero padding holds nothing; reflected,
replicated and circular padding are pixels) and holes kept.

For one axis and one term, unit u of the deciding axis sees ``sets[u]``; a layer replaces it by the union over what it
reads. Where several axes of a node decide together (window partition), the sets are kept for every unit.

Where units of an axis that no source axis follows read nothing (the border of a padded map that is global already), a
term has a further entry, as for a source axis of one position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.core.layer import POINTWISE, Alternatives, Layer, Reads
from rfcalc.core.shape import Shape, axis_groups
from rfcalc.core.size import is_number, prod
from rfcalc.core.window import STEP, All, Index, Scattered, Unsized, taps
from rfcalc.graph.forward import Shaped, relation, tells_channels_apart
from rfcalc.receptive.regions import MOST_KEPT, MOST_TERMS, Entry, Regions, Sets, State, Term, over_channels, tidy
from rfcalc.receptive.unit_sets import Part, Points, boxes, flattened, joint, place, united

MOST_BITS = 400_000_000


class Moved(NamedTuple):
    """Where on an axis of a reshape's result anything is read: an entry that is there already."""

    carrier: int
    sets: Sets


def regions(walked: Shaped, at: str | int, source: str | int = 0) -> Regions:
    """What the units of a node see of an input or an earlier node, in real pixels.

    Args:
        at, source: names or positions.

    Raises:
        RfcalcError: an operator on the way was not understood, or a size is a symbol.
        LimitError: the sets would not fit into memory.
    """
    network = walked.network
    last = network.position(at) if isinstance(at, str) else at
    first = network.position(source) if isinstance(source, str) else source
    for shape in (walked.shapes[first], walked.shapes[last]):
        if not all(is_number(n) for n in shape.dims):
            raise RfcalcError("regions need sizes in numbers", why=f"there is a map of {shape}", fix="give --input")
    engine = _Engine(walked, first)
    state = engine.run(last)
    shape = walked.shapes[last]
    extents = tuple(shape.dims[i] for i in shape.axes)
    return Regions(state, shape.axes, extents, engine.extents, engine.bounded)


class _Engine:
    """Propagates sets from the source to one node, through its ancestors only."""

    def __init__(self, walked: Shaped, source: int) -> None:
        self.walked = walked
        self.source = source
        shape = walked.shapes[source]
        self.extents = tuple(shape.dims[i] for i in shape.axes)
        self.start: tuple[Term, ...] = (tuple((i, tuple(1 << p for p in range(shape.dims[i]))) for i in shape.axes),)
        self.bounded = False  # whether channels were not told apart that see different pixels, or a layer says at most
        self.blurred: set[int] = set()  # positions in whose channels pixels lie side by side, not told apart
        self.told: set[int] = set()  # positions of which it is known what each channel sees
        self.bound = cache(self._bound)
        self.spread = cache(_spread)
        self.routes = cache(self._routes)
        self.kept = cache(lambda *given: tuple(self._windows(*given)))

    def run(self, last: int) -> State:
        network = self.walked.network
        needed = {last}
        for position in range(last, network.arity - 1, -1):
            if position in needed and position != self.source:
                needed.update(network.sources[position - network.arity])
        self.told = told = told_apart(self.walked, needed, self.source)
        found: dict[int, State] = {self.source: self.start}
        for position in range(network.arity, last + 1):
            if position not in needed or position == self.source:
                continue
            node = network.nodes[position - network.arity]
            sources = network.sources[position - network.arity]
            if not any(found.get(s) for s in sources) and not (node.layer.opaque and not sources):
                found[position] = ()
                continue
            if node.layer.opaque:
                raise RfcalcError(
                    "an operator was not understood", where=node.name, why="nothing is known of what its units read"
                )
            self.bounded = self.bounded or node.layer.at_most
            parts: list[State] = []
            for s, alternatives in zip(sources, exact(self.walked, position, told), strict=True):
                state = found.get(s, ())
                if state:
                    parts += self.through(state, alternatives, s, position)
                    self.follow_channels(state, alternatives, s, position)
            state = self.union(parts, position)
            axes = self.walked.shapes[position].axes
            found[position] = state if isinstance(state, Points) or position in told else over_channels(state, axes)
        return found.get(last, ())

    def through(self, state: State, alternatives: Alternatives, source: int, position: int) -> list[State]:
        return [state if reads is POINTWISE else self.apply(state, reads, source, position) for reads in alternatives]

    def apply(self, state: State, reads: Reads, source: int, position: int) -> State:
        x, y = self.walked.shapes[source].dims, self.walked.shapes[position].dims
        if isinstance(state, Points):
            channel = self.walked.shapes[source].channel
            self.bounded = self.bounded or not (reads[channel][1] is STEP or isinstance(reads[channel][1], All))
            return self.scatter(state, reads, source, position)
        network = self.walked.network
        given = state
        if network.nodes[position - network.arity].layer.row_major:
            state = self.regrouped(state, x, y)
        scattered = {axis for axis, (_, index) in enumerate(reads) if isinstance(index, Scattered)}
        if any(entry[0] in scattered and type(entry) is not Moved for term in state for entry in term):
            return self.scatter(given, reads, source, position)
        found: list[Term] = []
        for term in state:
            here = tuple(entry for entry in term if type(entry) is not Moved)
            moved = tuple((entry.carrier, entry.sets) for entry in term if type(entry) is Moved)
            if moved:
                term = here
            carriers = [c for c, _ in term if c is not None]
            split = [c for c in set(carriers) if carriers.count(c) > 1 and reads[c][1] is not STEP and _tied(term, c)]
            if split:
                there = tuple(self.presence(carriers, reads, x, y))
                found += [(*one, *there, *moved) for one in self.split(term, reads, split[0], x, y)]
            else:
                entries = [self.read(entry, reads, x, y) for entry in term]
                found.append((*entries, *self.presence(carriers, reads, x, y), *moved))
        return tidy(found)

    def follow_channels(self, state: State, alternatives: Alternatives, source: int, position: int) -> None:
        """Note where pixels come to lie side by side in the channels, and where such channels become positions again,
        each of which then sees less than all of them."""
        walked = self.walked
        x, y = walked.shapes[source], walked.shapes[position]
        followed = set(x.axes) if isinstance(state, Points) else {c for term in state for c, _ in term}
        if walked.network.nodes[position - walked.network.arity].layer.row_major:
            for before, after in axis_groups(x.dims, y.dims):
                spread = any(j != y.channel and y.dims[j] != 1 for j in after)
                self.bounded = self.bounded or (source in self.blurred and x.channel in before and spread)
                if y.channel in after and y.channels != 1 and any(i in followed and x.dims[i] != 1 for i in before):
                    self.blurred.add(position)
        else:
            for reads in alternatives:
                if reads is POINTWISE:
                    continue
                if source in self.blurred:
                    out, index = reads[x.channel]
                    self.bounded = self.bounded or not (isinstance(index, All) or (out == y.channel and index is STEP))
                turned = any(
                    o == y.channel and not isinstance(i, All) and a in followed for a, (o, i) in enumerate(reads)
                )
                if turned and y.channels != 1 and (isinstance(state, Points) or position not in self.told):
                    self.blurred.add(position)
        if source in self.blurred and tells_channels_apart(walked, position):
            self.blurred.add(position)

    def regrouped(self, state: tuple[Term, ...], x: tuple[int, ...], y: tuple[int, ...]) -> tuple[Term, ...]:
        """Through a row-major reshape: on which units of axes that no source axis follows anything is read."""
        rank = len(self.extents)
        found: list[Term] = []
        for term in state:
            followed = {c for c, _ in term[:rank] if c is not None and x[c] != 1}
            terms = [term]
            for before, after in axis_groups(x, y):
                extra = {c: sets for c, sets in term[rank:] if c in before}
                if not extra or followed.intersection(before):
                    continue
                masks = [
                    united(1 << u for u, m in enumerate(extra[i]) if m) if i in extra else (1 << x[i]) - 1
                    for i in before
                ]
                if not all(masks):
                    terms = []
                    break
                start, bits = flattened(tuple(masks), tuple(x[i] for i in before))
                made = boxes(bits << start, tuple(y[j] for j in after)) if after else [()]
                terms = [
                    (
                        *(e for e in one if e[0] not in extra or type(e) is Moved),
                        *(
                            Moved(j, tuple(m >> u & 1 for u in range(y[j])))
                            for j, m in zip(after, box, strict=True)
                            if m != (1 << y[j]) - 1
                        ),
                    )
                    for one in terms
                    for box in made
                ]
            found += terms
        return tuple(found)

    def presence(self, carriers: list[int], reads: Reads, x: tuple[int, ...], y: tuple[int, ...]) -> Iterator[Entry]:
        """For axes that no entry follows: which units read anything at all, where some do not."""
        for axis, (out, index) in enumerate(reads):
            if axis in carriers or out is None or index is STEP or isinstance(index, (All, Unsized, Scattered)):
                continue
            seen = tuple(1 if read else 0 for read in self.bound(index, x[axis], y[out]))
            if not all(seen):
                yield out, seen

    def read(self, entry: Entry, reads: Reads, x: tuple[int, ...], y: tuple[int, ...]) -> Entry:
        carrier, sets = entry
        if carrier is None:
            return entry
        out, index = reads[carrier]
        if index is STEP:
            return (out, sets) if out is not None else (None, sets[:1])
        if isinstance(index, Unsized):
            raise RfcalcError("regions need sizes in numbers", why=index.why, fix="give --input")
        if isinstance(index, All):
            whole = united(sets)
            return (None, (whole,)) if out is None else (out, (whole,) * y[out])
        assert out is not None
        self.check(y[out])
        return out, self.spread(sets, self.bound(index, x[carrier], y[out]))

    def split(self, term: Term, reads: Reads, carrier: int, x: tuple[int, ...], y: tuple[int, ...]) -> list[Term]:
        """Several axes of the source follow one axis of the node: each position that is read is a box of its own.

        Where unit u has seen pixel (u, u) so far, a layer that reads units u and u + 1 sees the boxes {u} × {u} and
        {u + 1} × {u + 1}, two pixels; the product {u, u + 1} × {u, u + 1} would hold two more, that nothing reads.
        """
        out, index = reads[carrier]
        count = 1 if out is None else y[out]
        listed = [taps(index, u, x[carrier]) for u in range(count)]
        found: list[Term] = []
        most = max(map(len, listed), default=0)
        if most > MOST_TERMS * 10:
            raise LimitError("too many separate regions meet in one unit", why="positions were merged before")
        for k in range(most):
            entries: list[Entry] = []
            for entry in term:
                if entry[0] == carrier:
                    sets = tuple(entry[1][t[k]] if k < len(t) else 0 for t in listed)
                    alike = sets.count(sets[0]) == len(sets)
                    entries.append((None, sets[:1]) if alike or out is None else (out, sets))
                else:
                    entries.append(self.read(entry, reads, x, y))
            found.append(tuple(entries))
        return found

    def check(self, units: int) -> None:
        if units * max(self.extents) > MOST_BITS:
            raise LimitError(
                "the regions of all units do not fit into memory",
                why=f"{units} units, {max(self.extents)} positions",
                fix="give a smaller --input",
            )

    def _bound(self, index: Any, extent: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The real positions that each unit reads."""
        return tuple(tuple(taps(index, u, extent)) for u in range(units))

    def union(self, parts: list[State], position: int) -> State:
        if any(isinstance(p, Points) for p in parts):
            first, *others = (self.points(p, position) for p in parts)
            return first.joined(*others)
        return tidy([term for part in parts for term in part])  # type: ignore[misc]

    def points(self, state: State, position: int) -> Points:
        """The sets of every unit, over the flattened source."""
        if isinstance(state, Points):
            return state
        shape = self.walked.shapes[position]
        self.bounded = self.bounded or any(c == shape.channel for term in state for c, _ in term)
        extents = tuple(shape.dims[i] for i in shape.axes)
        view = Regions(state, shape.axes, extents, self.extents)

        def parts() -> Iterator[Part]:
            for unit in view.units():
                yield joint([flattened(box, self.extents) for box in view.unit(unit).boxes])

        return Points.of(shape.axes, extents, parts())

    def scatter(self, state: State, reads: Reads, source: int, position: int) -> Points:
        """Unit by unit, where several axes decide together."""
        x, y = self.walked.shapes[source], self.walked.shapes[position]
        before = self.points(state, source)
        axes = y.axes
        extents = tuple(y.dims[i] for i in axes)
        if any(isinstance(i, Scattered) for _, i in reads):
            network = self.walked.network
            layer = network.nodes[position - network.arity].layer
            return before.gathered(axes, extents, self.routes(layer, self.walked.input_shapes(position), y))
        whole = [reads[axis][0] not in axes or isinstance(reads[axis][1], All) for axis in before.axes]
        before = before.collapsed(whole)  # what every unit reads as a whole, once
        follows = tuple((axes.index(reads[axis][0]), reads[axis][1], x.dims[axis]) for axis in before.axes)
        return before.gathered(axes, extents, self.windows(extents, follows))

    @staticmethod
    def _routes(layer: Layer, xs: tuple[Shape, ...], y: Shape) -> tuple[tuple[int, ...], ...]:
        """For every unit the numbers of the units of its first input that it reads, as the layer says."""
        before = xs[0].spatial
        units = product(*(range(y.dims[i]) for i in y.axes))
        return tuple(tuple(place(p, before) for p in layer.source(unit, xs, y)) for unit in units)

    def windows(
        self, extents: tuple[int, ...], follows: tuple[tuple[int, Index, int], ...]
    ) -> Iterable[tuple[int, ...]]:
        """What `_windows` gives, kept for the next layer of the same sort where that is little."""
        free = prod(extents) // prod(extents[axis] for axis, _, _ in follows)
        reads = free * prod(sum(map(len, self.bound(index, n, extents[axis]))) for axis, index, n in follows)
        return self._windows(extents, follows) if reads > MOST_KEPT else self.kept(extents, follows)

    def _windows(
        self, extents: tuple[int, ...], follows: tuple[tuple[int, Index, int], ...]
    ) -> Iterator[tuple[int, ...]]:
        """The same where each axis of the input follows an axis of the output (which, by what, its extent)."""
        sizes = tuple(extent for _, _, extent in follows)
        read = [(axis, self.bound(index, extent, extents[axis])) for axis, index, extent in follows]
        units = product(*map(range, extents))
        for unit in units:
            yield tuple(place(p, sizes) for p in product(*(taps_of[unit[axis]] for axis, taps_of in read)))


def told_apart(walked: Shaped, needed: Iterable[int], source: int) -> set[int]:
    """The positions of which it matters what each channel sees: those before layers that read some channels, back to
    where all channels are read.

    Args:
        needed: the positions that are looked at.
    """
    network = walked.network
    arity, found = network.arity, set[int]()
    for position in sorted(needed, reverse=True):
        if position < arity or position == source:
            continue
        layer = network.nodes[position - arity].layer
        if not layer.selective and position not in found:
            continue
        xs, y = walked.input_shapes(position), walked.shapes[position]
        if layer.opaque or not all(is_number(n) for x in (*xs, y) for n in x.dims):
            continue
        told = layer.apart(xs, y) or relation(walked, position)
        for s, x, alternatives in zip(network.sources[position - arity], xs, told, strict=True):
            if s >= arity and (
                layer.row_major or any(r is POINTWISE or not isinstance(r[x.channel][1], All) for r in alternatives)
            ):
                found.add(s)
    return found


def exact(walked: Shaped, position: int, told: set[int]) -> tuple[Alternatives, ...]:
    """The index relation of a node, with its channels told apart where it matters what each of them sees."""
    network = walked.network
    if position in told or any(s in told for s in network.sources[position - network.arity]):
        layer, xs = network.nodes[position - network.arity].layer, walked.input_shapes(position)
        apart = layer.apart(xs, walked.shapes[position])
        if apart is not None:
            return apart
    return relation(walked, position)


def _tied(term: Term, carrier: int) -> bool:
    """Whether several source axes vary with this axis; the union of what units read is no product then."""
    return sum(c == carrier and sets.count(sets[0]) < len(sets) for c, sets in term) > 1


def _spread(sets: Sets, bound: tuple[tuple[int, ...], ...]) -> Sets:
    """The union, for every unit, of the sets of the positions that it reads."""
    found = []
    for positions in bound:
        mask = 0
        for p in positions:
            mask |= sets[p]
        found.append(mask)
    return tuple(found)
