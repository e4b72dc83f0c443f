"""Along which axes of a map positions of the input lie, and whether channels hold positions side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.layer import POINTWISE, SAME_UNIT, Layer
from rfcalc.core.shape import Shape, axis_groups
from rfcalc.core.window import All, Scattered


def carried(layer: Layer, carriers: Sequence[frozenset[int]], xs: tuple[Shape, ...], y: Shape) -> frozenset[int]:
    """The axes of a layer's output along which positions of the input lie, from those of its inputs."""
    if not any(carriers):
        return frozenset()
    found: set[int] = set()
    for mine, alternatives in zip(carriers, layer.reads(xs, y), strict=True):
        if not mine:
            continue
        if alternatives is SAME_UNIT:
            found |= mine
            continue
        for reads in alternatives:
            if reads is POINTWISE:
                found |= mine
                continue
            for axis, (out, index) in enumerate(reads):
                if axis not in mine:
                    continue
                if isinstance(index, Scattered):
                    found.update(index.axes)
                elif out is not None and not isinstance(index, All):
                    found.add(out)
    found.discard(y.channel)
    return frozenset(found)


def dirtied(
    layer: Layer, carriers: Sequence[frozenset[int]], dirty: Sequence[bool], xs: tuple[Shape, ...], y: Shape
) -> bool:
    """Whether the channels hold positions side by side afterwards, so that they may not come apart again."""
    if layer.row_major and y.dims[y.channel] != 1:
        (x,) = xs
        wide = {i for i in carriers[0] if x.dims[i] != 1}
        for before, after in axis_groups(x.dims, y.dims):
            if y.channel in after and wide.intersection(before):
                return True
    if not any(dirty):
        return False
    return not layer.joins_channels(xs[0])
