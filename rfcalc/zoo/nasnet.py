"""NASNet-A (Zoph, Vasudevan, Shlens & Le 2017, arXiv:1707.07012): the cells found on CIFAR-10, stacked for ImageNet.

As released in TensorFlow-Slim, with padding SAME: mobile (4 @ 1056) and large (6 @ 4032). A cell reads the outputs of
the two cells before it; an auxiliary head is not there.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.core.layer import Layer
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Add, Concat
from rfcalc.layers.pool import AvgPool, GlobalPool, MaxPool
from rfcalc.layers.resample import Pad
from rfcalc.layers.reshape import Flatten
from rfcalc.layers.slice import Slice
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import NORM, RELU

CITATION = (
    "Zoph, Vasudevan, Shlens & Le, Learning Transferable Architectures for Scalable Image Recognition, arXiv:1707.07012"
)

# Side of the image, filters of the stem, cells of a stack, filters before the classifier.
SIZES = {"mobile": (224, 32, 4, 1056), "large": (331, 96, 6, 4032)}


class _Map(NamedTuple):
    """A node's output: its name, its channels, by how much the image is reduced."""

    name: str
    channels: int
    reduced: int


class _Builder:
    """Nodes by name, each with what it reads, stage by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, list[Expr]] = {}
        self.last = "input"

    def stage(self, name: str) -> None:
        self.stages[name] = []

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        items = self.stages[next(reversed(self.stages))]
        if len(inputs) > 1:
            items.append(parallel([ref(one) for one in inputs], layer).named(name))
        else:
            items += [*(ref(one) for one in inputs if one != self.last), layer.named(name)]
        self.last = name
        return name

    def convolved(self, name: str, x: str, filters: int) -> str:
        """ReLU, 1×1 convolution, normalisation."""
        x = self.add(f"{name}.conv", Conv(filters, 1, bias=False), self.add(f"{name}.relu", RELU, x))
        return self.add(f"{name}.bn", NORM, x)

    def separable(self, name: str, x: str, filters: int, kernel: int, stride: int = 1) -> str:
        """Twice ReLU, separable convolution, normalisation; the first has the stride."""
        for i, step in ((1, stride), (2, 1)):
            x = self.add(f"{name}.relu{i}", RELU, x)
            x = self.add(f"{name}.dw{i}", Depthwise(kernel, stride=step, padding="SAME", bias=False), x)
            x = self.add(f"{name}.pw{i}", Conv(filters, 1, bias=False), x)
            x = self.add(f"{name}.bn{i}", NORM, x)
        return x

    def adjusted(self, name: str, before: _Map | None, x: _Map, filters: int) -> str:
        """The output of the cell before the last, with the last one's size and this one's channels; where there is
        none, the last one's as it is.
        """
        if before is None:
            return x.name
        if before.reduced != x.reduced:  # a factorised reduction: two paths, one of them shifted by a pixel
            p = self.add(f"{name}.relu", RELU, before.name)
            a = self.add(f"{name}.pool1", AvgPool(1, 2), p)
            a = self.add(f"{name}.conv1", Conv(filters // 2, 1, bias=False), a)
            b = self.add(f"{name}.pad", Pad(((0, 1), (0, 1))), p)
            for axis in (1, 2):
                b = self.add(f"{name}.shift{axis}", Slice(axis, 1), b)
            b = self.add(f"{name}.pool2", AvgPool(1, 2), b)
            b = self.add(f"{name}.conv2", Conv(filters - filters // 2, 1, bias=False), b)
            return self.add(f"{name}.bn", NORM, self.add(f"{name}.concat", Concat(), a, b))
        return before.name if before.channels == filters else self.convolved(name, before.name, filters)

    def normal(self, name: str, before: _Map | None, x: _Map, filters: int) -> _Map:
        p = self.adjusted(f"{name}.adjust", before, x, filters)
        h = self.convolved(f"{name}.reduce", x.name, filters)
        pool = partial(AvgPool, 3, 1, padding="SAME")
        pairs = [
            (self.separable(f"{name}.left1", h, filters, 5), self.separable(f"{name}.right1", p, filters, 3)),
            (self.separable(f"{name}.left2", p, filters, 5), self.separable(f"{name}.right2", p, filters, 3)),
            (self.add(f"{name}.left3", pool(), h), p),
            (self.add(f"{name}.left4", pool(), p), self.add(f"{name}.right4", pool(), p)),
            (self.separable(f"{name}.left5", h, filters, 3), h),
        ]
        sums = [self.add(f"{name}.add{i}", Add(), *pair) for i, pair in enumerate(pairs, 1)]
        return _Map(self.add(f"{name}.concat", Concat(), p, *sums), 6 * filters, x.reduced)

    def reduction(self, name: str, before: _Map | None, x: _Map, filters: int) -> _Map:
        p = self.adjusted(f"{name}.adjust", before, x, filters)
        h = self.convolved(f"{name}.reduce", x.name, filters)

        def pooled(part: str, kind: type[MaxPool] | type[AvgPool]) -> str:
            return self.add(f"{name}.{part}", kind(3, 2, padding="SAME"), h)

        first = (
            self.separable(f"{name}.left1", h, filters, 5, 2),
            self.separable(f"{name}.right1", p, filters, 7, 2),
        )
        a = self.add(f"{name}.add1", Add(), *first)
        b = self.add(
            f"{name}.add2", Add(), pooled("left2", MaxPool), self.separable(f"{name}.right2", p, filters, 7, 2)
        )
        c = self.add(
            f"{name}.add3", Add(), pooled("left3", AvgPool), self.separable(f"{name}.right3", p, filters, 5, 2)
        )
        d = self.add(f"{name}.add4", Add(), b, self.add(f"{name}.left4", AvgPool(3, 1, padding="SAME"), a))
        e = self.add(f"{name}.add5", Add(), self.separable(f"{name}.left5", a, filters, 3), pooled("right5", MaxPool))
        return _Map(self.add(f"{name}.concat", Concat(), b, c, d, e), 4 * filters, 2 * x.reduced)


def build(size: str = "mobile", *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """NASNet-A.

    Args:
        size: a key of `SIZES`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    side, stem, cells, last = SIZES[size]
    filters = last // 24
    made = _Builder()
    made.stage("stem")
    x = made.add("stem_conv", Conv(stem, 3, stride=2, bias=False), "input")
    x0 = _Map(made.add("stem_bn", NORM, x), stem, 2)
    x1 = made.reduction("stem1", None, x0, filters // 4)
    before, now = x1, made.reduction("stem2", x0, x1, filters // 2)
    for stack in range(3):
        made.stage(f"stack {stack + 1}")
        width = filters * 2**stack
        if stack:
            before, now = now, made.reduction(f"reduction{stack}", before, now, width)
        for i in range(1, cells + 1):
            before, now = now, made.normal(f"stack{stack + 1}.{i}", before, now, width)
    x = made.add("relu", RELU, now.name)
    if top:
        made.stage("classifier")
        x = made.add("flatten", Flatten(), made.add("avgpool", GlobalPool(), x))
        made.add("fc", Linear(classes), x)
    shape, name, label = f"{channels}x{side}x{side}", f"nasnet-a-{size}", f"NASNet-A {size.capitalize()}"
    stages = [series(items).stage(stage) for stage, items in made.stages.items()]
    return Network(series(stages), shape, name=name, title=label, citation=CITATION)


FAMILY = Family(
    "NASNet",
    tuple(Entry(f"nasnet-a-{s}", f"NASNet-A {s.capitalize()}", CITATION, partial(build, s)) for s in SIZES),
)
