"""Units and pixels as users name them: one number on one axis, numbers of NumPy; what is no place is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rfcalc

LINE = rfcalc.receptive_field("conv3-4 > conv3-4", input="3x100")
MAP = rfcalc.receptive_field("conv3-4 > conv3-4", input="3x20x20")
ASKED = ("unit", "interval", "effective_field", "reached_by")


@pytest.mark.parametrize("asked", ASKED)
def test_one_number_is_a_place_on_one_axis(asked: str) -> None:
    ask = getattr(LINE, asked)
    assert str(ask(5)) == str(ask(np.int64(5))) == str(ask((5,))) == str(ask([5]))
    ask = getattr(MAP, asked)
    assert str(ask(np.array([3, 4]))) == str(ask((3, 4)))


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("given", [7, (3,), (1, 2, 3), (99, 1), (-1, 0), ("a", 1), (1.5, 1), (1, True), None])
def test_what_is_no_place_is_told(asked: str, given: Any) -> None:
    if given is None and asked == "effective_field":
        return  # the middle one
    with pytest.raises(rfcalc.RfcalcError, match=r"there is no (unit|pixel)|is no place in a map"):
        getattr(MAP, asked)(given)
