"""Streams of public networks: equal to the module's own whole run, with the module's own weights."""

from __future__ import annotations

from random import Random

import pytest
import stream_networks as nets
import torch
from chunkings import chunked, differing
from torch import nn

import rfcalc
from rfcalc.core.errors import ConstraintFailed, Unsupported

CASES = {
    "tcn": (nets.tcn, "1x400", -1, 0),
    "wavenet": (nets.WaveNet, "1x400", -1, 0),
    "wavenet-valid": (lambda: nets.WaveNet(padded=False), "1x400", -1, 63),
    "hifigan": (nets.HifiGan, "20x40", -1, 896),
    "demucs": (nets.Demucs, "1x1280", -1, 128),
    "crn": (nets.Crn, "1x60x64", 0, 0),
    "gru": (nets.Gru, "1x200", -1, 2),
    "amplifier": (nets.Amplifier, "1x200", -1, 0),
    "tds": (nets.Tds, "1x160x5", 0, 3),
    "tds-limited": (nets.LimitedTds, "1x1600x3", 0, 7),
    "separator": (nets.Separator, "1x800", -1, 8),
    "snake": (nets.Snake, "1x200", -1, 3),
    "unet": (nets.UNet, "1x400", -1, None),
}


def streamed(module: nn.Module, shape: str, axis: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, object]:
    stream = rfcalc.to_stream(module, shape, axis)
    dims = [int(n) for n in shape.split("x")]
    at = list(range(1, len(dims)))[axis]
    size = stream.block["in"]
    dims[at] = max(dims[at] // size, 24) * size
    made, r = torch.Generator().manual_seed(seed), Random(seed)
    x = torch.randn(2, *dims, generator=made, dtype=torch.float64)
    parts, begin, held = [], 0, 0
    while begin < dims[at]:
        count = min(r.choice([1, 2, 5, 30]) * size, dims[at] - begin)
        parts.append(stream(x.narrow(at + 1, begin, count)))
        begin += count
    held = stream.held_bytes()
    out = stream.lines[stream.output].axis
    got = torch.cat([*parts, stream.flush()], out)
    assert held == 2 * stream.state_bytes
    with torch.no_grad():
        whole = module(x)
    return got.narrow(out, stream.latency, got.shape[out] - stream.latency), whole, stream


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_modules_own_run(name: str) -> None:
    build, shape, axis, latency = CASES[name]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = build().double().eval()
    got, whole, stream = streamed(module, shape, axis)
    assert got.shape == whole.shape
    assert torch.allclose(got, whole, rtol=1e-11, atol=1e-12)
    assert latency is None or stream.latency == latency


@pytest.mark.parametrize("name", ["tcn", "demucs", "gru", "amplifier", "tds"])
def test_hundreds_of_chunkings(name: str) -> None:
    """Items of one batch with states of their own; a state that is changed is seen."""
    build, shape, axis, _ = CASES[name]
    torch.manual_seed(0)
    module = build().double().eval()
    stream = rfcalc.to_stream(module, shape, axis)
    assert chunked(module, stream, shape, range(200))[0] == 0
    dims = [int(n) for n in shape.split("x")]
    dims[stream.lines[0].axis - 1] = 24 * stream.block["in"]
    x = torch.randn(1, *dims, dtype=torch.float64)
    with torch.no_grad():
        whole = module(x)
    assert differing(stream, x, whole, range(20), 1e-11, wrong=True)[0] > 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CASES)
def test_ten_thousand_chunkings(name: str) -> None:
    """Ten signals in a thousand random chunkings each: no value differs from the whole run."""
    build, shape, axis, _ = CASES[name]
    torch.manual_seed(0)
    module = build().double().eval()
    stream = rfcalc.to_stream(module, shape, axis)
    blocks = 24 + (stream.plan.lookahead or 0 if name == "wavenet-valid" else 0)  # not padded: a window must fit
    count, worst = chunked(module, stream, shape, range(10_000), blocks=blocks)
    print(f"{name}: {count} of the values differ, at most {worst:.1e}")
    assert count == 0


def test_known_values() -> None:
    """wav2letter's streaming model sees 1,000 frames, 943 back, 56 ahead; denoiser's Demucs needs 2,388 positions for
    its first output, 597 samples of a signal that is resampled four times."""
    plan = rfcalc.stream(nets.LimitedTds().eval(), "1x1600x3", 0)
    assert (plan.lookback, plan.lookahead, plan.latency) == (943, 56, 7) and 943 + 56 + 1 == 1000
    demucs = rfcalc.stream(nets.Demucs(hidden=2, depth=5).eval(), "1x8192")
    assert demucs.lookahead is not None and demucs.lookahead + 1 == 2388 == 597 * 4
    assert rfcalc.stream("(convT2-4/1 p0 > slice axis1 at1:) x7", "4x60").lookahead == 7
    assert rfcalc.stream("(convT2-4/1 p0 > slice axis1 at:-1) x7", "4x60").lookahead == 0


def test_blockers_of_public_networks() -> None:
    told = {
        "lstm.l0": (lambda: nets.Demucs(bidirectional=True), "1x1280"),
        "norm": (lambda: nets.Separator("global"), "1x800"),
    }
    for node, (build, shape) in told.items():
        with pytest.raises(ConstraintFailed, match=node):
            rfcalc.to_stream(build(), shape)


def test_the_modules_own_parameters_are_used() -> None:
    module = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Conv1d(4, 1, 3))
    stream = rfcalc.to_stream(module, "1x100")
    assert {id(p) for p in stream.parameters()} == {id(p) for p in module.parameters()}
    assert stream.state_bytes == 4 * (2 + 2 * 4)
    assert rfcalc.to_stream(module.double(), "1x100").state_bytes == 8 * (2 + 2 * 4)


class Shifted(nn.Module):
    """Adds a constant that is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + torch.tensor([[[1.0], [2.0]]], dtype=x.dtype)


def test_what_cannot_be_rebuilt_is_refused() -> None:
    """Never other values: a network that was read with a part that is not known is told."""

    class Ranked(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.median(1, keepdim=True)[0]  # it is read as a value that is found among the channels

    with pytest.raises(Unsupported, match="gives other values than the module"):
        rfcalc.to_stream(Ranked(), "3x100")


def test_a_constant_is_taken_from_the_module() -> None:
    module = Shifted()
    stream, x = rfcalc.to_stream(module, "1x100"), torch.randn(1, 1, 60)
    out = torch.cat([stream(x[..., :20]), stream(x[..., 20:]), stream.flush()], -1)[..., stream.latency :]
    assert torch.allclose(out, module(x), atol=1e-6)


@pytest.mark.parametrize("name", ["tcn", "hifigan", "demucs", "crn", "tds", "unet"])
def test_written_source_gives_the_same(name: str) -> None:
    """The file runs without rfcalc, takes the same weights, and gives the same values."""
    from rfcalc.backend.stream.source import to_source

    build, shape, axis, _ = CASES[name]
    torch.manual_seed(0)
    stream = rfcalc.to_stream(build().double().eval(), shape, axis)
    text = to_source(stream)
    assert "rfcalc import" not in text and "import rfcalc" not in text
    assert max(map(len, text.split("\n"))) <= 160
    space: dict[str, object] = {"__name__": "written"}
    exec(compile(text, "written.py", "exec"), space)
    made = next(v for k, v in space.items() if isinstance(v, type) and v.__module__ == "written" and k not in WRITTEN)()
    made.double().load_state_dict(stream.state_dict())
    dims = [int(n) for n in shape.split("x")]
    dims[list(range(1, len(dims)))[axis]] = 6 * stream.block["in"]
    x = torch.randn(1, *dims, dtype=torch.float64)
    for step in (lambda s: s(x), lambda s: s(x), lambda s: s.flush()):
        assert torch.allclose(step(made), step(stream))


WRITTEN = ("Read", "StreamedMap", "Held", "Streamed", "Tape", "Run", "Recur", "Running")
