"""V-Net (Milletari, Navab & Ahmadi 2016, arXiv:1606.04797): 5×5×5 convolutions, residual at every level.

Down by 2×2×2 convolutions of stride 2, up by transposed ones; each level adds its first map to its last. On the way
up the map from the left stands beside the enlarged one. PReLU behind every convolution; no normalisation.
"""

from __future__ import annotations

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add, Concat
from rfcalc.layers.pointwise import PReLU
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import shortcut

CITATION = "Milletari, Navab & Ahmadi, V-Net: Networks for Volumetric Medical Image Segmentation, arXiv:1606.04797"
TITLE = "V-Net, as published"
CONVS = (1, 2, 3, 3, 3)  # of the levels on the way down; up: 3, 3, 2, 1


def convs(label: str, width: int, times: int, start: str) -> Expr:
    """The convolutions of a level, and their sum with the level's first map; the activation behind the sum."""
    parts: list[Expr] = []
    for i in range(1, times + 1):
        parts.append(Conv(width, (5, 5, 5), padding=2).named(f"{label}_conv{i}"))
        if i < times:
            parts.append(PReLU().named(f"{label}_prelu{i}"))
    merged = parallel([shortcut(), ref(start)], Add()).named(f"{label}_add")
    return series([*parts, merged, PReLU().named(f"{label}_prelu")])


def build(*, classes: int = 2, channels: int = 1, width: int = 16) -> Network:
    """V-Net for volumes whose sides divide by 16.

    Args:
        classes: maps of the last 1×1×1 convolution.
        channels: channels of the volume; one, or as many as `width`, as the input is added to the first level's map.
        width: channels of the first level.
    """
    first: list[Expr] = [shortcut().named("begin"), Conv(width, (5, 5, 5), padding=2).named("left1_conv1")]
    first += [parallel([shortcut(), ref("begin")], Add()).named("left1_add")] if channels in (1, width) else []
    parts: list[Expr] = [series([*first, PReLU().named("left1_prelu")]).stage("left 1")]
    for level, times in enumerate(CONVS[1:], 2):
        wide = width * 2 ** (level - 1)
        down = [Conv(wide, (2, 2, 2), stride=2).named(f"down{level}"), PReLU().named(f"down{level}_prelu")]
        body = convs(f"left{level}", wide, times, f"down{level}_prelu")
        parts.append(series([*down, body]).stage(f"left {level}"))
    for level in (4, 3, 2, 1):
        wide = width * 2**level
        up = [ConvTranspose(wide // 2, (2, 2, 2), stride=2).named(f"up{level}"), PReLU().named(f"up{level}_prelu")]
        joined = parallel([shortcut(), ref(f"left{level}_prelu")], Concat()).named(f"concat{level}")
        body = convs(f"right{level}", wide, CONVS[level - 1], f"concat{level}")
        parts.append(series([*up, joined, body]).stage(f"right {level}"))
    parts.append(Conv(classes, (1, 1, 1)).named("output").stage("output"))
    return Network(series(parts), f"{channels}x64x128x128", name="vnet", title=TITLE, citation=CITATION)


FAMILY = Family("V-Net", (Entry("vnet", TITLE, CITATION, build),))
