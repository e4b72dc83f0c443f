"""Maps of a network in one buffer, as microcontrollers run it: whose memory each takes, when it lives, at which offset.

Element-wise layers (activations, folded batch normalisation, additions) write over an input that nothing else needs, a
layer that works on every channel by itself (depthwise convolution of stride 1) too, with a copy of one channel beside.
Placing the rest is dynamic storage allocation: no two maps that live at once overlap. The largest sum of live maps is a
lower bound. Greedy placement usually meets it; else a search over the orders of all pairs of maps that live at once is
tried for a limited time.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from rfcalc.core.layer import POINTWISE, VIEW
from rfcalc.core.window import STEP, Index, Slide, Table
from rfcalc.graph.forward import Shaped, relation


class Placed(NamedTuple):
    """A map in the buffer: its node, its first byte, its bytes, and the positions of the first and last node between
    which it lives."""

    node: str
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Arena:
    """A placement: the buffer's size, its lower bound, whether it is proven to be the least, and where maps lie."""

    bytes: int
    bound: int
    optimal: bool
    placed: tuple[Placed, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        maps = [{"node": p.node, "offset": p.offset, "bytes": p.bytes} for p in self.placed]
        return {"bytes": self.bytes, "lower_bound": self.bound, "optimal": self.optimal, "maps": maps}


class Layout(NamedTuple):
    """Whose memory each position lives in, the last position that needs each memory, and the values that a node needs
    beside its maps while it runs."""

    own: tuple[int, ...]
    last: tuple[int, ...]
    beside: tuple[int, ...]


def layout(walked: Shaped, *, fold_bn: bool = True) -> Layout:
    """Memory as a device uses it.

    Args:
        walked: the network's forward walk, sizes in numbers.
        fold_bn: whether batch normalisation is folded into the layer before it, so that it takes no memory.
    """
    network, arity = walked.network, walked.network.arity
    count = len(walked.shapes)
    read = list(range(count))
    for position, sources in enumerate(network.sources, arity):
        for s in sources:
            read[s] = position
    for name in network.outputs:
        read[network.position(name)] = count
    own, beside = list(range(count)), [0] * count
    needed = list(read)  # until when each memory is needed, by all that live in it so far
    for position in range(arity, count):
        sources = network.sources[position - arity]
        layer = network.nodes[position - arity].layer
        if not sources:
            continue
        if layer.memory == VIEW:
            own[position] = own[sources[0]]
        else:
            cost = walked.costs[position]
            statistics = cost.buffers != 0
            if not statistics or fold_bn:
                place, more = _over(walked, position, own, needed)
                own[position] = position if place is None else place
                beside[position] = more
        memory = own[position]
        needed[memory] = max(needed[memory], read[position])
    return Layout(tuple(own), tuple(needed), tuple(beside))


def _over(walked: Shaped, position: int, own: list[int], needed: list[int]) -> tuple[int | None, int]:
    """The memory that a node may write its output over, and the values of the copy that it needs; None: there is none.

    It may where each value of the output reads only values that are not overwritten before: its own place
    (element-wise), or its own channel (a copy of which is made first).
    """
    sources = walked.network.sources[position - walked.network.arity]
    shape = walked.shapes[position]
    for s, alternatives in zip(sources, relation(walked, position), strict=True):
        memory = own[s]
        if needed[memory] > position or walked.shapes[s].dims != shape.dims or given(walked, memory):
            continue
        if all(reads is POINTWISE or all(i is STEP for _, i in reads) for reads in alternatives):
            return memory, 0
        layer = walked.network.nodes[position - walked.network.arity].layer
        apart = layer.apart(walked.input_shapes(position), shape)
        at, (told,) = shape.channel, (apart or (alternatives,))[:1]
        by_channel = all(reads is not POINTWISE and reads[at][0] == at and _same(reads[at][1]) for reads in told)
        if by_channel and len(sources) == 1:
            return memory, int(shape.values) // int(shape.channels)
    return None, 0


def _same(index: Index) -> bool:
    """Whether a channel reads the channel of its own number only."""
    if isinstance(index, (Slide, Table)):
        return index.period == index.advance and all(tuple(index.taps(u)) == (u,) for u in range(index.period))
    return index == STEP


def given(walked: Shaped, position: int) -> bool:
    """Whether a map is given with the weights."""
    return position >= walked.network.arity and not walked.network.sources[position - walked.network.arity]


def live(walked: Shaped, laid: Layout, itemsize: int, *, count_input: bool = True) -> list[int]:
    """Bytes of the maps that live while each position runs."""
    dies: dict[int, list[int]] = {}
    size = [0] * len(walked.shapes)
    for m, shape in enumerate(walked.shapes):
        if laid.own[m] == m and not given(walked, m) and (count_input or m >= walked.network.arity):
            size[m] = int(shape.values) * itemsize
            dies.setdefault(laid.last[m], []).append(m)
    arity = walked.network.arity
    total, found = sum(size[:arity]), [0] * len(size)
    for p in range(len(size)):
        if p >= arity:
            total += size[p]
        found[p] = total + laid.beside[p] * itemsize
        if p >= arity:
            total -= sum(size[m] for m in dies.get(p, ()))
    return found


def arena(
    walked: Shaped, laid: Layout, itemsize: int, *, count_input: bool = True, seconds: float = 10.0, align: int = 1
) -> Arena:
    """Offsets of all maps in one buffer.

    Args:
        laid: whose memory each position lives in.
        itemsize: bytes of a value.
        count_input: whether the network's inputs lie in the buffer too.
        seconds: how long a better placement than the greedy one is searched for.
        align: every offset is a multiple of this.
    """
    names = [*walked.network.inputs, *(node.name for node in walked.network.nodes)]
    arity, end = walked.network.arity, len(walked.shapes)
    wanted: list[tuple[int, int, int, str]] = []  # (bytes, first, last, name)
    for m, shape in enumerate(walked.shapes):
        if laid.own[m] == m and not given(walked, m) and (count_input or m >= arity):
            bytes_ = -(-int(shape.values) * itemsize // align) * align
            wanted.append((bytes_, max(m, arity - 1) if m >= arity else 0, min(laid.last[m], end), names[m]))
        if laid.beside[m]:
            wanted.append((-(-laid.beside[m] * itemsize // align) * align, m, m, f"{names[m]}: a copy of one channel"))
    wanted = [w for w in wanted if w[0]]
    bound = _bound(wanted)
    tries = [sorted(wanted, key=key) for key in (_by_size, _by_life, lambda w: (w[1], -w[0]))]
    offsets, order = min(((_first_fit(t), t) for t in tries), key=lambda f: _height(f[0], f[1]))
    offsets, order = _improved(offsets, order, bound)
    size = _height(offsets, order)
    proven = size == bound
    if not proven and len(wanted) <= 60:
        search = _Search(wanted, bound, size, seconds)
        better = search.run()
        if better is not None:
            offsets, order = better, wanted
            size = _height(offsets, order)
        proven = size == bound or search.exhausted
    placed = [Placed(w[3], o, w[0], w[1], w[2]) for w, o in zip(order, offsets, strict=True)]
    return Arena(size, bound, proven, tuple(sorted(placed, key=lambda p: (p.first, p.offset))))


Wanted = tuple[int, int, int, str]
Decided = tuple[list[int], list[int], list[tuple[int, int]], list[tuple[int, int]]]  # see `_Search._propagate`


def _by_size(w: Wanted) -> tuple[int, int]:
    return -w[0], w[1]


def _by_life(w: Wanted) -> tuple[int, int]:
    return -(w[2] - w[1]), -w[0]


def _height(offsets: list[int], order: list[Wanted]) -> int:
    return max((o + w[0] for o, w in zip(offsets, order, strict=True)), default=0)


def _bound(wanted: list[Wanted]) -> int:
    """The largest sum of what lives at once."""
    change: dict[int, int] = {}
    for size, first, last, _ in wanted:
        change[first] = change.get(first, 0) + size
        change[last + 1] = change.get(last + 1, 0) - size
    most = now = 0
    for when in sorted(change):
        now += change[when]
        most = max(most, now)
    return most


def _lowest(taken: list[tuple[int, int]], size: int, least: int = 0) -> int:
    """The lowest offset from `least` on at which so many bytes are free, between taken ranges."""
    at = least
    for start, stop in sorted(taken):
        if start - at >= size:
            break
        at = max(at, stop)
    return at


def _first_fit(order: list[Wanted]) -> list[int]:
    """Each in turn at the lowest offset that is free as long as it lives."""
    found: list[int] = []
    for size, first, last, _ in order:
        taken = [(o, o + w[0]) for o, w in zip(found, order, strict=False) if w[1] <= last and first <= w[2]]
        found.append(_lowest(taken, size))
    return found


def _improved(offsets: list[int], order: list[Wanted], bound: int, rounds: int = 400) -> tuple[list[int], list[Wanted]]:
    """Better placements by first fit: whatever reaches the top is placed earlier, each time by one more place."""
    best = (_height(offsets, order), offsets, order)
    now = list(order)
    moves: dict[Wanted, int] = {}
    for _ in range(rounds if len(order) <= 300 else 20):
        if best[0] == bound:
            break
        top = max(zip(offsets, now, strict=True), key=lambda pair: pair[0] + pair[1][0])[1]
        moves[top] = moves.get(top, 0) + 1
        at = now.index(top)
        now.remove(top)
        now.insert(max(0, at - moves[top]), top)
        offsets = _first_fit(now)
        height = _height(offsets, now)
        if height < best[0]:
            best = (height, offsets, list(now))
    return best[1], best[2]


class _Search:
    """Which of two maps that live at once lies below the other, pair by pair, for a height below the best so far.

    Decided pairs are a network of differences: the longest way up to a map is the least offset that it can have, the
    longest way down from the top likewise. A pair for which one order leaves too little room has the other; all that
    lives at one moment must fit between the least of both. What is left is tried both ways, the tightest pair first
    (as in job-shop scheduling: Carlier & Pinson 1989).
    """

    def __init__(self, wanted: list[Wanted], bound: int, best: int, seconds: float) -> None:
        self.wanted, self.bound, self.best = wanted, bound, best
        self.until = monotonic() + seconds
        self.exhausted = True
        self.found: list[int] | None = None
        self.sizes = [w[0] for w in wanted]
        self.pairs = [
            (i, j) for j, b in enumerate(wanted) for i, a in enumerate(wanted[:j]) if a[1] <= b[2] and b[1] <= a[2]
        ]
        together = [[i for i, w in enumerate(wanted) if w[1] <= t <= w[2]] for t in sorted({w[1] for w in wanted})]
        self.cliques = [(c, sum(self.sizes[i] for i in c)) for c in together if len(c) > 1]

    def run(self) -> list[int] | None:
        """The offsets of a better placement than the one known; None if none was found."""
        n = len(self.wanted)
        undecided = sorted(self.pairs, key=lambda p: -self.sizes[p[0]] - self.sizes[p[1]])
        # turned upside down, a placement is one too: the order of the first pair is free
        nodes: list[Decided] = [([0] * n, [0] * n, undecided[:1], undecided[1:])]
        while nodes and self.best > self.bound:
            if monotonic() > self.until:
                self.exhausted = False
                break
            nodes += self._decide(*nodes.pop())
        return self.found

    def _propagate(
        self, low: list[int], high: list[int], edges: list[tuple[int, int]], undecided: list[tuple[int, int]]
    ) -> list[tuple[int, int]] | None:
        """What follows from what is decided: the pairs that are left, or None where it cannot be.

        Args:
            low, high: the least that lies below and above each map; they are raised.
            edges: pairs of which the first lies below the second; those that follow are added.
        """
        sizes, room = self.sizes, self.best - 1
        changed = True
        while changed:
            changed = False
            for i, j in edges:
                if low[i] + sizes[i] > low[j]:
                    low[j], changed = low[i] + sizes[i], True
                if high[j] + sizes[j] > high[i]:
                    high[i], changed = high[j] + sizes[j], True
            if changed and any(a + s + b > room for a, s, b in zip(low, sizes, high, strict=True)):
                return None
            left = []
            for i, j in undecided:
                both = sizes[i] + sizes[j]
                up, down = low[i] + both + high[j] <= room, low[j] + both + high[i] <= room
                if up and down:
                    left.append((i, j))
                elif up or down:
                    edges.append((i, j) if up else (j, i))
                    changed = True
                else:
                    return None
            undecided = left
        for clique, size in self.cliques:
            if min([low[i] for i in clique]) + size + min([high[i] for i in clique]) > room:
                return None
        return undecided

    def _decide(
        self, low: list[int], high: list[int], edges: list[tuple[int, int]], undecided: list[tuple[int, int]] | None
    ) -> list[Decided]:
        """What is to be tried next, the better order of a pair last."""
        undecided = self._propagate(low, high, edges, undecided or [])
        if undecided is None:
            return []
        sizes = self.sizes
        if not undecided:
            self.found = low
            self.best = max(a + s for a, s in zip(low, sizes, strict=True))
            return []

        def slack(pair: tuple[int, int]) -> tuple[int, int]:
            """The room that the worse and the better order leave, without what is the same for all."""
            i, j = pair
            up, down = low[i] + high[j], low[j] + high[i]
            return -sizes[i] - sizes[j] - max(up, down), -sizes[i] - sizes[j] - min(up, down)

        i, j = min(undecided, key=slack)
        rest = [pair for pair in undecided if pair != (i, j)]
        both = ((j, i), (i, j)) if low[i] + high[j] <= low[j] + high[i] else ((i, j), (j, i))
        return [(list(low), list(high), [*edges, one], rest) for one in both]
