"""When the maps of a stream are made, and what is kept between two blocks: the least state."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from rfcalc.plan.positions import kept
from rfcalc.plan.timeline import Edge, Timeline

MANY = 1 << 24  # blocks after which the beginning of a stream plays no part
MOST_WORK = (
    1_000_000  # maps that are looked at in the search for the least state: of a network of 500, each 2,000 times
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When each map is made, at a moment after many blocks: how many positions are known, which are kept (counted back
    from there), how many are made again, and by how many a node waits."""

    counts: tuple[int, ...]
    keeps: tuple[frozenset[int], ...]
    holds: dict[int, int] = field(default_factory=dict)
    again: dict[int, int] = field(default_factory=dict)
    bytes: int = 0


class Tries:
    """Schedules of one timeline after many blocks, and what they keep."""

    def __init__(self, line: Timeline, latency: int) -> None:
        self.line = line
        size, out = line.block
        self.now = MANY * size
        self.due = MANY * out - latency  # how many positions of the output have left
        self.left = MOST_WORK
        self.readers: dict[int, list[tuple[int, Edge]]] = {}
        for position, at in enumerate(line.lines):
            for edge in at.edges:
                if edge.index is not None:
                    self.readers.setdefault(edge.source, []).append((position, edge))

    def schedule(self, holds: dict[int, int]) -> Schedule:
        """What is kept where these nodes are held back, and nothing is made again."""
        line = self.line
        self.left -= len(line.lines)
        counts = tuple(line.counts(self.now, holds))
        keeps = tuple(self.wanted(position, counts, {}) for position in range(len(line.lines)))
        total = sum(len(kept) * at.weight + at.carried * at.size for kept, at in zip(keeps, line.lines, strict=True))
        return Schedule(counts, keeps, dict(holds), {}, total)

    def wanted(self, position: int, counts: Sequence[int], again: Mapping[int, int]) -> frozenset[int]:
        """Which positions of a map are still read, counted back from those that are known; `again` says by how many
        positions its readers reach further back, because they are made again."""
        found: set[int] = set()
        if position in self.line.growing:  # all of it is kept, which is told apart
            return frozenset()
        here = counts[position]
        if position == self.line.output:
            found.update(range(self.due - here, 0))
        for reader, edge in self.readers.get(position, ()):
            assert edge.index is not None
            start = counts[reader] - again.get(reader, 0)
            found.update(p - here for p in kept(edge.index, start, here, edge.after))
        return frozenset(found)


class Draft:
    """A schedule to which maps that are made again are added, one chain of them after another."""

    def __init__(self, tries: Tries, found: Schedule) -> None:
        self.tries, self.found = tries, found
        self.keeps, self.again, self.bytes = list(found.keeps), dict(found.again), found.bytes

    def with_again(self, chain: Sequence[int]) -> tuple[int, dict[int, frozenset[int]], dict[int, int]]:
        """The bytes kept where these maps are made again too, and what changes: what is kept of which map, and which
        maps are made again from how far back. Only the maps that they read, and so on, are looked at."""
        lines = self.tries.line.lines
        keeps: dict[int, frozenset[int]] = {}
        again = ChainMap({}, self.again)
        new = {p for p in chain if p not in self.again}
        todo = [-p for p in new]
        heapify(todo)
        total = self.bytes
        while todo:  # all that read a map stand after it
            position = -heappop(todo)
            if position in keeps:
                continue
            self.tries.left -= 1
            needs = self.tries.wanted(position, self.found.counts, again)
            if position in new or position in self.again:
                deep = -min(needs, default=0)
                needs = frozenset()
                if position in new or deep != self.again[position]:
                    again[position] = deep
                    for edge in lines[position].edges:
                        if edge.index is not None:
                            heappush(todo, -edge.source)
            keeps[position] = needs
            total += (len(needs) - len(self.keeps[position])) * lines[position].weight
        return total, keeps, dict(again.maps[0])

    def schedule(self) -> Schedule:
        return Schedule(self.found.counts, tuple(self.keeps), self.found.holds, self.again, self.bytes)


def best(line: Timeline, latency: int) -> Schedule:
    """The schedule that keeps least, among those that hold branches back and make maps again.

    Two searches, each from nothing held back: one takes every improvement as it comes, which is fast on large networks,
    and goes on with the best improvement each time; the other takes the best one from the beginning.
    """
    tries = Tries(line, latency)
    start = _again(tries, tries.schedule({}))
    taking = _search(tries, _search(tries, start, first=True), first=False)
    choosing = _search(tries, start, first=False)
    return min(taking, choosing, key=lambda found: found.bytes)


def _search(tries: Tries, found: Schedule, first: bool) -> Schedule:
    """Hold nodes back as long as less is kept."""
    while tries.left > 0:
        better = _held(tries, found, first)
        if better is None:
            break
        found = better
    return found


def _again(tries: Tries, found: Schedule) -> Schedule:
    """Make maps again from those before them where that keeps less; from the last map to the first."""
    line = tries.line
    draft = Draft(tries, found)
    for position in range(len(line.lines) - 1, -1, -1):
        if not line.may_again(position) or not draft.keeps[position] or position == line.output:
            continue
        chain: list[int] = []
        at = position
        choice = None
        count = len(draft.keeps[position])
        while line.may_again(at) and at != line.output and len(chain) < 12:
            chain.append(at)
            sources = {e.source for e in line.lines[at].edges if e.index is not None}
            more = sum(line.lines[s].weight * max(0, count - len(draft.keeps[s])) for s in sources)
            if more < count * line.lines[position].weight and tries.left > 0:  # it may keep less
                trial = draft.with_again(chain)
                if trial[0] < (draft.bytes if choice is None else choice[0]):
                    choice = trial
            if len(sources) != 1:
                break
            (at,) = sources
        if choice is not None:
            draft.bytes, changed, again = choice
            draft.again.update(again)
            for p, kept_here in changed.items():
                draft.keeps[p] = kept_here
    return draft.schedule()


def _held(tries: Tries, found: Schedule, first: bool) -> Schedule | None:
    """Hold a node back as far as the output allows, where that keeps less: the best such node, or (`first`) one after
    another, each as soon as it is found."""
    line = tries.line
    late: set[int] = set()
    if tries.due < found.counts[line.output]:
        late.add(line.output)
    for position, at in enumerate(line.lines):
        moving = [e.source for e in at.edges if e.index is not None]
        if len(moving) > 1:
            waits = {s: found.counts[s] - found.counts[position] for s in moving}
            late.update(s for s, n in waits.items() if 0 < len(found.keeps[s]) <= n)  # nothing else keeps them
    candidates: set[int] = set()
    for position in late:
        step = position
        while line.lines[step].edges and step not in candidates and len(candidates) < 400:
            candidates.add(step)
            moving = [e.source for e in line.lines[step].edges if e.index is not None]
            if len(moving) != 1 or (len(tries.readers.get(moving[0], ())) > 1):
                break
            step = moving[0]
    choice = start = found
    for position in sorted(candidates, reverse=True):
        if position in found.holds or tries.left <= 0:
            continue
        low, high = 0, found.counts[position]
        limit = 1
        while limit < high and _allowed(tries, found, position, limit):
            low, limit = limit, limit * 2
        high = min(high, limit)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _allowed(tries, found, position, middle) else (low, middle)
        if not low:
            continue
        trial = _again(tries, tries.schedule({**found.holds, position: low}))
        if trial.bytes < choice.bytes:
            choice = trial
            found = trial if first else found
    return choice if choice is not start else None


def _allowed(tries: Tries, found: Schedule, position: int, hold: int) -> bool:
    line, holds = tries.line, {**found.holds, position: hold}
    tries.left -= 2 * len(line.lines)
    size, out = line.block
    first = (MANY * out - tries.due) // out + 1  # the block with which the first positions are due
    return (
        line.counts(tries.now, holds)[line.output] >= tries.due and line.counts(first * size, holds)[line.output] >= out
    )
