"""Ways through code: what it makes of counts of channels is followed; sizes far apart tell what is rounded."""

from __future__ import annotations

from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError
from rfcalc.cli import run

torch = pytest.importorskip("torch")
from random_ways import compared  # noqa: E402
from test_sizes_of_code import Base, Windows, against_torch  # noqa: E402
from vision import models as vision_models  # noqa: E402

nn = torch.nn


class Scaled(Windows):
    """As attention does: a factor of the number of channels, which is no whole number."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return super().forward(x) * (y.shape[1] // 2) ** -0.5 * float(y.shape[1])


class Sided(Base):
    """The root of the number of positions: no count of channels, and not followed."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        side = int((y.shape[2] * y.shape[3]) ** 0.5)
        return self.b(y.flatten(2).reshape(y.shape[0], y.shape[1], side, side))


class Quartered(Base):
    """The same, where the layers as they were read refuse what the code takes."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        side = int((y.shape[2] * y.shape[3]) ** 0.5) // 2
        return y.flatten(2).reshape(y.shape[0], 4 * y.shape[1], side, side)


class At77(Base):
    """One size that does something else, which no reading around has; a second one that is refused."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        if x.shape[2] == 77:
            y = torch.nn.functional.max_pool2d(y, 2)
        if y.shape[3] == 41:
            raise ValueError("a width that is not wanted")
        return self.b(y)


class Beyond(Base):
    """Another layer for maps that are larger than any that is read."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        y = torch.nn.functional.interpolate(y, scale_factor=2) if y.shape[2] > 900 else y
        return self.b(y)


class Padding(Base):
    """An answer that leaves no trace: it is confirmed where it is given."""

    def forward(self, x: Any) -> Any:
        if x.shape[2] % 96 == 17:
            x = torch.nn.functional.pad(x, (0, 0, 0, 0))
        return self.a(x)


class NormalisedBehind(Base):
    """Swin v2: rolled, cut, normalised: no layer changes a shape, and yet no exchange of axes lies around the slice."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(4)

    def forward(self, x: Any) -> Any:
        y = self.a(x).permute(0, 2, 3, 1)
        _, h, w, _ = y.shape
        y = torch.nn.functional.pad(y, (0, 0, 0, -w % 4, 0, -h % 4))
        y = torch.roll(torch.roll(y, (-2, -2), (1, 2)).relu(), (2, 2), (1, 2))
        y = self.norm(y[:, :h, :w, :])
        return self.b((y + y.relu()).permute(0, 3, 1, 2))


class Tokens(Base):
    """DaViT: tokens in a row; windows of 3 are cut from the padded map, which is cut back and put in a row. Where there
    is no padding, two views are one; where there is one window, it stands where the batch does."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        b, c, h, w = y.shape
        y = y.flatten(2).transpose(1, 2).relu().view(b, h, w, c)
        y = torch.nn.functional.pad(y, (0, 0, 0, (3 - w % 3) % 3, 0, (3 - h % 3) % 3))
        _, ph, pw, _ = y.shape
        y = y.view(b, ph // 3, 3, pw // 3, 3, c).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 9, c)
        y = y.relu().view(-1, ph // 3, pw // 3, 3, 3, c).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, ph, pw, c)
        y = y[:, :h, :w, :].contiguous().view(b, h * w, c)
        return self.b(y.relu().transpose(1, 2).view(b, c, h, w))


@pytest.mark.parametrize("kind", [NormalisedBehind, Tokens])
def test_what_comes_to_nothing_is_left_out(kind: Any) -> None:
    against_torch(kind(), (3, 6 if kind is Tokens else 64, 48), range(1, 101))


class Levels(Base):
    """As heads of detectors do: the levels in a row; a view of a map of one row can be told in several ways."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        z = self.b(y)
        return torch.cat([y.view(y.shape[0], 4, -1), z.view(y.shape[0], 4, -1)], 2)[..., None]


class Even(Base):
    """As MONAI's RegUNet does: a condition in a loop, before each pooling."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        for _ in range(2):
            for side in y.shape[2:]:
                if side % 2 != 0:
                    raise ValueError("the sides must be even")
            y = torch.nn.functional.max_pool2d(y, 2)
        return self.b(y)


class Listed(Base):
    """As MONAI's SegResNetDS does: all axes are asked before one of them is refused."""

    def forward(self, x: Any) -> Any:
        divided = [side % factor == 0 for side, factor in zip(x.shape[2:], (8, 4), strict=True)]
        if not all(divided):
            raise ValueError("the sides must be divisible")
        return self.b(self.a(x))


class Retried(Base):
    """As einops does: what is refused in a loop is said again, where it is caught."""

    def forward(self, x: Any) -> Any:
        try:
            for side in x.shape[2:]:
                if side % 8:
                    raise ValueError("it cannot be divided")
        except ValueError as error:
            raise ValueError(f"a view: {error}") from None
        return self.b(self.a(x))


@pytest.mark.parametrize("kind", [Even, Listed, Retried])
def test_what_code_raises_in_a_loop_is_followed(kind: Any) -> None:
    against_torch(kind(), (3, 48, 48), range(1, 60))


@pytest.mark.parametrize("size", [4, 48])
def test_views_beside_an_axis_of_one(size: int) -> None:
    against_torch(Levels(), (3, size, size), range(1, 60))


@pytest.mark.parametrize(
    ("kind", "sizes"), [(At77, range(60, 95)), (Beyond, (64, 1799, 1800, 1801, 1802)), (Padding, (17, 64))]
)
def test_the_other_answer_is_read(kind: Any, sizes: Any) -> None:
    against_torch(kind(), (3, 64, 48), sizes)


def test_what_code_makes_of_channels_is_followed() -> None:
    against_torch(Scaled(), (3, 64, 48), range(1, 150))


@pytest.mark.parametrize("kind", [Sided, Quartered])
def test_the_root_of_a_size_is_not_told(kind: Any) -> None:
    with pytest.raises(RfcalcError, match="cannot be told") as told:
        rfcalc.sizes(kind(), (3, 64, 64))
    assert "what it makes of a length at test_sizes_of_ways.py, line" in str(told.value)


def test_a_refused_size_is_answered_in_formulas_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["symbolic", "unet-padded", "--input", "3x350x525"]) == 2
    assert "valid sizes: multiples of 16; nearest 352x528" in capsys.readouterr().err


def test_few_readings_tell_a_way() -> None:
    """A small Swin takes several ways along each axis: what is read of one counts for all, and the second axis is
    confirmed."""
    net = vision_models().SwinTransformer([4, 4], 8, [1, 1], [1, 1], [7, 7], num_classes=3)
    found = rfcalc.sizes(net, (3, 96, 96))
    (told,) = [a for a in found.assumptions if a.startswith("the code was read at ")]
    assert int(told.split()[5]) <= READINGS, told
    against_torch(net, (3, 96, 96), range(1, 130, 3))


READINGS = 75


@pytest.mark.parametrize("start", [0, 7])
def test_random_ways(start: int) -> None:
    """Modules of random branches on lengths do at every size what is told of them, if it is told."""
    found = [compared(seed) for seed in range(start, start + 7)]
    assert [c for c in found if c.wrong] == []
    assert sum(c.told for c in found) >= 3


class CutAtFewSizes(nn.Module):
    """At 6, 7 and 11 columns something is cut off, so that they are multiples of 5: another way takes what the layers
    of the first one refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 2, 1)

    def forward(self, x: Any) -> Any:
        x = self.a(x)
        x = x[..., : x.shape[-1] // 4 * 5]
        b, c, h, w = x.shape
        parts = x.view(b, c, h // 5, 5, w // 5, 5).permute(0, 2, 4, 3, 5, 1)
        return torch.relu(torch.relu(parts).permute(0, 5, 1, 3, 2, 4).reshape(b, c, h, w))


def test_what_layers_refuse_may_be_taken_on_another_way() -> None:
    module = CutAtFewSizes()
    try:
        valid = rfcalc.sizes(module, (3, 20, 20)).axes[1].valid
    except RfcalcError:
        return  # what is not told is not told wrongly
    for n in (6, 7, 11):
        module(torch.zeros(1, 3, 20, n))
        assert n in valid


class OneWindow(Base):
    """RegionViT: windows are items of the batch, each joined to a token; where there is one, the batch is 1."""

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        b, c, h, w = y.shape
        token = torch.nn.functional.avg_pool2d(y, 3).flatten(2).transpose(1, 2).reshape(-1, 1, c)
        y = y.view(b, c, h // 3, 3, w // 3, 3).permute(0, 2, 4, 3, 5, 1).reshape(-1, 9, c)
        return torch.cat((token, y), 1)


def test_one_window_is_joined_to_its_token() -> None:
    """It was refused: "there is no axis 2 for the channels". At some sizes the batch is an axis: no length is told."""
    module = OneWindow()
    found = rfcalc.sizes(module, (3, 6, 6))
    for n in range(1, 40):
        try:
            module(torch.zeros(1, 3, n, 6))
            taken = True
        except RuntimeError:
            taken = False
        assert (n in found.axes[0].valid) == taken
    assert found.output(0) == {"cat": None}


def test_what_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It said "it is taken; it does: it is taken"."""
    from rfcalc.readers import ways

    def wrong(*given: Any) -> Any:
        told = predicted(*given)
        return [rfcalc.Shape(*[n + 1 for n in x.dims]) for x in told] if isinstance(told, list) else told

    predicted = ways.predicted  # type: ignore[attr-defined]
    monkeypatch.setattr(ways, "predicted", wrong)
    with pytest.raises(rfcalc.RfcalcError, match=r"say: (\d+x\d+x\d+); it does: (?!\1)\d+x\d+x\d+"):
        rfcalc.sizes(Retried(), (3, 32, 48))
