"""DenseNet (Huang, Liu, van der Maaten & Weinberger 2016, arXiv:1608.06993): every layer reads all maps before it.

A dense layer puts k new maps beside what came in; a transition halves the size, and with compression (BC) the
channels. BC layers have a 1×1 bottleneck of 4k maps before the 3×3.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, Repeat, parallel, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Concat
from rfcalc.layers.pool import AvgPool, GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import NORM, RELU, shortcut, unit

CITATION = "Huang, Liu, van der Maaten & Weinberger, Densely Connected Convolutional Networks, arXiv:1608.06993"

# Table 1: growth rate k, channels of the first convolution, layers of each dense block.
IMAGENET = {
    121: (32, 64, (6, 12, 24, 16)),
    161: (48, 96, (6, 12, 36, 24)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
}
# Table 2: depth L, growth rate k, with bottlenecks and compression or not.
CIFAR = ((40, 12, False), (100, 12, False), (100, 24, False), (100, 12, True), (250, 24, True), (190, 40, True))


TORCH = (
    (r"conv0|relu0|pool0|norm5|relu5", r"features.\g<0>"),
    (r"bn0", "features.norm0"),
    (r"(denseblock\d)\.(?P<layer>\d+)\.layer\.(.*)", r"features.\1.denselayer#layer+1.\3"),
    (r"(transition\d)\.(.*)", r"features.\1.\2"),
)


def layer(growth: int, bottleneck: bool) -> Expr:
    """One dense layer: normalisation and ReLU come before each convolution; its maps are put after the others."""
    steps: list[Expr] = [NORM.named("norm1"), RELU.named("relu1")]
    if bottleneck:
        steps += [Conv(4 * growth, 1, bias=False).named("conv1"), NORM.named("norm2"), RELU.named("relu2")]
    steps.append(Conv(growth, 3, padding=1, bias=False).named("conv2" if bottleneck else "conv1"))
    return parallel([shortcut(), series(steps)], Concat()).named("concat")


def transition(channels: int) -> Expr:
    """Between two dense blocks: normalisation, 1×1, average pool."""
    steps = [NORM.named("norm"), RELU.named("relu"), Conv(channels, 1, bias=False).named("conv")]
    return series([*steps, AvgPool(2).named("pool")])


def _body(counts: tuple[int, ...], growth: int, width: int, bottleneck: bool, compress: bool) -> list[Expr]:
    found: list[Expr] = []
    for i, times in enumerate(counts, 1):
        # the copies of a dense layer are alike: how many maps it reads follows from where it stands
        dense = Repeat(layer(growth, bottleneck).block("layer"), times).block(f"denseblock{i}")
        found.append(dense.stage(f"dense block {i}"))
        width += times * growth
        if i < len(counts):
            width = width // 2 if compress else width
            found.append(transition(width).block(f"transition{i}").stage(f"transition {i}"))
    return found


def _head(classes: int, top: bool) -> list[Expr]:
    last = series([NORM.named("norm5"), RELU.named("relu5")])
    if not top:
        return [last]
    pool = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Linear(classes).named("classifier")]
    return [series([last, *pool]).stage("classification")]


def build(
    depth: int, *, classes: int = 1000, channels: int = 3, growth: int | None = None, top: bool = True
) -> Network:
    """A DenseNet-BC for images of 224×224 (any size fits).

    Args:
        depth: a key of `IMAGENET`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        growth: maps that each layer adds; Table 1's by default.
        top: whether pooling and classifier are there.
    """
    k, width, counts = IMAGENET[depth]
    k = growth or k
    stem = unit("conv0", Conv(width, 7, stride=2, padding=3, bias=False)) >> MaxPool(3, 2, padding=1).named("pool0")
    parts = [stem.stage("stem"), *_body(counts, k, width, True, True), *_head(classes, top)]
    name, title = f"densenet{depth}", f"DenseNet-{depth} (k = {k})"
    torch = Naming(name, TORCH)
    return Network(series(parts), f"{channels}x224x224", name=name, title=title, citation=CITATION, torch=torch)


def cifar(depth: int, growth: int, bc: bool, *, classes: int = 10, channels: int = 3, top: bool = True) -> Network:
    """A DenseNet for CIFAR's images of 32×32: three dense blocks of equal depth."""
    times = (depth - 4) // (6 if bc else 3)
    width = 2 * growth if bc else 16
    stem = Conv(width, 3, padding=1, bias=False).named("conv0")
    parts = [stem.stage("stem"), *_body((times,) * 3, growth, width, bc, bc), *_head(classes, top)]
    name, title = _cifar_name(depth, growth, bc)
    return Network(series(parts), f"{channels}x32x32", name=name, title=title, citation=CITATION)


def _cifar_name(depth: int, growth: int, bc: bool) -> tuple[str, str]:
    bc_name, bc_title = ("-bc", "-BC") if bc else ("", "")
    return f"densenet{bc_name}-{depth}-k{growth}-cifar", f"DenseNet{bc_title} for CIFAR, L = {depth}, k = {growth}"


FAMILY = Family(
    "DenseNet",
    (
        *(Entry(f"densenet{d}", f"DenseNet-{d} (k = {IMAGENET[d][0]})", CITATION, partial(build, d)) for d in IMAGENET),
        *(Entry(*_cifar_name(*data), CITATION, partial(cifar, *data)) for data in CIFAR),
    ),
)
