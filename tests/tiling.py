"""Random networks that can be tiled, and an exact executor for them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import torch

from rfcalc import (
    Add,
    AvgPool,
    Concat,
    Conv,
    ConvTranspose,
    Depthwise,
    Expr,
    MaxPool,
    Network,
    Pad,
    PixelShuffle,
    PixelUnshuffle,
    ReLU,
    RfcalcError,
    Shape,
    Slice,
    Upsample,
    parallel,
    series,
    to_torch,
)
from rfcalc.graph.forward import forward

REST = 251


def exact(network: Network, seed: int = 0) -> Callable[[Any], Any]:
    """The same for one input, without a batch."""
    module = _whole(network, seed)

    def run(x: Any) -> Any:
        with torch.no_grad():
            return module(x[None])[0]

    return run


def exact_of(network: Network, seed: int = 0) -> Callable[[Any], Any]:
    """The same for several inputs by name."""
    module = _whole(network, seed)

    def run(given: Any) -> Any:
        with torch.no_grad():
            return module(*[given[name][None] for name in network.inputs])[0]

    return run


def _whole(network: Network, seed: int) -> Any:
    """The network in whole numbers: positive integer weights, every map reduced modulo 251; averages are scaled."""
    module = to_torch(network).double().eval()
    pick = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        p.data = torch.randint(1, 5, p.shape, generator=pick).double()

    def reduced(_: Any, __: Any, y: Any) -> Any:
        y = torch.remainder(torch.floor(y * 16 + 0.5), REST)
        assert torch.isfinite(y).all() and float(y.abs().max()) < 2**53
        return y

    for child in module.modules():
        if not list(child.children()):
            child.register_forward_hook(reduced)
    return module


def image(shape: Shape, seed: int = 0) -> Any:
    pick = torch.Generator().manual_seed(seed + 1)
    return torch.randint(0, REST, tuple(shape.dims), generator=pick).double()


def layer(pick: Random, rank: int, border: str, mixed: bool = False) -> Expr:
    """A layer whose units read windows; `mixed`: other ones on each axis."""
    kind = pick.choice(["conv", "conv", "conv", "depthwise", "max", "avg", "up", "transpose", "cut", "pad", "shuffle"])
    kernel = pick.choice([1, 2, 3, 3, 5])
    stride = pick.choice([1, 1, 1, 2, 3])
    dilation = pick.choice([1, 1, 1, 2])
    padding: Any = pick.choice([0, kernel // 2, kernel // 2, ((1, 0),), ((0, 2),), "SAME"])
    if mixed and kind in ("conv", "transpose", "up"):
        return each_axis(pick, rank, border, kind)
    if kind == "conv":
        return Conv(2, kernel, stride=stride, padding=padding, dilation=dilation, bias=False, border=border)
    if kind == "depthwise":
        return Depthwise(
            kernel,
            stride=stride,
            padding=padding if padding != "SAME" else 1,
            dilation=dilation,
            bias=False,
            border=border,
        )
    if kind in ("max", "avg"):
        cls = MaxPool if kind == "max" else AvgPool
        kernel = max(kernel, 2)
        rounding = "floor" if kind == "avg" and rank == 3 else pick.choice(["floor", "floor", "ceil"])
        # PyTorch refuses to average volumes that are smaller than the kernel, padded or not
        around = 0 if kind == "avg" and rank == 3 else pick.choice([0, kernel // 2])
        return cls(kernel, pick.choice([1, 2, 2, 3]), around, rounding=rounding)
    if kind == "up":
        return Upsample(2, mode=pick.choice(["nearest", "linear"]) if rank < 3 else "nearest")
    if kind == "transpose":
        k = pick.choice([2, 3, 4])
        return ConvTranspose(2, k, stride=pick.choice([2, 2, 3]), padding=pick.choice([0, 1]), bias=False)
    if kind == "cut":
        return series(
            [
                Slice(axis + 1, pick.choice([None, 1, 2]), pick.choice([None, -1]), pick.choice([1, 1, 2]))
                for axis in range(rank)
            ]
        )
    if kind == "pad":
        return Pad(((pick.choice([0, 1, -1]), pick.choice([0, 2, -1])),) * rank, border)
    return PixelShuffle(2) if pick.random() < 0.5 else PixelUnshuffle(2)


def each_axis(pick: Random, rank: int, border: str, kind: str) -> Expr:
    """A layer with a kernel, stride, dilation and padding of its own on each axis."""
    kernel = tuple(pick.choice([1, 2, 3, 4, 5]) for _ in range(rank))
    stride = tuple(pick.choice([1, 1, 2, 3]) for _ in range(rank))
    if kind == "up":
        mode = pick.choice(["nearest", "nearest-exact", "linear", "cubic"] if rank == 2 else ["nearest", "linear"])
        return Upsample(tuple(min(s, 2) for s in stride) if mode == "cubic" else stride, mode=mode)  # exact in binary
    if kind == "transpose":
        most = [pick.choice([0, 1]) if k > 1 else 0 for k in kernel]
        return ConvTranspose(2, kernel, stride=stride, padding=tuple(most), bias=False)
    dilation = tuple(pick.choice([1, 1, 2, 3]) for _ in range(rank))
    around = tuple(
        (pick.randrange(d * (k - 1) + 1), pick.randrange(d * (k - 1) + 1))
        for d, k in zip(dilation, kernel, strict=True)
    )
    return Conv(2, kernel, stride=stride, padding=around, dilation=dilation, bias=False, border=border)


def random_network(pick: Random, mixed: bool = False) -> Network | None:
    """A network of 1 to 3 dimensions with branches; None where sizes do not fit.

    `mixed`: kernels, strides and paddings differ from axis to axis, and borders may be circular.
    """
    rank = pick.choice([1, 1, 1, 2, 2, 3])
    border = pick.choice(["zeros", "zeros", "zeros", "reflect", "replicate", *(["circular"] if mixed else [])])
    size = pick.randrange(18, 90) if rank == 1 else pick.randrange(14, 40) if rank == 2 else pick.randrange(10, 18)
    parts: list[Expr] = []
    for _ in range(pick.randrange(1, 6 if rank < 3 else 4)):
        if pick.random() < 0.3:
            stride = pick.choice([1, 1, 2])
            branch = series([layer(pick, rank, border, mixed) for _ in range(pick.randrange(1, 3))])
            other: Expr = Conv(2, pick.choice([1, 3]), stride=stride, padding=pick.choice([0, 1]), bias=False)
            if pick.random() < 0.4:
                other = series([AvgPool(2), Upsample(2)])
            parts.append(parallel([branch, other], pick.choice([Add(), Concat()])))
        else:
            parts.append(layer(pick, rank, border, mixed))
        if pick.random() < 0.2:
            parts.append(ReLU())
    try:
        network = Network(series(parts), Shape(4, *[size + pick.randrange(3) for _ in range(rank)]))
        walked = forward(network, [s for s in network.inputs.values() if s])
        to_torch(network)
    except RfcalcError:
        return None
    if any(x.values > 200_000 for x in walked.shapes):
        return None
    return network
