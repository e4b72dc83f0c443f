"""Draws the pictures of the gallery by the commands that it shows; its page: `python docs/figures/gallery.py`.

A test keeps both fresh.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from rfcalc.cli import run

HERE = Path(__file__).parent


class Entry(NamedTuple):
    """A picture: the name of its file, the words of its command, what it shows."""

    name: str
    words: str
    told: str


GALLERY: dict[str, tuple[Entry, ...]] = {
    "Styles": (
        Entry(
            "vgg16-blocks",
            "vgg16 --style blocks --highlight pool4",
            "VGG-16, maps to scale, and what the middle unit of pool4 sees of each",
        ),
        Entry("unet-unet", "unet --style unet", "U-Net: a row for each effective stride"),
        Entry("fpn-unet", "fpn-resnet50 --style unet --depth 2", "A feature pyramid on ResNet-50, block by block"),
        Entry("resnet18-stages", "resnet18", "The ladder of ResNet-18"),
        Entry(
            "resnet50-depth",
            "resnet50 --style graph --depth 2 --metrics rf,stride,params",
            "ResNet-50, a box a block, with figures that were chosen",
        ),
        Entry("googlenet-graph", "googlenet --style graph", "The inception modules of GoogLeNet, side by side"),
        Entry("swin-blocks", "swin-t --style blocks --depth 2", "Swin-T, block by block"),
        Entry("wavenet-stages", "wavenet --depth 1", "WaveNet, stack by stack"),
    ),
    "Charts": (
        Entry(
            "resnet50-growth",
            "resnet50 --chart growth",
            "The receptive field of ResNet-50 over depth, against its image",
        ),
        Entry("unet-growth", "unet-padded --chart growth", "Units of a decoder see different sizes, by their phase"),
        Entry("resnet50-cost", "resnet50 --chart cost", "What the stages of ResNet-50 cost"),
        Entry(
            "compare",
            "vgg16 resnet50 googlenet mobilenet-v2 densenet121 efficientnet-b0 squeezenet1.1 --chart compare",
            "Multiply-adds, receptive field and parameters of seven networks",
        ),
        Entry("resnet18-memory", "resnet18 --batch 8 --chart memory", "What lives when, in a step of training"),
        Entry(
            "unet-tiles",
            "unet-padded --input 1x1024x1024 --chart tiles --tile 512",
            "Tiles of U-Net that put together the exact map",
        ),
        Entry(
            "slide-tiles",
            "unet-padded --input 1x4096x4096 --chart tiles --tile 1024",
            "A tile of a slide: what it reads, and what it writes",
        ),
        Entry(
            "super-resolution-tiles",
            "'conv5-64 > conv3-64 x3 > conv5-48 > pixelshuffle4' --input 3x128x128 --chart tiles --tiles 3x3",
            "A tile of a super-resolution network: the output is four times larger",
        ),
        Entry(
            "detector-tiles",
            "fpn-resnet50 --input 3x2048x2048 --chart tiles --at P3 --tile 1024",
            "A tile of a detector's finest level",
        ),
        Entry(
            "detector-field",
            "fpn-resnet50 --input 3x800x1312 --chart field --at P3",
            "What a cell of a detector sees",
        ),
        Entry(
            "vgg16-field",
            "vgg16 --chart field --at pool4 --unit 2,5",
            "What a unit near the border sees, and where its gradient lies",
        ),
        Entry("holes-field", "'conv3-8 d4 > conv3-8 d4' -i 3x24x24 --chart field", "Two dilated layers leave holes"),
    ),
}

ABOUT = """# Gallery

Pictures by `rfcalc draw`, each with the command that makes it. All of them follow your system, light or dark; what they
mean is told in [Pictures of networks](draw.md). This page is made by `python docs/figures/gallery.py`.
"""


def entries() -> list[Entry]:
    """All pictures of the gallery."""
    return [entry for group in GALLERY.values() for entry in group]


def draw(entry: Entry, file: Path) -> None:
    """Run the command of a picture."""
    code = run(["draw", *shlex.split(entry.words), "-o", str(file)])
    if code:
        sys.exit(code)


def page() -> str:
    """The gallery."""
    lines = [ABOUT]
    for title, group in GALLERY.items():
        lines.append(f"## {title}\n")
        for entry in group:
            command = f"rfcalc draw {entry.words} -o {entry.name}.svg"
            lines.append(f"![{entry.told}](figures/{entry.name}.svg)\n\n*{entry.told}.*\n\n```sh\n{command}\n```\n")
    return "\n".join(lines)


if __name__ == "__main__":
    for one in entries():
        draw(one, HERE / f"{one.name}.svg")
    (HERE.parent / "gallery.md").write_text(page(), encoding="utf-8")
