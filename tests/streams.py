"""Random networks along one axis, with whole-number weights, for the tests of streams."""

from __future__ import annotations

from random import Random

import torch
from torch import nn

from rfcalc import (
    Add,
    AvgPool,
    Concat,
    Conv,
    ConvTranspose,
    Elementwise,
    Identity,
    MaxPool,
    Multiply,
    Network,
    Pad,
    PixelShuffle,
    PixelUnshuffle,
    ReLU,
    Slice,
    Upsample,
    parallel,
    series,
)
from rfcalc.core.expr import Expr

SMALL = Elementwise("fmod", 251.0)  # keeps values below 2^53, and changes no dependence


def split(total: int, r: Random) -> tuple[int, int]:
    """A total padding on two sides: causal, the other way round, equal, or anything."""
    first = r.choice([total, 0, total // 2, r.randint(0, total)])
    return first, total - first


def window(r: Random, channels: int, stride: int = 1, keeps: bool = True) -> Expr:
    """A convolution that keeps the length (divided by its stride), or pads at will."""
    k, d = r.choice([1, 2, 3, 3, 4, 5, 7]), r.choice([1, 1, 1, 2, 3])
    reach = d * (k - 1)
    border = r.choice(["zeros", "zeros", "zeros", "reflect", "replicate"])
    if keeps:
        pads = split(max(reach + 1 - stride, 0), r)
        if reach + 1 < stride:
            k, d, pads = stride, 1, (0, 0)
    else:
        pads = (r.randint(0, reach), r.randint(0, reach))
    groups = r.choice([g for g in (1, 1, 2) if channels % g == 0])
    return series(
        [
            Conv(
                channels,
                k,
                stride=stride,
                padding=(pads,),
                dilation=d,
                groups=groups,
                bias=r.random() < 0.7,
                border=border,
            ),
            SMALL,
        ]
    )


def up(r: Random, channels: int, factor: int) -> Expr:
    """A map that is `factor` times as long."""
    which = r.randrange(4)
    if which == 0:
        return Upsample(factor)
    if which == 1:
        return series([Conv(channels * factor, 1), SMALL, PixelShuffle(factor)])
    if which == 2 and factor == 2:
        return series([Upsample(2, mode="linear"), Elementwise("times", 4.0), SMALL])
    k = factor + r.randint(0, 2 * factor)
    a = r.randint(0, k - factor)
    return series(
        [ConvTranspose(channels, k, stride=factor, padding=((a, k - factor - a),), bias=r.random() < 0.7), SMALL]
    )


def down(r: Random, channels: int, factor: int) -> Expr:
    which = r.randrange(4)
    if which == 0:
        return MaxPool(factor)
    if which == 1 and factor in (2, 4):
        return series([AvgPool(factor), Elementwise("times", float(factor)), SMALL])
    if which == 2:
        return series([PixelUnshuffle(factor), Conv(channels, 1), SMALL])
    return window(r, channels, factor)


def branch(r: Random, channels: int, depth: int) -> Expr:
    """A part that keeps length and channels."""
    which = r.randrange(9)
    if depth <= 0 or which < 3:
        return window(r, channels)
    if which == 3:
        factor = r.choice([2, 2, 3, 4])
        return series([down(r, channels, factor), branch(r, channels, depth - 1), up(r, channels, factor)])
    if which == 4:
        k = r.choice([3, 5])
        return MaxPool(k, 1, (split(k // 2 * 2, r) if r.random() < 0.3 else (k // 2, k // 2),))
    if which == 5:  # a chomp: more is padded than needed, and cut off
        k = r.choice([2, 3, 4])
        return series(
            [
                Conv(channels, k, stride=1, padding=((k - 1, k - 1),)),
                SMALL,
                Slice(1, *r.choice([(None, -(k - 1)), (k - 1, None)])),
            ]
        )
    if which == 6:
        wide = r.choice([1, 6, 12])
        return series([Conv(wide, 1), SMALL, ReLU(), window(r, wide), Conv(channels, 1), SMALL])
    if which == 7:
        a = r.randint(0, 3)
        mode = r.choice(["zeros", "reflect", "replicate"])
        return series([Pad(((a, 3 - a),), mode), Conv(channels, 4), SMALL])
    return series([part(r, channels, depth - 1), branch(r, channels, depth - 1)])


def part(r: Random, channels: int, depth: int) -> Expr:
    """A branch, or several of them side by side."""
    which = r.randrange(5)
    if which < 2 or depth <= 0:
        return branch(r, channels, depth)
    arms = [branch(r, channels, depth - 1), Identity() if r.random() < 0.5 else branch(r, channels, depth - 1)]
    if which == 2:
        return series([parallel(arms, Add()), SMALL])
    if which == 3:
        return series([parallel(arms, Multiply()), SMALL])
    return series([parallel(arms, Concat()), Conv(channels, 1), SMALL])


def network(seed: int, depth: int = 3) -> Network:
    """A random network on one channel and more."""
    r = Random(seed)
    channels = r.choice([1, 2, 4])
    parts = [Conv(channels, 1), *(part(r, channels, depth) for _ in range(r.randint(1, 3)))]
    if r.random() < 0.3:
        parts.insert(1, down(r, channels, r.choice([2, 3, 4])))
    if r.random() < 0.2:
        parts.append(window(r, channels, 1, keeps=False))
    if r.random() < 0.3:
        parts.append(up(r, channels, r.choice([2, 3])))
    return Network(series(parts), f"{r.choice([1, 2])}x6912")  # whole blocks of whatever strides come together


def whole_numbers(module: nn.Module, seed: int = 0, least: int = -3) -> nn.Module:
    """The module in float64 with small whole numbers for weights: sums are exact."""
    made = torch.Generator().manual_seed(seed)
    module.double().eval()
    for p in module.parameters():
        p.data = torch.randint(least, 4, p.shape, generator=made).double()
        p.data[p.data == 0] = 1.0
    return module
