"""AlexNet (Krizhevsky, Sutskever & Hinton 2012), in four readings.

The paper's two towers are convolutions in two groups (conv2, conv4, conv5 see the maps of their own GPU); LRN stands
before the pools. CS231n's reading has one tower and LRN after the pools. Torchvision's and TensorFlow-Slim's are the
one-tower network of arXiv:1404.5997, without LRN. The paper's "224" does not divide: 227 gives the 55×55 maps.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.norm import LRN
from rfcalc.layers.pointwise import Dropout, ReLU
from rfcalc.layers.pool import AdaptivePool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family

CITATION = "Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012"
ONE_TOWER = "Krizhevsky, One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997"


class AlexNetReading(NamedTuple):
    """Image side, channels of conv1 … conv5, groups of each, padding of conv1, where LRN stands, the classifier."""

    title: str
    citation: str
    side: int
    widths: tuple[int, ...]
    groups: tuple[int, ...]
    padding: int
    lrn: str
    head: str


READINGS = {
    "alexnet": AlexNetReading(
        "AlexNet as published: two towers, LRN", CITATION, 227, (96, 256, 384, 384, 256), (1, 2, 1, 2, 2), 0,
        "before pool", "fc",
    ),
    "alexnet-cs231n": AlexNetReading(
        "AlexNet as CS231n tells it: one tower, LRN after the pools", CITATION, 227, (96, 256, 384, 384, 256),
        (1, 1, 1, 1, 1), 0, "after pool", "fc",
    ),
    "alexnet-torchvision": AlexNetReading(
        "AlexNet, torchvision's: one tower, no LRN", ONE_TOWER, 224, (64, 192, 384, 256, 256), (1, 1, 1, 1, 1), 2,
        "", "adaptive",
    ),
    "alexnet-slim": AlexNetReading(
        "AlexNet, TensorFlow-Slim's alexnet_v2: fully convolutional", ONE_TOWER, 224, (64, 192, 384, 384, 256),
        (1, 1, 1, 1, 1), 0, "", "dense",
    ),
}  # fmt: skip
KERNELS = (11, 5, 3, 3, 3)


TORCH = ((r"(conv|relu|pool)[1-5]", "features.#"), (r"(drop|fc|relu)[6-8]", "classifier.#"))


def build(name: str, *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """An AlexNet.

    Args:
        name: a key of `READINGS`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether the classifier is there.
    """
    reading = READINGS[name]
    parts: list[Expr] = []
    for i, (width, kernel, groups) in enumerate(zip(reading.widths, KERNELS, reading.groups, strict=True), 1):
        conv = (
            Conv(width, kernel, stride=4, padding=reading.padding)
            if i == 1
            else Conv(width, kernel, padding=kernel // 2, groups=groups)
        )
        items: list[Expr] = [conv.named(f"conv{i}"), ReLU().named(f"relu{i}")]
        if i in (1, 2, 5):
            items.append(MaxPool(3, 2).named(f"pool{i}"))
        if i in (1, 2) and reading.lrn:
            items.insert(2 if reading.lrn == "before pool" else 3, LRN(5).named(f"norm{i}"))
        parts.append(series(items).stage(f"layer {i}"))
    if top:
        parts.append(_head(reading, classes).stage("classifier"))
    return Network(
        series(parts),
        f"{channels}x{reading.side}x{reading.side}",
        name=name,
        title=reading.title,
        citation=reading.citation,
        torch=Naming("alexnet", TORCH) if name == "alexnet-torchvision" else None,
    )


def _head(reading: AlexNetReading, classes: int) -> Expr:
    relus = [ReLU().named("relu6"), ReLU().named("relu7")]
    drops = [Dropout(0.5).named("drop6"), Dropout(0.5).named("drop7")]
    if reading.head == "dense":
        fc6, fc7, fc8 = Conv(4096, 5).named("fc6"), Conv(4096, 1).named("fc7"), Conv(classes, 1).named("fc8")
        return series([fc6, relus[0], drops[0], fc7, relus[1], drops[1], fc8])
    flat: list[Expr] = [Flatten().named("flatten")]
    fc = [Linear(4096, in_features=256 * 6 * 6).named("fc6"), Linear(4096).named("fc7"), Linear(classes).named("fc8")]
    if reading.head == "adaptive":  # torchvision drops out before fc6 and fc7
        flat.insert(0, AdaptivePool(6).named("avgpool"))
        return series([*flat, drops[0], fc[0], relus[0], drops[1], fc[1], relus[1], fc[2]])
    return series([*flat, fc[0], relus[0], drops[0], fc[1], relus[1], drops[1], fc[2]])


FAMILY = Family("AlexNet", tuple(Entry(n, r.title, r.citation, partial(build, n)) for n, r in READINGS.items()))
