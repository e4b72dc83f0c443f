"""Recurrent layers."""

from __future__ import annotations

from rfcalc.backend.twin import At, Twin, call, measuring, text_only, twin
from rfcalc.core.errors import Unsupported

CLASSES = {"lstm": "nn.LSTM", "gru": "nn.GRU", "rnn": "nn.RNN"}


@twin("recurrent")
def recurrent(at: At) -> Twin:
    """The batch and sequences that lie side by side are one batch for PyTorch."""
    layer = at.layer
    if layer.bias == "one":
        raise Unsupported("a recurrent layer with one bias vector a gate cannot be built", why="PyTorch's have two")
    made = call(
        CLASSES[layer.cell],
        at.x.dims[-1],
        layer.hidden,
        bias=None if layer.bias else False,
        batch_first=True,
        bidirectional=True if layer.bidirectional else None,
        proj_size=layer.projection,
    )
    beside = len(at.x.dims) - 2
    if not beside:
        return Twin(made, "{m}({0})[0]", composed=True)  # a library keeps a workspace of its own choice
    text = f"{{m}}({{0}}.flatten(0, {beside}))[0].unflatten(0, {{0}}.shape[:{beside + 1}])"
    return Twin(made, text, composed=True)


@measuring("recurrent")
def all_before(at: At) -> Twin:
    """The sum of what comes before (of all, in both directions), over the features, given to every hidden value."""
    kept = "-1, " * len(at.y.dims)
    along = ".sum(-2, keepdim=True).expand_as({0}[..., :1])" if at.layer.bidirectional else ".cumsum(-2)"
    return text_only(f"{{0}}.mean(-1, keepdim=True){along}.expand({kept}{at.y.dims[-1]})")
