"""GhostNet (Han et al. 2019, arXiv:1911.11907): half of the maps are made by a depthwise 3×3 from the other half."""

from __future__ import annotations

from rfcalc.core.expr import Expr, parallel, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Concat
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, divisible, excite, residual, shortcut, unit

CITATION = "Han, Wang, Tian, Guo, Xu & Xu, GhostNet: More Features from Cheap Operations, arXiv:1911.11907"
TITLE = "GhostNet, 1.0×"

# Table 7, by stages: kernel, expanded channels, channels, gate, stride.
STAGES = (
    ((3, 16, 16, False, 1),),
    ((3, 48, 24, False, 2),),
    ((3, 72, 24, False, 1),),
    ((5, 72, 40, True, 2),),
    ((5, 120, 40, True, 1),),
    ((3, 240, 80, False, 2),),
    (
        (3, 200, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 480, 112, True, 1),
        (3, 672, 112, True, 1),
    ),
    ((5, 672, 160, True, 2),),
    ((5, 960, 160, False, 1), (5, 960, 160, True, 1), (5, 960, 160, False, 1), (5, 960, 160, True, 1)),
)


def ghost(name: str, out: int, act: bool) -> Expr:
    """A Ghost module: a 1×1 to half of the channels, and a cheap depthwise 3×3 of them beside it."""
    last = RELU if act else None
    first = unit(f"{name}_primary", Conv(out // 2, 1, bias=False), act=last)
    cheap = unit(f"{name}_cheap", Depthwise(3, padding=1, bias=False), act=last)
    return first >> parallel([shortcut(), cheap], Concat()).named(f"{name}_concat")


def block(kernel: int, c_in: int, wide: int, out: int, gated: bool, stride: int) -> Expr:
    """A Ghost bottleneck."""
    steps: list[Expr] = [ghost("ghost1", wide, True)]
    if stride > 1:
        steps.append(unit("depthwise", Depthwise(kernel, stride=stride, padding=kernel // 2, bias=False), act=None))
    if gated:
        steps.append(excite(wide, divisible(wide / 4, 4), gate="hardsigmoid"))
    steps.append(ghost("ghost2", out, False))
    passed: Expr = shortcut()
    if stride > 1 or c_in != out:
        passed = unit("shortcut_dw", Depthwise(kernel, stride=stride, padding=kernel // 2, bias=False), act=None)
        passed = passed >> unit("shortcut_pw", Conv(out, 1, bias=False), act=None)
    return residual(series(steps), passed, act=None)


def build(*, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """GhostNet for images of 224×224 (any size fits).

    Args:
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    parts: list[Expr] = [unit("conv1", Conv(16, 3, stride=2, padding=1, bias=False)).stage("stem")]
    c_in = 16
    for i, blocks in enumerate(STAGES, 1):
        made = []
        for j, (kernel, wide, out, gated, stride) in enumerate(blocks):
            made.append(block(kernel, c_in, wide, out, gated, stride).block(f"stage{i}.{j}"))
            c_in = out
        parts.append(series(made).stage(f"stage {i}"))
    parts.append(unit("conv_last", Conv(960, 1, bias=False)).stage("last"))
    if top:
        head = [GlobalPool().named("avgpool"), Conv(1280, 1).named("conv_head"), RELU.named("relu_head")]
        head += [Flatten().named("flatten"), Dropout(0.2).named("dropout"), Linear(classes).named("fc")]
        parts.append(series(head).stage("classifier"))
    return Network(series(parts), f"{channels}x224x224", name="ghostnet", title=TITLE, citation=CITATION)


FAMILY = Family("GhostNet", (Entry("ghostnet", TITLE, CITATION, build),))
