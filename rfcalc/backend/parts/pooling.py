"""Pooling for which PyTorch has no layer: dilated averages, unequal padding, ONNX's ceil rule, TensorFlow's SAME."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rfcalc.backend.parts.padding import covered, same_sides, uncovered


def window_counts(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    sides: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    rounding: str,
) -> list[int]:
    """How many windows there are on each axis."""
    counts = []
    for n, k, s, (before, after), d in zip(sizes, kernel, stride, sides, dilation, strict=True):
        room = n + before + after - d * (k - 1) - 1
        count = room // s + 1 if rounding == "floor" else -(-room // s) + 1
        if rounding == "ceil" and (count - 1) * s >= n + before:
            count -= 1  # a last window that would start in the right padding is dropped
        counts.append(count)
    return counts


def prepared(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]],
    dilation: tuple[int, ...],
    rounding: str,
    value: float = 0.0,
    whole: bool = False,
) -> tuple[Tensor, tuple[int, ...], bool]:
    """The map, padding and ceil mode with which PyTorch's own pooling makes the wanted windows, with as little copying
    as may be: the map itself, padded, or padded and filled up (or cut) at its end.

    `whole`: the map without its padding must be as large as the kernel (PyTorch's averages over three axes).
    """

    sizes = x.shape[2:]
    wanted = window_counts(sizes, kernel, stride, sides, dilation, rounding)

    def fits(sizes: Sequence[int], sides: Sequence[tuple[int, int]], ceil: bool) -> bool:
        large = not whole or all(n >= k for n, k in zip(sizes, kernel, strict=True))
        return large and wanted == window_counts(sizes, kernel, stride, sides, dilation, "ceil" if ceil else "floor")

    if all(a == b and 2 * a <= k for (a, b), k in zip(sides, kernel, strict=True)):
        for ceil in (False, True):
            if fits(sizes, sides, ceil):
                return x, tuple(a for a, _ in sides), ceil
    none = (0,) * len(sides)
    padded = F.pad(x, [p for pair in reversed(sides) for p in pair], value=value)
    for ceil in (False, True):
        if fits(padded.shape[2:], [(0, 0)] * len(sides), ceil):
            return padded, none, ceil
    return covered(x, kernel, stride, sides, dilation, rounding, value), none, False


def known_sides(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: tuple[int, ...],
) -> Sequence[tuple[int, int]]:
    """Padding in numbers; None is TensorFlow's SAME."""
    if sides is not None:
        return sides
    return [same_sides(*axis) for axis in zip(x.shape[2:], kernel, stride, dilation, strict=True)]


def max_pool(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: tuple[int, ...],
    rounding: str = "floor",
) -> Tensor:
    """Max pooling under any padding and rounding."""
    if len(kernel) == 1:  # PyTorch's one-dimensional kernel has a ceil rule of its own
        sides = known_sides(x, kernel, stride, sides, dilation)
        return max_pool(x.unsqueeze(2), (1, *kernel), (1, *stride), ((0, 0), *sides), (1, *dilation), rounding).squeeze(
            2
        )
    rule = "floor" if sides is None else rounding
    sides = known_sides(x, kernel, stride, sides, dilation)
    pool = (F.max_pool2d, F.max_pool3d)[len(kernel) - 2]
    x, padding, ceil = prepared(x, kernel, stride, sides, dilation, rule, -math.inf)
    y: Tensor = pool(x, kernel, stride, padding, dilation, ceil)
    return y


def max_unpool(
    x: Tensor,
    pooled: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: tuple[int, ...],
    rounding: str = "floor",
) -> Tensor:
    """Each value where the maximum of its window of `pooled` is, zeros elsewhere: as large as that map."""
    if len(kernel) == 1:  # as `max_pool` does it
        sides = known_sides(pooled, kernel, stride, sides, dilation)
        axes = (1, *kernel), (1, *stride), ((0, 0), *sides), (1, *dilation)
        return max_unpool(x.unsqueeze(2), pooled.unsqueeze(2), *axes, rounding).squeeze(2)
    rule = "floor" if sides is None else rounding
    sides = known_sides(pooled, kernel, stride, sides, dilation)
    pool = (F.max_pool2d, F.max_pool3d)[len(kernel) - 2]
    ready, padding, ceil = prepared(pooled, kernel, stride, sides, dilation, rule, -math.inf)
    at = pool(ready, kernel, stride, padding, dilation, ceil, True)[1]
    y = torch.zeros_like(ready).flatten(2).scatter(2, at.flatten(2), x.flatten(2)).reshape(ready.shape)
    return y if ready is pooled else uncovered(y, pooled.shape[2:], kernel, stride, sides, dilation)


def mean_pool(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: tuple[int, ...],
    rounding: str = "floor",
    count_padding: bool = True,
) -> Tensor:
    """Average pooling under any padding and rounding; the divisor counts the padding (not what lies beyond), or the
    map only."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(kernel) - 1]
    rule = "floor" if sides is None else rounding
    sides = known_sides(x, kernel, stride, sides, dilation)
    flat = [p for pair in reversed(sides) for p in pair]
    if max(dilation) > 1:
        filled = covered(x, kernel, stride, sides, dilation, rule)
        inside = F.pad(x.new_ones(1, 1, *x.shape[2:]), flat, value=1.0 if count_padding else 0.0)
        ends = [m - n for n, m in zip(inside.shape[2:], filled.shape[2:], strict=True)]
        inside = F.pad(inside, [p for end in reversed(ends) for p in (0, end)])
        share = spread_sum(inside, kernel, stride, dilation).clamp(min=1)
        return spread_sum(filled, kernel, stride, dilation) / share
    ready, padding, ceil = prepared(x, kernel, stride, sides, dilation, rule, whole=len(kernel) == 3)
    if ready is x:
        return pool(x, kernel, stride, padding, ceil, count_padding)
    inside = F.pad(x.new_ones(1, 1, *x.shape[2:]), flat, value=1.0 if count_padding else 0.0)
    ends = [m - n for n, m in zip(inside.shape[2:], ready.shape[2:], strict=True)]
    if count_padding and all(end <= 0 for end in ends):
        return pool(ready, kernel, stride, 0, ceil)
    inside = F.pad(inside, [p for end in reversed(ends) for p in (0, end)])
    share = pool(inside, kernel, stride, 0, ceil).clamp(min=1 / math.prod(kernel))
    return pool(ready, kernel, stride, 0, ceil) / share


def spread_sum(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
    """The sum over each window whose taps lie `dilation` apart, of those that fit into the map: axis by axis."""
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True), 2):
        room = x.shape[axis] - d * (k - 1)
        taps = [x.narrow(axis, t * d, room) for t in range(k)]
        x = sum(taps[1:], taps[0])[(slice(None),) * axis + (slice(None, None, s),)]
    return x


def sum_pool(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    sides: Sequence[tuple[int, int]] | None,
    dilation: tuple[int, ...],
    rounding: str = "floor",
) -> Tensor:
    """The sum over each window."""
    if len(kernel) == 1:
        sides = known_sides(x, kernel, stride, sides, dilation)
        return sum_pool(x.unsqueeze(2), (1, *kernel), (1, *stride), ((0, 0), *sides), (1, *dilation), rounding).squeeze(
            2
        )
    rule = "floor" if sides is None else rounding
    sides = known_sides(x, kernel, stride, sides, dilation)
    if max(dilation) > 1:
        return spread_sum(covered(x, kernel, stride, sides, dilation, rule), kernel, stride, dilation)
    x, padding, ceil = prepared(x, kernel, stride, sides, dilation, rule, whole=len(kernel) == 3)
    if len(kernel) == 2:
        return F.avg_pool2d(x, kernel, stride, padding, ceil, divisor_override=1)
    return F.avg_pool3d(x, kernel, stride, padding, ceil, divisor_override=1)
