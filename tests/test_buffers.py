"""Weights that buffers hold as 8- or 4-bit numbers: what `table` says of them is what `memory` counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc.plan.memory import Memory
from rfcalc.report.table import notes


class Stored(nn.Module):
    """A linear layer whose weights are whole numbers in a buffer: one in a byte, or two."""

    weight: Tensor
    scale: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("weight", torch.zeros(16, 8 * bits // 8, dtype=torch.int8 if bits == 8 else torch.uint8))
        self.register_buffer("scale", torch.ones(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        whole = w if self.bits == 8 else torch.stack([w >> 4, w & 15], -1).reshape(16, 8)
        return F.linear(x, whole.float() * self.scale)


@pytest.mark.parametrize("bits", [8, 4])
def test_two_commands_say_the_same(bits: int) -> None:
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Stored(bits))
    read = rfcalc.from_torch(module, "1x8x8")
    report = rfcalc.analyze(read)
    (told,) = (note for note in notes(report) if "stand in buffers" in note)
    held = sum(b.numel() * b.element_size() for b in module.buffers())
    assert f"{16 * bits:,} bytes of whole" in told
    assert told.endswith(f"counts all buffers, {held:,} bytes")
    assert Memory(report, infer=True).constant["buffers"] == held


def test_flags_and_positions_are_no_weights() -> None:
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8))
    module.register_buffer("mask", torch.ones(4, 4, dtype=torch.bool))
    module.register_buffer("places", torch.zeros(4, 4, dtype=torch.int64))
    assert not any("stand in buffers" in note for note in rfcalc.from_torch(module, "1x8x8").notes)


class Empty(nn.Module):
    """A product of two matrices without values between them is zeros: a low-rank update of rank 0."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(105, 0)), nn.Parameter(torch.zeros(0, 4))
        self.linear, self.bias = nn.Linear(4, 4), nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.a @ self.b + self.a.sum() + F.linear(self.a, self.b.T, self.bias)


def test_empty_parameters_hold_nothing() -> None:
    read = rfcalc.from_torch(Empty(), "4")
    assert read.complete
    totals = rfcalc.analyze(read).totals
    assert (totals.params, totals.macs) == (24, 16)
