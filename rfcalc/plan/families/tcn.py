"""Temporal convolutional networks: causal residual blocks of two convolutions, dilations 1, b, b², …
(Bai, Kolter & Koltun 2018): F = 1 + 2(k − 1)·(bⁿ − 1)/(b − 1)."""

from __future__ import annotations

from rfcalc.plan.families import DesignFamily
from rfcalc.plan.families.dilated import numbers


def build(kernel: int, base: int, width: int, depth: int) -> str:
    """The notation of a stem of size 1 and causal residual blocks."""
    conv = f"conv{kernel}-{width} p({kernel - 1}*{base}**i):0 d({base}**i)"
    return f"conv1-{width} > (({conv} relu {conv} relu) + identity) relu x{depth}:i"


FAMILY = DesignFamily(
    "tcn",
    "causal residual blocks of two dilated convolutions, dilations 1, b, b², …",
    (1,),
    numbers("blocks", 20, {"kernel": "-", "base": "-", "depth": "-"}),
    build,
    "1x16000",
)
