"""Networks for video: C3D (arXiv:1412.0767), I3D (arXiv:1705.07750), R3D-18 and R(2+1)D-18 (arXiv:1711.11248).

C3D reads 16 frames of 112×112 in eight 3×3×3 convolutions; its last pool is padded by one row and column. R(2+1)D
splits each 3×3×3 into a 1×3×3 to as many maps as keep the parameters, and a 3×1×1 (torchvision's). I3D is BN-
Inception (v1's modules, two 3×3×3) inflated, with TensorFlow's ``SAME`` padding, as released.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Concat
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.pool import AvgPool, MaxPool
from rfcalc.layers.resample import Pad
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, residual, shortcut, top_of, unit

C3D = "Tran, Bourdev, Fergus, Torresani & Paluri, Learning Spatiotemporal Features with 3D ConvNets, arXiv:1412.0767"
R21D = "Tran, Wang, Torresani, Ray, LeCun & Paluri, A Closer Look at Spatiotemporal Convolutions, arXiv:1711.11248"
I3D = "Carreira & Zisserman, Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset, arXiv:1705.07750"
TITLES = {
    "c3d": "C3D, Sports-1M's",
    "r3d-18": "R3D-18, torchvision's",
    "r2plus1d-18": "R(2+1)D-18, torchvision's",
    "i3d": "I3D on RGB, as released",
}


def c3d(*, classes: int = 487, channels: int = 3, top: bool = True) -> Network:
    """C3D for 16 frames of 112×112.

    Args:
        classes: outputs of the last layer.
        channels: channels of a frame.
        top: whether the fully connected layers are there.
    """
    parts: list[Expr] = []
    for i, widths in enumerate(((64,), (128,), (256, 256), (512, 512), (512, 512)), 1):
        layers: list[Expr] = []
        for j, width in enumerate(widths):
            label = f"{i}{'ab'[j]}"
            layers += [Conv(width, (3, 3, 3), padding=1).named(f"conv{label}"), RELU.named(f"relu{label}")]
        if i == 5:
            layers.append(Pad(((0, 0), (0, 1), (0, 1)), "replicate").named("pad5"))
        depth = 1 if i == 1 else 2
        layers.append(MaxPool((depth, 2, 2)).named(f"pool{i}"))
        parts.append(series(layers).stage(f"block {i}"))
    if top:
        head: list[Expr] = [Flatten().named("flatten")]
        for i in (6, 7):
            head += [Linear(4096).named(f"fc{i}"), RELU.named(f"relu{i}"), Dropout(0.5).named(f"dropout{i}")]
        parts.append(series([*head, Linear(classes).named("fc8")]).stage("classifier"))
    return Network(series(parts), f"{channels}x16x112x112", name="c3d", title=TITLES["c3d"], citation=C3D)


def conv(name: str, c_in: int, out: int, stride: int, split: bool, middle: int, act: bool) -> Expr:
    """A 3×3×3 with normalisation, or a 1×3×3 and a 3×1×1 with normalisation and ReLU between."""
    last = RELU if act else None
    if not split:
        return unit(name, Conv(out, (3, 3, 3), stride=stride, padding=1, bias=False), act=last)
    flat = Conv(middle, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)
    along = Conv(out, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False)
    return unit(f"{name}_flat", flat) >> unit(name, along, act=last)


def resnet(split: bool, *, classes: int = 400, channels: int = 3, top: bool = True) -> Network:
    """R3D-18 or R(2+1)D-18 for 16 frames of 112×112 (any size fits); `split` makes the second, else as for `c3d`."""
    if split:
        first = Conv(45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False)
        stem = unit("conv0", first) >> unit("conv1", Conv(64, (3, 1, 1), padding=(1, 0, 0), bias=False))
    else:
        stem = unit("conv1", Conv(64, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False))
    parts: list[Expr] = [stem.stage("stem")]
    c_in = 64
    for i, width in enumerate((64, 128, 256, 512), 1):
        blocks = []
        for j in (0, 1):
            stride = 2 if i > 1 and j == 0 else 1
            # torchvision: as many maps between as keep the block's parameters, the same for both of its layers
            middle = c_in * width * 27 // (c_in * 9 + 3 * width)
            branch = conv("conv1", c_in, width, stride, split, middle, True)
            branch = branch >> conv("conv2", width, width, 1, split, middle, False)
            passed: Expr = shortcut()
            if stride > 1 or c_in != width:
                passed = unit("downsample", Conv(width, (1, 1, 1), stride=stride, bias=False), act=None)
            blocks.append(residual(branch, passed).block(f"layer{i}.{j}"))
            c_in = width
        parts.append(series(blocks).stage(f"layer {i}"))
    if top:
        parts.append(top_of(classes).stage("classifier"))
    name = "r2plus1d-18" if split else "r3d-18"
    return Network(series(parts), f"{channels}x16x112x112", name=name, title=TITLES[name], citation=R21D)


# Columns of GoogLeNet's Table 1: 1×1, 3×3 reduce, 3×3, second 3×3 reduce, second 3×3, pool projection.
MODULES = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


def inflated(name: str, out: int, kernel: int, stride: int = 1) -> Expr:
    """A cube convolution with normalisation and ReLU, padded as TensorFlow's ``SAME``."""
    return unit(name, Conv(out, (kernel,) * 3, stride=stride, padding="SAME", bias=False))


def module(widths: tuple[int, ...]) -> Expr:
    """An inflated Inception module."""
    one, reduce, three, reduce2, second, pool = widths
    return parallel(
        [
            inflated("b0", one, 1),
            inflated("b1a", reduce, 1) >> inflated("b1b", three, 3),
            inflated("b2a", reduce2, 1) >> inflated("b2b", second, 3),
            MaxPool((3, 3, 3), 1, padding="SAME").named("b3a") >> inflated("b3b", pool, 1),
        ],
        Concat(),
    ).named("concat")


def i3d(*, classes: int = 400, channels: int = 3, top: bool = True) -> Network:
    """I3D for 64 frames of 224×224; as for `c3d`. With `top`, a score for each of the last map's moments."""
    parts: list[Expr] = [
        series(
            [
                inflated("conv1a", 64, 7, 2),
                MaxPool((1, 3, 3), (1, 2, 2), padding="SAME").named("pool2a"),
                inflated("conv2b", 64, 1),
                inflated("conv2c", 192, 3),
                MaxPool((1, 3, 3), (1, 2, 2), padding="SAME").named("pool3a"),
            ]
        ).stage("stem")
    ]
    for number in ("3", "4", "5"):
        blocks: list[Expr] = [module(w).block(f"mixed_{n}") for n, w in MODULES.items() if n[0] == number]
        if number != "5":
            kernel = 3 if number == "3" else 2
            blocks.append(MaxPool((kernel,) * 3, 2, padding="SAME").named(f"pool{int(number) + 1}a"))
        parts.append(series(blocks).stage(f"mixed {number}"))
    if top:
        head = [
            AvgPool((2, 7, 7), 1).named("avgpool"),
            Dropout(0.5).named("dropout"),
            Conv(classes, (1, 1, 1)).named("logits"),
        ]
        parts.append(series(head).stage("classifier"))
    return Network(series(parts), f"{channels}x64x224x224", name="i3d", title=TITLES["i3d"], citation=I3D)


FAMILY = Family(
    "Video",
    (
        Entry("c3d", TITLES["c3d"], C3D, c3d),
        Entry("r3d-18", TITLES["r3d-18"], R21D, partial(resnet, False)),
        Entry("r2plus1d-18", TITLES["r2plus1d-18"], R21D, partial(resnet, True)),
        Entry("i3d", TITLES["i3d"], I3D, i3d),
    ),
)
