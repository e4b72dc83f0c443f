"""Streams of networks as packages publish them: a part of each without blockers in random chunks, the blockers named.

The packages are no dependencies; those that are installed are compared. `python tests/test_stream_published.py` prints
a line for each network.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chunkings import chunked

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
nn = torch.nn

Build = Callable[[], Any]


def package(name: str) -> Any:
    """A module of a package. Some import torchaudio for features, which are not used here: where its
    library does not fit this PyTorch, empty modules stand in for it."""
    from vision import models

    models()
    if name.partition(".")[0] in ("encodec", "vocos", "transformers"):
        try:
            import_module("torchaudio")
        except (ImportError, OSError):
            for part in ("", ".transforms", ".functional", ".functional.functional"):
                empty = types.ModuleType(f"torchaudio{part}")
                empty.__spec__ = ModuleSpec(empty.__name__, None)
                empty._hz_to_mel = empty._mel_to_hz = None  # type: ignore[attr-defined]
                sys.modules[empty.__name__] = empty
            sys.modules["torchaudio"].transforms = sys.modules["torchaudio.transforms"]  # type: ignore[attr-defined]
    return import_module(name)


class Mono(nn.Module):
    """A module that takes samples without a channel axis."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        return self.module(x[:, 0])


def hf(name: str, kind: str, config: str, **given: Any) -> Any:
    home = package(f"transformers.models.{name}.modeling_{name}")
    settings = getattr(package(f"transformers.models.{name}.configuration_{name}"), config)(**given)
    return getattr(home, kind)(settings)


def seanet(kind: str, **given: Any) -> Any:
    return getattr(package("encodec.modules.seanet"), kind)(n_filters=4, dimension=16, ratios=[4, 2], **given)


def tcn(**given: Any) -> Any:
    return package("pytorch_tcn").TCN(num_inputs=3, num_channels=[8, 8, 6, 4], kernel_size=3, **given)


def video(name: str) -> Any:
    from vision import models

    found = getattr(models().video, name)(weights=None)
    return nn.Sequential(found.stem, found.layer1, found.layer2, found.layer3, found.layer4)


NO_BLOCKERS: dict[str, tuple[Build, str, int]] = {
    "encodec SEANet encoder, causal": (lambda: seanet("SEANetEncoder", causal=True, lstm=2), "1x640", -1),
    "encodec SEANet decoder, causal": (lambda: seanet("SEANetDecoder", causal=True, lstm=2), "16x80", -1),
    "encodec SEANet encoder, not causal": (lambda: seanet("SEANetEncoder", causal=False, lstm=0), "1x640", -1),
    "encodec SEANet, zero padding": (lambda: seanet("SEANetEncoder", causal=True, pad_mode="constant"), "1x640", -1),
    "vocos backbone": (lambda: package("vocos.models").VocosBackbone(10, 16, 32, 3), "10x120", -1),
    "vocos ResNet backbone": (lambda: package("vocos.models").VocosResNetBackbone(10, 16, 2), "10x120", -1),
    "pytorch-tcn, causal": (lambda: tcn(causal=True), "3x200", -1),
    "pytorch-tcn, not causal": (lambda: tcn(causal=False), "3x200", -1),
    "pytorch-tcn, skips": (lambda: tcn(causal=True, use_skip_connections=True), "3x200", -1),
    "pytorch-tcn, gated": (lambda: tcn(causal=True, use_gate=True, use_norm="batch_norm"), "3x200", -1),
    "pytorch-tcn, not causal, gated, skips": (
        lambda: tcn(causal=False, use_gate=True, use_skip_connections=True),
        "3x200",
        -1,
    ),
    "snac encoder": (
        lambda: package("snac.layers").Encoder(d_model=4, strides=[2, 4], depthwise=True, attn_window_size=None),
        "1x640",
        -1,
    ),
    "snac decoder": (
        lambda: package("snac.layers").Decoder(8, 16, [4, 2], noise=False, depthwise=True, attn_window_size=None),
        "8x80",
        -1,
    ),
    "denoiser Demucs (causal, no normalisation, no resampling)": (
        lambda: package("denoiser.demucs").Demucs(hidden=4, depth=3, causal=True, normalize=False, resample=1),
        "1x1280",
        -1,
    ),
    "asteroid-filterbanks encoder": (
        lambda: package("asteroid_filterbanks").Encoder(package("asteroid_filterbanks").FreeFB(16, 16, 8)),
        "1x640",
        -1,
    ),
    "transformers Whisper front": (
        lambda: nn.Sequential(
            (
                e := hf("whisper", "WhisperEncoder", "WhisperConfig", d_model=12, encoder_layers=1, encoder_ffn_dim=16)
            ).conv1,
            nn.GELU(),
            e.conv2,
            nn.GELU(),
        ),
        "80x120",
        -1,
    ),
    "transformers wav2vec 2.0 features (layer norm)": (
        lambda: Mono(
            hf(
                "wav2vec2",
                "Wav2Vec2FeatureEncoder",
                "Wav2Vec2Config",
                feat_extract_norm="layer",
                conv_dim=(8,) * 7,
                conv_bias=True,
            )
        ),
        "1x1600",
        -1,
    ),
    "transformers EnCodec encoder": (
        lambda: hf(
            "encodec", "EncodecEncoder", "EncodecConfig", num_filters=4, upsampling_ratios=[4, 2], hidden_size=16
        ),
        "1x640",
        -1,
    ),
    "transformers EnCodec decoder": (
        lambda: hf(
            "encodec", "EncodecDecoder", "EncodecConfig", num_filters=4, upsampling_ratios=[4, 2], hidden_size=16
        ),
        "16x80",
        -1,
    ),
    "transformers DAC encoder": (
        lambda: hf("dac", "DacEncoder", "DacConfig", encoder_hidden_size=4, downsampling_ratios=[2, 4], hidden_size=16),
        "1x640",
        -1,
    ),
    "transformers DAC decoder": (
        lambda: hf("dac", "DacDecoder", "DacConfig", decoder_hidden_size=16, upsampling_ratios=[4, 2], hidden_size=8),
        "8x80",
        -1,
    ),
    "transformers Mimi encoder": (
        lambda: hf("mimi", "MimiEncoder", "MimiConfig", num_filters=4, upsampling_ratios=[4, 2], hidden_size=16),
        "1x640",
        -1,
    ),
    "transformers VITS HiFi-GAN": (
        lambda: hf(
            "vits",
            "VitsHifiGan",
            "VitsConfig",
            flow_size=8,
            upsample_initial_channel=16,
            upsample_rates=[4, 2],
            upsample_kernel_sizes=[8, 4],
        ),
        "8x80",
        -1,
    ),
    "transformers wav2vec 2.0 features (group norm), after it": (
        lambda: nn.Sequential(
            *hf("wav2vec2", "Wav2Vec2FeatureEncoder", "Wav2Vec2Config", conv_dim=(8,) * 7).conv_layers[1:]
        ),
        "8x640",
        -1,
    ),
    "MONAI BasicUNet in 1-D (batch norm)": (
        lambda: package("monai.networks.nets").BasicUNet(1, 1, 2, features=(4, 4, 8, 8, 8, 4), norm="batch"),
        "1x320",
        -1,
    ),
    "MONAI UNet in 1-D (batch norm)": (
        lambda: package("monai.networks.nets").UNet(1, 1, 2, (4, 8, 8), (2, 2), num_res_units=1, norm="batch"),
        "1x320",
        -1,
    ),
    "torchvision r3d_18, frames": (lambda: video("r3d_18"), "3x16x8x8", 0),
    "torchvision r2plus1d_18, frames": (lambda: video("r2plus1d_18"), "3x16x8x8", 0),
    "torchvision mc3_18, frames": (lambda: video("mc3_18"), "3x16x8x8", 0),
}
BLOCKED: dict[str, tuple[Build, str, int, str]] = {
    "wav2vec 2.0 base": (
        lambda: hf("wav2vec2", "Wav2Vec2FeatureEncoder", "Wav2Vec2Config", conv_dim=(8,) * 7),
        "1600",
        -1,
        "statistics are taken over all positions",
    ),
    "denoiser Demucs, both directions": (
        lambda: package("denoiser.demucs").Demucs(hidden=4, depth=3, causal=False, normalize=False, resample=1),
        "1x1280",
        -1,
        "both directions",
    ),
    "denoiser Demucs, normalised": (
        lambda: package("denoiser.demucs").Demucs(hidden=4, depth=3, causal=True, normalize=True, resample=1),
        "1x1280",
        -1,
        "over all positions",
    ),
    "MONAI UNet (instance norm)": (
        lambda: package("monai.networks.nets").UNet(1, 1, 2, (4, 8, 8), (2, 2)),
        "1x320",
        -1,
        "statistics are taken over all positions",
    ),
}


def built(build: Build) -> Any:
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a package's own code warns of
            module = build()
    except (ImportError, OSError) as error:
        pytest.skip(f"not installed: {error}")
    return module.double().eval()


def streamed(module: Any, shape: str, axis: int, chunkings: int = 3) -> tuple[float, Any]:
    """The largest difference from the module's own run, as a share of its largest value, over random chunkings."""
    stream = rfcalc.to_stream(module, shape, axis)
    dims = [int(n) for n in shape.split("x")]
    at = (len(dims) - 1) if axis == -1 else axis + 1 if len(dims) > 1 else 0
    size, worst = stream.block["in"], 0.0
    dims[at] = max(-(-dims[at] // size), 20) * size
    for seed in range(chunkings):
        x = torch.randn(1, *dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        pick, begin, parts = Random(seed), 0, []
        stream.reset()
        while begin < dims[at]:
            count = min(pick.choice([1, 2, 5, 9]) * size, dims[at] - begin)
            parts.append(stream(x.narrow(at + 1, begin, count)))
            begin += count
        out = stream.lines[stream.output].axis
        got = torch.cat([*parts, stream.flush()], out)
        with torch.no_grad():
            whole = module(x)
        got = got.narrow(out, stream.latency, got.shape[out] - stream.latency)
        assert got.shape == whole.shape
        worst = max(worst, float((got - whole).abs().max() / whole.abs().max().clamp_min(1e-300)))
    return worst, stream


@pytest.mark.parametrize("name", NO_BLOCKERS)
def test_published_networks(name: str) -> None:
    torch.set_num_threads(1)
    build, shape, axis = NO_BLOCKERS[name]
    error, _ = streamed(built(build), shape, axis)
    assert error < 1e-11


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NO_BLOCKERS)
def test_ten_thousand_chunkings_of_published_networks(name: str) -> None:
    """Random chunkings with up to nine chunks of 24 blocks (videos: a thousand of 8), each with a state of its own."""
    build, shape, axis = NO_BLOCKERS[name]
    module = built(build)
    stream = rfcalc.to_stream(module, shape, axis)
    video = name.startswith("torchvision")
    count, worst = chunked(module, stream, shape, range(1000 if video else 10_000), blocks=8 if video else 24)
    print(f"{name}: {count} of the values differ, at most {worst:.1e}")
    assert count == 0


def differing_exactly(name: str, chunkings: int, wrong: bool = False) -> tuple[int, float, bool]:
    """How many values differ by `==` from the module's own run in exact arithmetic (`dyadic`), the largest difference,
    and whether the output has more than one value."""
    from chunkings import differing
    from dyadic import Rounded, signal, whole

    torch.set_num_threads(1)
    build, shape, axis = NO_BLOCKERS[name]
    module = whole(built(build))
    video = name.startswith("torchvision")
    stream = rfcalc.to_stream(module, shape, axis)
    mode = Rounded(wrong)

    def rounded(run: Any) -> Any:
        def called(*xs: Any) -> Any:
            with torch.no_grad(), torch.jit.optimized_execution(False), mode:  # (scripted activations unfused)
                return run(*xs)

        return called

    run, stream.forward, stream.flush = rounded(module), rounded(stream.forward), rounded(stream.flush)
    dims = [int(n) for n in shape.split("x")]
    dims[stream.lines[0].axis - 1] = (8 if video else 24) * stream.block["in"]
    count, worst, varied = 0, 0.0, True
    for begin in range(0, chunkings, 1000):
        x = signal((1, *dims), begin)
        y = run(x)
        varied &= bool(y.isfinite().all()) and len(y.unique()) > 3
        found = differing(stream, x, y, range(begin, min(begin + 1000, chunkings)), 0.0)
        count, worst = count + found[0], max(worst, found[1])
    return count, worst, varied


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NO_BLOCKERS)
def test_equal_in_exact_arithmetic(name: str) -> None:
    """No value differs, by `==`."""
    count, worst, varied = differing_exactly(name, 60 if name.startswith("torchvision") else 10_000)
    print(f"{name}: {count} of the values differ by ==, at most {worst:.1e}")
    assert varied
    assert count == 0


@pytest.mark.parametrize("name", BLOCKED)
def test_published_blockers(name: str) -> None:
    build, shape, axis, why = BLOCKED[name]
    plan = rfcalc.stream(built(build), shape, axis)
    assert not plan.possible and why in plan.blockers[0].why and plan.blockers[0].fix


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    torch.set_num_threads(1)
    for name, (build, shape, axis) in NO_BLOCKERS.items():
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        try:
            torch.manual_seed(0)
            error, stream = streamed(build().double().eval(), shape, axis, 10)
            told = f"latency {stream.latency}, block {stream.block['in']} → {stream.block['out']}, error {error:.1e}"
        except RfcalcError as problem:
            told = f"REFUSED {problem.what} {problem.where or ''} {problem.why}"
        except Exception as problem:
            told = f"ERROR {type(problem).__name__}: {str(problem)[:200]}"
        print(f"{name}: {told}", flush=True)
    for name, (build, shape, axis, _) in BLOCKED.items():
        try:
            plan = rfcalc.stream(build().double().eval(), shape, axis)
            print(f"{name}: {'; '.join(f'{b.node}: {b.why} → {b.fix}' for b in plan.blockers)}", flush=True)
        except Exception as problem:
            print(f"{name}: ERROR {type(problem).__name__}: {str(problem)[:200]}")


if __name__ == "__main__":
    main()
