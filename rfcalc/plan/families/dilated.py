"""Dilated stacks, dilations 1, b, b², …: F = 1 + (k − 1)·(bⁿ − 1)/(b − 1); without holes where b ≤ k."""

from __future__ import annotations

from rfcalc.plan.families import AREA, WIDER, WIDTHS, DesignFamily, FamilyParameter, Law, Sign, laws, moving


def build(kernel: int, base: int, width: int, depth: int) -> str:
    """The notation of a stack whose dilations grow by a factor."""
    return f"conv{kernel}-{width} d({base}**i) relu x{depth}:i"


def numbers(what: str, most: int, center: dict[str, Sign]) -> tuple[FamilyParameter, ...]:
    """The numbers of networks whose dilations grow by a factor, of at most so many layers or blocks, and how
    the centre moves with kernels, dilations and layers."""
    # What backward keeps is not said where sides may become unequal: they are padded in a map of their own.
    larger = moving(
        stride="0", rf="+", center=center.get("kernel", ""), size="+", weight_layers="0", count="0", saved_bytes=""
    )
    faster = moving(
        stride="0", rf="+", center=center.get("base", ""), size="0", weight_layers="0", count="0", saved_bytes=""
    )
    deeper = moving(
        stride="0",
        rf="+",
        center=center.get("depth", ""),
        size="+",
        weight_layers="+",
        count="+",
        before="0",
        output="0",
    )
    kernels = laws(costs=AREA, receptive_field=1)
    depths = laws(costs=1, values=1, bytes=1, weight_layers=1, count=1, peak_bytes=Law(0, 2))
    return (
        FamilyParameter("kernel", "size of every kernel", (2, 3, 5, 7), larger, kernels, ("kernel", "padding")),
        FamilyParameter("base", "factor of the dilations", (2, 3, 4, 5), faster, touches=("dilation", "padding")),
        FamilyParameter("width", "channels", (8, 16, 32, 64, 128, 256), WIDER, WIDTHS, ("out_channels",)),
        FamilyParameter("depth", what, tuple(range(1, most + 1)), deeper, depths),
    )


FAMILY = DesignFamily(
    "dilated",
    "k × k convolutions of stride 1 with dilations 1, b, b², …, a ReLU after each",
    (1, 2, 3),
    numbers("layers", 24, {"depth": "+"}),
    build,
    "3x224x224",
)
