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
REMEDIES = {
    "recurrent": ("both directions are read", "use one direction"),
    "groupnorm": (
        "its statistics are taken over all positions",
        "normalise over the channels of each position, or with running statistics",
    ),
    "instancenorm": ("its statistics are taken over all positions", "use running statistics (track)"),
    "layernorm": ("its statistics are taken over all positions", "normalise over the channels of each position"),
    "batchnorm": ("its statistics are those of the batch", "use running statistics (evaluation mode)"),
    "self_attention": ("every position attends to all others", "limit it to a window, or mask what comes later"),
    "attention_product": ("every position attends to all others", "limit it to a window, or mask what comes later"),
    "matmul": ("it multiplies all positions with all others", PAIRS),
    "softmax": ("it is taken over all positions", "take it over the channels, or over a window"),
    "adaptive_pool": ("it pools the whole axis", "pool with a fixed window"),
    "mean": ("it is taken over all positions", "use a moving average (avgpool) or a running one"),
    "reduce": ("it is taken over all positions", "use a pool with a fixed window"),
    "linear": (
        "it mixes all positions",
        "use a convolution along this axis; where time comes first (T×C), stream the module behind x.transpose(1, 2)",
    ),
    "upsample": ("its factor depends on the length", "resize by a whole factor"),
    "roll": ("it moves the end to the beginning", "pad or crop instead"),
    "position_table": ("it has a parameter of its own for each position", "use relative positions"),
}


def refused(name: str, layer: Layer, why: str) -> Blocker:
    """The blocker for a node, in the words for its kind."""
    told, fix = REMEDIES.get(layer.kind, (why, ""))
    return Blocker(name, told, fix)


PLACES = (
    "let these values come with the input, as further channels of every position; in attention also: a bias that"
    " depends on the distance of query and key alone, or a mask with a rule (causal, a window)"
)
