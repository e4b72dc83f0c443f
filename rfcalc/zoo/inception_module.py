"""The lecture's inception module on 28×28×256 (CS231n): plain, and with 1×1 reductions to 64 maps."""

from __future__ import annotations

from functools import partial

from rfcalc.core.expr import parallel
from rfcalc.graph.network import Network
from rfcalc.layers.conv import Conv
from rfcalc.layers.merge import Concat
from rfcalc.layers.pool import MaxPool
from rfcalc.zoo import Entry, Family

CITATION = "Szegedy et al., Going Deeper with Convolutions, arXiv:1409.4842, as told in the CS231n lectures"
TITLES = {
    "inception-module": "Inception module of the lecture, plain: 1×1, 3×3, 5×5 and a pool side by side",
    "inception-module-reduced": "Inception module of the lecture, with 1×1 reductions to 64 maps",
}


def build(name: str, *, channels: int = 256, reduction: int = 64) -> Network:
    """One inception module.

    Args:
        name: a key of `TITLES`.
        channels: channels of the map that goes in.
        reduction: channels after each reduction.
    """
    one = Conv(128, 1).named("1x1")
    three, five = Conv(192, 3, padding=1).named("3x3"), Conv(96, 5, padding=2).named("5x5")
    pool = MaxPool(3, 1, padding=1).named("pool")
    if name.endswith("-reduced"):
        reduced = [Conv(reduction, 1).named(n) for n in ("3x3_reduce", "5x5_reduce", "pool_proj")]
        branches = [one, reduced[0] >> three, reduced[1] >> five, pool >> reduced[2]]
    else:
        branches = [one, three, five, pool]
    made = parallel(branches, Concat()).named("output")
    return Network(made, f"{channels}x28x28", name=name, title=TITLES[name], citation=CITATION)


FAMILY = Family("Inception module", tuple(Entry(n, t, CITATION, partial(build, n)) for n, t in TITLES.items()))
