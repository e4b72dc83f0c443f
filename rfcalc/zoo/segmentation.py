"""DeepLab v1 (arXiv:1412.7062), v2 (arXiv:1606.00915), v3+ (arXiv:1802.02611) and PSPNet (arXiv:1612.01105).

v1 is VGG-16 whose last two pools keep the size and whose later layers dilate (LargeFOV: a 3×3 of rate 12 for fc6).
v2 sums four dilated 3×3 of a ResNet-101, v3+ adds a decoder to v3 at output stride 16. PSPNet and v3+ stand on
torchvision's ResNet, dilated as `deeplab` says.
"""

from __future__ import annotations

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add, Concat
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.pool import AdaptivePool, MaxPool
from rfcalc.layers.resample import Upsample
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, shortcut, unit
from rfcalc.zoo.deeplab import aspp, backbone

V1 = "Chen, Papandreou, Kokkinos, Murphy & Yuille, Semantic Image Segmentation with Deep Nets and CRFs, arXiv:1412.7062"
V2 = "Chen, Papandreou, Kokkinos, Murphy & Yuille, DeepLab, arXiv:1606.00915"
V3PLUS = "Chen, Zhu, Papandreou, Schroff & Adam, Encoder-Decoder with Atrous Separable Convolution, arXiv:1802.02611"
PSP = "Zhao, Shi, Qi, Wang & Jia, Pyramid Scene Parsing Network, arXiv:1612.01105"
TITLES = {
    "deeplab-v1-largefov": "DeepLab v1, LargeFOV on VGG-16",
    "deeplab-v2-resnet101": "DeepLab v2 on ResNet-101, rates 6, 12, 18, 24",
    "deeplab-v3plus-resnet101": "DeepLab v3+ on ResNet-101, output stride 16",
    "pspnet-resnet50": "PSPNet on a dilated ResNet-50",
}


def largefov(*, classes: int = 21, channels: int = 3) -> Network:
    """DeepLab v1 for images of 321×321 (sides of 8n + 1 fit).

    Args:
        classes: maps of the scores.
        channels: channels of the input image.
    """
    parts: list[Expr] = []
    for i, widths in enumerate(((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3), 1):
        d = 2 if i == 5 else 1
        layers: list[Expr] = []
        for j, w in enumerate(widths, 1):
            layers += [Conv(w, 3, padding=d, dilation=d).named(f"conv{i}_{j}"), RELU.named(f"relu{i}_{j}")]
        layers.append(MaxPool(3, 2 if i < 4 else 1, padding=1).named(f"pool{i}"))
        parts.append(series(layers).stage(f"block {i}"))
    head: list[Expr] = [
        Conv(1024, 3, padding=12, dilation=12).named("fc6"),
        RELU.named("relu6"),
        Dropout(0.5).named("drop6"),
    ]
    head += [Conv(1024, 1).named("fc7"), RELU.named("relu7"), Dropout(0.5).named("drop7")]
    head += [Conv(classes, 1).named("fc8")]
    parts.append(series(head).stage("classifier"))
    name = "deeplab-v1-largefov"
    return Network(series(parts), f"{channels}x321x321", name=name, title=TITLES[name], citation=V1)


def v2(*, classes: int = 21, channels: int = 3) -> Network:
    """DeepLab v2 for images whose sides divide by 8; arguments as for `largefov`."""
    arms = [Conv(classes, 3, padding=r, dilation=r).named(f"aspp{r}") for r in (6, 12, 18, 24)]
    parts = [*backbone(101), parallel(arms, Add()).named("scores").stage("head")]
    name = "deeplab-v2-resnet101"
    return Network(series(parts), f"{channels}x320x320", name=name, title=TITLES[name], citation=V2)


def v3plus(*, side: int = 512, classes: int = 21, channels: int = 3) -> Network:
    """DeepLab v3+ for square images whose side divides by 16; further arguments as for `largefov`."""
    up = aspp((side // 16, side // 16), rates=(6, 12, 18)) >> Upsample(4, mode="bilinear").named("up")
    low = ref("layer1.2.relu_out") >> unit("low", Conv(48, 1, bias=False))
    decoder = [
        parallel([low, up], Concat()).named("joined"),
        unit("decoder1", Conv(256, 3, padding=1, bias=False)),
        unit("decoder2", Conv(256, 3, padding=1, bias=False)),
        Conv(classes, 1).named("scores"),
        Upsample(4, mode="bilinear").named("output"),
    ]
    name = "deeplab-v3plus-resnet101"
    parts = [*backbone(101, 16), series(decoder).stage("decoder")]
    return Network(series(parts), f"{channels}x{side}x{side}", name=name, title=TITLES[name], citation=V3PLUS)


def pspnet(*, side: int = 480, classes: int = 21, channels: int = 3) -> Network:
    """PSPNet for square images whose side divides by 8; further arguments as for `largefov`."""
    arms: list[Expr] = [shortcut()]
    for bins in (1, 2, 3, 6):
        pooled = AdaptivePool(bins).named(f"pool{bins}") >> unit(f"bin{bins}", Conv(512, 1, bias=False))
        arms.append(pooled >> Upsample(size=(side // 8, side // 8), mode="bilinear").named(f"up{bins}"))
    head = [
        parallel(arms, Concat()).named("joined"),
        unit("conv", Conv(512, 3, padding=1, bias=False)),
        Dropout(0.1).named("dropout"),
        Conv(classes, 1).named("scores"),
        Upsample(8, mode="bilinear").named("output"),
    ]
    name = "pspnet-resnet50"
    parts = [*backbone(50), series(head).stage("head")]
    return Network(series(parts), f"{channels}x{side}x{side}", name=name, title=TITLES[name], citation=PSP)


FAMILY = Family(
    "Segmentation",
    (
        Entry("deeplab-v1-largefov", TITLES["deeplab-v1-largefov"], V1, largefov),
        Entry("deeplab-v2-resnet101", TITLES["deeplab-v2-resnet101"], V2, v2),
        Entry("deeplab-v3plus-resnet101", TITLES["deeplab-v3plus-resnet101"], V3PLUS, v3plus),
        Entry("pspnet-resnet50", TITLES["pspnet-resnet50"], PSP, pspnet),
    ),
)
