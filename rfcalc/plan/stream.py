"""Streams: what a network needs to run along one axis block by block, and give exactly what the whole run gives.

Every node runs as soon as it can: it keeps of its inputs what later units still read, and gives what is known. The
output comes late by the **latency**: after m blocks of input, m blocks of output have left, the first ``latency`` of
them empty. The latency is the least that any schedule can have, because a position that is not known yet depends on
what has not come. What is kept between two blocks is the **state**; it is made least by three rules:

1. what several nodes read of one map is kept once;
2. where a map is made position by position (a 1×1 convolution, an activation, a sum), it may be made again from the
   maps before it instead of being kept, where that keeps less (``again``);
3. a branch that would wait at a join may be made later instead, where that keeps less (``holds``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError
from rfcalc.core.window import Table
from rfcalc.graph.forward import Shaped, forward, shapes_of_inputs
from rfcalc.plan.attention import GatheredAttention, gathered
from rfcalc.plan.blockers import NOTHING, Blocker
from rfcalc.plan.positions import kept
from rfcalc.plan.schedule import MANY, Schedule, best
from rfcalc.plan.timeline import Timeline
from rfcalc.report import units

if TYPE_CHECKING:
    from rfcalc.report.document import Document

SCHEMA = "rfcalc/stream/1"


class Cache(NamedTuple):
    """What a node keeps between two blocks: of which map, how many positions of how many channels (and values at one
    position), and which, counted back from the end of what has come."""

    node: str
    of: str
    positions: int
    channels: int
    values: int
    bytes: int


class Delay(NamedTuple):
    """By how many positions a map waits: for the other branches of a join, before a stride, for a whole block (at the
    input, and at the output). `values` is what that adds to the state: nothing where they are kept anyway."""

    node: str
    input: str
    positions: int
    values: int
    bytes: int


class Overlap(NamedTuple):
    """Whether chunks that share so many input positions give what the whole run gives."""

    asked: int
    needed: int | None
    enough: bool
    sentence: str


@dataclass(frozen=True)
class StreamPlan:
    """How a network runs along one axis of its input.

    >>> import rfcalc
    >>> plan = rfcalc.stream("conv3-8 p1 > relu > conv3-8/2 p1", "1x16000", rate=16000)
    >>> plan.lookahead, plan.lookback, plan.latency, plan.block
    (2, 2, 1, {'in': 2, 'out': 1})

    Attributes:
        axis: the spatial axis, from 0; `rate`: input positions a second, or None.
        block: input and output positions of one block, ``{"in": A, "out": P}``; chunks are multiples of it.
        lookahead, lookback: how far a unit sees after and before its own place ⌊u·A/P⌋, in input positions; None where
            there is no end (a recurrence looks back to the beginning).
        latency: by how many output positions the stream lags behind the whole run.
        caches, delays: what is kept, for a batch of one.
        blockers: nodes that make a stream impossible; everything else is None or empty then.
    """

    name: str
    axis: int
    rate: Fraction | None
    output: str
    timeline: Timeline
    block: dict[str, int] | None = None
    lookback: int | None = None
    lookahead: int | None = None
    latency: int | None = None
    at_start: int = 0  # how much of the latency the beginning alone needs
    caches: tuple[Cache, ...] = ()
    delays: tuple[Delay, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    schedule: Schedule | None = None
    itemsize: int = 4
    dtype: str = "float32"
    sizes: Mapping[str, int] = field(default_factory=dict)  # bytes of a value of the maps that have a type of their own
    needed: tuple[int, int] | None = None  # positions before and after a block's own
    assumptions: tuple[str, ...] = ()

    def refused(self, blockers: Sequence[Blocker]) -> StreamPlan:
        """The same, blocked by these."""
        return StreamPlan(
            self.name,
            self.axis,
            self.rate,
            self.output,
            self.timeline,
            blockers=tuple(blockers),
            itemsize=self.itemsize,
            dtype=self.dtype,
            assumptions=self.assumptions,
        )

    @property
    def possible(self) -> bool:
        return not self.blockers

    @property
    def state(self) -> dict[str, int] | None:
        """Values and bytes that are kept between two blocks, for a batch of one."""
        if not self.possible:
            return None
        held: tuple[Cache | Delay, ...] = (*self.caches, *self.delays)
        return {"values": sum(h.values for h in held), "bytes": sum(h.bytes for h in held)}

    def state_bytes(self, itemsize: int) -> int:
        """Bytes of the state where those values that have no type of their own have so many each."""
        maps = [(c.of, c.values) for c in self.caches] + [(d.input, d.values) for d in self.delays]
        return sum(values * self.sizes.get(name, itemsize) for name, values in maps)

    @property
    def growth(self) -> dict[str, int] | None:
        """Values and bytes by which the state grows with every block; None where it does not grow."""
        if not self.possible or self.block is None or not self.timeline.growing:
            return None
        lines = [self.timeline.lines[s] for s in self.timeline.growing]
        values = sum(int(at.width * at.rate * self.block["in"]) for at in lines)
        total = sum(int(at.weight * at.rate * self.block["in"]) for at in lines)
        return {"values": values, "bytes": total}

    def _ms(self, positions: Fraction | int | None) -> float | None:
        return None if positions is None or self.rate is None else float(Fraction(positions) * 1000 / self.rate)

    @property
    def latency_ms(self) -> float | None:
        """The latency in milliseconds of the input's time."""
        if self.latency is None or self.block is None:
            return None
        return self._ms(Fraction(self.latency * self.block["in"], self.block["out"]))

    @property
    def lookahead_ms(self) -> float | None:
        return self._ms(self.lookahead)

    @property
    def lookback_ms(self) -> float | None:
        return self._ms(self.lookback)

    def overlap(self, shared: int) -> Overlap:
        """Whether an overlap of so many input positions is enough for chunks that are run one by one.

        Raises:
            RfcalcError: a negative number.
        """
        if shared < 0:
            raise RfcalcError(f"an overlap of {shared} is negative", fix="give the positions that two chunks share")
        if not self.possible:
            told = f"No overlap is enough: {self.blockers[0].node} needs the whole axis ({self.blockers[0].why})."
            return Overlap(shared, None, False, told)
        if self.needed is None:
            what = "attention" if self.growth else "a recurrence"
            return Overlap(shared, None, False, f"No overlap is enough: {what} looks back to the beginning.")
        before, after = self.needed
        most = before + after
        words = f"{before:,} before and {after:,} after"
        if shared >= most:
            spare = f", {shared - most:,} more than needed" if shared > most else ""
            return Overlap(
                shared, most, True, f"Yes: an overlap of {shared:,} holds the {most:,} positions{spare} ({words})."
            )
        told = f"No: chunks must share {most:,} positions ({words}); {shared:,} are {most - shared:,} too few."
        return Overlap(shared, most, False, told)

    _repr_html_ = displayed

    def __repr__(self) -> str:
        stopped = ", ".join(b.node for b in self.blockers)
        how = f"blocked by {stopped}" if stopped else f"look-ahead {self.lookahead}, latency {self.latency}"
        return f"<stream of {self.name} along axis {self.axis}: {how}>"

    def document(self, overlap: Overlap | None = None) -> Document:
        """The plan for people."""
        from rfcalc.plan.stream_document import document

        return document(self, overlap)

    def to_dict(self) -> dict[str, Any]:
        """The plan as `rfcalc/stream/1`."""
        rate = None if self.rate is None else int(self.rate) if self.rate.denominator == 1 else float(self.rate)
        return {
            "schema": SCHEMA,
            "network": self.name,
            "output": self.output,
            "axis": self.axis,
            "rate": rate,
            "possible": self.possible,
            "block": self.block,
            "lookback": self.lookback,
            "lookback_ms": self.lookback_ms,
            "lookahead": self.lookahead,
            "lookahead_ms": self.lookahead_ms,
            "latency": self.latency,
            "latency_ms": self.latency_ms,
            "dtype": self.dtype,
            "state": self.state,
            "growth": self.growth,
            "caches": [c._asdict() for c in self.caches],
            "delays": [d._asdict() for d in self.delays],
            "blockers": [b._asdict() for b in self.blockers],
            "assumptions": list(self.assumptions),
        }


def plan(
    walked: Shaped,
    axis: int = -1,
    *,
    rate: Any = None,
    at: str | None = None,
    itemsize: int = 4,
    dtype: str = "float32",
    sizes: Mapping[str, int] | None = None,
    name: str = "",
    assumptions: tuple[str, ...] = (),
) -> StreamPlan:
    """How a network runs along one axis.

    Args:
        walked: the network's forward walk, in numbers.
        axis: the spatial axis of the first input, from 0; negative ones count from the end.
        rate: positions of the input in a second, for milliseconds.
        at: the node that is the output; the first output if left out.
        itemsize, dtype: of the values that are kept; `sizes`: bytes of a value of the maps that have another type.

    Raises:
        RfcalcError: an axis that is not there, a rate that is not positive, sizes that are symbols.
    """
    Timeline(walked, axis, at)  # an axis or a node that is not there is told
    attention = gathered(walked, at)
    told = _chosen(walked, at)
    if attention is not None:
        walked = forward(attention.network, shapes_of_inputs(attention.network))
    line = Timeline(walked, axis, at, itemsize, sizes)
    line.check()
    seconds = None if rate is None else units.rate(rate)
    network = walked.network
    output = (*network.inputs, *(n.name for n in network.nodes))[line.output]
    made = StreamPlan(
        name or network.name or "network",
        line.axis,
        seconds,
        output,
        line,
        itemsize=itemsize,
        dtype=dtype,
        sizes=sizes or {},
        blockers=(*line.blockers, *(_without_numbers(attention) if not line.blockers else ())),
        assumptions=(*assumptions, *line.assumptions, *told),
    )
    if not line.blockers and not line.moving:
        why = "the output does not depend on the input's positions one by one"
        return replace(made, blockers=(Blocker(output, why, "name a node that still has the axis: --at NODE"),))
    if made.blockers:
        return made
    size, out = line.block
    window = line.windows()[line.output]
    recurrent = _recurrent(line)
    if window is None or window.empty:
        return replace(made, blockers=(Blocker(output, *NOTHING),))
    places = [(window.unit(u), u * size // out) for u in range(out)]
    ends = [(e[0], e[1], place) for e, place in places if e is not None]
    latency, start = _latency(line)
    before, after = (
        (0, 0) if recurrent else (max(0, *(-e[0] for e in ends)), max(0, *(e[1] - (size - 1) for e in ends)))
    )
    others = [_beside(line, p) for p in range(1, network.arity) if line.lines[p].axis is not None and not recurrent]
    seen = [other for other in others if other is not None]
    schedule = best(line, latency)
    caches, delays = _listed(line, schedule, line.counts(MANY * size))
    return replace(
        made,
        block={"in": size, "out": out},
        lookback=None if recurrent else max(place - lo for lo, _, place in ends),
        lookahead=max(hi - place for _, hi, place in ends),
        latency=latency,
        at_start=start,
        caches=caches,
        delays=delays,
        schedule=schedule,
        needed=None
        if recurrent
        else (max(before, *(s.before for s in seen), 0), max(after, *(s.after for s in seen), 0)),
        assumptions=(*made.assumptions, *(s.told for s in seen)),
    )


class Beside(NamedTuple):
    """What the output sees of another input: in the first one's positions before and after a block's own, and told."""

    before: int
    after: int
    told: str


def _beside(line: Timeline, position: int) -> Beside | None:
    size, out = line.block
    at = line.lines[position]
    own, window = int(size * at.rate), line.windows(position)[line.output]
    if window is None or window.empty:
        return None
    ends = [(e[0], e[1], u * own // out) for u in range(out) if (e := window.unit(u)) is not None]
    back, ahead = max(place - lo for lo, _, place in ends), max(hi - place for _, hi, place in ends)
    before, after = max(-lo for lo, _, _ in ends), max(hi - (own - 1) for _, hi, _ in ends)
    told = f"of {at.name} a unit sees {back:,} back and {ahead:,} ahead of its own place, in positions of {at.name}"
    return Beside(ceil(max(before, 0) / at.rate), ceil(max(after, 0) / at.rate), told)


def _chosen(walked: Shaped, at: str | None) -> tuple[str, ...]:
    """Which of several outputs is streamed."""
    outputs = walked.network.outputs
    if at is not None or len(outputs) == 1:
        return ()
    return (f"of the outputs {', '.join(outputs)} it is {outputs[0]} that is streamed (--at names another)",)


def _recurrent(line: Timeline) -> bool:
    return any(at.carried or at.before for at in line.lines)


def _without_numbers(attention: GatheredAttention | None) -> Iterator[Blocker]:
    """Attention to whose scores something is done that the network knows by name only."""
    for name, scores in attention.scores.items() if attention is not None else ():
        if scores.scale is None:
            why = "what is done to its scores (a bias, a function) has no numbers in the network"
            yield Blocker(name, why, "stream the module itself: rfcalc.to_stream(module, …) runs it to see")


def _latency(line: Timeline) -> tuple[int, int]:
    """The least latency of the output in whole blocks, and how much more the beginning needs than the rest.

    Once every node has passed its beginning, the output lags by the same number after every block. Before, it has given
    nothing, which is most behind just before the first position comes.
    """
    size, out = line.block

    def lag(m: int) -> int:
        return m * out - line.counts(m * size)[line.output]

    steady = max(0, lag(MANY))
    low, high = 0, MANY
    while high - low > 1:  # after `low` blocks nothing has come, after `high` something has
        middle = (low + high) // 2
        low, high = (middle, high) if line.counts(middle * size)[line.output] == 0 else (low, middle)
    first = low * out if low and line.counts(low * size)[line.output] == 0 else 0
    whole = [-(-n // out) * out for n in (steady, max(steady, first))]
    return whole[1], whole[1] - whole[0]


def _listed(line: Timeline, schedule: Schedule, soonest: list[int]) -> tuple[tuple[Cache, ...], tuple[Delay, ...]]:
    """What is kept, by the node that reads it: what later windows read again is a cache, what no window has read yet a
    delay (at a join, before a stride, or at the input, which comes in whole blocks).

    `soonest`: how many positions are known where no node waits longer than it must; joins are told by it.
    """
    readers: dict[int, list[int]] = {}
    for position, at in enumerate(line.lines):
        for edge in at.edges:
            readers.setdefault(edge.source, []).append(position)
    caches: list[tuple[int, Cache]] = []
    waiting: dict[tuple[int, int], int] = {}  # (reader, map) → positions that add to the state
    for position, at in enumerate(line.lines):
        if at.carried:
            caches.append((position, Cache(at.name, at.name, 1, at.carried, at.carried, at.carried * at.size)))
        keeps = schedule.keeps[position]
        if not keeps:
            continue
        reader, ready = _claim(line, schedule, position, readers.get(position, ()))
        again = sum(1 for p in keeps if p < ready)
        if again:
            channels, values = int(line.walked.shapes[position].channels), again * at.width
            name = line.lines[reader].name
            caches.append((reader, Cache(name, at.name, again, channels, values, values * at.size)))
        if len(keeps) > again:
            waiting[reader, position] = len(keeps) - again
    delays: list[Delay] = []

    def delay(node: str, source: int, positions: int, kept_here: int) -> None:
        values = kept_here * line.lines[source].width
        delays.append(Delay(node, line.lines[source].name, positions, values, values * line.lines[source].size))

    for position, at in enumerate(line.lines):
        moving = list(dict.fromkeys(e.source for e in at.edges if e.index is not None))
        for source in moving:
            joins = at.pointwise and len(moving) > 1
            waits = max(soonest[source] - soonest[position], 0) if joins else 0
            kept_here = waiting.pop((position, source), 0)
            if waits or kept_here:
                delay(at.name, source, waits or kept_here, kept_here)
    for (_, source), count in waiting.items():  # the output, which leaves in whole blocks
        delay(line.lines[source].name, source, count, count)
    return tuple(cache for _, cache in sorted(caches, key=lambda c: c[0])), tuple(delays)


def _claim(line: Timeline, schedule: Schedule, source: int, readers: Iterable[int]) -> tuple[int, int]:
    """The node for which a map is kept (the one that reads most of it), and up to where it has been read, counted back
    from the end of what is known."""
    counts, here = schedule.counts, schedule.counts[source]
    most, reader, ready = 0, source, -here
    for position in dict.fromkeys(readers):
        at = line.lines[position]
        for edge in at.edges:
            if edge.source != source or edge.index is None:
                continue
            start = counts[position] - schedule.again.get(position, 0)
            count = sum(1 for p in kept(edge.index, start, here, edge.after) if p - here in schedule.keeps[source])
            if count > most:
                joins = at.pointwise and sum(1 for e in at.edges if e.index is not None) > 1
                made = edge.index.taps(counts[position] - 1)
                last = made[-1] + 1 - here if len(made) and not joins else -here
                pattern = isinstance(edge.index, Table)  # what a period reads is read again
                most, reader, ready = count, position, 0 if pattern else min(last, 0)
    return reader, ready
