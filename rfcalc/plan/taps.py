"""Kernels of which some taps are not used (masks, windows that begin with 0), along one axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from rfcalc.core.window import Slide, Table


def hull(indices: Sequence[Slide | Table]) -> Sequence[Slide | Table]:
    """One window from the first to the last tap of several that a kernel has along an axis (one a row); the windows
    themselves where they are no taps of one kernel.

    >>> hull([Slide(1, -1, 3), Slide(1, 1, 1)]) == [Slide(1, -1, 3)]
    True
    >>> hull([Table(1, [[0, 1, 3]])]) == [Slide(1, 0, 4)]
    True
    """
    taps = {t for index in indices for t in index.taps(0)}
    if any(index.period != 1 for index in indices) or len({(i.advance, i.border) for i in indices}) != 1 or not taps:
        return indices
    first, last = min(taps), max(taps)
    step = gcd(*(t - first for t in taps)) or 1
    return [Slide(indices[0].advance, first, (last - first) // step + 1, step, indices[0].border)]
