"""Operators that were not understood have no twin."""

from __future__ import annotations

from rfcalc.backend.twin import At, Twin, twin
from rfcalc.core.errors import Unsupported


@twin("unknown")
def unknown(at: At) -> Twin:
    raise Unsupported(
        f"the operator {at.layer.operator!r} was not understood, so that it cannot be built",
        fix="replace it by a layer that rfcalc knows",
    )
