"""The tiles of one axis: which sizes read alike, the least halo, and each tile fitted by itself."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from itertools import chain
from math import ceil, lcm
from typing import Any, NamedTuple

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.graph.forward import Shaped
from rfcalc.plan.classes import Number
from rfcalc.plan.demand import Demand, Interval, demand
from rfcalc.plan.following import Following
from rfcalc.plan.lines import Apart, Barrier, LineView, view
from rfcalc.plan.solving import Axis, classes, congruence
from rfcalc.plan.together import Together

MOST_TRIED = 4096
MOST_TILES = 100_000  # on an axis

Range = tuple[int, int]  # half-open


class Part(NamedTuple):
    """A tile along one axis: read, and for each output what it writes and the crop."""

    read: Range
    write: tuple[Range, ...]
    crop: tuple[Range, ...]


class AxisTiles:
    """The tiles of one axis."""

    def __init__(
        self, following: Following, inputs: Sequence[Shape], axis: int, made: Shaped, multiple: int = 1
    ) -> None:
        # only sizes are taken that differ from the image's by multiples of `multiple`
        self.following, self.inputs, self.axis = following, tuple(inputs), axis
        self.network = network = following.at(inputs)
        self.together = Together(network, inputs, axis)
        self.size, self.view = self.together.size, self.together.view
        self.multiple = lcm(multiple, self.together.step)
        self.outputs = [network.position(name) for name in network.outputs]
        self.made = made
        self._views: dict[int, LineView | None] = {self.size: self.view}
        self._apart: dict[int, Apart | None] = {}
        self._lengths: dict[int, list[int | None] | None] = {}

    @property
    def barriers(self) -> list[Barrier]:
        found = list(self.view.barriers)
        if not found and self.view.wraps is None:
            edge = "circular padding and another one on the same axis: no tile's border can be both"
            found.append(Barrier(self.network.nodes[-1].name, "pad", edge))
        return found

    @cached_property
    def solved(self) -> Axis:
        given: dict[str, Any] = {"made": self.made, "following": self.following}
        together = self.together
        found = classes(self.following.network, self.inputs, together.varied(), **given)
        step, rest = together.step, together.size % together.step
        sized = [c._replace(modulus=c.modulus * step, rest=c.rest * step + rest) for c in found]
        sized.sort(key=lambda c: (c.first, c.modulus))
        return Axis(self.axis, congruence(sized), tuple(sized))

    @property
    def align(self) -> int:
        found = self.view.align
        for p in self.outputs:
            found = lcm(found, (1 / self.view.densities[p]).numerator)
        return found

    def steps(self) -> list[int]:
        """Output positions that one `align` stands for, by output."""
        return [int(self.view.densities[p] * self.align) for p in self.outputs]

    def window(self) -> tuple[int, int]:
        """Period and advance of the first output."""
        stride = 1 / self.view.densities[self.outputs[0]]
        return stride.denominator, stride.numerator

    def lengths(self, size: int) -> list[int | None] | None:
        """The length of every map for an input of this size; None if it is not taken."""
        if size not in self._lengths:
            self._lengths[size] = self._length(size)
        return self._lengths[size]

    def _length(self, size: int) -> list[int | None] | None:
        if (size - self.size) % self.multiple:
            return None
        for c in self.solved.taken:
            last = c.last
            if size >= c.first and (last is None or size <= last) and (size - c.rest) % c.modulus == 0:
                t = (size - c.rest) // c.modulus
                found: list[int | None] = []
                for p, place in enumerate(self.view.places):
                    if place is None:
                        found.append(None)
                        continue
                    value = c.shapes[p].dims[place.axis]
                    value = value.at(t) if isinstance(value, Number) else value
                    found.append(int(value) // (place.before * place.after))
                return found
        return None

    def alike(self, size: int, needed: Demand | None = None) -> bool:
        """Whether the network reads an input of this size as it reads the whole: all maps, or those that are needed;
        of what lies outside of the maps only what is needed counts."""
        if size not in self._apart:
            tile = self.tile_view(size)
            self._apart[size] = None if tile is None else self.view.apart(tile)
        apart = self._apart[size]
        if apart is None or needed is None:
            return apart is not None and not apart.within
        return not apart.outside & needed.touching and all(needed.hulls[p] is None for p in apart.within)

    def tile_view(self, size: int) -> LineView | None:
        """The axis of an input of this size; None if the network refuses it."""
        if size not in self._views:
            inputs, factors = self.together.at(size), self.together.factors
            try:
                self._views[size] = view(self.following.at(inputs), inputs, self.axis, self.view, factors)
            except RfcalcError:
                self._views[size] = None
        return self._views[size]

    @cached_property
    def modulus(self) -> int:
        """Sizes that differ by a multiple of it are taken, or refused, alike (if they are large)."""
        found = lcm(self.align, self.multiple)
        for c in self.solved.found:
            if c.last is None:
                found = lcm(found, c.modulus)
        return found

    # -- the halo ------------------------------------------------------------------------------------------------

    def need(self) -> tuple[int, int]:
        """How far a tile must read before the place of what it writes, and after: the greatest over all maps."""
        view_, align = self.view, self.align
        units = {p: (0, step - 1) for p, step in zip(self.outputs, self.steps(), strict=True)}
        hulls = demand(view_, units, clipped=False).hulls
        left = max(ceil(-hull[0] / view_.densities[p]) for p, hull in enumerate(hulls) if hull is not None)
        ends = []
        for c in self.solved.taken:
            if c.last is not None:
                continue
            end = None
            for p, hull in enumerate(hulls):
                if hull is None:
                    continue
                place = view_.places[p]
                assert place is not None
                value = c.shapes[p].dims[place.axis]
                density = view_.densities[p]
                others = place.before * place.after
                start = Fraction(value.coefficients[0] if isinstance(value, Number) else value, others)
                extra = start - density * c.rest  # the map has density·n + extra positions
                least = ceil((hull[1] + 1 - extra) / density) - align
                end = least if end is None else max(end, least)
            if end is not None:
                ends.append(end)
        if not ends:  # only some sizes are taken: the input's hull says what is needed
            ends = [self._last(hulls) - align]
        return left, min(ends)

    def halo(self, count: int = 64) -> tuple[int, int] | None:
        """The least aligned halo of a tile that writes `count` aligns, far from the border; None if no size fits."""
        left, right = self.need()
        before = ceil(Fraction(left, self.align)) * self.align
        units = {p: (0, count * step - 1) for p, step in zip(self.outputs, self.steps(), strict=True)}
        hulls = demand(self.view, units, clipped=False).hulls
        for after in range(right, right + 2 * self.modulus + 1):
            size = before + count * self.align + after
            if size > 0 and self._holds(hulls, -before, size, ends=None) and self.alike(size):
                return before, after
        return None

    def _holds(
        self, hulls: Sequence[Interval | None], start: int, size: int, ends: Sequence[int | None] | None
    ) -> bool:
        """Whether a tile from `start` on holds these positions of every map (and ends in time, where it must)."""
        lengths = self.lengths(size)
        if lengths is None:
            return False
        for p, hull in enumerate(hulls):
            length = lengths[p]
            if hull is None or length is None:
                continue
            origin = start * self.view.densities[p]
            if origin.denominator != 1 or origin > hull[0] or origin + length - 1 < hull[1]:
                return False
            end = None if ends is None else ends[p]
            if end is not None and origin + length > end:
                return False
        return True

    # -- the tiles -----------------------------------------------------------------------------------------------

    @property
    def extent(self) -> int:
        """Input positions that the outputs stand for, in aligns."""
        lengths = [(self.view.lengths[p] or 0) / self.view.densities[p] for p in self.outputs]
        return ceil(max(lengths) / self.align)

    def check_count(self, count: int) -> None:
        """Refuse more tiles than can be planned.

        Raises:
            LimitError: they are too many.
        """
        if count > MOST_TILES:
            raise LimitError(
                f"{count:,} tiles on axis {self.axis} are too many",
                why=f"at most {MOST_TILES:,} on an axis are planned; the image has {self.size:,} positions there",
                fix="give larger tiles, or plan a part of the image",
            )

    def part(self, first: int, last: int) -> Part:
        """The tile that writes the aligns first … last − 1."""
        writes = []
        units: dict[int, Interval] = {}
        for p, step in zip(self.outputs, self.steps(), strict=True):
            length = self.view.lengths[p] or 0
            write = (min(first * step, length), min(last * step, length) if last < self.extent else length)
            writes.append(write)
            if write[0] < write[1]:
                old = units.get(p)
                new = (write[0], write[1] - 1)
                units[p] = new if old is None else (min(old[0], new[0]), max(old[1], new[1]))
        needed = demand(self.view, units)
        read_ = self._around(units) if self._goes_round(needed) else self._fitted(needed)
        lengths = self.lengths(read_[1] - read_[0])
        assert lengths is not None
        crops = []
        for p, (begin, end) in zip(self.outputs, writes, strict=True):
            origin = int(read_[0] * self.view.densities[p])
            crops.append((begin - origin, end - origin) if begin < end else (0, 0))
        return Part(read_, tuple(writes), tuple(crops))

    def _fitted(self, needed: Demand) -> Range:
        """The least range of the image that holds what is needed of every map."""
        hulls, ends, _ = needed
        start = self.size // self.align * self.align
        for p, hull in enumerate(hulls):
            if hull is not None:
                start = min(start, int(hull[0] / self.view.densities[p]) // self.align * self.align)
        least = self._last(hulls)
        start = max(start, 0)
        while True:
            last = min(self.size, max(least, start + 1) + 2 * self.modulus + MOST_TRIED)
            for end in chain(range(max(least, start + 1), last + 1), [self.size]):
                if self._holds(hulls, start, end - start, ends) and self.alike(end - start, needed):
                    return start, end
            if start == 0:
                return 0, self.size
            start = max(start - self.align, 0)

    def _last(self, hulls: Sequence[Interval | None]) -> int:
        """The position beyond the last one of the image that is needed, of any input."""
        pairs = zip(hulls, self.together.sizes, strict=False)
        return max((size.image(hull[1] + 1) for hull, size in pairs if hull and size), default=1)

    def _goes_round(self, needed: Demand) -> bool:
        """Whether a tile may read beyond the ends: maps of which that is needed repeat as the image does."""
        if not self.view.wraps or not needed.touching or self.size % self.align:
            return False
        sources = {self.view.edges[p][i].source for p, i in needed.touching}
        return all(self.view.lengths[s] == self.size * self.view.densities[s] for s in sources)

    def _around(self, units: dict[int, Interval]) -> Range:
        """The least range on an axis that wraps around."""
        hulls = demand(self.view, units, clipped=False).hulls
        densities, align = self.view.densities, self.align
        start = min(int(hull[0] // densities[p]) // align * align for p, hull in enumerate(hulls) if hull)
        least = self._last(hulls)
        for end in range(max(least, start + 1), start + self.size):
            if self._holds(hulls, start, end - start, None) and self.alike(end - start):
                return start, end
        return 0, self.size
