"""What stands in the way of a stream, and what would remove it."""

from __future__ import annotations

from typing import NamedTuple

from rfcalc.core.errors import ConstraintFailed
from rfcalc.core.layer import Layer


class Blocker(NamedTuple):
    """A node through which no stream can be followed: why, and what would remove it."""

    node: str
    why: str
    fix: str = ""


class NoStream(ConstraintFailed):
    """No stream of a network exists; `blockers` says why."""

    blockers: tuple[Blocker, ...] = ()


PAIRS = "write attention as scaled_dot_product_attention with its mask: causal or a window, it runs with a cache"
RATES = (
    "give lengths of which one is a multiple of the other, as they come in time"
    " (--input mel=80x100 --input noise=1x25600), or make it a constant of the module"
)
FRAMES = (
    "it cuts the axis into frames",
    "cut them by a strided convolution, or put strided slices x[..., i::n] side by side as channels",
)
PLACES = (
    "let these values come with the input, as further channels of every position; in attention also: a bias that"
    " depends on the distance of query and key alone, or a mask with a rule (causal, a window)"
)


# Why a node is refused whose kind says nothing of its own, and what would remove that.
ALL = (
    "it reads all positions at once",
    "let it read a window of fixed length or a running value, or stream up to a node before it: --at NODE",
)
LISTED = (
    "what it reads is tied to positions of its own",
    "do it within frames of a fixed length: x.unflatten(-1, (-1, n))",
)
UNTOLD = ("what it reads along this axis is not known", "stream up to it: --at a node before it")
FIXED = ("its length does not grow with the input's", "let its size follow from the input's: a factor, or -1 in a view")
BY_LENGTH = ("what it reads depends on the length", "let it read the same at every length: a factor, a fixed window")
OWN = ("it has parameters of its own for each position", "share them between positions, or use relative positions")
NOT_UNDERSTOOD = (
    "this operator was not understood",
    "write it with operators that are (rfcalc table marks the others), or stream up to it: --at a node before it",
)
TURNED = ("it re-arranges the axis into another", "move the axis as a whole (permute), or cut it into fixed frames")
LENGTHS = "write its code for any length: -1 in views, sizes from x.shape"
PART = "stream a part of it: rfcalc.to_stream(module.encoder, …), or up to a node before it: --at NODE"
NOTHING = ("it depends on nothing that comes in", "name a node that does: --at NODE")


def refused(name: str, layer: Layer, reason: tuple[str, str]) -> Blocker:
    """The blocker for a node: its kind says why and what to use instead, else it is the reason."""
    told, fix = layer.unstreamed
    return Blocker(name, told or reason[0], fix or reason[1])
