"""One-dimensional networks as packages build them: EnCodec's (encodec), Basenji2 (basenji2-pytorch), and SegNet.

basenji2-pytorch's trainer needs packages that its network does not: its blocks and parameters are read from its files.
SegNet is written out by hand after the layers of the authors' segnet_inference.prototxt and segnet_basic_inference.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import partial
from importlib import util
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

Made = tuple[nn.Module, tuple[int, ...], str]


def encodec(part: str) -> Made:
    sys.modules.setdefault("torchaudio", ModuleType("torchaudio"))  # which reads files of sound
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from torch.nn.utils import remove_weight_norm

    down = part == "encoder"
    made = (SEANetEncoder if down else SEANetDecoder)(causal=True)
    for module in made.modules():
        if any(name == "weight_g" for name, _ in module.named_parameters(recurse=False)):
            remove_weight_norm(module)
    return made, (1, 24000) if down else (128, 75), f"encodec 0.1.1 SEANet{part.title()}, causal, weight norm removed"


def basenji() -> Made:
    found = util.find_spec("basenji2_pytorch")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(next(iter(found.submodule_search_locations)))
    spec = util.spec_from_file_location("blocks", folder / "blocks.py")
    assert spec is not None
    assert spec.loader is not None
    blocks = util.module_from_spec(spec)
    spec.loader.exec_module(blocks)
    tree = ast.parse((folder / "model.py").read_text())
    told = next(s for s in tree.body if isinstance(s, ast.Assign) and s.targets[0].id == "basenji2_params")
    params = ast.literal_eval(told.value)["model"]
    usual = {"activation": "gelu", "bn_momentum": params["bn_momentum"], "norm_type": params["norm_type"]}
    parts: list[nn.Module] = []
    channels = 4
    for block in params["trunk"]:
        options = {**usual, **{k: v for k, v in block.items() if k != "name"}}
        if block["name"] != "Cropping1D":
            options["in_channels"] = channels
        parts.append(blocks.BLOCK_REGISTRY[block["name"]](**options))
        channels = getattr(parts[-1], "out_channels", channels)
    head = {k: v for k, v in params["head_human"].items() if k != "name"}
    parts += [nn.GELU(), blocks.BLOCK_REGISTRY["final"](channels, **head)]

    return nn.Sequential(*parts), (4, 131072), "basenji2-pytorch 0.1.2, basenji2_params"


class Down(nn.Module):
    def __init__(self, convs: nn.Module) -> None:
        super().__init__()
        self.convs, self.pool = convs, nn.MaxPool2d(2, 2, return_indices=True, ceil_mode=True)


class SegNet(nn.Module):
    def __init__(self, first: nn.Module, down: list[nn.Module], up: list[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.down, self.up = nn.ModuleList(map(Down, down)), nn.ModuleList(up)
        self.back = nn.MaxUnpool2d(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, kept = self.first(x), []
        for level in self.down:
            x = level.convs(x)
            size = x.size()
            x, places = level.pool(x)
            kept.append((places, size))
        for level in self.up:
            places, size = kept.pop()
            x = level(self.back(x, places, output_size=size))
        return self.last(x)


def conv(a: int, b: int, k: int = 3, relu: bool = True) -> list[nn.Module]:
    return [nn.Conv2d(a, b, k, 1, k // 2), nn.BatchNorm2d(b), *([nn.ReLU()] if relu else [])]


def segnet() -> Made:
    def stack(*widths: int) -> nn.Module:
        return nn.Sequential(*(m for a, b in pairwise(widths) for m in conv(a, b)))

    down = [stack(3, 64, 64), stack(64, 128, 128), stack(128, 256, 256, 256), stack(256, 512, 512, 512)]
    up = [stack(512, 512, 512, 512), stack(512, 512, 512, 256), stack(256, 256, 256, 128), stack(128, 128, 64)]
    made = SegNet(nn.Identity(), [*down, stack(512, 512, 512, 512)], [*up, stack(64, 64)], nn.Conv2d(64, 11, 3, 1, 1))
    return made, (3, 360, 480), "alexgkendall/SegNet-Tutorial segnet_inference.prototxt"


def segnet_basic() -> Made:
    down: list[nn.Module] = [nn.Sequential(*conv(3 if i == 0 else 64, 64, 7)) for i in range(4)]
    up: list[nn.Module] = [nn.Sequential(*conv(64, 64, 7, relu=False)) for _ in range(4)]
    made = SegNet(nn.LocalResponseNorm(5), down, up, nn.Conv2d(64, 11, 1))
    return made, (3, 360, 480), "alexgkendall/SegNet-Tutorial segnet_basic_inference.prototxt"


NETWORKS: dict[str, Callable[[], Made]] = {
    "encodec-encoder": partial(encodec, "encoder"),
    "encodec-decoder": partial(encodec, "decoder"),
    "basenji2": basenji,
    "segnet": segnet,
    "segnet-basic": segnet_basic,
}
