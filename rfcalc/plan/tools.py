"""A plan of tiles in other tools' words.

- bioimage.io: `halo`, output positions to cut from each side; sizes as min and step.
- CAREamics: `tile_overlap`, both sides together; half of it is cut on each side.
- Real-ESRGAN: `tile_pad`, input positions on each side of the `tile` that is written.
- OTBTF: `rfield` (what is read), `efield` (what is written), and what the model cuts a side (`inference_cropping`).
- MONAI, nnU-Net: a share of the tile; both blend the tiles instead of cutting them, which is never exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, lcm
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.plan.judging import clean

if TYPE_CHECKING:
    from rfcalc.plan.axis_tiles import AxisTiles
    from rfcalc.plan.tile import TilePlan

PADS = "bioimage.io pads the image by the halo: blocks equal the padded image in one piece, at its border too"
TOOLS = ("bioimageio", "monai", "careamics", "real-esrgan", "otbtf", "nnunet")
BLENDS = "it blends overlapping tiles instead of cutting them: seams get smaller, values are not those of the whole"


class Side(NamedTuple):
    """The largest tile of an axis as other tools want it, in input positions: alike on both sides."""

    read: int
    write: int
    side: int


def sides(plan: TilePlan, square: int = 0) -> tuple[Side, ...]:
    """For each axis the tile whose both sides have the larger halo, rounded up to the grid.

    The last `square` axes have the same tile. An axis that is not cut is read whole, and has no halo.
    """
    found = [_side(plan, [line]) for line in plan.lines]
    if square:
        found[-square:] = [_side(plan, plan.lines[-square:])] * square
    return tuple(found)


def _side(plan: TilePlan, lines: Sequence[AxisTiles]) -> Side:
    cut = [line for line in lines if len(plan.parts[line.axis]) > 1]
    if not cut:
        size = max(line.size for line in lines)
        return Side(size, size, 0)
    align = lcm(*[line.align for line in lines])
    side = ceil(Fraction(max(max(*plan.axes[line.axis].halo, 0) for line in lines), align)) * align
    write = max(int(max(p.write[0][1] - p.write[0][0] for p in plan.parts[line.axis]) / _density(line)) for line in cut)
    write = max(write // align, 1) * align
    return Side(write + 2 * side, write, side)


def _density(line: AxisTiles) -> Fraction:
    """Positions of the first output for each of the input."""
    return line.view.densities[line.outputs[0]]


def _other(line: AxisTiles, tile: Side, longer: bool) -> tuple[int, int] | None:
    """The size of a tile, and what it gives, where that is less than what lies in its place (padding is missing), or
    more, where that counts."""
    size, density = tile.read, _density(line)
    lengths = line.lengths(size)
    if lengths is None and (halo := line.halo(max(tile.write // line.align, 1))) is not None:
        size = max(tile.write, line.align) + sum(halo)
        lengths = line.lengths(size)
    if lengths is None:
        return None
    gives = lengths[line.outputs[0]] or 0
    return (size, gives) if gives < int(size * density) or (longer and gives > size * density) else None


def settings(plan: TilePlan, tool: str) -> dict[str, Any]:
    """The settings of another tool for this plan, by its own names.

    Raises:
        RfcalcError: there are no tiles.
    """
    if plan.barriers:
        raise RfcalcError("there are no tiles", where=plan.barriers[0].node, why=plan.barriers[0].why)
    ranks = RANKS.get(tool, (1, 2, 3))
    if plan.rank not in ranks:
        axes = " or ".join(map(str, ranks))
        return {"exact": False, "note": f"no setting: {tool} tiles images of {axes} axes, this one has {plan.rank}"}
    densities = {line.view.densities[p] for line in plan.lines for p in line.outputs}
    if tool in SCALES and not all(SCALES[tool](d) for d in densities):
        why = "coarser than the input" if min(densities) < 1 else "finer than the input"
        return {"exact": False, "note": f"no setting: an output is {why}, which {tool} does not tile"}
    if plan.count == 1:
        return {"exact": False, "note": "no setting: the plan has one tile; say how large tiles may be (--tile 512)"}
    if tool == "otbtf":
        return _otbtf(plan)
    found = sides(plan, square=2 if tool in ("careamics", "real-esrgan") else 0)
    read, write, side = ([getattr(s, name) for s in found] for name in ("read", "write", "side"))
    longer = tool == "bioimageio"
    others = [g for line, tile in zip(plan.lines, found, strict=True) if (g := _other(line, tile, longer))]
    if others:
        size, gives = others[0]
        why = f"a tile of {size} gives {gives} positions, and {tool} lays tiles out as if each gave as much as it reads"
        return {"exact": False, "note": f"no setting: {why}; plan.run or the ranges of the plan do"}
    if tool == "monai":
        share = [_share(r, w) for r, w in zip(read, write, strict=True)]
        return {"roi_size": read, "overlap": share, "mode": "constant", "exact": False, "note": f"MONAI: {BLENDS}"}
    if tool == "nnunet":  # one step for all axes: the one that overlaps most
        step = min(w * 10_000 // r for r, w in zip(read, write, strict=True))
        return {"patch_size": read, "tile_step_size": step / 10_000, "exact": False, "note": f"nnU-Net: {BLENDS}"}
    if tool == "real-esrgan":
        ends = [(line, -(-line.size // s.write) * s.write) for line, s in zip(plan.lines, found, strict=True)]
        short = [line.size - max(end - s.write - s.side, 0) for (line, end), s in zip(ends, found, strict=True)]
        told = {"tile": write[0], "tile_pad": side[0], "pre_pad": 0}
        bad = [n for line, n in zip(plan.lines, short, strict=True) if line.lengths(n) is None or not line.alike(n)]
        return told | ({"exact": False, "note": f"the last tile has a size of its own, {bad[0]}"} if bad else {})
    if tool == "careamics":
        off = _off(plan, [s.read for s in found])
        return {"tile_size": read, "tile_overlap": [2 * s for s in side], **off}
    off = _off(plan, [line.align for line in plan.lines]) or {"note": PADS}
    return {"inputs": _inputs(plan), "outputs": _outputs(plan), **off}


SCALES: dict[str, Callable[[Fraction], bool]] = {  # output positions for each of the input that a tool can stitch
    "careamics": lambda d: d == 1,
    "nnunet": lambda d: d == 1,
    "real-esrgan": lambda d: d >= 1,
    "otbtf": lambda d: d >= 1,
}
NAMES = ("z", "y", "x")  # of the spatial axes in bioimage.io's files; the last ones
RANKS = {"careamics": (2, 3), "real-esrgan": (2,), "otbtf": (2,), "nnunet": (2, 3)}


def _off(plan: TilePlan, beyond: Sequence[int]) -> dict[str, Any]:
    """What is to be said where the last tile, which is moved to the image's end, leaves the grid."""
    for line, taken in zip(plan.lines, beyond, strict=True):
        if len(plan.parts[line.axis]) > 1 and (line.size - taken) % line.align:
            end = f"the last tile is moved to the image's end ({line.size} on axis {line.axis})"
            fix = f"pad the image to a multiple of {line.align}"
            return {"exact": False, "note": f"{end}, off the grid of {line.align}: {fix}"}
    return {}


def _halo(line: AxisTiles) -> int:
    """The halo of bioimage.io, one for both sides, in input positions."""
    halo = line.halo()
    assert halo is not None
    return ceil(Fraction(max(*halo, 0), line.align)) * line.align


def _inputs(plan: TilePlan) -> list[dict[str, Any]]:
    """bioimage.io: the sizes of the image's axes."""
    sizes = [{"min": _halo(line) * 2 + line.align, "step": line.modulus} for line in plan.lines]
    return [{"id": name, "size": size} for name, size in zip(NAMES[-plan.rank :], sizes, strict=True)]


def _outputs(plan: TilePlan) -> dict[str, Any]:
    """bioimage.io: the size of each axis of each output by that of the input's, its scale, its halo if there is one."""
    told = {}
    ids, first = NAMES[-plan.rank :], list(plan.network.inputs)[plan.lines[0].together.image]
    for i, name in enumerate(plan.network.outputs):
        axes = []
        for line in plan.lines:
            density = line.view.densities[line.outputs[i]]
            scale, halo = 1 / density, ceil(_halo(line) * density)
            one: dict[str, Any] = {"id": ids[line.axis], "size": {"tensor_id": first, "axis_id": ids[line.axis]}}
            one["scale"] = int(scale) if scale == int(scale) else float(scale)
            axes.append(one | ({"halo": halo} if halo else {}))
        told[name] = axes
    return told


def _otbtf(plan: TilePlan) -> dict[str, Any]:
    """The fields of OTBTF's TensorflowModelServe, and what the model cuts of its output on each side."""
    reads, writes, cuts, scales = [], [], [], []
    for line in plan.lines:
        density = _density(line)
        if len(plan.parts[line.axis]) == 1:
            why = f"axis {line.axis} is not cut, and OTBTF's tiles lie inside of the image"
            return {"exact": False, "note": f"no setting: {why}; give smaller tiles"}
        write = max(int(max(p.write[0][1] - p.write[0][0] for p in plan.parts[line.axis]) / density), line.align)
        write = write // line.align * line.align
        symmetric = _symmetric(line, write)
        if symmetric is None:
            why = "what a tile gives cannot be cut alike on both sides"
            return {"exact": False, "note": f"no setting: {why}; plan.run or the ranges of the plan do"}
        read, cut = symmetric
        reads.append(read)
        writes.append(int(write * density))
        cuts.append(cut)
        scales.append(1 / density)
    if len({*cuts}) > 1 or len({*scales}) > 1:
        why = "the model cuts as much on all axes, and this plan does not"
        return {"exact": False, "note": f"no setting: {why}; give an image and tiles that are square"}
    (y, x), (ey, ex) = reads, writes
    told: dict[str, Any] = {"source1.rfieldx": x, "source1.rfieldy": y, "output.efieldx": ex, "output.efieldy": ey}
    scale = {} if scales[0] == 1 else {"output.spcscale": float(scales[0])}
    note = (
        "efield is what is left of a tile after the cut of inference_cropping on each side; the image's border is not "
    )
    note += "written: pad the image first"
    return {**told, **scale, "model.fullyconv": True, "inference_cropping": cuts[0], "note": note}


def _symmetric(line: AxisTiles, write: int) -> tuple[int, int] | None:
    """A tile that reads as much before as after the middle, and what is cut on each side of what it gives.

    A network without padding gives less than it reads, so that less is cut of it.
    """
    output, density = line.outputs[0], line.view.densities[line.outputs[0]]
    halo = line.halo(write // line.align)
    if halo is None:
        return None
    for read in range(write + sum(halo), write + sum(halo) + 4 * line.modulus + 2 * max(*halo, 0) + 1):
        lengths = line.lengths(read)
        cut = None if lengths is None else ((lengths[output] or 0) - write * density) / 2
        if cut is None or cut < 0 or cut.denominator != 1 or (read - write) % 2 or not line.alike(read):
            continue
        start = max(0, (line.size - read) // 2 // line.align) * line.align
        first = int(start * density + cut)
        if set(range(first, first + int(write * density))) <= clean(line, start, read):
            return read, int(cut)
    return None


def _share(read: int, write: int) -> float:
    """The share of a tile that overlaps, from which MONAI finds the step again: int(read · (1 − share)).

    >>> _share(48, 16), int(48 * (1 - _share(48, 16)))
    (0.6666, 16)
    """
    share = (read - write) * 10_000 // read
    while int(read * (1 - share / 10_000)) < write:
        share -= 1
    return share / 10_000
