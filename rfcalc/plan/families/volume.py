"""U-Nets for volumes whose axes differ, after nnU-Net's rule (Isensee et al. 2021): an axis is halved from level to
level as long as at least four positions are left; an axis that is not, is pooled by 1."""

from __future__ import annotations

from rfcalc.plan.families import CONVEX, Family, Parameter, laws, moving

LEAST = 4  # positions that are left of an axis at the lowest level


def build(width: int, convs: int, depth: int, shape: tuple[int, ...]) -> str:
    """The notation for a patch of these sizes."""

    def level(left: int, channels: int, sizes: tuple[int, ...]) -> str:
        steps = f"(conv3-{channels} relu) x{convs}" if convs > 1 else f"conv3-{channels} relu"
        pools = tuple(2 if n % 2 == 0 and n // 2 >= LEAST else 1 for n in sizes)
        if not left or max(pools) == 1:
            return steps
        by = "x".join(map(str, pools))
        below = level(left - 1, 2 * channels, tuple(n // p for n, p in zip(sizes, pools, strict=True)))
        return f"{steps} > (identity | (maxpool{by}/{by} > {below} > convt{by}-{channels}/{by})) > {steps}"

    return level(depth, width, shape)


WIDER = moving(rf="0", size="+", weight_layers="0", count="0", holes="0")
WIDTHS = laws(costs=2, values=1, bytes=1, peak_bytes=CONVEX)
DEEPER = moving(rf="+", size="+", weight_layers="+", count="+")
DEPTHS = laws(costs=1, weight_layers=1, count=1)
FAMILY = Family(
    "volume",
    "U-Nets for volumes: pools per axis as long as four positions are left",
    (3,),
    (
        Parameter("width", "channels of the first level", (8, 16, 32), WIDER, WIDTHS, ("out_channels",)),
        Parameter("convs", "convolutions at each level, on either side", (1, 2, 3), DEEPER, DEPTHS),
        Parameter("depth", "levels below the first", tuple(range(1, 7)), DEEPER),
    ),
    build,
    "1x32x128x128",
)
