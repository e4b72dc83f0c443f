"""The best patches: over all places to cut and all grids, the least peak for the work, or the least work for the bytes.

Every grid is compared, not only square ones, and none is left out because a coarser one did not do: finer grids need
not cost more (a part of an upsampled or padded map may read less). It stays fast because the axes are apart: what a
patch needs of a map is a run of rows times a run of columns, and each follows from the patch's own rows or columns. So
parts are followed once for each axis; the values that a grid computes of a map are the product of two sums; and among
the parts of an axis only those matter for the peak that no other part exceeds in every map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from operator import ge, mul
from typing import Any, NamedTuple

from rfcalc.core.window import Border, Slide
from rfcalc.graph.forward import Shaped
from rfcalc.plan.arena import Layout
from rfcalc.plan.patch import (
    Box,
    Moment,
    Patches,
    Reads,
    Unpatchable,
    boxes,
    divided,
    moments,
    patched,
    places,
    read_run,
    values_at,
    whole,
    work_rates,
)

LARGEST = 32  # parts of an axis

Follow = Callable[[int, int], tuple[int, ...]]


class Division(NamedTuple):
    """An axis in so many parts: of every map the positions that all parts need, and the parts that no other exceeds."""

    total: tuple[int, ...]
    largest: tuple[tuple[int, ...], ...]


def _followed(reads: Reads, cut: int, axis: int) -> list[int | None]:
    """For every map up to a cut the axis whose run follows from that of one axis of the cut."""
    found: list[int | None] = [None] * (cut + 1)
    found[cut] = axis
    for p in range(cut, reads.walked.network.arity - 1, -1):
        if found[p] is None:
            continue
        for s, mine, out, index in reads.axes(p):
            if not whole(out, index) and out == found[p]:
                if found[s] not in (None, mine):
                    raise Unpatchable("two axes of a map follow from one")
                found[s] = mine
    return found


def _follow(
    reads: Reads, cut: int, followed: list[list[int | None]], which: int, full: tuple[Box | None, ...]
) -> Follow:
    """A function from a run of an axis of the cut to the positions needed of every map along that axis."""
    walked, arity = reads.walked, reads.walked.network.arity
    mine = followed[which]
    plan: list[tuple[int, int, tuple[int, int, int] | None, Any, int, str]] = []
    fixed: list[tuple[int, int, int]] = []
    for p in range(cut, arity - 1, -1):
        box, name = full[p], walked.network.nodes[p - arity].name
        if box is None:
            continue
        for s, axis, out, index in reads.axes(p):
            if axis != mine[s]:
                continue
            extent = int(walked.shapes[s].dims[axis])
            if not whole(out, index) and out is not None and out == mine[p]:
                plan.append((p, s, _straight(index), index, extent, name))
            elif not whole(out, index) and out is not None and any(out == other[p] for other in followed):
                raise Unpatchable("an axis of a map follows from two")
            else:
                run = (
                    (0, extent)
                    if whole(out, index)
                    else read_run(index, None if out is None else box[out], extent, name)
                )
                fixed.append((s, *run))
    known: dict[tuple[Any, int, int, int], tuple[int, int]] = {}
    far = max(int(n) for shape in walked.shapes[: cut + 1] for n in shape.dims) + 1

    def follow(start: int, stop: int) -> tuple[int, ...]:
        low, high = [far] * (cut + 1), [0] * (cut + 1)
        low[cut], high[cut] = start, stop
        for s, a, b in fixed:
            low[s], high[s] = min(low[s], a), max(high[s], b)
        for p, s, straight, index, extent, name in plan:
            a, b = low[p], high[p]
            if straight is not None:
                stride, first, last = straight
                a, b = a * stride + first, (b - 1) * stride + last
                if a < 0:
                    a = 0
                elif a >= extent:
                    a = extent - 1
                if b > extent:
                    b = extent
                if b <= a:
                    b = a + 1
            else:
                key = (index, a, b, extent)
                if key not in known:
                    known[key] = read_run(index, (a, b), extent, name)
                a, b = known[key]
            if a < low[s]:
                low[s] = a
            if b > high[s]:
                high[s] = b
        return tuple([b - a if b else 1 for a, b in zip(low, high, strict=True)])

    return follow


def _straight(index: Any) -> tuple[int, int, int] | None:
    """Stride, first position and the position after the last of a window that moves forwards; None: by its rule."""
    if not isinstance(index, Slide) or index.border != Border.ZEROS or not index.counted:
        return None
    if index.stride < 0 or index.dilation < 1 or index.kernel < 1:
        return None
    return index.stride, index.first, index.first + index.dilation * (index.kernel - 1) + 1


def _divisions(follow: Follow, extent: int) -> dict[int, Division]:
    """All divisions of an axis; without those of which a part cannot be followed."""
    found = {}
    for parts in range(1, min(LARGEST, extent) + 1):
        try:
            runs = [follow(*run) for run in divided(extent, parts)]
        except Unpatchable:
            continue
        largest: list[tuple[int, ...]] = []
        for run in sorted(set(runs), key=sum, reverse=True):
            if not any(all(map(ge, other, run)) for other in largest):
                largest.append(run)
        found[parts] = Division(tuple(map(sum, zip(*runs, strict=True))), tuple(largest))
    return found


class _Cut:
    """One place to cut: the work of every grid, and the values that its largest patch needs."""

    def __init__(self, reads: Reads, laid: Layout, cut: int) -> None:
        walked, shape = reads.walked, reads.walked.shapes[cut]
        full = boxes(walked, cut, tuple((0, int(n)) for n in shape.dims), reads)
        followed = [_followed(reads, cut, axis) for axis in shape.axes]
        if any(
            len({f for f in at if f is not None}) < sum(f is not None for f in at) for at in zip(*followed, strict=True)
        ):
            raise Unpatchable("an axis of a map follows from two")
        self.fixed = [
            0 if box is None else prod(b - a for axis, (a, b) in enumerate(box) if all(f[p] != axis for f in followed))
            for p, box in enumerate(full)
        ]
        self.divisions: list[dict[int, Division]] = []
        for which, axis in enumerate(shape.axes):
            self.divisions.append(_divisions(_follow(reads, cut, followed, which, full), int(shape.dims[axis])))
        self.rates, self.unit = work_rates(walked, cut)
        self.moments: list[Moment] = moments(walked, laid, cut)

    def works(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The multiply-adds of every grid of more than one patch."""
        rates = list(map(mul, self.rates, self.fixed))
        *outer, inner = self.divisions
        for some in product(*outer):
            these = rates
            for parts, divisions in zip(some, outer, strict=True):
                these = list(map(mul, these, divisions[parts].total))
            for parts, division in inner.items():
                if parts > 1 or any(n > 1 for n in some):
                    yield sum(map(mul, these, division.total)) // self.unit, (*some, parts)

    def largest(self, grid: tuple[int, ...], most: float) -> int | None:
        """The most values of a patch that live at once; None if they are more than `most`."""
        found = 0
        for runs in product(*(d[parts].largest for d, parts in zip(self.divisions, grid, strict=True))):
            sizes = self.fixed
            for run in runs:
                sizes = list(map(mul, sizes, run))
            for at, moment in enumerate(self.moments):
                here = values_at(sizes, moment)
                if here > most:
                    self.moments.insert(0, self.moments.pop(at))  # where the next grid fails soonest
                    return None
                found = max(found, here)
        return found


def search(
    walked: Shaped,
    laid: Layout,
    cuts: list[int],
    itemsize: int,
    *,
    count_input: bool = True,
    most_work: float | None = None,
    budget: int | None = None,
) -> Patches | None:
    """The plan with the least peak whose work is at most `most_work` times that of the whole, or, within a budget of
    bytes, the one with the least work; None if there is none.

    All grids of 1 to `LARGEST` parts an axis are compared, but for those of a single patch. Of plans that are equal in
    peak and work, the one with the fewest patches is given, and of these the first cut's. Cuts behind which rows and
    columns of a map are mixed (a map added to its transposed) are left out.
    """
    macs = sum(int(c.macs) for c in walked.costs)
    reads = Reads(walked)
    best: tuple[int, int, int, int, tuple[int, ...]] | None = None
    for least, behind, held, cut in places(walked, laid, cuts, itemsize, count_input=count_input):
        if (budget is None and best is not None and least > best[0]) or (budget is not None and least > budget):
            break  # no grid makes the rest smaller
        try:
            here = _Cut(reads, laid, cut)
        except Unpatchable:
            continue
        after = sum(int(c.macs) for c in walked.costs[cut + 1 :])
        for work, grid in sorted(here.works(), reverse=budget is None):
            work += after
            if most_work is not None and macs and work / macs > most_work:
                continue
            limit: float = budget if budget is not None else float("inf")
            if best is not None and budget is None:
                limit = best[0]
            elif best is not None and work > best[0]:
                break
            values = here.largest(grid, (limit - held) // itemsize)
            if values is None:
                continue
            peak = max(held + values * itemsize, behind)
            first, second = (peak, work) if budget is None else (work, peak)
            key = (first, second, prod(grid), cut, grid)
            if best is None or key < best:
                best = key
    if best is None:
        return None
    return patched(walked, laid, best[3], best[4], itemsize, count_input=count_input)
