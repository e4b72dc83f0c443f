"""Inception-v4 and Inception-ResNet-v2 (Szegedy, Ioffe, Vanhoucke & Alemi 2016, arXiv:1602.07261), as released.

Every convolution has batch normalisation and no bias, but for the 1×1 that ends a residual branch, which has a bias
and neither normalisation nor activation; its sum is scaled (0.1 to 0.2), which changes no figure. Average pools do
not count their padding.
"""

from __future__ import annotations

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Concat
from rfcalc.layers.pool import AvgPool, MaxPool
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, residual, shortcut, top_of, unit

CITATION = (
    "Szegedy, Ioffe, Vanhoucke & Alemi, Inception-v4, Inception-ResNet and the Impact of Residual Connections, "
    "arXiv:1602.07261"
)
TITLES = {"inception-v4": "Inception-v4, as released", "inception-resnet-v2": "Inception-ResNet-v2, as released"}

Kernel = int | tuple[int, int]
Step = tuple[int, Kernel]


def conv(name: str, out: int, kernel: Kernel, stride: int = 1, padded: bool = True) -> Expr:
    """A convolution with normalisation and ReLU, padded to keep the size unless it is valid."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = tuple((k - 1) // 2 for k in sides) if padded else 0
    return unit(name, Conv(out, kernel, stride=stride, padding=padding, bias=False))


def chain(name: str, steps: tuple[Step, ...]) -> Expr:
    """Convolutions one after another."""
    return series(conv(f"{name}_{i}", out, kernel) for i, (out, kernel) in enumerate(steps, 1))


def pooled(out: int) -> Expr:
    """An average pool that keeps the size, and a 1×1."""
    return AvgPool(3, 1, padding=1, count_padding=False).named("avgpool") >> conv("pool_conv", out, 1)


def module(*branches: Expr) -> Expr:
    """Branches side by side."""
    return parallel(branches, Concat()).named("concat")


def reduction(*branches: tuple[Step, ...]) -> Expr:
    """Branches whose last 3×3 is valid and has stride 2, beside a pool."""
    made = []
    for i, steps in enumerate(branches, 1):
        *before, (out, kernel) = steps
        layers = [conv(f"b{i}_{j}", o, k) for j, (o, k) in enumerate(before, 1)]
        made.append(series([*layers, conv(f"b{i}_{len(steps)}", out, kernel, 2, False)]))
    return module(*made, MaxPool(3, 2).named("maxpool"))


def split(name: str, steps: tuple[Step, ...]) -> list[Expr]:
    """Convolutions, and then a 1×3 and a 3×1 side by side."""
    start = series([chain(name, steps).named(f"{name}_end")])
    arms = [conv(f"{name}_1x3", 256, (1, 3)), conv(f"{name}_3x1", 256, (3, 1))]
    return [start >> arms[0], ref(f"{name}_end") >> arms[1]]


A: tuple[tuple[Step, ...], ...] = (((96, 1),), ((64, 1), (96, 3)), ((64, 1), (96, 3), (96, 3)))
B: tuple[tuple[Step, ...], ...] = (
    ((384, 1),),
    ((192, 1), (224, (1, 7)), (256, (7, 1))),
    ((192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))),
)


def v4(*, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """Inception-v4 for images of 299×299 (any size of 75 and more fits).

    Args:
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    stem = [
        conv("conv1", 32, 3, 2, False),
        conv("conv2", 32, 3, 1, False),
        conv("conv3", 64, 3),
        module(MaxPool(3, 2).named("maxpool"), conv("conv", 96, 3, 2, False)).block("mixed_3a"),
        module(
            conv("b1_1", 64, 1) >> conv("b1_2", 96, 3, 1, False),
            chain("b2", ((64, 1), (64, (1, 7)), (64, (7, 1)))) >> conv("b2_4", 96, 3, 1, False),
        ).block("mixed_4a"),
        module(conv("conv", 192, 3, 2, False), MaxPool(3, 2).named("maxpool")).block("mixed_5a"),
    ]
    parts: list[Expr] = [series(stem).stage("stem")]
    first = [module(*(chain(f"b{j}", s) for j, s in enumerate(A, 1)), pooled(96)).block(f"a{i}") for i in range(1, 5)]
    parts.append(series(first).stage("inception-A"))
    parts.append(reduction(((384, 3),), ((192, 1), (224, 3), (256, 3))).block("reduction_a").stage("reduction-A"))
    second = [module(*(chain(f"b{j}", s) for j, s in enumerate(B, 1)), pooled(128)).block(f"b{i}") for i in range(1, 8)]
    parts.append(series(second).stage("inception-B"))
    last: tuple[Step, ...] = ((256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3))
    parts.append(reduction(((192, 1), (192, 3)), last).block("reduction_b").stage("reduction-B"))
    third = []
    for i in range(1, 4):
        arms = [conv("b1_1", 256, 1), *split("b2", ((384, 1),)), *split("b3", ((384, 1), (448, (3, 1)), (512, (1, 3))))]
        third.append(module(*arms, pooled(256)).block(f"c{i}"))
    parts.append(series(third).stage("inception-C"))
    if top:
        parts.append(top_of(classes, dropout=0.2).stage("classifier"))
    name = "inception-v4"
    return Network(series(parts), f"{channels}x299x299", name=name, title=TITLES[name], citation=CITATION)


def block(out: int, act: bool, *branches: tuple[Step, ...]) -> Expr:
    """A residual block: branches side by side, a 1×1 with a bias, and the sum."""
    joined = module(*(chain(f"b{i}", steps) for i, steps in enumerate(branches, 1)))
    branch = joined >> Conv(out, 1).named("project")
    return residual(branch, shortcut(), act=RELU if act else None)


def resnet(*, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """Inception-ResNet-v2 for images of 299×299 (any size of 75 and more fits); arguments as for `v4`."""
    stem = [
        conv("conv1", 32, 3, 2, False),
        conv("conv2", 32, 3, 1, False),
        conv("conv3", 64, 3),
        MaxPool(3, 2).named("maxpool1"),
        conv("conv4", 80, 1),
        conv("conv5", 192, 3, 1, False),
        MaxPool(3, 2).named("maxpool2"),
        module(
            conv("b1_1", 96, 1), chain("b2", ((48, 1), (64, 5))), chain("b3", ((64, 1), (96, 3), (96, 3))), pooled(64)
        ).block("mixed_5b"),
    ]
    parts: list[Expr] = [series(stem).stage("stem")]
    for label, times, out, branches in (
        ("35", 10, 320, (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))),
        ("17", 20, 1088, (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))),
        ("8", 10, 2080, (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))),
    ):
        if label == "17":
            parts.append(
                reduction(((384, 3),), ((256, 1), (256, 3), (384, 3))).block("reduction_a").stage("reduction-A")
            )
        if label == "8":
            arms: tuple[tuple[Step, ...], ...] = (
                ((256, 1), (384, 3)),
                ((256, 1), (288, 3)),
                ((256, 1), (288, 3), (320, 3)),
            )
            parts.append(reduction(*arms).block("reduction_b").stage("reduction-B"))
        blocks = []
        for i in range(1, times + 1):
            act = label != "8" or i < times
            blocks.append(block(out, act, *branches).block(f"block{label}_{i}"))
        parts.append(series(blocks).stage(f"block{label}"))
    parts.append(conv("conv_last", 1536, 1).stage("last"))
    if top:
        parts.append(top_of(classes, dropout=0.2).stage("classifier"))
    name = "inception-resnet-v2"
    return Network(series(parts), f"{channels}x299x299", name=name, title=TITLES[name], citation=CITATION)


FAMILY = Family(
    "Inception v4",
    (
        Entry("inception-v4", TITLES["inception-v4"], CITATION, v4),
        Entry("inception-resnet-v2", TITLES["inception-resnet-v2"], CITATION, resnet),
    ),
)
