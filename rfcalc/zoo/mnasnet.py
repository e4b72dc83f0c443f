"""MnasNet-B1 (Tan et al. 2018, arXiv:1807.11626), as torchvision has it: inverted residuals without gates."""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import divisible, residual, shortcut, top_of, unit

CITATION = "Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, arXiv:1807.11626"

# Kernel, stride, expansion, channels, repeats of each stage.
STAGES = ((3, 2, 3, 24, 3), (5, 2, 3, 40, 3), (5, 2, 6, 80, 3), (3, 1, 6, 96, 2), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))
WIDTHS = (0.5, 0.75, 1, 1.3)


def block(kernel: int, stride: int, expansion: int, c_in: int, out: int) -> Expr:
    """An inverted residual block."""
    wide = expansion * c_in
    branch = (
        unit("expand", Conv(wide, 1, bias=False))
        >> unit("depthwise", Depthwise(kernel, stride=stride, padding=kernel // 2, bias=False))
        >> unit("project", Conv(out, 1, bias=False), act=None)
    )
    return residual(branch, shortcut(), act=None) if stride == 1 and c_in == out else branch


def build(width: float = 1, *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A MnasNet-B1 for images of 224×224 (any size fits).

    Args:
        width: on the channels of every layer but the last.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    first, c_in = divisible(32 * width), divisible(16 * width)
    stem = [
        unit("conv1", Conv(first, 3, stride=2, padding=1, bias=False)),
        unit("sep_dw", Depthwise(3, padding=1, bias=False)),
        unit("sep_pw", Conv(c_in, 1, bias=False), act=None),
    ]
    parts: list[Expr] = [series(stem).stage("stem")]
    for i, (kernel, stride, expansion, c, times) in enumerate(STAGES, 1):
        blocks = []
        for j in range(times):
            out = divisible(c * width)
            blocks.append(block(kernel, stride if j == 0 else 1, expansion, c_in, out).block(f"stage{i}.{j}"))
            c_in = out
        parts.append(series(blocks).stage(f"stage {i}"))
    parts.append(unit("conv_last", Conv(1280, 1, bias=False)).stage("last"))
    if top:
        parts.append(top_of(classes, dropout=0.2).stage("classifier"))
    name, title = _named(width)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION)


def _named(width: float) -> tuple[str, str]:
    return "mnasnet" + ("" if width == 1 else f"-{width:g}"), f"MnasNet-B1, width {width:g}"


FAMILY = Family("MnasNet", tuple(Entry(*_named(w), CITATION, partial(build, w)) for w in WIDTHS))
