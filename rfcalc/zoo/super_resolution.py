"""SRCNN (arXiv:1501.00092), FSRCNN (arXiv:1608.00367) and ESRGAN's generator (arXiv:1809.00219).

SRCNN sees an image that has been enlarged before; all its maps keep that size when padded, as in later copies (the
authors' own is valid). FSRCNN enlarges at its end by a transposed convolution. ESRGAN's blocks are dense inside, and
their sums are scaled by 0.2, which changes no figure.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, Repeat, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add, Concat
from rfcalc.layers.pointwise import Activation, PReLU
from rfcalc.layers.resample import Upsample
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, residual, shortcut

SRCNN = "Dong, Loy, He & Tang, Image Super-Resolution Using Deep Convolutional Networks, arXiv:1501.00092"
FSRCNN = "Dong, Loy & Tang, Accelerating the Super-Resolution Convolutional Neural Network, arXiv:1608.00367"
ESRGAN = "Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, arXiv:1809.00219"
LEAKY = Activation("leaky_relu")

KERNELS = {"915": (9, 1, 5), "935": (9, 3, 5), "955": (9, 5, 5)}
# d maps, shrunk to s, m mapping layers: (56, 12, 4) and the small one, (32, 5, 1).
SIZES = {"fsrcnn": (56, 12, 4), "fsrcnn-s": (32, 5, 1)}


def srcnn(kernels: str = "915", *, channels: int = 1) -> Network:
    """SRCNN with 64 and 32 maps, for images of any size, padded to keep it.

    Args:
        kernels: a key of `KERNELS`.
        channels: channels of the image, and of the output.
    """
    first, second, third = KERNELS[kernels]
    layers = [
        Conv(64, first, padding=first // 2).named("conv1"),
        RELU.named("relu1"),
        Conv(32, second, padding=second // 2).named("conv2"),
        RELU.named("relu2"),
        Conv(channels, third, padding=third // 2).named("conv3"),
    ]
    name, title = _named(kernels)
    return Network(series(layers).stage("SRCNN"), f"{channels}x33x33", name=name, title=title, citation=SRCNN)


def _named(kernels: str) -> tuple[str, str]:
    return f"srcnn-{kernels}", f"SRCNN {'-'.join(kernels)}"


def fsrcnn(size: str = "fsrcnn", *, channels: int = 1, factor: int = 3) -> Network:
    """FSRCNN for images of any size.

    Args:
        size: a key of `SIZES`.
        channels: channels of the image, and of the output.
        factor: by how much it enlarges.
    """
    d, s, m = SIZES[size]
    mapping = series([Conv(s, 3, padding=1).named("conv"), PReLU().named("prelu")])
    layers: list[Expr] = [
        series([Conv(d, 5, padding=2).named("features"), PReLU().named("prelu1")]).stage("features"),
        series([Conv(s, 1).named("shrink"), PReLU().named("prelu2")]).stage("shrinking"),
        Repeat(mapping, m).block("mapping").stage("mapping"),
        series([Conv(d, 1).named("expand"), PReLU().named("prelu3")]).stage("expanding"),
        ConvTranspose(channels, 9, stride=factor, padding=4, output_padding=factor - 1).named("deconv").stage("output"),
    ]
    title = f"FSRCNN({d}, {s}, {m}), 3×"
    return Network(series(layers), f"{channels}x24x24", name=size, title=title, citation=FSRCNN)


def dense(width: int, growth: int) -> Expr:
    """A residual dense block: five 3×3, each on all before it; the last is added to the block's input."""
    parts: list[Expr] = [shortcut().named("begin")]
    names = ["begin"]
    for i in range(1, 5):
        joined = [] if i == 1 else [parallel([ref(n) for n in names], Concat()).named(f"concat{i}")]
        parts += [*joined, Conv(growth, 3, padding=1).named(f"conv{i}"), LEAKY.named(f"lrelu{i}")]
        names.append(f"lrelu{i}")
    parts += [parallel([ref(n) for n in names], Concat()).named("concat5"), Conv(width, 3, padding=1).named("conv5")]
    return series([*parts, parallel([ref("begin"), shortcut()], Add()).named("add")])


def esrgan(*, channels: int = 3, width: int = 64, growth: int = 32, blocks: int = 23) -> Network:
    """ESRGAN's generator (RRDBNet), which enlarges four times, for images of any size.

    Args:
        channels: channels of the image, and of the output.
        width: maps between the blocks.
        growth: maps that each dense layer adds.
        blocks: residual-in-residual dense blocks.
    """
    rrdb = residual(series(dense(width, growth).block(f"rdb{i}") for i in (1, 2, 3)), shortcut(), act=None)
    body = Repeat(rrdb, blocks).block("body") >> Conv(width, 3, padding=1).named("conv_body")
    end: list[Expr] = []
    for i in (1, 2):
        end += [
            Upsample(2).named(f"up{i}"),
            Conv(width, 3, padding=1).named(f"conv_up{i}"),
            LEAKY.named(f"lrelu_up{i}"),
        ]
    end += [
        Conv(width, 3, padding=1).named("conv_hr"),
        LEAKY.named("lrelu_hr"),
        Conv(channels, 3, padding=1).named("conv_last"),
    ]
    parts = [
        Conv(width, 3, padding=1).named("conv_first").stage("first"),
        residual(body, shortcut(), act=None, name="add_body").stage("body"),
        series(end).stage("upsampling"),
    ]
    return Network(series(parts), f"{channels}x32x32", name="esrgan", title=RRDB, citation=ESRGAN)


RRDB = "ESRGAN's generator, 23 blocks, 4×"
FAMILY = Family(
    "Super-resolution",
    (
        *(Entry(*_named(k), SRCNN, partial(srcnn, k)) for k in KERNELS),
        *(Entry(n, f"FSRCNN{SIZES[n]}, 3×", FSRCNN, partial(fsrcnn, n)) for n in SIZES),
        Entry("esrgan", RRDB, ESRGAN, esrgan),
    ),
)
