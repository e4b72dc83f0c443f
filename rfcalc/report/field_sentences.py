"""What a node sees, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError, plural
from rfcalc.receptive.effective import ASSUMPTIONS
from rfcalc.receptive.receptive_field import LISTED

if TYPE_CHECKING:
    from rfcalc.report.field_report import FieldReport, Phase

MOST_JOINS = 6  # told in sentences


def _by(values: Sequence[Any]) -> str:
    return " x ".join(map(str, values))


def _pixels(sides: Sequence[Any], what: str) -> str:
    """1 pixel, 3 pixels, 1 x 1 pixels."""
    return f"{_by(sides)} {what[:-1] if [*sides] == [1] else what}"


def _one(values: Sequence[Any]) -> str:
    """One number where all axes agree, else the list."""
    return str(values[0]) if len(set(values)) == 1 else _by(values)


def _apart(strides: Sequence[Any], what: str) -> str:
    """1 pixel, 32 pixels, 1/2 pixel, 2 x 1 pixels."""
    told = _one(strides)
    return f"{told} {what[:-1] if told in ('1', '1/2') else what}"


def sentences(field_report: FieldReport) -> Iterator[str]:
    yield from summary(field_report, _unreached(field_report))
    status = field_report.field.status
    known = status not in ("none", "unknown", "needs_input_size")
    if known and field_report.sized and field_report.shape and field_report.source_shape:
        yield from _real_sentences(field_report)


def _unreached(field_report: FieldReport) -> bool:
    """Whether some pixel reaches no unit, as far as that can be counted."""
    if field_report.field.status != "global" or not (field_report.sized and field_report.shape):
        return False
    try:
        return field_report.unseen > 0
    except RfcalcError:
        return False


def summary(field_report: FieldReport, unreached: bool = False) -> Iterator[str]:
    field = field_report.field
    name, source = field_report.name, field_report.source_name
    of = "the input" if source == "input" else source
    what = "pixels" if field_report.origin < field_report.report.network.arity else "positions"
    status = field.status
    if status == "none":
        yield f"{name} depends on nothing of {of}."
        return
    if status == "unknown":
        yield f"What {name} sees of {of} is not known: {', '.join(field.unknown)} was not understood."
        return
    if status == "needs_input_size":
        told = "; ".join(f"{n}: {why}" for n, why in field.needs)
        yield f"What {name} sees depends on the input size ({told}): give --input."
        return
    if not field_report.source_shape:
        yield f"{name} depends on {of}, which has no positions: there is no receptive field in it."
        return
    if status == "global":
        whole = "all" if field.sees_whole_input() and not unreached else "the same region"
        yield f"Every unit of {name} sees {whole} of {of}, through {', '.join(field.through[:3])}" + (
            f" and {len(field.through) - 3} more." if len(field.through) > 3 else "."
        )
        if None not in field.size:
            apart = "" if None in field.stride else f", {_apart(field.stride, what)} apart"
            yield f"Without that path a unit sees {_pixels(field.size, what)}{apart}."
    elif status == "shift_variant":
        yield f"Units of {name} have no common size: what they see depends on their position."
    else:
        if status == "bounded" and None in field.size:
            yield f"A unit of {name} sees at most all of {of}: which part, was not followed."
            return
        sizes = field.sizes_of_units
        most = "at most " if field.bounded or any(len(set(s)) > 1 for s in sizes) else ""
        apart = _apart(field.stride, what)
        stride = "" if None in field.stride else f"; neighbours are {apart} apart"
        yield f"A unit of {name} sees {most}{_pixels(field.largest, what)} of {of}, padding counted{stride}."
        if None not in field.stride:
            begins = "at position 0" if not any(field.padding) else f"{_one(field.padding)} before position 0"
            yield f"Unit 0 begins {begins} and is centred at {_one(field.center)}."
    if len(field.lookahead) == 1 and isinstance(field.lookahead[0], int):
        back = "back to the beginning" if field.lookback[0] is None else f"{field.lookback[0]} back"
        yield f"From its own place a unit looks {back} and {field.lookahead[0]} ahead."
    if field.bounded:
        yield f"No unit sees more than that; some may see less, because of {', '.join(field.bounded[:3])}."
    for axis, phases in enumerate(field_report.phases):
        if phases:
            yield _phase_sentence(axis, phases)
    for join in field.joins:
        yield _join_sentence(join)


def _phase_sentence(axis: int, phases: tuple[Phase, ...]) -> str:
    sizes: dict[Any, int] = {}
    for phase in phases:
        sizes[phase.size] = sizes.get(phase.size, 0) + phase.units
    if len(sizes) == 1:
        size, units = next(iter(sizes.items()))
        if len(phases) == 1:
            return f"Axis {axis}: the only unit sees {size}."
        return (
            f"Axis {axis}: {len(phases)} phases of the same size {size}, in different places ({plural(units, 'unit')})."
        )
    told = ", ".join(f"{size} ({plural(units, 'unit')})" for size, units in sorted(sizes.items(), reverse=True))
    return f"Axis {axis}: the size depends on the position with period {len(phases)}: {told}."


def _join_sentence(join: dict[str, Any]) -> str:
    return f"Axis {join['axis']}: {join_told(join)}."


def join_told(join: dict[str, Any]) -> str:
    """Why the units have no common window behind a join, in words."""
    node, paths = join["node"], join["paths"]
    if join["why"] == "strides":
        told = " and ".join(f"{p['node']} with stride {p['stride']}" for p in paths)
        return f"at {node} paths of different strides meet, {told}"
    if join["why"] == "layout":
        return f"at {node} two paths meet that lay it out along different axes"
    if join["why"] == "gaps":
        return f"at {node} some units see nothing, which no single axis decides"
    if join["why"] == "period":
        return f"the phases at {node} are too many to list"
    if join["why"] in LISTED:
        return f"at {node} {LISTED[join['why']]}"
    return f"{node} re-arranges positions"


def _real_sentences(field_report: FieldReport) -> Iterator[str]:
    try:
        sizes = field_report.sizes
    except RfcalcError as error:
        why = f", {error.why}" if error.why else ""
        yield f"How many units see all of it in real pixels is not told: {error.what}{why}."
        return
    total = sum(sizes.values())
    shape = _by(field_report.shape)
    if field_report.full_units is not None and field_report.field.status == "exact":
        full = field_report.full_units
        smallest = min(sizes, key=sum)
        yield (
            f"{full} of the {shape} units {'sees' if full == 1 else 'see'} all of it in real pixels"
            + (f"; the smallest region is {_by(smallest)}, at the border." if full < total else ".")
        )
    empty = sizes.get(tuple(0 for _ in field_report.source_shape), 0)
    if empty:
        yield f"{empty} of {plural(total, 'unit')} {'sees' if empty == 1 else 'see'} no pixel at all."
    if field_report.unseen:
        few = "pixel of the input reaches" if field_report.unseen == 1 else "pixels of the input reach"
        yield f"{field_report.unseen} {few} no unit of {field_report.name}."
    if field_report.gridding:
        node, gaps = field_report.gridding
        count, hull = field_report.unit(field_report.centre_unit).density
        told = f"the middle unit depends on {count} of the {hull} pixels in its hull"
        if max(gaps, default=0):
            yield f"Holes: {told}, with gaps of up to {max(gaps)} since {node} (gridding)."
        else:
            yield f"No box: {told} since {node}, which lays paths of different shapes over each other."
    yield from _alignment_sentences(field_report.alignments)


def _alignment_sentences(found: Sequence[tuple[str, tuple[Any, ...]]]) -> Iterator[str]:
    """The joins that are furthest off, in the order of the network."""
    worst = {node for node, _ in sorted(found, key=lambda item: max(item[1]), reverse=True)[:MOST_JOINS]}
    for node, offset in found:
        if node in worst:
            yield f"At {node} paths arrive {_apart(offset, 'pixels')} apart in their centres (of unit 0)."
    if len(found) > MOST_JOINS:
        yield f"So do the paths of {len(found) - MOST_JOINS} more joins, less far apart (--format json lists them)."


def effective_sentences(field_report: FieldReport, unit: Sequence[int] | None = None) -> tuple[str, ...]:
    """The effective receptive field in sentences, its assumptions last."""
    spreads = field_report.effective_field(unit)
    if not spreads or any(s is None for s in spreads):
        return ("No gradient reaches the source.",)
    sigma = _one([f"{s.sigma:.2f}" for s in spreads if s])
    held = [s.interval(0.95) for s in spreads if s]
    sizes = _by([b - a + 1 for a, b in held])
    return (
        f"Its effective receptive field has a standard deviation of {sigma} positions; 95 % of the gradient along each "
        f"axis lies within {sizes}.",
        *(f"assumed: {a}" for a in ASSUMPTIONS),
    )
