"""Valid sizes behind tables of positions and behind readings that are all refused, against tensors without data."""

from __future__ import annotations

from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
from test_sizes_of_code import Base, against_torch  # noqa: E402

nn = torch.nn


class Positions(nn.Module):
    """A learned table of 6 × 4 positions: a map of one position on an axis is stretched to it."""

    def __init__(self, height: int = 6) -> None:
        super().__init__()
        self.patches, self.table = nn.Conv2d(3, 8, 8, 8), nn.Parameter(torch.zeros(1, 8, height, 4))
        self.mix = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return self.mix(self.patches(x) + self.table)


class SquareOnly(Base):
    """The side is the root of the number of positions, behind a map that fixes one size: no other reading is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, 8, 8, 4))

    def forward(self, x: Any) -> Any:
        y = self.a(x).flatten(2)
        side = int(y.shape[2] ** 0.5)
        grid = torch.nn.functional.interpolate(
            self.table.permute(0, 3, 1, 2), size=(x.shape[2] // 2, x.shape[3] // 2), mode="bilinear"
        )
        return (y + grid.flatten(2)).reshape(-1, 4, side, side)


def test_a_map_of_one_position_is_stretched_to_a_table() -> None:
    against_torch(Positions(), (3, 48, 32), range(1, 130))
    found = rfcalc.sizes(Positions(), (3, 48, 32))
    assert found.axes[0].valid.below == (*range(8, 16), *range(48, 56))
    assert found.output(0) == {found.network.outputs[0]: "6"}
    assert {eval(str(found.unseen(0)[found.network.outputs[0]]), {}, {"n": n}) for n in (8, 48)} == {0}
    against_torch(Positions(1), (3, 8, 32), range(1, 100))  # a table of one position is stretched to every map


def test_what_is_refused_later_than_told_is_not_told() -> None:
    with pytest.raises(RfcalcError, match="cannot be told"):
        rfcalc.sizes(SquareOnly(), (3, 16, 16))
