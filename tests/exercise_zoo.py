"""Networks that an item only names, layer by layer, from the papers' tables, in the English of the exercises."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

from exercise_text import Network, Told, Unreadable, layer

VGG = {"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}
RESNET = {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3), "50": (3, 4, 6, 3)}
# Szegedy et al., Table 1: #1×1, #3×3 reduce, #3×3, #5×5 reduce, #5×5, pool proj
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip
ALEXNET = {  # filters of a kernel, with stride and padding, and groups
    "AlexNet as published":
        ((96, 11, 4, 0, 1), (256, 5, 1, 2, 2), (384, 3, 1, 1, 1), (384, 3, 1, 1, 2), (256, 3, 1, 1, 2)),
    "AlexNet (torchvision)":
        ((64, 11, 4, 2, 1), (192, 5, 1, 2, 1), (384, 3, 1, 1, 1), (256, 3, 1, 1, 1), (256, 3, 1, 1, 1)),
}  # fmt: skip


class Rows:
    """The rows of a network, each reading the one before unless it says another."""

    def __init__(self) -> None:
        self.nodes: list[SimpleNamespace] = []
        self.last = "input"

    def add(self, what: str, name: str = "", *reads: str) -> str:
        name = name or f"n{len(self.nodes)}"
        self.nodes.append(SimpleNamespace(name=name, layer=layer(what), inputs=list(reads or (self.last,))))
        self.last = name
        return name

    def conv(self, m: int, k: int, s: int = 1, p: int = 0, name: str = "", *reads: str, more: str = "") -> str:
        return self.add(f"convolution, {m} filters of {k}×{k}, stride {s}, padding {p}{more}", name, *reads)

    def pool(self, k: int, s: int, name: str = "", *reads: str, more: str = "") -> str:
        return self.add(f"max pooling {k}×{k}, stride {s}{more}", name, *reads)

    def head(self, *widths: int, dropout: bool = True) -> None:
        self.add("flatten")
        for m in widths[:-1]:
            self.add(f"fully connected, {m} units")
            self.add("ReLU")
            if dropout:
                self.add("dropout")
        self.add(f"fully connected, {widths[-1]} units")


def vgg(depth: str) -> Rows:
    """Simonyan & Zisserman, Table 1."""
    made = Rows()
    for block, (times, m) in enumerate(zip(VGG[depth], (64, 128, 256, 512, 512), strict=True), 1):
        for i in range(1, times + 1):
            made.conv(m, 3, 1, 1, f"conv{block}_{i}")
            made.add("ReLU")
        made.pool(2, 2, f"pool{block}")
    made.head(4096, 4096, 1000)
    return made


def alexnet(title: str) -> Rows:
    made = Rows()
    for i, (m, k, s, p, g) in enumerate(ALEXNET[title], 1):
        made.conv(m, k, s, p, f"conv{i}", more=f", {g} groups" if g > 1 else "")
        made.add("ReLU")
        if i in (1, 2, 5):
            made.pool(3, 2, f"pool{i}")
    made.head(4096, 4096, 1000)
    return made


def resnet(depth: str) -> Rows:
    """He et al., Table 1, with the stride on the 3×3 (v1.5); 1×1 convolutions where the shape changes."""
    made, deep = Rows(), depth == "50"

    def normalised(m: int, k: int, s: int, p: int, *reads: str) -> str:
        made.conv(m, k, s, p, "", *reads, more=", without bias")
        return made.add("batch normalisation")

    normalised(64, 7, 2, 3)
    made.add("ReLU")
    made.pool(3, 2, more=", padding 1")
    for stage, times in enumerate(RESNET[depth]):
        m = 64 * 2**stage
        for i in range(times):
            before, s = made.last, 2 if stage and not i else 1
            if deep:
                normalised(m, 1, 1, 0)
                made.add("ReLU")
            normalised(m, 3, s, 1)
            made.add("ReLU")
            path = normalised(4 * m, 1, 1, 0) if deep else normalised(m, 3, 1, 1)
            short = normalised(4 * m if deep else m, 1, s, 0, before) if s > 1 or (deep and not i) else before
            made.add("sum", "", path, short)
            made.add("ReLU", f"conv{stage + 2}_x" if i == times - 1 else "")
    made.add("global average pooling")
    made.head(1000)
    return made


def googlenet() -> Rows:
    made, ceil = Rows(), ", rounded up (ceil mode)"
    made.conv(64, 7, 2, 3)
    made.pool(3, 2, more=ceil)
    made.conv(64, 1)
    made.conv(192, 3, 1, 1)
    made.pool(3, 2, more=ceil)
    for name, (one, before3, three, before5, five, pooled) in INCEPTION.items():
        if name in ("4a", "5a"):
            made.pool(3, 2, more=ceil)
        source = made.last
        ends = [made.conv(one, 1, 1, 0, "", source)]
        made.conv(before3, 1, 1, 0, "", source)
        ends.append(made.conv(three, 3, 1, 1))
        made.conv(before5, 1, 1, 0, "", source)
        ends.append(made.conv(five, 5, 1, 2))
        made.pool(3, 1, "", source, more=", padding 1")
        ends.append(made.conv(pooled, 1))
        made.add("concatenation along the channels", name, *ends)
    made.add("global average pooling")
    made.head(1000)
    return made


def rows(title: str) -> Rows:
    """The network that an item calls so.

    Raises:
        Unreadable: its layers do not stand here.
    """
    named: tuple[tuple[str, Callable[[re.Match[str]], Rows]], ...] = (
        (r"VGG-(\d+)", lambda m: vgg(m[1])),
        (r"(AlexNet as published|AlexNet \(torchvision\))", lambda m: alexnet(m[1])),
        (r"ResNet-(18|34|50)(?! \(v1:)", lambda m: resnet(m[1])),
        (r"GoogLeNet", lambda _: googlenet()),
    )
    for pattern, make in named:
        if said := re.match(pattern, title):
            return make(said)
    raise Unreadable(title)


@cache
def named(title: str, shape: tuple[int, ...]) -> Told:
    """The figures of a network that an item only names."""
    return Told(Network("input", rows(title).nodes), shape)
