"""ConvNeXt (Liu, Mao, Wu, Feichtenhofer, Darrell & Xie 2022, arXiv:2201.03545): tiny, small, base, large.

A block is a depthwise 7×7, layer normalisation, an MLP of two linear layers over the channels, and layer scale.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, Repeat, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.norm import LayerNorm
from rfcalc.layers.pointwise import Activation, Scale, StochasticDepth
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.reshape import Flatten, Permute
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import residual, shortcut

CITATION = "Liu, Mao, Wu, Feichtenhofer, Darrell & Xie, A ConvNet for the 2020s, arXiv:2201.03545"

# Channels of the first stage (they double), blocks of each stage.
SIZES = {
    "t": ("Tiny", 96, (3, 3, 9, 3)),
    "s": ("Small", 96, (3, 3, 27, 3)),
    "b": ("Base", 128, (3, 3, 27, 3)),
    "l": ("Large", 192, (3, 3, 27, 3)),
}
NORM = LayerNorm("channels")


TORCH = (
    (r"(?P<stage>stem|downsample\d)_(conv|norm)", "features.#stage.#"),
    (r"(?P<stage>stage\d)\.(\d+)\.(layer_scale|drop|add)", r"features.#stage.\2.\3"),
    (r"(?P<stage>stage\d)\.(\d+)\..*", r"features.#stage.\2.block.#"),
    (r"norm|flatten|head", "classifier.#"),
)


def block(channels: int) -> Expr:
    """One residual block."""
    branch = [
        Depthwise(7, padding=3).named("dwconv"),
        Permute((1, 2, 0)).named("to_last"),
        LayerNorm().named("norm"),
        Linear(4 * channels).named("pwconv1"),
        Activation("gelu").named("gelu"),
        Linear(channels).named("pwconv2"),
        Permute((2, 0, 1)).named("to_first"),
        Scale().named("layer_scale"),
        StochasticDepth(0.1).named("drop"),
    ]
    return residual(series(branch), shortcut(), act=None)


def build(size: str = "t", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A ConvNeXt for images of 224×224 (any size fits).

    Args:
        size: a key of `SIZES`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    label, width, counts = SIZES[size]
    parts: list[Expr] = []
    for i, times in enumerate(counts, 1):
        c = width * 2 ** (i - 1)
        if i == 1:
            down = Conv(c, 4, stride=4).named("stem_conv") >> NORM.named("stem_norm")
        else:
            down = NORM.named(f"downsample{i}_norm") >> Conv(c, 2, stride=2).named(f"downsample{i}_conv")
        blocks = Repeat(block(c), times).block(f"stage{i}")
        parts.append((down >> blocks).stage(f"stage {i}"))
    if top:
        head = [GlobalPool().named("avgpool"), NORM.named("norm"), Flatten().named("flatten")]
        parts.append(series([*head, Linear(classes).named("head")]).stage("classifier"))
    name, title = f"convnext-{size}", f"ConvNeXt {label}"
    torch = Naming(f"convnext_{label.lower()}", TORCH, eps=1e-6)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION, torch=torch)


FAMILY = Family(
    "ConvNeXt",
    tuple(Entry(f"convnext-{s}", f"ConvNeXt {SIZES[s][0]}", CITATION, partial(build, s)) for s in SIZES),
)
