"""Xception (Chollet 2016, arXiv:1610.02357), Figure 5: an entry flow, a middle flow of eight, an exit flow."""

from __future__ import annotations

from rfcalc.core.expr import Expr, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.pool import GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import RELU, residual, shortcut, unit

CITATION = "Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, arXiv:1610.02357"
TITLE = "Xception"

ENTRY = (128, 256, 728)
MIDDLE = 8
EXIT = (728, 1024)
LAST = (1536, 2048)


def separable(name: str, out: int) -> Expr:
    """A depthwise 3×3 and a 1×1 without anything between, then normalisation."""
    return Depthwise(3, padding=1, bias=False).named(f"{name}_dw") >> unit(name, Conv(out, 1, bias=False), act=None)


def _down(widths: tuple[int, ...], first_relu: bool) -> Expr:
    """Separable layers (ReLU before each) and a pool, beside a 1×1 of stride 2."""
    steps: list[Expr] = []
    for i, out in enumerate(widths, 1):
        if i > 1 or first_relu:
            steps.append(RELU.named(f"relu{i}"))
        steps.append(separable(f"sepconv{i}", out))
    steps.append(MaxPool(3, 2, padding=1).named("pool"))
    passed = unit("shortcut", Conv(widths[-1], 1, stride=2, bias=False), act=None)
    return residual(series(steps), passed, act=None)


def _middle() -> Expr:
    steps: list[Expr] = []
    for i in (1, 2, 3):
        steps += [RELU.named(f"relu{i}"), separable(f"sepconv{i}", ENTRY[-1])]
    return residual(series(steps), shortcut(), act=None)


def build(*, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """Xception for images of 299×299 (any size fits).

    Args:
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    entry: list[Expr] = [unit("conv1", Conv(32, 3, stride=2, bias=False)), unit("conv2", Conv(64, 3, bias=False))]
    entry += [_down((out, out), i > 2).block(f"block{i}") for i, out in enumerate(ENTRY, 2)]
    first = len(ENTRY) + 2
    middle = [_middle().block(f"block{i}") for i in range(first, first + MIDDLE)]
    end: list[Expr] = [_down(EXIT, True).block(f"block{first + MIDDLE}")]
    end += [separable(f"sepconv{i}", out) >> RELU.named(f"relu_sep{i}") for i, out in enumerate(LAST, 3)]
    parts: list[Expr] = [
        series(entry).stage("entry flow"),
        series(middle).stage("middle flow"),
        series(end).stage("exit flow"),
    ]
    if top:
        head = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Linear(classes).named("fc")]
        parts.append(series(head).stage("classifier"))
    return Network(series(parts), f"{channels}x299x299", name="xception", title=TITLE, citation=CITATION)


FAMILY = Family("Xception", (Entry("xception", TITLE, CITATION, build),))
