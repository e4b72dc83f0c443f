"""U-Nets for volumes whose axes differ, after nnU-Net's rule (Isensee et al. 2021): an axis is halved from level to
level as long as at least four positions are left, and its spacing is within a factor of 2 of the finest that can be
halved; an axis that is not, is pooled by 1. Kernels are 1 along an axis until its spacing is within that factor."""

from __future__ import annotations

from rfcalc.plan.families import WIDER, WIDTHS, DesignFamily, FamilyParameter, laws, moving

LEAST = 4  # positions that are left of an axis at the lowest level


def build(spacing: int, width: int, convs: int, depth: int, shape: tuple[int, ...]) -> str:
    """The notation for a patch of these sizes, whose first axis is so many times coarser than the others."""

    def level(left: int, channels: int, sizes: tuple[int, ...], apart: tuple[int, ...], kernel: tuple[int, ...]) -> str:
        kernel = tuple(3 if k == 3 or a < 2 * min(apart) else 1 for k, a in zip(kernel, apart, strict=True))
        conv = f"conv{'x'.join(map(str, kernel)) if 1 in kernel else 3}-{channels} relu"
        steps = f"({conv}) x{convs}" if convs > 1 else conv
        halved = [n % 2 == 0 and n // 2 >= LEAST for n in sizes]
        finest = min((a for a, fits in zip(apart, halved, strict=True) if fits), default=0)
        pools = tuple(2 if fits and a < 2 * finest else 1 for a, fits in zip(apart, halved, strict=True))
        if not left or max(pools) == 1:
            return steps
        by = "x".join(map(str, pools))
        smaller = tuple(n // p for n, p in zip(sizes, pools, strict=True))
        coarser = tuple(a * p for a, p in zip(apart, pools, strict=True))
        below = level(left - 1, 2 * channels, smaller, coarser, kernel)
        return f"{steps} > (identity | (maxpool{by}/{by} > {below} > convt{by}-{channels}/{by})) > {steps}"

    return level(depth, width, shape, (spacing, *[1] * (len(shape) - 1)), (1,) * len(shape))


DEEPER = moving(stride="0", rf="+", size="+", weight_layers="+", count="+", holes="0", output="0")
DEPTHS = laws(costs=1, weight_layers=1, count=1)
FAMILY = DesignFamily(
    "volume",
    "U-Nets for volumes: pools per axis as long as four positions are left and spacings are alike",
    (3,),
    (
        FamilyParameter(
            "spacing", "how many times coarser the first axis is", (1,), touches=("kernel", "padding", "stride")
        ),
        FamilyParameter("width", "channels of the first level", (8, 16, 32), WIDER, WIDTHS, ("out_channels",)),
        FamilyParameter("convs", "convolutions at each level, on either side", (1, 2, 3), DEEPER, DEPTHS),
        FamilyParameter("depth", "levels below the first", tuple(range(1, 7)), DEEPER),
    ),
    build,
    "1x32x128x128",
)
