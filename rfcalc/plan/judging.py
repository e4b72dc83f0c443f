"""What an overlap in use does to the output: tiles laid out as a tool lays them, and the values that may differ.

Each tool has a rule of its own for where tiles begin, what is kept of each, and what its setting counts. The rules are
those of the packages (read in CAREamics 0.3.5, bioimageio.core 0.11.0, MONAI 1.6.1, nnU-Net 2.8.1, Real-ESRGAN 0.3.0
and OTBTF's TensorflowModelServe; `tests/test_overlaps.py` compares those that are installed).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil, isfinite, prod
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.window import STEP, Border
from rfcalc.plan.axis_tiles import AxisTiles

if TYPE_CHECKING:
    from rfcalc.plan.tile import TilePlan


class Laid(NamedTuple):
    """A tile as a tool lays it: what it reads, and the part that is kept of it (input positions, half-open)."""

    start: int
    end: int
    first: Any
    last: Any


def moved(n: int, read: int, overlap: int) -> list[Laid]:
    """Tiles every read − overlap positions, the last one moved to the end; half of the overlap is cut on each side."""
    side = overlap // 2
    starts = list(range(0, max(n - read, 0) + 1, max(read - overlap, 1)))
    if starts[-1] + read < n:
        starts.append(n - read)
    return [Laid(a, a + read, a + side if a else 0, a + read - (side if a + read < n else 0)) for a in starts]


def careamics(n: int, read: int, overlap: int) -> list[Laid]:
    """CAREamics: the same, but the tile before the last one keeps all of its own.

    >>> [tuple(tile) for tile in careamics(40, 16, 4)]
    [(0, 16, 0, 14), (12, 28, 14, 26), (24, 40, 26, 40)]
    """
    if read >= n:
        return [Laid(0, n, 0, n)]
    side, step = overlap // 2, read - overlap
    starts = [a for a in range(0, n - overlap, step) if a + read < n]
    laid = [Laid(a, a + read, a + side if a else 0, a + read - side) for a in starts]
    return [*laid, Laid(n - read, n, laid[-1].last if laid else 0, n)]


def real_esrgan(n: int, tile: int, pad: int) -> list[Laid]:
    """Real-ESRGAN: tiles write `tile` positions one beside the other, and read `tile_pad` more on each side."""
    ends = [*range(0, n, tile), n]
    return [Laid(max(a - pad, 0), min(b + pad, n), a, b) for a, b in pairwise(ends)]


def bioimageio(n: int, block: int, halo: int) -> list[Laid]:
    """bioimage.io: blocks of an image that is padded by the halo (n: with it); the last one is moved to the end."""
    inner = block - 2 * halo
    starts = [min(a, n - block) for a in range(0, n - 2 * halo, inner)]
    return [Laid(a, a + block, a + halo, a + halo + inner) for a in starts]


def monai(n: int, roi: int, share: float) -> list[Laid]:
    """MONAI: windows every int(roi · (1 − overlap)) positions, the last one moved to the end; all of each counts."""
    step = roi if roi == n else max(int(roi * (1 - share)), 1)
    starts = [0]
    while starts[-1] + roi < n:
        starts.append(min(starts[-1] + step, n - roi))
    return [Laid(a, a + roi, a, a + roi) for a in starts]


def nnunet(n: int, patch: int, share: float) -> list[Laid]:
    """nnU-Net: as many patches as steps of patch · tile_step_size need, evenly spread; all of each counts."""
    count = ceil((n - patch) / (patch * share)) + 1
    between = (n - patch) / (count - 1) if count > 1 else 0
    return [Laid(a, a + patch, a, a + patch) for a in (round(between * i) for i in range(count))]


def otbtf(n: int, read: int, overlap: int, cut: Any) -> list[Laid]:
    """OTBTF: tiles of rfield every efield positions, as long as they lie inside of the image; `cut`: on each side."""
    write = read - overlap
    return [Laid(a, a + read, a + cut, a + cut + write) for a in range(0, n - read + 1, write)]


class Rule(NamedTuple):
    """How a tool names its overlap, and what the number counts.

    Attributes:
        lay: where tiles lie: `lay(n, size, given)`.
        name: of the setting.
        share: whether it is a share of the tile, and not a number of positions.
        blends: whether tiles are averaged where they overlap, and not cut.
        sides: on how many sides the number counts: 2 for both together.
    """

    lay: Callable[..., list[Laid]]
    name: str
    share: bool = False
    blends: bool = False
    sides: int = 2


RULES = {
    "": Rule(moved, "an overlap"),
    "careamics": Rule(careamics, "tile_overlap"),
    "real-esrgan": Rule(real_esrgan, "tile_pad", sides=1),
    "bioimageio": Rule(bioimageio, "halo", sides=1),
    "monai": Rule(monai, "overlap", share=True, blends=True),
    "nnunet": Rule(nnunet, "tile_step_size", share=True, blends=True),
    "otbtf": Rule(otbtf, "rfield − efield"),
}


class Judged(NamedTuple):
    """What an overlap does to the output."""

    side: int
    needed: tuple[tuple[int, int], ...]
    differing: int
    values: int
    exact: bool
    text: str


def judge(
    plan: TilePlan,
    overlap: float,
    size: int | Sequence[int] | None = None,
    told: Sequence[str] = (),
    tool: str | None = None,
) -> Judged:
    """What an overlap amounts to: how many output values may differ from the whole.

    Without a tool: tiles of `size` positions are read every size − overlap positions, the last one is moved to the
    image's end, and half the overlap is cut on each side. With one, the overlap and the size are its own settings
    (`RULES`). A value differs if it depends on a position that its tile lacks, pads otherwise, or puts on another grid;
    where tiles are averaged, if that holds for any tile over it.

    Raises:
        RfcalcError: there are no tiles; the overlap is none of the tool, or leaves nothing of a tile.
    """
    if plan.barriers:
        raise RfcalcError("there are no tiles", where=plan.barriers[0].node, why=plan.barriers[0].why)
    rule = RULES[tool or ""]
    given = _checked(rule, overlap, tool)
    clean, written, whole = [], [], []
    side = 0
    for line, parts in zip(plan.lines, plan.parts, strict=True):
        wanted = size[line.axis % len(size)] if isinstance(size, Sequence) else size
        read = min(wanted or max(p.read[1] - p.read[0] for p in parts), line.size)
        if size is None and tool == "real-esrgan":
            read = max(read - 2 * given, 1)
        whole.append(int(line.view.lengths[line.outputs[0]] or 0))
        laid, both, along = _laid(plan, line, tool, read, given)
        if not rule.share and tool != "real-esrgan" and both >= read and read < line.size:
            fix = "give a larger --tile"
            raise RfcalcError(f"{rule.name} of {overlap:g} leaves nothing of a tile of {read}", fix=fix)
        right = _right(along, laid(), rule.blends)
        side = max(side, both // 2)
        clean.append(sum(right.values()))
        written.append(len(right))
    channels = plan.walked.shapes[plan.lines[0].outputs[0]].values // prod(whole)
    values = channels * prod(written)
    differing = int(values - channels * prod(clean))
    needed = tuple(axis.need for axis in plan.axes)
    text = f"{side} a side; {max(max(n) for n in needed)} are needed"
    if tool is not None:
        text = f"{rule.name} {overlap:g}: {text}"
    text += f": {differing:,} of {values:,} output values may differ" if differing else ": every output value is exact"
    notes = [*told, *_notes(tool, values, channels * prod(whole))]
    return Judged(side, needed, differing, values, differing == 0, ". ".join([text, *[t.rstrip(".") for t in notes]]))


def _laid(
    plan: TilePlan, line: AxisTiles, tool: str | None, read: int, given: Any
) -> tuple[Callable[[], list[Laid]], int, AxisTiles]:
    """The tiles of an axis, how many positions two of them share, and the axis that they lie on."""
    rule, n, density = RULES[tool or ""], line.size, line.view.densities[line.outputs[0]]
    if tool == "monai":
        return (lambda: monai(n, read, given)), read - max(int(read * (1 - given)), 1), line
    if tool == "nnunet":
        return (lambda: nnunet(n, read, given)), int(read * (1 - given)), line
    if tool == "bioimageio":  # in output positions
        halo = given / density
        if halo != int(halo):
            raise RfcalcError(f"a halo of {given} is no whole number of input positions", why=f"it is {halo} of them")
        along = _padded(plan, line, int(halo))
        return (lambda: bioimageio(along.size, min(read, along.size), int(halo))), 2 * int(halo), along
    if tool == "otbtf":  # the model cuts alike on both sides what it gives beyond the expression field
        lengths = line.lengths(read)
        gives = read if lengths is None else (lengths[line.outputs[0]] or 0) / density
        return (lambda: otbtf(n, read, given, (gives - read + given) / 2)), given, line
    return (lambda: rule.lay(n, read, given)), given if rule.sides == 2 else 2 * given, line


def _checked(rule: Rule, overlap: float, tool: str | None) -> Any:
    """The setting, if it is one that the tool takes."""
    if not isfinite(overlap):
        raise RfcalcError(
            f"{overlap} is no overlap", fix="give a number of positions, or a share with --as monai or nnunet"
        )
    if rule.share:
        low = 0 < overlap <= 1 if tool == "nnunet" else 0 <= overlap < 1
        if not low:
            bounds = "above 0, up to 1" if tool == "nnunet" else "from 0 to below 1"
            raise RfcalcError(f"{overlap:g} is no {rule.name} of {tool}", why=f"it is a share of the tile, {bounds}")
        return overlap
    if overlap != int(overlap):
        fix = "shares are given with --as monai or nnunet"
        raise RfcalcError(f"an overlap of {overlap:g} is no whole number of positions", fix=fix)
    if overlap < 0:
        sides = "both sides together" if rule.sides == 2 else "one side"
        raise RfcalcError(f"an overlap of {overlap:g} is no overlap", fix=f"give {sides}, 0 or more")
    if tool in ("careamics", "otbtf") and overlap % 2:
        raise RfcalcError(f"{rule.name} of {overlap:g} is odd", why=f"{tool} cuts half of it on each side")
    return int(overlap)


def _notes(tool: str | None, written: int, whole: int) -> list[str]:
    if tool == "real-esrgan":
        return ["--tile is what a tile writes here, as Real-ESRGAN's"]
    if tool == "bioimageio":
        return ["bioimage.io pads the image by the halo; compared with the padded image in one piece"]
    if tool in ("monai", "nnunet"):
        return ["Overlapping tiles are averaged: a value counts as exact if every tile over it has it as the whole"]
    if tool == "otbtf" and written < whole:
        return [f"{whole - written:,} of {whole:,} values, at the image's border, are not written"]
    return []


def _padded(plan: TilePlan, line: AxisTiles, halo: int) -> AxisTiles:
    """The axis of an image that is padded on both sides."""
    size = line.size + 2 * halo
    inputs = line.together.at(size)
    if line.lengths(size) is None:
        raise RfcalcError(
            f"the image with the halo, {size} on axis {line.axis}, is no size that the network takes",
            why=f"bioimage.io pads the image by {halo} on each side",
            fix="give another --input",
        )
    return AxisTiles(plan.following, inputs, line.axis, line.made, line.multiple)


def _right(line: AxisTiles, laid: Sequence[Laid], blends: bool) -> dict[int, bool]:
    """By output position that is written, whether it is computed as the whole computes it."""
    output = line.outputs[0]
    density, length = line.view.densities[output], int(line.view.lengths[output] or 0)
    found: dict[int, bool] = {}
    for tile in laid:
        first = ceil(tile.first * density)
        last = length if tile.last >= line.size else min(length, ceil(tile.last * density))
        held = clean(line, tile.start, tile.end - tile.start)
        for u in range(first, last):
            found[u] = u in held and (not blends or found.get(u, True))
    return found


def clean(line: AxisTiles, start: int, size: int) -> set[int]:
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
