"""Feature Pyramid Network (Lin et al. 2016, arXiv:1612.03144) on a ResNet.

Lateral 1×1 convolutions bring C2 … C5 to 256 channels; each level is summed with the next coarser one, enlarged to
twice the size (nearest); a 3×3 convolution smooths every sum (also the coarsest map): P2 … P5. P6 is P5 at half the
size. The ``-three`` variant smooths only the three sums. Each level has anchors of one area and three aspect ratios.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add
from rfcalc.layers.pool import MaxPool
from rfcalc.layers.resample import Upsample
from rfcalc.zoo import Entry, Family
from rfcalc.zoo.resnet import DEPTHS, STAGES, ResidualStyle, stages, stem

CITATION = "Lin, Dollár, Girshick, He, Hariharan & Belongie, Feature Pyramid Networks, arXiv:1612.03144"

WIDTH = 256
# §4.1: the side of the square anchor of each level, and the aspect ratios of its three anchors.
ANCHORS = {"P2": 32, "P3": 64, "P4": 128, "P5": 256, "P6": 512}
RATIOS = ("1:2", "1:1", "2:1")


def neck(width: int = WIDTH, three: bool = False) -> Expr:
    """The pyramid over C2 … C5 (stages of a ResNet)."""
    lateral = [(ref(STAGES[i]) >> Conv(width, 1).named(f"lateral{i + 2}")) for i in range(4)]
    down: list[Expr] = [lateral[3]]
    for i in (2, 1, 0):
        sides = [Upsample(2).named(f"up{i + 2}"), lateral[i]]
        down.append(parallel(sides, Add()).named(f"M{i + 2}"))
    top = ref("lateral5").named("P5") if three else ref("lateral5") >> Conv(width, 3, padding=1).named("P5")
    smooth = [ref(f"M{i}") >> Conv(width, 3, padding=1).named(f"P{i}") for i in (4, 3, 2)]
    last = ref("P5") >> MaxPool(1, 2).named("P6")
    return series([series(down).stage("top-down"), series([top, *smooth, last]).stage("pyramid")])


def build(depth: int, three: bool = False, *, channels: int = 3, width: int = WIDTH) -> Network:
    """A feature pyramid for images whose sides divide by 32.

    Args:
        depth: of the ResNet below (torchvision's).
        three: whether only the three sums are smoothed.
        channels: channels of the input image.
        width: channels of the pyramid.
    """
    kind, counts = DEPTHS[depth]
    body = [stem(), *stages(kind, counts, ResidualStyle())]
    name, title = _named(depth, three)
    return Network(
        series([*body, neck(width, three)]),
        f"{channels}x800x1312",
        outputs=("P2", "P3", "P4", "lateral5" if three else "P5", "P6"),
        name=name,
        title=title,
        citation=CITATION,
    )


def _named(depth: int, three: bool) -> tuple[str, str]:
    told = ", smoothing the three sums only" if three else ", P2 to P6"
    return f"fpn-resnet{depth}" + ("-three" if three else ""), f"FPN on ResNet-{depth}{told}"


FAMILY = Family(
    "FPN",
    tuple(
        Entry(*_named(depth, three), CITATION, partial(build, depth, three))
        for depth in (18, 50, 101)
        for three in (False, True)
    ),
)
