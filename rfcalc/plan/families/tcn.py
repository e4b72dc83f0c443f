"""Temporal convolutional networks: causal residual blocks of two convolutions, dilations 1, b, b², …
(Bai, Kolter & Koltun 2018): F = 1 + 2(k − 1)·(bⁿ − 1)/(b − 1)."""

from __future__ import annotations

from rfcalc.plan.families import CONVEX, Family, Law, Parameter, laws, moving


def build(kernel: int, base: int, width: int, depth: int) -> str:
    """The notation of a stem of size 1 and causal residual blocks."""
    conv = f"conv{kernel}-{width} p({kernel - 1}*{base}**i):0 d({base}**i)"
    return f"conv1-{width} > (({conv} relu {conv} relu) + identity) relu x{depth}:i"


LARGER = moving(
    rf="+", size="+", weight_layers="0", count="0", saved_bytes=""
)  # unequal sides are padded in a map of their own
FASTER = moving(rf="+", size="0", weight_layers="0", count="0", saved_bytes="")
WIDER = moving(rf="0", size="+", weight_layers="0", count="0", holes="0")
WIDTHS = laws(costs=2, values=1, bytes=1, peak_bytes=CONVEX)
DEEPER = moving(rf="+", size="+", weight_layers="+", count="+", saved_bytes="")
DEPTHS = laws(costs=1, values=1, bytes=1, weight_layers=1, count=1, peak_bytes=Law(0, 2))
FAMILY = Family(
    "tcn",
    "causal residual blocks of two dilated convolutions, dilations 1, b, b², …",
    (1,),
    (
        Parameter("kernel", "size of every kernel", (2, 3, 5, 7), LARGER, touches=("kernel", "padding")),
        Parameter("base", "factor of the dilations", (2, 3, 4, 5), FASTER, touches=("dilation", "padding")),
        Parameter("width", "channels", (8, 16, 32, 64, 128, 256), WIDER, WIDTHS, ("out_channels",)),
        Parameter("depth", "blocks", tuple(range(1, 21)), DEEPER, DEPTHS),
    ),
    build,
    "1x16000",
)
