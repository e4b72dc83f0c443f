"""What is asserted of one network: rfcalc's report against the oracle, at every node and every unit.

Used by the property tests, and by the mutants, which must each make one of these fail.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from fractions import Fraction
from typing import Any

from oracle import Box, Oracle, Undefined
from oracle_figures import cost, peak_bytes, total_values
from oracle_rules import Unit, units

import rfcalc
from rfcalc.core.cost import Cost
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.receptive import fields as walk_fields
from rfcalc.receptive.field import Aligned, Field, Unaligned
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.report import Report

REARRANGING = (
    "roll",
    "concat",
    "class_token",
    "window_partition",
    "window_attention",
    "recurrent",
    "gather",
    "index_sum",
    "along",
    "reshape",
    "flatten",
    "matmul",
    "max_unpool",
    "pad",
)
BORDERS = ("reflect", "replicate", "circular")
LONGEST = 40  # periods up to this are walked through unit by unit

Comparisons = Counter[str]


def check_shapes(report: Report, oracle: Oracle) -> None:
    for position, (mine, theirs) in enumerate(zip(oracle.shapes, report.shapes, strict=True)):
        assert mine == theirs, (report.network.nodes[position - oracle.arity], mine, theirs)


def check_costs(report: Report, oracle: Oracle) -> None:
    total: Counter[str] = Counter()
    for position, row in enumerate(report, oracle.arity):
        xs = tuple(oracle.shapes[s] for s in oracle.sources(position))
        mine = cost(row.node.layer, xs, oracle.shapes[position])
        assert set(mine) <= {f.name for f in fields(Cost)}
        for f in fields(Cost):
            assert getattr(row.cost, f.name) == mine.get(f.name, 0), (row.name, row.node.layer, xs, f.name, mine)
        total.update(mine)
    totals = report.totals
    for name in ("weights", "biases", "buffers", "macs"):
        assert getattr(totals, name) == total[name], name
    assert totals.params == total["weights"] + total["biases"]
    assert totals.ops == {name: total[name] for name in totals.ops}


def check_memory(report: Report, oracle: Oracle) -> None:
    assert report.totals.values == total_values(report.network, oracle.shapes)
    assert report.totals.peak_bytes == peak_bytes(report.network, oracle.shapes)


def check_source(network: Network) -> None:
    """A network prints as its own source."""
    scope: dict[str, Any] = {name: getattr(rfcalc, name) for name in dir(rfcalc) if name in rfcalc.__all__}
    again = eval(repr(network), scope)
    assert again == network, repr(network)
    assert [(n.name, n.layer, n.inputs) for n in again.nodes] == [(n.name, n.layer, n.inputs) for n in network.nodes]
    assert repr(again) == repr(network)


def predicted(field: Field, shape: Shape, unit: Unit) -> Box | None:
    """The joint hull that the walk's terms give for a unit: the union of products, over all channels."""
    low: list[int] = []
    high: list[int] = []
    by_channel = any(isinstance(e, Aligned) and e.carrier == shape.channel for term in field.terms for e in term)
    for c in range(shape.channels if by_channel else 1):
        index = (*unit[: shape.channel], c, *unit[shape.channel :])
        for term in field.terms:
            ends = [entry_at(entry, index) for entry in term]
            if any(e is None for e in ends):
                continue
            if not low:
                low, high = [e[0] for e in ends], [e[1] for e in ends]  # type: ignore[index]
            for i, e in enumerate(ends):
                low[i], high[i] = min(low[i], e[0]), max(high[i], e[1])  # type: ignore[index]
    return tuple(zip(low, high, strict=True)) or None


def entry_at(entry: Any, index: Unit) -> tuple[int, int] | None:
    if isinstance(entry, Unaligned):
        return entry.ends
    carrier, window = entry
    ends: tuple[int, int] | None = window.unit(0 if carrier is None else index[carrier])
    return ends


def check_field(field: Field | None, oracle: Oracle, position: int, found: Comparisons) -> None:
    """Everything that the walk says about one position and one source."""
    shape, source = oracle.shapes[position], oracle.shapes[oracle.source]
    rf = ReceptiveField(field, source, shape)
    status = rf.status
    found[f"answers of status {status}"] += 1
    assert (status == "unknown") == oracle.unknown[position], status
    if status == "unknown" or source.rank == 0:
        return
    assert status != "needs_input_size"
    real = units(shape)
    if field is None:
        for unit in real:
            assert oracle.masks[position][unit] == 0, unit
            assert isinstance(box := oracle.box(position, unit), Undefined) or box is None, (unit, box)
        return
    assert oracle.reaches[position]
    check_overall(rf, oracle, position, found)
    if field.joins:
        check_joins(rf, field, oracle, position, found)
        return
    assert status != "shift_variant"
    for unit in real:
        box = oracle.box(position, unit)
        if status == "bounded":
            check_bounded(predicted(field, shape, unit), box, found)
            continue
        if isinstance(box, Undefined):
            found["units skipped (beyond what is defined, or too many)"] += 1
            continue
        found["units compared, padding counted"] += 1
        told = predicted(field, shape, unit)
        assert told == box, (status, unit, f"walk {told}, oracle {box}")
    if len(field.terms) == 1 and status != "bounded":
        check_numbers(rf, field, oracle, position, found)


def check_bounded(told: Box | None, box: Box | Undefined | None, found: Comparisons) -> None:
    """What is said to be seen at most holds what is seen."""
    if box is None or isinstance(box, Undefined):
        return
    found["units compared, at most"] += 1
    assert told is not None and all(a <= c and d <= b for (a, b), (c, d) in zip(told, box, strict=True)), (told, box)


def check_overall(rf: ReceptiveField, oracle: Oracle, position: int, found: Comparisons) -> None:
    """`hull` holds every real pixel that any unit sees; it is no larger where padding and joins play no part."""
    seen = oracle.seen(position)
    hull = rf.hull
    if seen is not None:
        for axis, (a, b) in enumerate(seen):
            e = hull[axis]
            assert e is not None and e[0] <= a and b <= e[1], f"axis {axis}: hull {hull}, oracle {seen}"
    if oracle.snug[position] and not rf.joins and rf.status != "bounded":
        found["overall hulls that are equal"] += 1
        assert hull == (seen or (None,) * len(hull)), f"hull {hull}, oracle {seen}"


def check_joins(rf: ReceptiveField, field: Field, oracle: Oracle, position: int, found: Comparisons) -> None:
    """Where windows ended: the reason is real, and what is said still holds every real pixel."""
    network = oracle.network
    for join in field.joins:
        at = network.position(join.node)
        found[f"joins: {join.why}"] += 1
        if join.why in ("rearranged", "before", "after", "listed"):
            assert oracle.layer(at).kind in REARRANGING
            continue
        if join.why != "strides":
            assert join.why in ("layout", "period", "gaps")
            continue
        paths = [(oracle.strides[network.position(name)], stride) for name, stride in join.paths]
        if not all(any(start == join.axis for start, *_ in mine) for mine, _ in paths):
            found["joins of axes that were merged before (not looked at)"] += 1
            continue
        met = {(axis, stride) for start, axis, stride in oracle.strides[at] if start == join.axis}
        assert len(met) > 1, (join, met)
        for mine, stride in paths:
            assert stride is None or Fraction(*stride) in {s for start, _, s in mine if start == join.axis}, (
                join,
                mine,
            )
    if any(padding_is_real(node.layer) for node in network.nodes):
        return
    check_within(field, oracle, position, found)
    for unit, mask in oracle.masks[position].items():
        if not mask:
            continue
        found["units compared, real pixels within what is said"] += 1
        told = predicted(field, oracle.shapes[position], unit)
        assert told is not None, unit
        for pixel in oracle.named(mask):
            assert all(a <= p <= b for p, (a, b) in zip(pixel, told, strict=True)), (unit, pixel, told)


def check_within(field: Field, oracle: Oracle, position: int, found: Comparisons) -> None:
    """No unit sees beyond the window that bounds those without a common one."""
    axes = oracle.shapes[position].axes
    for term in field.terms if len(field.terms) == 1 else ():
        for axis, entry in enumerate(term):
            if not isinstance(entry, Unaligned) or entry.within is None:
                continue
            (carrier,) = entry.carriers
            if carrier not in axes:  # channels: a unit is over all of them
                continue
            found["bounds of units without a common window"] += 1
            for unit, mask in oracle.masks[position].items():
                ends = entry.within.unit(unit[axes.index(carrier)])  # type: ignore[arg-type]
                for pixel in oracle.named(mask):
                    assert ends is not None and ends[0] <= pixel[axis] <= ends[1], (unit, entry)


def padding_is_real(layer: Any) -> bool:
    return getattr(layer, "border", getattr(layer, "mode", "")) in BORDERS


def check_numbers(rf: ReceptiveField, field: Field, oracle: Oracle, position: int, found: Comparisons) -> None:
    """Size, stride, padding, centre, phases and reach of a field of one term, from boxes alone."""
    shape = oracle.shapes[position]
    zero = (0,) * shape.rank
    first = oracle.box(position, zero)
    if isinstance(first, Undefined):
        return
    term: Any = field.terms[0]
    for axis, (carrier, entry) in enumerate(term):
        window = rf.windows[axis]
        if window is None or carrier == shape.channel:
            assert window is None or shape.channels == 1, "a window over channels: a unit is all of them"
            continue
        assert window == entry
        if first is not None and axis < len(first):
            a, b = first[axis]
            before, after = rf.reach[axis] or (-1, -1)
            assert rf.padding[axis] == -a and before >= -a and after >= b
            if window.period == 1:
                assert (before, after) == (-a, b)
            assert rf.center[axis] == Fraction(a + b, 2)
        if carrier is None or window.period > LONGEST or any(None in e.ends for _, e in term):
            continue
        at = carrier if carrier < shape.channel else carrier - 1
        line = [oracle.box(position, (*zero[:at], u, *zero[at + 1 :])) for u in range(window.period + 1)]
        ends = [box[axis] for box in line if box is not None and not isinstance(box, Undefined)]
        if len(ends) < len(line):
            continue
        found["axes whose size, stride, padding, centre and phases were compared"] += 1
        sizes = tuple(b - a + 1 for a, b in ends[:-1])
        assert rf.size[axis] == max(sizes)
        if rf.stride[axis] is not None:
            stride = Fraction(ends[-1][0] - ends[0][0], window.period)
            assert rf.stride[axis] == stride
            places = [u * stride.numerator // stride.denominator for u in range(window.period)]
            looks = [(place - a, b - place) for place, (a, b) in zip(places, ends[:-1], strict=True)]
            assert rf.reach[axis] == (max(back for back, _ in looks), max(ahead for _, ahead in looks))
        if window.period > 1:
            assert rf.phases is not None and rf.phases[axis] == sizes


def check(network: Network, found: Comparisons, source: int = 0) -> Oracle:
    """Everything, for every input, and for one node in the middle as the source; returns the first input's oracle."""
    report = Report(network)
    oracle = Oracle(network)
    check_shapes(report, oracle)
    check_costs(report, oracle)
    check_memory(report, oracle)
    check_source(network)
    if source % 3 == 0:
        check_backward(report, found)
    for start in range(oracle.arity):
        other = oracle if start == 0 else Oracle(network, start)
        for position in range(len(oracle.shapes)):
            guarded(report.fields[start][position], other, position, found)
    if oracle.arity <= source < len(oracle.shapes):
        other = Oracle(network, source)
        for position, field in enumerate(walk_fields(report, source)):
            if position >= source:
                guarded(field, other, position, found)
    return oracle


def guarded(field: Field | None, oracle: Oracle, position: int, found: Comparisons) -> None:
    """Name the node in whatever fails."""
    try:
        check_field(field, oracle, position, found)
    except AssertionError as error:
        names = [*oracle.network.inputs, *(n.name for n in oracle.network.nodes)]
        raise AssertionError(f"{names[position]} seen from {names[oracle.source]}: {error}\n{field}") from error


def check_backward(report: Report, found: Comparisons) -> None:
    """F counted back from the last spatial layer: how much of each earlier map one unit depends on."""
    last = report.last_spatial
    for position, windows in enumerate(report._back.windows):
        if not windows or position >= last:
            continue
        oracle = Oracle(report.network, position)
        boxes = [oracle.box(last, unit) for unit in units(oracle.shapes[last])]
        defined = [box for box in boxes if box is not None and not isinstance(box, Undefined)]
        if len(defined) < len(boxes) or not defined or not defined[0]:
            continue
        told = report.seen(position)
        for i, axis in enumerate(oracle.shapes[position].axes):
            sizes = {box[i][1] - box[i][0] + 1 for box in defined}
            found["sizes counted back from the last spatial layer"] += 1
            name = (*report.network.inputs, *(n.name for n in report.network.nodes))[position]
            if axis not in windows and told[i] is None:  # positions are re-arranged on the way: no size is told
                between = report.network.nodes[max(0, position + 1 - report.network.arity) :]
                assert any(n.layer.kind in REARRANGING for n in between), f"F of {name}: none told"
                continue
            if any(oracle.differs):  # counted back over all channels: at most
                assert told[i] is None or max(sizes) <= told[i], f"F of {name}: walk {told}, oracle {sizes}"
            elif axis in windows and windows[axis].period == 1:
                assert sizes == {told[i]}, f"F of {name}: walk {told}, oracle {sizes}"
            else:
                most = told[i]
                assert most is not None and max(sizes) <= most, f"F of {name}: walk {told}, oracle {sizes}"
