"""Numbers that code makes of lengths: whole ones by `int`, fractions that it rounds, answers that it keeps."""

from __future__ import annotations

import builtins
import math
from functools import lru_cache
from typing import Any

import pytest

from rfcalc.core.lengths import Asked, Length, evaluated, watched
from rfcalc.core.stand_ins import Whole

torch = pytest.importorskip("torch")
from test_sizes_of_code import Base, against_torch  # noqa: E402

F = torch.nn.functional

ROUNDED = {
    "a share and a number": lambda n, whole: math.ceil((n - 3) / 4 + 1) * 4 - n,
    "a half": lambda n, whole: whole(n * 0.5),
    "to the nearest": lambda n, whole: round(n * 0.375) + round(n / 2),
    "half added": lambda n, whole: whole(n / 2 + 0.5),
    "below zero": lambda n, whole: whole((5 - n) / 3) + math.floor(-n / 3) + abs(10 - n),
    "twice a share": lambda n, whole: whole(n / 3 * 2) + whole(n / 4 + n / 2),
    "squares": lambda n, whole: n**2 - n,
    "compared": lambda n, whole: n if n / 3 < 7 or n > 20.5 or n / 2 == n // 2 or (n / 5).is_integer() else n + 1,
}
HIDDEN = {
    "tenths": lambda n: n * 0.1,
    "back and forth": lambda n: n / 49 * 49,
    "divided": lambda n: 14 / n,
    "a root": lambda n: n**0.5,
    "bits": lambda n: 1 & n,
    "a float": float,
}


@pytest.mark.parametrize("name", ROUNDED)
def test_fractions_of_lengths_are_rounded_as_python_does(name: str) -> None:
    """What is made of one length, with the same answers, is what Python makes of every other length."""
    code = ROUNDED[name]
    for n in range(60):
        with watched("torch") as asked:
            made = code(Length(n, Asked(0, n)), Whole)
        assert made == code(n, builtins.int) and not asked.lost
        for m in range(60):
            if all(evaluated(c.asked, iter([m] * 9)) == c.holds for c in asked.conditions):
                assert evaluated(made.made, iter([m] * 9)) == code(m, builtins.int), (n, m)


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_not_followed_is_noted(name: str) -> None:
    with watched("torch") as asked:
        HIDDEN[name](Length(9, Asked(0, 9)))
    assert asked.lost


class ToPatches(Base):
    """As MobileViT does: a map is resized to whole patches, where it is none."""

    def forward(self, x: Any) -> Any:
        y = self.b(self.a(x))
        h, w = y.shape[-2:]
        new_h, new_w = int(math.ceil(h / 2) * 2), int(math.ceil(w / 2) * 2)
        if (new_h, new_w) != (h, w):
            y = F.interpolate(y, size=(new_h, new_w), mode="bilinear")
        return y.reshape(4, new_h // 2, 2, new_w // 2, 2).sum((2, 4))[None]


class Frames(Base):
    """As EnCodec does: what is missing to a whole frame is padded; a short map is lengthened before it is reflected."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        for _ in range(2):
            frames = (y.shape[-1] - 4 + 2) / 2 + 1
            missing = (math.ceil(frames) - 1) * 2 + (4 - 2) - y.shape[-1]
            right = 1 + missing
            extra = 0
            if y.shape[-1] <= max(1, right):
                extra = max(1, right) - y.shape[-1] + 1
                y = F.pad(y, (0, extra))
            y = F.pad(y, (1, right, 0, 0), mode="reflect")
            y = F.avg_pool2d(y[..., : y.shape[-1] - extra], (1, 4), (1, 2))
        return self.b(y)


@lru_cache
def cut(h: int, w: int) -> tuple[int, int]:
    """As einops does: an answer that is kept, with a refusal."""
    if h % 3:
        raise ValueError(f"{h} cannot be divided")
    return h // 3, w + w % 2


class Kept(Base):
    def forward(self, x: Any) -> Any:
        y = self.a(x)
        h, w = cut(*y.shape[-2:])
        return F.interpolate(y, size=(h, w))


class OfWholeMaps(Base):
    """A pool's kernel, and so its stride, is the size of its map, or a part of it; a number is divided by a size."""

    def forward(self, x: Any) -> Any:
        y = self.b(self.a(x))
        whole = F.avg_pool2d(y, kernel_size=(y.size(2), y.size(3)))
        parts = F.max_pool2d(y, kernel_size=(y.size(2) + 1) // 2)
        return F.interpolate(parts * whole, size=(5 + 40 // y.size(2), y.size(3) * 3 // (y.size(2) + 1)))


@pytest.mark.parametrize("kind", [ToPatches, Frames, Kept, OfWholeMaps])
def test_numbers_of_lengths_are_followed(kind: Any) -> None:
    against_torch(kind(), (3, 48, 48), range(1, 101))
