"""Published networks that can be tiled, as their packages write them: of each its builder, its channels and, behind the
axis that is cut, what else its input has. The packages are no dependencies; `RFCALC_PACKAGES=FOLDER` names where they
are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import nn
from vision import models

if os.environ.get("RFCALC_PACKAGES"):
    sys.path.append(os.environ["RFCALC_PACKAGES"])

Build = Callable[[], Any]


class Case:
    """How a network is built, the channels of its input, and the axes beside the one that is cut."""

    def __init__(self, build: Build, channels: int = 3, beside: tuple[int, ...] = (32,)) -> None:
        self.build, self.channels, self.beside = build, channels, beside


def package(name: str) -> Any:
    models()  # packages import torchvision
    return import_module(name)


class Mapped(nn.Module):
    """A part of a model, or one of its outputs."""

    def __init__(self, net: Any, of: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.net, self.of = net, of

    def forward(self, x: Any) -> Any:
        y = self.net(x)
        return y if self.of is None else self.of(y)


def torchvision_backbone(name: str) -> Any:
    net: Any = getattr(models(), name)(weights=None)
    if name.startswith("mnasnet"):
        return Mapped(net.layers)
    return Mapped(net.features if hasattr(net, "features") else nn.Sequential(*list(net.children())[:-2]))


def torchvision_fcn(name: str) -> Any:
    net: Any = getattr(models().segmentation, name)(weights=None, weights_backbone=None)
    return Mapped(net, lambda y: y["out"])


def timm_backbone(name: str) -> Any:
    return package("timm").create_model(name, num_classes=0, global_pool="")


def smp(kind: str, encoder: str, home: str = "segmentation_models_pytorch", **given: Any) -> Any:
    return getattr(package(home), kind)(encoder, encoder_weights=None, in_channels=1, classes=2, **given)


def monai(kind: str, *given: Any, **named: Any) -> Any:
    return getattr(package("monai.networks.nets"), kind)(*given, **named)


def spandrel(path: str, kind: str, **given: Any) -> Any:
    return getattr(package(f"spandrel.architectures.{path}"), kind)(**given)


def torchsr(kind: str, **given: Any) -> Any:
    net = getattr(package("torchsr.models"), kind)(**given)
    return net


def pytorchcv(name: str, features: bool = True) -> Any:
    net = package("pytorchcv.model_provider").get_model(name)
    return Mapped(net.features) if features else net


def without_last_pool(name: str) -> Any:
    """The features of a classifier of pytorchcv without its average over 7 x 7."""
    net = package("pytorchcv.model_provider").get_model(name)
    del net.features.final_pool
    return Mapped(net.features)


def nnunet(kind: str, rank: int, stages: int, **given: Any) -> Any:
    home = package("dynamic_network_architectures.architectures.unet")
    about: dict[str, Any] = {
        "input_channels": 1,
        "n_stages": stages,
        "features_per_stage": [8 * 2**i for i in range(stages)],
        "conv_op": nn.Conv2d if rank == 2 else nn.Conv3d,
        "kernel_sizes": 3,
        "strides": [1] + [2] * (stages - 1),
        "num_classes": 2,
        "n_conv_per_stage_decoder": [2] * (stages - 1) if kind == "PlainConvUNet" else [1] * (stages - 1),
        "conv_bias": True,
        "norm_op": nn.BatchNorm2d if rank == 2 else nn.BatchNorm3d,
        "nonlin": nn.LeakyReLU,
    }
    about["n_conv_per_stage" if kind == "PlainConvUNet" else "n_blocks_per_stage"] = [2] * stages
    return getattr(home, kind)(**about, **given)


def taesd(part: str, **given: Any) -> Any:
    return getattr(package("diffusers").AutoencoderTiny(**given), part)


def tcn(**given: Any) -> Any:
    return package("pytorch_tcn").TCN(8, [16] * 4, **given)


class Residual(nn.Module):
    """HiFi-GAN's residual blocks: ResBlock1 (pairs of convolutions) and ResBlock2 (one each)."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], pairs: bool) -> None:
        super().__init__()
        half = (kernel - 1) // 2
        self.wide = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * half) for d in dilations
        )
        self.narrow = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=half) if pairs else nn.Identity() for _ in dilations
        )

    def forward(self, x: Any) -> Any:
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            x = x + narrow(nn.functional.leaky_relu(wide(nn.functional.leaky_relu(x, 0.1))))
        return x


class HifiGan(nn.Module):
    """The generators V1, V2, V3 of Kong et al. 2020, table 5, with the rates of upsampling, kernels and dilations of
    their paper; `width` channels behind the first convolution (512, 128, 256 there)."""

    def __init__(self, version: int, width: int) -> None:
        super().__init__()
        rates = (8, 8, 2, 2) if version < 3 else (8, 8, 4)
        kernels = (16, 16, 4, 4) if version < 3 else (16, 16, 8)
        blocks = (3, 7, 11) if version < 3 else (3, 5, 7)
        dilations = [(1, 3, 5)] * 3 if version < 3 else [(1, 2), (2, 6), (3, 12)]
        self.first = nn.Conv1d(80, width, 7, padding=3)
        sizes = [width // 2**i for i in range(len(rates) + 1)]
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(a, b, k, u, padding=(k - u) // 2)
            for a, b, k, u in zip(sizes, sizes[1:], kernels, rates, strict=False)
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(Residual(b, k, d, version < 3) for k, d in zip(blocks, dilations, strict=True))
            for b in sizes[1:]
        )
        self.last = nn.Conv1d(sizes[-1], 1, 7, padding=3)

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(nn.functional.leaky_relu(x, 0.1))
            x = sum(block(x) for block in blocks) / len(blocks)
        return torch.tanh(self.last(nn.functional.leaky_relu(x)))


def stack(*layers: tuple[int, int], last: nn.Module | None = None, channels: int = 1) -> Any:
    """Plain convolutions (kernel, channels) with ReLU between them."""
    parts: list[nn.Module] = []
    for kernel, out in layers:
        parts += [nn.Conv2d(channels, out, kernel, padding=kernel // 2), nn.ReLU()]
        channels = out
    return nn.Sequential(*parts[:-1], *([last] if last else []))


def fsrcnn(d: int, s: int, m: int, scale: int) -> Any:
    """Dong et al. 2016: FSRCNN(d, s, m), its deconvolution of 9 with the stride of the scale."""
    body = [part for _ in range(m) for part in (nn.Conv2d(s, s, 3, padding=1), nn.PReLU(s))]
    return nn.Sequential(
        nn.Conv2d(1, d, 5, padding=2), nn.PReLU(d), nn.Conv2d(d, s, 1), nn.PReLU(s), *body,
        nn.Conv2d(s, d, 1), nn.PReLU(d),
        nn.ConvTranspose2d(d, 1, 9, scale, padding=4, output_padding=scale - 1),
    )  # fmt: skip


def espcn(scale: int) -> Any:
    """Shi et al. 2016."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, padding=2), nn.Tanh(), nn.Conv2d(64, 32, 3, padding=1), nn.Tanh(),
        nn.Conv2d(32, scale**2, 3, padding=1), nn.PixelShuffle(scale),
    )  # fmt: skip


def dncnn(depth: int) -> Any:
    """Zhang et al. 2017: 17 layers (S), 20 (B), here up to the residual."""
    parts: list[nn.Module] = [nn.Conv2d(1, 64, 3, padding=1), nn.ReLU()]
    for _ in range(depth - 2):
        parts += [nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*parts, nn.Conv2d(64, 1, 3, padding=1))


class LargeFov(nn.Module):
    """DeepLab v2's heads on VGG's features at stride 8: parallel dilated convolutions, without pooling of the image."""

    def __init__(self, rates: tuple[int, ...], width: int = 4) -> None:
        super().__init__()
        plan = [(1, 1, 2), (1, 1, 2), (1, 1, 1, 2), (1, 1, 1, 1), (2, 2, 2, 1)]
        parts: list[nn.Module] = []
        channels = 3
        for i, stage in enumerate(plan):
            out = width * min(8, 2**i)
            for dilation in stage[:-1]:
                parts += [nn.Conv2d(channels, out, 3, padding=dilation, dilation=dilation), nn.ReLU()]
                channels = out
            parts.append(nn.MaxPool2d(3, stage[-1], 1))
        self.features = nn.Sequential(*parts)
        self.heads = nn.ModuleList(nn.Conv2d(channels, 21, 3, padding=r, dilation=r) for r in rates)

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        return sum(head(x) for head in self.heads)


def of_zoo(name: str) -> Any:
    import rfcalc

    return rfcalc.to_torch(rfcalc.load(name))


BACKBONES = [
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg11_bn",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
    "alexnet",
    "squeezenet1_0",
    "squeezenet1_1",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "mobilenet_v2",
    "mnasnet0_5",
    "mnasnet1_0",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "regnet_x_400mf",
    "regnet_x_800mf",
]
TIMM = [
    "resnet10t",
    "resnet14t",
    "resnet26",
    "resnet26d",
    "darknet53",
    "dla34",
    "dla46_c",
    "mobilenetv2_050",
    "fbnetc_100",
    "repvgg_a0",
    "cspdarknet53",
    "vovnet39a",
    "spnasnet_100",
    "dpn48b",
]
SMP_ENCODERS = [
    "resnet18",
    "resnet34",
    "resnet50",
    "vgg11",
    "vgg13_bn",
    "densenet121",
    "mobilenet_v2",
    "mobileone_s0",
    "timm-tf_efficientnet_lite0",
    "tu-resnet18",
    "tu-resnet10t",
    "tu-mobilenetv2_050",
]
CV_FEATURES = [
    "bagnet9",
    "bagnet17",
    "bagnet33",
    "vovnet27s",
    "peleenet",
    "drnc26",
    "darknet53",
    "diracnet18v2",
]

CV_WHOLE = ["erfnet_cityscapes"]
NORM = {"norm": "batch"}


def cases() -> Iterator[tuple[str, Case]]:
    for name in BACKBONES:
        yield f"torchvision {name} up to its pool", Case(partial(torchvision_backbone, name), 3, (64,))
    yield "torchvision FCN-ResNet-50", Case(partial(torchvision_fcn, "fcn_resnet50"), 3, (64,))
    for name in TIMM:
        yield f"timm {name} up to its pool", Case(partial(timm_backbone, name))
    for encoder in SMP_ENCODERS:
        yield f"smp U-Net, {encoder}", Case(partial(smp, "Unet", encoder), 1)
    for encoder in ("resnet18", "resnet34"):
        three = {"encoder_depth": 3, "decoder_channels": (16, 8, 8)}
        yield f"smp U-Net of depth 3, {encoder}", Case(partial(smp, "Unet", encoder, **three), 1)
        yield f"smp U-Net++, {encoder}", Case(partial(smp, "UnetPlusPlus", encoder), 1)
        yield f"smp LinkNet, {encoder}", Case(partial(smp, "Linknet", encoder), 1)
    yield "torchseg U-Net, resnet18", Case(partial(smp, "Unet", "resnet18", "torchseg"), 1)
    for rank in (2, 3):
        thin = {"features": (4, 4, 8, 8, 8, 4), **NORM}
        beside = (32,) * (rank - 1) if rank == 2 else (16, 16)
        yield f"MONAI BasicUNet {rank}-D", Case(partial(monai, "BasicUNet", rank, 1, 2, **thin), 1, beside)
        down = {"strides": (2, 2), "num_res_units": 1, **NORM}
        yield f"MONAI UNet {rank}-D", Case(partial(monai, "UNet", rank, 1, 2, (4, 8, 8), **down), 1, beside)
        yield f"MONAI SegResNet {rank}-D", Case(partial(monai, "SegResNet", rank, 4, 1, 2, **NORM), 1, beside)
        yield f"nnU-Net PlainConvUNet {rank}-D", Case(partial(nnunet, "PlainConvUNet", rank, 4), 1, beside)
        yield f"nnU-Net ResidualEncoderUNet {rank}-D", Case(partial(nnunet, "ResidualEncoderUNet", rank, 4), 1, beside)
    yield "nnU-Net PlainConvUNet 2-D, 6 stages", Case(partial(nnunet, "PlainConvUNet", 2, 6), 1)
    yield (
        "MONAI BasicUNet++",
        Case(lambda: Mapped(monai("BasicUNetPlusPlus", 2, 1, 2, (4, 4, 8, 8, 8, 4), **NORM), lambda y: y[0]), 1),
    )
    yield (
        "MONAI DynUNet",
        Case(
            partial(
                monai, "DynUNet", 2, 1, 2, [3] * 4, [1, 2, 2, 2], [2, 2, 2], filters=(4, 8, 8, 8), norm_name="batch"
            ),
            1,
        ),
    )
    yield "MONAI HighResNet", Case(partial(monai, "HighResNet", 2, 1, 2, norm_type="batch"), 1)
    plksr = partial(spandrel, "PLKSR.__arch.PLKSR", "PLKSR", dim=16, n_blocks=2)
    yield "spandrel PLKSR", Case(plksr, 3, (16,))
    yield "MONAI PatchDiscriminator", Case(partial(monai, "PatchDiscriminator", 2, 8, 1, **NORM), 1)
    yield "MONAI VoxelMorphUNet", Case(partial(monai, "VoxelMorphUNet", 2, 2, 4, (8, 8, 8, 8, 8, 8), (8, 8)), 2)
    for scale in (2, 3, 4):
        yield f"torchsr EDSR baseline x{scale}", Case(partial(torchsr, "edsr_baseline", scale=scale), 3, (8,))
        yield f"torchsr CARN x{scale}", Case(partial(torchsr, "carn", scale=scale), 3, (8,))
        yield f"torchsr CARN-M x{scale}", Case(partial(torchsr, "carn_m", scale=scale), 3, (8,))
        yield f"FSRCNN x{scale}", Case(partial(fsrcnn, 56, 12, 4, scale), 1, (8,))
        yield f"ESPCN x{scale}", Case(partial(espcn, scale), 1, (8,))
    yield "FSRCNN-s x3", Case(partial(fsrcnn, 32, 5, 1, 3), 1, (8,))
    yield "torchsr VDSR", Case(partial(torchsr, "vdsr", scale=1), 3, (16,))
    for first, middle, last in ((9, 1, 5), (9, 3, 5), (9, 5, 5)):
        name = f"SRCNN {first}-{middle}-{last}"
        yield name, Case(partial(stack, (first, 64), (middle, 32), (last, 1)), 1, (16,))
    for depth in (17, 20):
        yield f"DnCNN, {depth} layers", Case(partial(dncnn, depth), 1, (16,))
    for scale in (1, 2, 4, 8):
        blocks = {"num_filters": 8, "num_blocks": 23 if scale == 4 else 6}
        rrdb = partial(spandrel, "ESRGAN.__arch.RRDB", "RRDBNet", in_nc=3, out_nc=3, scale=scale, **blocks)
        yield f"spandrel RRDB x{scale}", Case(rrdb, 3, (8,))
    for convs, scale in ((16, 4), (32, 4), (16, 2)):
        compact = partial(
            spandrel, "Compact.__arch.SRVGG", "SRVGGNetCompact", num_feat=16, num_conv=convs, upscale=scale
        )
        yield f"spandrel SRVGG, {convs} convolutions, x{scale}", Case(compact, 3, (8,))
    yield (
        "spandrel DRUNet",
        Case(partial(spandrel, "DRUNet.__arch.network_unet", "DRUNet", in_nc=1, out_nc=1, nc=[4, 8, 8, 8], nb=4), 1),
    )
    yield (
        "spandrel SPAN",
        Case(partial(spandrel, "SPAN.__arch.span", "SPAN", num_in_ch=3, num_out_ch=3, feature_channels=8), 3, (16,)),
    )
    yield (
        "spandrel SwiftSRGAN",
        Case(
            partial(
                spandrel, "SwiftSRGAN.__arch.SwiftSRGAN", "Generator", in_channels=3, num_channels=8, num_blocks=16
            ),
            3,
            (16,),
        ),
    )
    yield "diffusers TAESD decoder", Case(partial(taesd, "decoder"), 4, (8,))
    yield "diffusers TAESD encoder", Case(partial(taesd, "encoder"), 3)
    yield "diffusers TAESD3 decoder", Case(partial(taesd, "decoder", latent_channels=16), 16, (8,))
    yield "pytorch-tcn, causal", Case(partial(tcn, causal=True), 8, ())
    yield "pytorch-tcn", Case(partial(tcn, causal=False, kernel_size=3), 8, ())
    for version, width in ((1, 64), (2, 64), (3, 64)):
        yield f"HiFi-GAN V{version}", Case(partial(HifiGan, version, width), 80, ())
    yield "DeepLab-LargeFOV", Case(partial(LargeFov, (12,)), 3, (64,))
    yield "DeepLab v2, ASPP-L", Case(partial(LargeFov, (6, 12, 18, 24)), 3, (64,))
    for name in CV_FEATURES:
        yield f"pytorchcv {name}", Case(partial(without_last_pool, name), 3, (64,))
    for name in CV_WHOLE:
        yield f"pytorchcv {name}", Case(partial(pytorchcv, name, False), 3, (64,))
    yield "zoo unet-padded", Case(partial(of_zoo, "unet-padded"), 1)
    yield "zoo patchgan-70", Case(partial(of_zoo, "patchgan-70"), 6)


CASES = dict(cases())
