"""Code of which no reading that runs says why sizes are refused: what ran until then does, up to the operator, or the
statement, that refused it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import rfcalc
from rfcalc import RfcalcError

sys.path.insert(0, str(Path(__file__).parent))
from random_ways import compared
from test_sizes_of_code import Base, against_torch


class Grid(Base):
    """Windows of a grid that fits one size, behind windows that fit many: no size but its own runs."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        b, c, h, w = y.shape
        y = y.view(b, c, h // 3, 3, w // 3, 3).permute(0, 2, 4, 1, 3, 5)
        return y.reshape(b, 5, 7, c, 9)


class Added(Base):
    """A table of positions for one number of patches, cut by a statement that refuses others."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, 4 * 6, 8))

    def forward(self, x: Any) -> Any:
        b, c, h, w = x.shape
        for n in (h, w):
            if n % 8 != 0:
                raise ValueError(f"{n} is no multiple of 8")
        y = x.reshape(b, c, h // 8, 8, w // 8, 8).permute(0, 2, 4, 3, 5, 1).reshape(b, (h // 8) * (w // 8), 64 * c)
        return y[..., :8] + self.table


class Told(Base):
    """A statement that refuses sizes, told by another one that catches what it raised, with a text of its own."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        try:
            if y.shape[2] % 4 > 1:
                raise KeyError("rows")
        except KeyError as error:
            told = f"{y.shape}"
            if y.shape[3] > 20:
                told += f" and {error}"
            raise ValueError(told) from None
        return y.reshape(1, 4, y.shape[2] // 2, 2, y.shape[3])


class Pooled(Base):
    """A pool that is larger than all maps that come to it on one of its ways."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        if y.shape[3] % 2:
            y = functional.pad(y, (0, 1))
        if y.shape[2] < 5:
            y = functional.max_pool2d(y, 4, 3, 1, ceil_mode=y.shape[3] > 7)
        return self.b(functional.avg_pool2d(y, (6, 3), (1, 2)))


class Normed(Base):
    """A gate as long as its map, and a norm that one size fits."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm((12, 9))

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        b, c, _, _ = y.shape
        gate = y.mean((2, 3)).view(b, c, 1, 1)
        return self.norm(y * gate.expand_as(y))


class Joined(Base):
    def forward(self, x: Any) -> Any:
        y = functional.max_pool2d(x, 4)
        return torch.cat([functional.interpolate(y, scale_factor=4), x], 1)


class Matrix(Base):
    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return y.flatten(2) @ torch.ones(12 * 16, 5, device=x.device)


class Reflected(Base):
    def forward(self, x: Any) -> Any:
        h = x.shape[2]
        return functional.pad(self.a(x), (0, 0, 0, -h % 32), mode="reflect").view(1, 4, 16, -1)


class Summed(Base):
    """A length of 1 goes with any other in a sum over products."""

    def forward(self, x: Any) -> Any:
        return torch.einsum("bchw,hk->bckw", self.a(x), torch.zeros(12, 6, device=x.device))


KINDS = [(Grid, (3, 30, 42)), (Added, (3, 32, 48)), (Told, (3, 48, 64)), (Joined, (3, 32, 48))]
KINDS += [(Summed, (3, 24, 32)), (Matrix, (3, 24, 32)), (Reflected, (3, 32, 48))]
KINDS += [(Normed, (3, 24, 18))]


@pytest.mark.parametrize(("kind", "shape"), KINDS, ids=lambda x: getattr(x, "__name__", ""))
def test_what_ran_until_it_was_refused_tells_why(kind: Any, shape: Any) -> None:
    against_torch(kind(), shape, range(1, 200))


class Forgiving(Base):
    """It goes on where an operator is refused, and is refused later: whether it came there is no condition."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        try:
            y = y + torch.ones(9, device=x.device)
        except RuntimeError:
            y = y.mean(3)
        return y.view(1, 4, 3, 4, -1)


class Digits(Base):
    """What refuses it follows the digits of a length."""

    def forward(self, x: Any) -> Any:
        if "7" in str(x.shape[2]):
            raise ValueError("it has a seven")
        return self.a(x).view(1, 4, 3, 4, -1)


@pytest.mark.parametrize("kind", [Forgiving, Digits])
def test_what_is_not_seen_is_not_told(kind: Any) -> None:
    try:
        against_torch(kind(), (3, 24, 18), range(1, 200))
    except RfcalcError:
        return
    assert kind is not Digits, "its sevens are no rule"


@pytest.mark.parametrize("start", [0, 40])
def test_random_refusals(start: int) -> None:
    """Modules that few sizes fit do at every size what is told of them, if it is told."""
    found = [compared(seed, 40, refusing=True) for seed in range(start, start + 6)]
    assert [c for c in found if c.wrong] == []
    assert sum(c.told for c in found) >= 3


def test_the_statement_and_the_operator_are_named() -> None:
    statement, operator = rfcalc.sizes(Added(), (3, 32, 48)).refused(0)
    assert statement.size == 1 and statement.why.startswith("ValueError: 1 is no multiple of 8 (test_sizes_of_ref")
    assert operator.size == 8 and "24" in operator.why


def test_a_pool_that_is_larger_than_its_map_is_one_way() -> None:
    """Not as many as there are sizes that it refuses."""
    found: Any = rfcalc.sizes(Pooled(), (3, 24, 32))
    assert len(found.ending[0]) <= 2


class Demanding(nn.Module):  # type: ignore[misc]
    """It refuses sizes by what classes of sizes do not compute: quotients, powers, digits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, 2, 1)


class Ratio(Demanding):
    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        assert h / w < 3
        return self.conv(x)


class RatioByName(Demanding):
    def forward(self, x: Any) -> Any:
        h, w = x.shape[-2:]
        ratio = h / w
        if ratio > 2 or w > 60:
            raise ValueError("too long")
        return self.conv(x)


class Square(Demanding):
    def forward(self, x: Any) -> Any:
        if x.shape[-2] ** 2 > 5000:
            raise ValueError("too large")
        return self.conv(x)


class Digits(Demanding):
    def forward(self, x: Any) -> Any:
        assert x.shape[-2] >> 3 > 2 and not x.shape[-1] & 7
        return self.conv(x)


@pytest.mark.parametrize("kind", [Ratio, RatioByName, Square, Digits])
def test_conditions_that_are_no_whole_numbers(kind: Any) -> None:
    module = kind()
    found = rfcalc.sizes(module, (2, 40, 24))
    for axis in (0, 1):
        for n in range(1, 130):
            try:
                module(torch.empty(1, 2, *(n if i == axis else size for i, size in enumerate((40, 24)))))
                taken = True
            except (AssertionError, ValueError):
                taken = False
            assert (n in found.axes[axis].valid) == taken, (axis, n)
