"""Max unpooling: what is read of PyTorch's indices, what runs, and what a unit sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import rfcalc
from rfcalc import MaxPool, MaxUnpool, RfcalcError
from rfcalc.receptive.region_walk import regions


class Unpooled(nn.Module):
    """A pool, and back to where its maxima were."""

    def __init__(self, kernel: int, stride: int, padding: int, ceil: bool, sized: bool = True) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(kernel, stride, padding, return_indices=True, ceil_mode=ceil)
        self.back, self.sized = nn.MaxUnpool2d(kernel, stride, padding), sized

    def forward(self, x: Tensor) -> Tensor:
        y, places = self.pool(x)
        out: Tensor = self.back(2 * y, places, x.size() if self.sized else None)
        return out


@pytest.mark.parametrize(
    "window", [(2, 2, 0, False), (2, 2, 0, True), (3, 2, 1, True), (3, 3, 0, False), (3, 1, 1, False)]
)
@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_it_runs_as_pytorch_does(window: tuple[int, int, int, bool], size: tuple[int, int]) -> None:
    module = Unpooled(*window)
    network = rfcalc.from_torch(module, (3, *size)).network
    assert [n.layer.kind for n in network.nodes if n.layer.kind != "elementwise"] == ["maxpool", "max_unpool"]
    x = torch.randn(2, 3, *size)
    assert torch.equal(rfcalc.to_torch(network)(x), module(x))


def test_indices_that_are_not_a_pools_are_not_understood() -> None:
    """Without the size the indices of an odd map mean other places: it is no unpooling of that map."""
    kinds = [n.layer.kind for n in rfcalc.from_torch(Unpooled(2, 2, 0, False, sized=False), "3x9x9").network.nodes]
    assert kinds[-1] == "unknown"


def test_what_a_unit_sees() -> None:
    """A position sees the values of its window and all that was pooled there; beyond the last window nothing."""
    network = rfcalc.load("{maxpool2, identity} maxunpool2")
    report = rfcalc.Report(network, "1x7x6")
    found = regions(report, report.outputs[0].name)
    assert set(found.unit((3, 4)).pixels()) == {(2, 4), (2, 5), (3, 4), (3, 5)}
    assert not list(found.unit((6, 4)).pixels())


def test_values_and_windows_must_fit() -> None:
    with pytest.raises(RfcalcError, match="windows of the map that was pooled"):
        rfcalc.analyze("{maxpool3, identity} maxunpool2", "1x8x8")
    assert MaxUnpool(3, 2).geometry == MaxPool(3, 2).geometry
