"""ZFNet (Zeiler & Fergus 2013, arXiv:1311.2901), Figure 3: AlexNet with a 7×7 stride-2 first layer, in one tower.

The figure's sizes, 224 → 110 → 55 → 26 → 13 → 6, come out with padding 1 on conv1, pool1 and pool2, none on conv2.
"""

from __future__ import annotations

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.norm import LRN
from rfcalc.layers.pointwise import Dropout, ReLU
from rfcalc.layers.pool import MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family

CITATION = "Zeiler & Fergus, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901"
TITLE = "ZFNet, Figure 3"

# Channels, kernel, stride, padding of each convolution; padding of the pool after it; whether LRN follows.
LAYERS: tuple[tuple[int, int, int, int, int | None, bool], ...] = (
    (96, 7, 2, 1, 1, True),
    (256, 5, 2, 0, 1, True),
    (384, 3, 1, 1, None, False),
    (384, 3, 1, 1, None, False),
    (256, 3, 1, 1, 0, False),
)


def build(*, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """ZFNet for images of 224×224.

    Args:
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether the classifier is there.
    """
    parts: list[Expr] = []
    for i, (width, kernel, stride, padding, pool, norm) in enumerate(LAYERS, 1):
        items: list[Expr] = [
            Conv(width, kernel, stride=stride, padding=padding).named(f"conv{i}"),
            ReLU().named(f"relu{i}"),
        ]
        if pool is not None:
            items.append(MaxPool(3, 2, padding=pool).named(f"pool{i}"))
        if norm:
            items.append(LRN(5).named(f"norm{i}"))
        parts.append(series(items).stage(f"layer {i}"))
    if top:
        head: list[Expr] = [Flatten().named("flatten")]
        for i, layer in enumerate((Linear(4096, in_features=256 * 6 * 6), Linear(4096)), 6):
            head += [layer.named(f"fc{i}"), ReLU().named(f"relu{i}"), Dropout(0.5).named(f"drop{i}")]
        parts.append(series([*head, Linear(classes).named("fc8")]).stage("classifier"))
    return Network(series(parts), f"{channels}x224x224", name="zfnet", title=TITLE, citation=CITATION)


FAMILY = Family("ZFNet", (Entry("zfnet", TITLE, CITATION, build),))
