"""Positive, linear stand-ins: the gradient of a unit is positive exactly where it depends on something."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rfcalc.backend.parts.padding import covered, uncovered


def coupled(x: Tensor, channel: int) -> Tensor:
    """The map with the mean of its channels added: a unit is a position over all channels."""
    return x + x.mean(channel, keepdim=True)


def box(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: Sequence[int],
    rounding: str = "floor",
) -> Tensor:
    """The sum over each window, channel by channel, scaled so that it neither grows nor shrinks fast."""
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(kernel) - 1]
    ones = x.new_full((1, 1, *kernel), math.prod(kernel) ** -0.5)
    lines = covered(x, kernel, stride, sides, dilation, rounding).flatten(0, 1).unsqueeze(1)
    y: Tensor = convolve(lines, ones, None, stride, 0, tuple(dilation))
    return y.reshape(*x.shape[:2], *y.shape[2:])


def box_back(
    x: Tensor,
    pooled: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: tuple[int, ...],
    rounding: str = "floor",
) -> Tensor:
    """The value of each window and the sum over it, on all positions that the window holds, summed."""
    back = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(kernel) - 1]
    held = x + box(pooled, kernel, stride, sides, dilation, rounding)
    ones = x.new_full((1, 1, *kernel), math.prod(kernel) ** -0.5)
    y = back(held.flatten(0, 1).unsqueeze(1), ones, None, stride, 0, 0, 1, tuple(dilation))
    y = y.reshape(*x.shape[:2], *y.shape[2:])
    return uncovered(y, pooled.shape[2:], kernel, stride, sides, dilation)


def touched(x: Tensor, sizes: Sequence[int], mode: str, align_corners: bool) -> Tensor:
    """Interpolation by the absolute values of its weights, without those that rounding makes of zero."""
    for axis, size in enumerate(sizes, 2):
        n = x.shape[axis]
        unit = torch.eye(n, dtype=torch.float64, device=x.device).reshape(1, n, 1, n)
        kind = "bicubic" if mode == "cubic" else "bilinear"
        weights = F.interpolate(unit, size=(1, size), mode=kind, align_corners=align_corners).reshape(n, size)
        weights = weights.abs().to(x.dtype)
        x = (x.movedim(axis, -1) @ torch.where(weights > 1e-9, weights, 0.0)).movedim(-1, axis)
    return x
