"""DeepLab (Chen et al. 2017, arXiv:1706.05587): a ResNet that dilates instead of striding, and pyramid pooling.

The last stages keep the size: their strides become dilations (output stride 8: two stages, 16: one), torchvision's
way: the first block of a stage still dilates as the stage before. ``deeplabv3`` adds atrous spatial pyramid pooling
with rates 12, 24, 36 and resizes the scores to the image.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Concat
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.pool import GlobalPool
from rfcalc.layers.resample import Upsample
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import unit
from rfcalc.zoo.resnet import DEPTHS, ResidualStyle, head, stages, stem

CITATION = (
    "Chen, Papandreou, Schroff & Adam, Rethinking Atrous Convolution for Semantic Image Segmentation, arXiv:1706.05587"
)

RATES = (12, 24, 36)
DILATED = {8: (False, False, True, True), 16: (False, False, False, True)}


TORCH = (
    (r"aspp1.*", "classifier.0.convs.0.#"),
    (r"(?P<arm>aspp[2-4]).*", "classifier.0.convs.#arm+1.#"),
    (r"image_(pool|conv.*)", "classifier.0.convs.4.#"),
    (r"project.*", "classifier.0.project.#"),
    (r"conv|bn|relu|scores", "classifier.#+1"),
    (r"(conv1|bn1|relu1|maxpool|layer\d.*)", r"backbone.\1"),
)


def backbone(depth: int, stride: int = 8) -> list[Expr]:
    """The stem and conv2_x … conv5_x of a ResNet at this output stride."""
    kind, counts = DEPTHS[depth]
    return [stem(), *stages(kind, counts, ResidualStyle(), dilated=DILATED[stride])]


def aspp(side: tuple[int, int], width: int = 256, rates: tuple[int, ...] = RATES) -> Expr:
    """Atrous spatial pyramid pooling on a map of these sides: a 1×1, three dilated 3×3, and the image's mean."""
    branches = [unit("aspp1", Conv(width, 1, bias=False))]
    for i, rate in enumerate(rates, 2):
        branches.append(unit(f"aspp{i}", Conv(width, 3, padding=rate, dilation=rate, bias=False)))
    pooled = [GlobalPool().named("image_pool"), unit("image_conv", Conv(width, 1, bias=False))]
    branches.append(series([*pooled, Upsample(size=side, mode="bilinear").named("image_up")]))
    joined = parallel(branches, Concat()).named("concat")
    return series([joined, unit("project", Conv(width, 1, bias=False)), Dropout(0.5).named("dropout")])


def resnet(depth: int, stride: int = 8, *, classes: int = 1000, channels: int = 3, top: bool = False) -> Network:
    """The dilated ResNet alone, at any input size.

    Args:
        depth: of the ResNet.
        stride: output stride, 8 or 16.
        classes: outputs of the classifier.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    parts = [*backbone(depth, stride), *([head(classes)] if top else [])]
    name, title = _named(depth, stride)
    return Network(series(parts), f"{channels}x520x520", name=name, title=title, citation=CITATION)


def v3(depth: int, *, side: int = 520, classes: int = 21, channels: int = 3) -> Network:
    """DeepLabv3 for square images; the mean of the image is resized to the map, so that the side must be said.

    Args:
        depth: of the ResNet below.
        side: side of the image, a multiple of 8.
        classes: maps of the scores.
        channels: channels of the input image.
    """
    scores = [
        aspp((side // 8, side // 8)),
        unit("conv", Conv(256, 3, padding=1, bias=False)),
        Conv(classes, 1).named("scores"),
        Upsample(8, mode="bilinear").named("output"),
    ]
    parts = [*backbone(depth), series(scores).stage("head")]
    name, title = f"deeplabv3-resnet{depth}", f"DeepLabv3 on a dilated ResNet-{depth}"
    torch = Naming(f"segmentation.deeplabv3_resnet{depth}(aux_loss=False)", TORCH)
    return Network(series(parts), f"{channels}x{side}x{side}", name=name, title=title, citation=CITATION, torch=torch)


def _named(depth: int, stride: int) -> tuple[str, str]:
    name = f"deeplab-resnet{depth}" + ("" if stride == 8 else f"-os{stride}")
    return name, f"Dilated ResNet-{depth}, output stride {stride}"


FAMILY = Family(
    "DeepLab",
    (
        *(Entry(*_named(d, s), CITATION, partial(resnet, d, s)) for d in (50, 101) for s in DILATED),
        *(
            Entry(f"deeplabv3-resnet{d}", f"DeepLabv3 on a dilated ResNet-{d}", CITATION, partial(v3, d))
            for d in (50, 101)
        ),
    ),
)
