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


def ranks(x: Any) -> Any:
    """The order of the positions of a map by their means."""
    return x.mean(1).argsort(-1)


def written(at: Any, n: int) -> Any:
    at[:, :2] = n
    return at


# Positions that values of the input say, which always lie in what they pick from.
SAID: dict[str, Callable[[Any, Any, int], Any]] = {
    "of the channels": lambda net, x, n: x + net.table[x.argmax(1)].mT,
    "of a codebook": lambda net, x, n: net.table[torch.cdist(x.mT, net.table).argmin(-1)].mT,
    "rests": lambda net, x, n: x + net.embedding(ranks(x) % ROWS).mT,
    "up to the last": lambda net, x, n: x + net.embedding(ranks(x).clamp(max=ROWS - 1)).mT,
    "from the last": lambda net, x, n: x + net.table[-1 - ranks(x).clamp(0, ROWS - 1)].mT,
    "values, limited": lambda net, x, n: x + net.embedding((90 * x.mean(1)).long().clamp(0, ROWS - 1)).mT,
    "the best": lambda net, x, n: x.gather(2, x.topk(3, dim=-1).indices),
    "the best, sorted": lambda net, x, n: x.gather(2, x.topk(k=3, dim=2)[1].sort(-1)[0]),
    "of halves": lambda net, x, n: x.gather(2, 2 * F.max_pool1d(x, 2).argsort(-1)),
    "one hot": lambda net, x, n: F.one_hot(ranks(x), n).float(),
    "along an axis, of which rests are taken": lambda net, x, n: (
        x + net.table[None].mT.take_along_dim(x.argsort(-1)[..., :1], 2)
    ),
    "scattered": lambda net, x, n: torch.zeros(1, 4, n).scatter_add(2, x.argsort(-1), x),
    "the last of a mask": lambda net, x, n: x[torch.arange(1), :, (x.mean(1) > 0).sum(-1) - 1],
    "as many as in a mask": lambda net, x, n: F.pad(x, (1, 0)).gather(2, (x > 0).cumsum(-1)),
    "masked in part (MAE)": lambda net, x, n: x.gather(2, torch.rand(1, 4, n).argsort(-1)[..., : int(n * 0.25)]),
    "shuffled": lambda net, x, n: x[:, :, torch.randperm(n)],
    "neighbours (DGCNN)": lambda net, x, n: (
        x.mT.reshape(n, 4)[((x.mT @ x).topk(4, dim=-1)[1] + torch.arange(1).view(-1, 1, 1) * n).view(-1)]
        .view(1, n, 4, 4)
        .mean(2)
        .mT
    ),
    "steps of values (FSQ)": lambda net, x, n: net.table[((x.tanh() * 2).round() + 2).sum(1).long()].mT,
    "by fractions": lambda net, x, n: x * (torch.arange(n) * 0.1 + 0.3).sin(),
    "counted along a mask": lambda net, x, n: x / ((x > 0).float().sum(-1, keepdim=True) + 1e-6),
}
# The same, of which some do not lie in it at other sizes.
MAY_LIE_BEHIND: dict[str, Callable[[Any, Any, int], Any]] = {
    "the largest": lambda net, x, n: x + net.table[x.argmax(-1)].sum(1)[..., None],
    "the largest of all": lambda net, x, n: x + net.embedding(x[:, 0].argmax()[None])[..., None],
    "its index": lambda net, x, n: x + net.embedding(x.max(-1).indices).sum(1)[..., None],
    "ranks": lambda net, x, n: x + net.embedding(ranks(x)).mT,
    "halves of ranks": lambda net, x, n: x + net.embedding(ranks(x) // 2).mT,
    "the best": lambda net, x, n: net.embedding(x.mean(1).topk(3, dim=-1)[1]).mT,
    "the best two": lambda net, x, n: x + net.embedding(sum(ranks(x)[:, :2].unbind(1)))[..., None],
    "of pools": lambda net, x, n: F.max_pool1d(x, 2) + net.table[F.max_pool1d(x, 2, return_indices=True)[1]].sum(-1),
    "of a shorter map": lambda net, x, n: F.max_pool1d(x, 2).gather(2, x.argsort(-1)[..., :4]),
    "taken": lambda net, x, n: x + net.table[:, 0].take(x.argmax(-1))[..., None],
    "one hot": lambda net, x, n: F.one_hot(ranks(x), ROWS).float(),
    "scattered": lambda net, x, n: torch.zeros(1, 4, ROWS).scatter_add(2, x.argsort(-1), x),
    "computed further": lambda net, x, n: x + net.embedding(ranks(x).square() // 100).mT,
    "shifted bits": lambda net, x, n: x + net.embedding(ranks(x) << 1).mT,
    "written over": lambda net, x, n: x + net.embedding(ranks(x).fill_(n)).mT,
    "written in part": lambda net, x, n: x + net.embedding(written(ranks(x), n)).mT,
    "copied": lambda net, x, n: x + net.embedding(torch.zeros(1, n, dtype=torch.long).copy_(ranks(x))).mT,
    "of another kind": lambda net, x, n: x + net.embedding(ranks(x).to(torch.uint8).long()).mT,
    "rests, shifted": lambda net, x, n: x + net.embedding((ranks(x) - 30) % 60).mT,
    "shares": lambda net, x, n: x + net.embedding((x.mean(1).sigmoid() * n).long()).mT,
    "centres": lambda net, x, n: net.embedding((x.softmax(-1) * torch.arange(n)).sum(-1).long()).mT,
    "as long as a mask holds": lambda net, x, n: net.embedding((x > 0).long().cumprod(-1).sum(-1)).mT,
    "counted": lambda net, x, n: net.embedding(x.count_nonzero(-1)).mT,
    "drawn": lambda net, x, n: net.embedding(torch.randint(high=n, size=(1, 9))).mT + x.mean(),
    "of the channels, in a map": lambda net, x, n: x[..., x.argmax(1)[0, :1]],
    "drawn, in a map": lambda net, x, n: x[..., torch.randperm(30)[:3]],
    "by signs, in a map": lambda net, x, n: x[..., x[0, 0].sign().long() + 1],
    "along a mask (RoBERTa)": lambda net, x, n: x + net.embedding((x.mean(1) > 0).long().cumsum(1)).mT,
}


def against_values(module: Any, shape: tuple[int, ...], most: int, inputs: Any = torch.zeros) -> Any:
    found = rfcalc.sizes(module, shape)
    formula = found.output(0)[found.network.outputs[0]]
    for n in range(1, most):
        try:
            with torch.no_grad():
                y = module(inputs(1, shape[0], n))
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


@pytest.mark.parametrize("pick", SAID)
def test_positions_that_values_say(pick: str) -> None:
    against_values(Picks(SAID[pick]), (4, 20), 2 * ROWS, torch.randn)


@pytest.mark.parametrize("pick", MAY_LIE_BEHIND)
def test_positions_that_values_say_may_not_be_there(pick: str) -> None:
    with pytest.raises(RfcalcError, match="positions that values say") as caught:
        rfcalc.sizes(Picks(MAY_LIE_BEHIND[pick]), (4, 20))
    assert caught.value.where.startswith("test_sizes_of_positions.py, line")


def test_tables_of_a_module_that_is_built_without_data(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "ranked.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.rows = nn.Embedding(50, 4)\n\n    def forward(self, x):\n"
        "        return x + self.rows(x.mean(1).argsort(-1)).mT\n\n\nclass Rests(Net):\n    def forward(self, x):\n"
        "        return x + self.rows(x.mean(1).argsort(-1) % 50).mT\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RfcalcError, match="at 4x51 it picks by positions that values say"):
        rfcalc.sizes("ranked.py:Net", (4, 20))
    assert 51 in rfcalc.sizes("ranked.py:Rests", (4, 20)).axes[0].valid


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
