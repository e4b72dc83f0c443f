"""MobileNet v3 (Howard et al. 2019, arXiv:1905.02244): Tables 1 and 2, large and small.

Inverted residuals with hard swish in the later blocks and a gate (a quarter as wide, hard sigmoid) in some. Padding is
symmetric, as in torchvision.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.pointwise import Activation, Dropout
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, divisible, excite, residual, shortcut, unit

CITATION = "Howard et al., Searching for MobileNetV3, arXiv:1905.02244"
SWISH = Activation("hardswish")

# Of each block: kernel, expanded channels, channels, gate, hard swish, stride. Then the width of the layer before last.
SIZES = {
    "large": (
        (
            (3, 16, 16, False, False, 1),
            (3, 64, 24, False, False, 2),
            (3, 72, 24, False, False, 1),
            (5, 72, 40, True, False, 2),
            (5, 120, 40, True, False, 1),
            (5, 120, 40, True, False, 1),
            (3, 240, 80, False, True, 2),
            (3, 200, 80, False, True, 1),
            (3, 184, 80, False, True, 1),
            (3, 184, 80, False, True, 1),
            (3, 480, 112, True, True, 1),
            (3, 672, 112, True, True, 1),
            (5, 672, 160, True, True, 2),
            (5, 960, 160, True, True, 1),
            (5, 960, 160, True, True, 1),
        ),
        1280,
    ),
    "small": (
        (
            (3, 16, 16, True, False, 2),
            (3, 72, 24, False, False, 2),
            (3, 88, 24, False, False, 1),
            (5, 96, 40, True, True, 2),
            (5, 240, 40, True, True, 1),
            (5, 240, 40, True, True, 1),
            (5, 120, 48, True, True, 1),
            (5, 144, 48, True, True, 1),
            (5, 288, 96, True, True, 2),
            (5, 576, 96, True, True, 1),
            (5, 576, 96, True, True, 1),
        ),
        1024,
    ),
}


def block(kernel: int, c_in: int, wide: int, out: int, gated: bool, swish: bool, stride: int) -> Expr:
    """An inverted residual block, with a gate after its depthwise layer in some."""
    act = SWISH if swish else RELU
    steps: list[Expr] = [] if wide == c_in else [unit("expand", Conv(wide, 1, bias=False), act=act)]
    depthwise = Depthwise(kernel, stride=stride, padding=kernel // 2, bias=False)
    steps.append(unit("depthwise", depthwise, act=act))
    if gated:
        steps.append(excite(wide, divisible(wide / 4), gate="hardsigmoid"))
    steps.append(unit("project", Conv(out, 1, bias=False), act=None))
    return residual(series(steps), shortcut(), act=None) if stride == 1 and c_in == out else series(steps)


def build(size: str = "large", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A MobileNet v3 for images of 224×224 (any size fits).

    Args:
        size: a key of `SIZES`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    blocks, wide = SIZES[size]
    parts: list[Expr] = [unit("conv1", Conv(16, 3, stride=2, padding=1, bias=False), act=SWISH).stage("stem")]
    c_in = 16
    body = []
    for i, (kernel, middle, out, gated, swish, stride) in enumerate(blocks, 1):
        body.append(block(kernel, c_in, middle, out, gated, swish, stride).block(f"block{i}"))
        c_in = out
    parts.append(series(body).stage("bottlenecks"))
    parts.append(unit("conv_last", Conv(6 * c_in, 1, bias=False), act=SWISH).stage("last"))
    if top:
        head = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Linear(wide).named("fc1")]
        head += [SWISH.named("hardswish_fc1"), Dropout(0.2).named("dropout"), Linear(classes).named("fc2")]
        parts.append(series(head).stage("classifier"))
    name, title = f"mobilenet-v3-{size}", f"MobileNet v3, {size}"
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION)


FAMILY = Family(
    "MobileNet v3",
    tuple(Entry(f"mobilenet-v3-{s}", f"MobileNet v3, {s}", CITATION, partial(build, s)) for s in SIZES),
)
