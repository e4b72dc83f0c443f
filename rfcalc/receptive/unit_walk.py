"""The real pixels that one unit sees, by walking back from it: this costs what its windows cost, at any length of map.
What all units see together is found in the same walk, which begins with all of them.

The companion of `region_walk`, which finds the pixels of all units at once by walking forward. On every map the unit
reads a union of boxes; a box is a set of positions for each axis, and a set is a tuple of runs (first, last), in order
and apart from one another. A layer replaces a box by what it reads of its input: on each axis the union over the
positions of the output axis that decides. Where several axes of the input follow one axis of the output, each position
of that axis is a box of its own.

The walk also notes at which end of a map something was cut off or mirrored (`left`, `right`), and whether a layer
depends on where in the map a unit lies (`placed`). Units at which none of this happens see the same as their neighbours
one period on, moved by the window's advance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import TypeAlias

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import POINTWISE, Reads
from rfcalc.core.shape import axis_groups
from rfcalc.core.size import is_number
from rfcalc.core.window import STEP, All, Border, Index, Listed, Scattered, Slide, Table, Unsized, resolve
from rfcalc.graph.forward import Shaped
from rfcalc.receptive.region import Mask, Region, absorb, few_enough, no_unit, runs
from rfcalc.receptive.region_walk import exact, told_apart
from rfcalc.receptive.unit_sets import boxes as boxes_of
from rfcalc.receptive.unit_sets import flattened, place

Runs: TypeAlias = "tuple[tuple[int, int], ...]"
Box: TypeAlias = "dict[int, Runs]"  # axis → positions

MOST_BOXES = 4000
MOST_REGROUPED = 1 << 20  # values of a map that are told apart back through a reshape


def union(parts: Iterable[tuple[int, int]]) -> Runs:
    """Runs in order, those that overlap or touch as one.

    >>> union([(4, 5), (0, 1), (2, 2), (8, 9)])
    ((0, 2), (4, 5), (8, 9))
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted(parts):
        if found and first <= found[-1][1] + 1:
            if last > found[-1][1]:
                found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return tuple(found)


def mask_of(positions: Runs) -> Mask:
    """The positions as the bits of a number.

    >>> bin(mask_of(((0, 1), (3, 3))))
    '0b1011'
    """
    if len(positions) < 64:
        mask = 0
        for first, last in positions:
            mask |= ((1 << (last - first + 1)) - 1) << first
        return mask
    digits, at = [], 0  # many runs: as text, in time that grows with its length
    for first, last in positions:
        digits += ["0" * (first - at), "1" * (last - first + 1)]
        at = last + 1
    return int("".join(digits)[::-1], 2)


class UnitWalk:
    """What one unit of a node, or all of them together, see of an input or an earlier node, in real pixels.

    >>> import rfcalc
    >>> report = rfcalc.analyze("conv3-8 > maxpool2", input="1x10000000")
    >>> UnitWalk(report, 2, (17,)).region
    Region(4 pixels in 4 at ((33, 36),))

    Args:
        walked: the network, with sizes in numbers.
        at, source: positions.
        unit: the unit's place on the node's axes, the channels left out; None: all units together.

    Raises:
        RfcalcError: an operator on the way was not understood, a size is a symbol, or there is no such unit.
        LimitError: what it sees is in too many separate parts.
    """

    def __init__(self, walked: Shaped, at: int, unit: Sequence[int] | None, source: int = 0) -> None:
        self.walked = walked
        self.left = self.right = self.placed = False
        shapes = walked.shapes
        for shape in (shapes[source], shapes[at]):
            if not all(is_number(n) for n in shape.dims):
                raise RfcalcError("regions need sizes in numbers", why=f"there is a map of {shape}", fix="give --input")
        extents = tuple(shapes[at].dims[i] for i in shapes[at].axes)
        ends = [(0, n - 1) for n in extents] if unit is None else [(u, u) for u in unit]
        if len(ends) != len(extents) or any(not 0 <= a <= b < n for (a, b), n in zip(ends, extents, strict=True)):
            raise no_unit(unit or (), extents)
        first: Box = {axis: (end,) for axis, end in zip(shapes[at].axes, ends, strict=True)}
        self.boxes = self._walk(at, first, source)

    @property
    def region(self) -> Region:
        """The pixels as a region."""
        source = self._source
        masks = [tuple(mask_of(box[axis]) for axis in source.axes) for box in self.boxes]
        return Region(masks, tuple(source.dims[i] for i in source.axes))

    def _walk(self, at: int, first: Box, source: int) -> list[Box]:
        walked, network = self.walked, self.walked.network
        self._source = walked.shapes[source]
        behind = self._fed(at, source)
        self._told = told_apart(walked, behind, source)
        found: dict[int, list[Box]] = {at: [first]}
        for position in range(at, max(network.arity, source + 1) - 1, -1):
            mine = found.pop(position, None)
            if not mine or position not in behind:
                continue
            node = network.nodes[position - network.arity]
            if node.layer.opaque:
                raise RfcalcError(
                    "an operator was not understood", where=node.name, why="nothing is known of what its units read"
                )
            sources = network.sources[position - network.arity]
            for s, alternatives in zip(sources, exact(walked, position, self._told), strict=True):
                if s not in behind and s != source:
                    continue
                for reads in alternatives:
                    for box in mine:
                        self._add(found.setdefault(s, []), self._back(box, reads, s, position))
        return found.get(source, [])

    def _fed(self, at: int, source: int) -> set[int]:
        """The positions up to `at` that the source feeds."""
        network = self.walked.network
        fed = {source}
        for position in range(max(network.arity, source + 1), at + 1):
            if any(s in fed for s in network.sources[position - network.arity]):
                fed.add(position)
        return fed

    def _add(self, kept: list[Box], boxes: Iterable[Box]) -> None:
        """Add boxes; two of which one lies in the other, or that differ on one axis only, are one."""
        for box in boxes:
            absorb(kept, box, _merged)
            few_enough(kept, MOST_BOXES)

    def _back(self, box: Box, reads: Reads, source: int, position: int) -> list[Box]:
        """What a layer reads of its input for the units of a box."""
        x, y = self.walked.shapes[source], self.walked.shapes[position]
        if reads is POINTWISE and (source in self._told) == (y.channel in box):
            return [box]
        if reads is POINTWISE:
            reads = tuple([(i, STEP) for i in range(len(x.dims))])
        layer = self.walked.network.nodes[position - self.walked.network.arity].layer
        if layer.row_major and all(positions == ((0, y.dims[axis] - 1),) for axis, positions in box.items()):
            self.placed = True  # all values, in other extents
            return [{i: ((0, x.dims[i] - 1),) for i in (range(len(x.dims)) if source in self._told else x.axes)}]
        if layer.row_major and (source in self._told or y.channel in box) and max(x.values, y.values) <= MOST_REGROUPED:
            return self._regrouped(box, source, position)
        if any(isinstance(index, Scattered) for _, index in reads):
            return self._scattered(box, source, position)
        self.placed = self.placed or any(isinstance(reads[axis][1], (All, Listed)) for axis in x.axes)
        whole = {y.channel: ((0, y.channels - 1),)} | box  # a unit is a position over all channels
        outs = [out for axis, (out, _) in enumerate(reads) if out is not None]
        shared = [out for out in dict.fromkeys(outs) if outs.count(out) > 1 and _count(whole[out]) > 1]
        apart = [[((u, u),) for a, b in whole[out] for u in range(a, b + 1)] for out in shared]
        found: list[Box] = []
        for chosen in product(*apart):
            one = whole | dict(zip(shared, chosen, strict=True))
            seen = {
                axis: self._read(one.get(out) if out is not None else ((0, 0),), index, x.dims[axis])
                for axis, (out, index) in enumerate(reads)
            }
            if all(seen.values()):
                kept = range(len(x.dims)) if source in self._told else x.axes
                found.append({axis: seen[axis] for axis in kept})
        return found

    def _regrouped(self, box: Box, source: int, position: int) -> list[Box]:
        """Back through a row-major reshape: the same values, channels told apart like positions."""
        x, y = self.walked.shapes[source], self.walked.shapes[position]
        self.placed = True
        whole = {y.channel: ((0, y.channels - 1),)} | box
        found: list[Box] = [{}]
        for before, after in axis_groups(x.dims, y.dims):
            if len(before) == len(after) == 1:
                parts: list[Box] = [{before[0]: whole[after[0]]}]
            else:
                start, flat = flattened(tuple(mask_of(whole[j]) for j in after), tuple(y.dims[j] for j in after))
                made = boxes_of(flat << start, tuple(x.dims[i] for i in before)) if before else [()]
                parts = [{i: tuple(runs(m)) for i, m in zip(before, masks, strict=True)} for masks in made]
            found = [{**one, **part} for one in found for part in parts]
        kept = range(len(x.dims)) if source in self._told else x.axes
        return [{axis: one[axis] for axis in kept} for one in found]

    def _read(self, units: Runs | None, index: Index, extent: int) -> Runs:
        """The real positions of an axis that these units read.

        A run of units 2 … 4 of a convolution (stride 2, kernel 3, padding 1) reads 2·2 − 1 … 2·4 − 1 + 2, one run.
        """
        if isinstance(index, Unsized):
            raise RfcalcError("regions need sizes in numbers", why=index.why, fix="give --input")
        assert units is not None
        if index is STEP:
            return units
        if isinstance(index, All):
            return ((0, index.extent - 1),)
        if isinstance(index, Slide):
            return self._inside(_slid(units, index), index.border, extent)
        assert isinstance(index, (Table, Listed))
        taps = (t for a, b in units for u in range(a, b + 1) for t in index.taps(u))
        return self._inside(union((t, t) for t in set(taps)), index.border, extent)

    def _inside(self, read: Runs, border: Border, extent: int) -> Runs:
        """The positions that lie on the map, and those that a border brings in for the others."""
        if not read or (read[0][0] >= 0 and read[-1][1] < extent):
            return read
        self.left = self.left or read[0][0] < 0
        self.right = self.right or read[-1][1] >= extent
        kept = [(max(a, 0), min(b, extent - 1)) for a, b in read if b >= 0 and a < extent]
        if border != Border.ZEROS:
            outside = [t for a, b in read for t in (*range(a, min(b, -1) + 1), *range(max(a, extent), b + 1))]
            brought = {resolve(t, extent, border) for t in outside}
            kept += [(t, t) for t in brought if t is not None]
        return union(kept)

    def _scattered(self, box: Box, source: int, position: int) -> list[Box]:
        """Unit by unit, where the layer itself says which positions a unit takes."""
        self.placed = True
        network = self.walked.network
        layer = network.nodes[position - network.arity].layer
        xs, x, y = self.walked.input_shapes(position), self.walked.shapes[source], self.walked.shapes[position]
        extents = tuple(x.dims[i] for i in x.axes)
        units = product(*([u for a, b in box[axis] for u in range(a, b + 1)] for axis in y.axes))
        places = {place(p, extents) for unit in units for p in layer.source(unit, xs, y)}
        masks = boxes_of(mask_of(union((p, p) for p in places)), extents) if places else []
        boxes = [{axis: tuple(runs(mask)) for axis, mask in zip(x.axes, found, strict=True)} for found in masks]
        return [{**b, x.channel: ((0, x.channels - 1),)} for b in boxes] if source in self._told else boxes


def _count(positions: Runs) -> int:
    return sum(b - a + 1 for a, b in positions)


def _slid(units: Runs, index: Slide) -> Runs:
    """What a sliding window reads for these units, padding counted."""
    stride, first, kernel, dilation = index.stride, index.first, index.kernel, index.dilation
    found: list[tuple[int, int]] = []
    for a, b in units:
        if dilation == 1 or kernel == 1:  # each unit reads a run: one run where they touch
            if kernel >= stride or a == b:
                found.append((stride * a + first, stride * b + first + kernel - 1))
            else:
                found += [(stride * u + first, stride * u + first + kernel - 1) for u in range(a, b + 1)]
        elif stride == 1:  # each tap reads the run, moved
            if b - a + 1 >= dilation:
                found.append((a + first, b + first + dilation * (kernel - 1)))
            else:
                found += [(a + first + dilation * t, b + first + dilation * t) for t in range(kernel)]
        else:
            found += [(t, t) for t in {t for u in range(a, b + 1) for t in index.taps(u)}]
    return union(found)


def _merged(a: Box, b: Box) -> Box | None:
    """One box for two, where one lies within the other or they differ on one axis only."""
    different = [axis for axis in a if a[axis] != b[axis]]
    if not different:
        return a
    if len(different) == 1:
        (axis,) = different
        return a | {axis: union((*a[axis], *b[axis]))}
    if all(union((*a[axis], *b[axis])) == a[axis] for axis in different):
        return a
    return b if all(union((*a[axis], *b[axis])) == b[axis] for axis in different) else None
