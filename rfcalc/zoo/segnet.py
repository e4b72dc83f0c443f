"""SegNet (Badrinarayanan, Kendall & Cipolla, arXiv:1511.00561): a decoder that unpools by the encoder's maxima.

Layers, names and sizes are those of the authors' release (alexgkendall/SegNet-Tutorial): VGG-16's convolutions with
normalisation, pools that round up (Caffe's rule: 45 positions become 23), the same convolutions backwards.
"""

from __future__ import annotations

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.norm import LRN
from rfcalc.layers.pool import MaxPool
from rfcalc.layers.unpool import MaxUnpool
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import NORM, RELU, shortcut, unit

CITATION = "Badrinarayanan, Kendall & Cipolla, SegNet: A Deep Convolutional Encoder-Decoder, arXiv:1511.00561"

# Channels of the convolutions of each level, down and up again (from the lowest convolution of a level to its first).
DOWN = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
UP = ((64,), (128, 64), (256, 256, 128), (512, 512, 256), (512, 512, 512))


def _unpooled(level: int, name: str) -> Expr:
    """The values, back at the maxima of the map that pool `level` has read."""
    back = MaxUnpool(2, rounding="ceil")
    return parallel([shortcut(), ref(name)], back).named(f"upsample{level}")


def _pool(level: int) -> Expr:
    return MaxPool(2, rounding="ceil").named(f"pool{level}")


def build(*, classes: int = 11, channels: int = 3) -> Network:
    """SegNet for images of any size of 32 pixels or more, 360×480 by default.

    Args:
        classes: maps of the last convolution.
        channels: channels of the input image.
    """
    parts: list[Expr] = []
    for level, widths in enumerate(DOWN, 1):
        convs = [_conv(f"conv{level}_{i}", width) for i, width in enumerate(widths, 1)]
        parts.append(series([*convs, _pool(level)]).stage(f"encoder {level}"))
    for level in range(5, 0, -1):
        count = len(DOWN[level - 1])
        items: list[Expr] = [_unpooled(level, f"conv{level}_{count}_relu")]
        items += [_conv(f"conv{level}_{count - i}_D", width) for i, width in enumerate(UP[level - 1])]
        items += [Conv(classes, 3, padding=1).named("conv1_1_D")] if level == 1 else []
        parts.append(series(items).stage(f"decoder {level}"))
    return Network(series(parts), f"{channels}x360x480", name="segnet", title="SegNet", citation=CITATION)


def _conv(name: str, width: int) -> Expr:
    layers = (Conv(width, 3, padding=1).named(name), NORM.named(f"{name}_bn"), RELU.named(f"{name}_relu"))
    return series(layers)


def basic(*, classes: int = 11, channels: int = 3, width: int = 64) -> Network:
    """SegNet-Basic: four levels of one 7×7 convolution, and no activation in the decoder.

    Args:
        classes: maps of the last convolution.
        channels: channels of the input image.
        width: maps of every layer.
    """
    conv = Conv(width, 7, padding=3)
    parts: list[Expr] = [LRN(5).named("norm").stage("encoder 1")]
    for level in range(1, 5):
        parts.append(series([unit(f"conv{level}", conv), _pool(level)]).stage(f"encoder {level}"))
    for level in range(4, 0, -1):
        items = [_unpooled(level, f"relu{level}"), unit(f"conv_decode{level}", conv, act=None)]
        parts.append(series(items).stage(f"decoder {level}"))
    parts.append(Conv(classes, 1).named("conv_classifier").stage("classifier"))
    title = "SegNet-Basic"
    return Network(series(parts), f"{channels}x360x480", name="segnet-basic", title=title, citation=CITATION)


FAMILY = Family(
    "SegNet",
    (Entry("segnet", "SegNet", CITATION, build), Entry("segnet-basic", "SegNet-Basic", CITATION, basic)),
)
