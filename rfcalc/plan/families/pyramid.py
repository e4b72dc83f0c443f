"""Encoders by halving: stages of k × k convolutions, each begun with stride 2, channels doubled."""

from __future__ import annotations

from rfcalc.plan.families import AREA, WIDER, WIDTHS, DesignFamily, FamilyParameter, laws, moving


def build(kernel: int, width: int, convs: int, stages: int) -> str:
    """The notation of an encoder with so many stages."""
    steps = []
    for i in range(stages):
        channels = width * 2**i
        steps.append(f"conv{kernel}-{channels}/2 relu")
        if convs > 1:
            steps.append(f"conv{kernel}-{channels} relu" + (f" x{convs - 1}" if convs > 2 else ""))
    return " > ".join(steps)


LARGER = moving(stride="0", rf="+", size="+", weight_layers="0", count="0", saved_bytes="", holes="0")
KERNELS = laws(costs=AREA, receptive_field=1)
DEEPER = moving(stride="0", rf="+", center="+", size="+", weight_layers="+", count="+", holes="0", output="0")
DEPTHS = laws(rf=1, center=1, costs=1, weight_layers=1, count=1)
LOWER = moving(stride="+", rf="+", center="+", size="+", weight_layers="+", count="+", holes="0", before="0")
FAMILY = DesignFamily(
    "pyramid",
    "stages of k × k convolutions, the first of each of stride 2, channels doubled",
    (1, 2, 3),
    (
        FamilyParameter("kernel", "size of every kernel", (3, 5, 7), LARGER, KERNELS, ("kernel", "padding")),
        FamilyParameter("width", "channels of the first stage", (8, 16, 32, 64), WIDER, WIDTHS, ("out_channels",)),
        FamilyParameter("convs", "convolutions in a stage", (1, 2, 3, 4), DEEPER, DEPTHS),
        FamilyParameter("stages", "halvings", tuple(range(1, 7)), LOWER),
    ),
    build,
    "3x224x224",
)
