"""PatchGAN discriminators (Isola et al. 2017): conv4 of stride 2, n of them, then two of stride 1; 70 for n = 3."""

from __future__ import annotations

from rfcalc.plan.families import WIDER, WIDTHS, DesignFamily, FamilyParameter, moving


def build(width: int, depth: int) -> str:
    """The notation of a discriminator with so many strided layers."""
    steps = [f"conv4-{width}/2 p1 leaky_relu"]
    steps += [f"conv4-{width * min(2**i, 8)}/2 p1 nobias bn leaky_relu" for i in range(1, depth)]
    steps += [f"conv4-{width * min(2**depth, 8)} p1 nobias bn leaky_relu", "conv4-1 p1"]
    return " > ".join(steps)


DEEPER = moving(
    stride="+",
    rf="+",
    center="+",
    biases="+",
    buffers="+",
    params="+",
    weights="+",
    weight_layers="+",
    count="+",
    holes="0",
    runs="-",
)
FAMILY = DesignFamily(
    "patchgan",
    "4 × 4 convolutions of stride 2, then two of stride 1: every output judges a patch",
    (2,),
    (
        FamilyParameter("width", "channels of the first layer", (16, 32, 64, 128), WIDER, WIDTHS, ("out_channels",)),
        FamilyParameter("depth", "layers of stride 2", tuple(range(1, 7)), DEEPER, touches=("out_channels",)),
    ),
    build,
    "3x256x256",
)
