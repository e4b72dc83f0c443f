"""Recurrent layers, and their last states where something reads them."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.pointwise import Activation
from rfcalc.layers.reshape import Reshape
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.joining import chained
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import moved, regrouped, sliced
from rfcalc.readers.builder.values import Value


def states(graph: Builder, x: Value, hidden: int, ways: int) -> list[Value]:
    """The state after the last position, forwards; after the first, backwards; each as (1, sequences, hidden)."""
    found = []
    before = len(graph.nodes)
    for way in range(ways):
        at = 0 if way else x.dims[1] - 1
        state = sliced(graph, sliced(graph, x, 1, at, at + 1), 2, way * hidden, (way + 1) * hidden)
        found.append(moved(graph, state, (1, 0, 2)))
    for node in graph.nodes[before:]:
        node.helper = True
    return found


def started(graph: Builder, made: Value, first: Sequence[Value], hidden: int, ways: int) -> Value:
    """What a recurrent layer makes of first states, (ways, sequences, hidden) each: all positions depend on them."""
    rows, length = made.dims[0], made.dims[1]
    wide = []
    for state in first:
        apart = moved(graph, state, (1, 0, 2))
        wide.append(regrouped(graph, apart, (rows, 1, ways * hidden), apart.batch))
    nodes, batch, extra = graph.aligned((made, *wide), (rows, length, ways * hidden))
    return graph.add(Elementwise("first_state"), nodes, made.dims, batch, extra=extra, helper=True)


def stacked(graph: Builder, states: list[Value], dims: tuple[int, ...]) -> Value:
    if len(states) == 1:
        return states[0]
    made = chained(graph, states, 0, dims)
    forgotten(graph)
    return made


def cells(graph: Builder, last: Value) -> Value:
    """The cells of an LSTM stand where its states do, and depend on the same."""
    made = graph.add(Elementwise("cell_state"), (last.node,), last.dims, last.batch, helper=True)
    forgotten(graph)
    return made


def vectors(graph: Builder, x: Value) -> Value:
    """The value with its last axis as channels, where the axis that counted them was picked from (one position)."""
    if not x.extra or x.batch != 0:
        return graph.settled(x)
    return graph.add(Reshape(x.inner, len(x.inner) - 1), (x.node,), x.dims, 0, helper=True)


def stepped(graph: Builder, kind: str, fed: Value, kept: Value, held: Sequence[Value], axis: int = -1) -> list[Value]:
    """The state (and the cell, of an LSTM) after one step.

    Args:
        kind: ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``.
        fed: the gates before their activations as far as they come from the input, side by side on an axis.
        kept: the same from the state.
        held: the state (and the cell) before the step.
        axis: the axis of the tensor that gates and features lie along.
    """

    def joined(layer: Layer, a: Value, b: Value) -> Value:
        nodes, batch, extra = graph.aligned((a, b), a.dims)
        return graph.add(layer, nodes, a.dims, batch, extra=extra)

    def on(name: str, x: Value) -> Value:
        return alone(graph, x, Activation(name))

    def parts(x: Value, count: int) -> list[Value]:
        at = axis % len(x.dims)
        n = x.dims[at] // count
        return [sliced(graph, x, at, i * n, (i + 1) * n) for i in range(count)]

    if kind == "lstm":
        i, f, g, o = parts(joined(Add(), fed, kept), 4)
        old = joined(Multiply(), on("sigmoid", f), held[1])
        new = joined(Add(), old, joined(Multiply(), on("sigmoid", i), on("tanh", g)))
        return [joined(Multiply(), on("sigmoid", o), on("tanh", new)), new]
    if kind == "gru":
        (r, z, n), (r_kept, z_kept, n_kept) = parts(fed, 3), parts(kept, 3)
        reset, update = on("sigmoid", joined(Add(), r, r_kept)), on("sigmoid", joined(Add(), z, z_kept))
        new = on("tanh", joined(Add(), n, joined(Multiply(), reset, n_kept)))
        change = joined(Multiply(), update, joined(Elementwise("rsub"), new, held[0]))
        return [joined(Add(), new, change)]
    return [on(kind.removeprefix("rnn_"), joined(Add(), fed, kept))]


def forgotten(graph: Builder) -> None:
    """Leave the newest node out if nothing reads it: the layer gives it in any case."""
    graph.nodes[-1].stem, graph.nodes[-1].helper = "state", True
