"""Stacks of k × k convolutions of stride 1: F = 1 + n·(k − 1)."""

from __future__ import annotations

from rfcalc.plan.families import Family, Parameter, moving


def build(kernel: int, width: int, depth: int) -> str:
    """The notation of a stack."""
    return f"conv{kernel}-{width} relu" + (f" x{depth}" if depth > 1 else "")


LARGER = moving(rf="+", size="+", weight_layers="0")
WIDER = moving(rf="0", size="+", weight_layers="0")
DEEPER = moving(rf="+", size="+", weight_layers="+")
FAMILY = Family(
    "stack",
    "k × k convolutions of stride 1, one after another, a ReLU after each",
    (1, 2, 3),
    (
        Parameter("kernel", "size of every kernel", (3, 5, 7, 9, 11), LARGER),
        Parameter("width", "channels", (8, 16, 32, 64, 128, 256), WIDER),
        Parameter("depth", "layers", tuple(range(1, 257)), DEEPER),
    ),
    build,
    "3x224x224",
)
