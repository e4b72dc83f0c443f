"""Encoders of equal strided convolutions behind a first one, such as wav2vec's: kernel and stride of the first by
themselves; F = k₁ + s₁·(k − 1)·(sⁿ − 1)/(s − 1)."""

from __future__ import annotations

from rfcalc.plan.families import AREA, WIDER, WIDTHS, DesignFamily, FamilyParameter, Law, laws, moving


def build(first: int, step: int, kernel: int, stride: int, width: int, depth: int) -> str:
    """The notation of a first convolution and so many equal ones."""

    def conv(k: int, s: int) -> str:
        return f"conv{k}-{width}{f'/{s}' if s > 1 else ''} relu"

    return f"{conv(first, step)} > {conv(kernel, stride)}" + (f" x{depth}" if depth > 1 else "")


# What backward keeps is not said where sides may become unequal: they are padded in a map of their own.
LARGER = moving(stride="0", rf="+", size="+", weight_layers="0", count="0", saved_bytes="")
COARSER = moving(
    stride="+",
    rf="+",
    center="+",
    size="-",
    weights="0",
    biases="0",
    params="0",
    buffers="0",
    weight_layers="0",
    count="0",
    saved_bytes="",
)
KERNELS = laws(costs=AREA, receptive_field=1)
DEEPER = moving(stride="+", rf="+", center="+", size="+", weight_layers="+", count="+", before="0", output="-")
DEPTHS = laws(weights=1, biases=1, params=1, trainable=1, weight_layers=1, count=1, peak_bytes=Law(0, 2))
FAMILY = DesignFamily(
    "strided",
    "a convolution with kernel and stride of its own, then equal ones with a stride, a ReLU after each",
    (1, 2, 3),
    (
        FamilyParameter("first", "size of the first kernel", (3, 5, 7, 10), LARGER, KERNELS, ("kernel", "padding")),
        FamilyParameter("step", "stride of the first", (1, 2, 4, 5), COARSER, touches=("stride", "padding")),
        FamilyParameter("kernel", "size of the other kernels", (2, 3, 5), LARGER, KERNELS, ("kernel", "padding")),
        FamilyParameter("stride", "stride of the others", (1, 2, 3), COARSER, touches=("stride", "padding")),
        FamilyParameter("width", "channels", (8, 16, 32, 64, 128), WIDER, WIDTHS, ("out_channels",)),
        FamilyParameter("depth", "layers behind the first", tuple(range(1, 9)), DEEPER, DEPTHS),
    ),
    build,
    "3x224x224",
)
