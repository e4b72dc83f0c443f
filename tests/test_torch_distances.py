"""Distances, norms, extremes over everything and bags of numbers in PyTorch; and what a forward raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rfcalc import RfcalcError, analyze, from_torch
from rfcalc.receptive.region_walk import regions


class Of(nn.Module):
    """A function of a convolution's result."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.conv, self._function = nn.Conv1d(2, 4, 3), function

    def forward(self, x: Any) -> Any:
        return self._function(self.conv(x))


EVERYTHING = set(range(9))


@pytest.mark.parametrize(
    ("function", "unit", "pixels"),
    [
        (lambda y: y - y.min(), (2,), EVERYTHING),
        (lambda y: y / y.abs().max(), (0,), EVERYTHING),
        (lambda y: y - y.mean(), (0,), EVERYTHING),
        (lambda y: torch.cdist(y.mT, y.mT), (1, 4), {1, 2, 3, 4, 5, 6}),
        (lambda y: torch.cdist(y.mT, y.mT[:, :2]), (6, 0), {6, 7, 8, 0, 1, 2}),
        (lambda y: y / torch.linalg.norm(y, dim=1, keepdim=True), (3,), {3, 4, 5}),
        (lambda y: y / torch.linalg.norm(y, dim=2, keepdim=True), (3,), EVERYTHING),
        (lambda y: y.renorm(2, 1, 1.0), (3,), EVERYTHING),
        (lambda y: y.renorm(2, 2, 1.0), (3,), {3, 4, 5}),
    ],
)
def test_what_a_unit_sees_is_what_moves_it(function: Any, unit: tuple[int, ...], pixels: set[int]) -> None:
    torch.manual_seed(0)
    module = Of(function).double()
    read = from_torch(module, "2x9")
    assert not read.unknown
    report = analyze(read)
    row = report.rows[-1]
    assert {p for (p,) in regions(report, row.name).unit(unit).pixels()} == pixels
    x = torch.rand(1, 2, 9, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(module, x)  # type: ignore[no-untyped-call]
    y = module(x)
    at = (0, *unit) if y.dim() == 1 + len(unit) else (0, slice(None), *unit)
    moved = jacobian[at].reshape(-1, 2, 9).abs().sum((0, 1)) > 1e-12
    assert {int(p) for p in moved.nonzero()} <= pixels


def test_items_of_a_batch_are_mixed_by_an_extreme_over_everything() -> None:
    read = from_torch(Of(lambda y: y - y.min()), "2x9")
    assert analyze(read, batch=4).totals.macs == 4 * 7 * 3 * 2 * 4


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_bag_of_numbers_reads_all_of_them(mode: str) -> None:
    report = analyze(from_torch(nn.Sequential(nn.EmbeddingBag(10, 4, mode=mode), nn.Linear(4, 3)), "int64:6"))
    assert report.complete
    assert report.totals.params == 40 + 15
    assert report.rows[-1].receptive_field.status == "global"


class Stop(BaseException):
    """No `Exception`."""


def test_what_a_forward_raises_is_a_message_whatever_its_class() -> None:
    def stop(y: Any) -> Any:
        raise Stop("enough")

    with pytest.raises(RfcalcError, match="Stop: enough"):
        from_torch(Of(stop), "2x9")


def test_control_an_interruption_goes_through() -> None:
    def interrupt(y: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_torch(Of(interrupt), "2x9")
