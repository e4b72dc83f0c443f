"""One-dimensional networks: wav2vec 2.0's encoder (arXiv:2006.11477), HiFi-GAN (arXiv:2010.05646), SpliceAI.

SpliceAI (Jaganathan et al. 2019, Cell 176) reads 10,000 further bases around 5,000; its convolutions are padded, and
5,000 positions at each side are cut off at the end. HiFi-GAN's blocks are averaged, which changes no figure.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add
from rfcalc.layers.norm import BatchNorm, GroupNorm
from rfcalc.layers.pointwise import Activation
from rfcalc.layers.resample import Pad
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, residual, shortcut

WAV2VEC = "Baevski, Zhou, Mohamed & Auli, wav2vec 2.0, arXiv:2006.11477"
HIFIGAN = "Kong, Kim & Bae, HiFi-GAN: Generative Adversarial Networks for Speech Synthesis, arXiv:2010.05646"
SPLICE = "Jaganathan et al., Predicting Splicing from Primary Sequence with Deep Learning, Cell 176, 2019"
TITLES = {
    "wav2vec2-encoder": "wav2vec 2.0's convolutional encoder",
    "hifigan-v1": "HiFi-GAN's generator, V1",
    "hifigan-v2": "HiFi-GAN's generator, V2",
    "spliceai-10k": "SpliceAI-10k",
}

# Kernel and stride of each convolution: 400 samples, 320 apart.
ENCODER = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
RATES, KERNELS = (8, 8, 2, 2), (16, 16, 4, 4)
# Of each group of four residual blocks: kernel and dilation.
SPLICE_BLOCKS = ((11, 1), (11, 4), (21, 10), (41, 25))


def encoder(*, channels: int = 1, width: int = 512) -> Network:
    """wav2vec 2.0's feature encoder (base): seven convolutions, normalised behind the first.

    Args:
        channels: of the signal.
        width: maps of every layer.
    """
    parts: list[Expr] = []
    for i, (kernel, stride) in enumerate(ENCODER):
        parts.append(Conv(width, (kernel,), stride=stride, bias=False).named(f"conv{i}"))
        parts += [GroupNorm(width).named("norm0")] if i == 0 else []
        parts.append(Activation("gelu").named(f"gelu{i}"))
    name = "wav2vec2-encoder"
    body = series(parts).stage("encoder")
    return Network(body, f"{channels}x16000", name=name, title=TITLES[name], citation=WAV2VEC)


def hifigan(version: str = "v1", *, channels: int = 80) -> Network:
    """HiFi-GAN's generator: from a mel spectrogram to samples, 256 for each frame.

    Args:
        version: v1 or v2 (512 or 128 maps at the start).
        channels: bands of the spectrogram.
    """
    leaky = Activation("leaky_relu")
    width = 512 if version == "v1" else 128
    parts: list[Expr] = [Conv(width, (7,), padding=3).named("conv_pre").stage("first")]
    for i, (rate, kernel) in enumerate(zip(RATES, KERNELS, strict=True), 1):
        width //= 2
        up = ConvTranspose(width, (kernel,), stride=rate, padding=(kernel - rate) // 2)
        stage: list[Expr] = [leaky.named(f"lrelu{i}"), up.named(f"up{i}")]
        branches = []
        for k in (3, 7, 11):
            steps = []
            for d in (1, 3, 5):
                name = f"k{k}d{d}"
                first = Conv(width, (k,), padding=d * (k - 1) // 2, dilation=d).named(f"{name}_conv1")
                second = Conv(width, (k,), padding=(k - 1) // 2).named(f"{name}_conv2")
                branch = series([leaky.named(f"{name}_lrelu1"), first, leaky.named(f"{name}_lrelu2"), second])
                steps.append(residual(branch, shortcut(), act=None, name=f"{name}_add"))
            branches.append(series([ref(f"up{i}"), *steps]).block(f"mrf{i}_{k}"))
        stage.append(parallel(branches, Add()).named(f"sum{i}"))
        parts.append(series(stage).stage(f"upsampling {i}"))
    end = [leaky.named("lrelu_post"), Conv(1, (7,), padding=3).named("conv_post"), Activation("tanh").named("tanh")]
    parts.append(series(end).stage("last"))
    name = f"hifigan-{version}"
    return Network(series(parts), f"{channels}x32", name=name, title=TITLES[name], citation=HIFIGAN)


def spliceai(*, channels: int = 4, width: int = 32) -> Network:
    """SpliceAI-10k: scores of 5,000 positions from 15,000 bases.

    Args:
        channels: letters of the alphabet.
        width: maps of every layer.
    """
    parts: list[Expr] = [Conv(width, (1,)).named("conv_in").stage("first")]
    skips = ["skip0"]
    begin = ref("conv_in") >> Conv(width, (1,)).named("skip0")
    groups: list[Expr] = []
    before = "conv_in"
    for g, (kernel, dilation) in enumerate(SPLICE_BLOCKS, 1):
        blocks = []
        for j in range(1, 5):
            steps: list[Expr] = []
            for n in (1, 2):
                steps += [BatchNorm().named(f"bn{n}"), RELU.named(f"relu{n}")]
                reach = dilation * (kernel - 1) // 2
                steps.append(Conv(width, (kernel,), padding=reach, dilation=dilation).named(f"conv{n}"))
            blocks.append(residual(series(steps), shortcut(), act=None).block(f"rb{g}_{j}"))
        body = series([ref(before), *blocks])
        before = f"rb{g}_4.add"
        skips.append(f"skip{g}")
        groups.append(series([body, Conv(width, (1,)).named(f"skip{g}")]).stage(f"blocks {g}"))
    merged = parallel([ref(s) for s in skips], Add()).named("sum")
    end = [merged, Pad((-5000,)).named("crop"), Conv(3, (1,)).named("scores")]
    parts += [begin.stage("first"), *groups, series(end).stage("output")]
    name = "spliceai-10k"
    return Network(series(parts), f"{channels}x15000", name=name, title=TITLES[name], citation=SPLICE)


FAMILY = Family(
    "Signals",
    (
        Entry("wav2vec2-encoder", TITLES["wav2vec2-encoder"], WAV2VEC, encoder),
        Entry("hifigan-v1", TITLES["hifigan-v1"], HIFIGAN, partial(hifigan, "v1")),
        Entry("hifigan-v2", TITLES["hifigan-v2"], HIFIGAN, partial(hifigan, "v2")),
        Entry("spliceai-10k", TITLES["spliceai-10k"], SPLICE, spliceai),
    ),
)
