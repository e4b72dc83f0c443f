"""Networks written out in torch by hand, after the papers' tables or public code, without rfcalc: a second reading.

Used by measure_networks.py for what no package has. Each function returns (module, input shape, where it was read).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

Made = tuple[nn.Module, tuple[int, ...], str]


def seq(*modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(*modules)


class Shortcut(nn.Module):
    """He's blocks, with a shortcut of option A (zeros), B, C or None, as akamaster's pytorch_resnet_cifar10 has it."""

    def __init__(self, c: int, out: int, stride: int, option: str | None, bottleneck: bool = False) -> None:
        super().__init__()
        shapes = [(c, out, 3, stride, 1), (out, out, 3, 1, 1)]
        if bottleneck:
            w = out // 4
            shapes = [(c, w, 1, stride, 0), (w, w, 3, 1, 1), (w, out, 1, 1, 0)]
        layers: list[nn.Module] = []
        for shape in shapes:
            layers += [nn.Conv2d(*shape, bias=False), nn.BatchNorm2d(shape[1]), nn.ReLU()]
        self.branch = seq(*layers[:-1])
        self.option, self.stride, self.more = option, stride, out - c
        changes = stride != 1 or c != out
        self.project = None
        if option == "C" or (option == "B" and changes):
            self.project = seq(nn.Conv2d(c, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.branch(x)
        if self.option is None:
            return F.relu(y)
        if self.project is not None:
            return F.relu(y + self.project(x))
        if self.more or self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(y + x)


def resnet(counts: tuple[int, ...], option: str | None, bottleneck: bool = False) -> Made:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    c = 64
    for i, n in enumerate(counts):
        for j in range(n):
            out = (256 if bottleneck else 64) << i
            layers.append(Shortcut(c, out, 2 if i and not j else 1, option, bottleneck))
            c = out
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1000)]
    return seq(*layers), (3, 224, 224), "ResNet paper, Table 1 and §3.3"


def cifar(depth: int, option: str | None) -> Made:
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    c = 16
    for i in range(3):
        for j in range((depth - 2) // 6):
            layers.append(Shortcut(c, 16 << i, 2 if i and not j else 1, option))
            c = 16 << i
    return seq(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), (3, 32, 32), "ResNet paper, §4.2"


class SlimUnit(nn.Module):
    """slim/nets/resnet_v1.py, bottleneck: the stride on the 3×3; a plain shortcut is subsampled by a 1×1 max pool."""

    def __init__(self, c: int, depth: int, inner: int, stride: int) -> None:
        super().__init__()
        self.one = seq(nn.Conv2d(c, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU())
        self.two = seq(nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU())
        self.three = seq(nn.Conv2d(inner, depth, 1, bias=False), nn.BatchNorm2d(depth))
        self.short: nn.Module = nn.MaxPool2d(1, stride)
        if c != depth:
            self.short = seq(nn.Conv2d(c, depth, 1, stride, bias=False), nn.BatchNorm2d(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.three(self.two(self.one(x))) + self.short(x))


def slim(units: tuple[int, ...]) -> Made:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers += [nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(3, 2)]
    c = 64
    for i, (n, stride) in enumerate(zip(units, (2, 2, 2, 1), strict=True)):
        for j in range(n):
            layers.append(SlimUnit(c, 256 << i, 64 << i, stride if j == n - 1 else 1))
            c = 256 << i
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1000)]
    return seq(*layers), (3, 224, 224), "TensorFlow-Slim nets/resnet_v1.py"


def alexnet(groups: int, side: int, widths: tuple[int, ...], dense: bool, source: str) -> Made:
    a, b, c, d, e = widths
    features = [
        nn.Conv2d(3, a, 11, 4), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(a, b, 5, 1, 2, groups=groups), nn.ReLU(),
        nn.MaxPool2d(3, 2), nn.Conv2d(b, c, 3, 1, 1), nn.ReLU(), nn.Conv2d(c, d, 3, 1, 1, groups=groups), nn.ReLU(),
        nn.Conv2d(d, e, 3, 1, 1, groups=groups), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]  # fmt: skip
    if dense:
        head = [nn.Conv2d(e, 4096, 5), nn.ReLU(), nn.Conv2d(4096, 4096, 1), nn.ReLU(), nn.Conv2d(4096, 1000, 1)]
    else:
        head = [
            nn.Flatten(),
            nn.Linear(e * 36, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, 1000),
        ]
    return seq(*features, *head), (3, side, side), source


def lenet() -> Made:
    made = seq(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    return made, (1, 32, 32), "PyTorch's tutorial 'Neural Networks'"


def nin() -> Made:
    def mlp(c: int, widths: tuple[int, int, int], *how: int) -> list[nn.Module]:
        a, b, d = widths
        layers: list[nn.Module] = [nn.Conv2d(c, a, *how), nn.ReLU(), nn.Conv2d(a, b, 1), nn.ReLU()]
        return [*layers, nn.Conv2d(b, d, 1), nn.ReLU()]

    pool = [nn.MaxPool2d(3, 2, ceil_mode=True)]
    made = seq(
        *mlp(3, (96, 96, 96), 11, 4), *pool, *mlp(96, (256, 256, 256), 5, 1, 2), *pool,
        *mlp(256, (384, 384, 384), 3, 1, 1), *pool, *mlp(384, (1024, 1024, 1000), 3, 1, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    return made, (3, 224, 224), "the authors' Caffe model nin_imagenet"


class Branches(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([b(x) for b in self.branches], 1)


class GoogLeNet(nn.Module):
    def __init__(self, aux: bool) -> None:
        super().__init__()

        def inception(c: int, a: int, r3: int, b: int, r5: int, d: int, p: int) -> nn.Module:
            return Branches(
                seq(nn.Conv2d(c, a, 1), nn.ReLU()),
                seq(nn.Conv2d(c, r3, 1), nn.ReLU(), nn.Conv2d(r3, b, 3, 1, 1), nn.ReLU()),
                seq(nn.Conv2d(c, r5, 1), nn.ReLU(), nn.Conv2d(r5, d, 5, 1, 2), nn.ReLU()),
                seq(nn.MaxPool2d(3, 1, 1), nn.Conv2d(c, p, 1), nn.ReLU()),
            )

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        def head(c: int) -> nn.Module:
            return seq(
                nn.AvgPool2d(5, 3), nn.Conv2d(c, 128, 1), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 1024), nn.ReLU(),
                nn.Linear(1024, 1000),
            )  # fmt: skip

        self.first = seq(
            nn.Conv2d(3, 64, 7, 2, 3), pool(), nn.Conv2d(64, 64, 1), nn.Conv2d(64, 192, 3, 1, 1), pool(),
            inception(192, 64, 96, 128, 16, 32, 32), inception(256, 128, 128, 192, 32, 96, 64), pool(),
            inception(480, 192, 96, 208, 16, 48, 64),
        )  # fmt: skip
        self.second = seq(
            inception(512, 160, 112, 224, 24, 64, 64), inception(512, 128, 128, 256, 24, 64, 64),
            inception(512, 112, 144, 288, 32, 64, 64),
        )  # fmt: skip
        self.third = seq(
            inception(528, 256, 160, 320, 32, 128, 128), pool(), inception(832, 256, 160, 320, 32, 128, 128),
            inception(832, 384, 192, 384, 48, 128, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000),
        )  # fmt: skip
        self.heads = nn.ModuleList([head(512), head(528)] if aux else [])

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        a = self.first(x)
        b = self.second(a)
        y = self.third(b)
        return [y, self.heads[0](a), self.heads[1](b)] if self.heads else y


def googlenet(aux: bool) -> Made:
    return GoogLeNet(aux), (3, 224, 224), "GoogLeNet paper, Table 1 and Figure 3"


def inception_v2() -> Made:
    """Torchvision's blocks in the order of the paper's Table 1, with two 3×3 for a 5×5 in the 35×35 modules."""
    from torchvision.models import inception as tv

    conv = tv.BasicConv2d

    def a() -> nn.Module:
        block = tv.InceptionA(288, 64)
        block.branch5x5_2 = conv(48, 64, kernel_size=3, padding=1)
        return block

    made = seq(
        conv(3, 32, kernel_size=3, stride=2), conv(32, 32, kernel_size=3), conv(32, 64, kernel_size=3, padding=1),
        nn.MaxPool2d(3, 2), conv(64, 80, kernel_size=3), conv(80, 192, kernel_size=3, stride=2),
        conv(192, 288, kernel_size=3, padding=1), a(), a(), a(), tv.InceptionB(288),
        *[tv.InceptionC(768, w) for w in (128, 128, 160, 160, 192)], tv.InceptionD(768), tv.InceptionE(1280),
        tv.InceptionE(2048), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000),
    )  # fmt: skip
    return made, (3, 299, 299), "Inception-v2/v3 paper, Table 1, of torchvision's blocks"


class UNet(nn.Module):
    def __init__(self, padded: bool) -> None:
        super().__init__()
        p = int(padded)

        def double(c: int, out: int) -> nn.Module:
            return seq(nn.Conv2d(c, out, 3, 1, p), nn.ReLU(), nn.Conv2d(out, out, 3, 1, p), nn.ReLU())

        widths = (64, 128, 256, 512, 1024)
        self.down = nn.ModuleList(double(c, w) for c, w in zip((1, *widths), widths, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[-2::-1])
        self.join = nn.ModuleList(double(2 * w, w) for w in widths[-2::-1])
        self.out = nn.Conv2d(64, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        for up, join, skip in zip(self.up, self.join, kept[-2::-1], strict=True):
            x = up(x)
            c = (skip.shape[-1] - x.shape[-1]) // 2
            x = join(torch.cat([F.pad(skip, (-c,) * 4), x], 1))
        return self.out(x)


class UNet3D(nn.Module):
    def __init__(self, padded: bool) -> None:
        super().__init__()
        p = int(padded)

        def double(c: int, a: int, b: int) -> nn.Module:
            first = (nn.Conv3d(c, a, 3, 1, p), nn.BatchNorm3d(a), nn.ReLU())
            return seq(*first, nn.Conv3d(a, b, 3, 1, p), nn.BatchNorm3d(b), nn.ReLU())

        self.down = nn.ModuleList(
            [double(3, 32, 64), double(64, 64, 128), double(128, 128, 256), double(256, 256, 512)]
        )
        self.up = nn.ModuleList(nn.ConvTranspose3d(w, w, 2, 2) for w in (512, 256, 128))
        self.join = nn.ModuleList(double(3 * w, w, w) for w in (256, 128, 64))
        self.out = nn.Conv3d(64, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else F.max_pool3d(x, 2))
            kept.append(x)
        for up, join, skip in zip(self.up, self.join, kept[-2::-1], strict=True):
            x = up(x)
            c = (skip.shape[-1] - x.shape[-1]) // 2
            x = join(torch.cat([F.pad(skip, (-c,) * 6), x], 1))
        return self.out(x)


def unet(solid: bool, padded: bool) -> Made:
    if solid:
        shape = (3, 16, 32, 24) if padded else (3, 100, 92, 108)
        return UNet3D(padded), shape, "3D U-Net paper, Figure 2"
    return UNet(padded), (1, 128, 160) if padded else (1, 204, 220), "U-Net paper, Figure 1"


class WaveNet(nn.Module):
    """The layers of vincentherrmann/pytorch-wavenet (no biases, 32 residual and gate, 256 skip and end channels)."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.start = nn.Conv1d(256, 32, 1, bias=False)
        self.dilations = [2**i for i in range(10)] * blocks

        def many(*a: int, **how: object) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv1d(*a, bias=False, **({"dilation": d} if how else {})) for d in self.dilations)

        self.filters, self.gates = many(32, 32, 2, dilated=True), many(32, 32, 2, dilated=True)
        self.residuals, self.skips = many(32, 32, 1), many(32, 256, 1)
        self.end = seq(nn.ReLU(), nn.Conv1d(256, 256, 1), nn.ReLU(), nn.Conv1d(256, 256, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.start(x)
        total = 0
        for d, f, g, r, s in zip(self.dilations, self.filters, self.gates, self.residuals, self.skips, strict=True):
            past = F.pad(x, (d, 0))
            y = torch.tanh(f(past)) * torch.sigmoid(g(past))
            total = total + s(y)
            x = x + r(y)
        return self.end(total)


def wavenet(blocks: int) -> Made:
    return WaveNet(blocks), (256, 4000), "the layers of vincentherrmann/pytorch-wavenet"


def patchgan(layers: int) -> Made:
    """NLayerDiscriminator of junyanz/pytorch-CycleGAN-and-pix2pix with batch normalisation."""
    modules: list[nn.Module] = [nn.Conv2d(6, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
    c = 64
    for n in range(1, layers):
        out = 64 * min(2**n, 8)
        modules += [nn.Conv2d(c, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.LeakyReLU(0.2)]
        c = out
    out = 64 * min(2**layers, 8)
    modules += [nn.Conv2d(c, out, 4, 1, 1, bias=False), nn.BatchNorm2d(out), nn.LeakyReLU(0.2)]
    source = f"NLayerDiscriminator(6, n_layers={layers}) of pytorch-CycleGAN-and-pix2pix, read"
    return seq(*modules, nn.Conv2d(out, 1, 4, 1, 1)), (6, 256, 256), source


def vgg(blocks: str, bn: bool = False, dense: bool = False) -> Made:
    """Table 1: "3" is a conv3, "1" a conv1, "L" LRN; blocks stand apart."""
    layers: list[nn.Module] = []
    c = 3
    for text, out in zip(blocks.split(), (64, 128, 256, 512, 512), strict=True):
        for letter in text:
            if letter == "L":
                layers.append(nn.LocalResponseNorm(5))
                continue
            k = int(letter)
            layers += [nn.Conv2d(c, out, k, 1, k // 2), *([nn.BatchNorm2d(out)] if bn else []), nn.ReLU()]
            c = out
        layers.append(nn.MaxPool2d(2))
    if dense:
        layers += [nn.Conv2d(512, 4096, 7), nn.ReLU(), nn.Conv2d(4096, 4096, 1), nn.ReLU(), nn.Conv2d(4096, 1000, 1)]
    else:
        layers += [nn.Flatten(), nn.Linear(25088, 4096), nn.Linear(4096, 4096), nn.Linear(4096, 1000)]
    return seq(*layers), (3, 224, 224), "VGG paper, Table 1"


def module(reduced: bool) -> Made:
    def conv(c: int, out: int, k: int) -> nn.Module:
        return nn.Conv2d(c, out, k, 1, k // 2)

    pool = nn.MaxPool2d(3, 1, 1)
    if reduced:
        made = Branches(
            conv(256, 128, 1), seq(conv(256, 64, 1), conv(64, 192, 3)), seq(conv(256, 64, 1), conv(64, 96, 5)),
            seq(pool, conv(256, 64, 1)),
        )  # fmt: skip
    else:
        made = Branches(conv(256, 128, 1), conv(256, 192, 3), conv(256, 96, 5), pool)
    return made, (256, 28, 28), "CS231n lecture 9"


def bn_inception() -> Made:
    """TensorFlow-Slim nets/inception_v2.py."""

    def conv(c: int, out: int, k: int, stride: int = 1, **how: int) -> nn.Module:
        return seq(nn.Conv2d(c, out, k, stride, k // 2, bias=False, **how), nn.BatchNorm2d(out), nn.ReLU())

    def mixed(c: int, a: int, r3: int, b: int, r5: int, d: int, pool: nn.Module, p: int) -> nn.Module:
        double = seq(conv(c, r5, 1), conv(r5, d, 3), conv(d, d, 3))
        return Branches(conv(c, a, 1), seq(conv(c, r3, 1), conv(r3, b, 3)), double, seq(pool, conv(c, p, 1)))

    def reduced(c: int, r3: int, b: int, r5: int, d: int) -> nn.Module:
        double = seq(conv(c, r5, 1), conv(r5, d, 3), conv(d, d, 3, 2))
        return Branches(seq(conv(c, r3, 1), conv(r3, b, 3, 2)), double, nn.MaxPool2d(3, 2, 1))

    avg, top = nn.AvgPool2d(3, 1, 1), nn.MaxPool2d(3, 1, 1)
    made = seq(
        nn.Conv2d(3, 24, 7, 2, 3, groups=3, bias=False), conv(24, 64, 1), nn.MaxPool2d(3, 2, 1), conv(64, 64, 1),
        conv(64, 192, 3), nn.MaxPool2d(3, 2, 1), mixed(192, 64, 64, 64, 64, 96, avg, 32),
        mixed(256, 64, 64, 96, 64, 96, avg, 64), reduced(320, 128, 160, 64, 96),
        mixed(576, 224, 64, 96, 96, 128, avg, 128), mixed(576, 192, 96, 128, 96, 128, avg, 128),
        mixed(576, 160, 128, 160, 128, 160, avg, 96), mixed(576, 96, 128, 192, 160, 192, avg, 96),
        reduced(576, 128, 192, 192, 256), mixed(1024, 352, 192, 320, 160, 224, avg, 128),
        mixed(1024, 352, 192, 320, 192, 224, top, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000),
    )  # fmt: skip
    return made, (3, 224, 224), "TensorFlow-Slim nets/inception_v2.py"


def densenet(depth: int, k: int) -> Made:
    """A plain DenseNet for CIFAR: no bottlenecks, no compression (pytorchcv's compress all the same)."""

    class Dense(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.layer = seq(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, k, 3, 1, 1, bias=False))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, self.layer(x)], 1)

    c = 16
    layers: list[nn.Module] = [nn.Conv2d(3, c, 3, 1, 1, bias=False)]
    for block in range(3):
        for _ in range((depth - 4) // 3):
            layers.append(Dense(c))
            c += k
        layers += [nn.BatchNorm2d(c), nn.ReLU()]
        if block < 2:
            layers += [nn.Conv2d(c, c, 1, bias=False), nn.AvgPool2d(2)]
    return (
        seq(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10)),
        (3, 32, 32),
        "DenseNet paper, §3 and §4.2",
    )


def tcn_one() -> Made:
    """One dilated causal convolution a block, kernel 7, 25 channels, a 1×1 where the channels change."""

    class Block(nn.Module):
        def __init__(self, c: int, dilation: int) -> None:
            super().__init__()
            self.conv = nn.Conv1d(c, 25, 7, dilation=dilation)
            self.past = 6 * dilation
            self.short = nn.Conv1d(c, 25, 1) if c != 25 else nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(F.relu(self.conv(F.pad(x, (self.past, 0)))) + self.short(x))

    return (
        seq(*(Block(25 if i else 1, 2**i) for i in range(8))),
        (1, 784),
        "TCN paper, Figure 1, one convolution a block",
    )


VGG = {
    "vgg11": "3 3 33 33 33",
    "vgg11-lrn": "3L 3 33 33 33",
    "vgg13": "33 33 33 33 33",
    "vgg16-c": "33 33 331 331 331",
    "vgg16": "33 33 333 333 333",
    "vgg19": "33 33 3333 3333 3333",
}
PAPER = (96, 256, 384, 384, 256)
NETWORKS: dict[str, Callable[[], Made]] = {
    **{name: partial(vgg, blocks) for name, blocks in VGG.items()},
    **{f"{name}-dense": partial(vgg, blocks, dense=True) for name, blocks in VGG.items()},
    **{f"{name}-bn": partial(vgg, blocks, True) for name, blocks in VGG.items()},
    **{f"{name}-torchvision": partial(vgg, blocks) for name, blocks in VGG.items()},
    **{f"resnet{n}-cifar": partial(cifar, n, "A") for n in (20, 32, 44, 56, 110)},
    **{f"plain{n}-cifar": partial(cifar, n, None) for n in (20, 32, 44, 56, 110)},
    "plain-18": partial(resnet, (2, 2, 2, 2), None),
    "plain-34": partial(resnet, (3, 4, 6, 3), None),
    "resnet18-v1": partial(resnet, (2, 2, 2, 2), "A"),
    "resnet34-v1": partial(resnet, (3, 4, 6, 3), "A"),
    **{f"resnet18-{o.lower()}": partial(resnet, (2, 2, 2, 2), o) for o in "ABC"},
    **{f"resnet34-{o.lower()}": partial(resnet, (3, 4, 6, 3), o) for o in "ABC"},
    **{f"resnet50-{o.lower()}": partial(resnet, (3, 4, 6, 3), o, True) for o in "ABC"},
    **{f"resnet101-{o.lower()}": partial(resnet, (3, 4, 23, 3), o, True) for o in "ABC"},
    **{f"resnet152-{o.lower()}": partial(resnet, (3, 8, 36, 3), o, True) for o in "ABC"},
    "resnet50-slim": partial(slim, (3, 4, 6, 3)),
    "resnet101-slim": partial(slim, (3, 4, 23, 3)),
    "resnet152-slim": partial(slim, (3, 8, 36, 3)),
    "inception-module": partial(module, False),
    "inception-module-reduced": partial(module, True),
    "bn-inception": bn_inception,
    **{f"densenet-{n}-k{k}-cifar": partial(densenet, n, k) for n, k in ((40, 12), (100, 12), (100, 24))},
    "tcn-1": tcn_one,
    "alexnet": partial(alexnet, 2, 227, PAPER, False, "AlexNet paper, Figure 2, at 227"),
    "alexnet-cs231n": partial(alexnet, 1, 227, PAPER, False, "CS231n lecture 9"),
    "alexnet-slim": partial(alexnet, 1, 224, (64, 192, 384, 384, 256), True, "TensorFlow-Slim nets/alexnet.py"),
    "lenet5-modern": lenet,
    "nin": nin,
    "googlenet": partial(googlenet, False),
    "googlenet-aux": partial(googlenet, True),
    "inception-v2": inception_v2,
    "unet": partial(unet, False, False),
    "unet-padded": partial(unet, False, True),
    "unet-3d": partial(unet, True, False),
    "unet-3d-padded": partial(unet, True, True),
    "wavenet": partial(wavenet, 3),
    "wavenet-block": partial(wavenet, 1),
    "patchgan-16": partial(patchgan, 1),
    "patchgan-70": partial(patchgan, 3),
    "patchgan-286": partial(patchgan, 5),
}
