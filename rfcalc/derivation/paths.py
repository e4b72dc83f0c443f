"""The way back from one unit to the pixels at the two ends of what it sees, layer by layer.

A unit's interval is a hull: each of its ends is reached along some path, and the two need not be the same. Following an
end back is following one number: at every layer some position that the unit reads has that same end. Both ends are
followed together while one input holds both, and apart after that. Any layer kind works, because only its index
relation (`reads`) is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rfcalc.core.layer import POINTWISE
from rfcalc.core.size import decide, is_number
from rfcalc.core.window import STEP, All, Listed, Slide, Table, Window
from rfcalc.graph.forward import Shaped, relation
from rfcalc.receptive.field import Aligned, Field

MOST_UNITS = 1 << 12


class Hop(NamedTuple):
    """One layer on the way back.

    The node at `position` reads the one at `source`; on the axis that is followed its unit `unit` reads position
    `reads` (its first, or its last). `rule`, an index, says what a unit reads; None where it reads its own position.
    """

    position: int
    source: int
    rule: Any
    unit: Any
    reads: Any


class EndPath(NamedTuple):
    """The hops from a node back to the source, for the first and for the last pixel, equal as long as they agree."""

    first: tuple[Hop, ...]
    last: tuple[Hop, ...]

    @property
    def one(self) -> bool:
        """Whether both ends come along one path."""
        return [(h.position, h.source) for h in self.first] == [(h.position, h.source) for h in self.last]


class _Place(NamedTuple):
    """Where an end is followed: the node, the axis of it that decides (None: none does), its unit, the window."""

    position: int
    axis: int | None
    unit: Any
    window: Window


def way(
    walked: Shaped,
    fields: tuple[Field | None, ...],
    at: int,
    source: int,
    axis: int,
    unit: Any = 0,
    local: bool = True,
) -> EndPath | None:
    """The ways back to both ends of what a unit of `at` sees on one axis of the source; None where a hull does not
    follow from windows (positions re-arranged, operators not understood).

    Args:
        fields: what every position sees of the source.
        unit: the position on the axis of `at` that decides.
        local: whether local paths are followed, or those that see the same from every unit.
    """
    field = fields[at]
    if field is None:
        return None
    start = [_Place(at, e[0], unit, e[1]) for e in _entries(field, axis, local)]
    finder = _Finder(walked, fields, source, axis)
    hull = [p.window.unit(p.unit) for p in start]
    known = [(p, e) for p, e in zip(start, hull, strict=True) if e is not None]
    if not known:
        return None
    ends = (min_of([e[0] for _, e in known]), max_of([e[1] for _, e in known]))
    lows = next(p for p, e in known if same(e[0], ends[0]))
    highs = next(p for p, e in known if same(e[1], ends[1]))
    return finder.follow(lows, highs, ends)


def min_of(values: list[Any]) -> Any:
    """The smallest; symbols that leave it open: the first."""
    found = values[0]
    for v in values[1:]:
        found = v if decide(v < found) is True else found
    return found


def max_of(values: list[Any]) -> Any:
    """The largest; symbols that leave it open: the first."""
    found = values[0]
    for v in values[1:]:
        found = v if decide(v > found) is True else found
    return found


def same(a: Any, b: Any) -> bool:
    """Whether two ends are one position."""
    return decide(a == b) is True


def _entries(field: Field, axis: int, local: bool | None = True) -> list[Aligned]:
    """The windows of an axis: local ones, or those of global paths too."""
    found = [e for t in field.terms if isinstance(e := t[axis], Aligned)]
    return [e for e in found if local is None or e.constant != local]


class _Finder:
    """Follows ends back; one instance a source axis."""

    def __init__(self, walked: Shaped, fields: tuple[Field | None, ...], source: int, axis: int) -> None:
        self.walked, self.fields, self.source, self.axis = walked, fields, source, axis

    def follow(self, low: _Place, high: _Place, ends: tuple[Any, Any]) -> EndPath | None:
        first: list[Hop] = []
        last: list[Hop] = []
        while low.position != self.source or high.position != self.source:
            if low.position == high.position:
                pair = self.both(low, high, ends)
                if pair is not None:
                    (hop, low), (other, high) = pair
                    first.append(hop)
                    last.append(other)
                    continue
            if low.position >= high.position:  # the one that is further from the source goes first
                step = next(self.back(low, ends[0], 0), None)
                if step is None:
                    return None
                first.append(step[0])
                low = step[1]
            else:
                step = next(self.back(high, ends[1], 1), None)
                if step is None:
                    return None
                last.append(step[0])
                high = step[1]
        return EndPath(tuple(first), tuple(last))

    def both(self, low: _Place, high: _Place, ends: tuple[Any, Any]) -> Any:
        """One step for both ends, through the same input if one holds both."""
        highs = list(self.back(high, ends[1], 1))
        for hop, place in self.back(low, ends[0], 0):
            for other, there in highs:
                if other.source == hop.source and other.rule is hop.rule:
                    return (hop, place), (other, there)
        return None

    def back(self, place: _Place, end: Any, which: int) -> Iterator[tuple[Hop, _Place]]:
        """The steps back from a unit that keep its first (or last) pixel."""
        walked = self.walked
        sources = walked.network.sources[place.position - walked.network.arity]
        for s, alternatives in zip(sources, relation(walked, place.position), strict=True):
            field = self.fields[s]
            if field is None:
                continue
            for reads in alternatives:
                for carrier, window in _entries(field, self.axis, None):
                    found = self.read(place, reads, carrier, window, end, which)
                    if found is not None:
                        index, unit = found
                        yield (
                            Hop(place.position, s, index, place.unit, unit),
                            _Place(s, carrier, unit, window),
                        )

    def read(self, place: _Place, reads: Any, carrier: int | None, window: Window, end: Any, which: int) -> Any:
        """The index of a relation and the position among what the unit reads that has this end; None if none has."""
        if Aligned(carrier, window).constant and not Aligned(place.axis, place.window).constant:
            return None  # a local path does not come from a global one
        if reads is POINTWISE or carrier is None:
            if carrier != place.axis and carrier is not None:
                return None
            return (None, place.unit) if self.has(window, place.unit, end, which) else None
        out, index = reads[carrier]
        if index is STEP:
            if out != place.axis:
                units = self.over_channels(place, out)
                return next(((None, u) for u in units if self.has(window, u, end, which)), None)
            return (None, place.unit) if self.has(window, place.unit, end, which) else None
        if type(index) is All:
            return next(((index, t) for t in _outermost(window, index.extent) if self.has(window, t, end, which)), None)
        if type(index) not in (Slide, Table, Listed):
            return None
        units = [place.unit] if out == place.axis else self.over_channels(place, out)
        for u in units:
            for t in _taps(index, u, which):
                if self.has(window, t, end, which):
                    return index, t
        return None

    def over_channels(self, place: _Place, out: int | None) -> list[Any]:
        """Units of the channel axis, where a position stands for all of them."""
        shape = self.walked.shapes[place.position]
        if place.axis is None and out == shape.channel and is_number(shape.channels):
            return list(range(min(int(shape.channels), MOST_UNITS)))
        return []

    @staticmethod
    def has(window: Window, unit: Any, end: Any, which: int) -> bool:
        ends = window.unit(unit)
        return ends is not None and same(ends[which], end)


def _taps(index: Any, unit: Any, which: int) -> list[Any]:
    """What a unit reads, the end that is looked for first."""
    if type(index) is Slide:
        start = index.stride * unit + index.first
        stop = start + index.dilation * (index.kernel - 1)
        if not (is_number(index.kernel) and is_number(start)):
            return [stop, start] if which else [start, stop]
    taps = list(index.taps(unit))
    return taps[::-1] if which else taps


def _outermost(window: Window, extent: Any) -> list[Any]:
    """Units at which the hull over a whole axis can have its ends."""
    if window.period == 1 or not is_number(extent):
        return [0, extent - 1]
    ends = [*range(min(window.period, extent)), *range(max(0, extent - window.period), extent)]
    return list(dict.fromkeys(ends))
