"""LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE): as published, and the copy that tutorials make of it.

As published C3's maps see 3, 4 or 6 of S2's (Table I), subsampling has a trainable coefficient and bias for each map,
and the output compares F6 with ten fixed bitmaps (Euclidean radial basis functions). "Connections" count biases too.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import RBF, Linear
from rfcalc.layers.pointwise import Activation
from rfcalc.layers.pool import AvgPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family

CITATION = "LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document Recognition, Proc. IEEE 1998"

# Table I: which maps of S2 each map of C3 sees.
_ROWS = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"
C3 = tuple(tuple(map(int, row)) for row in _ROWS.split())
TITLES = {
    "lenet5": "LeNet-5 as published: partial C3, trainable subsampling, RBF output",
    "lenet5-modern": "LeNet-5 as tutorials copy it: full C3, max pooling, three fully connected layers",
}


def build(name: str, *, classes: int = 10, channels: int = 1, top: bool = True) -> Network:
    """A LeNet-5 for characters of 32×32.

    Args:
        name: ``lenet5`` or ``lenet5-modern``.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether the layers after S4 are there.
    """
    made = _published(classes, top) if name == "lenet5" else _modern(classes, top)
    return Network(made, f"{channels}x32x32", name=name, title=TITLES[name], citation=CITATION)


def _published(classes: int, top: bool) -> Expr:
    squash = Activation("tanh")

    def subsampling(name: str) -> list[Expr]:
        return [AvgPool(2, trainable=True).named(name), squash.named(f"tanh_{name}")]

    features: list[Expr] = [
        Conv(6, 5).named("C1"),
        squash.named("tanh_C1"),
        *subsampling("S2"),
        Conv(16, 5, table=C3).named("C3"),
        squash.named("tanh_C3"),
        *subsampling("S4"),
    ]
    head: list[Expr] = [
        Conv(120, 5).named("C5"),
        squash.named("tanh_C5"),
        Flatten().named("flatten"),
        Linear(84).named("F6"),
        squash.named("tanh_F6"),
        RBF(classes).named("output"),
    ]
    parts = [series(features).stage("features")]
    return series([*parts, series(head).stage("classifier")] if top else parts)


def _modern(classes: int, top: bool) -> Expr:
    relu = Activation("relu")
    features: list[Expr] = []
    for i, width in enumerate((6, 16), 1):
        features += [Conv(width, 5).named(f"conv{i}"), relu.named(f"relu{i}"), MaxPool(2).named(f"pool{i}")]
    head: list[Expr] = [Flatten().named("flatten"), Linear(120).named("fc1"), relu.named("relu3")]
    head += [Linear(84).named("fc2"), relu.named("relu4"), Linear(classes).named("fc3")]
    parts = [series(features).stage("features")]
    return series([*parts, series(head).stage("classifier")] if top else parts)


FAMILY = Family("LeNet", tuple(Entry(n, t, CITATION, partial(build, n)) for n, t in TITLES.items()))
