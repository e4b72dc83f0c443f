"""Patch-based inference: the first part of a network runs patch by patch, the rest as a whole.

The first part ends where a single map leads on. Its output is divided into a grid; of every map before it each patch
computes only what its part of the output reads, cut at the map's own borders, so that patches at the border are
smaller. What neighbouring patches both read is computed twice: that is the extra work. The peak is the larger of two:
of a patch (its maps, the whole output of the first part, and the input if it is counted), and of the rest (Lin et al.
2021, "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning", whose figures leave the input out).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import gcd, lcm, prod
from operator import mul
from typing import Any, NamedTuple

from rfcalc.core.layer import POINTWISE, Alternatives
from rfcalc.core.window import STEP, All, Border, Slide, Table
from rfcalc.graph.forward import Shaped, relation
from rfcalc.plan.arena import Layout, given, live

Box = tuple[tuple[int, int], ...]  # half-open, an axis of the map each


class Unpatchable(Exception):
    """A node of the first part cannot be computed in patches; says why."""


@dataclass(frozen=True)
class Patches:
    """A plan: where the first part ends, the grid, the peak with it and without, and the work."""

    cut: str
    grid: tuple[int, ...]
    peak_bytes: int
    patch_bytes: int
    rest_bytes: int
    whole_bytes: int
    macs: int
    patched_macs: int
    count_input: bool
    rolling: bool = False  # in strips whose rows are kept as long as they are read, instead of patches

    @property
    def ratio(self) -> float:
        """The work with patches against the work without."""
        return self.patched_macs / self.macs if self.macs else 1.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "cut": self.cut,
            "grid": list(self.grid),
            "peak_bytes": {"whole": self.whole_bytes, "patched": self.peak_bytes},
            "patch_bytes": self.patch_bytes,
            "rest_bytes": self.rest_bytes,
            "macs": {"whole": self.macs, "patched": self.patched_macs, "ratio": round(self.ratio, 6)},
            "input_counted": self.count_input,
            "rolling": self.rolling,
        }


class Reads:
    """Index relations of the nodes, each asked for once."""

    def __init__(self, walked: Shaped) -> None:
        self.walked = walked
        self._known: dict[int, list[tuple[int, Alternatives]]] = {}

    def of(self, position: int) -> list[tuple[int, Alternatives]]:
        """Each source of a node, with what is read of it."""
        if position not in self._known:
            sources = self.walked.network.sources[position - self.walked.network.arity]
            self._known[position] = list(zip(sources, relation(self.walked, position), strict=True))
        return self._known[position]

    def axes(self, position: int) -> Iterator[tuple[int, int, int | None, Any]]:
        """Of a node: a source, one of its axes, the axis of the output that decides what is read of it, and how."""
        for s, alternatives in self.of(position):
            for reads in alternatives:
                for axis in range(len(self.walked.shapes[s].dims)):
                    yield s, axis, *((axis, STEP) if reads is POINTWISE else reads[axis])


def boxes(walked: Shaped, cut: int, box: Box, reads: Reads | None = None) -> tuple[Box | None, ...]:
    """What a box of the map at `cut` reads of every earlier map: the hull, cut at the map's borders.

    Raises:
        Unpatchable: a node whose units cannot be told by runs of positions.
    """
    known = reads or Reads(walked)
    found: list[Box | None] = [None] * (cut + 1)
    found[cut] = box
    arity = walked.network.arity
    for position in range(cut, arity - 1, -1):
        mine = found[position]
        if mine is None:
            continue
        node = walked.network.nodes[position - arity]
        for s, alternatives in known.of(position):
            for one in alternatives:
                told = tuple((axis, STEP) for axis in range(len(mine))) if one is POINTWISE else one
                read = read_box(mine, told, walked.shapes[s].dims, node.name)
                found[s] = read if found[s] is None else _hull(found[s], read)
    return tuple(found)


def _hull(a: Box | None, b: Box) -> Box:
    return b if a is None else tuple((min(p[0], q[0]), max(p[1], q[1])) for p, q in zip(a, b, strict=True))


def read_box(mine: Box, reads: Any, dims: tuple[Any, ...], node: str) -> Box:
    """The box that a box of a node's output reads of one of its inputs."""
    return tuple(
        (0, int(n)) if whole(out, index) else read_run(index, None if out is None else mine[out], int(n), node)
        for (out, index), n in zip(reads, dims, strict=True)
    )


def whole(out: int | None, index: Any) -> bool:
    """Whether a node reads the whole of an axis, whichever units are asked for."""
    return isinstance(index, All) or (out is None and index is STEP)


def read_run(index: Any, units: tuple[int, int] | None, extent: int, node: str) -> tuple[int, int]:
    """What a run of units reads of an axis, cut at its borders; one position where all of it lies in the padding.

    Raises:
        Unpatchable: the index cannot be told by runs of positions, or none of the units reads anything.
    """
    if units is not None and index is STEP:
        low = min(units[0], extent - 1)
        return low, max(low + 1, min(extent, units[1]))
    if units is None or not isinstance(index, (Slide, Table)) or index.border != Border.ZEROS:
        raise Unpatchable(f"{node} re-arranges positions, or brings pixels in at the border")
    seen = [e for e in (_ends(index, u) for u in _extremes(index, *units)) if e is not None]
    if not seen:
        raise Unpatchable(f"{node} reads nothing there")
    low = min(max(0, min(min(e) for e in seen)), extent - 1)
    return low, max(low + 1, min(extent, max(max(e) for e in seen) + 1))


def _extremes(index: Slide | Table, low: int, high: int) -> Iterator[int]:
    """Units of a run whose windows reach farthest to either side: those of one period at each end."""
    yield from range(low, min(high, low + index.period))
    yield from range(max(low, high - index.period), high)


def _ends(index: Slide | Table, unit: int) -> tuple[int, int] | None:
    taps = index.taps(unit)
    return (taps[0], taps[-1]) if taps else None


def patched(
    walked: Shaped, laid: Layout, cut: int, grid: tuple[int, ...], itemsize: int, *, count_input: bool = True
) -> Patches:
    """The plan for one cut and one grid.

    Raises:
        Unpatchable: a node of the first part cannot be computed in patches, or there are more patches than positions.
    """
    shape = walked.shapes[cut]
    axes = shape.axes
    if len(axes) != len(grid) or any(g > shape.dims[a] for g, a in zip(grid, axes, strict=True)):
        raise Unpatchable("there are more patches than positions")
    sides = [divided(int(shape.dims[a]), g) for a, g in zip(axes, grid, strict=True)]
    reads, together = Reads(walked), moments(walked, laid, cut)
    most, computed = 0, [0] * (cut + 1)
    for chosen in product(*sides):
        box = [(0, int(n)) for n in shape.dims]
        for axis, side in zip(axes, chosen, strict=True):
            box[axis] = side
        found = boxes(walked, cut, tuple(box), reads)
        sizes = [0 if b is None else prod(high - low for low, high in b) for b in found]
        most = max(most, *(values_at(sizes, moment) for moment in together))
        computed = [a + b for a, b in zip(computed, sizes, strict=True)]
    rates, unit = work_rates(walked, cut)
    work = sum(map(mul, rates, computed)) // unit
    return plan_of(walked, laid, cut, grid, itemsize, most, work, count_input=count_input)


class Place(NamedTuple):
    """A place to cut: bytes below which no division there comes, what the rest needs, what every piece has beside it
    (the whole output of the first part, and the input if it is counted), and the position."""

    least: int
    rest: int
    held: int
    cut: int


def places(walked: Shaped, laid: Layout, cuts: list[int], itemsize: int, *, count_input: bool = True) -> list[Place]:
    """Places to cut where maps have positions, the most promising first."""
    behind = [0]  # from the end: the most that lives while that position or a later one runs
    for bytes_ in reversed(live(walked, laid, itemsize, count_input=count_input)):
        behind.append(max(behind[-1], bytes_))
    inputs = sum(int(s.values) for s in walked.shapes[: walked.network.arity]) if count_input else 0
    found = []
    for cut in cuts:
        output = int(walked.shapes[cut].values)
        rest, held = behind[-cut - 2] or output * itemsize, (output + inputs) * itemsize
        if walked.shapes[cut].rank:
            found.append(Place(max(held, rest), rest, held, cut))
    return sorted(found)


def plan_of(
    walked: Shaped, laid: Layout, cut: int, grid: tuple[int, ...], itemsize: int, most: int, work: int, *,
    count_input: bool, rolling: bool = False,
) -> Patches:  # fmt: skip
    """The plan of which the largest piece needs so many values beside what all have, and the first part so many
    multiply-adds."""
    (place,) = places(walked, laid, [cut], itemsize, count_input=count_input)
    pieces = place.held + most * itemsize
    macs = [int(c.macs) for c in walked.costs]
    names = [*walked.network.inputs, *(node.name for node in walked.network.nodes)]
    return Patches(
        names[cut], grid, max(pieces, place.rest), pieces, place.rest,
        max(live(walked, laid, itemsize, count_input=count_input)), sum(macs), sum(macs[cut + 1 :]) + work,
        count_input, rolling,
    )  # fmt: skip


def divided(n: int, parts: int) -> list[tuple[int, int]]:
    """Runs as equal as they can be."""
    return [(n * i // parts, n * (i + 1) // parts) for i in range(parts)]


def work_rates(walked: Shaped, cut: int) -> tuple[list[int], int]:
    """Multiply-adds for a value of every map up to a cut, as whole multiples of a unit; how many units are one."""
    full = [int(s.values) for s in walked.shapes[: cut + 1]]
    macs = [int(c.macs) for c in walked.costs[: cut + 1]]
    unit = lcm(*(f // gcd(m, f) for m, f in zip(macs, full, strict=True) if m and f))
    return [m * unit // f if f else 0 for m, f in zip(macs, full, strict=True)], unit


class Moment(NamedTuple):
    """While one node of a patch runs: the positions whose maps share each memory that lives, and beside them one
    channel of a map (its position and how many channels it has)."""

    shared: tuple[tuple[int, ...], ...]
    beside: tuple[int, int] | None


def moments(walked: Shaped, laid: Layout, cut: int) -> list[Moment]:
    """What lives at once in a patch.

    The input is read where it lies and never written over: the next patch may read it again. What is only read in place
    on its way to the output is written where that is put together; what reaches beyond the patch lies apart.
    """
    arity, sources = walked.network.arity, walked.network.sources
    readers: dict[int, list[int]] = {}
    for p in range(arity, cut + 1):
        for s in sources[p - arity]:
            readers.setdefault(s, []).append(p)
    final = {cut}  # positions that are written where the output is put together
    for p in range(cut - 1, arity - 1, -1):
        if laid.own[p] == laid.own[cut] and all(r in final and not laid.beside[r] for r in readers.get(p, ())):
            final.add(p)

    def memory(p: int) -> int | None:
        return None if p < arity or p in final or given(walked, laid.own[p]) else laid.own[p]

    last: dict[int | None, int] = {}
    for p in range(arity, cut + 1):
        for s in (p, *sources[p - arity]):
            last[memory(s)] = p
    found: list[Moment] = []
    alive: dict[int, tuple[int, ...]] = {}
    for p in range(arity, cut + 1):
        mine = memory(p)
        if mine is not None:
            alive[mine] = (*alive.get(mine, ()), p)
        over = mine is not None and any(memory(s) == mine for s in sources[p - arity])
        beside = (p, int(walked.shapes[p].channels)) if laid.beside[p] and over else None
        found.append(Moment(tuple(alive.values()), beside))
        for m in [m for m in alive if last[m] == p]:
            del alive[m]
    return found


def values_at(sizes: list[int], moment: Moment) -> int:
    """Values that live at a moment, from the values of every map of a patch."""
    beside = sizes[moment.beside[0]] // moment.beside[1] if moment.beside else 0
    return sum([max([sizes[p] for p in shared]) for shared in moment.shared]) + beside
