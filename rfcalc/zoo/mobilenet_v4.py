"""MobileNet v4 (Qin et al. 2024, arXiv:2404.10518): the convolutional small, medium and large networks.

A universal inverted bottleneck has a depthwise layer before the expansion, one between, both, or none. Where both are
there the stride is on the second. Padding is symmetric.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import divisible, residual, shortcut, unit

CITATION = "Qin et al., MobileNetV4: Universal Models for the Mobile Ecosystem, arXiv:2404.10518"

Row = tuple[str, int, int, int, int, float]
# Of each block: kind, first and second kernel (0: none), channels, stride, expansion.
SIZES: dict[str, tuple[tuple[Row, ...], ...]] = {
    "small": (
        (("conv", 3, 0, 32, 2, 1), ("conv", 1, 0, 32, 1, 1)),
        (("conv", 3, 0, 96, 2, 1), ("conv", 1, 0, 64, 1, 1)),
        (("ib", 5, 5, 96, 2, 3), *[("ib", 0, 3, 96, 1, 2)] * 4, ("ib", 3, 0, 96, 1, 4)),
        (
            ("ib", 3, 3, 128, 2, 6),
            ("ib", 5, 5, 128, 1, 4),
            ("ib", 0, 5, 128, 1, 4),
            ("ib", 0, 5, 128, 1, 3),
            ("ib", 0, 3, 128, 1, 4),
            ("ib", 0, 3, 128, 1, 4),
        ),
        (("conv", 1, 0, 960, 1, 1),),
    ),
    "medium": (
        (("fused", 3, 0, 48, 2, 4),),
        (("ib", 3, 5, 80, 2, 4), ("ib", 3, 3, 80, 1, 2)),
        (
            ("ib", 3, 5, 160, 2, 6),
            ("ib", 3, 3, 160, 1, 4),
            ("ib", 3, 3, 160, 1, 4),
            ("ib", 3, 5, 160, 1, 4),
            ("ib", 3, 3, 160, 1, 4),
            ("ib", 3, 0, 160, 1, 4),
            ("ib", 0, 0, 160, 1, 2),
            ("ib", 3, 0, 160, 1, 4),
        ),
        (
            ("ib", 5, 5, 256, 2, 6),
            ("ib", 5, 5, 256, 1, 4),
            ("ib", 3, 5, 256, 1, 4),
            ("ib", 3, 5, 256, 1, 4),
            ("ib", 0, 0, 256, 1, 4),
            ("ib", 3, 0, 256, 1, 4),
            ("ib", 3, 5, 256, 1, 2),
            ("ib", 5, 5, 256, 1, 4),
            ("ib", 0, 0, 256, 1, 4),
            ("ib", 0, 0, 256, 1, 4),
            ("ib", 5, 0, 256, 1, 2),
        ),
        (("conv", 1, 0, 960, 1, 1),),
    ),
    "large": (
        (("fused", 3, 0, 48, 2, 4),),
        (("ib", 3, 5, 96, 2, 4), ("ib", 3, 3, 96, 1, 4)),
        (
            ("ib", 3, 5, 192, 2, 4),
            *[("ib", 3, 3, 192, 1, 4)] * 3,
            ("ib", 3, 5, 192, 1, 4),
            *[("ib", 5, 3, 192, 1, 4)] * 5,
            ("ib", 3, 0, 192, 1, 4),
        ),
        (
            ("ib", 5, 5, 512, 2, 4),
            *[("ib", 5, 5, 512, 1, 4)] * 3,
            ("ib", 5, 0, 512, 1, 4),
            ("ib", 5, 3, 512, 1, 4),
            *[("ib", 5, 0, 512, 1, 4)] * 2,
            ("ib", 5, 3, 512, 1, 4),
            ("ib", 5, 5, 512, 1, 4),
            *[("ib", 5, 0, 512, 1, 4)] * 3,
        ),
        (("conv", 1, 0, 960, 1, 1),),
    ),
}
STEM = {"small": 32, "medium": 32, "large": 24}


def block(kind: str, first: int, second: int, c_in: int, out: int, stride: int, expansion: float) -> Expr:
    """One block: a plain convolution, a fused or a universal inverted bottleneck."""
    wide = divisible(c_in * expansion)
    if kind == "conv":
        return unit("conv", Conv(out, first, stride=stride, padding=first // 2, bias=False))
    if kind == "fused":
        expand = unit("fused", Conv(wide, first, stride=stride, padding=first // 2, bias=False))
        return expand >> unit("project", Conv(out, 1, bias=False), act=None)
    steps: list[Expr] = []
    if first:
        start = 1 if second else stride
        steps.append(unit("dw_start", Depthwise(first, stride=start, padding=first // 2, bias=False), act=None))
    steps.append(unit("expand", Conv(wide, 1, bias=False)))
    if second:
        steps.append(unit("dw_middle", Depthwise(second, stride=stride, padding=second // 2, bias=False)))
    steps.append(unit("project", Conv(out, 1, bias=False), act=None))
    return residual(series(steps), shortcut(), act=None) if stride == 1 and c_in == out else series(steps)


def build(size: str = "small", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A convolutional MobileNet v4 (any image size fits).

    Args:
        size: a key of `SIZES`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    parts: list[Expr] = [unit("conv1", Conv(STEM[size], 3, stride=2, padding=1, bias=False)).stage("stem")]
    c_in = STEM[size]
    for i, rows in enumerate(SIZES[size], 1):
        made = []
        for j, (kind, first, second, out, stride, expansion) in enumerate(rows):
            made.append(block(kind, first, second, c_in, out, stride, expansion).block(f"stage{i}.{j}"))
            c_in = out
        parts.append(series(made).stage(f"stage {i}"))
    if top:
        head = [GlobalPool().named("avgpool"), unit("conv_head", Conv(1280, 1, bias=False))]
        head += [Flatten().named("flatten"), Dropout(0.2).named("dropout"), Linear(classes).named("fc")]
        parts.append(series(head).stage("classifier"))
    name, title = f"mobilenet-v4-{size}", f"MobileNet v4, convolutional, {size}"
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION)


FAMILY = Family(
    "MobileNet v4",
    tuple(Entry(f"mobilenet-v4-{s}", f"MobileNet v4, convolutional, {s}", CITATION, partial(build, s)) for s in SIZES),
)
