"""U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597) and 3D U-Net (Çiçek et al. 2016, arXiv:1606.06650).

As published the convolutions are not padded, and the maps that pass over are cropped by what the lower levels lose: 4
at the lowest join, then 2·(c + 4) for the next, 4, 16, 40, 88. The padded variants keep the size and crop nothing. In
two dimensions every level doubles the channels and the up-convolution halves them; in three the channels double
before each pool, the up-convolution keeps them, and normalisation stands before every ReLU.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Concat
from rfcalc.layers.pool import MaxPool
from rfcalc.layers.resample import Pad
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import NORM, shortcut, unit

FLAT = "Ronneberger, Fischer & Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, arXiv:1505.04597"
SOLID = "Çiçek, Abdulkadir, Lienkamp, Brox & Ronneberger, 3D U-Net, arXiv:1606.06650"

# Dimensions, padded or not, title, citation, input, classes, levels, channels of the first level.
NETWORKS = {
    "unet": (2, False, "U-Net as published", FLAT, "1x572x572", 2, 5, 64),
    "unet-padded": (2, True, "U-Net with padded convolutions", FLAT, "1x512x512", 2, 5, 64),
    "unet-3d": (3, False, "3D U-Net as published", SOLID, "3x116x132x132", 3, 4, 32),
    "unet-3d-padded": (3, True, "3D U-Net with padded convolutions", SOLID, "3x64x128x128", 3, 4, 32),
}


def _widths(solid: bool, level: int, width: int) -> tuple[int, int]:
    """Channels of the two convolutions of a level on the way down."""
    wide = width * 2 ** (level - 1)
    return (wide, 2 * wide) if solid else (wide, wide)


def build(
    name: str, *, classes: int | None = None, channels: int | None = None, width: int | None = None, top: bool = True
) -> Network:
    """A U-Net; sides must fit the pools (the padded ones: divide by 16, or by 8 in three dimensions).

    Args:
        name: a key of `NETWORKS`.
        classes: maps of the last 1×1 convolution.
        channels: channels of the input.
        width: channels of the first convolution.
        top: whether that 1×1 convolution is there.
    """
    rank, padded, title, citation, shape, usual, levels, first = NETWORKS[name]
    solid = rank == 3
    first = width or first

    def convs(label: str, widths: tuple[int, ...]) -> Expr:
        layers = [Conv(w, (3,) * rank, padding=1 if padded else 0, bias=True) for w in widths]
        norm = NORM if solid else None
        return series(unit(f"{label}_{i}", layer, norm=norm) for i, layer in enumerate(layers, 1))

    parts: list[Expr] = []
    for level in range(1, levels + 1):
        items: list[Expr] = [convs(f"conv{level}", _widths(solid, level, first))]
        if level > 1:
            items.insert(0, MaxPool((2,) * rank).named(f"pool{level - 1}"))
        parts.append(series(items).stage(f"down {level}"))
    crop = 4
    for level in range(levels - 1, 0, -1):
        wide = _widths(solid, level, first)[1]
        up = 2 * wide if solid else wide
        passed: Expr = ref(f"relu{level}_2")
        if not padded:
            passed = passed >> Pad((-crop,) * rank).named(f"crop{level}")
        items = [
            ConvTranspose(up, (2,) * rank, stride=2).named(f"upconv{level}"),
            parallel([passed, shortcut()], Concat()).named(f"concat{level}"),
            convs(f"upper{level}", (wide, wide)),
        ]
        parts.append(series(items).stage(f"up {level}"))
        crop = 2 * (crop + 4)
    if top:
        parts.append(Conv(classes or usual, (1,) * rank).named("output").stage("output"))
    if channels is not None:
        shape = f"{channels}{shape[shape.index('x') :]}"
    return Network(series(parts), shape, name=name, title=title, citation=citation)


FAMILY = Family("U-Net", tuple(Entry(n, data[2], data[3], partial(build, n)) for n, data in NETWORKS.items()))
