"""Swin Transformer (Liu et al. 2021, arXiv:2103.14030): attention inside windows, shifted in every other block; and
Swin Transformer V2 (Liu et al. 2022, arXiv:2111.09883): cosine attention, position biases from a small network,
normalisation after each part instead of before it."""

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
CITATION_V2 = "Liu et al., Swin Transformer V2: Scaling Up Capacity and Resolution, arXiv:2111.09883"

# Channels of the first stage, blocks of each stage, heads of each stage.
SIZES = {
    "t": ("Tiny", 96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "s": ("Small", 96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "b": ("Base", 128, (2, 2, 18, 2), (4, 8, 16, 32)),
}
WINDOW, WINDOW_V2 = 7, 8
HIDDEN = 512  # units of the network that makes V2's position biases
NORM = LayerNorm()


TORCH = (
    (r"(?P<stage>patch_)embed|to_last|patch_norm", "features.0.#"),
    (r"(?P<stage>stage\d)\.(\d+)\.mlp1", r"features.#stage+1.\2.mlp.0"),
    (r"(?P<stage>stage\d)\.(\d+)\.gelu", r"features.#stage+1.\2.mlp.1"),
    (r"(?P<stage>stage\d)\.(\d+)\.mlp2", r"features.#stage+1.\2.mlp.3"),
    (r"(?P<stage>stage\d)\.(\d+)\.(.*)", r"features.#stage+1.\2.\3"),
    (r"(?P<stage>merging\d)\.(.*)", r"features.#stage+1.\2"),
)


def block(width: int, heads: int, shift: int, window: int = WINDOW, second: bool = False) -> Expr:
    """One block on a map with the channels last: attention in (shifted) windows, then an MLP of ratio 4."""
    attend: list[Expr] = [WindowAttention(heads, window, shift, cosine=HIDDEN if second else 0).named("attn")]
    think: list[Expr] = [
        Linear(4 * width).named("mlp1"),
        Activation("gelu").named("gelu"),
        Linear(width).named("mlp2"),
    ]
    for number, part in enumerate((attend, think), 1):
        part.insert(len(part) if second else 0, NORM.named(f"norm{number}"))
        part.append(StochasticDepth(0.2).named(f"drop{number}"))
    first = residual(series(attend), shortcut(), act=None, name="add1")
    return first >> residual(series(think), shortcut(), act=None, name="add2")


def merging(width: int, second: bool = False) -> Expr:
    """Patch merging: 2×2 neighbours side by side in the channels, and a linear layer to twice the channels."""
    corners = []
    for i, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        corner = Slice(0, row, None, 2).named(f"rows{i}") >> Slice(1, column, None, 2).named(f"corner{i}")
        corners.append(ref("begin") >> corner)
    joined = parallel(corners, Concat()).named("concat")
    norm, linear = NORM.named("norm"), Linear(2 * width, bias=False).named("reduction")
    return series([shortcut().named("begin"), joined, *((linear, norm) if second else (norm, linear))])


def build(
    size: str = "t",
    *,
    second: bool = False,
    window: int | None = None,
    classes: int = 1000,
    channels: int = 3,
    top: bool = True,
) -> Network:
    """A Swin Transformer for images whose sides divide by 32, 224×224 by default, 256×256 for V2.

    Args:
        size: a key of `SIZES`.
        second: whether it is Swin Transformer V2, as torchvision has it (with biases of the keys, which are kept at 0).
        window: side of a window: 7, and 8 for V2, if left out.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    _, width, counts, heads = SIZES[size]
    side = window or (WINDOW_V2 if second else WINDOW)
    embed = [
        Conv(width, 4, stride=4).named("patch_embed"),
        Permute((1, 2, 0)).named("to_last"),
        NORM.named("patch_norm"),
    ]
    parts: list[Expr] = [series(embed).stage("embedding")]
    for i, (times, h) in enumerate(zip(counts, heads, strict=True), 1):
        c = width * 2 ** (i - 1)
        items = [merging(c // 2, second).block(f"merging{i}")] if i > 1 else []
        items += [block(c, h, side // 2 if j % 2 else 0, side, second).block(f"stage{i}.{j}") for j in range(times)]
        parts.append(series(items).stage(f"stage {i}"))
    last: list[Expr] = [NORM.named("norm"), Permute((2, 0, 1)).named("to_first")]
    if top:
        last += [GlobalPool().named("avgpool"), Flatten().named("flatten"), Linear(classes).named("head")]
    parts.append(series(last).stage("classifier"))
    name, image = (f"swin-v2-{size}", 256) if second else (f"swin-{size}", 224)
    about = {"name": name, "title": titled(size, second), "citation": CITATION_V2 if second else CITATION}
    torch = Naming(name.replace("-", "_"), TORCH)
    return Network(series(parts), f"{channels}x{image}x{image}", **about, torch=torch)


def titled(size: str, second: bool) -> str:
    return f"Swin V2 {SIZES[size][0]}, torchvision's" if second else f"Swin {SIZES[size][0]}"


ENTRIES = (
    *(Entry(f"swin-{s}", titled(s, False), CITATION, partial(build, s)) for s in SIZES),
    *(Entry(f"swin-v2-{s}", titled(s, True), CITATION_V2, partial(build, s, second=True)) for s in SIZES),
)
FAMILY = Family("Swin", ENTRIES)
