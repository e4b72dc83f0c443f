"""Streams of modules whose kernels and constants are no plain parameters: the module's own, as they are now."""

from __future__ import annotations

import weakref
from itertools import pairwise, product
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc.backend.stream import tape
from rfcalc.core.errors import Unsupported

torch.set_num_threads(1)
HANN = torch.hann_window(9)
RAMP = torch.tensor([0.0, 0, 1, 0, 2, 0, 0])
BASIS = torch.cat([torch.cos(torch.arange(5)[:, None] * torch.arange(8) / 8), torch.rand(5, 8)]) * torch.hann_window(8)


class Made(nn.Module):
    """A function of the input and of the module, which holds the tensors that are given."""

    def __init__(self, function: Any, **held: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in held.items():
            if isinstance(value, nn.Module):
                self.add_module(name, value)
            elif isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def learned(*dims: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(dims))


def standardized(m: Made, x: Tensor) -> Tensor:
    w = m.conv.weight
    w = (w - w.mean((1, 2), keepdim=True)) / (w.std((1, 2), keepdim=True) + 1e-5)
    return F.conv1d(x, w, m.conv.bias, padding=2)


def sinc(m: Made, x: Tensor) -> Tensor:
    low, high = m.low.abs(), m.low.abs() + m.band.abs()
    kernel = 2 * high * torch.sinc(2 * high * m.places) - 2 * low * torch.sinc(2 * low * m.places)
    return F.conv1d(x[:, :1], (kernel * m.window)[:, None])


def anti_aliased(m: Made, x: Tensor) -> Tensor:
    """BigVGAN's activation: up by two, a periodic function, down by two, with one fixed kernel."""
    c = x.shape[1]
    up = 2 * F.conv_transpose1d(F.pad(x, (5, 5), mode="replicate"), m.up.expand(c, -1, -1), stride=2, groups=c)
    y = up[..., 15:-15]
    y = y + torch.sin(y * m.alpha).pow(2)
    return F.conv1d(F.pad(y, (5, 6), mode="replicate"), m.up.expand(c, -1, -1), stride=2, groups=c)


def spectrogram(m: Made, x: Tensor) -> Tensor:
    y = F.conv1d(F.pad(x[:, :1], (4, 4), mode="reflect"), m.basis, stride=2)
    return (y[:, :5] ** 2 + y[:, 5:] ** 2).sqrt()


FIXED: dict[str, Any] = {
    "a window of each channel": lambda: Made(
        lambda m, x: F.conv1d(x, m.k, padding=4, groups=3), k=HANN.repeat(3, 1, 1)
    ),
    "expanded": lambda: Made(
        lambda m, x: F.conv1d(F.pad(x, (3, 5)), m.k.expand(x.shape[1], -1, -1), groups=x.shape[1]), k=HANN[None, None]
    ),
    "zeros inside": lambda: Made(lambda m, x: F.conv1d(x, m.k, padding=3, groups=3) + x, k=RAMP.repeat(3, 1, 1)),
    "zeros inside, strided": lambda: Made(
        lambda m, x: F.conv1d(x, m.k, padding=3, groups=3, stride=2), k=RAMP.repeat(3, 1, 1)
    ),
    "unevenly": lambda: Made(
        lambda m, x: F.conv1d(x, m.k, padding=2, groups=3, dilation=2),
        k=torch.tensor([[[1.0, 2, 0, 3]]]).repeat(3, 1, 1),
    ),
    "transposed": lambda: Made(
        lambda m, x: F.conv_transpose1d(x, m.k.expand(3, -1, -1), stride=3, groups=3, padding=2), k=HANN[None, None]
    ),
    "transposed, more channels": lambda: Made(
        lambda m, x: F.conv_transpose1d(x, m.k, stride=2), k=HANN.view(1, 1, 9).repeat(3, 2, 1)
    ),
    "anti-aliased": lambda: Made(anti_aliased, up=torch.rand(1, 1, 12), alpha=learned(3, 1)),
    "spectrogram": lambda: Made(spectrogram, basis=BASIS[:, None]),
    "standardized": lambda: Made(standardized, conv=nn.Conv1d(3, 4, 5)),
    "spectral": lambda: nn.utils.parametrizations.spectral_norm(nn.Conv1d(3, 4, 5, padding=1)),
    "normalised": lambda: nn.utils.parametrizations.weight_norm(nn.ConvTranspose1d(3, 4, 4, 2)),
    "large, normalised": lambda: nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 800, 9)),
    "turned": lambda: Made(
        lambda m, x: F.conv1d(x, m.w.flip(-1), padding=1) + 2 * F.conv1d(x, m.w.transpose(0, 1), padding=1),
        w=learned(3, 3, 3),
    ),
    "both ways": lambda: Made(
        lambda m, x: F.conv_transpose1d(F.conv1d(x, m.w, padding=1), m.w, padding=1), w=learned(3, 3, 3)
    ),
    "masked": lambda: Made(
        lambda m, x: F.conv1d(x, m.w * m.mask, padding=2), w=learned(3, 3, 5), mask=torch.tensor([1.0, 1, 1, 0, 0])
    ),
    "a part": lambda: Made(lambda m, x: F.conv1d(x, m.w[:2, :3, 1:4], m.b[:2]), w=learned(4, 4, 5), b=learned(4)),
    "of low rank": lambda: Made(
        lambda m, x: F.conv1d(x, m.a[:, :, None] * m.b[:, None]), a=learned(4, 3), b=learned(4, 5)
    ),
    "of a formula": lambda: Made(
        sinc, low=learned(6, 1), band=learned(6, 1), places=torch.arange(-10.0, 11), window=torch.hamming_window(21)
    ),
    "whole numbers, scaled": lambda: Made(
        lambda m, x: F.conv1d(x, m.q.to(x.dtype) * m.scale),
        q=torch.randint(-9, 9, (2, 3, 5), dtype=torch.int8),
        scale=learned(2, 1, 1),
    ),
    "decaying": lambda: Made(
        lambda m, x: F.conv1d(F.pad(x, (15, 0)), (m.a[:, None] ** torch.arange(15, -1, -1))[:, None], groups=3),
        a=learned(3),
    ),
    "a fixed matrix": lambda: Made(lambda m, x: torch.relu(torch.einsum("oc,bct->bot", m.m, x)), m=torch.randn(2, 3)),
    "mean and deviation": lambda: Made(
        lambda m, x: m.c((x - m.mean) / m.std),
        mean=torch.randn(3, 1),
        std=torch.rand(1, 3, 1) + 1,
        c=nn.Conv1d(3, 2, 3),
    ),
    "zeros joined": lambda: Made(
        lambda m, x: m.c(torch.cat([x, x.new_zeros(len(x), 1, x.shape[-1])], 1)), c=nn.Conv1d(4, 2, 3, padding=1)
    ),
    "the same everywhere, joined": lambda: Made(
        lambda m, x: m.c(torch.cat([m.w[None, :, None].expand(len(x), -1, x.shape[-1]), x[:, 1:]], 1)),
        c=nn.Conv1d(4, 2, 3, padding=1),
        w=learned(2),
    ),
    "the same everywhere, strided": lambda: Made(
        lambda m, x: m.c(x) * torch.full((2, 1), 0.5).expand(2, m.c(x).shape[-1]) + m.w.repeat(1, 1, m.c(x).shape[-1]),
        c=nn.Conv1d(3, 2, 4, stride=2, padding=1),
        w=learned(1, 2, 1),
    ),
    "a bias that is computed": lambda: Made(
        lambda m, x: F.conv1d(x, m.w, m.b * 2), w=learned(2, 3, 3), b=torch.randn(2)
    ),
}


def streamed(stream: Any, x: Tensor, axis: int, r: Random) -> Tensor:
    stream.reset()
    size, n = stream.block["in"], x.shape[axis]
    ends = sorted({0, n, *(r.randint(1, n // size - 1) * size for _ in range(6))})
    parts = [stream(x.narrow(axis, a, b - a)) for a, b in pairwise(ends)]
    assert stream.held_bytes() == len(x) * stream.state_bytes
    out = stream.lines[stream.output].axis
    got = torch.cat([*parts, stream.flush()], out)
    return got.narrow(out, stream.latency, got.shape[out] - stream.latency)


@pytest.mark.parametrize("name", FIXED)
def test_what_stream_says_is_possible_to_stream_does(name: str) -> None:
    torch.manual_seed(0)
    whole = FIXED[name]().double().eval()
    plan, stream = rfcalc.stream(whole, "3x60"), rfcalc.to_stream(whole, "3x60")
    assert plan.possible
    assert (plan.latency, plan.block) == (stream.latency, stream.block)
    for seed in range(3):
        x = torch.randn(2, 3, 60, dtype=torch.float64)
        with torch.no_grad():
            assert torch.allclose(streamed(stream, x, 2, Random(seed)), whole(x), rtol=1e-11, atol=1e-11)


def test_a_mask_of_rows_and_columns() -> None:
    """PixelCNN's kernel, along rows and along columns: what is masked is neither kept nor waited for."""
    mask = torch.tensor([[1.0, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    whole = Made(lambda m, x: F.conv2d(x, m.w * m.mask, padding=2), w=learned(2, 3, 5, 5), mask=mask).double()
    for axis, latency in ((0, 0), (1, 2)):
        stream = rfcalc.to_stream(whole, "3x12x16", axis)
        assert stream.latency == latency
        x = torch.randn(1, 3, 12, 16, dtype=torch.float64)
        with torch.no_grad():
            assert torch.allclose(streamed(stream, x, axis + 2, Random(0)), whole(x), rtol=1e-11, atol=1e-11)


def test_masked_kernels_of_networks() -> None:
    whole = rfcalc.to_torch("conv5-4 p2 taps11100 > relu > conv5-2 p2 taps01011", "3x60", seed=0).double()
    stream = rfcalc.to_stream(whole)
    assert (stream.plan.lookback, stream.plan.lookahead) == (3, 2)
    x = torch.randn(1, 3, 60, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(streamed(stream, x, 2, Random(0)), whole(x), rtol=1e-11, atol=1e-11)


def test_written_streams_have_fixed_kernels(tmp_path: Any) -> None:
    from runpy import run_path

    from rfcalc.backend.stream.source import to_source

    torch.manual_seed(0)
    whole = FIXED["anti-aliased"]().double().eval()
    stream = rfcalc.to_stream(whole, "3x60")
    (tmp_path / "written.py").write_text(text := to_source(stream))
    made = run_path(str(tmp_path / "written.py"))[text.split("\nclass ")[-1].split("(")[0]]().double()
    made.load_state_dict(stream.state_dict())
    made.state_bytes = stream.state_bytes
    x = torch.randn(1, 3, 60, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(streamed(made, x, 2, Random(0)), whole(x), rtol=1e-11, atol=1e-11)


def test_fixed_transposed_kernels_are_no_parameters() -> None:
    report = rfcalc.analyze(FIXED["transposed"](), "3x60")
    assert (report.totals.params, report.complete) == (0, True)
    text = report.network.nodes[0].layer.notation(exact=True)
    assert "fixed" in text and rfcalc.analyze(text, "3x60").totals.params == 0


def counted(m: Made, x: Tensor) -> Tensor:
    m.n += 1
    return F.conv1d(x, m.w * m.n, padding=1)


def halved(m: Made, x: Tensor) -> Tensor:
    m.w = m.w * 0.5
    return F.conv1d(x, m.w, padding=1)


def counted_outside(m: Made, x: Tensor) -> Tensor:
    m.calls = getattr(m, "calls", 0) + 1
    return F.conv1d(x, m.w * m.calls, padding=1)


def written_outside(m: Made, x: Tensor) -> Tensor:
    return F.conv1d(x, m.plain[0].mul_(0.5), padding=1)  # type: ignore[index]


def written_parameter(m: Made, x: Tensor) -> Tensor:
    with torch.no_grad():
        m.conv.weight.mul_(0.5)  # type: ignore[union-attr,operator]
    y: Tensor = m.conv(x)  # type: ignore[operator]
    return y


@pytest.mark.parametrize("function", [counted, halved, counted_outside, written_outside, written_parameter])
def test_what_forward_changes_is_no_constant(function: Any) -> None:
    """A kernel that is another one at every call is refused, and reading leaves the module as it was."""
    module = Made(function, w=torch.randn(2, 2, 3), n=torch.zeros(()), conv=nn.Conv1d(2, 2, 3, padding=1))
    module.plain, plain = [torch.ones(2, 2, 3)], torch.ones(2, 2, 3)
    before = {name: t.clone() for name, t in module.state_dict().items()}
    with pytest.raises(Unsupported, match="other values when it is called again"):
        rfcalc.to_stream(module, "2x60")
    assert all(torch.equal(t, before[name]) for name, t in module.state_dict().items())
    assert torch.equal(module.plain[0], plain) and not hasattr(module, "calls")


def test_what_is_only_counted_hinders_no_stream() -> None:
    def only_counted(m: Made, x: Tensor) -> Tensor:
        m.n += 1
        return F.conv1d(x, m.w * m.wide, padding=1)

    wide = torch.full((1, 1, 1), 2.0).expand(2, 2, 3)  # its values share one place in memory
    module = Made(only_counted, w=torch.randn(2, 2, 3), n=torch.zeros(()), wide=wide)
    stream, x = rfcalc.to_stream(module, "2x60"), torch.randn(1, 2, 60)
    assert int(module.n) == 0
    assert torch.allclose(streamed(stream, x, 2, Random(0)), module(x), atol=1e-6)


def test_whole_numbers_are_refused_at_once() -> None:
    stream = rfcalc.to_stream("conv3-2 p1", "1x100")
    with pytest.raises(rfcalc.RfcalcError, match=r"the chunk is torch\.int64"):
        stream(torch.ones(1, 1, 8, dtype=torch.long))


class BothWaysOverBands(nn.Module):
    """An LSTM in both directions over bands, one with a projection over frames, a choice, a map that is cropped."""

    def __init__(self) -> None:
        super().__init__()
        self.bands = nn.LSTM(2, 3, 2, bidirectional=True, batch_first=True)
        self.frames = nn.LSTM(6, 5, proj_size=4, batch_first=True)
        self.conv = nn.Conv2d(4, 2, (3, 1), padding=(2, 0))

    def forward(self, x: Tensor) -> Tensor:
        b, c, t, f = x.shape
        y, _ = self.bands(x.permute(0, 2, 3, 1).reshape(b * t, f, c))
        y, _ = self.frames(y.view(b, t, f, 6).permute(0, 2, 1, 3).reshape(b * f, t, 6))
        y = y.view(b, f, t, 4).permute(0, 3, 2, 1)
        y = torch.where(y > 0, y, y * 0.1)
        return F.pad(self.conv(y), (0, 0, 0, -2))


def test_recurrence_over_bands_and_over_frames() -> None:
    torch.manual_seed(0)
    whole = BothWaysOverBands().double().eval()
    stream = rfcalc.to_stream(whole, "2x20x6", 0)
    assert stream.latency == 0
    x = torch.randn(1, 2, 20, 6, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(streamed(stream, x, 2, Random(0)), whole(x), rtol=1e-11, atol=1e-11)


def test_no_chunk_is_held_longer_than_its_step() -> None:
    stream = rfcalc.to_stream("conv3-2 p1 > relu > conv3-1 p1", "1x100")
    for _ in range(2):  # recorded, and played again
        stream.reset()
        for _ in range(4):
            chunk = torch.randn(1, 1, 20)
            gone = weakref.ref(chunk.untyped_storage())
            stream(chunk)
            view = chunk[:, :0]  # a control: a view, even of nothing, holds all of it
            del chunk
            assert gone() is not None
            del view
            assert gone() is None


PLACED: dict[str, Any] = {
    "a ramp": lambda m, x: x + torch.linspace(0, 1, x.shape[-1]),
    "a running sum": lambda m, x: x + m.w.expand(-1, x.shape[-1]).cumsum(-1),
    "padded": lambda m, x: x + F.conv1d(m.w[None].expand(1, -1, x.shape[-1]), m.k, padding=1),
    "a mean with zeros": lambda m, x: x + F.avg_pool1d(m.w[None].expand(1, -1, x.shape[-1]), 3, 1, 1),
}


@pytest.mark.parametrize("name", PLACED)
def test_constants_that_differ_from_place_to_place_are_blockers(name: str) -> None:
    module = Made(PLACED[name], w=learned(3, 1), k=learned(3, 3, 3)).double()
    for blockers in (rfcalc.stream(module, "3x60").blockers, rfcalc.stream(module, "3x50").blockers):
        assert [b.why for b in blockers] == ["it takes values that are tied to positions (a table, a mask)"]
    with pytest.raises(rfcalc.RfcalcError, match="tied to positions"):
        rfcalc.to_stream(module, "3x60")


@pytest.mark.parametrize("value", [0.5, -3.0, float("-inf")])
def test_padding_with_another_number(value: float) -> None:
    """Of a map, and of the bands beside the stream's axis."""
    whole = Made(lambda m, x: F.max_pool1d(F.pad(F.pad(x, (1, 2)) - 1, (4, 1), value=value), 3, 2))
    stream = rfcalc.to_stream(whole, "2x60")
    x = torch.randn(1, 2, 80, dtype=torch.float64)
    assert rfcalc.stream(whole, "2x60").possible
    assert torch.equal(streamed(stream, x, 2, Random(0)), whole(x))
    bands = Made(lambda m, x: F.pad(x, (2, 1, 3, 0), value=value).clamp(-9)[:, :, 2:])
    x = torch.randint(-4, 5, (1, 2, 20, 5)).double()
    assert torch.equal(streamed(rfcalc.to_stream(bands, "2x20x5", 0), x, 2, Random(0)), bands(x))


def test_products_are_the_convolutions() -> None:
    """What small blocks run instead of PyTorch's convolutions, on whole numbers: equal by `==`, for every layout."""
    made, forms = torch.Generator().manual_seed(0), set()
    widths = ((1, 4, 1), (4, 8, 1), (6, 6, 6), (6, 12, 6), (4, 4, 2), (16, 3, 1))
    for kind in (nn.Conv1d, nn.ConvTranspose1d):
        for (channels, out, groups), k, s, d, bias in product(
            widths, (2, 3, 4, 6, 9), (1, 2, 3), (1, 3), (True, False)
        ):
            conv = kind(channels, out, k, stride=s, dilation=d, groups=groups, bias=bias).double()
            for p in conv.parameters():
                p.data = torch.randint(-5, 6, p.shape, generator=made).double()
            wide = torch.randint(-9, 9, (1, channels, 60), generator=made).double()
            turned = torch.randint(-9, 9, (1, 51, channels), generator=made).double().transpose(1, 2)
            for x in (wide, wide[..., 3:54], turned):
                if tape.is_product(conv, x):
                    forms.add((kind, s > 1, groups > 1))
                    with torch.no_grad():
                        assert torch.equal(tape.product(conv, x), conv(x)), (conv, x.stride())
    assert len(forms) == 5  # (transposed ones in groups are PyTorch's own)
