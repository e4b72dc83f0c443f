"""Stacks of k × k convolutions of stride 1: F = 1 + n·(k − 1)."""

from __future__ import annotations

from rfcalc.plan.families import AREA, WIDER, WIDTHS, DesignFamily, FamilyParameter, Law, laws, moving


def build(kernel: int, width: int, depth: int) -> str:
    """The notation of a stack."""
    return f"conv{kernel}-{width} relu" + (f" x{depth}" if depth > 1 else "")


LARGER = moving(stride="0", rf="+", size="+", weight_layers="0", count="0", holes="0", saved_bytes="")
KERNELS = laws(costs=AREA, receptive_field=1)
DEEPER = moving(
    stride="0", rf="+", size="+", weight_layers="+", count="+", holes="0", before="0", center="+", output="0"
)
DEPTHS = laws(rf=1, center=1, costs=1, values=1, bytes=1, weight_layers=1, count=1, saved_bytes=1, peak_bytes=Law(0, 2))
FAMILY = DesignFamily(
    "stack",
    "k × k convolutions of stride 1, one after another, a ReLU after each",
    (1, 2, 3),
    (
        FamilyParameter("kernel", "size of every kernel", (3, 5, 7, 9, 11), LARGER, KERNELS, ("kernel", "padding")),
        FamilyParameter("width", "channels", (8, 16, 32, 64, 128, 256), WIDER, WIDTHS, ("out_channels",)),
        FamilyParameter("depth", "layers", tuple(range(1, 257)), DEEPER, DEPTHS),
    ),
    build,
    "3x224x224",
)
