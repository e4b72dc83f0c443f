"""Overlaps in use against the exact halo, measured: `python tests/overlaps.py` runs networks whole and in tiles.

All is in whole numbers, and the values that differ are counted; the table is in docs/tiles.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tile_networks import LargeFov, dncnn, espcn, fsrcnn, stack
from torch import nn

import rfcalc
from rfcalc.backend.tiling import exact


class Bilinear(nn.Module):
    """A U-Net of depth 2 with bilinear upsampling, as CAREamics builds: two convolutions at each level."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()

        def block(a: int, b: int) -> Any:
            return stack((3, b), (3, b), last=nn.ReLU(), channels=a)

        self.down = nn.ModuleList([block(1, width), block(width, 2 * width)])
        self.bottom = block(2 * width, 4 * width)
        self.up = nn.ModuleList([block(6 * width, 2 * width), block(3 * width, width)])
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x: Any) -> Any:
        maps = []
        for down in self.down:
            maps.append(down(x))
            x = nn.functional.max_pool2d(maps[-1], 2)
        x = self.bottom(x)
        for up in self.up:
            x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
            x = up(torch.cat([x, maps.pop()], 1))
        return self.last(x)


def residual(blocks: int, scale: int, width: int = 8) -> Any:
    """EDSR's body and tail, without what is added around it (which reads no farther)."""
    layers = [(3, width)] * (2 * blocks + 2)
    return nn.Sequential(
        stack(*layers, channels=3), nn.Conv2d(width, width * scale**2, 3, padding=1), nn.PixelShuffle(scale),
        nn.Conv2d(width, 3, 3, padding=1),
    )  # fmt: skip


def differing(run: Callable[[Any], Any], image: Any, tile: int, pad: int, scale: int) -> tuple[int, int, float]:
    """How many values differ if tiles of `tile` read `pad` more on each side, of how many; how much is read in all."""
    whole = run(image)
    got = torch.full_like(whole, -1)
    _, height, width = image.shape
    read = 0
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            a, b = max(y - pad, 0), max(x - pad, 0)
            part = image[:, a : min(y + tile + pad, height), b : min(x + tile + pad, width)]
            read += part.shape[1] * part.shape[2]
            out = run(part)
            h, w = min(tile, height - y) * scale, min(tile, width - x) * scale
            y0, x0 = (y - a) * scale, (x - b) * scale
            got[:, y * scale : y * scale + h, x * scale : x * scale + w] = out[:, y0 : y0 + h, x0 : x0 + w]
    return int((got != whole).sum()), whole.numel(), read / (height * width)


def main() -> None:
    torch.set_num_threads(1)
    cases = [
        ("U-Net, depth 2, bilinear", Bilinear(), 1, 1, 80, 24),
        ("DnCNN, 17 layers", dncnn(17), 1, 1, 64, 10),
        ("ESPCN x3", espcn(3), 1, 3, 64, 10),
        ("FSRCNN x3", fsrcnn(56, 12, 4, 3), 1, 3, 64, 10),
        ("EDSR, 16 blocks, x2", residual(16, 2), 3, 2, 64, 10),
        ("DeepLab v2, ASPP-L", nn.Sequential(LargeFov((6, 12, 18, 24)), nn.Upsample(scale_factor=8)), 3, 1, 128, 64),
    ]
    for name, module, channels, scale, tile, pad in cases:
        torch.manual_seed(0)
        side = 3 * tile
        plan = rfcalc.tile(module.eval(), f"{channels}x{side}x{side}", tiles="3x3")
        run, _ = exact(module, ("x",))
        image = torch.randint(0, 251, (channels, side, side)).double()
        halo = max(max(a.halo) for a in plan.axes)
        in_use, exact_ = (differing(run, image, tile, p, scale) for p in (pad, halo))
        print(
            f"| {name}, {side} × {side}, tiles of {tile} | {pad} | {in_use[0]:,} of {in_use[1]:,} | {in_use[2]:.2f} "
            f"| {halo} | {exact_[0]} | {exact_[2]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
