"""Positions that code picks from a map by a list, or by flags: they must be there, whatever its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError
from rfcalc.readers.undisguised import _least

torch = pytest.importorskip("torch")
nn = torch.nn


class Picks(nn.Module):
    def __init__(self, pick: Callable[[Any], Any]) -> None:
        super().__init__()
        self.pick = pick
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return self.conv(self.pick(x))


@pytest.mark.parametrize(
    ("pick", "least"),
    [
        (lambda x: x[:, :, torch.arange(10)], 10),
        (lambda x: x[:, :, [0, 2, 4, 6]], 7),
        (lambda x: x[:, :, [0, 1, 2]], 3),
        (lambda x: x.index_select(2, torch.arange(8)), 8),
        (lambda x: x[:, :, torch.arange(5)][..., torch.arange(3)], 5),
        (lambda x: x[:, :, torch.arange(4)[:, None], torch.arange(3)], 4),
        (lambda x: x[:, :, torch.arange(0, x.shape[2], 2)], 1),
    ],
)
def test_listed_positions_must_be_there(pick: Callable[[Any], Any], least: int) -> None:
    valid = rfcalc.sizes(Picks(pick), (2, 24, 20)).axes[0].valid
    assert (valid.start, valid.modulus) == (least, 1)
    module = Picks(pick)
    module(torch.zeros(1, 2, least, 20))
    if least > 1:
        with pytest.raises((IndexError, RuntimeError)):
            module(torch.zeros(1, 2, least - 1, 20))


def test_flags_are_as_long_as_their_axis() -> None:
    with pytest.raises(RfcalcError):
        rfcalc.sizes(Picks(lambda x: x[:, :, torch.arange(24) % 3 == 0]), (2, 24, 20))
    with pytest.raises(RfcalcError, match="it picks by 24 flags"):
        rfcalc.from_torch(Picks(lambda x: x[:, :, torch.arange(24) % 3 == 0]), (2, 20, 20))


def test_code_that_asks_for_no_size_is_run_at_the_least_one() -> None:
    found = rfcalc.sizes(nn.Sequential(nn.Conv2d(2, 2, 5), nn.MaxPool2d(2)), (2, 24, 20))
    assert list(_least(found)) == [(0, 6), (1, 6)]


def test_positions_in_a_learned_table_are_no_flags() -> None:
    found = rfcalc.from_torch(nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 4)), "int64:16")
    assert found.complete and found.params == 60
