"""DCGAN (Radford, Metz & Chintala 2015, arXiv:1511.06434) for images of 64×64, as PyTorch's example has it."""

from __future__ import annotations

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.norm import BatchNorm
from rfcalc.layers.pointwise import Activation
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU

CITATION = "Radford, Metz & Chintala, Unsupervised Representation Learning with DCGANs, arXiv:1511.06434"
TITLES = {"dcgan-generator": "DCGAN's generator, 64×64", "dcgan-discriminator": "DCGAN's discriminator, 64×64"}
WIDTHS = (512, 256, 128, 64)


def generator(*, channels: int = 100, colours: int = 3) -> Network:
    """The generator: a vector of noise as a 1×1 map, and five transposed convolutions.

    Args:
        channels: length of the noise.
        colours: channels of the image that comes out.
    """
    parts: list[Expr] = []
    for i, width in enumerate(WIDTHS, 1):
        up = ConvTranspose(width, 4, stride=1 if i == 1 else 2, padding=0 if i == 1 else 1, bias=False)
        parts += [up.named(f"deconv{i}"), BatchNorm().named(f"bn{i}"), RELU.named(f"relu{i}")]
    parts += [
        ConvTranspose(colours, 4, stride=2, padding=1, bias=False).named("deconv5"),
        Activation("tanh").named("tanh"),
    ]
    name = "dcgan-generator"
    body = series(parts).stage("generator")
    return Network(body, f"{channels}x1x1", name=name, title=TITLES[name], citation=CITATION)


def discriminator(*, channels: int = 3) -> Network:
    """The discriminator: five convolutions, the last of which makes one number.

    Args:
        channels: channels of the image.
    """
    leaky = Activation("leaky_relu")
    parts: list[Expr] = []
    for i, width in enumerate(reversed(WIDTHS), 1):
        parts.append(Conv(width, 4, stride=2, padding=1, bias=False).named(f"conv{i}"))
        parts += [] if i == 1 else [BatchNorm().named(f"bn{i}")]
        parts.append(leaky.named(f"lrelu{i}"))
    parts += [Conv(1, 4, bias=False).named("conv5"), Activation("sigmoid").named("sigmoid")]
    name = "dcgan-discriminator"
    body = series(parts).stage("discriminator")
    return Network(body, f"{channels}x64x64", name=name, title=TITLES[name], citation=CITATION)


FAMILY = Family(
    "DCGAN",
    (
        Entry("dcgan-generator", TITLES["dcgan-generator"], CITATION, generator),
        Entry("dcgan-discriminator", TITLES["dcgan-discriminator"], CITATION, discriminator),
    ),
)
