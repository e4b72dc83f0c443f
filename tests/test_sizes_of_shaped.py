"""Valid sizes of code that adds tables which it makes from lengths, step by step: what is told is what PyTorch does at
every size, or it is not told."""

from __future__ import annotations

from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
F = torch.nn.functional
from test_sizes_of_constants import Net, Step, does  # noqa: E402


def rotated(net: Any, y: Any, n: int) -> Any:
    angles = torch.outer(torch.arange(n).float(), torch.arange(4) / 4)
    sin, cos = torch.cat([angles.sin(), angles.cos()], -1).chunk(2, -1)
    a, b = y.transpose(1, 2).chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1).transpose(1, 2)


def interleaved(net: Any, y: Any, n: int) -> Any:
    grid = torch.stack(torch.meshgrid(torch.arange(0.5, n) / n, torch.linspace(-1, 1, 2), indexing="ij"), -1)
    table = (grid[..., None] * torch.ones(2)).flatten(1).repeat_interleave(1, -1)
    return y + table.view(n, 8).permute(1, 0)


def counted(net: Any, y: Any, n: int) -> Any:
    mask = ~torch.zeros(1, n, dtype=torch.bool)
    along = mask.cumsum(1, dtype=torch.float32)
    along = (along / (along[:, -1:] + 1e-6))[..., None] / torch.arange(1, 9)
    return y + torch.stack([along[..., 0::2].sin(), along[..., 1::2].cos()], 3).flatten(2).transpose(1, 2)


def one_by_one(net: Any, y: Any, n: int) -> Any:
    first, second = torch.arange(2 * n).view(2, n)
    rows = torch.stack([first, second], 1).unbind(1)
    return y + rows[0].expand(8, -1) + rows[1][None].repeat(8, 1)


def of_an_even_length(net: Any, y: Any, n: int) -> Any:
    return y + (torch.arange(n) + torch.arange((n + 1) // 2 * 2))


def joined(net: Any, y: Any, n: int) -> Any:
    return y + torch.cat([torch.arange(n // 3), torch.zeros(n - n // 3)])


def in_windows(net: Any, y: Any, n: int) -> Any:
    parts = F.unfold(y[:, :, None], (1, 8), stride=(1, 4))[:, :8]
    parts = parts + net.table[..., : parts.shape[2]]
    return parts if parts.shape[2] > 5 else parts + 1


STEPS: dict[str, Step] = {
    "rotations": rotated,
    "rotations side by side": interleaved,
    "a sum along a mask": counted,
    "rows one by one": one_by_one,
    "an even length": of_an_even_length,
    "joined": joined,
    "in pairs": lambda net, y, n: y + torch.arange(n).view(-1, 2).sum(1).repeat_interleave(2),
    "products": lambda net, y, n: y + torch.einsum("i,c->ci", torch.arange(n), torch.arange(8)),
    "windows": lambda net, y, n: y.unfold(2, 8, 4).flatten(2),
    "steps of halves": lambda net, y, n: y[..., : torch.arange(1.5, n, 2.5).shape[0]],
}
NOT_WRONG: dict[str, Step] = {
    "windows of a table": in_windows,
    "pieces of some": lambda net, y, n: y[..., :4] + torch.arange(n).split(4)[0],
    "stretched": lambda net, y, n: y + torch.arange(n - 12).expand(1, n % 13 + 27).sum(),
    "written over": lambda net, y, n: y + torch.zeros(n % 13 + 27).add_(torch.arange(n - 12)).sum(),
    "parts that do not fit": lambda net, y, n: y[..., :9] + torch.arange(n).split([9, 31])[0],
    "of one place": lambda net, y, n: y + torch.arange(n).view(-1, 10)[:, 0].sum(),
}


@pytest.mark.parametrize("name", [*STEPS, *NOT_WRONG])
def test_tables_that_are_made_step_by_step(name: str) -> None:
    step = STEPS.get(name) or NOT_WRONG[name]
    try:
        found = rfcalc.sizes(Net(step).eval(), (4, 40))
    except RfcalcError:
        if name in STEPS:
            raise
        return
    (formula,) = found.output(0).values()
    for n in (*range(1, 60), 96, 121, 410):
        y = does(step, n)
        assert (n in found.axes[0].valid) == (y is not None), (n, y)
        assert y is None or formula is None or eval(formula, {}, {"n": n}) == y[2], (n, y, formula)
