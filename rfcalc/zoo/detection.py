"""SSD300 (arXiv:1512.02325) on VGG-16 and RetinaNet (arXiv:1708.02002) on ResNet-50, torchvision's: all maps of scores.

What chooses boxes comes after, and is not part of it. SSD normalises conv4_3's map and scales it by a learned factor
a channel; its third pool rounds up. RetinaNet's two heads use the same weights at all five levels of the pyramid; P6
and P7 are convolved from P5.
"""

from __future__ import annotations

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add
from rfcalc.layers.norm import RMSNorm
from rfcalc.layers.pool import MaxPool
from rfcalc.layers.resample import Upsample
from rfcalc.layers.reshape import Permute
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU
from rfcalc.zoo.resnet import DEPTHS, STAGES, ResidualStyle, stages, stem

SSD = "Liu et al., SSD: Single Shot MultiBox Detector, arXiv:1512.02325"
RETINA = "Lin, Goyal, Girshick, He & Dollár, Focal Loss for Dense Object Detection, arXiv:1708.02002"
TITLES = {
    "ssd300-vgg16": "SSD300 on VGG-16, torchvision's, all scores and boxes",
    "retinanet-resnet50": "RetinaNet on ResNet-50 with a pyramid, torchvision's, all scores and boxes",
}
# Of SSD's six maps: where it is, and how many boxes stand at a position.
SOURCES = (("normalised", 4), ("relu7", 6), ("relu8_2", 6), ("relu9_2", 6), ("relu10_2", 4), ("relu11_2", 4))


def ssd(*, labels: int = 91, channels: int = 3) -> Network:
    """SSD300: the VGG of 300×300 images, four further pairs of layers, and two convolutions on each of six maps.

    Args:
        labels: classes of a box, the background among them.
        channels: channels of the input image.
    """
    parts: list[Expr] = []
    for i, widths in enumerate(((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3), 1):
        layers: list[Expr] = []
        for j, w in enumerate(widths, 1):
            layers += [Conv(w, 3, padding=1).named(f"conv{i}_{j}"), RELU.named(f"relu{i}_{j}")]
        if i < 5:
            layers.append(MaxPool(2, 2, rounding="ceil" if i == 3 else "floor").named(f"pool{i}"))
        else:
            layers.append(MaxPool(3, 1, padding=1).named("pool5"))
        parts.append(series(layers).stage(f"block {i}"))
    six = [Conv(1024, 3, padding=6, dilation=6).named("conv6"), RELU.named("relu6")]
    parts.append(series([*six, Conv(1024, 1).named("conv7"), RELU.named("relu7")]).stage("block 6"))
    for i, (inner, out, stride, padding) in enumerate(
        ((256, 512, 2, 1), (128, 256, 2, 1), (128, 256, 1, 0), (128, 256, 1, 0)), 8
    ):
        pair = [Conv(inner, 1).named(f"conv{i}_1"), RELU.named(f"relu{i}_1")]
        pair += [Conv(out, 3, stride=stride, padding=padding).named(f"conv{i}_2"), RELU.named(f"relu{i}_2")]
        parts.append(series(pair).stage(f"extra {i}"))
    scaled = series(
        [
            ref("relu4_3"),
            Permute((1, 2, 0)).named("to_last"),
            RMSNorm().named("l2norm"),
            Permute((2, 0, 1)).named("normalised"),
        ]
    )
    heads: list[Expr] = [scaled]
    outputs = []
    for i, (source, boxes) in enumerate(SOURCES, 1):
        heads += [ref(source) >> Conv(boxes * labels, 3, padding=1).named(f"scores{i}")]
        heads += [ref(source) >> Conv(boxes * 4, 3, padding=1).named(f"boxes{i}")]
        outputs += [f"scores{i}", f"boxes{i}"]
    name = "ssd300-vgg16"
    body = series([*parts, series(heads).stage("heads")])
    return Network(body, f"{channels}x300x300", outputs=tuple(outputs), name=name, title=TITLES[name], citation=SSD)


def tower(kind: str, out: int, level: int) -> Expr:
    """A head on one level: four 3×3 and the last; the weights are the same at every level."""
    layers: list[Expr] = []
    for i in range(1, 5):
        layers += [
            Conv(256, 3, padding=1).named(f"{kind}{i}_p{level}").shared(f"{kind}{i}"),
            RELU.named(f"{kind}{i}_relu_p{level}"),
        ]
    return series([ref(f"P{level}"), *layers, Conv(out, 3, padding=1).named(f"{kind}_p{level}").shared(kind)])


def retinanet(*, labels: int = 91, channels: int = 3) -> Network:
    """RetinaNet for images whose sides divide by 128; arguments as for `ssd`."""
    kind, counts = DEPTHS[50]
    lateral = [(ref(STAGES[i]) >> Conv(256, 1).named(f"lateral{i + 2}")) for i in (1, 2, 3)]
    down: list[Expr] = [lateral[2]]
    for i, arm in ((4, lateral[1]), (3, lateral[0])):
        down.append(parallel([Upsample(2).named(f"up{i}"), arm], Add()).named(f"M{i}"))
    pyramid = [
        ref("lateral5") >> Conv(256, 3, padding=1).named("P5"),
        ref("M4") >> Conv(256, 3, padding=1).named("P4"),
        ref("M3") >> Conv(256, 3, padding=1).named("P3"),
        ref("P5") >> Conv(256, 3, stride=2, padding=1).named("P6"),
        ref("P6") >> RELU.named("relu_p6") >> Conv(256, 3, stride=2, padding=1).named("P7"),
    ]
    heads = [tower(k, 9 * n, level) for level in range(3, 8) for k, n in (("scores", labels), ("boxes", 4))]
    outputs = tuple(f"{k}_p{level}" for level in range(3, 8) for k in ("scores", "boxes"))
    body = [stem(), *stages(kind, counts, ResidualStyle())]
    parts = [*body, series(down).stage("top-down"), series(pyramid).stage("pyramid"), series(heads).stage("heads")]
    name = "retinanet-resnet50"
    return Network(
        series(parts), f"{channels}x512x512", outputs=outputs, name=name, title=TITLES[name], citation=RETINA
    )


FAMILY = Family(
    "Detection",
    (
        Entry("ssd300-vgg16", TITLES["ssd300-vgg16"], SSD, ssd),
        Entry("retinanet-resnet50", TITLES["retinanet-resnet50"], RETINA, retinanet),
    ),
)
