"""What a measuring module depends on, pixel by pixel: a linear map is known from its columns, all in one batch."""

from __future__ import annotations

import torch
from oracle_rules import Unit, space, units
from torch import Tensor

from rfcalc import Network, Shape, to_torch

LEAST = 1e-13  # of the largest value of a map: far below any product of positive weights here, far above rounding


def columns(network: Network, source: int = 0) -> tuple[dict[str, Tensor], list[Unit]]:
    """For each node, by (pixel of the source, unit): whether the unit changes when all channels of the pixel do."""
    shapes = list(network.inputs.values())
    x = shapes[source]
    assert x is not None
    pixels = units(x)
    inputs = [torch.ones(len(pixels) + 1, *s.dims, dtype=torch.float64) for s in shapes if s is not None]
    for i, pixel in enumerate(pixels, 1):
        at: list[int | slice] = list(pixel)
        at.insert(x.channel, slice(None))
        inputs[source][(i, *at)] += 1
    return to_torch(network, measuring=True).run(*inputs), pixels


def touched(value: Tensor, shape: Shape) -> Tensor:
    """pixels × the map's positions: where a pixel's change arrives, in any channel."""
    change = (value[1:] - value[:1]).movedim(shape.channel + 1, 1).abs().sum(1)
    return change > LEAST * value.abs().max().clamp(min=1e-300)


def regions(value: Tensor, shape: Shape, pixels: list[Unit]) -> dict[Unit, set[Unit]]:
    """For each unit of a map, the pixels that it depends on."""
    mask = touched(value, shape).reshape(len(pixels), -1).T.tolist()
    assert len(mask) == len(units(shape)), space(shape)
    return {
        unit: {pixel for pixel, on in zip(pixels, row, strict=True) if on}
        for unit, row in zip(units(shape), mask, strict=True)
    }
