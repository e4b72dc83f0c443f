"""Recurrent layers: what is kept and the peak of a step, against the storages that live in PyTorch on a CPU."""

from __future__ import annotations

import pytest
import torch
from live import kept, training_peak
from memory_models import step_peak
from torch import nn

import rfcalc.layers.recurrent_memory as recurrent_memory
from rfcalc import Report, from_torch
from rfcalc.plan.memory import Memory

SIZES = [(5, 1, 8, 16), (6, 4, 20, 16), (30, 4, 8, 64), (1, 3, 8, 8), (2, 3, 8, 8), (3, 2, 8, 40), (40, 16, 6, 8)]


class Recurrences(nn.Module):
    """A recurrent layer behind and before a linear one."""

    def __init__(
        self, cell: str, channels: int, hidden: int, layers: int, both: bool, bias: bool = True, first: bool = True
    ) -> None:
        super().__init__()
        self.before, self.first = nn.Linear(6, channels), first
        kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell]
        self.cells = kind(channels, hidden, layers, batch_first=first, bidirectional=both, bias=bias)
        self.after = nn.Linear(hidden * (2 if both else 1), 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.first:
            return self.after(self.cells(self.before(x))[0])
        return self.after(self.cells(self.before(x).transpose(0, 1))[0].transpose(0, 1))


def measured(module: Recurrences, length: int, batch: int) -> tuple[Memory, int, int]:
    """What is predicted; what is kept and the peak, predicted less measured."""
    x = torch.randn(batch, length, 6)
    memory = Memory(Report(from_torch(module, (length, 6), training=True).network, batch=batch))
    held = kept(module, x)
    module.zero_grad()
    return memory, memory.kept - held, step_peak(memory) - training_peak(module, x)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_one_layer(cell: str, both: bool, bias: bool) -> None:
    for first in (False, True):
        for length, batch, channels, hidden in SIZES:
            module = Recurrences(cell, channels, hidden, 1, both, bias, first)
            memory, held, peak = measured(module, length, batch)
            assert held == 0
            assert memory.inexact or peak == 0
            assert bool(memory.inexact) == (cell == "lstm" and both)
            assert abs(peak) <= 4 * batch * hidden * 4


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_several_layers(cell: str, both: bool) -> None:
    """What is kept is exact, and the peak near it, which the command says."""
    for length, batch, channels, hidden in SIZES:
        memory, held, peak = measured(Recurrences(cell, channels, hidden, 2, both), length, batch)
        assert held == 0
        assert memory.inexact or peak == 0
        assert abs(peak) <= 0.06 * step_peak(memory)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_frozen(cell: str, both: bool) -> None:
    """oneDNN makes the gradients of frozen parameters too; step by step nothing is kept for them."""
    for length, batch, channels, hidden in [(6, 4, 20, 16), (5, 1, 8, 16), (3, 2, 8, 40)]:
        module = Recurrences(cell, channels, hidden, 1, both)
        module.cells.requires_grad_(False)
        memory, held, peak = measured(module, length, batch)
        assert held == 0
        assert peak == 0 or (memory.inexact and abs(peak) <= 8 * batch * hidden * 4)
    module = Recurrences("lstm", 8, 40, 1, False)
    module.cells.weight_hh_l0.requires_grad_(False)
    assert measured(module, 3, 2)[1:] == (0, 0)


def test_the_check_sees_a_moment_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def shorter(*given: object) -> object:
        return list(recurrent_memory_backward(*given))[:-3]

    recurrent_memory_backward = recurrent_memory._backward
    module = Recurrences("gru", 8, 40, 1, False)
    assert measured(module, 2, 2)[1:] == (0, 0)
    monkeypatch.setattr(recurrent_memory, "_backward", shorter)
    assert measured(module, 2, 2)[2] != 0
