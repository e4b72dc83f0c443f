"""Whether the summary of a receptive field and the pixels of its units tell the same.

The summary comes of the walk forward over windows, the pixels of one unit of the walk back from it (`UnitWalk`), which
also says where something was cut off at an end of a map. Asked are units in corners, in the middle and anywhere, of
nodes spread over the network.
"""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

from checks import padding_is_real, predicted
from oracle import Box
from oracle_rules import Unit

from rfcalc.core.errors import LimitError
from rfcalc.receptive.field import Field, Unaligned
from rfcalc.receptive.unit_walk import UnitWalk
from rfcalc.report import Report


def asked(extents: tuple[int, ...], draw: random.Random, count: int) -> list[Unit]:
    """Corners, the middle, and units anywhere."""
    found = [(0,) * len(extents), tuple(n - 1 for n in extents), tuple(n // 2 for n in extents)]
    found += [tuple(draw.randrange(n) for n in extents) for _ in range(count)]
    return list(dict.fromkeys(found))


def agree(report: Report, found: Counter[str], nodes: int = 4, units: int = 2) -> None:
    """Compare what the summaries of some nodes claim with some of their units; raises where they contradict."""
    draw, arity = random.Random(0), report.network.arity
    positions = range(arity, len(report.shapes))
    chosen = {positions[-1], report.last_spatial, *draw.sample(positions, min(nodes, len(positions)))}
    mirrored = any(padding_is_real(node.layer) for node in report.network.nodes)
    for source in range(arity):
        for position in sorted(chosen):
            if all(report.shapes[position].dims):
                _one(report, source, position, asked(report.shapes[position].spatial, draw, units), mirrored, found)


def axes_without_window(field: Field) -> set[int]:
    """Axes on which the walk tells a hull over all units, and not which unit sees what, or whether it sees anything."""
    return {axis for term in field.terms for axis, entry in enumerate(term) if isinstance(entry, Unaligned)}


def together(report: Report, source: int, position: int, extents: tuple[int, ...]) -> Box | None:
    """The hull of what all units of a node see of an input."""
    regions = [UnitWalk(report, position, unit, source).region for unit in product(*map(range, extents))]
    hulls = [region.hull for region in regions if not region.empty]
    return tuple((min(a for a, _ in axis), max(b for _, b in axis)) for axis in zip(*hulls, strict=True)) or None


def _one(report: Report, source: int, position: int, units: list[Unit], mirrored: bool, found: Counter[str]) -> None:
    shape, whole = report.shapes[position], report.shapes[source]
    field = report.fields[source][position]
    summary = list(report.receptive_fields(position).values())[source]
    status, where = summary.status, (report.network.name, position, str(whole))
    if status in ("unknown", "needs_input_size"):
        found[f"no answer: {status}"] += 1
        return
    hulls = []
    for unit in units:
        try:
            walk = UnitWalk(report, position, unit, source)
        except LimitError:
            found["units in too many parts"] += 1
            continue
        region = walk.region
        hull = None if region.empty else region.hull
        hulls.append(hull)
        found[f"units of status {status}"] += 1
        if field is None:
            assert hull is None, (*where, unit, "the summary says that nothing is seen", hull)
            continue
        for axis, (a, b) in enumerate(hull or ()):
            ends = summary.hull[axis]
            assert ends is not None and ends[0] <= a and b <= ends[1], (*where, unit, axis, hull, summary.hull)
        told = predicted(field, shape, unit)
        if hull is not None and not mirrored and not field.joins:
            assert told is not None, (*where, unit, hull)
            assert all(a <= c and d <= b for (a, b), (c, d) in zip(told, hull, strict=True)), (*where, unit, told, hull)
        if status in ("exact", "periodic", "global") and not (walk.left or walk.right):
            found["units that no end cuts, equal"] += 1
            hulls_of_all = axes_without_window(field)
            if told and hulls_of_all:  # they count padding that other units read
                cells = enumerate(zip(told, whole.spatial, strict=True))
                told = tuple(
                    (max(a, 0), min(b, n - 1)) if axis in hulls_of_all else (a, b) for axis, ((a, b), n) in cells
                )
            if hull is None and told and hulls_of_all:  # nor do they say which units see anything: all together see it
                hull = together(report, source, position, shape.spatial)
            assert told == hull, (*where, unit, status, told, hull)
    if status == "global" and any(hulls):  # on such an axis one unit sees all that any sees
        for axis, (window, span) in enumerate(zip(summary.windows, summary.spans, strict=True)):
            if window is None and span is not None:
                seen = [h[axis] for h in hulls if h is not None]
                found["global axes, the widest unit sees all of them"] += 1
                assert (min(a for a, _ in seen), max(b for _, b in seen)) in seen, (*where, axis, span, seen)
