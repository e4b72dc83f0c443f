"""Valid sizes of code that cuts tables without gradient by lengths, divides by them, or catches what is refused: what
is told is what PyTorch does at every size, or it is not told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
Step = Callable[[Any, Any, int], Any]  # of the module, its map of 8 channels, and its length
LARGEST = 100  # positions of the tables: more than the sizes that are read first


def caught(net: Any, y: Any, n: int) -> Any:
    try:
        return y.view(1, 8, 6, -1).mean(2)
    except RuntimeError:
        return y


def by_columns(y: Any) -> Any:
    turned = y[..., None].permute(0, 3, 1, 2)
    return turned.permute(0, 2, 3, 1)[..., 0][..., : turned.shape[3] // 2 + 1]


def written(y: Any, at: slice) -> Any:
    table = torch.zeros(1, 8, LARGEST)
    table[..., at] = y
    return table


def over_a_map(net: Any, y: Any, at: slice, n: int) -> Any:
    y[..., at] = net.table[..., :n]
    return y


def caught_behind_a_table(net: Any, y: Any, n: int) -> Any:
    try:
        return y + net.table[..., :n]
    except RuntimeError:
        return F.max_pool1d(y, 2)


def divided(net: Any, y: Any, n: int) -> Any:
    try:
        _ = 60 // (n % 17)
    except ZeroDivisionError:
        return F.max_pool1d(y, 2)
    return y


def offset_of_distances(net: Any, y: Any, n: int) -> Any:
    i = torch.arange(n)
    return y.transpose(1, 2) @ y + net.table[0, 0][i[:, None] - i[None] + 50]


def kept_distances(net: Any, y: Any, n: int) -> Any:
    i = torch.arange(n)
    return y.transpose(1, 2) @ y + net.table[0, 0][(i[:, None] - i[None]).clamp(-9, 9) + 9]


TOLD: dict[str, Step] = {
    "a table": lambda net, y, n: y + net.table[..., :n],
    "of its rows": lambda net, y, n: (y.permute(2, 0, 1) + net.table.permute(2, 0, 1)[:n]).permute(1, 2, 0),
    "from the middle": lambda net, y, n: y + net.table[..., 20 : n + 20],
    "half of it": lambda net, y, n: y + net.table.repeat(1, 1, 2).chunk(2, 2)[1][..., :n],
    "picked one by one": lambda net, y, n: y + net.table[:, :, torch.arange(n)],
    "positions that are kept": lambda net, y, n: y + net.embedding(net.positions[:, :n]).transpose(1, 2),
    "positions that are made": lambda net, y, n: y + net.embedding(torch.arange(n)).T,
    "a mask": lambda net, y, n: (y.transpose(1, 2) @ y).masked_fill(net.mask[:, :n, :n] == 0, 0.0),
    "distances up to a limit": kept_distances,
    "a division": divided,
    "every 75th position": lambda net, y, n: y[..., torch.arange(0, n, 75)],
    "how long a part is": lambda net, y, n: F.pad(y, (0, LARGEST - net.table[..., n:].shape[2])),
}
NOT_WRONG: dict[str, Step] = {
    "a part": lambda net, y, n: y + net.table.narrow(2, 0, n),
    "its end": lambda net, y, n: y + net.table[..., LARGEST - n :],
    "one position": lambda net, y, n: y + net.table[..., n, None],
    "pieces": lambda net, y, n: y + net.table.split([n, LARGEST - n], 2)[0],
    "a view of a part": lambda net, y, n: y + net.table[..., :n].reshape(1, 8, n),
    "an open view": lambda net, y, n: y + torch.zeros(8 * LARGEST)[: 8 * n].view(1, 8, -1),
    "distances": offset_of_distances,
    "an axis that is left out": lambda net, y, n: F.avg_pool1d(y, 12).squeeze(2),
    "a part that is negative": lambda net, y, n: y.narrow(2, 2, n - 7),
    "another pool of a stride": lambda net, y, n: F.max_pool1d(y, 3 if n < 82 else 2, 3),
    "the first of some pieces": lambda net, y, n: y.split(90, 2)[0],
    "pieces at fixed positions": lambda net, y, n: y.tensor_split([5, 90], 2)[1],
    "positions of a mask": lambda net, y, n: y[..., (torch.arange(n) > 75) | (torch.arange(n) < 1)],
    "positions of numbers": lambda net, y, n: y[..., torch.arange(n).gt(75).nonzero().flatten()],
    "numbers in steps of halves": lambda net, y, n: y[..., torch.arange(0, n, 80.5).long()],
    "how many differ": lambda net, y, n: F.pad(y, (0, torch.bincount(torch.arange(n) // 80).shape[0])),
    "numbers as positions of ones": lambda net, y, n: y + F.one_hot(torch.arange(n), LARGEST).float()[:, :8].T,
    "written into a table": lambda net, y, n: written(y, slice(None, n)),
    "written into its end": lambda net, y, n: written(y, slice(LARGEST - n, None)),
    "written over a map": lambda net, y, n: over_a_map(net, y, slice(None, 12), 12),
    "written over its end": lambda net, y, n: over_a_map(net, y, slice(-12, None), 12),
    "what stands in a table": lambda net, y, n: F.avg_pool1d(y, int(net.positions[0, min(n, 99)] // 90) + 1),
    "views whose number differs": lambda net, y, n: by_columns(y),
    "an error": caught,
    "an error behind a table": caught_behind_a_table,
}


class Net(nn.Module):
    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step, self.conv, self.embedding = step, nn.Conv1d(4, 8, 3, padding=1), nn.Embedding(LARGEST, 8)
        self.register_buffer("table", torch.zeros(1, 8, LARGEST))
        self.register_buffer("positions", torch.arange(LARGEST)[None])
        self.register_buffer("mask", torch.ones(1, LARGEST, LARGEST).tril())

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        return self.step(self, y, y.shape[-1])


def does(step: Step, n: int) -> tuple[int, ...] | None:
    try:
        with torch.no_grad():
            y = Net(step).eval()(torch.zeros(1, 4, n))
    except (RuntimeError, IndexError):
        return None
    return tuple(y.shape) if y.numel() else None  # maps without values are refused


@pytest.mark.parametrize("name", [*TOLD, *NOT_WRONG])
def test_what_is_told_of_tables_and_errors_is_what_the_code_does(name: str) -> None:
    step = TOLD.get(name) or NOT_WRONG[name]
    try:
        found = rfcalc.sizes(Net(step).eval(), (4, 40))
    except RfcalcError:
        if name in TOLD:
            raise
        return
    (formula,) = found.output(0).values()
    for n in (*range(1, 56), *range(LARGEST - 22, LARGEST + 3), 2 * LARGEST + 1):
        y = does(step, n)
        assert (n in found.axes[0].valid) == (y is not None), (n, y)
        assert y is None or formula is None or eval(formula, {}, {"n": n}) == y[2], (n, y, formula)
