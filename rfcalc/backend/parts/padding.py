"""Padding that depends on the input's size, and what re-arranges maps of any number of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def same_sides(n: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of an axis of n: (⌈n/s⌉ − 1)·s + d(k − 1) + 1 − n in all, the smaller half before."""
    total = max((-(-n // stride) - 1) * stride + dilation * (kernel - 1) + 1 - n, 0)
    return total // 2, total - total // 2


def same_pad(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], mode: str = "constant"
) -> Tensor:
    """The map padded by TensorFlow's SAME rule."""
    sides = [same_sides(*axis) for axis in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    return F.pad(x, [p for pair in reversed(sides) for p in pair], mode=mode)


def same_conv(conv: nn.Conv1d | nn.Conv2d | nn.Conv3d, x: Tensor) -> Tensor:
    """A convolution with TensorFlow's SAME padding, which depends on the input's size."""
    sides = [same_sides(*axis) for axis in zip(x.shape[2:], conv.kernel_size, conv.stride, conv.dilation, strict=True)]
    padding = [before for before, _ in sides]
    if any(before != after for before, after in sides):
        x = F.pad(x, [p for pair in reversed(sides) for p in pair])
        padding = [0] * len(sides)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(sides) - 1]
    y: Tensor = convolve(x, conv.weight, conv.bias, conv.stride, padding, conv.dilation, conv.groups)
    return y


def masked_conv(conv: nn.Conv1d | nn.Conv2d | nn.Conv3d, x: Tensor, taps: str) -> Tensor:
    """A convolution of whose kernel some taps are 0: ``taps`` has 1 or 0 for each, row by row."""
    kept = torch.tensor([float(t) for t in taps], dtype=x.dtype, device=x.device).reshape(conv.kernel_size)
    y: Tensor = conv._conv_forward(x, conv.weight * kept, conv.bias)
    return y


def covered(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: Sequence[int],
    rounding: str = "floor",
    value: float = 0.0,
) -> Tensor:
    """The map padded, and at the end filled up or cut, so that the windows of its rounding rule cover it exactly.

    `sides` None is TensorFlow's SAME.
    """
    pads = []
    for i, n in enumerate(x.shape[2:]):
        k, s, d = kernel[i], stride[i], dilation[i]
        before, after = same_sides(n, k, s, d) if sides is None else sides[i]
        room = n + before + after - d * (k - 1) - 1
        count = room // s + 1 if rounding == "floor" or sides is None else -(-room // s) + 1
        if rounding == "ceil" and (count - 1) * s >= n + before:
            count -= 1  # a last window that would start in the right padding is dropped
        pads.append((before, (count - 1) * s + d * (k - 1) + 1 - n - before))
    if not any(a or b for a, b in pads):
        return x
    return F.pad(x, [p for pair in reversed(pads) for p in pair], value=value)


def uncovered(
    x: Tensor,
    sizes: Sequence[int],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: Sequence[int],
) -> Tensor:
    """A map as large as `covered` makes one of these sizes, without the padding."""
    for i, n in enumerate(sizes):
        before = same_sides(n, kernel[i], stride[i], dilation[i])[0] if sides is None else sides[i][0]
        end = max(before + n - x.shape[i + 2], 0)  # what no window held
        x = F.pad(x, [0, 0] * (x.dim() - 3 - i) + [0, end]).narrow(i + 2, before, n)
    return x


def windows(x: Tensor, window: Sequence[int]) -> Tensor:
    """N×C×H×W cut into windows: N×C×(windows)×(places in a window), both row-major; for any number of axes."""
    cut = [size for n, w in zip(x.shape[2:], window, strict=True) for size in (n // w, w)]
    order = [*range(2, 2 + len(cut), 2), *range(3, 3 + len(cut), 2)]
    parts = x.reshape(*x.shape[:2], *cut).permute(0, 1, *order)
    return parts.reshape(*x.shape[:2], -1, math.prod(window))


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """Groups of r^d channels moved into r × … × r positions, for any number d of axes."""
    sizes = x.shape[2:]
    d = len(sizes)
    x = x.reshape(x.shape[0], -1, *[factor] * d, *sizes)
    x = x.permute(0, 1, *[axis for i in range(d) for axis in (2 + d + i, 2 + i)])
    return x.reshape(*x.shape[:2], *[n * factor for n in sizes])


def pixel_unshuffle(x: Tensor, factor: int) -> Tensor:
    """The reverse of `pixel_shuffle`."""
    sizes = x.shape[2:]
    d = len(sizes)
    x = x.reshape(*x.shape[:2], *[size for n in sizes for size in (n // factor, factor)])
    x = x.permute(0, 1, *[3 + 2 * i for i in range(d)], *[2 + 2 * i for i in range(d)])
    return x.reshape(x.shape[0], -1, *[n // factor for n in sizes])


def cubic(x: Tensor, sizes: Sequence[int], align_corners: bool = False) -> Tensor:
    """Cubic interpolation for any number of axes, one after another: PyTorch has it for images only."""
    for axis, size in enumerate(sizes, 2):
        lines = x.movedim(axis, -1)
        flat = lines.reshape(1, -1, 1, lines.shape[-1])
        flat = F.interpolate(flat, size=(1, size), mode="bicubic", align_corners=align_corners)
        x = flat.reshape(*lines.shape[:-1], size).movedim(-1, axis)
    return x
