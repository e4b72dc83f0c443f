"""Streams of what audio code does beside layers: tokens that are looked up, types that change, frames, spectra.

Each is compared with the module itself by ``==``, in whole numbers; spectra within what rounding makes, because a
Fourier transform multiplies with numbers that are rounded.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from test_stream_kernels import Made, streamed
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc.core.errors import RfcalcError

torch.set_num_threads(1)
HANN = torch.hann_window(32)


def conv(channels: int, out: int, kernel: int = 3) -> nn.Conv1d:
    return nn.Conv1d(channels, out, kernel, padding=kernel // 2)


def whole_numbers(module: nn.Module) -> nn.Module:
    made = torch.Generator().manual_seed(0)
    for p in module.parameters():
        p.data = torch.randint(-3, 4, p.shape, generator=made).to(p.dtype)
    return module.eval()


def spectrum(x: Tensor, **given: Any) -> Tensor:
    given = {"window": HANN.to(x), **given}
    return torch.stft(x[:, 0], 32, 8, return_complex=True, **given)


def overlapping(m: Made, x: Tensor) -> Tensor:
    """Frames that overlap, filtered, and added up again."""
    frames = m.c(F.unfold(x[:, :, None], (1, 8), stride=(1, 4)))
    return F.fold(frames, (1, x.shape[-1]), (1, 8), stride=(1, 4))[:, :, 0]


EXACT: dict[str, tuple[Any, str]] = {
    "tokens": (lambda: Made(lambda m, x: m.c(m.e(x).transpose(1, 2)), e=nn.Embedding(9, 4), c=conv(4, 2)), "int64:96"),
    "codes of three books": (
        lambda: Made(
            lambda m, x: m.c(sum(e(x[:, i]) for i, e in enumerate(m.e)).transpose(1, 2)),
            e=nn.ModuleList(nn.Embedding(9, 4) for _ in range(3)),
            c=nn.ConvTranspose1d(4, 1, 8, 4, 2),
        ),
        "int64:3x96",
    ),
    "one hot": (
        lambda: Made(lambda m, x: m.c(F.one_hot(x, 9).to(m.c.weight.dtype).transpose(1, 2)), c=conv(9, 2)),
        "int64:96",
    ),
    "samples of 16 bits": (lambda: Made(lambda m, x: m.c(x.float()[:, None]), c=conv(1, 2)), "int16:96"),
    "half, and back": (lambda: Made(lambda m, x: m.d(m.c(x).half().float()), c=conv(1, 2), d=conv(2, 1)), "1x96"),
    "less precise": (lambda: Made(lambda m, x: m.c(x).bfloat16()[..., 2:], c=conv(1, 2)), "1x96"),
    "to whole numbers": (lambda: Made(lambda m, x: m.c(x).clamp(-99, 99).to(torch.int16), c=conv(1, 2)), "1x96"),
    "what is positive": (lambda: Made(lambda m, x: m.c((x > 0).float()), c=conv(1, 2)), "1x96"),
    "the nearest code": (
        lambda: Made(
            lambda m, x: m.d(m.e(m.c(x).argmax(1)).transpose(1, 2)), c=conv(1, 9), e=nn.Embedding(9, 4), d=conv(4, 2)
        ),
        "1x96",
    ),
    "frames by view": (lambda: Made(lambda m, x: m.c(x.view(len(x), -1, 8).transpose(1, 2)), c=conv(8, 2)), "1x96"),
    "frames, and back": (
        lambda: Made(lambda m, x: m.c(m.l(x.unflatten(-1, (-1, 8))).flatten(-2)), l=nn.Linear(8, 4), c=conv(1, 2)),
        "1x96",
    ),
    "turned within frames": (
        lambda: Made(lambda m, x: m.c(x).unflatten(-1, (-1, 8)).flip(-1).flatten(-2), c=conv(1, 2)),
        "1x96",
    ),
    "frames that overlap": (
        lambda: Made(lambda m, x: m.c(x[:, 0].unfold(-1, 10, 4).transpose(1, 2)), c=conv(10, 2)),
        "1x96",
    ),
    "overlap and add": (lambda: Made(overlapping, c=conv(8, 8)), "1x96"),
}
SPECTRA: dict[str, Any] = {
    "mirrored": lambda x: spectrum(x).abs(),
    "as it stands": lambda x: spectrum(x, center=False).abs(),
    "zeros around, scaled": lambda x: spectrum(x, pad_mode="constant", normalized=True).abs(),
    "without a window": lambda x: spectrum(x, window=None).abs(),
    "a short window": lambda x: spectrum(x, win_length=20, window=HANN[:20].to(x)).abs(),
    "both sides": lambda x: spectrum(x, onesided=False).abs(),
    "two parts": lambda x: torch.cat([spectrum(x).real, spectrum(x).imag], 1),
    "parts apart": lambda x: torch.view_as_real(spectrum(x)),
    "complex, of two frames": lambda x: spectrum(x)[..., 1:] * spectrum(x)[..., :-1],
}


def given(shape: str, seed: int, length: int) -> Tensor:
    """Random whole numbers of the type and the shape that a text says, of another length."""
    kind, _, dims = shape.rpartition(":")
    size = (2, *map(int, dims.split("x")[:-1]), length)
    x = torch.randint(0 if kind else -5, 8, size, generator=torch.Generator().manual_seed(seed))
    return x.to(getattr(torch, kind or "float32"))


@pytest.mark.parametrize("name", EXACT)
def test_equal_to_the_module_in_whole_numbers(name: str) -> None:
    make, shape = EXACT[name]
    whole = whole_numbers(make())
    stream, plan = rfcalc.to_stream(whole, shape), rfcalc.stream(whole, shape)
    assert plan.possible
    assert plan.to_dict() == {**stream.plan.to_dict(), "network": plan.name, "assumptions": list(plan.assumptions)}
    for seed in range(10):
        x = given(shape, seed, 96 + 8 * seed)
        with torch.no_grad():
            wanted = whole(x)
        got = streamed(stream, x, x.dim() - 1, Random(seed))
        assert got.dtype == wanted.dtype
        assert torch.equal(got.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_are_those_of_the_module(name: str) -> None:
    whole = Made(lambda m, x: SPECTRA[name](x))
    stream = rfcalc.to_stream(whole, "1x160")
    assert stream.block["in"] == 8
    for seed in range(5):
        x = torch.randn(2, 1, 160 + 8 * seed, generator=torch.Generator().manual_seed(seed))
        wanted = whole(x)
        assert torch.allclose(streamed(stream, x, 2, Random(seed)), wanted, rtol=1e-5, atol=1e-5)


def test_a_type_of_its_own_counts_in_the_state() -> None:
    """Three tokens of eight bytes are less than three positions of sixteen floats, and more than of one."""
    for width, size in ((16, 8), (1, 4)):
        whole = Made(lambda m, x: m.c(m.e(x).transpose(1, 2)), e=nn.Embedding(9, width), c=nn.Conv1d(width, 2, 4))
        (cache,) = rfcalc.stream(whole, "int64:96").caches
        assert cache.bytes == 3 * size
        assert rfcalc.to_stream(whole, "int64:96").state_bytes == cache.bytes


def test_a_number_of_frames_that_is_fixed_is_named() -> None:
    for function in (
        lambda m, x: torch.tanh(x.view(len(x), 4, -1)),
        lambda m, x: torch.tanh(x.view(len(x), 4, x.shape[-1] // 4)),
    ):
        plan = rfcalc.stream(Made(function), "1x96")
        assert not plan.possible
        assert plan.blockers[0].node == "view"
        assert "-1, n" in plan.blockers[0].fix


CHANGING = {
    "a counter": lambda m, x: (F.conv1d(x, m.w * m.n), m.n.add_(1))[0],
    "random numbers": lambda m, x: F.conv1d(x + torch.rand_like(x), m.w),
}


@pytest.mark.parametrize("name", CHANGING)
def test_the_command_and_the_function_agree(name: str) -> None:
    whole = Made(CHANGING[name], w=nn.Parameter(torch.ones(2, 1, 3)), n=torch.ones(()))
    plan = rfcalc.stream(whole, "1x96")
    assert not plan.possible
    assert plan.blockers[0].fix
    with pytest.raises(RfcalcError):
        rfcalc.to_stream(whole, "1x96")


BLOCKED = {
    "turned": lambda m, x: m.c(x).flip(-1),
    "scaled by its mean": lambda m, x: (y := m.c(x)) * y.mean(-1, keepdim=True),
    "a kernel of the input": lambda m, x: F.conv1d(x, m.c(x).mean((0, 2)).view(2, 1, 1)),
    "padded with ones": lambda m, x: m.c(F.pad(x, (1, 1), value=1.0)),
    "sorted": lambda m, x: m.c(x).sort(-1)[0],
    "a ramp": lambda m, x: m.c(x) + torch.linspace(0, 1, x.shape[-1]),
    "a spectrum of it all": lambda m, x: torch.fft.rfft(m.c(x)).abs(),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_every_blocker_says_what_would_remove_it(name: str) -> None:
    plan = rfcalc.stream(Made(BLOCKED[name], c=conv(1, 2)), "1x96")
    assert not plan.possible
    assert all(b.node and b.why and b.fix for b in plan.blockers)
