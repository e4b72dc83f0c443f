"""Published networks in exact tiles: tiled equals whole in whole numbers, and one align less differs.

The packages are no dependencies; those that are installed are compared. `python tests/test_tile_published.py` prints a
line for each network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import rfcalc
from rfcalc import RfcalcError

torch = pytest.importorskip("torch")
nn = torch.nn

Build = Callable[[], Any]


def package(name: str) -> Any:
    from vision import models

    models()  # packages import torchvision
    return import_module(name)


def smp(kind: str, encoder: str = "resnet18", **given: Any) -> Any:
    found = package("segmentation_models_pytorch")
    return getattr(found, kind)(encoder, encoder_weights=None, in_channels=1, classes=2, **given)


def monai(kind: str, *given: Any, **named: Any) -> Any:
    return getattr(package("monai.networks.nets"), kind)(*given, **named)


def arch(path: str, kind: str, **given: Any) -> Any:
    return getattr(package(f"spandrel.architectures.{path}"), kind)(**given)


def vision(kind: str) -> Any:
    from vision import models

    net: Any = getattr(models().segmentation, kind)(weights=None, weights_backbone=None)
    return net


class Backbone(nn.Module):
    """A classifier up to its pool."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from vision import models

        net: Any = getattr(models(), name)(weights=None)
        self.net = net.features if hasattr(net, "features") else nn.Sequential(*list(net.children())[:-2])

    def forward(self, x: Any) -> Any:
        return self.net(x)


class Edsr(nn.Module):
    """Lim et al. 2017, in small: residual blocks without normalisation, sub-pixel upsampling."""

    def __init__(self, blocks: int = 4, channels: int = 8, scale: int = 2) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
            )
            for _ in range(blocks)
        )
        self.tail = nn.Sequential(
            nn.Conv2d(channels, channels * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
            nn.Conv2d(channels, 3, 3, padding=1),
        )

    def forward(self, x: Any) -> Any:
        x = y = self.head(x)
        for block in self.body:
            y = y + block(y)
        return self.tail(x + y)


class Taesd(nn.Module):
    """A tiny decoder of latents, as TAESD's: residual blocks, nearest upsampling three times."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()

        def block() -> Any:
            return nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
            )

        self.first = nn.Conv2d(4, channels, 3, padding=1)
        self.blocks = nn.ModuleList(block() for _ in range(4))
        self.ups = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(3))
        self.last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.first(torch.tanh(x / 3) * 3))
        for i, block in enumerate(self.blocks):
            x = torch.relu(x + block(x))
            if i < len(self.ups):
                x = self.ups[i](nn.functional.interpolate(x, scale_factor=2))
        return self.last(x)


class ToOutput(nn.Module):
    """The map that a model of several outputs calls "out"."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        return self.net(x)["out"]


def hifigan() -> Any:
    import stream_networks

    return stream_networks.HifiGan()


def of_streams(kind: str) -> Any:
    import stream_networks

    return getattr(stream_networks, kind)()


NETWORKS: dict[str, tuple[Build, str, str]] = {
    "EDSR": (Edsr, "3x40x36", "2x2"),
    "EDSR x3": (lambda: Edsr(scale=3), "3x40x36", "2x3"),
    "TAESD decoder": (Taesd, "4x44x40", "2x2"),
    "HiFi-GAN": (hifigan, "20x120", "3"),
    "WaveNet": (lambda: of_streams("WaveNet"), "1x600", "3"),
    "Wave-U-Net": (lambda: of_streams("UNet"), "1x400", "3"),
    "FCN-ResNet-50 (torchvision)": (lambda: ToOutput(vision("fcn_resnet50")), "3x1024x64", "2x1"),
    **{
        f"{name} up to its pool (torchvision)": (lambda n=name: Backbone(n), f"3x{side}x64", "2x1")
        for name, side in {
            "vgg11": 480,
            "vgg16_bn": 640,
            "alexnet": 480,
            "resnet18": 960,
            "resnet34": 1600,
            "densenet121": 2400,
            "squeezenet1_1": 480,
            "mobilenet_v2": 1024,
            "shufflenet_v2_x0_5": 960,
        }.items()
    },
    "smp U-Net, ResNet-18": (lambda: smp("Unet"), "1x1152x64", "2x1"),
    "smp U-Net, MobileNetV2": (lambda: smp("Unet", "mobilenet_v2"), "1x1280x32", "2x1"),
    "smp U-Net, VGG-11": (lambda: smp("Unet", "vgg11"), "1x640x32", "2x1"),
    "smp U-Net, depth 3": (lambda: smp("Unet", encoder_depth=3, decoder_channels=(16, 8, 8)), "1x320x32", "2x1"),
    "smp U-Net++, ResNet-18": (lambda: smp("UnetPlusPlus"), "1x1152x32", "2x1"),
    "smp LinkNet, ResNet-18": (lambda: smp("Linknet"), "1x1152x32", "2x1"),
    "smp U-Net encoder, ResNet-34": (
        lambda: smp("Unet", "resnet34", encoder_depth=3, decoder_channels=(8, 8, 8)),
        "1x640x32",
        "2x1",
    ),
    "MONAI BasicUNet, batch norm": (
        lambda: monai("BasicUNet", 2, 1, 2, features=(4, 4, 8, 8, 8, 4), norm="batch"),
        "1x480x32",
        "2x1",
    ),
    "MONAI BasicUNet 3-D, batch norm": (
        lambda: monai("BasicUNet", 3, 1, 2, features=(2, 2, 4, 4, 4, 2), norm="batch"),
        "1x480x16x16",
        "2x1x1",
    ),
    "MONAI UNet, batch norm": (
        lambda: monai("UNet", 2, 1, 2, (4, 8, 8), (2, 2), num_res_units=1, norm="batch"),
        "1x160x96",
        "2x2",
    ),
    "MONAI UNet 3-D, batch norm": (
        lambda: monai("UNet", 3, 1, 2, (2, 4, 4), (2, 2), norm="batch"),
        "1x96x32x32",
        "2x1x1",
    ),
    "MONAI DynUNet, batch norm": (
        lambda: monai("DynUNet", 2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], filters=(4, 8, 8), norm_name="batch"),
        "1x160x96",
        "2x2",
    ),
    "MONAI SegResNet encoder, batch norm": (
        lambda: monai("SegResNet", 2, 4, 1, 2, norm="batch", blocks_down=(1, 1, 1), blocks_up=(1, 1)),
        "1x160x96",
        "2x2",
    ),
    "MONAI HighResNet": (
        lambda: monai("HighResNet", 2, 1, 2, norm_type="batch"),
        "1x200x80",
        "2x1",
    ),
    "MONAI AttentionUnet": (
        lambda: monai("AttentionUnet", 2, 1, 2, (4, 8, 8), (2, 2)),
        "1x160x96",
        "2x2",
    ),
    "ESRGAN (RRDB)": (
        lambda: arch("ESRGAN.__arch.RRDB", "RRDBNet", in_nc=3, out_nc=3, num_filters=8, num_blocks=2, scale=4),
        "3x100x40",
        "2x1",
    ),
    "Compact (SRVGG)": (
        lambda: arch("Compact.__arch.SRVGG", "SRVGGNetCompact", num_feat=8, num_conv=6, upscale=4),
        "3x60x40",
        "2x2",
    ),
    "DnCNN": (lambda: arch("DnCNN.__arch.network_dncnn", "DnCNN", in_nc=1, out_nc=1, nc=8, nb=7), "1x60x48", "2x2"),
    "DRUNet": (
        lambda: arch("DRUNet.__arch.network_unet", "UNetRes", in_nc=1, out_nc=1, nc=[4, 8, 8, 8], nb=1),
        "1x240x48",
        "2x1",
    ),
    "SPAN": (lambda: arch("SPAN.__arch.span", "SPAN", num_in_ch=3, num_out_ch=3, feature_channels=8), "3x80x40", "2x1"),
    "PLKSR, RealPLKSR's windows": (
        lambda: arch("PLKSR.__arch.PLKSR", "PLKSR", dim=8, n_blocks=2, upscaling_factor=2),
        "3x120x48",
        "2x1",
    ),
    "SwiftSRGAN": (
        lambda: arch("SwiftSRGAN.__arch.SwiftSRGAN", "Generator", in_channels=3, num_channels=8, num_blocks=3),
        "3x80x48",
        "2x1",
    ),
}


def built(build: Build) -> Any:
    torch.manual_seed(0)
    try:
        return build().eval()
    except (ImportError, AttributeError) as error:
        pytest.skip(f"not installed: {error}")


def compared(module: Any, shape: str, tiles: str) -> tuple[Any, dict[str, Any]]:
    """The plan, and what the run in whole numbers says.

    Raises:
        RfcalcError: there are no tiles.
    """
    from rfcalc.backend.tiling import verified

    plan = rfcalc.tile(module, shape, tiles=tiles)
    if plan.barriers:
        raise RfcalcError("there are no tiles", where=plan.barriers[0].node, why=plan.barriers[0].why)
    return plan, verified(plan, module)


@pytest.mark.parametrize("name", ["EDSR", "TAESD decoder", "HiFi-GAN"])
def test_networks_written_anew(name: str) -> None:
    torch.set_num_threads(1)
    build, shape, tiles = NETWORKS[name]
    plan, found = compared(built(build), shape, tiles)
    assert plan.count > 1 and found["passed"] and found["differing"] == 0 and True in found["less"].values(), found


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks(name: str) -> None:
    torch.set_num_threads(1)
    build, shape, tiles = NETWORKS[name]
    plan, found = compared(built(build), shape, tiles)
    assert plan.count > 1 and found["passed"] and found["differing"] == 0 and True in found["less"].values(), found


def main() -> None:
    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parent))
    for name, (build, shape, tiles) in NETWORKS.items():
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        try:
            torch.manual_seed(0)
            plan, found = compared(build().eval(), shape, tiles)
            a = plan.axes[0]
            less = "seen" if True in found["less"].values() else "NOT SEEN"
            told = f"{plan.count} tiles, need {a.need}, halo {a.halo}, align {a.align}, {found['values']:,} values, "
            told += f"{found['differing']} differ, one align less is {less}{'' if found['passed'] else ' FAILED'}"
        except RfcalcError as error:
            told = f"NO TILES {error.where or ''} {error.what} {error.why}"
        except Exception as error:
            told = f"ERROR {type(error).__name__}: {str(error)[:160]}"
        print(f"{name}: {told}", flush=True)


if __name__ == "__main__":
    main()
