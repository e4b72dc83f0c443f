"""Networks side by side: exact ratios, what differs layer by layer, a family's own pairings, stacks that see as much.

>>> from rfcalc.comparison import compare
>>> compare("conv3-64 x2", "conv5-64", input="64x32x32")["weights"].against[0].ratio
Fraction(18, 25)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfcalc.comparison.comparison import Comparison as Comparison
    from rfcalc.comparison.comparison import compare as compare

_HOMES = {"Comparison": "comparison", "compare": "comparison"}


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'rfcalc.comparison' has no attribute {name!r}")
    value = getattr(import_module(f"rfcalc.comparison.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
