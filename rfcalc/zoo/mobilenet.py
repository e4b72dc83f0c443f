"""MobileNet v1 (Howard et al. 2017, arXiv:1704.04861) and v2 (Sandler et al. 2018, arXiv:1801.04381).

v1 has TensorFlow's ``SAME`` padding, whose sides depend on the input size; Table 1's last depthwise layer is printed
with stride 2 on a 7×7 map that stays 7×7: its stride is 1. v2 is torchvision's (padding 1, the same sizes).
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, series
from rfcalc.core.size import Size
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.pointwise import Activation, Dropout
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import divisible, residual, shortcut, unit

V1 = "Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision, arXiv:1704.04861"
V2 = "Sandler, Howard, Zhu, Zhmoginov & Chen, MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381"

# v1, Table 1: channels and stride of each depthwise separable layer, and how often it stands.
SEPARABLE = (
    (64, 1, 1),
    (128, 2, 1),
    (128, 1, 1),
    (256, 2, 1),
    (256, 1, 1),
    (512, 2, 1),
    (512, 1, 5),
    (1024, 2, 1),
    (1024, 1, 1),
)
# v2, Table 2: expansion t, channels c, repeats n, stride s.
INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

V1_WIDTHS = (1, 0.75, 0.5, 0.25)
V2_WIDTHS = (1, 1.4, 0.75, 0.5, 0.35)
RELU6 = Activation("relu6")


def v1(
    *, width: Size = 1, resolution: int = 224, classes: int = 1000, channels: int = 3, top: bool = True, name: str = ""
) -> Network:
    """MobileNet v1 at any input size.

    Args:
        width: the width multiplier α, on the channels of every layer.
        resolution: side of the input image by default.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
        name: what it is called.
    """
    parts: list[Expr] = [unit("conv1", Conv(_scaled(32, width), 3, stride=2, padding="SAME", bias=False))]
    number = 2
    for out, stride, times in SEPARABLE:
        for _ in range(times):
            parts.append(separable(number, _scaled(out, width), stride))
            number += 1
    stages = [series(parts).stage("features")]
    if top:
        head = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Linear(classes).named("fc")]
        stages.append(series(head).stage("classifier"))
    title = f"MobileNet v1, width {width:g}" if isinstance(width, (int, float)) else f"MobileNet v1, width {width}"
    shape = f"{channels}x{resolution}x{resolution}"
    return Network(series(stages), shape, name=name, title=title, citation=V1)


def _scaled(channels: int, width: Size) -> Size:
    """Channels times the width multiplier, a number or a symbol."""
    return int(channels * width) if isinstance(width, (int, float)) else channels * width


def separable(number: int, out: Size, stride: int) -> Expr:
    """A depthwise 3×3 and a pointwise 1×1, each with normalisation and ReLU (Figure 3)."""
    depthwise = unit(f"conv{number}_dw", Depthwise(3, stride=stride, padding="SAME", bias=False))
    return depthwise >> unit(f"conv{number}_pw", Conv(out, 1, bias=False))


def module(kind: str, *, channels: int = 512, side: int = 14) -> Network:
    """Table 3's layer on 14×14×512: a full convolution, or a depthwise separable one."""
    name = f"mobilenet-layer-{kind}"
    layers = {
        "conv": Conv(channels, 3, padding=1, bias=False).named("conv"),
        "separable": Depthwise(3, padding=1, bias=False).named("dw") >> Conv(channels, 1, bias=False).named("pw"),
    }
    return Network(layers[kind], f"{channels}x{side}x{side}", name=name, title=LAYERS[kind], citation=V1)


LAYERS = {
    "conv": "one 3×3 convolution on 14×14×512 (Table 3)",
    "separable": "one depthwise separable convolution on 14×14×512 (Table 3)",
}


TORCH = (  # every block is a chain of layers; a layer with its normalisation and activation counts as one
    (r"(conv1|bn1|relu61)", "features.0.#"),
    (r"block(\d+)\.((?P<unit>expand|depthwise)(_bn|_relu6)?)", r"features.\1.conv.#unit.#"),
    (r"block(\d+)\.project(_bn)?", r"features.\1.conv.#"),
    (r"block(\d+)\.(.*)", r"features.\1.\2"),
    (r"(conv|bn|relu6)_last", "features.18.#"),
    (r"dropout|fc", "classifier.#"),
)


def inverted(expansion: int, c_in: int, out: int, stride: int) -> Expr:
    """An inverted residual block: expand, depthwise, project without activation; summed where the shape stays."""
    steps: list[Expr] = []
    if expansion != 1:
        steps.append(unit("expand", Conv(c_in * expansion, 1, bias=False), act=RELU6))
    steps.append(unit("depthwise", Depthwise(3, stride=stride, padding=1, bias=False), act=RELU6))
    branch = series([*steps, unit("project", Conv(out, 1, bias=False), act=None)])
    return residual(branch, shortcut(), act=None) if stride == 1 and c_in == out else branch


def v2(
    *, width: float = 1, resolution: int = 224, classes: int = 1000, channels: int = 3, top: bool = True, name: str = ""
) -> Network:
    """MobileNet v2 at any input size; arguments as for `v1`."""
    c_in = divisible(32 * width)
    parts: list[Expr] = [unit("conv1", Conv(c_in, 3, stride=2, padding=1, bias=False), act=RELU6).stage("stem")]
    number = 1
    for stage, (t, c, n, s) in enumerate(INVERTED, 1):
        out = divisible(c * width)
        items: list[Expr] = [inverted(t, c_in, out, s).block(f"block{number}")]
        items += [inverted(t, out, out, 1).block(f"block{number + i}") for i in range(1, n)]
        number += n
        c_in = out
        parts.append(series(items).stage(f"bottleneck {stage}"))
    last = divisible(1280 * max(1.0, width))
    parts.append(unit("conv_last", Conv(last, 1, bias=False), act=RELU6).stage("last"))
    if top:
        head = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Dropout(0.2).named("dropout")]
        parts.append(series([*head, Linear(classes).named("fc")]).stage("classifier"))
    title = f"MobileNet v2, width {width:g}"
    torch = Naming("mobilenet_v2" if width == 1 else f"mobilenet_v2(width_mult={width:g})", TORCH)
    shape = f"{channels}x{resolution}x{resolution}"
    return Network(series(parts), shape, name=name, title=title, citation=V2, torch=torch)


def _entries() -> tuple[Entry, ...]:
    found = []
    for version, widths, builder, citation in ((1, V1_WIDTHS, v1, V1), (2, V2_WIDTHS, v2, V2)):
        for width in widths:
            name = f"mobilenet-v{version}" + ("" if width == 1 else f"-{width:g}")
            made = partial(builder, width=width, name=name)
            found.append(Entry(name, f"MobileNet v{version}, width {width:g}", citation, made))
    found += [Entry(f"mobilenet-layer-{kind}", title, V1, partial(module, kind)) for kind, title in LAYERS.items()]
    return tuple(found)


FAMILY = Family("MobileNet", _entries())
