"""ConvNeXt (Liu, Mao, Wu, Feichtenhofer, Darrell & Xie 2022, arXiv:2201.03545) and V2 (Woo et al. 2023).

A block is a depthwise 7×7, layer normalisation, an MLP of two linear layers over the channels, and layer scale. V2
(arXiv:2301.00808) has global response normalisation inside the MLP instead of layer scale.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, Repeat, parallel, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.general import Elementwise, Reduce
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.norm import LayerNorm
from rfcalc.layers.pointwise import Activation, Scale, StochasticDepth
from rfcalc.layers.pool import GlobalPool, Mean
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
V2_CITATION = "Woo et al., ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders, arXiv:2301.00808"
V2_SIZES = {
    "atto": (40, (2, 2, 6, 2)),
    "femto": (48, (2, 2, 6, 2)),
    "pico": (64, (2, 2, 6, 2)),
    "nano": (80, (2, 2, 8, 2)),
    "tiny": (96, (3, 3, 9, 3)),
    "base": (128, (3, 3, 27, 3)),
    "large": (192, (3, 3, 27, 3)),
    "huge": (352, (3, 3, 27, 3)),
}
NORM = LayerNorm("channels")


TORCH = (
    (r"(?P<stage>stem|downsample\d)_(conv|norm)", "features.#stage.#"),
    (r"(?P<stage>stage\d)\.(\d+)\.(layer_scale|drop|add)", r"features.#stage.\2.\3"),
    (r"(?P<stage>stage\d)\.(\d+)\..*", r"features.#stage.\2.block.#"),
    (r"norm|flatten|head", "classifier.#"),
)


def response_norm() -> Expr:
    """Global response normalisation of a map with the channels last: x + γ·x·n + β, n a channel's norm over all
    positions divided by the mean of these norms.
    """
    mean = Mean((2,), keep=True).named("grn_mean") >> Elementwise("plus", 1e-6).named("grn_eps")
    ratio = Reduce("norm", (0, 1), keep=True).named("grn_norm") >> parallel(
        (shortcut(), mean), Elementwise("div")
    ).named("grn_ratio")
    scaled = parallel((shortcut(), ratio), Multiply()).named("grn_times") >> Scale(bias=True).named("grn_scale")
    return parallel((shortcut(), scaled), Add()).named("grn")


def block(channels: int, second: bool = False) -> Expr:
    """One residual block; `second`: of V2."""
    branch: list[Expr] = [
        Depthwise(7, padding=3).named("dwconv"),
        Permute((1, 2, 0)).named("to_last"),
        LayerNorm().named("norm"),
        Linear(4 * channels).named("pwconv1"),
        Activation("gelu").named("gelu"),
        *([response_norm()] if second else []),
        Linear(channels).named("pwconv2"),
        Permute((2, 0, 1)).named("to_first"),
        *([] if second else [Scale().named("layer_scale")]),
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
    parts = _parts(width, counts, classes, top)
    name, title = f"convnext-{size}", f"ConvNeXt {label}"
    torch = Naming(f"convnext_{label.lower()}", TORCH, eps=1e-6)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION, torch=torch)


def build_v2(size: str = "tiny", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A ConvNeXt V2; as `build`, `size` being a key of `V2_SIZES`."""
    parts = _parts(*V2_SIZES[size], classes, top, second=True)
    name, title = f"convnext-v2-{size}", f"ConvNeXt V2 {size.capitalize()}"
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=V2_CITATION)


def _parts(width: int, counts: tuple[int, ...], classes: int, top: bool, second: bool = False) -> list[Expr]:
    """The stages and the classifier."""
    parts: list[Expr] = []
    for i, times in enumerate(counts, 1):
        c = width * 2 ** (i - 1)
        if i == 1:
            down = Conv(c, 4, stride=4).named("stem_conv") >> NORM.named("stem_norm")
        else:
            down = NORM.named(f"downsample{i}_norm") >> Conv(c, 2, stride=2).named(f"downsample{i}_conv")
        blocks = Repeat(block(c, second), times).block(f"stage{i}")
        parts.append((down >> blocks).stage(f"stage {i}"))
    if top:
        head = [GlobalPool().named("avgpool"), NORM.named("norm"), Flatten().named("flatten")]
        parts.append(series([*head, Linear(classes).named("head")]).stage("classifier"))
    return parts


FAMILY = Family(
    "ConvNeXt",
    (
        *(Entry(f"convnext-{s}", f"ConvNeXt {SIZES[s][0]}", CITATION, partial(build, s)) for s in SIZES),
        *(
            Entry(f"convnext-v2-{s}", f"ConvNeXt V2 {s.capitalize()}", V2_CITATION, partial(build_v2, s))
            for s in V2_SIZES
        ),
    ),
)
