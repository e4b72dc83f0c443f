"""Valid sizes of code that picks by positions which it computes, against PyTorch with values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
ROWS = 50


class Picks(nn.Module):
    def __init__(self, pick: Callable[[Any, Any, int], Any]) -> None:
        super().__init__()
        self.pick = pick
        self.embedding, self.table = nn.Embedding(ROWS, 4), nn.Parameter(torch.zeros(ROWS, 4))
        self.register_buffer("positions", torch.arange(ROWS)[None])

    def forward(self, x: Any) -> Any:
        return self.pick(self, x, x.shape[-1])


def between(n: int) -> Any:
    """How far each position is from each."""
    at = torch.arange(n)
    return at[:, None] - at[None]


TABLES: dict[str, Callable[[Any, Any, int], Any]] = {
    "halves": lambda net, x, n: x + net.embedding(torch.arange(n) // 2).T,
    "thirds, rounded": lambda net, x, n: x + net.embedding(torch.div(torch.arange(n), 3, rounding_mode="floor")).T,
    "distances": lambda net, x, n: x + net.embedding(between(n).abs()).sum(1).T,
    "signed distances": lambda net, x, n: x + net.table[between(n) + ROWS // 2].sum(1).T,
    "distances from the last": lambda net, x, n: x + net.table[between(n) + n - 1].sum(1).T,
    "distances up to a limit": lambda net, x, n: x + net.embedding(between(n).clamp(-9, 9) + 9).sum(1).T,
    "distances, shifted in place": lambda net, x, n: x + net.table[between(n).add_(n - 1)].sum(1).T,
    "up to a limit": lambda net, x, n: x + net.embedding(torch.arange(n).clamp(max=90)).T,
    "the smaller": lambda net, x, n: x + net.table[torch.minimum(torch.arange(n), torch.tensor(30))].T,
    "from the end": lambda net, x, n: x + net.table[torch.arange(-n, 0)].T,
    "backwards": lambda net, x, n: x + net.table[torch.arange(n).flip(0)].T,
    "one by one": lambda net, x, n: x + net.table.index_select(0, torch.arange(n - 1, -1, -1)).T,
    "kept positions": lambda net, x, n: x + net.embedding(net.positions[:, :n]).transpose(1, 2),
    "doubled": lambda net, x, n: x + net.table[torch.stack([torch.arange(n), 2 * torch.arange(n)])].sum(0).T,
    "rests": lambda net, x, n: x + net.table[torch.arange(n) % 70].T,
    "resized": lambda net, x, n: (
        x + F.interpolate(net.table.T[None], size=2 * n - 1)[0].T[(between(n) + (n - 1) * 1.0).long()].sum(1).T
    ),
}
MAPS: dict[str, Callable[[Any, Any, int], Any]] = {
    "a limit far away": lambda net, x, n: x[:, :, torch.arange(n).clamp(max=60)],
    "samples": lambda net, x, n: x[:, :, torch.linspace(0, n - 1, 8).long()],
    "every other": lambda net, x, n: x[:, :, torch.arange(1, n, 2)],
    "windows": lambda net, x, n: x[:, :, (torch.arange(n)[:, None] + torch.arange(-2, 3)).clamp(0, n - 1)].mean(-1),
    "windows inside": lambda net, x, n: x[:, :, torch.arange(n - 4)[:, None] + torch.arange(5)].mean(-1),
    "the next": lambda net, x, n: x[:, :, torch.arange(1, n + 1).clamp(max=n - 1)],
    "the largest": lambda net, x, n: F.max_pool1d(x, 2) if torch.arange(n).max() > 20 else x,
    "classes": lambda net, x, n: x * F.cross_entropy(x, torch.arange(n)[None] // 9),
    "drawn": lambda net, x, n: x[:, :, torch.multinomial(torch.ones(n) + 0 * x.mean((0, 1)), 5)],
}


def against_values(module: Any, shape: tuple[int, ...], most: int) -> Any:
    found = rfcalc.sizes(module, shape)
    formula = found.output(0)[found.network.outputs[0]]
    for n in range(1, most):
        try:
            with torch.no_grad():
                y = module(torch.zeros(1, shape[0], n))
        except (RuntimeError, IndexError, ValueError):
            y = None
        taken = y is not None and y.numel() > 0
        assert (n in found.axes[0].valid) == taken, n
        if taken and formula is not None:
            assert eval(formula, {}, {"n": n}) == y.shape[2], n
    return found


@pytest.mark.parametrize("pick", TABLES)
def test_positions_in_a_table(pick: str) -> None:
    against_values(Picks(TABLES[pick]), (4, 20), 4 * ROWS)


@pytest.mark.parametrize("pick", MAPS)
def test_positions_in_a_map(pick: str) -> None:
    against_values(Picks(MAPS[pick]), (4, 20), 100)


def test_what_is_left_out_behind_a_limit_is_not_told() -> None:
    found = rfcalc.sizes(Picks(MAPS["a limit far away"]), (4, 20))
    assert set(found.unseen(0).values()) == {None}


NOT_FOLLOWED: dict[str, Callable[[Any, Any, int], Any]] = {
    "chosen by flags": lambda net, x, n: x[:, :, torch.where(torch.arange(n) < 60, torch.arange(n), 0)],
    "logarithms": lambda net, x, n: x + net.embedding((between(n).abs() + 1.0).log2().mul(9).long()).sum(1).T,
    "a longer list": lambda net, x, n: x + net.embedding(2 * net.positions[:, :n]).mT,
}


@pytest.mark.parametrize("pick", NOT_FOLLOWED)
def test_positions_that_are_not_followed_are_not_told(pick: str) -> None:
    with pytest.raises(RfcalcError, match="cannot be told"):
        rfcalc.sizes(Picks(NOT_FOLLOWED[pick]), (4, 20))
