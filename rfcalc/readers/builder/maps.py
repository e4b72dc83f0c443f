"""Tensors as maps of channels and spatial axes, as layers that slide or normalise want them."""

from __future__ import annotations

from typing import Any

from rfcalc.core.layer import Layer
from rfcalc.layers.merge import Add
from rfcalc.layers.reshape import Permute, Reshape
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.values import NotUnderstood, Value


def mapped(graph: Builder, x: Value, rank: int, merged: bool = False) -> tuple[Value, bool]:
    """A value as a map of channels and `rank` spatial axes; True where a leading axis became the first spatial one.

    A batch that is merged with something else (frames, windows) is a spatial axis that nothing slides over.

    Args:
        merged: whether positions of the input may lie along the channels; see `Builder.laid`.
    """
    n = len(x.dims)
    if x.extra and merged:  # what is left of a map of one channel: its positions are the channels now
        at = 0 if x.batch == 0 or n == rank + 1 else 1
        x = graph.add(Reshape(x.inner, at), (x.node,), x.dims, x.batch, helper=True)
    graph.with_channels(x)
    if n == rank + 1 and x.batch is None:
        return Value(graph.laid(x, x.dims, 0, merged), x.dims, None), False
    if n != rank + 2:
        raise NotUnderstood(f"it gets {n} axes")
    if x.batch == 0 or (x.batch is None and x.dims[0] == 1):
        return Value(graph.laid(x, x.dims[1:], 0, merged), x.dims, 0), False
    if x.batch is not None:
        x = graph.plain(x)
    node = graph.laid(x, x.dims, 1, merged)
    order = (1, 0, *range(2, n))
    dims = tuple(x.dims[i] for i in order)
    return graph.add(Permute(order), (node,), dims, None, helper=True), True


def back(graph: Builder, value: Value, leading: bool) -> Value:
    """Put the leading axis back in front."""
    if not leading:
        return value
    order = (1, 0, *range(2, len(value.dims)))
    return graph.add(Permute(order), (value.node,), tuple(value.dims[i] for i in order), None, helper=True)


def sized(values: Any, rank: int, leading: bool, one: Any = 1) -> tuple[Any, ...]:
    """One entry for each spatial axis; `one` for a leading axis that nothing slides over."""
    values = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    values = values * rank if len(values) == 1 else values
    return (one, *values) if leading else values


def tidy(values: tuple[Any, ...]) -> Any:
    """One number where all axes are alike."""
    return values[0] if len(set(values)) == 1 else values


def exchanged(dims: tuple[int, ...], leading: bool) -> tuple[int, ...]:
    return (dims[1], dims[0], *dims[2:]) if leading else dims


def plus(graph: Builder, a: Value, b: Value) -> Value:
    """The sum of two values, broadcast to the first."""
    nodes, batch, extra = graph.aligned((a, b), a.dims)
    return graph.add(Add(), nodes, a.dims, batch, extra=extra)


def channels_at(graph: Builder, x: Value, axis: int = 1) -> Value:
    """The value with the channels on this axis of the tensor."""
    graph.with_channels(x)
    if x.batch == axis:
        x = graph.plain(x)
    at = graph.axis(x, axis)
    return Value(graph.laid(x, x.inner, at), x.dims, x.batch)


def alone(graph: Builder, x: Value, layer: Layer) -> Value:
    """A layer on each value of one tensor."""
    node, shape = x.node, graph.shapes[x.node]
    if not x.extra and shape.dims != x.inner and len(shape.dims) < len(x.inner):
        node = graph.laid(
            x, x.inner, len(x.inner) - len(shape.dims) + shape.channel
        )  # a table that was laid out thinner
    return graph.add(layer, (node,), x.dims, x.batch, extra=x.extra)
