"""`--batch` of a module: what is computed once counts once, and mixed items are those of a run at that batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_from_torch import Of
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rfcalc import RfcalcError, analyze, from_torch


class Table(nn.Module):
    """A constant table that a layer works on, whatever the batch."""

    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.rand(49, 64))
        self.l = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.l(self.table).sum() + x


class Queries(nn.Module):
    """Learned queries, once an item: a layer works on them before they meet the input."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.l, self.k = nn.Parameter(torch.rand(5, 8)), nn.Linear(8, 8), nn.Linear(3, 8)

    def forward(self, x: Tensor) -> Tensor:
        q = self.l(self.q[None].repeat(x.shape[0], 1, 1))
        return q + self.k(x)[:, None]  # type: ignore[no-any-return]


CASES: list[tuple[str, Callable[[], nn.Module], Any, int]] = [
    ("mixed", lambda: Of(lambda m, x: x @ x.t()), (64,), 65_536),
    ("mixed by mm", lambda: Of(lambda m, x: torch.mm(x, x.t()).softmax(-1)), (64,), 65_536),
    ("mixed by einsum", lambda: Of(lambda m, x: torch.einsum("ad,bd->ab", x, x)), (64,), 65_536),
    (
        "weighted",
        lambda: Of(lambda m, x: (x @ x.t()) @ m.l(x), l=nn.Linear(64, 8)),
        (64,),
        65_536 + 2 * 32 * 64 * 4 * 2,
    ),
    ("table", Table, (1,), 6_272),
    ("queries", Queries, (3,), 32 * (5 * 64 + 24)),
    ("plain", lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), "3x8x8", 32 * 108 * 36),
]


@pytest.mark.parametrize(("name", "make", "shape", "macs"), CASES, ids=[name for name, *_ in CASES])
def test_multiply_adds_of_a_batch(name: str, make: Callable[[], nn.Module], shape: Any, macs: int) -> None:
    module = make()
    report = analyze(from_torch(module, shape), batch=32)
    leaf = report.network.source.call.leaves[0]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.rand(32, *leaf.shape[1:]))
    assert report.totals.macs == sum(row.macs for row in report) == counter.get_total_flops() // 2
    if name != "weighted":
        assert report.totals.macs == macs
    assert report.totals.params == sum(p.numel() for p in module.parameters())


def test_what_is_mixed_has_the_shape_of_the_whole() -> None:
    report = analyze(from_torch(Of(lambda m, x: x @ x.t()), (64,)), batch=32)
    assert (report.rows[-1].output_shape, report.rows[-1].values) == ((32, 32), 1024)
    assert report.totals.macs == 65_536


def test_values_of_a_batch() -> None:
    report = analyze(from_torch(Table(), (1,)), batch=32)
    assert {row.name: row.values for row in report}["l"] == 98
    assert report.totals.values == sum(row.new_values for row in report) + 32


def test_another_run_at_another_batch_is_refused() -> None:
    module = Of(lambda m, x: m.c(x) if len(x) == 1 else m.c(x).relu(), c=nn.Conv2d(3, 4, 3))
    read = from_torch(module, "3x8x8")
    assert analyze(read).totals.macs == 108 * 36
    with pytest.raises(RfcalcError, match="other operators at another batch"):
        _ = analyze(read, batch=2).totals.macs


def test_a_module_that_changed_since_it_was_read_is_told_as_that() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    read = from_torch(module, "3x8x8")
    module[1] = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
    with pytest.raises(RfcalcError, match="not what it was when it was read"):
        _ = analyze(read, batch=2).totals.macs
