"""Temporal Convolutional Network (Bai, Kolter & Koltun 2018, arXiv:1803.01271), of one or two convolutions a block.

Dilations double from block to block. With c convolutions of kernel k a block, n blocks see 1 + c(k − 1)(2ⁿ − 1)
steps. The sizes are the paper's for sequential MNIST (8 levels of 25, kernel 7). Weight normalisation, which the
paper trains with, is a way to write the weights and no layer: its gains are not counted.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.dense import Linear
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.reshape import Flatten
from rfcalc.layers.slice import Slice
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import residual, shortcut, unit

CITATION = (
    "Bai, Kolter & Koltun, An Empirical Evaluation of Generic Convolutional and Recurrent Networks, arXiv:1803.01271"
)
NETWORKS = {"tcn": (2, "TCN, two convolutions a block"), "tcn-1": (1, "TCN, one convolution a block")}


def block(convs: int, c_in: int, width: int, kernel: int, dilation: int) -> Expr:
    """Figure 1 (b): dilated causal convolutions, each with ReLU and dropout, and a residual sum."""
    past = ((dilation * (kernel - 1), 0),)
    steps: list[Expr] = []
    for i in range(1, convs + 1):
        conv = Conv(width, kernel, padding=past, dilation=dilation)
        steps += [unit(f"conv{i}", conv, norm=None), Dropout(0.05).named(f"drop{i}")]
    passed = shortcut() if c_in == width else Conv(width, 1).named("downsample")
    return residual(series(steps), passed)


def build(
    name: str = "tcn",
    *,
    levels: int = 8,
    width: int = 25,
    kernel: int = 7,
    classes: int = 10,
    channels: int = 1,
    length: int = 784,
    top: bool = True,
) -> Network:
    """A TCN for sequences of any length.

    Args:
        name: a key of `NETWORKS`.
        levels: blocks; dilations are 1, 2, 4, ….
        width: channels of every block.
        kernel: of every convolution.
        classes: outputs of the last layer.
        channels: of the input.
        length: steps of the input.
        top: whether the last step is classified.
    """
    convs, title = NETWORKS[name]
    blocks = [block(convs, width if i else channels, width, kernel, 2**i).block(f"block{i}") for i in range(levels)]
    parts: list[Expr] = [series(blocks).stage("blocks")]
    if top:
        head = [Slice(1, -1).named("last"), Flatten().named("flatten"), Linear(classes).named("fc")]
        parts.append(series(head).stage("classifier"))
    return Network(series(parts), f"{channels}x{length}", name=name, title=title, citation=CITATION)


FAMILY = Family("TCN", tuple(Entry(n, t, CITATION, partial(build, n)) for n, (_, t) in NETWORKS.items()))
