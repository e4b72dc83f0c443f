"""Max unpooling: the indices of the maxima are found again in the map that was pooled."""

from __future__ import annotations

from rfcalc.backend.kinds.conv import each, sides_of
from rfcalc.backend.twin import At, Twin, measuring, spatial, text_only, twin


def _described(at: At, rank: int) -> str:
    g = at.layer.geometry
    dims = at.xs[1].dims[1:]
    dynamic = g.padding == "SAME" and any(s != 1 for s in each(g.stride, rank))
    sides = None if dynamic else sides_of(g, dims)
    rounding = "floor" if g.padding == "SAME" else g.rounding
    return f"{each(g.kernel, rank)}, {each(g.stride, rank)}, {sides}, {each(g.dilation, rank)}, {rounding!r}"


@twin("max_unpool")
def max_unpool(at: At) -> Twin:
    rank, g = spatial(at), at.layer.geometry
    sides = zip(sides_of(g, at.xs[1].dims[1:]), each(g.kernel, rank), strict=True)
    plain = (
        rank > 1 and g.padding != "SAME" and g.rounding != "ceil-onnx" and all(a == b <= k / 2 for (a, b), k in sides)
    )
    return text_only(f"max_unpool({{0}}, {{1}}, {_described(at, rank)})", composed=not plain)  # else on a padded copy


@measuring("max_unpool")
def windows_back(at: At) -> Twin:
    """What lies in a window, and its value, on all positions of the window."""
    return text_only(f"box_back({{0}}, {{1}}, {_described(at, spatial(at))})")
