"""FCN (Long, Shelhamer & Darrell 2014, arXiv:1411.4038), torchvision's: on a dilated ResNet, output stride 8."""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.resample import Upsample
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import unit
from rfcalc.zoo.deeplab import backbone

CITATION = "Long, Shelhamer & Darrell, Fully Convolutional Networks for Semantic Segmentation, arXiv:1411.4038"


def build(depth: int = 50, *, classes: int = 21, channels: int = 3) -> Network:
    """An FCN for images whose sides divide by 8.

    Args:
        depth: of the ResNet below.
        classes: maps of the scores.
        channels: channels of the input image.
    """
    scores = [
        unit("conv", Conv(512, 3, padding=1, bias=False)),
        Dropout(0.1).named("dropout"),
        Conv(classes, 1).named("scores"),
        Upsample(8, mode="bilinear").named("output"),
    ]
    name, title = _named(depth)
    parts = [*backbone(depth), series(scores).stage("head")]
    return Network(series(parts), f"{channels}x520x520", name=name, title=title, citation=CITATION)


def _named(depth: int) -> tuple[str, str]:
    return f"fcn-resnet{depth}", f"FCN on a dilated ResNet-{depth}, torchvision's"


FAMILY = Family("FCN", tuple(Entry(*_named(d), CITATION, partial(build, d)) for d in (50, 101)))
