"""The other inputs of a stream: which come along with the first one, and which are the same for all of it."""

from __future__ import annotations

from fractions import Fraction

from rfcalc.core.shape import Shape
from rfcalc.plan.blockers import RATES, Blocker


def along(name: str, x: Shape, leader: str, first: Shape, axis: int) -> tuple[int | None, Fraction, str] | Blocker:
    """The axis of an input that goes with the stream (None: it has none), how many of its positions come with one of
    the first input's, and what is assumed about it.

    >>> along("noise", Shape(1, 25600), "mel", Shape(80, 100), 0)
    (1, Fraction(256, 1), 'noise comes along with mel: 256 of its positions with 1')
    >>> along("speaker", Shape(192), "mel", Shape(80, 100), 0)
    (None, Fraction(1, 1), 'speaker is the same for the whole stream')
    >>> along("noise", Shape(1, 25601), "mel", Shape(80, 100), 0).why
    'its 25,601 positions do not go with the 100 of mel'
    """
    at = x.axes[axis if x.rank == first.rank else -1] if x.rank else None
    if at is None or x.dims[at] == 1:
        return None, Fraction(1), f"{name} is the same for the whole stream"
    length, own = int(first.dims[first.axes[axis]]), int(x.dims[at])
    rate = Fraction(own, length)
    if 1 not in (rate.numerator, rate.denominator):
        return Blocker(name, f"its {own:,} positions do not go with the {length:,} of {leader}", RATES)
    return at, rate, f"{name} comes along with {leader}: {rate.numerator:,} of its positions with {rate.denominator:,}"
