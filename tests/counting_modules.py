"""Modules that counting tools are asked about, and what each tool itself prints for them.

`python tests/counting_modules.py FOLDER` measures: FOLDER holds the tools, installed without what they depend on
(`pip install --no-deps --target FOLDER -r tests/data/counting-tools.txt`); it writes tests/data/counts-of-modules.json.
"""

from __future__ import annotations

import json
import runpy
import sys
import warnings
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.functional import relu as imported_relu

RECORD = Path(__file__).parent / "data" / "counts-of-modules.json"
TOOLS = Path(__file__).parent / "data" / "counting-tools.txt"


class Block(nn.Module):
    """A residual block whose activation and sum are functions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in "12")
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Any) -> Any:
        return F.relu(torch.add(self.bn2(self.two(F.relu(self.bn1(self.one(x))))), x))


class Imported(nn.Module):
    """Functions that were imported by name, and methods."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x: Any) -> Any:
        x = imported_relu(self.conv(x)).relu()
        return x.mul(2).add(x) * x


def _unet() -> nn.Module:
    page = runpy.run_path(str(Path(__file__).parent.parent / "docs" / "examples" / "unet.py"))
    made: nn.Module = page["UNet"](depth=2, width=16)
    return made


class Attention(nn.Module):
    """Self-attention by hand, with products of three spellings."""

    def __init__(self, width: int, spelling: str) -> None:
        super().__init__()
        self.qkv, self.proj, self.spelling = nn.Linear(width, 3 * width), nn.Linear(width, width), spelling

    def forward(self, x: Any) -> Any:
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.spelling == "operator":
            return self.proj((q @ k.transpose(1, 2)).softmax(-1) @ v)
        if self.spelling == "function":
            return self.proj(torch.bmm(F.softmax(torch.matmul(q, k.transpose(1, 2)), -1), v))
        if self.spelling == "einsum":
            return self.proj(torch.einsum("bij,bjk->bik", torch.einsum("bic,bjc->bij", q, k).softmax(-1), v))
        return self.proj(F.scaled_dot_product_attention(q, k, v))


class Own(nn.Module):
    """Parameters of its own, used by functions; no layer of PyTorch's in it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.scale = nn.Parameter(torch.ones(8, 1, 1))

    def forward(self, x: Any) -> Any:
        return torch.mul(F.conv2d(x, self.weight), self.scale) + 1


class Twice(nn.Module):
    """One layer called twice, and held under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)
        self.b = nn.Sequential(self.a, nn.ReLU())

    def forward(self, x: Any) -> Any:
        return self.a(self.b(x)) + self.a(x)


class Derived(nn.Conv2d):
    """A class of the user's own that PyTorch's is the base of."""


class First(nn.Module):
    """The first of what a module returns."""

    def __init__(self, module: nn.Module, times: int = 1) -> None:
        super().__init__()
        self.module, self.times = module, times

    def forward(self, x: Any) -> Any:
        return self.module(*[x] * self.times)[0]


def seq(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*layers)


# what makes it, and the shape of its input without the batch
MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolution": (seq(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2)), (3, 32, 32)),
    "grouped, dilated, same": (
        seq(nn.Conv2d(4, 8, 3, groups=2, dilation=2), nn.Conv2d(8, 8, 3, padding="same"), nn.SiLU()),
        (4, 20, 20),
    ),
    "one dimension": (seq(nn.Conv1d(2, 6, 5), nn.BatchNorm1d(6), nn.ELU(), nn.AvgPool1d(2)), (2, 40)),
    "three dimensions": (seq(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.MaxPool3d(2)), (1, 8, 8, 8)),
    "transposed": (seq(nn.ConvTranspose2d(6, 4, 2, 2), nn.ConvTranspose2d(4, 4, 3, 1, 1, groups=2)), (6, 9, 9)),
    "transposed in one dimension": (seq(nn.ConvTranspose1d(4, 3, 4, 2, 1), nn.Tanh()), (4, 16)),
    "norms": (
        seq(nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True), nn.InstanceNorm2d(8)),
        (3, 12, 12),
    ),
    "batch norm without scale": (seq(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False)), (3, 8, 8)),
    "layer norm": (seq(nn.Linear(16, 16), nn.LayerNorm(16), nn.LayerNorm(16, elementwise_affine=False)), (10, 16)),
    "activations": (
        seq(nn.Conv2d(3, 4, 1), nn.ReLU6(), nn.PReLU(), nn.LeakyReLU(), nn.GELU(), nn.Hardswish(), nn.Sigmoid()),
        (3, 8, 8),
    ),
    "softmax": (seq(nn.Linear(12, 10), nn.Softmax(-1)), (12,)),
    "pools": (
        seq(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
        (4, 16, 16),
    ),
    "resizing": (
        seq(nn.Conv2d(3, 4, 1), nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2.0, mode="bilinear")),
        (3, 6, 6),
    ),
    "pixel shuffle": (seq(nn.Conv2d(3, 12, 3), nn.PixelShuffle(2), nn.ZeroPad2d(1), nn.Dropout()), (3, 8, 8)),
    "linear rows": (seq(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3, bias=False)), (6, 8)),
    "residual functions": (seq(Block(6), Block(6)), (6, 10, 10)),
    "imported functions": (Imported, (1, 9, 9)),
    "u-net of the docs": (_unet, (1, 64, 64)),
    "attention, operators": (lambda: Attention(16, "operator"), (9, 16)),
    "attention, functions": (lambda: Attention(16, "function"), (9, 16)),
    "attention, einsum": (lambda: Attention(16, "einsum"), (9, 16)),
    "attention, fused": (lambda: Attention(16, "fused"), (9, 16)),
    "multi-head attention": (lambda: First(nn.MultiheadAttention(448, 4, batch_first=True), 3), (300, 448)),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), (12, 32)),
    "lstm": (lambda: First(nn.LSTM(8, 6, 2, bidirectional=True, batch_first=True)), (11, 8)),
    "gru": (lambda: First(nn.GRU(8, 6, batch_first=True)), (11, 8)),
    "embedding-free own weights": (Own, (3, 10, 10)),
    "a layer twice": (Twice, (3, 12, 12)),
    "a derived layer": (seq(Derived(3, 4, 3), nn.ReLU()), (3, 9, 9)),
    "mobilenet_v3_small": (lambda: _vision("mobilenet_v3_small"), (3, 64, 64)),
    "resnet18": (lambda: _vision("resnet18"), (3, 64, 64)),
    "swin_t": (lambda: _vision("swin_t"), (3, 64, 64)),
    "vit_b_32": (lambda: _vision("vit_b_32"), (3, 224, 224)),
    "deeplabv3_mobilenet": (lambda: _Out(_vision("deeplabv3_mobilenet_v3_large")), (3, 65, 65)),
    "timm vit": (lambda: _timm("vit_tiny_patch16_224"), (3, 224, 224)),
    "timm convnext": (lambda: _timm("convnext_atto"), (3, 64, 64)),
}


class _Out(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        return self.module(x)["out"]


def _vision(name: str) -> nn.Module:
    from vision import models

    more = {"weights_backbone": None} if "lab" in name else {}
    made: nn.Module = models().get_model(name, weights=None, **more)
    return made


def _timm(name: str) -> nn.Module:
    from vision import models

    models()
    import timm

    made: nn.Module = timm.create_model(name)
    return made


def made(name: str) -> nn.Module:
    """The module, the same every time."""
    torch.manual_seed(0)
    return MODULES[name][0]().eval()


def measured(tool: str, name: str) -> int | str:
    """What a tool prints, or in a word why it does not."""
    module, shape = made(name), MODULES[name][1]
    x = torch.randn(1, *shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(PRINTS[tool](module, x))
    except Exception as error:
        return f"{type(error).__name__}"


def _torch(module: nn.Module, x: Any) -> Any:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(x)
    return counter.get_total_flops()


def _fvcore(module: nn.Module, x: Any) -> Any:
    from fvcore.nn import FlopCountAnalysis

    return FlopCountAnalysis(module, (x,)).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def _thop(module: nn.Module, x: Any) -> Any:
    from thop import profile

    return profile(module, (x,), verbose=False)[0]


def _torchinfo(module: nn.Module, x: Any) -> Any:
    from torchinfo import summary

    return summary(module, input_data=x, verbose=0).total_mult_adds


def _ptflops(module: nn.Module, x: Any) -> Any:
    from ptflops import get_model_complexity_info

    found = get_model_complexity_info(
        module, tuple(x.shape[1:]), as_strings=False, print_per_layer_stat=False, verbose=False, backend="pytorch"
    )[0]
    if found is None:
        raise RuntimeError
    return found


def _calflops(module: nn.Module, x: Any) -> Any:
    from calflops import calculate_flops

    return calculate_flops(module, input_shape=tuple(x.shape), output_as_string=False, print_results=False)[0]


PRINTS: dict[str, Callable[[nn.Module, Any], Any]] = {
    "torch": _torch,
    "fvcore": _fvcore,
    "thop": _thop,
    "torchinfo": _torchinfo,
    "ptflops": _ptflops,
    "calflops": _calflops,
}


def everything(folder: str) -> dict[str, dict[str, int | str]]:
    """What all tools print for all modules; FOLDER holds them."""
    from vision import models

    models()  # ptflops imports it
    sys.path.append(folder)
    torch.set_num_threads(1)
    return {name: {tool: measured(tool, name) for tool in PRINTS} for name in MODULES}


def main(folder: str) -> None:
    """Measure all, and write the record."""
    found = everything(folder)
    record = {"measured": date.today().isoformat(), "versions": {t: version(t) for t in PRINTS}, "modules": found}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
