"""Random chains of views, means, windows and branches: what units are said to see, against PyTorch on single pixels.

Every step is positive and linear, so an output depends on the pixels that make it other than zero: a batch holds one
pixel each. Receptive fields, the regions of units, and what one unit is walked back to are compared.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks import predicted
from torch import Tensor
from torch.nn import functional

from rfcalc import (
    Add,
    ChannelShuffle,
    Concat,
    Conv,
    ConvTranspose,
    Flatten,
    Gather,
    Mean,
    Network,
    Pad,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Report,
    Reshape,
    RfcalcError,
    Roll,
    Shape,
    Slice,
    Upsample,
    parallel,
    series,
)
from rfcalc.receptive.region_walk import regions
from rfcalc.receptive.unit_walk import UnitWalk

Function = Callable[[Tensor], Tensor]
Step = tuple[Any, Function, Shape]
MAPS = [(12,), (16,), (24,), (4, 6), (8, 3), (6, 6), (4, 4)]
VIEWS = ("reshape", "reshape", "reshape", "permute", "permute", "flatten", "mean", "mean")
OTHERS = (
    "slice",
    "conv",
    "conv",
    "grouped",
    "roll",
    "pad",
    "gather",
    "halves",
    "add",
    "shuffle",
    "pixels",
    "up",
    "spread",
    "packed",
)


def primes(n: int) -> list[int]:
    p = next((p for p in range(2, n) if n % p == 0), n)
    return [] if n == 1 else [p, *primes(n // p)]


def convolved(x: Tensor, layer: Conv) -> Tensor:
    rank, each = x.dim() - 2, x.shape[1] // layer.groups
    weight = torch.ones(layer.out_channels, each, *[layer.kernel[0]] * rank, dtype=x.dtype)
    run = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    return run(x, weight, None, layer.stride[0], 0, 1, layer.groups)


def spread(x: Tensor, layer: ConvTranspose) -> Tensor:
    rank = x.dim() - 2
    weight = torch.ones(x.shape[1], layer.out_channels, *[layer.kernel[0]] * rank, dtype=x.dtype)
    return (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[rank - 1](
        x, weight, None, layer.stride[0]
    )


def step(drawn: random.Random, x: Shape, kind: str) -> tuple[Any, Function] | None:
    """A layer on this map, and PyTorch's way to do the same; None where it does not go."""
    k, axis = len(x.dims), drawn.randrange(len(x.dims))
    n = x.dims[axis]
    plain = x.channel == 0 and 2 <= k <= 4
    if kind == "reshape":
        factors = [p for n in x.dims for p in primes(n)]
        cuts = sorted(drawn.choices(range(len(factors) + 1), k=drawn.randint(0, 3)))
        dims = tuple(math.prod(factors[a:b]) for a, b in zip([0, *cuts], [*cuts, len(factors)], strict=True))
        return Reshape(dims, drawn.randrange(len(dims))), lambda t: t.reshape(-1, *dims)
    if kind == "permute":
        order = drawn.sample(range(k), k)
        return Permute(tuple(order)), lambda t: t.permute(0, *(1 + i for i in order))
    if kind == "flatten":
        return Flatten(axis), lambda t: t.flatten(1 + axis)
    if kind == "mean" and k > 1:
        keep = drawn.random() < 0.5
        return Mean((axis,), keep=keep), lambda t: t.mean(1 + axis, keepdim=keep)
    if kind == "slice" and n > 1:
        start, jump = drawn.randrange(n - 1), drawn.choice((1, 1, 2))
        stop = drawn.randint(start + 1, n)
        return Slice(axis, start, stop, jump), lambda t: t[(slice(None),) * (1 + axis) + (slice(start, stop, jump),)]
    if kind == "gather" and n > 1:
        at = tuple(drawn.randrange(n) for _ in range(drawn.randint(1, n)))
        return Gather(axis, at), lambda t: t.index_select(1 + axis, torch.tensor(at))
    if kind == "halves" and n > 1:
        cut = drawn.randrange(1, n)
        first, second = (Slice(axis, cut, n), Slice(axis, 0, cut))[:: drawn.choice((1, -1))]
        both = parallel([first, second], Concat(axis))
        return both, lambda t: torch.cat(
            [t[(slice(None),) * (1 + axis) + (slice(s.start, s.stop),)] for s in (first, second)], 1 + axis
        )
    if kind == "add" and n > 1:
        shift = drawn.randrange(1, n)
        wide = Concat(axis)
        rolled = parallel([Slice(axis, shift, n), Slice(axis, 0, shift)], wide)
        return parallel([rolled, Slice(axis)], Add()), lambda t: t + t.roll(-shift, 1 + axis)
    if not plain:
        return None
    if kind in ("conv", "grouped"):
        groups = x.channels if kind == "grouped" else 1
        layer = Conv(
            groups * drawn.choice((1, 2)), drawn.choice((1, 2, 3)), stride=drawn.choice((1, 1, 2)), groups=groups
        )
        return layer, lambda t: convolved(t, layer)
    if kind == "spread":
        up = ConvTranspose(drawn.choice((1, 2)), drawn.choice((1, 1, 2)), stride=2)
        return up, lambda t: spread(t, up)
    if kind == "roll" and axis and n > 1:
        by = drawn.randrange(1, n)
        return Roll(tuple(by if i == axis else 0 for i in range(1, k))), lambda t: t.roll(by, 1 + axis)
    if kind == "pad":
        a, b = drawn.choice((0, 1, 2)), drawn.choice((-1, 0, 1))
        return Pad(((a, b),) * (k - 1)), lambda t: functional.pad(t, (a, b) * (k - 1))
    if kind == "shuffle":
        groups = drawn.choice([d for d in range(1, x.channels + 1) if x.channels % d == 0])
        return ChannelShuffle(
            groups
        ), lambda t: t.unflatten(1, (groups, t.shape[1] // groups)).transpose(1, 2).flatten(1, 2)
    if kind == "pixels" and k == 3:
        return PixelShuffle(2), lambda t: functional.pixel_shuffle(t, 2)
    if kind == "packed" and k == 3:
        return PixelUnshuffle(2), lambda t: functional.pixel_unshuffle(t, 2)
    if kind == "up" and k < 4:
        return Upsample(2), lambda t: functional.interpolate(t, scale_factor=2)
    return None


def chain(drawn: random.Random) -> tuple[Shape, list[Step]]:
    start = shape = Shape(drawn.choice((1, 1, 2, 3)), *drawn.choice(MAPS))
    steps: list[Step] = []
    for _ in range(drawn.randint(2, 6)):
        made = step(drawn, shape, drawn.choice(VIEWS if drawn.random() < 0.65 else OTHERS))
        if made is None:
            continue
        try:
            y = Report(Network(made[0], shape)).shapes[-1]
        except RfcalcError:
            continue
        if y.values > 160:
            continue
        shape = y
        steps.append((*made, y))
    return start, steps


def compare(seed: int, found: Counter[str]) -> None:
    """Every unit of the last node of one chain."""
    x, steps = chain(random.Random(seed))
    if not steps:
        return
    network = Network(series([layer for layer, *_ in steps]), x)
    report, last = Report(network), len(network.nodes)
    y, field, told = report.shapes[last], report.fields[0][last], report.rows[-1].receptive_field
    size = math.prod(x.spatial)
    pixels = torch.eye(size, dtype=torch.float64).reshape(size, 1, *x.spatial).expand(size, *x.dims)
    for _, function, _ in steps:
        pixels = function(pixels)
    assert tuple(pixels.shape[1:]) == y.dims, network
    seen = pixels.movedim(1 + y.channel, 1).sum(1).reshape(size, -1) > 0
    regional, padded = regions(report, last, 0), any(isinstance(layer, Pad) for layer, *_ in steps)
    found[told.status] += 1
    found["regions are exact" if not regional.bounded else "regions are bounds"] += 1
    for u, unit in enumerate(regional.units()):
        right = {tuple(int(i) for i in torch.unravel_index(p, x.spatial)) for p in seen[:, u].nonzero().ravel()}
        mine = set(regional.unit(unit).pixels())
        where = (seed, network, unit)
        assert mine >= right if regional.bounded else mine == right, (*where, right, mine)
        walk = set(UnitWalk(report, last, unit).region.pixels())
        assert right <= walk <= mine, (*where, right, walk, mine)
        found["walked back"] += 1
        if not right:
            if field is not None and not field.joins and told.status != "bounded" and not padded:
                assert predicted(field, y, unit) is None, where
                found["nothing is seen"] += 1
            continue
        hull = tuple((min(c), max(c)) for c in zip(*right, strict=True))
        assert field is not None, where
        if field.joins:
            continue
        said = predicted(field, y, unit)
        assert said is not None, where
        clipped = tuple((max(a, 0), min(b, n - 1)) for (a, b), n in zip(said, x.spatial, strict=True))
        if told.status == "bounded" or padded:  # padding is counted
            assert all(a <= c and d <= b for (a, b), (c, d) in zip(clipped, hull, strict=True)), where
        else:
            assert clipped == hull, (*where, said, hull)
            found["windows compared"] += 1


def test_chains_of_views() -> None:
    """The chains are always the same, so how often an answer is exact is known too: a bound is no way out."""
    found: Counter[str] = Counter()
    for seed in range(600):
        compare(seed, found)
    assert min(found[status] for status in ("exact", "periodic", "global", "bounded", "shift_variant")) >= 40, found
    assert found["regions are exact"] >= 457
    assert found["bounded"] <= 80
    assert found["windows compared"] >= 3265
    assert found["nothing is seen"] >= 166


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(20))
def test_more_chains_of_views(part: int) -> None:
    found: Counter[str] = Counter()
    for seed in range(10_000 + part * 1_500, 10_000 + (part + 1) * 1_500):
        compare(seed, found)
    assert found["windows compared"] >= 1500
