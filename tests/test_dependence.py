"""What units of modules depend on: the summary and regions of the module read, against the module itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pixels import Module, check
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Conv1, Conv2 = nn.Conv1d, nn.Conv2d


def size(module: nn.Module, shape: str) -> Any:
    return check(module, shape).size


def tower(dim: int, choose: Callable[[Tensor], Tensor]) -> Module:
    """Two convolutions of a signal, one after the other, as branches along an axis."""

    def run(m: Any, x: Tensor) -> Tensor:
        first = m.a(x)
        return choose(torch.stack([first, m.b(first)], dim))

    return Module(run, a=Conv1(4, 4, 3, padding=1), b=Conv1(4, 4, 3, padding=1))


BRANCHES = {
    "sum": (1, lambda t: t.sum(1), 5),
    "mean": (1, lambda t: t.mean(1), 5),
    "amax": (1, lambda t: t.amax(1), 5),
    "max": (1, lambda t: t.max(1)[0], 5),
    "last": (1, lambda t: t[:, -1], 5),
    "first": (1, lambda t: t[:, 0], 3),
    "front": (0, lambda t: t[0], 3),
    "behind": (-1, lambda t: t.sum(-1), 5),
    "middle": (2, lambda t: t.sum(2), 5),
    "flat": (1, lambda t: t.flatten(1, 2)[:, :4], 3),
    "unbound": (1, lambda t: t.unbind(1)[1], 5),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_an_axis_of_branches(name: str) -> None:
    dim, choose, right = BRANCHES[name]
    found = check(tower(dim, choose), "4x24")
    assert (found.status, found.size) == ("exact", (right,))


def forked(choose: Callable[[Any, Tensor], Tensor], **more: nn.Module) -> Module:
    """A 1 × 1 and a 5 × 5 convolution side by side in the channels."""

    def run(m: Any, x: Tensor) -> Tensor:
        return choose(m, torch.cat([m.narrow(x), m.wide(x)], 1))

    return Module(run, narrow=Conv2(2, 4, 1), wide=Conv2(2, 4, 5, padding=2), **more)


CHANNELS = {
    "slice": (forked(lambda m, y: y[:, :4]), 1),
    "other": (forked(lambda m, y: y[:, 4:]), 5),
    "seam": (forked(lambda m, y: y[:, 3:5]), 5),
    "chunk": (forked(lambda m, y: y.relu().chunk(2, 1)[0]), 1),
    "split": (forked(lambda m, y: y.split([4, 4], 1)[0]), 1),
    "groups": (forked(lambda m, y: m.g(y)[:, :2], g=Conv2(8, 4, 3, padding=1, groups=2)), 3),
    "depthwise": (forked(lambda m, y: m.g(y)[:, 1:3], g=Conv2(8, 8, 3, padding=1, groups=8)), 3),
    "shuffle": (forked(lambda m, y: F.channel_shuffle(y, 2)[:, ::2]), 1),
    "by hand": (forked(lambda m, y: y.view(-1, 2, 4, 9, 9).transpose(1, 2).reshape(-1, 8, 9, 9)[:, ::2]), 1),
    "index": (forked(lambda m, y: y[:, [0, 2]]), 1),
    "mixed": (forked(lambda m, y: m.g(y)[:, :2], g=Conv2(8, 4, 1)), 5),
    "pool": (forked(lambda m, y: F.avg_pool2d(y, 3, 1, 1)[:, :2]), 3),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_of_a_concat(name: str) -> None:
    module, right = CHANNELS[name]
    found = check(module, "2x9x9")
    assert (found.status, found.size) == ("exact", (right, right))
