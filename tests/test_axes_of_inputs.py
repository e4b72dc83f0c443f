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
