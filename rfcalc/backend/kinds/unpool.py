"""Max unpooling: the indices of the maxima are found again in the map that was pooled."""

from __future__ import annotations

from rfcalc.backend.kinds.pool import described, native
from rfcalc.backend.twin import At, Twin, measuring, spatial, text_only, twin


@twin("max_unpool")
def max_unpool(at: At) -> Twin:
    rank = spatial(at)
    plain = rank > 1 and native(at, rank, of=1)
    return text_only(f"max_unpool({{0}}, {{1}}, {described(at, rank, of=1)})", composed=not plain)  # on a padded copy


@measuring("max_unpool")
def windows_back(at: At) -> Twin:
    """What lies in a window, and its value, on all positions of the window."""
    return text_only(f"box_back({{0}}, {{1}}, {described(at, spatial(at), of=1)})")
