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
from math import prod
from typing import Any, NamedTuple

from rfcalc.core.layer import POINTWISE
from rfcalc.core.window import STEP, All, Border, Slide, Table
from rfcalc.graph.forward import Shaped, relation
from rfcalc.plan.arena import Layout, live

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


class Part(NamedTuple):
    """One patch: its box of every map of the first part (None: it reads nothing of it)."""

    boxes: tuple[Box | None, ...]


def boxes(walked: Shaped, cut: int, box: Box) -> tuple[Box | None, ...]:
    """What a box of the map at `cut` reads of every earlier map: the hull, cut at the map's borders.

    Raises:
        Unpatchable: a node whose units cannot be told by runs of positions.
    """
    found: list[Box | None] = [None] * (cut + 1)
    found[cut] = box
    arity = walked.network.arity
    for position in range(cut, arity - 1, -1):
        mine = found[position]
        if mine is None:
            continue
        node = walked.network.nodes[position - arity]
        for s, alternatives in zip(walked.network.sources[position - arity], relation(walked, position), strict=True):
            for reads in alternatives:
                read = mine if reads is POINTWISE else read_box(mine, reads, walked.shapes[s].dims, node.name)
                found[s] = read if found[s] is None else _hull(found[s], read)
    return tuple(found)


def _hull(a: Box | None, b: Box) -> Box:
    return b if a is None else tuple((min(p[0], q[0]), max(p[1], q[1])) for p, q in zip(a, b, strict=True))


def read_box(mine: Box, reads: Any, dims: tuple[Any, ...], node: str) -> Box:
    """The box that a box of a node's output reads of one of its inputs."""
    found = []
    for (out, index), n in zip(reads, dims, strict=True):
        if isinstance(index, All) or (out is None and index is STEP):
            found.append((0, int(n)))
        elif index is STEP:
            found.append(mine[out])
        elif isinstance(index, (Slide, Table)) and index.border == Border.ZEROS and out is not None:
            low, high = mine[out]
            ends = [_ends(index, u) for u in _extremes(index, low, high)]
            seen = [e for e in ends if e is not None]
            if not seen:
                raise Unpatchable(f"{node} reads nothing there")
            found.append((max(0, min(e[0] for e in seen)), min(int(n), max(e[1] for e in seen) + 1)))
        else:
            raise Unpatchable(f"{node} re-arranges positions, or brings pixels in at the border")
    return tuple((low, max(low + 1, high)) if high <= low else (low, high) for low, high in found)


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
    arity, shape = walked.network.arity, walked.shapes[cut]
    axes = shape.axes
    if len(axes) != len(grid) or any(g > shape.dims[a] for g, a in zip(grid, axes, strict=True)):
        raise Unpatchable("there are more patches than positions")
    sides = [divided(int(shape.dims[a]), g) for a, g in zip(axes, grid, strict=True)]
    rest_live = live(walked, laid, itemsize, count_input=count_input)
    whole = max(rest_live)
    most, work = 0, 0
    for chosen in product(*sides):
        box = [(0, int(n)) for n in shape.dims]
        for axis, side in zip(axes, chosen, strict=True):
            box[axis] = side
        found = boxes(walked, cut, tuple(box))
        sizes = [0 if b is None else prod(high - low for low, high in b) for b in found]
        most = max(most, _peak(walked, laid, cut, sizes))
        for p in range(arity, cut + 1):
            full = int(walked.shapes[p].values)
            work += int(walked.costs[p].macs) * sizes[p] // full if full else 0
    inputs = sum(int(s.values) for s in walked.shapes[:arity]) if count_input else 0
    output = int(shape.values)
    patch_bytes = (most + output + inputs) * itemsize
    rest_bytes = max(rest_live[cut + 1 :], default=output * itemsize)
    macs = sum(int(c.macs) for c in walked.costs)
    first = sum(int(c.macs) for c in walked.costs[: cut + 1])
    names = [*walked.network.inputs, *(node.name for node in walked.network.nodes)]
    return Patches(
        names[cut], grid, max(patch_bytes, rest_bytes), patch_bytes, rest_bytes, whole, macs, macs - first + work,
        count_input,
    )  # fmt: skip


def divided(n: int, parts: int) -> list[tuple[int, int]]:
    """Runs as equal as they can be."""
    return [(n * i // parts, n * (i + 1) // parts) for i in range(parts)]


def _peak(walked: Shaped, laid: Layout, cut: int, sizes: list[int]) -> int:
    """The largest sum of values of a patch's maps that live at once; the input is read where it lies, the output of the
    part is written where it is put together."""
    arity = walked.network.arity
    last: dict[int, int] = {}
    for p in range(arity, cut + 1):
        for s in (p, *walked.network.sources[p - arity]):
            last[laid.own[s]] = max(last.get(laid.own[s], 0), p)
    most = now = 0
    alive: dict[int, int] = {}
    for p in range(arity, cut + 1):
        memory = laid.own[p]
        if memory >= arity and memory != laid.own[cut] and walked.network.sources[memory - arity]:
            now += max(0, sizes[p] - alive.get(memory, 0))
            alive[memory] = max(alive.get(memory, 0), sizes[p])
        channels = int(walked.shapes[p].channels)
        most = max(most, now + (sizes[p] // channels if laid.beside[p] else 0))
        for m in [m for m in alive if last[m] == p]:
            now -= alive.pop(m)
    return most


def search(
    walked: Shaped,
    laid: Layout,
    cuts: list[int],
    itemsize: int,
    *,
    count_input: bool = True,
    most_work: float | None = None,
    budget: int | None = None,
    largest_grid: int = 8,
) -> Patches | None:
    """The plan with the least peak whose work is at most `most_work` times that of the whole, or, within a budget of
    bytes, the one with the least work; None if there is none. Square grids of 2 to `largest_grid` patches an axis."""
    best: tuple[tuple[float, ...], Patches] | None = None
    rest = live(walked, laid, itemsize, count_input=count_input)
    for cut in cuts:
        rank = walked.shapes[cut].rank
        least = max(rest[cut + 1 :], default=0)
        enough = budget if budget is not None else best[1].peak_bytes if best else least
        if not rank or least > enough:
            continue  # no grid makes the rest smaller
        for side in range(2, largest_grid + 1):
            try:
                plan = patched(walked, laid, cut, (side,) * rank, itemsize, count_input=count_input)
            except Unpatchable:
                break
            if budget is not None and plan.peak_bytes > budget:
                continue
            if most_work is not None and plan.ratio > most_work:
                break  # a finer grid only costs more
            key = (plan.patched_macs, plan.peak_bytes) if budget is not None else (plan.peak_bytes, plan.patched_macs)
            if best is None or key < best[0]:
                best = (key, plan)
    return best[1] if best else None
