"""A receptive field as people ask for it: size, stride, padding, centre, and what kind of answer it is.

Reads the walk's `Field`; computes nothing that the windows do not say.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rfcalc.core.shape import Shape
from rfcalc.core.size import Figure, Size, decide, is_number, maximum, minimum
from rfcalc.core.window import Ends, Window, hull
from rfcalc.graph.forward import Shaped
from rfcalc.receptive.field import Aligned, Field, Unaligned

if TYPE_CHECKING:
    from fractions import Fraction

    from rfcalc.report.schemas.report import ReceptiveFieldJson


LISTED = {  # sorts of joins at which units have positions of their own
    "before": "a unit sees everything up to its own position, and nothing after it",
    "after": "a unit sees everything from its own position on, and nothing before it",
    "listed": "each unit sees positions of its own, fixed one by one",
}


def fraction(numerator: Size, denominator: int) -> Any:
    """A whole number where it is one, else a Fraction (or the symbol's own quotient)."""
    if denominator == 1:
        return numerator
    if not is_number(numerator):
        return numerator / denominator
    if numerator % denominator == 0:
        return numerator // denominator
    from fractions import Fraction

    return Fraction(int(numerator), denominator)


def plain(value: Any) -> Any:
    """A value as JSON has it: fractions and symbols as text."""
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, str, float)):
        return value
    return int(value) if is_number(value) or getattr(value, "denominator", 0) == 1 else str(value)


class Status(StrEnum):
    """What kind of answer a receptive field is.

    >>> import rfcalc
    >>> rfcalc.analyze("vgg16")["pool5"].receptive_field.status
    'exact'
    """

    EXACT = "exact"
    """Every unit sees a window of this size."""
    PERIODIC = "periodic"
    """The size depends on the unit's position modulo a period; the largest is told."""
    BOUNDED = "bounded"
    """No unit sees more than this hull; some may see less."""
    SHIFT_VARIANT = "shift_variant"
    """Units have no common size or stride."""
    GLOBAL = "global"
    """A path reads the whole map; size and stride are those of the other paths."""
    NEEDS_INPUT_SIZE = "needs_input_size"
    """It cannot be told before the size of the input is a number."""
    NONE = "none"
    """The units depend on nothing of this input."""
    UNKNOWN = "unknown"
    """An operator on the way was not understood."""

    def __repr__(self) -> str:
        return repr(self.value)


class ReceptiveField:
    """What the units of one node see of one input.

    Per axis of the input: `size`, `stride` (effective), `padding` (effective, left), `center` (of unit 0, pixel 0
    being centred at 0), `phases` (sizes where they depend on the position), `reach` (left and right of a unit's own
    place, the most over all phases). None where an axis has no local path left, or its windows no common stride.

    `status` is a `Status`; where it is ``shift_variant``, see `joins`; where it is ``global``, see `through`.
    """

    def __init__(self, field: Field | None, source: Shape, shape: Shape) -> None:
        self._field = field
        self._source = source
        self.extents = shape.dims

    @cached_property
    def status(self) -> Status:
        field = self._field
        if field is None:
            return Status.NONE
        if field.unknown:
            return Status.UNKNOWN
        if field.unsized:
            return Status.NEEDS_INPUT_SIZE
        spans = self.spans
        if any(isinstance(e, Unaligned) and spans[axis] is None for t in field.terms for axis, e in enumerate(t)):
            return Status.SHIFT_VARIANT
        if field.bounded:
            return Status.BOUNDED
        if any(s is not None for s in spans):
            return Status.GLOBAL
        if any(w is not None and w.period > 1 for w in self.windows):
            return Status.PERIODIC
        return Status.EXACT

    @cached_property
    def windows(self) -> tuple[Window | None, ...]:
        """The local windows, one an axis; None where there is none."""
        field = self._field
        rank = self._source.rank
        if field is None:
            return (None,) * rank
        found: list[Window | None] = []
        for axis in range(rank):
            window: Window | None = None
            for term in field.terms:
                entry = term[axis]
                if isinstance(entry, Unaligned):
                    window = None
                    break
                if not entry.constant:
                    window = entry.window if window is None else window | entry.window
            if window is not None and field.bounded and any(t[axis].constant for t in field.terms):
                window = None  # at most: of the local paths alone nothing can be told
            found.append(window)
        return tuple(found)

    def carrier(self, axis: int) -> int | None:
        """Which axis of the node decides on an axis of the input, if one does."""
        for term in self._field.terms if self._field else ():
            entry = term[axis]
            if isinstance(entry, Aligned) and not entry.constant:
                return entry.carrier
        return None

    @cached_property
    def spans(self) -> tuple[Ends, ...]:
        """The interval that every unit depends on through a global path (padding counted), one an axis, or None."""
        field = self._field
        rank = self._source.rank
        if field is None:
            return (None,) * rank
        found: list[Ends] = [None] * rank
        for term in field.terms:
            for axis, entry in enumerate(term):
                if isinstance(entry, Aligned) and entry.constant:
                    found[axis] = hull((found[axis], *entry.window.ends))
        return tuple(found)

    @property
    def hull(self) -> tuple[Ends, ...]:
        """What the units of the node see together: an interval an axis that holds all of it, cut to the real pixels.

        None where nothing is seen, or it is not known. It is exact without padding; where units differ in what padding
        cuts off at the maps between, `Regions.all` is.
        """
        field = self._field
        if field is None or field.unknown or field.unsized:
            return (None,) * self._source.rank
        found: list[Ends] = [None] * self._source.rank
        brought = dict(field.mirrored)  # by borders of real pixels, also to units whose window lies beside the map
        for term in field.terms:
            ends = [hull((entry.over(self.extents), brought.get(axis))) for axis, entry in enumerate(term)]
            if all(e is not None for e in ends):  # a product with nothing on one axis is nothing
                found = [hull(pair) for pair in zip(found, ends, strict=True)]
        cut = [
            None if e is None else (maximum(e[0], 0), minimum(e[1], n - 1))
            for e, n in zip(found, self._source.spatial, strict=True)
        ]
        return tuple(None if e is None or decide(e[0] > e[1]) else e for e in cut)

    @property
    def size(self) -> tuple[Figure | None, ...]:
        return tuple(None if w is None else w.size for w in self.windows)

    @property
    def sizes_of_units(self) -> tuple[tuple[Figure, ...], ...]:
        """The sizes that units have on each axis: a map with fewer units than phases has its first phases only."""
        found: list[tuple[Figure, ...]] = []
        for axis, window in enumerate(self.windows):
            sizes = () if window is None else tuple(window.sizes)
            carrier = self.carrier(axis)
            extent = self.extents[carrier] if carrier is not None else None
            found.append(sizes[: int(extent)] if is_number(extent) and extent else sizes)
        return tuple(found)

    @property
    def largest(self) -> tuple[Figure | None, ...]:
        """The largest size that a unit has, an entry an axis: `size`, but for maps with fewer units than phases."""
        sizes = zip(self.size, self.sizes_of_units, strict=True)
        return tuple(size if size is None or not is_number(size) or not own else max(own) for size, own in sizes)

    @property
    def stride(self) -> tuple[int | Fraction | None, ...]:
        shared = self._shared_carriers()
        return tuple(
            None if w is None or axis in shared else fraction(*w.stride) for axis, w in enumerate(self.windows)
        )

    def _shared_carriers(self) -> set[int]:
        """Axes that do not have an axis of the node for themselves: a stride would mean nothing."""
        field = self._field
        if field is None:
            return set()
        found: set[int] = set()
        for term in field.terms:
            carriers = [e.carrier if isinstance(e, Aligned) else None for e in term]
            local = [axis for axis, e in enumerate(term) if not e.constant]
            found |= {axis for axis in local if carriers[axis] is None or carriers.count(carriers[axis]) > 1}
        return found

    @property
    def padding(self) -> tuple[Figure | None, ...]:
        return tuple(None if w is None or (e := w.unit(0)) is None else -e[0] for w in self.windows)

    @property
    def center(self) -> tuple[int | Fraction | None, ...]:
        return tuple(None if w is None or (e := w.unit(0)) is None else fraction(e[0] + e[1], 2) for w in self.windows)

    @property
    def phases(self) -> tuple[tuple[Figure, ...] | None, ...] | None:
        """Sizes by phase on each axis, or None where no axis has phases."""
        if all(w is None or w.period == 1 for w in self.windows):
            return None
        return tuple(None if w is None else w.sizes for w in self.windows)

    @property
    def reach(self) -> tuple[tuple[Figure | None, Figure | None] | None, ...]:
        """How far a unit sees before and after its own place ⌊u·A/P⌋, the most over all phases of its local window.

        None to a side without end: causal attention and a recurrence see all that is before, and nothing after.

        >>> import rfcalc
        >>> rfcalc.analyze("maxpool2 > up2", "1x8")["upsample1"].receptive_field.reach  # unit 1 looks back only
        ((1, 1),)
        """
        ends = [(self._local(axis, True), self._local(axis, False)) for axis in range(self._source.rank)]
        return tuple(None if pair == (None, None) else pair for pair in ends)

    def _within(self, axis: int) -> Window | None:
        """The window that no unit of an axis without a common window sees beyond."""
        field, found = self._field, set[Window | None]()
        for term in field.terms if field and not field.unknown and not field.unsized else ():
            entry = term[axis]
            if isinstance(entry, Unaligned):
                found.add(entry.within)
            elif entry.constant:
                return None
        return found.pop() if len(found) == 1 else None

    @property
    def lookback(self) -> tuple[Figure | None, ...]:
        """How far a unit sees before its own place ⌊u·A/P⌋, the most over all phases; None where there is no end."""
        return tuple(self._beyond(axis, True) for axis in range(self._source.rank))

    @property
    def lookahead(self) -> tuple[Figure | None, ...]:
        """How far a unit sees after its own place ⌊u·A/P⌋, the most over all phases; None where there is no end."""
        return tuple(self._beyond(axis, False) for axis in range(self._source.rank))

    def _beyond(self, axis: int, before: bool) -> Figure | None:
        return None if self.spans[axis] is not None else self._local(axis, before)

    def _local(self, axis: int, before: bool) -> Figure | None:
        """How far the local window reaches to one side of a unit's own place."""
        window = self.windows[axis] or self._within(axis)
        if window is None:
            return None
        most: Figure | None = None
        for u, ends in enumerate(window.ends):
            if ends is not None:
                place = window.advance * u // window.period if u else 0
                far = place - ends[0] if before else ends[1] - place
                if isinstance(far, float):
                    return None
                most = far if most is None else maximum(most, far)
        return most

    @property
    def through(self) -> tuple[str, ...]:
        """The nodes that made it global: the first on each path."""
        return self._field.through if self._field else ()

    @property
    def joins(self) -> tuple[dict[str, Any], ...]:
        """Where windows ended: the node, the axis, why, and the paths with their strides."""
        if self._field is None:
            return ()
        return tuple(
            {
                "node": j.node,
                "axis": j.axis,
                "why": j.why,
                "paths": [{"node": n, "stride": None if s is None else fraction(*s)} for n, s in j.paths],
            }
            for j in self._field.joins
        )

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """Nodes that need the input's size, and why."""
        return self._field.unsized if self._field else ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Operators on the way that were not understood."""
        return self._field.unknown if self._field else ()

    @property
    def bounded(self) -> tuple[str, ...]:
        """Nodes behind which some units may see less than is told."""
        return self._field.bounded if self._field else ()

    def sees_whole_input(self) -> bool:
        """Whether a global path reaches every pixel."""
        pairs = zip(self.spans, self._source.spatial, strict=True)
        return all(s is not None and decide(s[0] <= 0) is True and decide(s[1] >= n - 1) is True for s, n in pairs)

    def to_dict(self) -> ReceptiveFieldJson:
        """The receptive field as JSON has it."""
        joins: list[Any] = [
            {**j, "paths": [{"node": p["node"], "stride": plain(p["stride"])} for p in j["paths"]]} for j in self.joins
        ]
        return {
            "status": self.status,
            "size": plain(self.size),
            "stride": plain(self.stride),
            "padding": plain(self.padding),
            "center": plain(self.center),
            "phases": plain(self.phases),
            "reach": plain(self.reach),
            "through": list(self.through),
            "hull": plain(self.hull),
            "joins": joins,
        }

    def __repr__(self) -> str:
        return f"ReceptiveField({self.status}, size={self.size}, stride={self.stride}, padding={self.padding})"


def unproductive(walked: Shaped, fields: tuple[tuple[Field | None, ...], ...]) -> frozenset[int]:
    """Positions of weight layers that read a map whose units see more than the whole image already, on every axis: they
    only combine what has been seen (Richter et al. 2021). Needs one input, with sizes in numbers."""
    network, shapes = walked.network, walked.shapes
    image = shapes[0].spatial
    found: set[int] = set()
    if network.arity > 1 or not image:
        return frozenset()
    known: dict[int, bool] = {0: False}
    for position, (node, sources) in enumerate(zip(network.nodes, network.sources, strict=True), 1):
        if not node.layer.weight_layers or not sources or not shapes[position].rank:
            continue
        source = sources[0]
        if source not in known:
            size = ReceptiveField(fields[0][source], shapes[0], shapes[source]).size
            known[source] = all(s is not None and decide(s > n) is True for s, n in zip(size, image, strict=True))
        if known[source]:
            found.add(position)
    return frozenset(found)
