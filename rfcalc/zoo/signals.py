"""One-dimensional networks: wav2vec 2.0's encoder (arXiv:2006.11477), HiFi-GAN (arXiv:2010.05646), SpliceAI, Basenji2,
EnCodec (arXiv:2210.13438).

SpliceAI (Jaganathan et al. 2019, Cell 176) reads 10,000 further bases around 5,000; its convolutions are padded, and
5,000 positions at each side are cut off at the end. HiFi-GAN's blocks are averaged, which changes no figure. Basenji2
(Kelley 2020) predicts 896 bins of 128 bases. EnCodec's encoder and decoder stand by themselves, without the quantizer
between them; their convolutions have the weights that run (weight normalisation is a way to train them).
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Add
from rfcalc.layers.norm import BatchNorm, GroupNorm
from rfcalc.layers.pointwise import Activation, Dropout
from rfcalc.layers.pool import MaxPool
from rfcalc.layers.recurrent import Recurrent
from rfcalc.layers.resample import Pad
from rfcalc.layers.reshape import Permute
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, residual, shortcut

WAV2VEC = "Baevski, Zhou, Mohamed & Auli, wav2vec 2.0, arXiv:2006.11477"
HIFIGAN = "Kong, Kim & Bae, HiFi-GAN: Generative Adversarial Networks for Speech Synthesis, arXiv:2010.05646"
SPLICE = "Jaganathan et al., Predicting Splicing from Primary Sequence with Deep Learning, Cell 176, 2019"
BASENJI = "Kelley, Cross-species Regulatory Sequence Activity Prediction, PLOS Computational Biology 16, 2020"
ENCODEC = "Défossez, Copet, Synnaeve & Adi, High Fidelity Neural Audio Compression, arXiv:2210.13438"
TITLES = {
    "wav2vec2-encoder": "wav2vec 2.0's convolutional encoder",
    "hifigan-v1": "HiFi-GAN's generator, V1",
    "hifigan-v2": "HiFi-GAN's generator, V2",
    "hifigan-v3": "HiFi-GAN's generator, V3",
    "spliceai-10k": "SpliceAI-10k",
    "basenji2": "Basenji2, human tracks",
    "encodec-encoder": "EnCodec's encoder, 24 kHz",
    "encodec-decoder": "EnCodec's decoder, 24 kHz",
}

# Kernel and stride of each convolution: 400 samples, 320 apart.
ENCODER = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
# Of each HiFi-GAN: maps at the start, the rates of upsampling (kernels are twice as wide), and of each residual block
# the kernel and its dilations. V3's blocks are the second kind, without an undilated convolution behind each other one.
THREE = ((3, (1, 3, 5)), (7, (1, 3, 5)), (11, (1, 3, 5)))
GENERATORS = {
    "v1": (512, (8, 8, 2, 2), THREE),
    "v2": (128, (8, 8, 2, 2), THREE),
    "v3": (256, (8, 8, 4), ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))),
}
# Of each group of four residual blocks: kernel and dilation.
SPLICE_BLOCKS = ((11, 1), (11, 4), (21, 10), (41, 25))

# Of Basenji2: channels of the blocks that pool (each 1.1776 times as wide as the one before), and the dilations.
TOWER = tuple(round(339 * 1.1776**i) for i in range(6))
RATIOS = (8, 5, 4, 2)  # of EnCodec: strides of the decoder; the encoder has them the other way round


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
        version: v1, v2 or v3 (512, 128 or 256 maps at the start).
        channels: bands of the spectrogram.
    """
    leaky = Activation("leaky_relu")
    width, rates, blocks = GENERATORS[version]
    parts: list[Expr] = [Conv(width, (7,), padding=3).named("conv_pre").stage("first")]
    for i, rate in enumerate(rates, 1):
        width //= 2
        up = ConvTranspose(width, (2 * rate,), stride=rate, padding=rate // 2)
        stage: list[Expr] = [leaky.named(f"lrelu{i}"), up.named(f"up{i}")]
        branches = []
        for k, dilations in blocks:
            steps = []
            for d in dilations:
                name = f"k{k}d{d}"
                first = Conv(width, (k,), padding=d * (k - 1) // 2, dilation=d).named(f"{name}_conv1")
                branch: list[Expr] = [leaky.named(f"{name}_lrelu1"), first]
                if version != "v3":
                    second = Conv(width, (k,), padding=(k - 1) // 2).named(f"{name}_conv2")
                    branch += [leaky.named(f"{name}_lrelu2"), second]
                steps.append(residual(series(branch), shortcut(), act=None, name=f"{name}_add"))
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


def basenji(*, channels: int = 4, tracks: int = 5313) -> Network:
    """Basenji2: tracks of 896 bins from 131,072 bases.

    Args:
        channels: letters of the alphabet.
        tracks: outputs of each bin.
    """

    def block(name: str, width: int, kernel: int = 1, dilation: int = 1, drop: float = 0.0) -> list[Expr]:
        conv = Conv(width, (kernel,), padding="same", dilation=dilation, bias=False)
        items: list[Expr] = [
            Activation("gelu").named(f"{name}_gelu"),
            conv.named(name),
            BatchNorm().named(f"{name}_bn"),
        ]
        return items + ([Dropout(drop).named(f"{name}_dropout")] if drop else [])

    parts: list[Expr] = []
    for i, width in enumerate((288, *TOWER), 1):
        pooled = [*block(f"conv{i}", width, 5 if i > 1 else 15), MaxPool((2,)).named(f"pool{i}")]
        parts.append(series(pooled).stage(f"tower {i}"))
    rate, blocks = 1.0, []
    for i in range(1, 12):
        inner = block("dilated", 384, 3, int(rate)) + block("back", TOWER[-1], drop=0.3)
        blocks.append(residual(series(inner), shortcut(), act=None).block(f"residual{i}"))
        rate = round(rate * 1.5)  # to the nearest even of two: 1.5 is 2, 4.5 is 4
    parts.append(series(blocks).stage("dilated blocks"))
    end: list[Expr] = [
        Pad((-64,)).named("crop"),
        *block("conv_last", 1536, drop=0.05),
        Activation("gelu").named("gelu"),
    ]
    end += [Permute((1, 0)).named("to_last"), Linear(tracks).named("tracks"), Activation("softplus").named("softplus")]
    parts.append(series(end).stage("output"))
    name = "basenji2"
    return Network(series(parts), f"{channels}x131072", name=name, title=TITLES[name], citation=BASENJI)


def encodec(part: str, *, channels: int | None = None, width: int = 32) -> Network:
    """EnCodec's causal encoder (320 samples a frame of 128 values) or decoder, at 24 kHz.

    Args:
        part: encoder or decoder.
        channels: of the signal (encoder), of the frames (decoder).
        width: maps of the first convolution of the encoder, and the last but one of the decoder.
    """
    down = part == "encoder"
    parts: list[Expr] = []
    wide = width if down else 16 * width
    begin = [_causal(wide, 7).named("conv_first")]
    middle = _lstm(16 * width)
    parts.append(series(begin if down else [*begin, *middle]).stage("first"))
    for i, ratio in enumerate(reversed(RATIOS) if down else RATIOS, 1):
        stage: list[Expr] = []
        if not down:
            wide //= 2
            up = ConvTranspose(wide, (2 * ratio,), stride=ratio)
            stage += [ELU.named(f"elu{i}"), up.named(f"up{i}"), Pad(((0, -ratio),)).named(f"trim{i}")]
        first, second = _causal(wide // 2, 3).named("conv1"), _causal(wide, 1).named("conv2")
        inner = series([ELU.named("elu1"), first, ELU.named("elu2"), second])
        stage.append(residual(inner, _causal(wide, 1).named("shortcut"), act=None).block(f"block{i}"))
        if down:
            wide *= 2
            stage += [ELU.named(f"elu{i}"), _causal(wide, 2 * ratio, ratio).named(f"down{i}")]
        parts.append(series(stage).stage(f"{'down' if down else 'up'} {i}"))
    last = [ELU.named("elu_last"), _causal(128 if down else 1, 7).named("conv_last")]
    parts.append(series([*middle, *last] if down else last).stage("last"))
    name = f"encodec-{part}"
    shape = f"{channels or 1}x24000" if down else f"{channels or 128}x75"
    return Network(series(parts), shape, name=name, title=TITLES[name], citation=ENCODEC)


ELU = Activation("elu")


def _causal(width: int, kernel: int, stride: int = 1) -> Conv:
    """A convolution that reads nothing behind its own step, reflected at the beginning."""
    before = kernel - stride
    return Conv(width, (kernel,), stride=stride, padding=((before, 0),), border="reflect" if before else "zeros")


def _lstm(width: int) -> list[Expr]:
    """Two LSTMs along the signal, and a skip beside both."""
    cells = series([Recurrent("lstm", width).named("lstm1"), Recurrent("lstm", width).named("lstm2")])
    turned = (Permute((1, 0)).named("to_last"), Permute((1, 0)).named("to_first"))
    return [turned[0], residual(cells, shortcut(), act=None, name="lstm_add"), turned[1]]


FAMILY = Family(
    "Signals",
    (
        Entry("wav2vec2-encoder", TITLES["wav2vec2-encoder"], WAV2VEC, encoder),
        Entry("hifigan-v1", TITLES["hifigan-v1"], HIFIGAN, partial(hifigan, "v1")),
        Entry("hifigan-v2", TITLES["hifigan-v2"], HIFIGAN, partial(hifigan, "v2")),
        Entry("hifigan-v3", TITLES["hifigan-v3"], HIFIGAN, partial(hifigan, "v3")),
        Entry("spliceai-10k", TITLES["spliceai-10k"], SPLICE, spliceai),
        Entry("basenji2", TITLES["basenji2"], BASENJI, basenji),
        Entry("encodec-encoder", TITLES["encodec-encoder"], ENCODEC, partial(encodec, "encoder")),
        Entry("encodec-decoder", TITLES["encodec-decoder"], ENCODEC, partial(encodec, "decoder")),
    ),
)
