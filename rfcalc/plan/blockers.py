"""What stands in the way of a stream, and what would remove it."""

from __future__ import annotations

from typing import NamedTuple

from rfcalc.core.layer import Layer


class Blocker(NamedTuple):
    """A node through which no stream can be followed: why, and what would remove it."""

    node: str
    why: str
    fix: str = ""


PAIRS = "write attention as scaled_dot_product_attention with its mask: causal or a window, it runs with a cache"
ONE_INPUT = "join the inputs as channels of one, or give it as a constant of the module"
FRAMES = (
    "it cuts the axis into frames",
    "cut them by a strided convolution, or put strided slices x[..., i::n] side by side as channels",
)
PLACES = (
    "let these values come with the input, as further channels of every position; in attention also: a bias that"
    " depends on the distance of query and key alone, or a mask with a rule (causal, a window)"
)


def refused(name: str, layer: Layer, why: str) -> Blocker:
    """The blocker for a node: its kind says why and what to use instead, else it is `why`."""
    told, fix = layer.unstreamed
    return Blocker(name, told or why, fix)
