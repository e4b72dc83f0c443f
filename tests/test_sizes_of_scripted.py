"""Valid sizes of scripted code (TorchScript): functions run as they were written, modules may compare sizes unheard."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
from test_sizes_of_code import against_torch  # noqa: E402

nn, F = torch.nn, torch.nn.functional


def padded(x: torch.Tensor) -> torch.Tensor:
    if x.size(-1) % 2 == 1:
        x = F.pad(x, [0, 1])
    return x


def pooled(x: torch.Tensor) -> torch.Tensor:
    if x.size(-1) > 20:
        return F.avg_pool1d(x, 2)
    return x


def refused(x: torch.Tensor) -> torch.Tensor:
    if x.size(-1) == 33:
        raise RuntimeError("no 33")
    return x * 2


@cache
def scripted(name: str) -> Any:
    return torch.jit.script(globals()[name])


class Calls(nn.Module):
    """A scripted function, which cannot be copied, before a layer."""

    def __init__(self, function: str) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv1d(4, 4, 2, 2)

    def forward(self, x: Any) -> Any:
        return self.conv(scripted(self.function)(x))


class Refuses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 4, 2, 2), nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.size(2) == 33:
            raise RuntimeError("no 33")
        return F.interpolate(self.norm(self.conv(x)), scale_factor=2.0)


class Asks(Refuses):
    """It asks for sizes, and compares none: what is no list of lengths, how many axes there are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.interpolate(self.norm(self.conv(x)), scale_factor=2.0)
        return y.flatten(1).view(y.size(0), y.size(1), -1)


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]


@pytest.mark.parametrize("function", ["padded", "pooled", "refused"])
def test_scripted_functions_are_heard(function: str) -> None:
    against_torch(Calls(function), (4, 12), range(1, 60))


def test_scripted_modules_that_compare_sizes_are_not_told() -> None:
    refuses = torch.jit.script(Refuses().eval())
    for module in (refuses, nn.Sequential(nn.Conv1d(4, 4, 3), refuses)):
        with pytest.raises(RfcalcError, match="scripted"):
            rfcalc.sizes(module, (4, 12))
    asks = torch.jit.script(Asks().eval())
    found = rfcalc.sizes(asks, (4, 12))
    for n in range(1, 60):
        assert (n in found.axes[0].valid) == (n > 1)
        if n > 1:
            assert asks(torch.zeros(1, 4, n)).shape[2] == eval(found.output(0)[found.network.outputs[0]], {"n": n})
