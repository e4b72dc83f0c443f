"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Reduce
from rfcalc.layers.pool import Mean
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.moves import dropped
from rfcalc.readers.builder.values import Value


def reduced(graph: Builder, x: Value, axes: Sequence[int], op: str, keep: bool, dims: tuple[int, ...]) -> Value:
    """A mean or another reduction over axes of the tensor."""
    n = max(len(x.dims), 1)
    gone = sorted({a % n for a in axes}) if axes else list(range(len(x.dims)))
    if x.batch in gone:
        x = graph.plain(x)  # a batch of one; of several items another reading tells
    graph.with_channels(x)
    at = tuple(graph.axis(x, a) for a in gone)
    if not at:
        return Value(x.node, dims, x.batch)
    here = graph.shape(x)
    batch = x.batch if keep or x.batch is None else x.batch - sum(1 for a in gone if a < x.batch)

    def layer(keep: bool) -> Layer:
        return Mean(at, keep=keep) if op == "mean" else Reduce(op, at, keep=keep)

    if keep or here.channel not in at or len(at) == len(here.dims):
        return graph.add(layer(keep), (x.node,), dims, batch)
    kept = tuple(1 if i in at else n for i, n in enumerate(here.dims))
    made = graph.add(layer(True), (x.node,), kept, None)
    return dropped(graph, made, dims, batch, at)
