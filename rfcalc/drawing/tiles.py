"""The chart ``tiles``: what tiles read and write, one of them with its halo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rfcalc.core.errors import RfcalcError
from rfcalc.drawing.axes import EDGE, title_lines
from rfcalc.drawing.letters import width
from rfcalc.drawing.options import NONE, Options
from rfcalc.plan.tile import TilePlan
from rfcalc.report.document import Area, Label, Picture, Sentences, Stroke
from rfcalc.report.units import bytes_short, short

if TYPE_CHECKING:
    from rfcalc.report import Report

LARGE = 340.0  # the longer side of the input
FLAT = 60.0  # the height of a signal
MOST = 60  # lines between tiles along an axis

Range = tuple[int, int]


def picture(report: Report, options: Options = NONE) -> Picture:
    """The input with the middle tile's read and the part without its halo, the output with what each tile writes.

    Three and more axes show the last two.

    Raises:
        RfcalcError: the network cannot be cut into tiles, with the reason; a tile that is too large or too small.

    >>> import rfcalc
    >>> plan = rfcalc.tile("unet-padded", "1x1024x1024", tile=512)
    >>> found = picture(plan.report, Options(plan=plan))
    >>> [area.title for area in found.areas if area.role == "halo" and area.title]
    ['tile 11 of 16 reads 416 … 863, 416 … 863']
    """
    plan = options.plan or TilePlan(report, tiles=(2,) * len(next(iter(report.inputs.values())).spatial))
    name = report.network.name or report.target
    if plan.barriers:
        barrier = plan.barriers[0]
        raise RfcalcError(
            f"{name} cannot be cut into tiles", where=barrier.node, why=barrier.why, fix="rfcalc tile tells more"
        )
    output = plan.network.outputs[0]
    index = _middle(plan)
    tile = plan.tile(index)
    halos = ", ".join(dict.fromkeys(f"{a.halo[0]} before and {a.halo[1]} after" for a in plan.axes))
    whole, tiled = plan.macs
    one, every = plan.peak_bytes
    costs = f"maps: {bytes_short(every)} a tile, {bytes_short(one)} whole"
    if whole:
        costs = f"multiply-adds: {short(tiled)} in tiles, {short(whole)} whole ({tiled / whole:.2f}×); {costs}"
    about = (
        f"{plan.count} tiles; halo: {halos} (a tile reads that much more than it writes for, within the image)",
        costs,
        f"tile {index + 1}: reads {_told(tile.read)}, writes {_told(tile.write[output])} of {output}",
    )
    texts, wide, top = title_lines(f"{name} in tiles", about)
    sizes = tuple(int(n) for n in plan.inputs[0].spatial)[-2:]
    outs = tuple(int(n) for n in plan.walked.shapes[plan.network.position(output)].spatial)[-2:]
    scale = LARGE / max(*sizes, *outs)
    left, top = EDGE + 4.0, top + 36.0
    areas: list[Area] = []
    lines: list[Stroke] = []
    parts = plan.parts[-2:]
    across = left
    bottom = top
    for title, extents in ((f"{next(iter(report.inputs))}: read", sizes), (f"{output}: written", outs)):
        reading = extents is sizes and across == left
        frame = _rect(across, top, scale, [(0, n) for n in extents])
        areas.append(Area(frame, "map", f"{title}, {'x'.join(map(str, extents))}"))
        texts.append(Label(across, top - 12, title, "strong"))
        if reading:
            areas.append(
                Area(
                    _rect(across, top, scale, tile.read[-2:]),
                    "halo",
                    f"tile {index + 1} of {plan.count} reads {_told(tile.read)}",
                )
            )
            core = [_core(axis, r, w) for axis, r, w in zip(plan.axes, tile.read, tile.write[output], strict=True)]
            areas.append(
                Area(_rect(across, top, scale, core[-2:]), "write", f"the part that it writes for: {_told(core)}")
            )
        else:
            areas.append(
                Area(
                    _rect(across, top, scale, tile.write[output][-2:]),
                    "write",
                    f"tile {index + 1} writes {_told(tile.write[output])}",
                )
            )
        for i, own in enumerate(parts):
            cuts = [part.write[0][0] for part in own[1:]]
            if reading:
                axis = plan.axes[len(plan.axes) - len(parts) + i]
                cuts = [c * axis.advance // axis.period for c in cuts]
            for cut in cuts if len(cuts) <= MOST else ():
                lines.append(Stroke(_cut(across, top, scale, extents, i, cut), "grid"))
        right = max(x for x, _ in frame)
        bottom = max(bottom, *(y for _, y in frame))
        texts.append(Label(across, max(y for _, y in frame) + 18, "x".join(map(str, extents)), "soft"))
        across = max(right, across + width(title) * 1.1) + 36
    y = bottom + 44
    keys = (("halo", "read by the tile"), ("write", "what it writes (for)"))
    x = left
    for role, text in keys:
        areas.append(Area(((x, y - 10), (x + 14, y - 10), (x + 14, y), (x, y)), role))
        texts.append(Label(x + 20, y, text))
        x += 20 + width(text) + 18
    told = f"{name} in {plan.count} tiles: what one of them reads and writes."
    return Picture(
        max(wide, across - 36, x) + EDGE,
        y + EDGE,
        tuple(areas),
        tuple(lines),
        (),
        tuple(texts),
        f"{name} in tiles",
        told,
        (Sentences((f"{name} in tiles", *about), listed=False),),
    )


def _middle(plan: TilePlan) -> int:
    """The number of the tile in the middle."""
    index = 0
    for parts in plan.parts:
        index = index * len(parts) + len(parts) // 2
    return index


def _told(ranges: Sequence[Range]) -> str:
    return ", ".join(f"{a} … {b - 1}" for a, b in ranges)


def _core(axis: object, read: Range, write: Range) -> Range:
    """The input positions under what is written, within what is read."""
    period, advance = axis.period, axis.advance  # type: ignore[attr-defined]
    low, high = write[0] * advance // period, -(-write[1] * advance // period)
    return max(read[0], low), max(read[0] + 1, min(read[1], high))


def _rect(left: float, top: float, scale: float, ranges: Sequence[Range]) -> tuple[tuple[float, float], ...]:
    x0, x1 = (round(left + n * scale, 2) for n in ranges[-1])
    y0, y1 = (round(top + n * scale, 2) for n in ranges[-2]) if len(ranges) > 1 else (top, top + FLAT)
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def _cut(
    left: float, top: float, scale: float, extents: Sequence[int], axis: int, at: int
) -> tuple[tuple[float, float], ...]:
    high = extents[0] * scale if len(extents) > 1 else FLAT
    if len(extents) > 1 and axis == 0:
        y = round(top + at * scale, 2)
        return (left, y), (round(left + extents[-1] * scale, 2), y)
    x = round(left + at * scale, 2)
    return (x, top), (x, round(top + high, 2))
