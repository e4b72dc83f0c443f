"""What a mask or a fixed kernel leaves out is not claimed to be seen: every unit against the gradient of the module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pixels import Module, check
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc.readers.torch import facts

torch.set_num_threads(1)
INNER = F.pad(torch.ones(5, 5), (2, 2, 2, 2)).double()
RIGHT = torch.arange(9) > 4
LOWER = torch.ones(9, 9).tril().double()
LAPLACE = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).double()
SOBEL = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]).double()
BOTH = torch.stack([SOBEL, SOBEL.t()])[:, None]
EARLIER = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 0, 0]]).double()
FEATURES = torch.tensor([1.0, 1, 0, 0]).double()


def square(k: int, c: int = 2) -> nn.Conv2d:
    return nn.Conv2d(2, c, k, padding=k // 2)


def after(run: Any, **parts: nn.Module) -> nn.Module:
    """A 3x3 convolution, then a function of its map."""
    return Module(lambda m, x: run(m, m.a(x)), a=square(3), **parts)


def filled(m: Any, y: Tensor) -> Tensor:
    y[:, :, 1:].masked_fill_(RIGHT, 0.0)
    return y.clone()


def written(m: Any, y: Tensor) -> Tensor:
    y.mul_(RIGHT)
    y[:, :, 2:3].add_(1)
    return y.clone()


def coupled(m: Any, x: Tensor) -> Tensor:
    mask = ((torch.arange(9)[:, None] + torch.arange(9)) % 2).double()
    y: Tensor = x * mask + (1 - mask) * m.a(x * mask)
    return y


def scores(m: Any, x: Tensor) -> Tensor:
    return (m.q(x) @ m.k(x).mT).masked_fill(LOWER[:7, :7] == 0, -1e9)  # type: ignore[no-any-return]


def attending(run: Any) -> nn.Module:
    return Module(run, q=nn.Linear(4, 4), k=nn.Linear(4, 4))


def two(m: Any, x: Tensor) -> Tensor:
    return torch.cat([x, m.a(x)], 1)


CASES: dict[str, tuple[nn.Module, str, str]] = {
    "lower triangle": (after(lambda m, y: torch.tril(y)), "2x9x9", "bounded"),
    "upper triangle, then a layer": (after(lambda m, y: m.b(torch.triu(y, 1)), b=square(1)), "2x9x9", "bounded"),
    "a border of zeros": (after(lambda m, y: y * INNER), "2x9x9", "bounded"),
    "filled with zeros": (after(lambda m, y: y.masked_fill(INNER == 0, 0.0)), "2x9x9", "bounded"),
    "filled with a number": (after(lambda m, y: y.masked_fill(INNER == 0, 5.0)), "2x9x9", "bounded"),
    "filled in place, and added": (after(lambda m, y: y.masked_fill_(INNER == 0, 0.0).relu() + y), "2x9x9", "bounded"),
    "a number elsewhere": (after(lambda m, y: torch.where(INNER == 0, 5.0, y)), "2x9x9", "bounded"),
    "filled through a view": (after(filled), "2x9x9", "bounded"),
    "multiplied in place, then written to": (after(written), "2x9x9", "bounded"),
    "copied and reshaped": (
        after(lambda m, y: m.b((y * RIGHT).clone().flatten(2).view_as(y)), b=square(3)),
        "2x9x9",
        "bounded",
    ),
    "times nothing": (Module(lambda m, x: m.a(x) * 0 + x, a=square(5)), "2x9x9", "exact"),
    "coupled": (Module(coupled, a=square(3)), "2x9x9", "bounded"),
    "lowest, then the largest": (
        after(lambda m, y: F.max_pool2d(y.masked_fill(RIGHT, -1e9), 3, 1, 1)),
        "2x9x9",
        "bounded",
    ),
    "minus infinity, then a sigmoid": (
        after(lambda m, y: y.masked_fill(RIGHT, -torch.inf).sigmoid()),
        "2x9x9",
        "bounded",
    ),
    "minus infinity, softmax over another axis": (
        after(lambda m, y: y.masked_fill(RIGHT, -torch.inf).softmax(2)),
        "2x9x9",
        "bounded",
    ),
    "channels": (Module(lambda m, x: two(m, x) * FEATURES.view(4, 1, 1), a=square(5)), "2x9x9", "bounded"),
    "attention's weights": (attending(lambda m, x: scores(m, x).softmax(-1)), "7x4", "bounded"),
    "attention": (attending(lambda m, x: scores(m, x).softmax(-1) @ m.k(x)), "7x4", "global"),  # every key has all
    "attention, weights returned": (
        Module(
            lambda m, x: m.a(x, x, x, attn_mask=LOWER[:7, :7] == 0)[1], a=nn.MultiheadAttention(4, 2, batch_first=True)
        ),
        "7x4",
        "bounded",
    ),
    "padded keys": (
        Module(
            lambda m, x: m.a(x, x, x, key_padding_mask=RIGHT[None, :7])[0],
            a=nn.MultiheadAttention(4, 2, batch_first=True),
        ),
        "7x4",
        "global",
    ),
    "transposed convolution": (
        Module(
            lambda m, x: F.conv_transpose2d(x, m.t.weight * EARLIER, stride=2, padding=1), t=nn.ConvTranspose2d(2, 2, 3)
        ),
        "2x5x5",
        "bounded",
    ),
    "Laplace": (Module(lambda m, x: F.conv2d(x, LAPLACE.expand(2, 1, 3, 3), groups=2)), "2x7x7", "exact"),
    "Sobel": (after(lambda m, y: F.conv2d(y, SOBEL.expand(2, 1, 3, 3), groups=2)), "2x7x7", "exact"),
    "Sobel both ways, one of them": (Module(lambda m, x: F.conv2d(x, BOTH, groups=2)[:, :1]), "2x7x7", "bounded"),
    "kernel that leaves out channels": (
        Module(
            lambda m, x: F.conv2d(two(m, x), m.c.weight * FEATURES.view(4, 1, 1)), a=square(5), c=nn.Conv2d(4, 2, 3)
        ),
        "2x9x9",
        "bounded",
    ),
    "matrix that leaves out features": (
        Module(lambda m, x: F.linear(two(m, x).movedim(1, -1), m.c.weight * FEATURES), a=square(5), c=nn.Linear(4, 2)),
        "2x9x9",
        "bounded",
    ),
    "einsum with a triangle": (after(lambda m, y: torch.einsum("bchw,wv->bchv", y, LOWER)), "2x9x9", "shift_variant"),
    "einsum with a triangle, turned": (
        after(lambda m, y: torch.einsum("uh,bchw->bcuw", LOWER, y)),
        "2x9x9",
        "shift_variant",
    ),
    "einsum over two axes": (after(lambda m, y: torch.einsum("bchw,hw->bc", y, LOWER)), "2x9x9", "bounded"),
    "tensordot with a triangle": (after(lambda m, y: torch.tensordot(y, LOWER, 1)), "2x9x9", "bounded"),
}


@pytest.mark.parametrize("name", CASES)
def test_against_the_module(name: str) -> None:
    module, shape, status = CASES[name]
    assert check(module.double(), shape).status == status


def test_what_is_multiplied_with_nothing_is_a_constant() -> None:
    module = Module(lambda m, x: m.a(x) * 0 + x, a=square(5))
    read = rfcalc.from_torch(module, (2, 9, 9))
    assert "constant" in [n.layer.kind for n in read.network.nodes]
    assert rfcalc.analyze(read).totals.macs == 2 * 2 * 25 * 81


def test_control_what_is_not_told_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from rfcalc.readers.torch import importer

    monkeypatch.setattr(facts, "blinded", lambda graph, tensor: None)
    monkeypatch.setattr(importer, "blinded", lambda graph, tensor: None)
    with pytest.raises(AssertionError):
        check(CASES["lower triangle"][0].double(), "2x9x9")
