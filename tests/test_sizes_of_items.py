"""Code that gives back several items at some sizes, or maps of other axes: all sizes that run are told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import rfcalc


class Items(nn.Module):
    """As many items as there are rows of a size that the code gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv1d(3, 4, 3, 2, 1), nn.Linear(4 * 5, 2)

    def forward(self, x: Any) -> Any:
        return self.linear(self.conv(x).view(-1, 20))


class Asking(Items):
    """The same, of code that asks for sizes, and takes few of them: its double is far away."""

    def forward(self, x: Any) -> Any:
        y = nn.functional.max_pool1d(self.conv(x.view(x.shape)), 9)
        return self.linear(y.reshape(-1, 20))


class Squeezed(Items):
    """An axis of one position is left out."""

    def forward(self, x: Any) -> Any:
        return nn.functional.max_pool1d(self.conv(x), 5).squeeze(2)


@pytest.mark.parametrize(("kind", "size"), [(Items, 10), (Asking, 90), (Squeezed, 10)])
def test_other_axes_are_told(kind: Any, size: int) -> None:
    module = kind()
    found = rfcalc.sizes(module, (3, size))
    assert found.output(0) == {found.network.outputs[0]: None}
    assert any("other axes" in told for told in found.assumptions)
    run = module.to("meta")
    for n in range(1, 300):
        try:
            taken = bool(run(torch.empty(1, 3, n, device="meta")).shape)
        except RuntimeError:
            taken = False
        assert taken == (n in found.axes[0].valid), n


class Coordinates(nn.Module):  # type: ignore[misc]
    """Swin v2: a view of what is made of parameters alone is no view of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.made = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(2, 4)
        self.table = nn.Buffer(torch.zeros(1, 7, 7, 2))

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        if y.shape[2] % 2:
            y = nn.functional.pad(y, (0, 0, 0, 1))
        return y + self.made(self.table).view(-1, 4).sigmoid().mean(0)[:, None, None]


def test_what_is_made_of_parameters_is_as_long_at_all_sizes() -> None:
    found = rfcalc.sizes(Coordinates().to("meta"), (3, 24, 24))
    assert [a.valid.start for a in found.axes] == [1, 1]
    assert eval(found.output(0)["add"] or "", {}, {"n": 25}) == 14
