"""Streams of what audio code does beside layers: tokens that are looked up, types that change, frames, spectra.

Each is compared with the module itself by ``==``, in whole numbers; spectra within what rounding makes, because a
Fourier transform multiplies with numbers that are rounded.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from runpy import run_path
from typing import Any

import pytest
import torch
from test_stream_kernels import Made, streamed
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import rfcalc
from rfcalc.backend.stream.source import to_source
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
    "sorted": lambda m, x: m.c(x).sort(-1)[0],
    "a ramp": lambda m, x: m.c(x) + torch.linspace(0, 1, x.shape[-1]),
    "a spectrum of it all": lambda m, x: torch.fft.rfft(m.c(x)).abs(),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_every_blocker_says_what_would_remove_it(name: str) -> None:
    plan = rfcalc.stream(Made(BLOCKED[name], c=conv(1, 2)), "1x96")
    assert not plan.possible
    assert all(b.node and b.why and b.fix for b in plan.blockers)


class Vocoder(nn.Module):
    """Frames and noise: the one comes with as many samples of the other; a speaker is the same all along."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.noise, self.last = nn.ConvTranspose1d(4, 2, 16, 8, 4), conv(1, 3, 5), conv(5, 1, 7)
        self.speaker = nn.Linear(6, 5)

    def forward(self, mel: Tensor, noise: Tensor, speaker: Tensor) -> Tensor:
        joined = torch.cat([self.up(mel), self.noise(noise)], 1)
        return self.last(joined * self.speaker(speaker)[..., None])


class NoiseFirst(Vocoder):
    def forward(self, noise: Tensor, mel: Tensor, speaker: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(mel, noise, speaker)


INPUTS = {Vocoder: {"mel": "4x20", "noise": "1x160", "speaker": "6"}}
INPUTS[NoiseFirst] = {"noise": "1x160", "mel": "4x20", "speaker": "6"}


def both(whole: nn.Module, seed: int, frames: int) -> dict[str, Tensor]:
    made = torch.Generator().manual_seed(seed)
    sizes = {"mel": (2, 4, frames), "noise": (2, 1, 8 * frames), "speaker": (2, 6)}
    return {name: torch.randint(-5, 6, sizes[name], generator=made).float() for name in INPUTS[type(whole)]}


def cut(xs: dict[str, Tensor], first: int, last: int) -> list[Tensor]:
    """The parts of all inputs that belong to some frames."""
    steps = {"mel": 1, "noise": 8}
    return [x[..., first * steps[n] : last * steps[n]] if n in steps else x for n, x in xs.items()]


@pytest.mark.parametrize("kind", INPUTS)
def test_several_inputs_come_along(kind: type[nn.Module]) -> None:
    whole = whole_numbers(kind())
    plan, stream = rfcalc.stream(whole, INPUTS[kind]), rfcalc.to_stream(whole, INPUTS[kind])
    assert (plan.block, plan.latency) == (stream.block, 8)
    assert any("speaker is the same" in told for told in plan.assumptions)
    for seed in range(10):
        xs, r = both(whole, seed, 20 + seed), Random(seed)
        with torch.no_grad():
            wanted = whole(*xs.values())
        stream.reset()
        parts, at = [], 0
        while at < 20 + seed:
            stop = min(20 + seed, at + r.randint(1, 5))
            parts.append(stream(*cut(xs, at, stop)))
            at = stop
        assert stream.held_bytes() == 2 * stream.state_bytes
        assert torch.equal(torch.cat([*parts, stream.flush()], 2)[..., 8:], wanted)


def test_chunks_of_several_inputs_that_do_not_fit() -> None:
    whole = whole_numbers(Vocoder())
    stream = rfcalc.to_stream(whole, INPUTS[Vocoder])
    mel, noise, speaker = cut(both(whole, 0, 20), 0, 4)
    for chunks, told in (
        ((mel,), "1 chunk for 3 inputs: the stream takes mel, noise, speaker"),
        ((mel, noise[..., :-8], speaker), "the chunk of noise has 24 positions: 32 come with those of the first input"),
        ((mel, noise[..., :-1], speaker), "one block is 8"),
        ((mel, noise, speaker[:, :5]), "the chunk of speaker is 2×5: the stream takes N×6"),
        ((mel, noise, speaker[:1]), "the chunk of speaker has a batch of 1"),
        ((mel, noise.double(), speaker), "the chunk of noise is torch.float64"),
    ):
        with pytest.raises(RfcalcError, match=told):
            stream(*chunks)
    assert stream(mel, noise, speaker).shape == (2, 1, 32)


def test_several_inputs_in_a_written_stream_and_in_a_step(tmp_path: Path) -> None:
    whole = whole_numbers(Vocoder())
    stream = rfcalc.to_stream(whole, INPUTS[Vocoder])
    file = tmp_path / "written.py"
    file.write_text(to_source(stream), encoding="utf-8")
    written = run_path(str(file))["Vocoder"]()
    written.net.load_state_dict(stream.net.state_dict())
    xs = both(whole, 1, 20)
    for a, b in ((0, 3), (3, 4), (4, 20)):
        assert torch.equal(written(*cut(xs, a, b)), stream(*cut(xs, a, b)))
    assert torch.equal(written.flush(), stream.flush())
    assert "With each comes noise, N×1×160 but for axis 2: 8 of its positions with 1." in file.read_text("utf-8")
    step = stream.step(blocks=2, batch=2)
    state, made = step.state, []
    for at in range(0, 20, 2):
        out, *state = step(*cut(xs, at, at + 2), *state)
        made.append(out)
    assert torch.cat(made, 2).shape == (2, 1, 160)


def test_lengths_that_do_not_go_together_are_named() -> None:
    whole = Made(lambda m, x: m.c(x), c=conv(1, 2))
    whole.forward = lambda x, y: whole.c(x) + whole.c(y).mean(-1, keepdim=True)  # type: ignore[method-assign]
    plan = rfcalc.stream(whole, {"x": "1x96", "y": "1x70"})
    assert plan.blockers[0].node == "y"
    assert "its 70 positions do not go with the 96 of x" in plan.blockers[0].why


def test_a_written_stream_holds_what_no_checkpoint_has(tmp_path: Path) -> None:
    """A window that is a buffer under another name, and a table of tokens that is the module's own."""
    whole = Made(
        lambda m, x: m.c(m.e(spectrum(x).abs().sum(1).clamp(0, 8).long()).transpose(1, 2)),
        e=nn.Embedding(9, 4),
        c=conv(4, 2),
    )
    stream = rfcalc.to_stream(whole_numbers(whole), "1x160")
    (file := tmp_path / "written.py").write_text(to_source(stream), encoding="utf-8")
    written = run_path(str(file))["Made"]()
    written.net.load_state_dict(whole.state_dict(), strict=False)
    x = torch.randn(1, 1, 320)
    for a, b in ((0, 8), (8, 48), (48, 320)):
        assert torch.equal(written(x[..., a:b]), stream(x[..., a:b]))
    assert torch.equal(written.flush(), stream.flush())
    large = Made(lambda m, x: F.conv1d(x, m.k), k=torch.randn(2, 1, 5000))
    text = to_source(rfcalc.to_stream(large, "1x6000"))
    assert "The module computes net.conv1d.weight, and no checkpoint of it holds them" in text


def test_a_module_that_the_command_names_is_exported_with_its_kernels(tmp_path: Path) -> None:
    from rfcalc.cli import run

    code = """import torch
from torch.nn import functional as F
class Smooth(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("k", torch.hann_window(9)[None, None])
    def forward(self, x):
        return F.conv1d(x, self.k, padding=4)
smooth = Smooth()
"""
    (file := tmp_path / "smooth.py").write_text(code)
    out = tmp_path / "written.py"
    assert run(["export", f"{file}:smooth", "--input", "1x96", "--to", "torch", "--stream", "-o", str(out)]) == 0
    written, x = run_path(str(out))["Smooth"](), torch.randn(1, 1, 96)
    got = torch.cat([*(written(part) for part in x.split(7, -1)), written.flush()], 2)[..., written.latency :]
    assert torch.allclose(got, run_path(str(file))["smooth"](x), atol=1e-6)


def test_a_transform_is_not_written_as_what_it_is_not() -> None:
    from rfcalc import from_torch, to_torch

    with pytest.raises(RfcalcError, match="a transform cannot be built"):
        to_torch(from_torch(Made(lambda m, x: torch.fft.rfft(x).abs()), "1x96").network)


def test_what_nobody_reads_is_not_waited_for() -> None:
    """A Hann window begins with 0, so that the frame that is mirrored needs one position less: a whole block here."""
    whole, ones = Made(lambda m, x: spectrum(x).abs()), Made(lambda m, x: spectrum(x, window=None).abs())
    assert rfcalc.stream(whole, "1x160").latency == 1
    assert rfcalc.stream(ones, "1x160").latency == 2
    cropped = Made(lambda m, x: F.pad(x, (6, 0), mode="reflect")[..., 4:])
    assert rfcalc.stream(cropped, "1x96").latency == 2
    stream = rfcalc.to_stream(cropped, "1x96")
    for seed in range(10):
        x = torch.randn(1, 1, 40)
        assert torch.equal(streamed(stream, x, 2, Random(seed)), cropped(x))


def test_a_large_module_is_not_run_and_that_is_noted() -> None:
    with torch.device("meta"):
        large = nn.Sequential(*(nn.Conv1d(1000 if i else 1, 1000, 9) for i in range(4)))
    plan = rfcalc.stream(large, "1x16000")
    assert plan.latency == 32
    assert any("it was not built to see, because it is large" in told for told in plan.assumptions)
