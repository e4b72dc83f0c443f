"""Recurrent layers: one node for each that is stacked, and their last states where something reads them."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.layers.general import Elementwise
from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.recurrent import Recurrent
from rfcalc.readers.torch.convolutions import weights
from rfcalc.readers.torch.graph import Graph, NotUnderstood, Value, dims_of
from rfcalc.readers.torch.joining import chained
from rfcalc.readers.torch.layouts import sliced
from rfcalc.readers.torch.products import moved
from rfcalc.readers.torch.translate import Call, handles


@handles("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: Call) -> Sequence[Value]:
    args, graph = call.step.args, call.graph
    if "batch_first" not in args:
        raise NotUnderstood("of packed sequences")
    lstm = call.step.name == "lstm"
    first = args["hx"] if lstm else [args["hx"]]
    if any(not graph.is_static(t) or graph.leaves(t) for t in first):
        raise NotUnderstood("its first state is not zero")
    each = 4 if args["has_biases"] else 2
    ways, layers = 2 if args["bidirectional"] else 1, args["num_layers"]
    if len(args["params"]) != each * ways * layers:
        raise NotUnderstood("with a projection")
    hidden = dims_of(args["params"][1])[1]
    x = graph.whole(call.value("input"))
    if not args["batch_first"]:
        x = moved(graph, x, (1, 0, 2))
    if x.batch in (1, 2):
        x = graph.plain(x)
    states: list[Value] = []
    for number in range(layers):
        held = args["params"][number * each * ways : (number + 1) * each * ways]
        cell = Recurrent(call.step.name.partition("_")[0], hidden, ways == 2, bool(args["has_biases"]))
        dims = (*x.dims[:2], hidden * ways)
        x = graph.own(graph.add(cell, (x.node,), dims, x.batch), weights(graph, *held))
        states += _states(graph, x, hidden, ways)
        if args["train"] and args["dropout"] and number + 1 < layers:
            x = graph.add(Dropout(args["dropout"]), (x.node,), dims, x.batch, helper=True)
    result = x if args["batch_first"] else moved(graph, x, (1, 0, 2))
    last = _stacked(graph, states, dims_of(call.step.out[1]))
    return [result, last, _cells(graph, last)] if lstm else [result, last]


def _states(graph: Graph, x: Value, hidden: int, ways: int) -> list[Value]:
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


def _stacked(graph: Graph, states: list[Value], dims: tuple[int, ...]) -> Value:
    if len(states) == 1:
        return states[0]
    made = chained(graph, states, 0, dims)
    _forgotten(graph)
    return made


def _cells(graph: Graph, last: Value) -> Value:
    """The cells of an LSTM stand where its states do, and depend on the same."""
    made = graph.add(Elementwise("cell_state"), (last.node,), last.dims, last.batch, helper=True)
    _forgotten(graph)
    return made


def _forgotten(graph: Graph) -> None:
    """Leave the newest node out if nothing reads it: the layer gives it in any case."""
    graph.nodes[-1].stem, graph.nodes[-1].helper = "state", True
