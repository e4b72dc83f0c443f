"""What one unit really sees: its interval cut to the real positions of every map on the way, not of the image alone."""

from __future__ import annotations

from rfcalc.explain.model import Section
from rfcalc.sight import Sight


def unit_sections(sight: Sight, unit: tuple[int, ...]) -> tuple[Section, ...]:
    """The way back from a unit, map by map, with the padding cut away.

    Raises:
        RfcalcError: there is no such unit; a size is not a number.
    """
    raise NotImplementedError
