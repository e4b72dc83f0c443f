"""Networks of super-resolution, generation, video, volumes, signals and segmentation, written out in torch by hand.

A second reading, as `written_networks.py`, after the papers and the authors' or well-known code, without rfcalc.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

Made = tuple[nn.Module, tuple[int, ...], str]
seq = nn.Sequential


def srcnn(middle: int) -> Made:
    layers = [nn.Conv2d(1, 64, 9, 1, 4), nn.ReLU(), nn.Conv2d(64, 32, middle, 1, middle // 2), nn.ReLU()]
    return seq(*layers, nn.Conv2d(32, 1, 5, 1, 2)), (1, 33, 33), "SRCNN paper, §4"


def fsrcnn(d: int, s: int, m: int) -> Made:
    layers: list[nn.Module] = [nn.Conv2d(1, d, 5, 1, 2), nn.PReLU(d), nn.Conv2d(d, s, 1), nn.PReLU(s)]
    for _ in range(m):
        layers += [nn.Conv2d(s, s, 3, 1, 1), nn.PReLU(s)]
    layers += [nn.Conv2d(s, d, 1), nn.PReLU(d), nn.ConvTranspose2d(d, 1, 9, 3, 4, 2)]
    return seq(*layers), (1, 24, 24), "FSRCNN paper, §3"


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(64 + 32 * i, 32 if i < 4 else 64, 3, 1, 1) for i in range(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = [x]
        for i, conv in enumerate(self.convs):
            y = conv(torch.cat(seen, 1))
            if i < 4:
                seen.append(F.leaky_relu(y, 0.2))
        return x + 0.2 * y


class Plus(nn.Module):
    """A branch added to its input, perhaps scaled."""

    def __init__(self, *layers: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.branch, self.scale = seq(*layers), scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.branch(x)


def esrgan() -> Made:
    body = [Plus(Dense(), Dense(), Dense(), scale=0.2) for _ in range(23)]
    up = [m for _ in (1, 2) for m in (nn.Upsample(scale_factor=2), nn.Conv2d(64, 64, 3, 1, 1), nn.LeakyReLU(0.2))]
    end = [nn.Conv2d(64, 64, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(64, 3, 3, 1, 1)]
    made = seq(nn.Conv2d(3, 64, 3, 1, 1), Plus(*body, nn.Conv2d(64, 64, 3, 1, 1)), *up, *end)
    return made, (3, 32, 32), "xinntao/ESRGAN RRDBNet_arch.py"


def dcgan(discriminator: bool) -> Made:
    layers: list[nn.Module] = []
    if discriminator:
        c = 3
        for w in (64, 128, 256, 512):
            layers += [nn.Conv2d(c, w, 4, 2, 1, bias=False), *([nn.BatchNorm2d(w)] if c > 3 else []), nn.LeakyReLU(0.2)]
            c = w
        made, shape = seq(*layers, nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Sigmoid()), (3, 64, 64)
    else:
        c = 100
        for w in (512, 256, 128, 64):
            first = (4, 1, 0) if c == 100 else (4, 2, 1)
            layers += [nn.ConvTranspose2d(c, w, *first, bias=False), nn.BatchNorm2d(w), nn.ReLU()]
            c = w
        made, shape = seq(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()), (100, 1, 1)
    return made, shape, "pytorch/examples dcgan/main.py"


def c3d() -> Made:
    layers: list[nn.Module] = []
    c = 3
    for i, widths in enumerate(((64,), (128,), (256, 256), (512, 512), (512, 512))):
        for w in widths:
            layers += [nn.Conv3d(c, w, 3, padding=1), nn.ReLU()]
            c = w
        pool = (1, 2, 2) if i == 0 else (2, 2, 2)
        layers.append(nn.MaxPool3d(pool, pool, padding=(0, 1, 1) if i == 4 else 0))
    layers += [nn.Flatten(), nn.Linear(8192, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 487)]
    return seq(*layers), (3, 16, 112, 112), "DavideA/c3d-pytorch C3D_model.py"


def same(x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    pads: list[int] = []
    for n, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(k - (s if n % s == 0 else n % s), 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class Unit3D(nn.Module):
    def __init__(self, c: int, out: int, k: int, s: int = 1) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv3d(c, out, k, s, bias=False), nn.BatchNorm3d(out)
        self.k, self.s = (k,) * 3, (s,) * 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(same(x, self.k, self.s))))


class Pool3D(nn.Module):
    def __init__(self, k: tuple[int, ...], s: tuple[int, ...]) -> None:
        super().__init__()
        self.k, self.s = k, s

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.max_pool3d(same(x, self.k, self.s), self.k, self.s)


class Mixed(nn.Module):
    def __init__(self, c: int, w: tuple[int, ...]) -> None:
        super().__init__()
        self.arms = nn.ModuleList(
            [
                Unit3D(c, w[0], 1),
                seq(Unit3D(c, w[1], 1), Unit3D(w[1], w[2], 3)),
                seq(Unit3D(c, w[3], 1), Unit3D(w[3], w[4], 3)),
                seq(Pool3D((3, 3, 3), (1, 1, 1)), Unit3D(c, w[5], 1)),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([arm(x) for arm in self.arms], 1)


def i3d() -> Made:
    small, big = Pool3D((1, 3, 3), (1, 2, 2)), Pool3D((3, 3, 3), (2, 2, 2))
    layers: list[nn.Module] = [Unit3D(3, 64, 7, 2), small, Unit3D(64, 64, 1), Unit3D(64, 192, 3), small]
    layers += [Mixed(192, (64, 96, 128, 16, 32, 32)), Mixed(256, (128, 128, 192, 32, 96, 64)), big]
    layers += [Mixed(480, (192, 96, 208, 16, 48, 64)), Mixed(512, (160, 112, 224, 24, 64, 64))]
    layers += [Mixed(512, (128, 128, 256, 24, 64, 64)), Mixed(512, (112, 144, 288, 32, 64, 64))]
    layers += [Mixed(528, (256, 160, 320, 32, 128, 128)), Pool3D((2, 2, 2), (2, 2, 2))]
    layers += [Mixed(832, (256, 160, 320, 32, 128, 128)), Mixed(832, (384, 192, 384, 48, 128, 128))]
    layers += [nn.AvgPool3d((2, 7, 7), 1), nn.Conv3d(1024, 400, 1)]
    return seq(*layers), (3, 64, 224, 224), "piergiaj/pytorch-i3d pytorch_i3d.py"


class VNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        conv = partial(nn.Conv3d, kernel_size=5, padding=2)
        self.first = conv(1, 16)
        widths, times = (16, 32, 64, 128, 256), (1, 2, 3, 3, 3)
        self.down = nn.ModuleList(nn.Conv3d(w, 2 * w, 2, 2) for w in widths[:-1])
        levels = zip(widths[1:], times[1:], strict=True)
        self.left = nn.ModuleList(nn.ModuleList(conv(w, w) for _ in range(n)) for w, n in levels)
        self.up = nn.ModuleList(nn.ConvTranspose3d(2 * w if w == 128 else 4 * w, w, 2, 2) for w in (128, 64, 32, 16))
        rights = zip((256, 128, 64, 32), (3, 3, 2, 1), strict=False)
        self.right = nn.ModuleList(nn.ModuleList(conv(w, w) for _ in range(n)) for w, n in rights)
        self.last = nn.Conv3d(32, 2, 1)
        self.acts = nn.ModuleDict()
        for name, w in (
            *(("first", 16),),
            *((f"down{i}", w) for i, w in enumerate(widths[1:])),
            *((f"left{i}{j}", widths[i + 1]) for i in range(4) for j in range(times[i + 1])),
            *((f"up{i}", w) for i, w in enumerate((128, 64, 32, 16))),
            *((f"right{i}{j}", 256 >> i) for i in range(4) for j in range((3, 3, 2, 1)[i])),
        ):
            self.acts[name] = nn.PReLU(w)

    def level(self, x: torch.Tensor, convs: nn.ModuleList, name: str) -> torch.Tensor:
        y = x
        for j, conv in enumerate(convs):
            y = conv(y)
            y = self.acts[f"{name}{j}"](y + x if j == len(convs) - 1 else y)
        return y

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.acts["first"](self.first(x) + x)
        kept = [y]
        for i, down in enumerate(self.down):
            y = self.level(self.acts[f"down{i}"](down(y)), self.left[i], f"left{i}")
            kept.append(y)
        for i, up in enumerate(self.up):
            y = torch.cat([self.acts[f"up{i}"](up(y)), kept[3 - i]], 1)
            y = self.level(y, self.right[i], f"right{i}")
        return self.last(y)


def vnet() -> Made:
    return VNet(), (1, 64, 128, 128), "V-Net paper, Figure 2"


class Resblock(nn.Module):
    def __init__(self, c: int, k: int) -> None:
        super().__init__()
        self.one = nn.ModuleList(nn.Conv1d(c, c, k, 1, d * (k - 1) // 2, d) for d in (1, 3, 5))
        self.two = nn.ModuleList(nn.Conv1d(c, c, k, 1, (k - 1) // 2) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for a, b in zip(self.one, self.two, strict=True):
            x = x + b(F.leaky_relu(a(F.leaky_relu(x, 0.1)), 0.1))
        return x


class HiFiGAN(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(80, width, 7, 1, 3)
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        for rate, k in ((8, 16), (8, 16), (2, 4), (2, 4)):
            self.ups.append(nn.ConvTranspose1d(width, width // 2, k, rate, (k - rate) // 2))
            width //= 2
            self.blocks.append(nn.ModuleList(Resblock(width, k) for k in (3, 7, 11)))
        self.post = nn.Conv1d(width, 1, 7, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pre(x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(F.leaky_relu(x, 0.1))
            x = sum(block(x) for block in blocks) / 3
        return torch.tanh(self.post(F.leaky_relu(x)))


def hifigan(width: int) -> Made:
    return HiFiGAN(width), (80, 32), "jik876/hifi-gan models.py, weight norm removed"


class Resblock2(nn.Module):
    def __init__(self, c: int, k: int, dilations: tuple[int, int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(c, c, k, 1, d * (k - 1) // 2, d) for d in dilations)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            x = x + conv(F.leaky_relu(x, 0.1))
        return x


def hifigan_small() -> Made:
    made = HiFiGAN(256)
    made.ups, made.blocks = nn.ModuleList(), nn.ModuleList()
    for c, k, rate, padding in ((256, 16, 8, 4), (128, 16, 8, 4), (64, 8, 4, 2)):
        made.ups.append(nn.ConvTranspose1d(c, c // 2, k, rate, padding))
        kinds = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))
        made.blocks.append(nn.ModuleList(Resblock2(c // 2, k, d) for k, d in kinds))
    made.post = nn.Conv1d(32, 1, 7, 1, 3)
    return made, (80, 32), "jik876/hifi-gan models.py and config_v3.json, weight norm removed"


class SpliceAI(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.skip = nn.Conv1d(4, 32, 1), nn.Conv1d(32, 32, 1)
        self.groups, self.skips = nn.ModuleList(), nn.ModuleList()
        for k, d in ((11, 1), (11, 4), (21, 10), (41, 25)):
            unit = [nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 32, k, dilation=d, padding="same")]
            blocks = [Plus(*[deepcopy(m) for _ in (1, 2) for m in unit]) for _ in range(4)]
            self.groups.append(seq(*blocks))
            self.skips.append(nn.Conv1d(32, 32, 1))
        self.last = nn.Conv1d(32, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        total = self.skip(x)
        for group, skip in zip(self.groups, self.skips, strict=True):
            x = group(x)
            total = total + skip(x)
        return self.last(total[..., 5000:-5000])


def spliceai() -> Made:
    return SpliceAI(), (4, 15000), "Illumina/SpliceAI spliceai.py (SpliceAI-10k)"


def largefov() -> Made:
    layers: list[nn.Module] = []
    c = 3
    for i, widths in enumerate(((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)):
        d = 2 if i == 4 else 1
        for w in widths:
            layers += [nn.Conv2d(c, w, 3, 1, d, d), nn.ReLU()]
            c = w
        layers.append(nn.MaxPool2d(3, 2 if i < 3 else 1, 1))
    layers += [
        nn.Conv2d(512, 1024, 3, 1, 12, 12),
        nn.ReLU(),
        nn.Conv2d(1024, 1024, 1),
        nn.ReLU(),
        nn.Conv2d(1024, 21, 1),
    ]
    return seq(*layers), (3, 321, 321), "DeepLab-LargeFOV's train.prototxt"


class OnResNet(nn.Module):
    """A head on the maps of torchvision's dilated ResNet: the last one and layer1's."""

    def __init__(self, depth: int, dilated: list[bool], head: nn.Module) -> None:
        super().__init__()
        import torchvision

        body = getattr(torchvision.models, f"resnet{depth}")(weights=None, replace_stride_with_dilation=dilated)
        self.stem = seq(body.conv1, body.bn1, body.relu, body.maxpool, body.layer1)
        self.rest, self.head = seq(body.layer2, body.layer3, body.layer4), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = self.stem(x)
        return self.head(self.rest(low), low)


def cbr(c: int, out: int, k: int = 1, d: int = 1) -> nn.Module:
    return seq(nn.Conv2d(c, out, k, 1, d * (k // 2), d, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class SumOfFour(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.arms = nn.ModuleList(nn.Conv2d(2048, 21, 3, 1, r, r) for r in (6, 12, 18, 24))

    def forward(self, x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return sum(arm(x) for arm in self.arms)


class Plus3(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.arms = nn.ModuleList([cbr(2048, 256), *(cbr(2048, 256, 3, r) for r in (6, 12, 18))])
        self.image, self.project, self.low = cbr(2048, 256), cbr(1280, 256), cbr(256, 48)
        self.decoder = seq(cbr(304, 256, 3), cbr(256, 256, 3), nn.Conv2d(256, 21, 1))

    def forward(self, x: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        image = F.interpolate(self.image(x.mean((2, 3), keepdim=True)), x.shape[2:])
        y = self.project(torch.cat([*(arm(x) for arm in self.arms), image], 1))
        y = torch.cat([self.low(low), F.interpolate(y, scale_factor=4, mode="bilinear")], 1)
        return F.interpolate(self.decoder(y), scale_factor=4, mode="bilinear")


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bins = nn.ModuleDict({str(n): seq(nn.AdaptiveAvgPool2d(n), cbr(2048, 512)) for n in (1, 2, 3, 6)})
        self.end = seq(cbr(4096, 512, 3), nn.Conv2d(512, 21, 1))

    def forward(self, x: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        arms = [F.interpolate(arm(x), x.shape[2:], mode="bilinear") for arm in self.bins.values()]
        return F.interpolate(self.end(torch.cat([x, *arms], 1)), scale_factor=8, mode="bilinear")


def v2() -> Made:
    return (
        OnResNet(101, [False, True, True], SumOfFour()),
        (3, 320, 320),
        "DeepLab v2 paper, §3.2, on torchvision's ResNet",
    )


def v3plus() -> Made:
    return OnResNet(101, [False, False, True], Plus3()), (3, 512, 512), "DeepLab v3+ paper, §3, on torchvision's ResNet"


def pspnet() -> Made:
    return OnResNet(50, [False, True, True], Pyramid()), (3, 480, 480), "PSPNet paper, §3, on torchvision's ResNet"


NETWORKS: dict[str, Callable[[], Made]] = {
    **{f"srcnn-9{m}5": partial(srcnn, m) for m in (1, 3, 5)},
    "fsrcnn": partial(fsrcnn, 56, 12, 4),
    "fsrcnn-s": partial(fsrcnn, 32, 5, 1),
    "esrgan": esrgan,
    "dcgan-generator": partial(dcgan, False),
    "dcgan-discriminator": partial(dcgan, True),
    "c3d": c3d,
    "i3d": i3d,
    "vnet": vnet,
    "hifigan-v1": partial(hifigan, 512),
    "hifigan-v2": partial(hifigan, 128),
    "hifigan-v3": hifigan_small,
    "spliceai-10k": spliceai,
    "deeplab-v1-largefov": largefov,
    "deeplab-v2-resnet101": v2,
    "deeplab-v3plus-resnet101": v3plus,
    "pspnet-resnet50": pspnet,
}
