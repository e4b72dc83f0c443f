"""Hybrid dilations (Wang et al. 2018, HDC): cycles of three layers with dilations 1, a, b.

F = 1 + n·(k − 1)·(1 + a + b).
"""

from __future__ import annotations

from rfcalc.plan.families import AREA, WIDER, WIDTHS, DesignFamily, FamilyParameter, Law, laws, moving


def build(kernel: int, second: int, third: int, width: int, cycles: int) -> str:
    """The notation of so many cycles."""
    conv = f"conv{kernel}-{width}"
    cycle = f"({conv} relu {conv} d{second} relu {conv} d{third} relu)"
    return cycle + (f" x{cycles}" if cycles > 1 else "")


# What backward keeps is not said where sides may become unequal: they are padded in a map of their own.
LARGER = moving(stride="0", rf="+", size="+", weight_layers="0", count="0", saved_bytes="")
FASTER = moving(stride="0", rf="+", size="0", weight_layers="0", count="0", saved_bytes="")
MORE = moving(stride="0", rf="+", center="+", size="+", weight_layers="+", count="+", holes="-", before="0", output="0")
KERNELS = laws(costs=AREA, receptive_field=1)
CYCLES = laws(rf=1, center=1, costs=1, values=1, bytes=1, weight_layers=1, count=1, saved_bytes=1, peak_bytes=Law(0, 1))
DILATIONS = laws(receptive_field=1)
SPREAD = ("dilation", "padding")
FAMILY = DesignFamily(
    "hybrid",
    "cycles of three k × k convolutions of stride 1 with dilations 1, a, b, a ReLU after each",
    (1, 2, 3),
    (
        FamilyParameter("kernel", "size of every kernel", (2, 3, 5), LARGER, KERNELS, ("kernel", "padding")),
        FamilyParameter("second", "dilation of the second layer of a cycle", (2, 3, 4), FASTER, DILATIONS, SPREAD),
        FamilyParameter("third", "dilation of the third layer of a cycle", (3, 4, 5, 7, 9), FASTER, DILATIONS, SPREAD),
        FamilyParameter("width", "channels", (8, 16, 32, 64, 128, 256), WIDER, WIDTHS, ("out_channels",)),
        FamilyParameter("cycles", "cycles", tuple(range(1, 33)), MORE, CYCLES),
    ),
    build,
    "3x224x224",
)
