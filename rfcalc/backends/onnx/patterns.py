"""Operators that exporters take apart, put together again before the graph is read: activations, norms, shuffles."""

from __future__ import annotations

from collections import Counter

from rfcalc.backends.onnx.model import Model, Node


def recognised(model: Model, nodes: list[Node], folder: str) -> tuple[list[Node], Counter[str]]:
    """The nodes with what was recognised as one node each, and notes on it."""
    return nodes, Counter()
