"""EfficientNet (Tan & Le 2019, arXiv:1905.11946): B0 (Table 1) and what compound scaling makes of it; and v2.

MBConv blocks are inverted residuals with a squeeze-and-excitation gate, whose reduction is a quarter of the block's
input channels. Padding is symmetric, as in torchvision. In v2 (Tan & Le 2021, arXiv:2104.00298) the early stages are
fused: one 3×3 convolution expands, a 1×1 projects, without a gate.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.pointwise import Activation, Dropout, StochasticDepth
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import divisible, excite, residual, shortcut, top_of, unit

CITATION = "Tan & Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv:1905.11946"

# Table 1: expansion, kernel, stride, channels, layers of stages 2 … 8.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
# Width in tenths and depth in tenths of B0's, and the image's side.
SCALES = {
    "b0": (10, 10, 224),
    "b1": (10, 11, 240),
    "b2": (11, 12, 260),
    "b3": (12, 14, 300),
    "b4": (14, 18, 380),
    "b5": (16, 22, 456),
    "b6": (18, 26, 528),
    "b7": (20, 31, 600),
}
SILU = Activation("silu")

V2 = "Tan & Le, EfficientNetV2: Smaller Models and Faster Training, arXiv:2104.00298"
# v2 (Table 4 is S): side, stem, and of each stage: fused or not, expansion, stride, channels, layers.
V2_SIZES = {
    "s": (
        384,
        24,
        (
            (True, 1, 1, 24, 2),
            (True, 4, 2, 48, 4),
            (True, 4, 2, 64, 4),
            (False, 4, 2, 128, 6),
            (False, 6, 1, 160, 9),
            (False, 6, 2, 256, 15),
        ),
    ),
    "m": (
        480,
        24,
        (
            (True, 1, 1, 24, 3),
            (True, 4, 2, 48, 5),
            (True, 4, 2, 80, 5),
            (False, 4, 2, 160, 7),
            (False, 6, 1, 176, 14),
            (False, 6, 2, 304, 18),
            (False, 6, 1, 512, 5),
        ),
    ),
    "l": (
        480,
        32,
        (
            (True, 1, 1, 32, 4),
            (True, 4, 2, 64, 7),
            (True, 4, 2, 96, 7),
            (False, 4, 2, 192, 10),
            (False, 6, 1, 224, 19),
            (False, 6, 2, 384, 25),
            (False, 6, 1, 640, 7),
        ),
    ),
}


TORCH = (
    (r"(conv|bn|silu)1", "features.0.#"),
    (
        r"(?P<stage>stage\d)\.(\d+)\.((?P<unit>expand|depthwise|project)(_bn|_silu)?)",
        r"features.#stage+1.\2.block.#unit.#",
    ),
    (r"(?P<stage>stage\d)\.(\d+)\.(?P<unit>se)_(.*)", r"features.#stage+1.\2.block.#unit.\4"),
    (r"(?P<stage>stage\d)\.(\d+)\.(.*)", r"features.#stage+1.\2.\3"),
    (r"(conv|bn|silu)_last", "features.8.#"),
    (r"dropout|fc", "classifier.#"),
)


def block(t: int, kernel: int, stride: int, c_in: int, out: int) -> Expr:
    """An MBConv block."""
    wide = c_in * t
    steps: list[Expr] = [] if t == 1 else [unit("expand", Conv(wide, 1, bias=False), act=SILU)]
    steps.append(unit("depthwise", Depthwise(kernel, stride=stride, padding=kernel // 2, bias=False), act=SILU))
    steps.append(excite(wide, c_in // 4, act=SILU))
    steps.append(unit("project", Conv(out, 1, bias=False), act=None))
    if stride == 1 and c_in == out:
        return residual(series([*steps, StochasticDepth(0.2).named("drop")]), shortcut(), act=None)
    return series(steps)


def build(scale: str = "b0", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """An EfficientNet (any size fits).

    Args:
        scale: a key of `SCALES`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    width, depth, side = SCALES[scale]
    c_in = divisible(32 * width / 10)
    parts: list[Expr] = [unit("conv1", Conv(c_in, 3, stride=2, padding=1, bias=False), act=SILU).stage("stage 1")]
    for i, (t, kernel, stride, c, n) in enumerate(STAGES, 2):
        out = divisible(c * width / 10)
        blocks = []
        for j in range(-(-n * depth // 10)):
            blocks.append(block(t, kernel, stride if j == 0 else 1, c_in, out).block(f"stage{i}.{j}"))
            c_in = out
        parts.append(series(blocks).stage(f"stage {i}"))
    parts.append(unit("conv_last", Conv(4 * c_in, 1, bias=False), act=SILU).stage("stage 9"))
    if top:
        head = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Dropout(0.2).named("dropout")]
        parts.append(series([*head, Linear(classes).named("fc")]).stage("classifier"))
    name, title = f"efficientnet-{scale}", f"EfficientNet-{scale.upper()}"
    # torchvision's B5 to B7 came with another ε of batch normalisation, as their weights did
    torch = Naming(f"efficientnet_{scale}", TORCH, **({"eps": 1e-3} if scale in ("b5", "b6", "b7") else {}))
    return Network(series(parts), f"{channels}x{side}x{side}", name=name, title=title, citation=CITATION, torch=torch)


def fused(t: int, stride: int, c_in: int, out: int) -> Expr:
    """A fused MBConv block: a 3×3 that expands, and a 1×1; only the 3×3 where nothing is expanded."""
    first = Conv(c_in * t, 3, stride=stride, padding=1, bias=False)
    steps = [unit("fused", first, act=SILU)]
    steps += [] if t == 1 else [unit("project", Conv(out, 1, bias=False), act=None)]
    if stride == 1 and c_in == out:
        return residual(series([*steps, StochasticDepth(0.2).named("drop")]), shortcut(), act=None)
    return series(steps)


def v2(size: str = "s", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """An EfficientNet v2 (any image size fits); arguments as for `build`, `size` a key of `V2_SIZES`."""
    side, c_in, stages = V2_SIZES[size]
    parts: list[Expr] = [unit("conv1", Conv(c_in, 3, stride=2, padding=1, bias=False), act=SILU).stage("stage 0")]
    for i, (is_fused, t, stride, out, times) in enumerate(stages, 1):
        blocks = []
        for j in range(times):
            s = stride if j == 0 else 1
            made = fused(t, s, c_in, out) if is_fused else block(t, 3, s, c_in, out)
            blocks.append(made.block(f"stage{i}.{j}"))
            c_in = out
        parts.append(series(blocks).stage(f"stage {i}"))
    parts.append(unit("conv_last", Conv(1280, 1, bias=False), act=SILU).stage(f"stage {len(stages) + 1}"))
    if top:
        parts.append(top_of(classes, dropout=0.2).stage("classifier"))
    name, title = f"efficientnet-v2-{size}", f"EfficientNet v2 {size.upper()}"
    return Network(series(parts), f"{channels}x{side}x{side}", name=name, title=title, citation=V2)


FAMILY = Family(
    "EfficientNet",
    (
        *(Entry(f"efficientnet-{s}", f"EfficientNet-{s.upper()}", CITATION, partial(build, s)) for s in SCALES),
        *(Entry(f"efficientnet-v2-{s}", f"EfficientNet v2 {s.upper()}", V2, partial(v2, s)) for s in V2_SIZES),
    ),
)
