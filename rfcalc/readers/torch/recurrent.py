"""Recurrent layers: one node for each that is stacked, and their last states where something reads them."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.layers.pointwise import Dropout
from rfcalc.layers.recurrent import Recurrent
from rfcalc.readers.builder.indexed import transformed
from rfcalc.readers.builder.moves import moved
from rfcalc.readers.builder.recurrent import cells, forgotten, stacked, states, stepped, vectors
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.convolutions import affine, weights
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.tensors import dims_of


@handles("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: OperatorCall) -> Sequence[Value]:
    args, graph = call.step.args, call.graph
    if "batch_first" not in args:
        raise NotUnderstood("of packed sequences")
    lstm = call.step.name == "lstm"
    first = args["hx"] if lstm else [args["hx"]]
    if any(not graph.is_static(t) or graph.leaves(t) for t in first):
        raise NotUnderstood("its first state is not zero")
    each = 4 if args["has_biases"] else 2
    ways, layers = 2 if args["bidirectional"] else 1, args["num_layers"]
    projected = len(args["params"]) != each * ways * layers
    each += projected
    hidden, cell_size = dims_of(args["params"][1])[1], dims_of(args["params"][1])[0] // (4 if lstm else 1)
    x = graph.with_channels(call.value("input"))
    if not args["batch_first"]:
        x = moved(graph, x, (1, 0, 2))
    if x.batch in (1, 2):
        x = graph.plain(x)
    last_ones: list[Value] = []
    for number in range(layers):
        held = args["params"][number * each * ways : (number + 1) * each * ways]
        cell = Recurrent(
            call.step.name.partition("_")[0],
            cell_size if projected else hidden,
            bidirectional=ways == 2,
            bias=bool(args["has_biases"]),
            projection=hidden if projected else None,
        )
        dims = (*x.dims[:2], hidden * ways)
        x = graph.own(graph.add(cell, (x.node,), dims, x.batch), weights(graph, *held))
        last_ones += states(graph, x, hidden, ways)
        if args["train"] and args["dropout"] and number + 1 < layers:
            x = graph.add(Dropout(args["dropout"]), (x.node,), dims, x.batch, helper=True)
    result = x if args["batch_first"] else moved(graph, x, (1, 0, 2))
    last = stacked(graph, last_ones, dims_of(call.step.out[1]))
    if not lstm:
        return [result, last]
    if projected:  # as many cells as there were values before the projection
        made = transformed(graph, last, [2], dims_of(call.step.out[2]))
        forgotten(graph)
        return [result, last, made]
    return [result, last, cells(graph, last)]


@handles("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(call: OperatorCall) -> Value | Sequence[Value]:
    """One step of a recurrent layer: a linear layer of the input, one of the state, and what is made of their gates."""
    graph, args = call.graph, call.step.args
    kind = call.step.name.removesuffix("_cell")
    held = args["hx"] if kind == "lstm" else [args["hx"]]
    wide = (*call.dims[:-1], dims_of(args["w_ih"])[0])
    before = [vectors(graph, graph.get(t)) for t in held]
    fed = affine(graph, vectors(graph, call.value("input")), args["w_ih"], args["b_ih"], wide)
    kept = affine(graph, before[0], args["w_hh"], args["b_hh"], wide)
    made = stepped(graph, kind, fed, kept, before)
    return made if kind == "lstm" else made[0]
