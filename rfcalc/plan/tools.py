"""A plan of tiles in other tools' words, and what a given overlap amounts to.

- bioimage.io: `halo`, output pixels to cut from each side; sizes as min and step.
- CAREamics: `tile_overlap`, both sides together; half of it is cut on each side.
- Real-ESRGAN: `tile_pad`, input pixels on each side of what is written.
- OTBTF: `rfield` (what is read) and `efield` (what is written).
- MONAI, nnU-Net: a share of the tile; both blend the tiles instead of cutting them, which is never exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.window import STEP, Border

if TYPE_CHECKING:
    from rfcalc.plan.axis_tiles import AxisTiles
    from rfcalc.plan.tile import TilePlan

TOOLS = ("bioimageio", "monai", "careamics", "real-esrgan", "otbtf", "nnunet")
BLENDS = "it blends overlapping tiles instead of cutting them: seams get smaller, values are not those of the whole"


class Side(NamedTuple):
    """The largest tile of an axis as other tools want it: alike on both sides."""

    read: int
    write: int  # in input positions
    side: int  # input positions on each side
    cut: int  # output positions cut on each side


def sides(plan: TilePlan) -> tuple[Side, ...]:
    """For each axis the tile whose both sides have the larger halo, rounded up to the grid."""
    found = []
    for line, axis in zip(plan.lines, plan.axes, strict=True):
        before, after = axis.halo
        side = ceil(Fraction(max(before, after, 0), axis.align)) * axis.align
        written = max((p.write[0][1] - p.write[0][0] for p in plan.parts[axis.axis]), default=0)
        density = line.view.densities[line.outputs[0]]
        write = max(int(written / density) // axis.align, 1) * axis.align
        cut = max(0, ceil(max(before, _after(line, before, after, write)) * density))
        found.append(Side(write + 2 * side, write, side, cut))
    return tuple(found)


def _after(line: AxisTiles, before: int, after: int, write: int) -> int:
    """Input positions that the output of a tile goes on behind what is written."""
    lengths = line.lengths(before + write + after)
    if lengths is None:
        return after
    density = line.view.densities[line.outputs[0]]
    return int((lengths[line.outputs[0]] or 0) / density) - write - before


def _shorter(line: AxisTiles, write: int) -> tuple[int, int] | None:
    """The size of a tile, and what it gives, where that is less than what lies in its place (padding is missing)."""
    halo = line.halo(write // line.align)
    lengths = None if halo is None else line.lengths(size := write + sum(halo))
    if lengths is None:
        return None
    output = line.outputs[0]
    gives = lengths[output] or 0
    return (size, gives) if gives < int(size * line.view.densities[output]) else None


def settings(plan: TilePlan, tool: str) -> dict[str, Any]:
    """The settings of another tool for this plan.

    Raises:
        RfcalcError: there are no tiles.
    """
    if plan.barriers:
        raise RfcalcError("there are no tiles", where=plan.barriers[0].node, why=plan.barriers[0].why)
    found = sides(plan)
    read, write, side = ([getattr(s, name) for s in found] for name in ("read", "write", "side"))
    shorter = [length for line, s in zip(plan.lines, found, strict=True) if (length := _shorter(line, s.write))]
    if shorter:
        size, gives = shorter[0]
        if tool == "otbtf":
            halos = [line.halo(w // line.align) or (0, 0) for line, w in zip(plan.lines, write, strict=True)]
            return {"rfield": [w + sum(h) for w, h in zip(write, halos, strict=True)], "efield": write}
        why = f"a tile of {size} gives {gives} positions, and {tool} lays tiles out as if each gave as much as it reads"
        return {"exact": False, "note": f"no setting: {why}; plan.run or the ranges of the plan do"}
    if tool == "bioimageio":
        axes = [
            {"size": {"min": s.side * 2 + a.align, "step": line.modulus}, "halo": s.cut}
            for s, a, line in zip(found, plan.axes, plan.lines, strict=True)
        ]
        return {"axes": axes, "note": "min and step of the input's axes, halo of the output's"}
    if tool == "monai":
        share = [_share(r, w) for r, w in zip(read, write, strict=True)]
        return {"roi_size": read, "overlap": share, "mode": "constant", "exact": False, "note": f"MONAI: {BLENDS}"}
    if tool == "careamics":
        return {"tile_size": read, "tile_overlap": [2 * s for s in side]}
    if tool == "real-esrgan":
        return {"tile": max(write), "tile_pad": max(side), "pre_pad": 0}
    if tool == "otbtf":
        return {"rfield": read, "efield": write}
    step = min(
        w * 10_000 // r for r, w in zip(read, write, strict=True)
    )  # one for all axes: the one that overlaps most
    return {"patch_size": read, "tile_step_size": step / 10_000, "exact": False, "note": f"nnU-Net: {BLENDS}"}


def _share(read: int, write: int) -> float:
    """The share of a tile that overlaps, from which MONAI finds the step again: int(read · (1 − share)).

    >>> _share(48, 16), int(48 * (1 - _share(48, 16)))
    (0.6666, 16)
    """
    share = (read - write) * 10_000 // read
    while int(read * (1 - share / 10_000)) < write:
        share -= 1
    return share / 10_000


class Judged(NamedTuple):
    """What an overlap does to the output."""

    side: int
    needed: tuple[tuple[int, int], ...]
    differing: int
    values: int
    exact: bool
    text: str


def judge(plan: TilePlan, overlap: int, size: int | None = None, told: Sequence[str] = ()) -> Judged:
    """What an overlap (both sides of a tile together) amounts to: how many output values may differ from the whole.

    Tiles of `size` positions are read every size − overlap positions, the last one is moved to the image's end, and
    half
    the overlap is cut on each side, as the common tools do. A value differs if it depends on a position that its tile
    lacks, pads otherwise, or puts on another grid.

    Raises:
        RfcalcError: there are no tiles; the overlap is not smaller than the tile.
    """
    settings(plan, "careamics")
    if overlap < 0:
        raise RfcalcError(f"an overlap of {overlap} is no overlap", fix="give both sides together, 0 or more")
    side = overlap // 2
    clean, whole = [], []
    for line, parts in zip(plan.lines, plan.parts, strict=True):
        read = size or max(p.read[1] - p.read[0] for p in parts)
        read = min(read, line.size)
        if overlap >= read and read < line.size:
            raise RfcalcError(f"an overlap of {overlap} leaves nothing of a tile of {read}", fix="give a larger --tile")
        output = line.outputs[0]
        density = line.view.densities[output]
        right: dict[int, bool] = {}  # by output position: whether the tile that writes it last computes it as the whole
        starts = list(range(0, max(line.size - read, 0) + 1, max(read - overlap, 1)))
        if starts[-1] + read < line.size:
            starts.append(line.size - read)
        for start in starts:
            end = start + read
            first = 0 if start == 0 else ceil((start + side) * density)
            last = line.view.lengths[output] or 0
            last = last if end == line.size else min(last, ceil((end - side) * density))
            held = _clean(line, start, read)
            right |= {u: u in held for u in range(first, last)}
        clean.append(sum(right.values()))
        whole.append(int(line.view.lengths[output] or 0))
    channels = plan.walked.shapes[plan.lines[0].outputs[0]].values // prod(whole)
    values = int(channels * prod(whole))
    differing = int(values - channels * prod(clean))
    needed = tuple(axis.need for axis in plan.axes)
    most = max(max(n) for n in needed)
    text = f"{side} a side; {most} are needed" + (
        f": {differing:,} of {values:,} output values may differ" if differing else ": every output value is exact"
    )
    return Judged(side, needed, differing, values, differing == 0, ". ".join([text, *[t.rstrip(".") for t in told]]))


def _clean(line: AxisTiles, start: int, size: int) -> set[int]:
    """The output positions, in places of the whole, that a tile computes as the whole does."""
    whole = line.view
    tile = line.tile_view(size)
    if line.lengths(size) is None or tile is None or tile.barriers or tile.places != whole.places:
        return set()
    found: list[set[int] | None] = []  # the positions of each map that are right
    for p, length in enumerate(tile.lengths):
        if length is None:
            found.append(None)
            continue
        origin = start * whole.densities[p]
        if origin.denominator != 1:
            return set()
        at = int(origin)
        if p < line.network.arity:
            found.append(set(range(at, at + length)))
            continue
        good = set(range(at, min(at + length, whole.lengths[p] or 0)))
        for edge, there in zip(tile.edges[p], whole.edges[p], strict=True):
            held = found[edge.source] or set()
            if edge.reads is STEP and there.reads is STEP:
                good &= held
                continue
            inside = whole.lengths[edge.source] or 0, tile.lengths[edge.source] or 0
            before = int(start * whole.densities[edge.source])
            good = {u for u in good if _same((there.reads, edge.reads), (u, u - at), inside, before, held)}
        found.append(good)
    return found[line.outputs[0]] or set()


def _same(
    reads: tuple[Any, Any], units: tuple[int, int], lengths: tuple[int, int], origin: int, held: set[int]
) -> bool:
    """Whether a unit (of the whole, and the same one of a tile) reads the same positions, all of which are right."""
    theirs, mine = (
        [_stands(q, n, index.border) for q in index.taps(unit)]
        for index, unit, n in zip(reads, units, lengths, strict=True)
    )
    if [None if q is None else q + origin for q in mine] != theirs:
        return False
    return all(q is None or q in held for q in theirs)


def _stands(q: int, n: int, border: str) -> int | None:
    """The position of a map of n that stands for q; None where nothing does."""
    if 0 <= q < n or border == Border.ZEROS:
        return q if 0 <= q < n else None
    if border == Border.REFLECT:
        return -q if q < 0 else 2 * (n - 1) - q
    return (0 if q < 0 else n - 1) if border == Border.REPLICATE else q % n
