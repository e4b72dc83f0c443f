"""Models written by others, read and counted twice: by rfcalc, and by PyTorch's own parameters and FLOP counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import rfcalc
from rfcalc.readers.imported import Imported

torch.set_num_threads(1)


class Verdict(NamedTuple):
    """What both roads say of one model."""

    read: Imported
    params: int
    macs: int
    theirs: tuple[int, int]  # parameters, multiply-adds

    @property
    def exact(self) -> bool:
        return (self.params + sum(self.read.unused.values()), self.macs) == self.theirs

    @property
    def operators(self) -> list[str]:
        return sorted({u.operator for u in self.read.unknown})


def built(make: Callable[[], nn.Module]) -> nn.Module:
    """A model without memory for its weights where it can be built so, in evaluation mode."""
    try:
        with torch.device("meta"):
            made = make()
    except Exception:  # some compute with values while they are built
        made = make()
    return made.eval().requires_grad_(False)


def counted(module: nn.Module, *shapes: tuple[int, ...]) -> tuple[int, int]:
    """Parameters and multiply-adds by PyTorch itself; the module is on meta afterwards."""
    params = sum(p.numel() for p in module.parameters())
    module = module.to("meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), torch.device("meta"):
        module(*(torch.empty(1, *s) for s in shapes))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return params, flops // 2


def verdict(module: nn.Module, shape: Any) -> Verdict:
    """Both roads, for a model of one input."""
    read = rfcalc.from_torch(module, shape)
    totals = rfcalc.analyze(read).totals
    dims = rfcalc.Shape.of(shape).dims
    return Verdict(read, int(totals.params), int(totals.macs), counted(module, dims))
