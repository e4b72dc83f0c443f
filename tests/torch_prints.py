"""Models with torchvision's classes, names and forms, made with torch.nn alone: their prints are torchvision's.

Only the classes' names and their modules matter to a print, so none of them has a forward.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import device, nn


def module(kind: str, **children: nn.Module) -> nn.Module:
    """A module of a class of this name."""
    made: nn.Module = type(kind, (nn.Module,), {})()
    for name, child in children.items():
        made.add_module(name, child)
    return made


def conv(a: int, b: int, k: int, s: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(a, b, k, s, k // 2, groups=groups, bias=False)


def _basic(a: int, b: int, stride: int) -> nn.Module:
    parts: dict[str, nn.Module] = {
        "conv1": conv(a, b, 3, stride), "bn1": nn.BatchNorm2d(b), "relu": nn.ReLU(inplace=True),
        "conv2": conv(b, b, 3), "bn2": nn.BatchNorm2d(b),
    }  # fmt: skip
    if stride != 1 or a != b:
        parts["downsample"] = nn.Sequential(conv(a, b, 1, stride), nn.BatchNorm2d(b))
    return module("BasicBlock", **parts)


def resnet() -> nn.Module:
    """ResNet-18."""
    with device("meta"):
        layers: dict[str, nn.Module] = {}
        a = 64
        for i, b in enumerate((64, 128, 256, 512)):
            layers[f"layer{i + 1}"] = nn.Sequential(_basic(a, b, 2 if i else 1), _basic(b, b, 1))
            a = b
        return module(
            "ResNet", conv1=conv(3, 64, 7, 2), bn1=nn.BatchNorm2d(64), relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, 2, 1), **layers, avgpool=nn.AdaptiveAvgPool2d((1, 1)), fc=nn.Linear(512, 1000),
        )  # fmt: skip


def _vgg() -> nn.Module:
    features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))
    classifier = nn.Sequential(nn.Linear(8 * 7 * 7, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 5))
    return module("VGG", features=features, avgpool=nn.AdaptiveAvgPool2d((7, 7)), classifier=classifier)


def _mobile() -> nn.Module:
    def unit(a: int, b: int, k: int, s: int = 1, groups: int = 1) -> nn.Module:
        made: nn.Module = type("Conv2dNormActivation", (nn.Sequential,), {})(
            conv(a, b, k, s, groups), nn.BatchNorm2d(b), nn.ReLU6(inplace=True)
        )
        return made

    def block(a: int, b: int, s: int) -> nn.Module:
        inner = nn.Sequential(unit(a, 6 * a, 1), unit(6 * a, 6 * a, 3, s, 6 * a), conv(6 * a, b, 1), nn.BatchNorm2d(b))
        return module("InvertedResidual", conv=inner)

    features = nn.Sequential(unit(3, 8, 3, 2), block(8, 8, 1), block(8, 16, 2), unit(16, 32, 1))
    return module("MobileNetV2", features=features, classifier=nn.Sequential(nn.Dropout(0.2), nn.Linear(32, 5)))


def _efficient() -> nn.Module:
    gate = module(
        "SqueezeExcitation", avgpool=nn.AdaptiveAvgPool2d(1), fc1=nn.Conv2d(8, 2, 1), fc2=nn.Conv2d(2, 8, 1),
        activation=nn.SiLU(), scale_activation=nn.Sigmoid(),
    )  # fmt: skip
    block = module(
        "MBConv", stochastic_depth=nn.Identity(),
        block=nn.Sequential(conv(8, 8, 3, groups=8), nn.BatchNorm2d(8), gate, conv(8, 8, 1), nn.BatchNorm2d(8)),
    )  # fmt: skip
    features = nn.Sequential(conv(3, 8, 3, 2), block)
    return module(
        "EfficientNet", features=features, avgpool=nn.AdaptiveAvgPool2d(1), classifier=nn.Sequential(nn.Linear(8, 5))
    )


def _dense() -> nn.Module:
    def layer(a: int) -> nn.Module:
        return module(
            "_DenseLayer", norm1=nn.BatchNorm2d(a), relu1=nn.ReLU(), conv1=conv(a, 16, 1), norm2=nn.BatchNorm2d(16),
            relu2=nn.ReLU(), conv2=conv(16, 4, 3),
        )  # fmt: skip

    block = module("_DenseBlock", denselayer1=layer(8), denselayer2=layer(12), denselayer3=layer(16))
    transition = type("_Transition", (nn.Sequential,), {})(
        OrderedDict(norm=nn.BatchNorm2d(20), relu=nn.ReLU(), conv=conv(20, 10, 1), pool=nn.AvgPool2d(2))
    )
    features = nn.Sequential(
        OrderedDict(conv0=conv(3, 8, 7, 2), block=block, transition=transition, norm=nn.BatchNorm2d(10))
    )
    return module("DenseNet", features=features, classifier=nn.Linear(10, 5))


def _squeeze() -> nn.Module:
    fire = module(
        "Fire", squeeze=nn.Conv2d(8, 4, 1), squeeze_activation=nn.ReLU(), expand1x1=nn.Conv2d(4, 6, 1),
        expand1x1_activation=nn.ReLU(), expand3x3=nn.Conv2d(4, 6, 3, padding=1), expand3x3_activation=nn.ReLU(),
    )  # fmt: skip
    return module(
        "SqueezeNet", features=nn.Sequential(nn.Conv2d(3, 8, 3, 2), fire),
        classifier=nn.Sequential(nn.Dropout(), nn.Conv2d(12, 5, 1), nn.AdaptiveAvgPool2d(1)),
    )  # fmt: skip


def everything() -> nn.Sequential:
    """One of everything that runs in a row."""
    parts = [
        nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(4, 8, 3, padding="same", dilation=2, padding_mode="reflect"),
        nn.GroupNorm(2, 8), nn.GELU(approximate="tanh"), nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1, groups=2),
        nn.InstanceNorm2d(6, affine=True), nn.PReLU(6), nn.LeakyReLU(0.2), nn.Upsample(scale_factor=2, mode="nearest"),
        nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.LocalResponseNorm(3), nn.Dropout2d(0.1), nn.PixelUnshuffle(2),
        nn.PixelShuffle(2), nn.AdaptiveMaxPool2d((2, 3)), nn.Flatten(2), nn.LayerNorm(6), nn.Flatten(),
        nn.Identity(), nn.LogSoftmax(dim=1),
    ]  # fmt: skip
    return nn.Sequential(*parts)


PRINTS: dict[str, Callable[[], tuple[nn.Module, str]]] = {
    "resnet18": lambda: (resnet(), "3x224x224"),
    "vgg": lambda: (_vgg(), "3x32x32"),
    "mobilenet": lambda: (_mobile(), "3x32x32"),
    "efficientnet": lambda: (_efficient(), "3x32x32"),
    "densenet": lambda: (_dense(), "3x32x32"),
    "squeezenet": lambda: (_squeeze(), "3x32x32"),
}
