"""A third road to the keys of exercises: the closed formulas of `exercise_sums`, from layer parameters only.

It shares nothing with rfcalc's rules (which the keys come from) nor with the counting that confirms them.
"""

from __future__ import annotations

from exercise_sums import Sums

import rfcalc
from rfcalc.core.shape import Shape


class Keys(Sums):
    """The figures of a network that rfcalc reads, on one input."""

    def __init__(self, target: str, shape: str) -> None:
        super().__init__(rfcalc.load(target), Shape.parse(shape).dims)
