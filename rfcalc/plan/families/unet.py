"""U-Nets that keep the size: an encoder by halving, a decoder by transposed convolutions, skips between them."""

from __future__ import annotations

from rfcalc.plan.families import WIDER, WIDTHS, DesignFamily, FamilyParameter, laws, moving


def build(kernel: int, width: int, convs: int, depth: int) -> str:
    """The notation of a U-Net with so many levels below the first."""

    def level(left: int, channels: int) -> str:
        steps = f"(conv{kernel}-{channels} relu) x{convs}" if convs > 1 else f"conv{kernel}-{channels} relu"
        if not left:
            return steps
        below = level(left - 1, 2 * channels)
        return f"{steps} > (identity | (maxpool2 > {below} > convt2-{channels}/2)) > {steps}"

    return level(depth, width)


LARGER = moving(stride="0", rf="+", size="+", weight_layers="0", count="0", saved_bytes="", holes="0")
DEEPER = moving(stride="0", rf="+", size="+", weight_layers="+", count="+", holes="0", output="0")
DEPTHS = laws(costs=1, weight_layers=1, count=1)
FAMILY = DesignFamily(
    "unet",
    "an encoder by max pooling, a decoder by transposed convolutions, skips, sizes kept",
    (1, 2, 3),
    (
        FamilyParameter("kernel", "size of every kernel", (3, 5), LARGER, touches=("kernel", "padding")),
        FamilyParameter("width", "channels of the first level", (8, 16, 32, 64), WIDER, WIDTHS, ("out_channels",)),
        FamilyParameter("convs", "convolutions at each level, on either side", (1, 2, 3), DEEPER, DEPTHS),
        FamilyParameter("depth", "levels below the first", tuple(range(1, 7)), {**DEEPER, "runs": "-"}),
    ),
    build,
    "1x256x256",
)
