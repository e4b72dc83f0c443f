"""Receptive fields by gradient: chosen units of the positive linear stand-in, pixel by pixel.

The stand-in (`to_torch(measuring=True)`) runs in float64 and evaluation mode with positive weights, identities for
activations and sums for maxima, on one channel where channels only mix: nothing cancels and nothing is dead, so a
unit's derivative is positive exactly where it depends on something. Where the receptive field is larger than the
input, each axis is measured on a thin input too: long enough on that axis, as short as the network allows on the
others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rfcalc.backend.build import to_torch
from rfcalc.backend.verify.finding import BOUNDED, EQUAL, UNSEEN, Finding, compared
from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.receptive.region import Region
from rfcalc.receptive.region_walk import regions
from rfcalc.report import Report
from rfcalc.report.field_report import FieldReport

Unit = tuple[int, ...]
MOST_VALUES = 100_000_000  # of all maps together, for a measurement on the network's own input
MOST_PHASES = 16
THIN = (1, 2, 4, 8, 16, 32, 64, 128, 224)


class SeenPixels(NamedTuple):
    """A set of pixels in a few figures, for people; the sets themselves are compared."""

    hull: tuple[tuple[int, int], ...] | None
    pixels: int

    def __str__(self) -> str:
        if self.hull is None:
            return "no pixel"
        if not self.hull:
            return "the whole input, which has no positions"
        sides = " x ".join(str(b - a + 1) for a, b in self.hull)
        places = ", ".join(f"{a} … {b}" for a, b in self.hull)
        return f"{sides} at {places}, {self.pixels:,} pixels"


def chosen_nodes(report: Report) -> list[str]:
    """The last spatial node, and every output that has positions."""
    names = [node.name for node in report.network.nodes]
    last = names[report.last_spatial - report.network.arity] if report.last_spatial >= report.network.arity else None
    outputs = [name for name in report.network.outputs if report[name].shape.rank]
    return list(dict.fromkeys([*([last] if last else []), *outputs]))


def chosen_units(spatial: Sequence[int], period: Sequence[int]) -> list[Unit]:
    """The first, the last and the middle unit, and neighbours of the middle one in every phase."""
    middle = tuple(n // 2 for n in spatial)
    units = [tuple(0 for _ in spatial), tuple(n - 1 for n in spatial), middle]
    for step in range(1, min(max(period, default=1), MOST_PHASES)):
        units.append(tuple(min(m + step, n - 1) for m, n in zip(middle, spatial, strict=True)))
    for axis in range(len(spatial)):  # where an axis is at its border and the others are not
        units += [(*middle[:axis], edge, *middle[axis + 1 :]) for edge in (0, spatial[axis] - 1)]
    return list(dict.fromkeys(units))


def measured_units(report: Report, name: str, units: Sequence[Unit]) -> Iterator[set[Unit]]:
    """The pixels of the first input that each unit has a derivative by."""
    network, shapes = report.network, report.shapes
    inputs = [torch.ones(1, *s.dims, dtype=torch.float64) for s in shapes[: network.arity]]
    inputs[0].requires_grad_()
    shape = shapes[network.position(name)]
    value = to_torch(network, dict(zip(network.inputs, shapes, strict=False)), measuring=True).run(
        *inputs, keep=(name,)
    )
    yield from derivatives(value[name], inputs[0], shape, shapes[0], units)


def derivatives(value: Tensor, x: Tensor, shape: Shape, source: Shape, units: Sequence[Unit]) -> Iterator[set[Unit]]:
    """Where the derivative of each unit of a map is not zero; also by a signal without an axis of channels."""
    flat = value[0].movedim(shape.channel, 0).sum(0)
    for unit in units:
        found = None
        if value.requires_grad:
            (found,) = torch.autograd.grad(flat[unit], x, retain_graph=True, allow_unused=True)
        if found is None:
            yield set()
            continue
        derivative = found[0] if found.dim() == len(source.dims) + 1 else found[0][None]
        yield {tuple(p) for p in (derivative.movedim(source.channel, 0).abs().sum(0) > 0).nonzero().tolist()}


def summary(pixels: set[Unit]) -> SeenPixels:
    """Hull and count of a set of pixels."""
    if not pixels:
        return SeenPixels(None, 0)
    return SeenPixels(tuple((min(axis), max(axis)) for axis in zip(*pixels, strict=True)), len(pixels))


def of_region(region: Region) -> SeenPixels:
    return SeenPixels(region.hull, region.count)


def on_input(report: Report, name: str, told: str) -> Iterator[Finding]:
    """Chosen units of one node on the report's input."""
    field = report[name].receptive_field
    period = [1 if w is None else w.period for w in field.windows]
    walk = regions(report, name)
    units = chosen_units(report[name].shape.spatial, period)
    seen: dict[Unit, set[Unit]] = {}
    for unit, pixels in zip(units, measured_units(report, name, units), strict=True):
        seen[unit] = pixels
        region = walk.unit(unit)
        right, found = of_region(region), summary(pixels)
        agree = right == found and set(region.pixels()) == pixels
        figure = f"unit {','.join(map(str, unit))} on {told}"
        finding = compared("receptive_field", name, figure, str(right), str(found))
        if not agree and finding.predicted == finding.measured:
            finding = compared("receptive_field", name, figure, f"{right}, others", str(found))
        yield finding
    yield from claims(report, name, field, seen)


def claims(
    report: Report,
    name: str,
    field: Any,
    seen: Mapping[Unit, set[Unit]],
    blind: Sequence[str] = (),
) -> Iterator[Finding]:
    """What the summary says of a map, beside what its units were measured to see."""
    whole = report.shapes[0]
    source = whole.spatial
    hulls = {unit: summary(pixels).hull for unit, pixels in seen.items()}
    if field.status == "none":
        most = max((len(p) for p in seen.values()), default=0)
        yield compared("receptive_field", name, f"summary: sees nothing, on {whole}", 0, most)
        return
    for axis, (size, n) in enumerate(zip(field.size, source, strict=True)):
        if field.status == "global" and field.windows[axis] is None:
            spans = [h[axis] for h in hulls.values() if h is not None]
            widest = max((b - a + 1 for a, b in spans), default=0)
            if widest < n and FieldReport(report, name).unseen:  # of what reaches some unit
                walk = regions(report, name)
                n = max((b - a + 1 for u in hulls for a, b in (walk.unit(u).hull or ())[axis : axis + 1]), default=0)
            finding = compared(
                "receptive_field", name, f"summary: global along axis {axis}, widest unit on {whole}", n, widest
            )
            yield finding._replace(verdict=BOUNDED) if blind and widest < n else finding
            continue
        if size is None or field.status not in ("exact", "periodic", "bounded"):
            continue
        inside = [h[axis] for unit, h in hulls.items() if h is not None and _whole(field, axis, unit[axis], n)]
        if not inside:
            continue
        widest = max(b - a + 1 for a, b in inside)
        figure = f"summary: {field.status} {size} along axis {axis}, widest unit inside on {whole}"
        if field.status == "exact" or widest > size:
            yield compared("receptive_field", name, figure, int(size), widest)
        else:
            verdict = EQUAL if widest == size else BOUNDED
            yield Finding(
                "receptive_field", name, figure, int(size), widest, verdict, "no unit sees more" * (verdict == BOUNDED)
            )


def _whole(field: Any, axis: int, place: int, n: Any) -> bool:
    """Whether the window of a unit lies inside of the input, so that nothing of it is cut off."""
    stride, padding, size = field.stride[axis], field.padding[axis], field.size[axis]
    if stride is None or padding is None:
        return False
    low = place * stride - padding
    return bool(low >= 0 and low + size <= n)


def receptive(report: Report, tick: Callable[[str], None]) -> Iterator[Finding]:
    """Chosen units of the last maps: on the network's own input, and on thin ones where it is too small."""
    for other in list(report.inputs)[1:]:
        why = f"gradients are taken by the first input, {next(iter(report.inputs))}, only"
        yield Finding("receptive_field", "", f"what is seen of {other}", None, None, UNSEEN, "", why)
    for name in chosen_nodes(report):
        field = report[name].receptive_field
        if field.status in ("unknown", "needs_input_size"):
            why = f"the answer is {field.status}"
            yield Finding("receptive_field", name, "units", None, None, UNSEEN, "", why)
            continue
        shape = report.shapes[0]
        sides = [
            (i, int(s), n) for i, (s, n) in enumerate(zip(field.size, shape.spatial, strict=True)) if s is not None
        ]
        fits = report.totals.values <= MOST_VALUES * report.batch
        square = report if fits else smaller(report, {axis: size for axis, size, _ in sides})
        if square is not None:
            tick(f"gradients of {name} on {square.shapes[0]}")
            yield from on_input(square, name, f"{square.shapes[0]}")
        for axis, size, n in sides:
            if field.status != "global" and (size > n or square is None):
                yield from on_thin(report, name, axis, size, tick)


def smaller(report: Report, sizes: dict[int, int]) -> Report | None:
    """The network on an input of all axes that just holds the receptive field, or None where none fits."""
    shape = report.shapes[0]
    if report.network.arity > 1 or len(sizes) < shape.rank:
        return None
    for grid in (32, 16, 4):
        dims = list(shape.dims)
        for axis, place in enumerate(shape.axes):
            dims[place] = min(-(-(sizes[axis] + sizes[axis] // 8) // grid) * grid, dims[place])
        try:
            made = Report(report.network, Shape(*dims, channel=shape.channel))
        except RfcalcError:
            continue
        if made.totals.values <= MOST_VALUES:
            return made
    return None


def on_thin(report: Report, name: str, axis: int, size: int, tick: Callable[[str], None]) -> Iterator[Finding]:
    """Chosen units on an input that is long enough along one axis."""
    network, shape = report.network, report.shapes[0]
    if network.arity > 1:
        why = "several inputs: thin ones are not tried"
        yield Finding("receptive_field", name, f"axis {axis}, {size} wide", None, None, UNSEEN, "", why)
        return
    long = size + size // 8
    for thin, more in product(THIN, (0, 1)):
        unit = 32 if more else 1  # sides that divide evenly
        dims = list(shape.dims)
        for i, place in enumerate(shape.axes):
            dims[place] = -(-long // unit) * unit if i == axis else thin
        try:
            made = Report(network, Shape(*dims, channel=shape.channel))
        except RfcalcError:
            continue
        if made[name].shape.values == 0:
            continue
        tick(f"gradients of {name} on {made.shapes[0]}")
        yield from on_input(made, name, f"{made.shapes[0]}")
        return
    yield Finding(
        "receptive_field",
        name,
        f"axis {axis}, {size} wide",
        None,
        None,
        UNSEEN,
        "",
        "the network takes no longer input",
    )
