"""GoogLeNet (Szegedy et al. 2014, arXiv:1409.4842), Table 1, and torchvision's variant.

Torchvision's has batch normalisation, no biases, no LRN, other auxiliary heads, and a 3×3 where the paper has a 5×5.
The auxiliary heads stand after 4a and 4d; inference drops them, and so does a network without ``-aux``.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, series, side
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Concat
from rfcalc.layers.norm import LRN
from rfcalc.layers.pointwise import Dropout, ReLU
from rfcalc.layers.pool import AdaptivePool, AvgPool, GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import NORM, unit

CITATION = "Szegedy et al., Going Deeper with Convolutions, arXiv:1409.4842"

# Table 1: #1×1, #3×3 reduce, #3×3, #5×5 reduce, #5×5, pool proj.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY = ("4a", "4d")
VARIANTS = {
    "googlenet": "GoogLeNet as published (Inception-v1), without auxiliary heads",
    "googlenet-aux": "GoogLeNet as published (Inception-v1), with both auxiliary heads",
    "googlenet-torchvision": "GoogLeNet, torchvision's: batch normalisation, a 3×3 for the 5×5",
    "googlenet-torchvision-aux": "GoogLeNet, torchvision's, with both auxiliary heads",
}


UNITS = (("", "conv"), ("_bn", "bn"), ("_relu", "relu"))  # a convolution and what follows it
ARMS = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
TORCH = (
    (r"(conv|bn|relu)1", r"conv1.\1"),
    (r"(conv|bn|relu)2_reduce", r"conv2.\1"),
    (r"(conv|bn|relu)2", r"conv3.\1"),
    *(
        (rf"([345].)\.{ours}{end}", rf"inception\1.{theirs}.{kind}")
        for ours, theirs in ARMS.items()
        for end, kind in UNITS
    ),
    (r"([345].)\.pool", r"inception\1.branch4.0"),
    (r"([345].)\.output", r"inception\1.output"),
    (r"(aux\d)\.(conv|bn|relu)", r"\1.conv.\2"),
)


def _layer(name: str, out: int, kernel: int, torchvision: bool, stride: int = 1) -> Expr:
    conv = Conv(out, kernel, stride=stride, padding=kernel // 2, bias=not torchvision)
    return unit(name, conv, norm=NORM if torchvision else None)


def module(widths: tuple[int, ...], torchvision: bool = False) -> Expr:
    """An inception module: 1×1, 3×3 and 5×5 (behind 1×1 reductions), a pool and its projection, side by side."""
    one, reduce3, three, reduce5, five, project = widths
    kernel5 = 3 if torchvision else 5
    branches = [
        _layer("1x1", one, 1, torchvision),
        _layer("3x3_reduce", reduce3, 1, torchvision) >> _layer("3x3", three, 3, torchvision),
        _layer("5x5_reduce", reduce5, 1, torchvision) >> _layer("5x5", five, kernel5, torchvision),
        MaxPool(3, 1, padding=1, rounding="ceil" if torchvision else "floor").named("pool")
        >> _layer("pool_proj", project, 1, torchvision),
    ]
    return parallel(branches, Concat()).named("output")


def _auxiliary(number: int, classes: int, torchvision: bool) -> Expr:
    pool = AdaptivePool(4) if torchvision else AvgPool(5, 3)
    parts = [
        pool.named("pool"),
        _layer("conv", 128, 1, torchvision),
        Flatten().named("flatten"),
        Linear(1024).named("fc1"),
        ReLU().named("relu_fc1"),
        Dropout(0.7).named("dropout"),
        Linear(classes).named("fc2"),
    ]
    return side(series(parts).block(f"aux{number}").stage("auxiliary heads"))


def _stem(torchvision: bool) -> list[Expr]:
    lrn = [] if torchvision else [LRN(5).named("norm1")], [] if torchvision else [LRN(5).named("norm2")]
    first = [_layer("conv1", 64, 7, torchvision, 2), MaxPool(3, 2, rounding="ceil").named("pool1"), *lrn[0]]
    second = [_layer("conv2_reduce", 64, 1, torchvision), _layer("conv2", 192, 3, torchvision), *lrn[1]]
    return [
        series(first).stage("conv1"),
        series([*second, MaxPool(3, 2, rounding="ceil").named("pool2")]).stage("conv2"),
    ]


def build(
    name: str = "googlenet",
    *,
    aux: bool | None = None,
    classes: int = 1000,
    channels: int = 3,
    top: bool = True,
) -> Network:
    """A GoogLeNet for images of 224×224; any size fits without the paper's auxiliary heads.

    Args:
        name: a key of `VARIANTS`.
        aux: whether the auxiliary heads are there; as the name says if None.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    torchvision = "torchvision" in name
    heads = name.endswith("-aux") if aux is None else aux
    parts = _stem(torchvision)
    for label, widths in MODULES.items():
        items: list[Expr] = [module(widths, torchvision).block(label)]
        if label in AUXILIARY and heads and top:
            items.append(_auxiliary(1 + AUXILIARY.index(label), classes, torchvision))
        if label in ("3b", "4e"):
            kernel = 2 if torchvision and label == "4e" else 3
            items.append(MaxPool(kernel, 2, rounding="ceil").named(f"pool{label[0]}"))
        parts.append(series(items).stage(f"inception {label[0]}"))
    if top:
        head = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Dropout(0.4).named("dropout")]
        parts.append(series([*head, Linear(classes).named("fc")]).stage("classifier"))
    outputs = ("fc", "aux1.fc2", "aux2.fc2") if heads and top else ()
    return Network(
        series(parts),
        f"{channels}x224x224",
        outputs=outputs,
        name=name,
        title=VARIANTS[name],
        citation=CITATION,
        torch=Naming("googlenet" if heads else "googlenet(aux_logits=False)", TORCH, eps=1e-3) if torchvision else None,
    )


FAMILY = Family("GoogLeNet", tuple(Entry(n, t, CITATION, partial(build, n)) for n, t in VARIANTS.items()))
