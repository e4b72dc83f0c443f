"""Network in Network (Lin, Chen & Yan 2013, arXiv:1312.4400): convolutions followed by two 1×1 layers.

The maps of the last 1×1 layer are the classes; a global average makes the scores. The sizes are those that the
authors released as Caffe models, for CIFAR-10 and for ImageNet.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.pointwise import Dropout, ReLU
from rfcalc.layers.pool import AvgPool, GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family

CITATION = "Lin, Chen & Yan, Network In Network, arXiv:1312.4400"


class MlpConv(NamedTuple):
    """An mlpconv: kernel, stride, padding of its convolution, three widths (None: the classes), the pool after it."""

    kernel: int
    stride: int
    padding: int
    widths: tuple[int | None, ...]
    pool: str = ""


NETWORKS = {
    "nin": (
        "Network in Network for ImageNet",
        "3x224x224",
        1000,
        (
            MlpConv(11, 4, 0, (96, 96, 96), "max"),
            MlpConv(5, 1, 2, (256, 256, 256), "max"),
            MlpConv(3, 1, 1, (384, 384, 384), "max drop"),
            MlpConv(3, 1, 1, (1024, 1024, None)),
        ),
    ),
    "nin-cifar": (
        "Network in Network for CIFAR-10",
        "3x32x32",
        10,
        (
            MlpConv(5, 1, 2, (192, 160, 96), "max drop"),
            MlpConv(5, 1, 2, (192, 192, 192), "avg drop"),
            MlpConv(3, 1, 1, (192, 192, None)),
        ),
    ),
}


def build(name: str, *, classes: int | None = None, channels: int = 3, top: bool = True) -> Network:
    """A Network in Network.

    Args:
        name: ``nin`` or ``nin-cifar``.
        classes: maps of the last layer (1000 and 10).
        channels: channels of the input image.
        top: whether the global average is there.
    """
    title, shape, usual, blocks = NETWORKS[name]
    parts: list[Expr] = []
    cccp = 0
    for i, block in enumerate(blocks, 1):
        items: list[Expr] = []
        for j, width in enumerate(block.widths):
            out = (classes or usual) if width is None else width
            if j == 0:
                layer, label = Conv(out, block.kernel, stride=block.stride, padding=block.padding), f"conv{i}"
            else:
                cccp += 1
                layer, label = Conv(out, 1), f"cccp{cccp}"
            items += [layer.named(label), ReLU().named(f"relu_{label}")]
        if block.pool:
            pool = MaxPool if "max" in block.pool else AvgPool
            items.append(pool(3, 2, rounding="ceil").named(f"pool{i}"))
        if "drop" in block.pool:
            items.append(Dropout(0.5).named(f"drop{i}"))
        parts.append(series(items).stage(f"mlpconv {i}"))
    if top:
        parts.append(series([GlobalPool().named("pool"), Flatten().named("flatten")]).stage("classifier"))
    return Network(
        series(parts), f"{channels}{shape[shape.index('x') :]}", name=name, title=title, citation=CITATION
    )  # fmt: skip


FAMILY = Family("Network in Network", tuple(Entry(n, d[0], CITATION, partial(build, n)) for n, d in NETWORKS.items()))
