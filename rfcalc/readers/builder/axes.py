"""Along which axes of a map positions of the input lie, and whether channels hold positions side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.layer import POINTWISE, SAME_UNIT, Layer
from rfcalc.core.shape import Shape
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
    if layer.kind in ("flatten", "reshape"):
        (x,) = xs
        wide = {i for i in carriers[0] if x.dims[i] != 1}
        for before, after in groups(x.dims, y.dims):
            if y.channel in after and wide.intersection(before):
                return True
    if not any(dirty):
        return False
    mixes = (layer.kind in ("linear", "recurrent") and xs[0].channel == len(xs[0].dims) - 1) or layer.kind == "unknown"
    return not (mixes or (layer.kind in ("conv", "conv_transpose") and layer.groups == 1))  # type: ignore[attr-defined]


def groups(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """The axes of a row-major reshape that belong together: of the old dims, of the new ones.

    >>> groups((96, 14, 14), (96, 196))
    [([0], [0]), ([1, 2], [1])]
    """
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        a = b = 1
        left: list[int] = []
        right: list[int] = []
        if i < len(before):
            a, left, i = before[i], [i], i + 1
        if j < len(after):
            b, right, j = after[j], [j], j + 1
        while a != b:
            if a < b and i < len(before):
                a, i = a * before[i], i + 1
                left.append(i - 1)
            elif a > b and j < len(after):
                b, j = b * after[j], j + 1
                right.append(j - 1)
            else:
                break
        found.append((left, right))
    return found
