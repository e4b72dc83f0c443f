"""Swin Transformer (Liu et al. 2021, arXiv:2103.14030): attention inside windows, shifted in every other block."""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.attention import WindowAttention
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Concat
from rfcalc.layers.norm import LayerNorm
from rfcalc.layers.pointwise import Activation, StochasticDepth
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.reshape import Flatten, Permute
from rfcalc.layers.slice import Slice
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import residual, shortcut

CITATION = "Liu et al., Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, arXiv:2103.14030"

# Channels of the first stage, blocks of each stage, heads of each stage.
SIZES = {
    "t": ("Tiny", 96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "s": ("Small", 96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "b": ("Base", 128, (2, 2, 18, 2), (4, 8, 16, 32)),
}
WINDOW = 7
NORM = LayerNorm()


TORCH = (
    (r"(?P<stage>patch_)embed|to_last|patch_norm", "features.0.#"),
    (r"(?P<stage>stage\d)\.(\d+)\.mlp1", r"features.#stage+1.\2.mlp.0"),
    (r"(?P<stage>stage\d)\.(\d+)\.gelu", r"features.#stage+1.\2.mlp.1"),
    (r"(?P<stage>stage\d)\.(\d+)\.mlp2", r"features.#stage+1.\2.mlp.3"),
    (r"(?P<stage>stage\d)\.(\d+)\.(.*)", r"features.#stage+1.\2.\3"),
    (r"(?P<stage>merging\d)\.(.*)", r"features.#stage+1.\2"),
)


def block(width: int, heads: int, shift: int, window: int = WINDOW) -> Expr:
    """One block on a map with the channels last: attention in (shifted) windows, then an MLP of ratio 4."""
    attend = [
        NORM.named("norm1"),
        WindowAttention(heads, window, shift).named("attn"),
        StochasticDepth(0.2).named("drop1"),
    ]
    think = [
        NORM.named("norm2"),
        Linear(4 * width).named("mlp1"),
        Activation("gelu").named("gelu"),
        Linear(width).named("mlp2"),
        StochasticDepth(0.2).named("drop2"),
    ]
    first = residual(series(attend), shortcut(), act=None, name="add1")
    return first >> residual(series(think), shortcut(), act=None, name="add2")


def merging(width: int) -> Expr:
    """Patch merging: 2×2 neighbours side by side in the channels, then a linear layer to twice the channels."""
    corners = []
    for i, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        corner = Slice(0, row, None, 2).named(f"rows{i}") >> Slice(1, column, None, 2).named(f"corner{i}")
        corners.append(ref("begin") >> corner)
    joined = parallel(corners, Concat()).named("concat")
    linear = Linear(2 * width, bias=False).named("reduction")
    return series([shortcut().named("begin"), joined, NORM.named("norm"), linear])


def build(
    size: str = "t", *, window: int = WINDOW, classes: int = 1000, channels: int = 3, top: bool = True
) -> Network:
    """A Swin Transformer for images whose sides divide by 32, 224×224 by default.

    Args:
        size: a key of `SIZES`.
        window: side of a window.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    label, width, counts, heads = SIZES[size]
    embed = [
        Conv(width, 4, stride=4).named("patch_embed"),
        Permute((1, 2, 0)).named("to_last"),
        NORM.named("patch_norm"),
    ]
    parts: list[Expr] = [series(embed).stage("embedding")]
    for i, (times, h) in enumerate(zip(counts, heads, strict=True), 1):
        c = width * 2 ** (i - 1)
        items = [merging(c // 2).block(f"merging{i}")] if i > 1 else []
        items += [block(c, h, window // 2 if j % 2 else 0, window).block(f"stage{i}.{j}") for j in range(times)]
        parts.append(series(items).stage(f"stage {i}"))
    last: list[Expr] = [NORM.named("norm"), Permute((2, 0, 1)).named("to_first")]
    if top:
        last += [GlobalPool().named("avgpool"), Flatten().named("flatten"), Linear(classes).named("head")]
    parts.append(series(last).stage("classifier"))
    name, title = f"swin-{size}", f"Swin {label}"
    torch = Naming(f"swin_{size}", TORCH)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION, torch=torch)


FAMILY = Family("Swin", tuple(Entry(f"swin-{s}", f"Swin {SIZES[s][0]}", CITATION, partial(build, s)) for s in SIZES))
