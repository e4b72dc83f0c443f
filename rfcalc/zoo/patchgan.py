"""PatchGAN (Isola, Zhu, Zhou & Efros 2016, arXiv:1611.07004): discriminators that judge patches of an image.

Every convolution is 4×4 with padding 1; the last two have stride 1, those before stride 2. The first and the last
have no normalisation, and only they have biases. The input is the pair of images, one after the other in the
channels.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.pointwise import Activation
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import NORM, unit

CITATION = (
    "Isola, Zhu, Zhou & Efros, Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004"
)

# §6.1.2 ("C64-C128-…"): channels of every layer but the last, which has one.
PATCHES = {16: (64, 128), 70: (64, 128, 256, 512), 286: (64, 128, 256, 512, 512, 512)}


def build(patch: int, *, channels: int = 6, width: int = 64) -> Network:
    """A PatchGAN discriminator for images of 256×256 (any size fits).

    Args:
        patch: a key of `PATCHES`: the receptive field.
        channels: of the pair of images.
        width: channels of the first layer.
    """
    leaky = Activation("leaky_relu")
    widths = PATCHES[patch]
    parts: list[Expr] = []
    for i, out in enumerate(widths, 1):
        conv = Conv(out * width // 64, 4, stride=1 if i == len(widths) else 2, padding=1, bias=i == 1)
        parts.append(unit(f"conv{i}", conv, norm=None if i == 1 else NORM, act=leaky))
    parts.append(Conv(1, 4, padding=1).named(f"conv{len(widths) + 1}"))
    name, title = f"patchgan-{patch}", f"PatchGAN {patch}×{patch}"
    return Network(
        series(parts).stage("discriminator"), f"{channels}x256x256", name=name, title=title, citation=CITATION
    )


FAMILY = Family(
    "PatchGAN",
    tuple(Entry(f"patchgan-{p}", f"PatchGAN {p}×{p}", CITATION, partial(build, p)) for p in PATCHES),
)
