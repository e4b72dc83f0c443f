"""What one unit really sees: cut to the real positions of every map on the way, not of the image alone.

Index sets are followed back, axis by axis, and cut at each map; then the ways to the first and to the last real pixel
are told. The result is `Regions`' own, or nothing is derived. Imports `paths`, `steps` and levels 0 to 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rfcalc.core.cost import Formula
from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import POINTWISE, Reads
from rfcalc.core.window import STEP, All, Border, Scattered, Slide, Unsized, taps
from rfcalc.derivation.model import DerivationSection, Equation, Statement
from rfcalc.derivation.paths import EndPath, Hop
from rfcalc.derivation.steps import SIZE, PathStatements, passes
from rfcalc.graph.forward import Shaped, relation
from rfcalc.receptive.region import bits
from rfcalc.report.field_report import FieldReport

FIRST = Formula("first", "max(s * u - a, 0)", "the first position that is read, if it is on the map")
LAST = Formula("last", "min(s * u - a + d * (k - 1), n - 1)", "the last one, if it is on the map of n positions")
LAST_PLAIN = Formula("last", "min(s * u - a + k - 1, n - 1)", "the last one, if it is on the map of n positions")

Masks = dict[int, int]  # for each axis but the channels the positions that matter, as bits


def unit_sections(field_report: FieldReport, unit: tuple[int, ...]) -> tuple[DerivationSection, ...]:
    """The way back from a unit, map by map, with the padding cut away.

    Raises:
        RfcalcError: there is no such unit; a size is not a number.
    """
    if not field_report.sized:
        raise RfcalcError("real pixels need sizes in numbers", fix="give --input")
    region = field_report.unit(unit)
    name = f"unit {','.join(map(str, unit))} of {field_report.name}"
    if region.hull is None:
        return (
            DerivationSection(f"the real pixels of {name}", (Statement(text="none: all of its interval is padding"),)),
        )
    sets = _sets(field_report, unit)
    found: list[DerivationSection] = []
    source = field_report.report.shapes[field_report.origin]
    for axis, ((low, high), at) in enumerate(zip(region.hull, source.axes, strict=True)):
        heading = f"the real pixels of {name}, axis {axis}"
        way = None if sets is None else _way(field_report, sets, at, low, high)
        size = Equation("size", SIZE, {"last": high, "first": low}, high - low + 1, ("last", "first"))
        lines = _lines(PathStatements(field_report, way, axis)) if way is not None else []
        found.append(
            DerivationSection(
                heading, (*lines, Statement(field_report.source_name, text=f"{low} … {high}", equations=(size,)))
            )
        )
    same = len(found) == 2 and found[0].lines == found[1].lines
    kept = (found[0]._replace(heading=f"the real pixels of {name} (both axes alike)"),) if same else tuple(found)
    count, hull = region.density
    holes = (f"of the {hull} pixels in this hull {count} matter (holes)",) if count != hull else ()
    note = "cut at every map: padding between the layers has no pixels either"
    return (*kept[:-1], kept[-1]._replace(notes=(note, *holes)))


def _sets(field_report: FieldReport, unit: tuple[int, ...]) -> tuple[Masks | None, ...] | None:
    """What the unit depends on of every map between, axis by axis; None where axes cannot be told apart."""
    walked = field_report.report
    arity = field_report.report.network.arity
    found: list[Masks | None] = [None] * len(walked.shapes)
    shape = walked.shapes[field_report.position]
    found[field_report.position] = {axis: 1 << u for axis, u in zip(shape.axes, unit, strict=True)}
    for position in range(field_report.position, max(arity, field_report.origin + 1) - 1, -1):
        mine = found[position]
        if mine is None:
            continue
        mine = mine | {walked.shapes[position].channel: (1 << int(walked.shapes[position].channels)) - 1}
        for s, alternatives in zip(walked.network.sources[position - arity], relation(walked, position), strict=True):
            for reads in alternatives:
                part = _pulled(mine, reads, walked, s)
                if part is None:
                    return None
                if all(part.values()):
                    before = found[s]
                    found[s] = part if before is None else {axis: before[axis] | part[axis] for axis in part}
    return tuple(found)


def _pulled(mine: Masks, reads: Reads, walked: Shaped, source: int) -> Masks | None:
    """What these units read of a map, axis by axis."""
    shape = walked.shapes[source]
    if reads is POINTWISE:
        return {axis: mine[axis] for axis in shape.axes}
    found: Masks = {}
    for axis in shape.axes:
        out, index = reads[axis]
        n = int(shape.dims[axis])
        if isinstance(index, All):
            found[axis] = (1 << n) - 1 if out is None or mine[out] else 0
        elif isinstance(index, (Scattered, Unsized)) or out is None:
            return None
        elif index is STEP:
            found[axis] = mine[out]
        else:
            mask = 0
            for u in bits(mine[out]):
                for t in taps(index, u, n):
                    mask |= 1 << t
            found[axis] = mask
    return found


def _way(field_report: FieldReport, sets: tuple[Masks | None, ...], axis: int, low: int, high: int) -> EndPath | None:
    """The ways back to the first and the last real pixel, through one input as long as one leads to both."""
    finder = _Reach(field_report, sets)
    first, last = finder.reach(axis, low), finder.reach(axis, high)
    start = (
        next(iter(_firsts(first.get(field_report.position))), None),
        next(iter(_firsts(last.get(field_report.position))), None),
    )
    if start[0] is None or start[1] is None:
        return None
    hops: tuple[list[Hop], list[Hop]] = ([], [])
    places = [(field_report.position, *start[0]), (field_report.position, *start[1])]
    while any(p != field_report.origin for p, _, _ in places):
        furthest = max(p for p, _, _ in places)
        moving = [i for i in (0, 1) if places[i][0] == furthest]
        steps = {i: list(finder.back(places[i], (first, last)[i], bool(i))) for i in moving}
        if not all(steps.values()):
            return None
        chosen = {i: steps[i][0] for i in moving}
        if len(moving) == 2:
            both = [(a, b) for a in steps[0] for b in steps[1] if a[0].source == b[0].source]
            if both:
                chosen = {0: both[0][0], 1: both[0][1]}
        for i in moving:
            hop, places[i] = chosen[i]
            hops[i].append(hop)
    return EndPath(tuple(hops[0]), tuple(hops[1]))


Found = dict[int, dict[int, int]]  # position → axis → units (bits) from which the pixel is reached along that axis


def _firsts(masks: dict[int, int] | None) -> Iterator[tuple[int, int]]:
    for axis, mask in (masks or {}).items():
        for u in bits(mask):
            yield axis, u


class _Reach:
    """Which units, among those that matter, depend on one pixel."""

    def __init__(self, field_report: FieldReport, sets: tuple[Masks | None, ...]) -> None:
        self.field_report, self.sets = field_report, sets
        self.walked = field_report.report
        self.arity = field_report.report.network.arity

    def reach(self, axis: int, pixel: int) -> Found:
        """For every map on the way, by its axes, the units whose way back on that axis ends at the pixel."""
        found: Found = {self.field_report.origin: {axis: 1 << pixel}}
        for position in range(max(self.arity, self.field_report.origin + 1), self.field_report.position + 1):
            mine = self.sets[position]
            if mine is None:
                continue
            for s, alternatives in zip(
                self.walked.network.sources[position - self.arity], relation(self.walked, position), strict=True
            ):
                for reads in alternatives:
                    for out, mask in self.units(position, s, reads, found.get(s, {}), mine):
                        held = found.setdefault(position, {})
                        held[out] = held.get(out, 0) | mask
        return found

    def units(
        self, position: int, source: int, reads: Reads, there: dict[int, int], mine: Masks
    ) -> Iterator[tuple[int, int]]:
        """The units of a node that read some of the given positions of an input, by the axis that decides."""
        for axis, mask in there.items():
            if reads is POINTWISE:
                yield axis, mask & mine.get(axis, 0)
                continue
            out, index = reads[axis]
            n = int(self.walked.shapes[source].dims[axis])
            if isinstance(index, All):
                yield from mine.items()  # any unit reads it
            elif out is not None and index is STEP:
                yield out, mask & mine.get(out, 0)
            elif out is not None and out in mine:
                yield out, sum(1 << u for u in bits(mine[out]) if any(mask >> t & 1 for t in taps(index, u, n)))

    def back(self, place: tuple[int, int, int], found: Found, last: bool) -> Iterator[Any]:
        """The steps back from a unit that still lead to the pixel."""
        position, axis, unit = place
        for s, alternatives in zip(
            self.walked.network.sources[position - self.arity], relation(self.walked, position), strict=True
        ):
            for reads in alternatives:
                for inner, mask in found.get(s, {}).items():
                    if reads is POINTWISE:
                        if inner == axis and mask >> unit & 1:
                            yield Hop(position, s, None, unit, unit), (s, inner, unit)
                        continue
                    out, index = reads[inner]
                    n = int(self.walked.shapes[s].dims[inner])
                    if isinstance(index, All):
                        read = bits(mask)
                    elif out != axis:
                        continue
                    elif index is STEP:
                        read = [unit] if mask >> unit & 1 else []
                    else:
                        read = [t for t in taps(index, unit, n) if mask >> t & 1]
                    if read:
                        t = read[-1] if last else read[0]
                        yield Hop(position, s, None if index is STEP else index, unit, t), (s, inner, t)


def _lines(steps: PathStatements) -> list[Statement]:
    """The first and the last real position of each map on the way."""
    way = steps.way
    field_report = steps.field_report
    if way.one:
        pairs = dict(zip(way.first, way.last, strict=True))
        return [
            _line(field_report, steps, hop, (("first", hop), ("last", pairs[hop])))
            for hop in way.first
            if not passes(hop)
        ]
    found = []
    for which, hops in (("first", way.first), ("last", way.last)):
        found.append(Statement(text=f"the {which} pixel:"))
        found += [_line(field_report, steps, hop, ((which, hop),)) for hop in hops if not passes(hop)]
    return found


def _line(field_report: FieldReport, steps: PathStatements, hop: Hop, ends: tuple[tuple[str, Hop], ...]) -> Statement:
    equations = []
    told = []
    for which, at in ends:
        made = _cut(field_report, at, which)
        if made is not None and made.value == at.reads:
            equations.append(made)
        else:
            told.append(f"{which} = {at.reads}")
    text = "" if not told else f"its unit {hop.unit} reads {', '.join(told)}"
    return steps.line(hop, *equations, text=text)


def _cut(field_report: FieldReport, hop: Hop, which: str) -> Equation | None:
    """An end of what a sliding window reads, cut to the map; None for other rules."""
    index = hop.rule
    if type(index) is not Slide or index.border != Border.ZEROS:
        return None
    operands: dict[str, Any] = {"s": index.stride, "u": hop.unit, "a": -index.first}
    if which == "first":
        return Equation(which, FIRST, operands, FIRST(**operands), ("u",))
    shape = field_report.report.shapes[hop.source]
    spatial = [n for i, n in enumerate(shape.dims) if i != shape.channel]
    operands |= {"k": index.kernel, "n": spatial[0] if len(set(spatial)) == 1 else _extent(hop, spatial)}
    rule = LAST_PLAIN
    if index.dilation != 1:
        rule, operands = LAST, {**operands, "d": index.dilation}
    return Equation(which, rule, operands, rule(**operands), ("u",))


def _extent(hop: Hop, spatial: list[Any]) -> Any:
    """The extent that the last position was cut to, or the largest."""
    cut = [n for n in spatial if n - 1 == hop.reads]
    return cut[0] if cut else max(spatial)
