"""Recurrent layers: LSTM, GRU, SimpleRNN, alone or in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rfcalc.layers.general import Elementwise
from rfcalc.layers.recurrent import Recurrent
from rfcalc.readers.builder.moves import picked, sliced
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.configuration import Fields, malformed
from rfcalc.readers.keras.build import Value
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.rearrange import flat

CELLS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}
JOINS = ("concat", "sum", "mul", "ave")


@layer(*CELLS)
def recurrent(call: LayerCall) -> Any:
    f = call.fields
    x = _sequence(call)
    if f.flag("go_backwards", False):
        x = _backwards(call, x, "input")
    cell = Recurrent(CELLS[call.kind], f.integer("units"), bidirectional=False, bias=_bias(call.kind, f))
    made = call.build.add(cell, [x], call.name, (0, 1), owner=call.owner)
    return _given(call, f, made, [(x.dims[0] - 1, 0, f.integer("units"))])


@layer("Bidirectional")
def both(call: LayerCall) -> Value:
    """Two cells; their states side by side, added, multiplied or averaged."""
    told, back = call.fields.get("layer"), call.fields.get("backward_layer")
    if (
        not isinstance(told, Mapping)
        or told.get("class_name") not in CELLS
        or not isinstance(told.get("config"), Mapping)
    ):
        raise NotUnderstood("of a layer that is no LSTM, GRU or SimpleRNN")
    kind, f = str(told["class_name"]), Fields(told["config"], call.name)
    if isinstance(back, Mapping):
        other = back.get("config")
        if back.get("class_name") != kind or not isinstance(other, Mapping) or other.get("units") != f.get("units"):
            raise NotUnderstood("its two cells are of different kinds")
    merge = call.fields.get("merge_mode", "concat")
    if merge not in JOINS:
        raise NotUnderstood("its two results stay apart")
    if f.flag("return_state", False):
        raise NotUnderstood("its states are results")
    x, units = _sequence(call), f.integer("units")
    cell = Recurrent(CELLS[kind], units, bidirectional=True, bias=_bias(kind, f))
    made = call.build.add(cell, [x], call.name, (0, 1), owner=call.owner)
    last = x.dims[0] - 1
    if f.flag("return_sequences", False):
        return _merged(call, made, units, merge)
    ends = _at(call, made, last, 0, units, "forward"), _at(call, made, 0, units, 2 * units, "backward")
    return _joined(call, list(ends), merge)


def _sequence(call: LayerCall) -> Value:
    """The positions × features that a recurrent layer walks along."""
    if len(call.inputs) > 1:
        raise NotUnderstood("its first state is an input, or it is masked")
    x = call.build.plain(call.x)
    if x.rank != 2:
        raise malformed(call.name, f"it needs positions and features, and gets a map of {x.rank} axes")
    node = call.build.graph.laid(x.held, x.held.inner, len(x.held.inner) - 1, merged=True)
    return call.build.value(x.held._replace(node=node), x.order)


def _bias(kind: str, f: Fields) -> bool | str:
    """Keras keeps one bias vector a gate, and two in a GRU that is reset after the product."""
    if not f.flag("use_bias", True):
        return False
    return True if kind == "GRU" and f.flag("reset_after", True) else "one"


def _backwards(call: LayerCall, x: Value, part: str) -> Value:
    """The positions in the other order."""
    held = picked(call.build.graph, x.held, 1, list(reversed(range(x.dims[0]))))
    return call.build.made(held, (0, 1), f"{call.name}.{part}")


def _given(call: LayerCall, f: Fields, made: Value, ends: list[tuple[int, int, int]]) -> Any:
    """All states or the last one, and the last states once more where they are asked for."""
    ((at, start, stop),) = ends
    sequences, states = f.flag("return_sequences", False), f.flag("return_state", False)
    if sequences and not states:
        return made
    last = _at(call, made, at, start, stop, "last")
    if not states:
        return last
    cells = [call.build.add(Elementwise("cell_state"), [last], f"{call.name}.cell")] if call.kind == "LSTM" else []
    return [made if sequences else last, last, *cells]


def _at(call: LayerCall, made: Value, position: int, start: int, stop: int, part: str) -> Value:
    """One position's states, as a vector."""
    build, held = call.build, made.held
    for axis, first, end, name in ((1, position, position + 1, part), (2, start, stop, f"{part}.slice")):
        if (first, end) != (0, held.dims[axis]):
            held = build.made(sliced(build.graph, held, axis, first, end), (0, 1), f"{call.name}.{name}").held
    return flat(call, build.value(held, (0, 1)), f"{call.name}.{part}.flatten")


def _merged(call: LayerCall, made: Value, units: int, merge: str) -> Value:
    if merge == "concat":
        return made
    build = call.build
    halves = [
        build.made(sliced(build.graph, made.held, 2, a, b), (0, 1), f"{call.name}.{part}")
        for a, b, part in ((0, units, "forward"), (units, 2 * units, "backward"))
    ]
    return _joined(call, halves, merge)


def _joined(call: LayerCall, halves: list[Value], merge: str) -> Value:
    from rfcalc.layers.merge import Add, Concat, Multiply

    kinds = {"concat": Concat(), "sum": Add(), "mul": Multiply(), "ave": Elementwise("mean")}
    return call.build.add(kinds[merge], halves, f"{call.name}.{merge}")
