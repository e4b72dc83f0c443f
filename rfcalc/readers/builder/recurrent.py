"""Recurrent layers, and their last states where something reads them."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.layers.general import Elementwise
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.joining import chained
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
    _forgotten(graph)
    return made


def cells(graph: Builder, last: Value) -> Value:
    """The cells of an LSTM stand where its states do, and depend on the same."""
    made = graph.add(Elementwise("cell_state"), (last.node,), last.dims, last.batch, helper=True)
    _forgotten(graph)
    return made


def _forgotten(graph: Builder) -> None:
    """Leave the newest node out if nothing reads it: the layer gives it in any case."""
    graph.nodes[-1].stem, graph.nodes[-1].helper = "state", True
