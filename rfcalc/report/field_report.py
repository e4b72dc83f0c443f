"""Everything about what one node sees: the summary, real pixels, phases, holes, joins, influence; in sentences too.

`FieldReport` is to a receptive field what `Report` is to a network: outputs draw it, and compute nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.core.size import Size, is_number
from rfcalc.receptive import fields
from rfcalc.receptive.effective import Spread, effective
from rfcalc.receptive.field import Field
from rfcalc.receptive.long_signal import LongSignal
from rfcalc.receptive.receptive_field import ReceptiveField, fraction, plain
from rfcalc.receptive.region import Region, no_unit, place, runs
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.regions import Regions
from rfcalc.receptive.unit_walk import UnitWalk
from rfcalc.report import Report, field_sentences

if TYPE_CHECKING:
    from rfcalc.report.document import Document
    from rfcalc.report.schemas.rf import RfJson, RfPhaseJson, RfUnitJson

SCHEMA: Final = "rfcalc/rf/1"
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

    def unit(self, unit: int | Sequence[int]) -> Region:
        """The real pixels that one unit sees.

        Raises:
            RfcalcError: there is no such unit.
        """
        return self._unit(self.position, self._place(unit))

    def _place(self, unit: int | Sequence[int]) -> tuple[int, ...]:
        """A unit as it is given, if there is one."""
        along = place(unit)
        extents = self.shape
        if len(along) != len(extents) or any(
            u < 0 or (is_number(n) and u >= n) for u, n in zip(along, extents, strict=True)
        ):
            raise no_unit(along, extents)
        return along

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

    def reached_by(self, pixel: int | Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """The units that one pixel of the source can reach.

        Raises:
            RfcalcError: there is no such pixel.
        """
        pixel = place(pixel)
        if self._long is not None and len(pixel) == 1 and 0 <= pixel[0] < self._long.extent:
            return self._long.reached_by(pixel[0])
        return self.regions.reached_by(pixel)

    def interval(self, unit: int | Sequence[int]) -> tuple[Any, ...]:
        """What one unit sees with padding counted, an interval an axis; None where no window says it.

        Raises:
            RfcalcError: there is no such unit.
        """
        axes = self.report.shapes[self.position].axes
        at = dict(zip(axes, self._place(unit), strict=True))
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
        try:
            seen = UnitWalk(self.report, self.position, None, self.origin).region
        except LimitError:  # in too many parts: the sets of all units
            seen = self.regions.all
        return whole - seen.count

    def effective_field(self, unit: int | Sequence[int] | None = None) -> tuple[Spread | None, ...]:
        """The effective receptive field of a unit (the middle one), for each axis of the source.

        Raises:
            RfcalcError: there is no such unit.
        """
        return effective(
            self.report, self.position, self.centre_unit if unit is None else self._place(unit), self.origin
        )

    @property
    def alignments(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """Joins before the node at which paths of equal stride arrive with different centres, and by how much."""
        return tuple((n, d) for p, n, d in misaligned(self.report) if p <= self.position)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The answer as a student would want to hear it."""
        return tuple(field_sentences.sentences(self))

    @cached_property
    def summary(self) -> tuple[str, ...]:
        """The sentences that need no real pixels: what windows, joins and global paths say."""
        return tuple(field_sentences.summary(self))

    def to_dict(self, unit: int | Sequence[int] | None = None) -> RfJson:
        """The answer as JSON has it (schema rfcalc/rf/1)."""
        document: RfJson = {
            "schema": SCHEMA,
            "network": {"name": self.report.network.name, "target": self.report.target},
            "node": self.name,
            "from": self.source_name,
            "units": plain(self.shape),
            "input": plain(self.source_shape),
            "receptive_field": self.field.to_dict(),
            "phases": [
                None if p is None else [cast("RfPhaseJson", {k: plain(v) for k, v in x._asdict().items()}) for x in p]
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
                "unit": self._unit_dict(self._place(unit) if unit is not None else self.centre_unit),
                "gridding": None if not self.gridding else {"node": self.gridding[0], "gaps": list(self.gridding[1])},
            }
        return document

    def _unit_dict(self, unit: tuple[int, ...]) -> RfUnitJson:
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
