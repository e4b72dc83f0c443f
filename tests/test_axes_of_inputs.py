"""Which axis of an input, and of what comes behind it, holds the channels: channels last, frames first, tokens.

Regions are compared with the gradient of the module itself (`seen.fields`), figures by `verify`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from seen import fields
from torch import nn

from rfcalc import Shape, analyze, from_torch
from rfcalc.backend.verify import verify
from rfcalc.backend.verify.finding import DISAGREES
from rfcalc.receptive.region_walk import regions

torch.set_num_threads(1)


class Around(nn.Module):
    """A module between two re-arrangements."""

    def __init__(self, inner: nn.Module, before: Callable[[Any], Any], after: Callable[[Any], Any]) -> None:
        super().__init__()
        self.inner, self._before, self._after = inner, before, after

    def forward(self, x: Any) -> Any:
        return self._after(self.inner(self._before(x)))


class Conformer(nn.Module):
    """Features last: normalisation and a linear layer on them, then a convolution over the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up = nn.LayerNorm(6), nn.Linear(6, 8)
        self.conv = nn.Conv1d(8, 6, 5, padding=2)

    def forward(self, x: Any) -> Any:
        return x + self.conv(self.up(self.norm(x)).transpose(1, 2)).transpose(1, 2)


class Mixer(nn.Module):
    """Tokens of patches, mixed by 1 x 1 convolutions that take them for channels."""

    def __init__(self, kernel: int = 1) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 5, 4, 4)
        self.tokens = nn.Conv1d(16, 16, kernel, padding=kernel // 2)
        self.features = nn.Linear(5, 5)

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.features(x + self.tokens(x).relu())


def conv(*args: Any, **kwargs: Any) -> nn.Module:
    return nn.Sequential(nn.Conv2d(*args, **kwargs), nn.ReLU(), nn.Conv2d(args[1], 4, 3))


LAST = Around(conv(3, 8, 3, 2), lambda x: x.permute(0, 3, 1, 2), lambda y: y.permute(0, 2, 3, 1))
FRAMES = Around(
    nn.Conv3d(3, 4, (2, 3, 3), (2, 1, 1)), lambda x: x.permute(0, 2, 1, 3, 4), lambda y: y.permute(0, 2, 1, 3, 4)
)
MERGED = Around(conv(3, 8, 3), lambda x: x.flatten(0, 1), lambda y: y[None])
MELS = Around(nn.Conv1d(6, 4, 3), lambda x: x.mT, lambda y: y.mT)
MOVED = Around(conv(3, 8, 3), lambda x: x.movedim(-1, 1).contiguous() * 2, lambda y: y)


@pytest.mark.parametrize(
    ("module", "shape", "channel", "size", "macs"),
    [
        (LAST, "13x13x3", 2, (7, 7), 6 * 6 * 27 * 8 + 4 * 4 * 72 * 4),
        (FRAMES, "4x3x7x7", 1, (2, 3, 3), 2 * 5 * 5 * 54 * 4),
        (MERGED, "2x3x9x9", 1, (1, 5, 5), 2 * (7 * 7 * 27 * 8 + 5 * 5 * 72 * 4)),
        (MELS, "11x6", 1, (3,), 9 * 18 * 4),
        (MOVED, "9x9x3", 2, (5, 5), 7 * 7 * 27 * 8 + 5 * 5 * 72 * 4),
        (Conformer(), "12x6", 1, (5,), 12 * 6 * 8 + 12 * 40 * 6),
        (conv(3, 8, 3), "3x9x9", 0, (5, 5), 7 * 7 * 27 * 8 + 5 * 5 * 72 * 4),  # channels first: as ever
    ],
)
def test_the_first_convolution_says_where_channels_are(
    module: nn.Module, shape: str, channel: int, size: tuple[int, ...], macs: int
) -> None:
    read = from_torch(module, shape)
    assert not read.unknown
    report = analyze(read)
    assert next(iter(report.inputs.values())).channel == channel
    assert (report.rows[-1].receptive_field.status, report.rows[-1].receptive_field.size) == ("exact", size)
    assert report.totals.macs == macs
    assert any("holds its channels" in note for note in read.notes) == bool(channel)
    found = fields(module.eval(), Shape.parse(shape).dims)
    assert found.units or module is MERGED  # whose layers have frames for a batch
    assert not found.differ
    assert not [f for f in verify(report, device="cpu").findings if f.verdict == DISAGREES]


@pytest.mark.parametrize("kernel", [1, 3])
def test_convolutions_over_tokens_mix_them(kernel: int) -> None:
    module = Mixer(kernel).eval()
    report = analyze(from_torch(module, "3x16x16"))
    assert report.complete
    assert report.totals.macs == 16 * 48 * 5 + 5 * 16 * 16 * kernel + 16 * 5 * 5
    assert report["tokens"].receptive_field.status == ("global" if kernel == 1 else "bounded")
    assert not fields(module, (3, 16, 16)).differ
    assert not [f for f in verify(report, device="cpu").findings if f.verdict == DISAGREES]


def test_control_rows_do_not_hide_an_axis() -> None:
    """With groups the rows of a map stay apart: that is not said to be mixed."""
    module = Around(nn.Conv1d(16, 16, 1, groups=16), lambda x: x.flatten(2).transpose(1, 2), lambda y: y)
    whole = nn.Sequential(nn.Conv2d(3, 5, 4, 4), module).eval()
    assert from_torch(whole, "3x16x16").unknown


def test_the_second_use_of_a_module_on_what_no_input_reaches_is_named() -> None:
    """Its multiply-adds count again, and are those of the module."""

    class Timed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.conv = nn.Linear(8, 16), nn.Conv2d(3, 16, 3)

        def forward(self, x: Any) -> Any:
            t = x.new_ones(len(x))[:, None] * torch.arange(8)
            y = self.conv(x) + self.embed(t)[:, :, None, None]
            return y * self.embed(t * 2)[:, :, None, None]

    report = analyze(from_torch(Timed(), "3x8x8"))
    assert [row.name for row in report.rows if row.kind == "linear"] == ["embed", "embed_1"]
    assert report.totals.macs == 36 * 27 * 16 + 2 * 128
    assert not [f for f in verify(report, device="cpu").findings if f.verdict == DISAGREES]


class Video(nn.Module):
    """Frames in the batch, normalised each by itself."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(3, 8, 3, padding=1), norm, nn.Conv3d(8, 4, (3, 1, 1))

    def forward(self, x: Any) -> Any:
        b, c, t, h, w = x.shape
        y = self.norm(self.conv(x.transpose(1, 2).reshape(b * t, c, h, w)))
        return self.out(y.reshape(b, t, 8, h, w).transpose(1, 2))


@pytest.mark.parametrize(
    "norm",
    [nn.GroupNorm(1, 8), nn.GroupNorm(2, 8), nn.GroupNorm(8, 8, affine=False), nn.InstanceNorm2d(8, affine=True)],
)
def test_frames_in_the_batch_are_normalised_each_by_itself(norm: nn.Module) -> None:
    module = Video(norm).eval()
    report = analyze(from_torch(module, "3x5x4x6"))
    assert report.complete
    assert report.totals.params == sum(p.numel() for p in module.parameters())
    region = frozenset(regions(report, "out").unit((1, 0, 0)).pixels())
    assert region == {(t, h, w) for t in (1, 2, 3) for h in range(4) for w in range(6)}
    assert not fields(module, (3, 5, 4, 6)).differ
    assert not [f for f in verify(report, device="cpu").findings if f.verdict == DISAGREES]


def test_batch_normalisation_along_positions_leaves_them_where_they_are() -> None:
    """Factors for each row of a spectrogram: its statistics are fixed in evaluation mode."""
    norm = Around(nn.BatchNorm2d(6), lambda x: x.transpose(1, 3), lambda y: y.transpose(1, 3))
    module = nn.Sequential(norm, nn.Conv2d(1, 4, 3)).eval()
    read = from_torch(module, "1x9x6")
    assert not read.unknown
    assert any("running statistics" in note for note in read.notes)
    report = analyze(read)
    assert (report.rows[-1].receptive_field.status, report.rows[-1].receptive_field.size) == ("exact", (3, 3))
    assert report.totals.params == 12 + 40
    assert not fields(module, (1, 9, 6)).differ


class Positions(nn.Module):
    """Attention of all pairs of positions with one softmax over all of them (MA-Net), laid out again as a map."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(5, 4, 1), nn.Conv2d(5, 4, 1), nn.Conv2d(5, 5, 3, padding=1)
        self.out = nn.Conv2d(5, 5, 3, padding=1)

    def forward(self, x: Any) -> Any:
        n, c, h, w = x.shape
        pairs = self.a(x).flatten(2).transpose(1, 2) @ self.b(x).flatten(2)
        shares = pairs.view(n, -1).softmax(1).view(n, h * w, h * w)
        return self.out(x + (shares @ self.c(x).flatten(2).transpose(1, 2)).reshape(n, c, h, w))


def test_shares_of_all_pairs_see_everything_however_they_are_laid_out() -> None:
    module = Positions().eval()
    report = analyze(from_torch(module, "5x3x4"))
    assert report.complete
    assert len(list(regions(report, "out").unit((0, 0)).pixels())) == 12
    assert not fields(module, (5, 3, 4)).differ
    assert not [f for f in verify(report, device="cpu").findings if f.verdict == DISAGREES]


def test_patches_of_one_channel_become_channels() -> None:
    """`unfold` twice and a reshape, as detectors of key points do: 8 x 8 pixels of one channel are 64 channels."""

    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(64, 8, 1)

        def forward(self, x: Any) -> Any:
            n, c, h, w = x.shape
            x = x.unfold(2, 8, 8).unfold(3, 8, 8).reshape(n, c, h // 8, w // 8, 64)
            return self.conv(x.permute(0, 1, 4, 2, 3).reshape(n, -1, h // 8, w // 8))

    module = Patches().eval()
    report = analyze(from_torch(module, "1x32x24"))
    found = report.rows[-1].receptive_field
    assert (found.status, found.size, found.stride) == ("exact", (8, 8), (8, 8))
    assert report.totals.macs == 12 * 64 * 8
    assert not fields(module, (1, 32, 24)).differ
