"""Numbers that code makes of lengths: whole ones by `int`, fractions that it rounds, answers that it keeps."""

from __future__ import annotations

import builtins
import math
from functools import lru_cache
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError
from rfcalc.core.lengths import Asked, Length, evaluated, watched
from rfcalc.core.stand_ins import Whole

torch = pytest.importorskip("torch")
from test_sizes_of_code import Base, against_torch  # noqa: E402

F = torch.nn.functional


class Weighed(Base):
    """A table that is made of a fraction of a length, of whose values one is asked for."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return F.max_pool2d(y, 2) if (torch.tensor([1, 1, 2, 1]) * (y.shape[2] / 2))[3].item() > 14 else y


class Resized(Base):
    """A factor that is meant to give another map's size, and falls short of it where its float does (58.99… of 59)."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        z = F.max_pool2d(y, 2)
        return F.interpolate(z, scale_factor=(y.shape[2] / z.shape[2], 2.0))


class WeighedAlike(Base):
    """The same of a table of one value."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return F.max_pool2d(y, 2) if (torch.ones(4) * (y.shape[2] / 2))[3].item() > 14 else y


def test_a_table_of_one_value_that_is_made_of_a_fraction_is_followed() -> None:
    against_torch(WeighedAlike(), (3, 24, 24), range(1, 60))


@pytest.mark.parametrize("kind", [Weighed, Resized])
def test_what_is_made_of_floats_of_lengths_is_noted(kind: Any) -> None:
    with pytest.raises(RfcalcError, match="is not followed"):
        rfcalc.sizes(kind(), (3, 24, 24))


ROUNDED = {
    "a share and a number": lambda n, whole: math.ceil((n - 3) / 4 + 1) * 4 - n,
    "a half": lambda n, whole: whole(n * 0.5),
    "to the nearest": lambda n, whole: round(n * 0.375) + round(n / 2),
    "half added": lambda n, whole: whole(n / 2 + 0.5),
    "below zero": lambda n, whole: whole((5 - n) / 3) + math.floor(-n / 3) + abs(10 - n),
    "twice a share": lambda n, whole: whole(n / 3 * 2) + whole(n / 4 + n / 2),
    "squares": lambda n, whole: n**2 - n,
    "compared": lambda n, whole: n if n / 3 < 7 or n > 20.5 or n / 2 == n // 2 or (n / 5).is_integer() else n + 1,
    "by a length": lambda n, whole: whole(n / (n // 3 + 2)) + math.ceil((n - 7) / (n + 1)) + round(n / 2 / (n + 1)),
    "a number by a length": lambda n, whole: whole(100 / (n + 1)) + round(10.5 / (n + 1)),
    "by windows": lambda n, whole: whole(6 * (n + 1) / ((n + 1) * 49 / 7 / 7)),
    "the larger share": lambda n, whole: n if max((n + 4) / (n // 2 + 1), n / 7) * (n + 9) > 20.5 else n + 1,
    "nearly": lambda n, whole: whole((n + 1) / 49 * 49 / 3) if (n + 1) % 49 == 0 else n,
}
HIDDEN = {
    "tenths": lambda n: n * 0.1,
    "back and forth": lambda n: math.floor(n / 49 * 49),
    "compared back and forth": lambda n: n / 49 * 49 < 9,
    "divided by less than nothing": lambda n: 14 / (n - 20),
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
            if all(evaluated(c.asked, iter([m] * 40)) == c.holds for c in asked.conditions):
                assert evaluated(made.made, iter([m] * 40)) == code(m, builtins.int), (n, m)


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


class OfWindows(Base):
    """As SwinIR does: as many maps as there are windows, divided by the number of windows of one."""

    def forward(self, x: Any) -> Any:
        y = F.pad(z := self.a(x), (0, -z.shape[3] % 3, 0, -z.shape[2] % 3))
        b, c, h, w = y.shape
        cut = y.view(b, c, h // 3, 3, w // 3, 3).permute(0, 2, 4, 1, 3, 5).reshape(-1, c, 3, 3)
        b = int(cut.shape[0] / (h * w / 3 / 3))
        return cut.relu().view(b, h // 3, w // 3, c, 3, 3).permute(0, 3, 1, 4, 2, 5).reshape(b, c, h, w)


class ToTheLarger(Base):
    """As a U-Net of diffusers does: resized by the larger one of two fractions, which is compared to a number."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        z = F.max_pool2d(y, 2, ceil_mode=True)
        factor = max([a / b for a, b in zip(y.shape[2:], z.shape[2:], strict=True)])
        return y if y.shape[2] * factor > 40 else F.interpolate(z, size=y.shape[2:])


@pytest.mark.parametrize("kind", [ToPatches, Frames, Kept, OfWholeMaps, OfWindows, ToTheLarger])
def test_numbers_of_lengths_are_followed(kind: Any) -> None:
    against_torch(kind(), (3, 48, 48), range(1, 101))


class Outlook(Base):
    """As VOLO does: windows are unfolded, weighed beside a pooled map, and folded back; a signal's windows of a map."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        b, c, h, w = y.shape
        cut = F.unfold(y, 3, padding=1, stride=2).view(b, c, 9, -1)
        weight = F.avg_pool2d(y, 2, 2, ceil_mode=True).flatten(2)
        y = F.fold((cut * weight[:, :, None]).view(b, c * 9, -1), (h, w), 3, padding=1, stride=2)
        return y.unfold(3, 4, 3).mean(-1)


def test_windows_that_overlap_are_counted_by_their_operator() -> None:
    against_torch(Outlook(), (3, 24, 24), [*range(1, 12), 23, 26, 49])


class OneInFour(Base):
    """Windows, slices and kernels whose steps are made of a length."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        step = max(1, y.shape[3] // 4)
        return y.unfold(3, 8, step).amax(-1), y[..., ::step], F.max_pool2d(y, (1, 3), (1, step))


def test_steps_that_are_made_of_lengths() -> None:
    found = against_torch(OneInFour(), (3, 24, 32), range(1, 60))
    assert None in found.to_dict()["axes"][1]["unseen"].values(), "what reaches no output is not told"


class InTensors(Base):
    """As EnCodec of transformers does: what is missing to a whole frame is computed in tensors of one value."""

    def __init__(self) -> None:
        super().__init__()
        self.step = torch.tensor(3)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        frames = torch.ceil((y.shape[-1] - self.step) / self.step + 1).to(torch.int64)
        y = F.pad(y, (0, frames * self.step - y.shape[-1]))
        return F.avg_pool2d(y[..., : int(frames) * 3 - self.step], (1, 3))


class Grown(InTensors):
    """A number that is written over by what is made of it."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        more = torch.ceil(torch.tensor(y.shape[-1] / 4)).long()
        more += 1
        return F.pad(y, (0, int(more)))


class Replaced(InTensors):
    """A number that is written over is another one."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        more = torch.ceil(torch.tensor(y.shape[-1] / 4)).long()
        more.bitwise_or_(1)
        return F.pad(y, (0, int(more)))


@pytest.mark.parametrize("kind", [InTensors, Grown])
def test_numbers_in_tensors_of_one_value_are_followed(kind: Any) -> None:
    against_torch(kind(), (3, 24, 24), [*range(1, 9), 26, 49])


def test_numbers_in_tensors_that_are_written_over_are_not() -> None:
    with pytest.raises(RfcalcError, match="is not followed"):
        rfcalc.sizes(Replaced(), (3, 24, 24))
