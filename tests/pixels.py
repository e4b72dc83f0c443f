"""Every unit of a module's output, by the gradient of the module itself, against the summary and the regions read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from seen import Straightened, redrawn
from torch import nn

import rfcalc
from rfcalc.core.errors import LimitError
from rfcalc.receptive.receptive_field import ReceptiveField
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.unit_walk import UnitWalk


class Module(nn.Module):
    """A module from a function of it and its input."""

    def __init__(self, run: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        return self.run(self, *given)  # type: ignore[no-any-return]


def pixels(
    module: nn.Module, shape: tuple[int, ...], channel: int
) -> dict[tuple[int, ...], frozenset[tuple[int, ...]]]:
    """The pixels that move each unit (a position over all channels) of the output."""
    module = redrawn(module)
    x = torch.rand(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    with Straightened():
        y = module(x)
    y = y[0].movedim(channel, 0)
    weights = torch.rand(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(3)) + 0.5
    mixed = (y * weights).sum(0)
    found: dict[tuple[int, ...], frozenset[tuple[int, ...]]] = {}
    for unit in product(*map(range, mixed.shape)):
        if not mixed.requires_grad:
            found[unit] = frozenset()
            continue
        (g,) = torch.autograd.grad(mixed[unit], x, retain_graph=True, allow_unused=True)
        assert g is None or torch.isfinite(g).all()
        moved = [] if g is None else (g[0] != 0).any(0).nonzero().tolist()
        found[unit] = frozenset(map(tuple, moved))
    return found


def check(module: nn.Module, shape: str) -> ReceptiveField:
    """Compare every unit; returns the summary of the output.

    Raises:
        AssertionError: the module shows what was not told.
    """
    dims = rfcalc.Shape.of(shape).dims
    report = rfcalc.analyze(rfcalc.from_torch(module, dims))
    position = report.network.position(report.network.outputs[0])
    y, x = report.shapes[position], report.shapes[0]
    field = ReceptiveField(report.fields[0][position], x, y)
    measured = pixels(module, dims, y.channel)
    told_all = None
    if field.status not in ("unknown", "needs_input_size"):
        try:
            told_all = regions(report, position)
        except LimitError:
            told_all = None
    for number, (unit, seen) in enumerate(measured.items()):
        if told_all is not None and number % 5 == 0:
            assert seen <= frozenset(UnitWalk(report, position, unit).region.pixels()), (unit, "walked back")
        if told_all is not None:
            told = frozenset(told_all.unit(unit).pixels())
            if told_all.bounded or field.status == "bounded":
                assert seen <= told, (unit, sorted(seen - told)[:5])
            else:
                assert seen == told, (unit, sorted(told - seen)[:5], sorted(seen - told)[:5])
        within(field, y, unit, seen)
    return field


def within(field: ReceptiveField, y: rfcalc.Shape, unit: tuple[int, ...], seen: frozenset[tuple[int, ...]]) -> None:
    """What a unit sees lies within what the summary says of it."""
    if field.status == "none":
        assert not seen, (unit, "none")
    if field.status not in ("exact", "periodic", "bounded") or None in field.size:
        return
    at = dict(zip(y.axes, unit, strict=True))
    for axis, window in enumerate(field.windows):
        carrier = field.carrier(axis)
        ends = window.unit(0 if carrier is None else at[carrier]) if window is not None else None
        for pixel in seen:
            assert ends is not None and ends[0] <= pixel[axis] <= ends[1], (unit, pixel, field)
