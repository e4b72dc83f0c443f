"""RegNet (Radosavovic et al. 2020, arXiv:2003.13678): the widths of all blocks follow from four numbers.

Block j is ``w0 + wa·j`` wide, rounded to the nearest ``w0·wm^s`` and to a multiple of eight (equations 2 to 4); blocks
of equal width are a stage. A block is a 1×1, a 3×3 in groups of a fixed width, and a 1×1; RegNetY has a gate behind
the 3×3. 1600mf is what is also called 1.6GF.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from math import log
from typing import NamedTuple

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.norm import BatchNorm
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import divisible, excite, residual, shortcut, top_of, unit

CITATION = "Radosavovic, Kosaraju, Girshick, He & Dollár, Designing Network Design Spaces, arXiv:2003.13678"


class RegNetWidths(NamedTuple):
    """Depth, w0, wa, wm, and the width of a group."""

    depth: int
    first: int
    slope: float
    factor: float
    group: int


DESIGNS = {
    "x-400mf": RegNetWidths(22, 24, 24.48, 2.54, 16),
    "x-800mf": RegNetWidths(16, 56, 35.73, 2.28, 16),
    "x-1600mf": RegNetWidths(18, 80, 34.01, 2.25, 24),
    "x-3200mf": RegNetWidths(25, 88, 26.31, 2.25, 48),
    "x-8gf": RegNetWidths(23, 80, 49.56, 2.88, 120),
    "x-16gf": RegNetWidths(22, 216, 55.59, 2.1, 128),
    "x-32gf": RegNetWidths(23, 320, 69.86, 2.0, 168),
    "y-400mf": RegNetWidths(16, 48, 27.89, 2.09, 8),
    "y-800mf": RegNetWidths(14, 56, 38.84, 2.4, 16),
    "y-1600mf": RegNetWidths(27, 48, 20.71, 2.65, 24),
    "y-3200mf": RegNetWidths(21, 80, 42.63, 2.66, 24),
    "y-8gf": RegNetWidths(17, 192, 76.82, 2.19, 56),
    "y-16gf": RegNetWidths(18, 200, 106.23, 2.48, 112),
    "y-32gf": RegNetWidths(20, 232, 115.89, 2.53, 232),
}


def stages(design: RegNetWidths) -> list[tuple[int, int, int]]:
    """Width, depth and group width of each stage.

    >>> stages(DESIGNS["y-400mf"])
    [(48, 1, 8), (104, 3, 8), (208, 6, 8), (440, 6, 8)]
    """
    widths = []
    for j in range(design.depth):
        step = round(log((design.first + design.slope * j) / design.first) / log(design.factor))
        widths.append(round(design.first * design.factor**step / 8) * 8)
    found = []
    for width, blocks in groupby(widths):
        group = min(design.group, width)
        found.append((divisible(width, group), len(list(blocks)), group))
    return found


def block(c_in: int, out: int, stride: int, group: int, gated: bool) -> Expr:
    """A residual block without a bottleneck, its 3×3 in groups."""
    steps: list[Expr] = [
        unit("conv1", Conv(out, 1, bias=False)),
        unit("conv2", Conv(out, 3, stride=stride, padding=1, groups=out // group, bias=False)),
    ]
    if gated:
        steps.append(excite(out, round(c_in / 4)))
    steps.append(unit("conv3", Conv(out, 1, bias=False), act=None))
    passed: Expr = shortcut()
    if c_in != out or stride != 1:
        passed = Conv(out, 1, stride=stride, bias=False).named("proj") >> BatchNorm().named("proj_bn")
    return residual(series(steps), passed)


def build(name: str = "y-400mf", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A RegNet for images of 224×224 (any size fits).

    Args:
        name: a key of `DESIGNS`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    parts: list[Expr] = [unit("stem", Conv(32, 3, stride=2, padding=1, bias=False)).stage("stem")]
    c_in = 32
    for i, (width, depth, group) in enumerate(stages(DESIGNS[name]), 1):
        blocks = []
        for j in range(depth):
            blocks.append(block(c_in, width, 2 if j == 0 else 1, group, name[0] == "y").block(f"stage{i}.{j}"))
            c_in = width
        parts.append(series(blocks).stage(f"stage {i}"))
    if top:
        parts.append(top_of(classes).stage("classifier"))
    full, title = _named(name)
    return Network(series(parts), f"{channels}x224x224", name=full, title=title, citation=CITATION)


def _named(name: str) -> tuple[str, str]:
    size = name.upper().replace("1600MF", "1.6GF").replace("3200MF", "3.2GF")
    return f"regnet-{name}", f"RegNet{size}"


FAMILY = Family("RegNet", tuple(Entry(*_named(n), CITATION, partial(build, n)) for n in DESIGNS))
