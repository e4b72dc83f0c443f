"""Everything about what one node sees: the summary, real pixels, phases, holes, joins, influence; in sentences too.

`FieldReport` is to a receptive field what `Report` is to a network: outputs draw it, and compute nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import LimitError, RfcalcError, plural
from rfcalc.core.size import Size, is_number, native
from rfcalc.receptive.effective import ASSUMPTIONS, Spread, effective
from rfcalc.receptive.field import Field
from rfcalc.receptive.fields import fields
from rfcalc.receptive.long_signal import LongSignal
from rfcalc.receptive.receptive_field import LISTED, ReceptiveField, fraction, plain
from rfcalc.receptive.region import Region, runs
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.regions import Regions
from rfcalc.receptive.unit_walk import UnitWalk
from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.report.document import Document

SCHEMA = "rfcalc/rf/1"
MOST_JOINS = 6  # told in sentences
MOST_BOXES = 1000  # listed in JSON
LONG = 4000  # positions; units of longer signals are counted by phases


class Phase(NamedTuple):
    """One phase of an axis: units u with u mod period = phase."""

    phase: int
    size: Size
    units: int
    ends: tuple[Size, Size] | None  # of the phase's first unit
    reach: tuple[Any, Any] | None  # before and after the unit's place u·stride + (stride − 1)/2


class FieldReport:
    """What a node sees of an input or an earlier node.

    >>> import rfcalc
    >>> field_report = rfcalc.receptive_field("vgg16", at="pool5")
    >>> print(field_report.sentences[0])
    A unit of pool5 sees 212 x 212 pixels of the input, padding counted; neighbours are 32 pixels apart.
    >>> field_report.unit((0, 0)).size, field_report.full_units
    ((122, 122), 1)

    Args:
        report: the network, analysed.
        at: the node; the report's output if left out. A stage or block means its last node.
        source: an input or an earlier node; the first input if left out.
    """

    def __init__(self, report: Report, at: str | None = None, source: str | None = None) -> None:
        network = report.network
        self.report = report
        self.position = network.position(at or network.outputs[0])
        self.origin = network.position(source) if source else 0
        if self.position <= self.origin:
            raise RfcalcError(
                f"{self.name} does not come after {self.source_name}", fix="name an earlier node with --from"
            )

    @property
    def name(self) -> str:
        return self._name(self.position)

    _repr_html_ = displayed

    def document(self) -> Document:
        """What the node sees, as a document that every format renders."""
        made: Document = import_module("rfcalc.report.field_document").document(self)
        return made

    def __repr__(self) -> str:
        return f"FieldReport(of {self.name}, from {self.source_name}: {self.field!r})"

    @property
    def source_name(self) -> str:
        return self._name(self.origin)

    def _name(self, position: int) -> str:
        network = self.report.network
        arity = network.arity
        return list(network.inputs)[position] if position < arity else network.nodes[position - arity].name

    @property
    def shape(self) -> tuple[Size, ...]:
        return self.report.shapes[self.position].spatial

    @property
    def source_shape(self) -> tuple[Size, ...]:
        return self.report.shapes[self.origin].spatial

    @property
    def sized(self) -> bool:
        """Whether all sizes are numbers, so that real pixels can be told."""
        return all(is_number(n) for n in (*self.shape, *self.source_shape))

    @cached_property
    def field(self) -> ReceptiveField:
        """The summary: size, stride, padding, centre, and what kind of answer it is."""
        shapes = self.report.shapes
        return ReceptiveField(self.fields[self.position], shapes[self.origin], shapes[self.position])

    @cached_property
    def fields(self) -> tuple[Field | None, ...]:
        """What every position sees of the source."""
        if self.origin < self.report.network.arity:
            return self.report.fields[self.origin]
        return fields(self.report, self.origin)

    @cached_property
    def regions(self) -> Regions:
        """The real pixels that each unit sees."""
        return regions(self.report, self.position, self.origin)

    @property
    def centre_unit(self) -> tuple[int, ...]:
        return tuple(int(n) // 2 for n in self.shape)

    def unit(self, unit: Sequence[int]) -> Region:
        """The real pixels that one unit sees."""
        return self._unit(self.position, native(unit))

    def _unit(self, position: int, unit: tuple[int, ...]) -> Region:
        known = self._units.get((position, unit))
        if known is None:
            known = self._units[position, unit] = UnitWalk(self.report, position, unit, self.origin).region
        return known

    @cached_property
    def _units(self) -> dict[tuple[int, tuple[int, ...]], Region]:
        return {}

    @cached_property
    def _long(self) -> LongSignal | None:
        """The units told by phases, where the maps are long signals; else they are listed."""
        if len(self.shape) != 1 or len(self.source_shape) != 1 or max(*self.shape, *self.source_shape) < LONG:
            return None
        try:
            return LongSignal(self.report, self.position, self.origin)
        except LimitError:  # they are not alike
            return None

    def reached_by(self, pixel: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """The units that one pixel of the source can reach.

        Raises:
            RfcalcError: there is no such pixel.
        """
        pixel = native(pixel)
        if self._long is not None and len(pixel) == 1 and 0 <= pixel[0] < self._long.extent:
            return self._long.reached_by(pixel[0])
        return self.regions.reached_by(pixel)

    def interval(self, unit: Sequence[int]) -> tuple[Any, ...]:
        """What one unit sees with padding counted, an interval an axis; None where no window says it."""
        axes = self.report.shapes[self.position].axes
        at = dict(zip(axes, native(unit), strict=True))
        found = []
        for axis, window in enumerate(self.field.windows):
            carrier = self.field.carrier(axis)
            u = 0 if carrier is None else at.get(carrier, 0)
            found.append(None if window is None else window.unit(u))
        return tuple(found)

    @cached_property
    def sizes(self) -> dict[tuple[int, ...], int]:
        """Sizes of the real region, and how many units have each; the largest first."""
        found = self.regions.sizes() if self._long is None else self._long.sizes()
        return dict(sorted(found.items(), key=lambda item: tuple(-n for n in item[0])))

    @property
    def full_units(self) -> int | None:
        """How many units see all of their receptive field in real pixels; None where it has no size."""
        size = self.field.size
        if None in size or self.field.phases is not None:
            return None
        return self.sizes.get(tuple(int(n) for n in size if n is not None), 0)

    @property
    def phases(self) -> tuple[tuple[Phase, ...] | None, ...]:
        """The phases of each axis: size, how many units have it, the first unit's ends, its reach to both sides."""
        found: list[tuple[Phase, ...] | None] = []
        dims = self.report.shapes[self.position].dims
        for axis, window in enumerate(self.field.windows):
            carrier = self.field.carrier(axis)
            if window is None or window.period == 1 or carrier is None:
                found.append(None)
                continue
            extent = dims[carrier]
            listed = []
            for phase in range(min(window.period, extent)):
                ends = window.unit(phase)
                place = fraction(window.advance * (2 * phase + 1) - window.period, 2 * window.period)
                listed.append(
                    Phase(
                        phase,
                        window.sizes[phase],
                        (extent - 1 - phase) // window.period + 1,
                        ends,
                        None if ends is None else (place - ends[0], ends[1] - place),
                    )
                )
            found.append(tuple(listed))
        return tuple(found)

    @cached_property
    def gridding(self) -> tuple[str, tuple[int, ...]] | None:
        """The first node on the way whose middle unit sees a region with holes, and its longest gaps; or None."""
        count, hull = self.unit(self.centre_unit).density
        if count == hull:
            return None
        for position in range(max(self.report.network.arity, self.origin + 1), self.position + 1):
            shape = self.report.shapes[position]
            try:
                region = self._unit(position, tuple(int(n) // 2 for n in shape.spatial))
            except RfcalcError:
                continue
            if region.boxes and region.count < region.density[1]:
                return self._name(position), region.gaps
        return None

    @property
    def unseen(self) -> int:
        """How many pixels of the source no unit of the node depends on."""
        if self._long is not None:
            return self._long.unseen()
        whole = 1
        for n in self.source_shape:
            whole *= n
        return whole - self.regions.all.count

    def effective_field(self, unit: Sequence[int] | None = None) -> tuple[Spread | None, ...]:
        """The effective receptive field of a unit (the middle one), for each axis of the source."""
        return effective(self.report, self.position, native(self.centre_unit if unit is None else unit), self.origin)

    @property
    def alignments(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """Joins before the node at which paths of equal stride arrive with different centres, and by how much."""
        return tuple((n, d) for p, n, d in misaligned(self.report) if p <= self.position)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The answer as a student would want to hear it."""
        return tuple(_sentences(self))

    @cached_property
    def summary(self) -> tuple[str, ...]:
        """The sentences that need no real pixels: what windows, joins and global paths say."""
        return tuple(_summary(self))

    def to_dict(self, unit: Sequence[int] | None = None) -> dict[str, Any]:
        """The answer as JSON has it (schema rfcalc/rf/1)."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "network": {"name": self.report.network.name, "target": self.report.target},
            "node": self.name,
            "from": self.source_name,
            "units": plain(self.shape),
            "input": plain(self.source_shape),
            "receptive_field": self.field.to_dict(),
            "phases": [
                None if p is None else [{k: plain(v) for k, v in phase._asdict().items()} for phase in p]
                for p in self.phases
            ],
            "alignment": [{"node": n, "offset": plain(d)} for n, d in self.alignments],
            "sentences": list(self.sentences),
            "assumptions": list(self.report.assumptions),
        }
        if self.sized and self.field.status not in ("unknown", "needs_input_size"):
            document |= {
                "regions": [{"size": list(size), "units": count} for size, count in self.sizes.items()],
                "full_units": self.full_units,
                "unseen_pixels": self.unseen,
                "unit": self._unit_dict(native(unit) if unit is not None else self.centre_unit),
                "gridding": None if not self.gridding else {"node": self.gridding[0], "gaps": list(self.gridding[1])},
            }
        return document

    def _unit_dict(self, unit: tuple[int, ...]) -> dict[str, Any]:
        region = self.unit(unit)
        count, hull = region.density
        try:
            spreads = self.effective_field(unit)
        except RfcalcError:
            spreads = ()
        return {
            "unit": list(unit),
            "interval": [None if e is None else plain(e) for e in self.interval(unit)],
            "region": None if region.hull is None else [list(e) for e in region.hull],
            "size": list(region.size),
            "support": count,
            "hull": hull,
            "gaps": list(region.gaps),
            "boxes": [[[list(r) for r in runs(mask)] for mask in box] for box in region.boxes]
            if len(region.boxes) <= MOST_BOXES
            else None,
            "effective": [
                None if s is None else {"sigma": round(s.sigma, 6), "interval_95": list(s.interval(0.95))}
                for s in spreads
            ],
        }


def misaligned(report: Report) -> Iterator[tuple[int, str, tuple[Any, ...]]]:
    """Joins at which paths of equal stride arrive with centres apart: position, node, the offset on each axis."""
    network = report.network
    shape = report.shapes[0]
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), network.arity):
        if len(sources) < 2:
            continue
        centers = set()
        for s in dict.fromkeys(sources):
            field = ReceptiveField(report.fields[0][s], shape, report.shapes[s])
            center = [c for c in field.center if c is not None]
            if field.status in ("exact", "periodic") and len(center) == shape.rank:
                centers.add((field.stride, tuple(center)))
        strides = {stride for stride, _ in centers}
        if len(centers) > 1 and len(strides) == 1:
            ordered = [c for _, c in centers]
            offset = tuple(max(c[i] for c in ordered) - min(c[i] for c in ordered) for i in range(shape.rank))
            yield position, node.name, offset


def _by(values: Sequence[Any]) -> str:
    return " x ".join(map(str, values))


def _one(values: Sequence[Any]) -> str:
    """One number where all axes agree, else the list."""
    return str(values[0]) if len(set(values)) == 1 else _by(values)


def _apart(strides: Sequence[Any], what: str) -> str:
    """1 pixel, 32 pixels, 1/2 pixel, 2 x 1 pixels."""
    told = _one(strides)
    return f"{told} {what[:-1] if told in ('1', '1/2') else what}"


def _sentences(field_report: FieldReport) -> Iterator[str]:
    yield from _summary(field_report, _unreached(field_report))
    status = field_report.field.status
    if status not in ("none", "unknown", "needs_input_size") and field_report.sized and field_report.shape:
        yield from _real_sentences(field_report)


def _unreached(field_report: FieldReport) -> bool:
    """Whether some pixel reaches no unit, as far as that can be counted."""
    if field_report.field.status != "global" or not (field_report.sized and field_report.shape):
        return False
    try:
        return field_report.unseen > 0
    except RfcalcError:
        return False


def _summary(field_report: FieldReport, unreached: bool = False) -> Iterator[str]:
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
    if status == "global":
        whole = "all" if field.sees_whole_input() and not unreached else "the same region"
        yield f"Every unit of {name} sees {whole} of {of}, through {', '.join(field.through[:3])}" + (
            f" and {len(field.through) - 3} more." if len(field.through) > 3 else "."
        )
        if None not in field.size:
            apart = "" if None in field.stride else f", {_apart(field.stride, what)} apart"
            yield f"Without that path a unit sees {_by(field.size)} {what}{apart}."
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
        yield f"A unit of {name} sees {most}{_by(field.largest)} {what} of {of}, padding counted{stride}."
        if None not in field.stride:
            begins = "at position 0" if not any(field.padding) else f"{_one(field.padding)} before position 0"
            yield f"Unit 0 begins {begins} and is centred at {_one(field.center)}."
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
    node, axis, paths = join["node"], join["axis"], join["paths"]
    if join["why"] == "strides":
        told = " and ".join(f"{p['node']} with stride {p['stride']}" for p in paths)
        return f"Axis {axis}: at {node} paths of different strides meet, {told}."
    if join["why"] == "layout":
        return f"Axis {axis}: at {node} two paths meet that lay it out along different axes."
    if join["why"] == "gaps":
        return f"Axis {axis}: at {node} some units see nothing, which no single axis decides."
    if join["why"] == "period":
        return f"Axis {axis}: the phases at {node} are too many to list."
    if join["why"] in LISTED:
        return f"Axis {axis}: at {node} {LISTED[join['why']]}."
    return f"Axis {axis}: {node} re-arranges positions."


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
