"""Encoders by halving: stages of k × k convolutions, each begun with stride 2, channels doubled."""

from __future__ import annotations

from rfcalc.plan.families import Family, Parameter, moving


def build(kernel: int, width: int, convs: int, stages: int) -> str:
    """The notation of an encoder with so many stages."""
    steps = []
    for i in range(stages):
        channels = width * 2**i
        steps.append(f"conv{kernel}-{channels}/2 relu")
        if convs > 1:
            steps.append(f"conv{kernel}-{channels} relu" + (f" x{convs - 1}" if convs > 2 else ""))
    return " > ".join(steps)


LARGER = moving(rf="+", size="+", weight_layers="0")
WIDER = moving(rf="0", size="+", weight_layers="0")
DEEPER = moving(rf="+", size="+", weight_layers="+")
LOWER = moving(rf="+", weights="+", params="+", macs="+", weight_layers="+")
FAMILY = Family(
    "pyramid",
    "stages of k × k convolutions, the first of each of stride 2, channels doubled",
    (1, 2, 3),
    (
        Parameter("kernel", "size of every kernel", (3, 5, 7), LARGER),
        Parameter("width", "channels of the first stage", (8, 16, 32, 64), WIDER),
        Parameter("convs", "convolutions in a stage", (1, 2, 3, 4), DEEPER),
        Parameter(
            "stages",
            "halvings",
            tuple(range(1, 7)),
            LOWER,
        ),
    ),
    build,
    "3x224x224",
)
