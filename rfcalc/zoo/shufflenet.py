"""ShuffleNet v2 (Ma, Zhang, Zheng & Sun 2018, arXiv:1807.11164): channel split, depthwise layers, channel shuffle."""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, series
from rfcalc.graph.network import Naming, Network
from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.dense import Linear
from rfcalc.layers.merge import Concat
from rfcalc.layers.pool import GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.layers.slice import ChannelShuffle, Split
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import shortcut, unit

CITATION = (
    "Ma, Zhang, Zheng & Sun, ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture, arXiv:1807.11164"
)

# Table 5: channels of conv1, stages 2, 3, 4 and conv5; each stage halves the size once and then repeats.
WIDTHS = {
    "0.5": (24, 48, 96, 192, 1024),
    "1.0": (24, 116, 232, 464, 1024),
    "1.5": (24, 176, 352, 704, 1024),
    "2.0": (24, 244, 488, 976, 2048),
}
REPEATS = (4, 8, 4)


TORCH = (
    (r"(conv|bn|relu)([15])", r"conv\2.#"),
    (r"(stage\d\.0)\.left.*", r"\1.branch1.#"),
    (r"(stage\d\.\d+)\.(conv|bn|relu)\d.*", r"\1.branch2.#"),
)


def _branch(out: int, stride: int) -> Expr:
    return series(
        [
            unit("conv1", Conv(out, 1, bias=False)),
            unit("conv2_dw", Depthwise(3, stride=stride, padding=1, bias=False), act=None),
            unit("conv3", Conv(out, 1, bias=False)),
        ]
    )


def block(out: int, stride: int) -> Expr:
    """Figure 3: (c) splits the channels and keeps one half; (d) halves the size in both branches."""
    half = out // 2
    if stride == 1:
        branches = [Split(2, 0).named("left"), Split(2, 1).named("right") >> _branch(half, 1)]
    else:
        left = unit("left_dw", Depthwise(3, stride=2, padding=1, bias=False), act=None) >> unit(
            "left", Conv(half, 1, bias=False)
        )
        branches = [shortcut() >> left, _branch(half, 2)]
    return parallel(branches, Concat()).named("concat") >> ChannelShuffle(2).named("shuffle")


def build(width: str, *, classes: int = 1000, channels: int = 3, top: bool = True) -> Network:
    """A ShuffleNet v2 for images of 224×224 (any size fits).

    Args:
        width: a key of `WIDTHS`.
        classes: outputs of the last layer.
        channels: channels of the input image.
        top: whether pooling and classifier are there.
    """
    first, *stages, last = WIDTHS[width]
    stem = unit("conv1", Conv(first, 3, stride=2, padding=1, bias=False)) >> MaxPool(3, 2, padding=1).named("maxpool")
    parts: list[Expr] = [stem.stage("stem")]
    for i, (out, times) in enumerate(zip(stages, REPEATS, strict=True), 2):
        blocks = [block(out, 2 if n == 0 else 1).block(f"stage{i}.{n}") for n in range(times)]
        parts.append(series(blocks).stage(f"stage {i}"))
    parts.append(unit("conv5", Conv(last, 1, bias=False)).stage("conv5"))
    if top:
        head = [GlobalPool().named("avgpool"), Flatten().named("flatten"), Linear(classes).named("fc")]
        parts.append(series(head).stage("classifier"))
    about = {"name": _name(width), "title": _title(width), "citation": CITATION}
    torch = Naming(f"shufflenet_v2_x{width.replace('.', '_')}", TORCH)
    return Network(series(parts), f"{channels}x224x224", **about, torch=torch)


def _name(width: str) -> str:
    return "shufflenet-v2" + ("" if width == "1.0" else f"-{width}")


def _title(width: str) -> str:
    return f"ShuffleNet v2, {width}×"


FAMILY = Family("ShuffleNet v2", tuple(Entry(_name(w), _title(w), CITATION, partial(build, w)) for w in WIDTHS))
