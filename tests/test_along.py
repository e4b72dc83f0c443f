"""Functions along an axis: what a unit reads, by the gradient of the module itself, and what PyTorch keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import rfcalc
from rfcalc import Along, RfcalcError, Shape
from rfcalc.backend.verify import verify

CASES: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...], str, tuple[object, ...]]] = {
    "running sum": (lambda x: x.cumsum(-1), (3, 9), "shift_variant", ((None, 1),)),
    "rows": (lambda x: x.cumsum(2), (3, 5, 6), "shift_variant", ((None, 1), (1, 1))),
    "product": (lambda x: x.cumprod(3), (3, 5, 6), "shift_variant", ((1, 1), (None, 1))),
    "log": (lambda x: x.logcumsumexp(2), (3, 9), "shift_variant", ((None, 1),)),
    "backwards": (lambda x: x.flip(-1).cumsum(-1).flip(-1), (3, 9), "shift_variant", (None,)),
    "order": (lambda x: x.sort(-1, descending=True).values, (3, 9), "global", (None,)),
    "largest": (lambda x: x.topk(2, -1).values, (3, 9), "global", (None,)),
    "along channels": (lambda x: x.cumsum(1), (3, 9), "exact", ((1, 1),)),
    "of one position": (lambda x: x[..., :1].cumsum(-1), (3, 9), "exact", ((1, 1),)),
}


class Module(nn.Module):
    def __init__(self, rank: int, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = (nn.Conv1d if rank == 1 else nn.Conv2d)(3, 3, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


@pytest.mark.parametrize("name", CASES)
def test_units_read_what_the_gradient_shows(name: str) -> None:
    function, shape, status, reach = CASES[name]
    module = Module(len(shape) - 1, function).double()
    report = rfcalc.analyze(rfcalc.from_torch(module, "x".join(map(str, shape))))
    assert report.complete
    row = report.outputs[0]
    field = row.receptive_field
    assert (field.status, field.reach) == (status, reach)
    if status == "global":  # an order's gradient shows one value of those that are compared
        return
    x = (torch.rand(1, *shape, dtype=torch.float64) + 0.5).requires_grad_()
    for p in module.parameters():
        p.data = p.data.abs() + 0.1
    y = module(x)
    regions = rfcalc.receptive_field(report.network, at=row.name).regions
    flat = y.flatten(2)
    extents = y.shape[2:]
    for unit in range(flat.shape[-1]):
        (seen,) = torch.autograd.grad(flat[0, :, unit].sum(), x, retain_graph=True)
        pixels = {tuple(p) for p in (seen[0].abs().sum(0) > 0).nonzero().tolist()}
        at = tuple(int(i) for i in torch.unravel_index(torch.tensor(unit), extents))
        assert set(regions.unit(at).pixels()) == pixels, at


def test_channels_of_a_running_sum_are_told_apart() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.near, self.far = nn.Conv1d(2, 1, 1), nn.Conv1d(2, 1, 5, padding=2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.near(x), self.far(x)], 1).cumsum(1)[:, :1]

    field = rfcalc.analyze(rfcalc.from_torch(Two(), "2x9")).outputs[0].receptive_field
    assert field.size == (1,)
    swapped = rfcalc.analyze(rfcalc.from_torch(Module(1, lambda x: x.cumsum(1)), "3x9")).outputs[0].receptive_field
    assert swapped.size == (3,)


@pytest.mark.parametrize("name", ["running sum", "product", "order", "largest"])
def test_what_is_told_of_the_module_is_so(name: str) -> None:
    function, shape, *_ = CASES[name]
    module = Module(len(shape) - 1, function)
    network = rfcalc.from_torch(module, "x".join(map(str, shape)))
    torch.manual_seed(0)
    assert verify(network.network).passed


def test_what_cannot_be_is_refused() -> None:
    for wrong, said in [
        (lambda: Along("cumsums"), "cumsum"),
        (lambda: Along("topk", 1), "how many"),
        (lambda: Along("cumsum", 1, keep=3), "all positions"),
        (lambda: Along("topk", 1, keep=9).output(Shape(3, 5)), "it has 5"),
        (lambda: Along("sort", 4).output(Shape(3, 5)), "axis 4"),
    ]:
        with pytest.raises(RfcalcError, match=said):
            wrong()


def test_a_wrong_reading_is_seen() -> None:
    """The control: an order in the place of a running sum sees more than the gradient of the running sum shows."""
    x = torch.rand(1, 2, 5, requires_grad=True)
    (seen,) = torch.autograd.grad(x.cumsum(-1)[0, :, 1].sum(), x)
    pixels = {(int(p),) for p in seen[0].abs().sum(0).nonzero()}
    for function, same in (("cumsum", True), ("sort", False)):
        told = rfcalc.receptive_field(rfcalc.Network(Along(function, 1), "2x5")).regions.unit((1,))
        assert (set(told.pixels()) == pixels) is same
