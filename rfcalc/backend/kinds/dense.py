"""Fully connected layers."""

from __future__ import annotations

from rfcalc.backend.twin import At, Twin, call, measuring, text_only, twin


@twin("linear")
def linear(at: At) -> Twin:
    made = call("nn.Linear", at.x.dims[-1], at.layer.out_features, bias=None if at.layer.bias else False)
    return Twin(made)


@twin("rbf")
def rbf(at: At) -> Twin:
    made = call("RBF", at.x.dims[-1], at.layer.out_features, trainable=True if at.layer.trainable else None)
    return Twin(made)


@measuring("linear", "rbf")
def everything(at: At) -> Twin:
    """The mean of the features, given to every output feature."""
    kept = "-1, " * len(at.y.dims)
    return text_only(f"{{0}}.mean(-1, keepdim=True).expand({kept}{at.y.dims[-1]})")
