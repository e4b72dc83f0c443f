"""WaveNet (van den Oord et al. 2016, arXiv:1609.03499): dilated causal convolutions, gated, with skips to the output.

A block of ten layers with kernel 2 and dilations 1, 2, …, 512 sees 1 + 1023 = 1024 samples; three blocks see 3070.
The widths are those of the common PyTorch port (32 residual and gate channels, 256 skip channels, no biases), with
its first convolution of size 1.
"""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import Expr, parallel, ref, series
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.pointwise import Activation, ReLU
from rfcalc.zoo import Entry, Family
from rfcalc.zoo._parts import shortcut

CITATION = "van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499"
LAYERS = 10
BLOCKS = {"wavenet": (3, "WaveNet, three blocks"), "wavenet-block": (1, "WaveNet, one block")}


def layer(dilation: int, residual: int, gate: int, skip: int, kernel: int = 2) -> Expr:
    """A gated layer: tanh(filter) × sigmoid(gate), then 1×1 to the skip and 1×1 back to the residual sum."""
    past = ((dilation * (kernel - 1), 0),)

    def causal(name: str) -> Expr:
        return Conv(gate, kernel, padding=past, dilation=dilation, bias=False).named(name)

    gates = [
        causal("filter") >> Activation("tanh").named("tanh"),
        causal("gate") >> Activation("sigmoid").named("sigmoid"),
    ]
    back = parallel(gates, Multiply()).named("gated") >> Conv(residual, 1, bias=False).named("residual")
    skipped = ref("gated") >> Conv(skip, 1, bias=False).named("skip")
    return series([parallel([shortcut(), back], Add()).named("sum"), skipped, ref("sum")])


def build(
    name: str = "wavenet",
    *,
    layers: int = LAYERS,
    residual: int = 32,
    gate: int = 32,
    skip: int = 256,
    classes: int = 256,
    channels: int = 256,
    length: int = 16000,
    top: bool = True,
) -> Network:
    """A WaveNet for a signal of any length, one-hot in 256 levels.

    Args:
        name: a key of `BLOCKS`.
        layers: in a block; dilations are 1, 2, 4, ….
        residual, gate, skip: channels.
        classes: levels of the output.
        channels: levels of the input.
        length: samples of the input.
        top: whether the skips are summed and classified.
    """
    blocks, title = BLOCKS[name]
    parts: list[Expr] = [Conv(residual, 1, bias=False).named("start").stage("start")]
    labels = []
    for b in range(1, blocks + 1):
        labels += [f"block{b}.{i}" for i in range(layers)]
        stack = [layer(2**i, residual, gate, skip).block(f"block{b}.{i}") for i in range(layers)]
        parts.append(series(stack).stage(f"block {b}"))
    if top:
        total = parallel([ref(f"{label}.skip") for label in labels], Add()).named("skips")
        end = [
            ReLU().named("relu1"),
            Conv(skip, 1).named("end1"),
            ReLU().named("relu2"),
            Conv(classes, 1).named("end2"),
        ]
        parts.append(series([total, *end]).stage("output"))
    return Network(series(parts), f"{channels}x{length}", name=name, title=title, citation=CITATION)


FAMILY = Family("WaveNet", tuple(Entry(n, t, CITATION, partial(build, n)) for n, (_, t) in BLOCKS.items()))
