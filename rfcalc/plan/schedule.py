"""When the maps of a stream are made, and what is kept between two blocks: the least state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rfcalc.plan.timeline import Timeline, kept

MANY = 1 << 24  # blocks after which the beginning of a stream plays no part
MOST_TRIES = 2000  # evaluations of a schedule, for large networks


@dataclass(frozen=True, slots=True)
class Schedule:
    """When each map is made, at a moment after many blocks: how many positions are known, which are kept (counted back
    from there), how many are made again, and by how many a node waits."""

    counts: tuple[int, ...]
    keeps: tuple[frozenset[int], ...]
    holds: dict[int, int] = field(default_factory=dict)
    again: dict[int, int] = field(default_factory=dict)
    values: int = 0


class Tries:
    """Schedules of one timeline after many blocks, and what they keep."""

    def __init__(self, line: Timeline, latency: int) -> None:
        self.line = line
        size, out = line.block
        self.now = MANY * size
        self.due = MANY * out - latency  # how many positions of the output have left
        self.left = MOST_TRIES
        self.readers: dict[int, list[int]] = {}
        for position, at in enumerate(line.lines):
            for edge in at.edges:
                if edge.index is not None:
                    self.readers.setdefault(edge.source, []).append(position)

    def schedule(self, holds: dict[int, int], again: Iterable[int], counts: tuple[int, ...] | None = None) -> Schedule:
        """What is kept where these nodes are held back and these maps are made again."""
        line = self.line
        counts = tuple(line.counts(self.now, holds)) if counts is None else counts
        needs: list[set[int]] = [set() for _ in line.lines]
        needs[line.output].update(range(self.due - counts[line.output], 0))
        virtual, depths, values = set(again), {}, 0
        for position in range(len(line.lines) - 1, -1, -1):  # all that read a map stand after it
            at, start = line.lines[position], counts[position]
            if position in virtual:
                depths[position] = -min(needs[position], default=0)
                start -= depths[position]
                needs[position] = set()
            if position in line.growing:  # all of it is kept, which is told apart
                needs[position] = set()
            values += len(needs[position]) * at.width + at.carried
            for edge in at.edges:
                if edge.index is not None:
                    here = counts[edge.source]
                    found = kept(edge.index, start, here, edge.after)
                    needs[edge.source].update(p - here for p in found)
        return Schedule(counts, tuple(map(frozenset, needs)), dict(holds), depths, values)


def best(line: Timeline, latency: int) -> Schedule:
    """The schedule that keeps least, among those that hold branches back and make maps again."""
    tries = Tries(line, latency)
    found = tries.schedule({}, ())
    found = _again(tries, found)
    while tries.left > 0:
        better = _held(tries, found)
        if better is None:
            return found
        found = better
    return found


def _again(tries: Tries, found: Schedule) -> Schedule:
    """Make maps again from those before them where that keeps less; from the last map to the first."""
    line = tries.line
    for position in range(len(line.lines) - 1, -1, -1):
        if not line.may_again(position) or not found.keeps[position] or position == line.output:
            continue
        chain: list[int] = []
        at = position
        choice = None
        count = len(found.keeps[position])
        while line.may_again(at) and at != line.output and len(chain) < 12:
            chain.append(at)
            sources = {e.source for e in line.lines[at].edges if e.index is not None}
            more = sum(line.lines[s].width * max(0, count - len(found.keeps[s])) for s in sources)
            if more < count * line.lines[position].width and tries.left > 0:  # it may keep less
                tries.left -= 1
                trial = tries.schedule(found.holds, {*found.again, *chain}, found.counts)
                if trial.values < (found if choice is None else choice).values:
                    choice = trial
            if len(sources) != 1:
                break
            (at,) = sources
        if choice is not None:
            found = choice
    return found


def _held(tries: Tries, found: Schedule) -> Schedule | None:
    """Hold one node back as far as the output allows, where that keeps less; the best such node."""
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
    choice = None
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
        holds = {**found.holds, position: low}
        trial = _again(tries, tries.schedule(holds, ()))
        if trial.values < (found if choice is None else choice).values:
            choice = trial
    return choice


def _allowed(tries: Tries, found: Schedule, position: int, hold: int) -> bool:
    tries.left -= 1
    line, holds = tries.line, {**found.holds, position: hold}
    size, out = line.block
    first = (MANY * out - tries.due) // out + 1  # the block with which the first positions are due
    return (
        line.counts(tries.now, holds)[line.output] >= tries.due and line.counts(first * size, holds)[line.output] >= out
    )
