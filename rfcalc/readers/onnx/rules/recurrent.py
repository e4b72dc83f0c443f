"""Recurrent layers: LSTM, GRU, plain RNN."""

from __future__ import annotations

from rfcalc.core.errors import RfcalcError
from rfcalc.layers.recurrent import Recurrent
from rfcalc.readers.builder.moves import moved, picked, regrouped
from rfcalc.readers.builder.recurrent import cells, stacked, started, states
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.constants import need
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@rule(*GATES)
def recurrent(reader: Reader, node: Node) -> None:
    """Positions × batch × features (batch first where ``layout`` is 1); all states as positions × ways × batch × h."""
    graph = reader.graph
    x, weight, state = graph.with_channels(reader.map(node)), need(reader.const(node, 1)), need(reader.const(node, 2))
    bias = reader.const(node, 3)
    direction = node.attributes.get("direction", "forward") or "forward"
    if len(x.dims) != 3 or len(weight.dims) != 3 or len(state.dims) != 3:
        raise RfcalcError("its input and its weights need three axes each")
    if weight.dims[2] != x.dims[2]:
        raise RfcalcError(f"weights for {weight.dims[2]} features, and the input has {x.dims[2]}")
    ways, gates, hidden = state.dims
    if ways != 1 + (direction == "bidirectional") or gates != GATES[node.op] * hidden:
        raise RfcalcError(f"weights {'x'.join(map(str, state.dims))} do not fit the {direction} {node.op}")
    if any(node.inputs[7:8]):
        raise NotUnderstood("it has peepholes")
    if any(
        isinstance(s, Const) and s.values is not None and any(s.values) for s in map(reader.value, node.inputs[5:7])
    ):
        reader.notes["the first states of recurrent layers are numbers of the file, and not counted"] += 1
    first = [s for s in map(reader.value, node.inputs[5:7]) if isinstance(s, Value)]
    last = bool(node.attributes.get("layout", 0))
    if not last:
        x = moved(graph, x, (1, 0, 2))
    if x.batch in (1, 2):
        x = graph.plain(x)
    if direction == "reverse":
        x = backwards(reader, x)
    cell = Recurrent(node.op.lower(), hidden, bidirectional=ways == 2, bias=bias is not None)
    name = weight.origin[0] if len(weight.origin) == 1 else ""
    made = reader.place(cell, [x], batch=x.batch, dims=(*x.dims[:2], ways * hidden), weight=name)
    for role, const in (("weight", weight), ("weight", state), ("bias", bias)):
        reader.uses(made, role, const)
    if first:
        made = started(graph, made, [moved(graph, s, (1, 0, 2)) if last else s for s in first], hidden, ways)
    wanted = [bool(name) and reader.readers[name] > 0 for name in (*node.outputs, "", "", "")]
    result = backwards(reader, made) if direction == "reverse" else made
    if wanted[0]:
        apart = regrouped(graph, result, (*x.dims[:2], ways, hidden), x.batch)
        reader.give(node, apart if last else moved(graph, apart, (1, 2, 0, 3)), 0)
    if wanted[1] or wanted[2]:
        ends = stacked(graph, states(graph, made, hidden, ways), (ways, x.dims[0], hidden))
        for i, value in ((1, ends), (2, cells(graph, ends) if wanted[2] else ends)):
            if wanted[i]:
                reader.give(node, moved(graph, value, (1, 0, 2)) if last else value, i)


def backwards(reader: Reader, x: Value) -> Value:
    """The positions in the other order."""
    return picked(reader.graph, x, 1, list(reversed(range(x.dims[1]))))
