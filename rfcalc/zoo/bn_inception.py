"""BN-Inception (Ioffe & Szegedy 2015, arXiv:1502.03167), Figure 5: GoogLeNet with batch normalisation, 5×5 as two 3×3.

The paper's first layer is separable with depth multiplier 8 (as in TensorFlow-Slim's ``inception_v2``); the Caffe
release that most ports follow has a plain 7×7, biases, and wider pool projections in 4c and 4d. Layers of stride 2 are
padded as their framework does, Slim's with SAME (the 7×7 on 224: 2 before and 3 behind). The figure's own numbers for
those two (128) do not sum to its 576 channels; 96 do, and that is what Slim has.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Concat
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.pool import AvgPool, GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import unit

CITATION = "Ioffe & Szegedy, Batch Normalization: Accelerating Deep Network Training, arXiv:1502.03167"

# #1×1, #3×3 reduce, #3×3, #double 3×3 reduce, #double 3×3, pool and its projection; no 1×1 where the stride is 2.
MODULES: dict[str, tuple[int | None, int, int, int, int, str, int | None]] = {
    "3a": (64, 64, 64, 64, 96, "avg", 32),
    "3b": (64, 64, 96, 64, 96, "avg", 64),
    "3c": (None, 128, 160, 64, 96, "max", None),
    "4a": (224, 64, 96, 96, 128, "avg", 128),
    "4b": (192, 96, 128, 96, 128, "avg", 128),
    "4c": (160, 128, 160, 128, 160, "avg", 96),
    "4d": (96, 128, 192, 160, 192, "avg", 96),
    "4e": (None, 128, 192, 192, 256, "max", None),
    "5a": (352, 192, 320, 160, 224, "avg", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}
CAFFE_PROJECTIONS = {"4c": 128, "4d": 128}
TITLES = {
    "bn-inception": "BN-Inception (TensorFlow-Slim's inception_v2): separable first layer",
    "bn-inception-caffe": "BN-Inception, the Caffe release: plain first layer, biases",
}


def _module(label: str, caffe: bool) -> Expr:
    one, reduce, three, reduce_double, double, pool, project = MODULES[label]
    if caffe:
        project = CAFFE_PROJECTIONS.get(label, project)
    stride = 2 if one is None else 1

    def layer(name: str, out: int, kernel: int, stride: int = 1) -> Expr:
        same = kernel // 2 if caffe or stride == 1 else "SAME"
        return unit(name, Conv(out, kernel, stride=stride, padding=same, bias=caffe))

    branches = [] if one is None else [layer("1x1", one, 1)]
    branches += [
        layer("3x3_reduce", reduce, 1) >> layer("3x3", three, 3, stride),
        layer("double3x3_reduce", reduce_double, 1)
        >> layer("double3x3_1", double, 3)
        >> layer("double3x3_2", double, 3, stride),
    ]
    if stride == 2:
        branches.append(_halving(caffe).named("pool"))
    else:
        kind = MaxPool(3, 1, padding=1) if pool == "max" else AvgPool(3, 1, padding=1)
        branches.append(kind.named("pool") >> layer("pool_proj", project or 0, 1))
    return parallel(branches, Concat()).named("output").block(label)


def _halving(caffe: bool) -> MaxPool:
    """A pool of stride 2: Caffe rounds up, TensorFlow pads so that ⌈n / 2⌉ units are left."""
    return MaxPool(3, 2, rounding="ceil") if caffe else MaxPool(3, 2, padding="SAME")


def build(name: str, *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """BN-Inception for images of 224×224 (any size fits).

    Args:
        name: a key of `TITLES`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    caffe = name.endswith("-caffe")
    first: list[Expr]
    if caffe:
        first = [unit("conv1", Conv(64, 7, stride=2, padding=3))]
    else:
        multiplier = min(64 // channels, 8)
        depthwise = Depthwise(7, stride=2, padding="SAME", multiplier=multiplier, bias=False)
        first = [depthwise.named("conv1_depthwise"), unit("conv1", Conv(64, 1, bias=False))]
    second = [unit("conv2_reduce", Conv(64, 1, bias=caffe)), unit("conv2", Conv(192, 3, padding=1, bias=caffe))]
    parts: list[Expr] = [
        series([*first, _halving(caffe).named("pool1")]).stage("conv1"),
        series([*second, _halving(caffe).named("pool2")]).stage("conv2"),
    ]
    parts += [_module(label, caffe).stage(f"inception {label[0]}") for label in MODULES]
    if top:
        head = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Dropout(0.2).named("dropout")]
        parts.append(series([*head, Linear(classes).named("fc")]).stage("classifier"))
    return Network(series(parts), f"{channels}x224x224", name=name, title=TITLES[name], citation=CITATION)


FAMILY = Family("BN-Inception", tuple(Entry(n, t, CITATION, partial(build, n)) for n, t in TITLES.items()))
