"""Recurrent layers: LSTM, GRU, SimpleRNN, alone, in both directions, or written as cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Concat, Multiply
from rfcalc.layers.recurrent import Recurrent
from rfcalc.readers.builder.joining import chained
from rfcalc.readers.builder.moves import picked, regrouped, sliced
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.configuration import Fields, malformed
from rfcalc.readers.keras.build import KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.merge import joined, merged
from rfcalc.readers.keras.layers.rearrange import flat

KINDS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}
JOINS: dict[str, Layer] = {"concat": Concat(), "sum": Add(), "mul": Multiply(), "ave": Elementwise("mean")}


class RecurrentCell:
    """The settings of one of Keras' cells."""

    def __init__(self, kind: str, config: Any, where: str) -> None:
        f = Fields(config, where)
        self.kind = kind.removesuffix("Cell")
        if self.kind not in KINDS or not isinstance(config, Mapping):
            raise NotUnderstood("of cells that are no LSTM, GRU or SimpleRNN")
        self.units = f.integer("units")
        self.bias: bool | str = f.flag("use_bias", True)
        if self.bias and not (self.kind == "GRU" and f.flag("reset_after", True)):
            self.bias = "one"  # Keras keeps one bias vector a gate, and two in a GRU that is reset after the product

    def layer(self, both: bool = False) -> Recurrent:
        return Recurrent(KINDS[self.kind], self.units, bidirectional=both, bias=self.bias)


def cells(entry: Any, where: str) -> list[RecurrentCell]:
    """The cells of a recurrent layer, from its configuration: one, or several that feed one another."""
    kind, config = (entry.get("class_name"), entry.get("config")) if isinstance(entry, Mapping) else ("", None)
    if kind == "RNN" and isinstance(config, Mapping):
        return cells(config.get("cell"), where)
    if isinstance(entry, list) or (kind == "StackedRNNCells" and isinstance(config, Mapping)):
        listed = entry if isinstance(entry, list) else config.get("cells")  # type: ignore[union-attr]
        if not isinstance(listed, list) or not listed:
            raise malformed(where, "its cells are no list")
        return [cell for inner in listed for cell in cells(inner, where)]
    return [RecurrentCell(str(kind), config, where)]


@layer(*KINDS, "RNN")
def recurrent(call: LayerCall) -> Any:
    """All states or the last one, and the last states once more where they are asked for."""
    f = call.fields
    own = cells(f.get("cell"), call.name) if call.kind == "RNN" else [RecurrentCell(call.kind, f.data, call.name)]
    x, first = _sequence(call)
    if f.flag("go_backwards", False):
        turned = picked(call.build.graph, x.held, 1, list(reversed(range(x.dims[0]))))
        x = call.build.made(turned, (0, 1), f"{call.name}.input")
    ends: list[KerasValue] = []
    states = f.flag("return_state", False)
    sequences = f.flag("return_sequences", False)
    for i, cell in enumerate(own):
        last = i + 1 == len(own)
        name, owner = (call.name, call.owner) if last else (f"{call.name}.{i}", f"{call.owner}/{i}")
        x = call.build.add(cell.layer(), [x], name, (0, 1), owner=owner)
        x = _started(call, x, first[: 1 + (cell.kind == "LSTM")])
        first = first[1 + (cell.kind == "LSTM") :]
        if states or (last and not sequences):
            ends += _states(call, cell, x, x.dims[0] - 1, 0, "last" if last else f"{i}.last", states)
    if sequences and not states:
        return x
    result = x if sequences else ends[-1 - (states and own[-1].kind == "LSTM")]
    return [result, *ends] if states else result


@layer("Bidirectional")
def both(call: LayerCall) -> Any:
    """Two cells; their states side by side, added, multiplied or averaged, or as two results."""
    told, back = call.fields.get("layer"), call.fields.get("backward_layer")
    if not isinstance(told, Mapping) or not isinstance(told.get("config"), Mapping):
        raise NotUnderstood("of a layer that is no LSTM, GRU or SimpleRNN")
    own, f = cells(told, call.name), Fields(told["config"], call.name)
    if len(own) > 1:
        raise NotUnderstood("of several cells that feed one another")
    (cell,) = own
    if isinstance(back, Mapping):
        (other, *more) = cells(back, call.name)
        if more or (other.kind, other.units, other.bias) != (cell.kind, cell.units, cell.bias):
            raise NotUnderstood("its two cells are of different kinds")
    merge = call.fields.get("merge_mode", "concat")
    if merge is not None and merge not in JOINS:
        raise malformed(call.name, "its merge_mode is not one of Keras'", ", ".join(JOINS))
    x, first = _sequence(call)
    n, units = x.dims[0], cell.units
    made = call.build.add(cell.layer(both=True), [x], call.name, (0, 1), owner=call.owner)
    made = _started(call, made, first, both=True)
    states, results = f.flag("return_state", False), list[KerasValue]()
    sides = ((n - 1, 0, "forward"), (0, units, "backward"))
    ends = [_states(call, cell, made, at, start, part, states) for at, start, part in sides] if states else []
    if f.flag("return_sequences", False):
        results = [made] if merge == "concat" else _halves(call, made, units)
    else:
        results = [e[0] for e in ends] or [_at(call, made, at, start, start + units, part) for at, start, part in sides]
    if merge is not None and len(results) > 1:
        call = call._replace(name=f"{call.name}.{merge}")
        results = [joined(call, results, -1) if merge == "concat" else merged(call, JOINS[merge], results)]
    if not states:
        return results if len(results) > 1 else results[0]
    return [*results, *(state for end in ends for state in end)]


def _sequence(call: LayerCall) -> tuple[KerasValue, list[KerasValue]]:
    """The positions × features that a recurrent layer walks along, and its first states; a mask that is computed from
    the values of a position says whether that position counts."""
    build = call.build
    given = call._replace(kwargs={k: v for k, v in call.kwargs.items() if k != "mask"}).inputs
    mask = call._replace(args=(), kwargs={"mask": call.kwargs.get("mask")}).inputs
    x = build.plain(given[0])
    if x.rank != 2:
        raise malformed(call.name, f"it needs positions and features, and gets a map of {x.rank} axes")
    if mask:
        wide = regrouped(build.graph, mask[0].held, (*mask[0].held.dims, 1), mask[0].held.batch)
        label = call._replace(name=f"{call.name}.mask")
        x = build.plain(merged(label, Elementwise("masked_fill"), [x, build.value(wide, (0, 1))]))
    node = build.graph.laid(x.held, x.held.inner, len(x.held.inner) - 1, merged=True)
    return build.value(x.held._replace(node=node), x.order), [build.settled(v) for v in given[1:]]


def _started(call: LayerCall, made: KerasValue, first: list[KerasValue], both: bool = False) -> KerasValue:
    """What a recurrent layer makes of first states (of both directions, one after another): all positions depend on
    them."""
    build = call.build
    if not first:
        return made
    lead, _, features = made.held.dims
    wide = []
    for state in first:
        if state.held.dims != (lead, features // (1 + both)):
            raise NotUnderstood("its first states are written in another way")
        wide.append(regrouped(build.graph, state.held, (lead, 1, state.held.dims[1]), state.held.batch))
    if both:
        half = len(wide) // 2
        wide = [chained(build.graph, [wide[i], wide[half + i]], 2, (lead, 1, features)) for i in range(half)]
    nodes, batch, extra = build.graph.aligned((made.held, *wide), made.held.dims)
    found = build.graph.add(Elementwise("first_state"), nodes, made.held.dims, batch, extra=extra)
    return build.made(found, (0, 1), f"{call.name}.first_state")


def _states(
    call: LayerCall, cell: RecurrentCell, made: KerasValue, at: int, start: int, part: str, cells: bool
) -> list[KerasValue]:
    """One position's state, and the cell of an LSTM, which depends on the same."""
    last = _at(call, made, at, start, start + cell.units, part)
    if not cells or cell.kind != "LSTM":
        return [last]
    return [last, call.build.add(Elementwise("cell_state"), [last], f"{call.name}.{part}.cell".replace(".last.", "."))]


def _at(call: LayerCall, made: KerasValue, position: int, start: int, stop: int, part: str) -> KerasValue:
    """One position's states, as a vector."""
    build, held = call.build, made.held
    for axis, first, end, name in ((1, position, position + 1, part), (2, start, stop, f"{part}.slice")):
        if (first, end) != (0, held.dims[axis]):
            held = build.made(sliced(build.graph, held, axis, first, end), (0, 1), f"{call.name}.{name}").held
    return flat(call, build.value(held, (0, 1)), f"{call.name}.{part}.flatten")


def _halves(call: LayerCall, made: KerasValue, units: int) -> list[KerasValue]:
    build = call.build
    return [
        build.made(sliced(build.graph, made.held, 2, a, b), (0, 1), f"{call.name}.{part}")
        for a, b, part in ((0, units, "forward"), (units, 2 * units, "backward"))
    ]
