"""Rows that people read as one: attention written by hand, and a layer with the computation of its weights.

Only what is shown is gathered; the network keeps its nodes. Attention is told by its structure, never by names: scores
from a product of matrices, a softmax, a product with the values (or one node that does all three); with it go the
linear layers that make queries, keys and values, the one behind it, the moves between them, and what is computed from
parameters alone, as far as nothing else reads it. What a layer computes its weights from, as ``weight_norm`` and
``torch.nn.utils.parametrize`` have it, goes into the layer's row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from typing import NamedTuple

from rfcalc.core.size import is_number
from rfcalc.report import Row


class GatheredRows(NamedTuple):
    """Rows in one: its `name`, its `words` in place of a notation (None: those of the first row)."""

    rows: tuple[Row, ...]
    name: str
    words: str | None


def gathered(rows: Sequence[Row]) -> dict[str, GatheredRows]:
    """What stands together, by the name of the row in whose place it is shown."""
    graph = RowGraph(rows)
    found: list[GatheredRows] = []
    for row in rows:
        if _core(row) and row.name not in graph.taken:
            group = _attention(graph, row)
            found += [group] if group else []
    found += _weights(graph)
    places = {group.rows[-1].name if group.words is not None else group.rows[0].name: group for group in found}
    places.update(_unread(graph))
    return places


class RowGraph:
    """Rows by name, and who reads whom."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = {row.name: row for row in rows}
        self.outputs = set(rows[0].report.network.outputs) if rows else set()
        self.taken: set[str] = set()
        self.readers: dict[str, list[str]] = {name: [] for name in self.rows}
        self.reached: set[str] = set()  # rows that an input reaches
        for row in rows:
            for name in set(row.inputs):
                if name in self.readers:
                    self.readers[name].append(row.name)
            if any(name not in self.rows or name in self.reached for name in row.inputs):
                self.reached.add(row.name)
        self.scopes = Counter(scope for name in self.rows for scope in _scopes(name))
        self.busy = Counter(scope for row in rows if not self.free(row) for scope in _scopes(row.name))

    def free(self, row: Row) -> bool:
        """Whether a row only moves, scales, joins or normalises values: no weight layer, no products."""
        return not row.node.layer.weight_layers and not row.node.layer.opaque and row.macs == 0

    def dense(self, row: Row) -> bool:
        """Whether it is a layer of weights that works at each position alone."""
        return bool(row.node.layer.weight_layers) and _positions(row) is not None

    def constant(self, name: str) -> set[str]:
        """A row that no input reaches, with all that it is computed from."""
        found: set[str] = set()
        stack = [name]
        while stack:
            one = stack.pop()
            if one not in found:
                found.add(one)
                stack += self.rows[one].inputs
        return found

    def closed(self, members: set[str], last: str) -> bool:
        """Whether nothing outside reads any member but the last."""
        return all(
            name == last or (name not in self.outputs and set(self.readers[name]) <= members) for name in members
        )

    def ordered(self, members: Iterable[str]) -> list[str]:
        return sorted(members, key=lambda name: self.rows[name].position)

    def name_of(self, names: Sequence[str]) -> str:
        """The block that holds these rows and no other layer; else the first's name and the end of the last's."""
        levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
        scope = ".".join(parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, levels))
        if scope and self.busy[scope] == sum(not self.free(self.rows[name]) for name in names):
            return scope
        return f"{names[0]} … {names[-1].rpartition('.')[2]}"

    def gather(self, members: set[str]) -> tuple[Row, ...]:
        """The rows of these names in order; they are taken now."""
        self.taken |= members
        return tuple(self.rows[name] for name in self.ordered(members))


def _part(row: Row) -> str:
    """What it is in attention that is written by hand."""
    return row.node.layer.in_attention


def _core(row: Row) -> bool:
    return _part(row) in ("softmax", "all")


def _scopes(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:i]) for i in range(1, len(parts)))


def _attention(graph: RowGraph, core: Row) -> GatheredRows | None:
    """The attention around a softmax or a node that is attention's product; None if it is not attention."""
    inner = {core.name}
    if _part(core) == "softmax":
        above = _between(graph, core, upward=True)
        below = _between(graph, core, upward=False)
        if not above or not below:
            return None
        inner |= above | below
    last = max(inner, key=lambda name: graph.rows[name].position)
    if not graph.closed(inner, last):  # the weights of attention are used elsewhere
        return None
    middle = inner | _behind(graph, last)
    members = _leading(graph, middle | _sources(graph, inner), middle)
    if members & graph.taken or len(members) == 1 or len({graph.rows[name].stage for name in members}) > 1:
        return None
    rows = graph.gather(members)
    layers = [row.notation for row in rows if row.node.layer.weight_layers]
    told = ", ".join(f"{text} ×{n}" if (n := len([*run])) > 1 else text for text, run in groupby(layers))
    words = f"attention{_heads(rows) or ''}"
    return GatheredRows(rows, graph.name_of([row.name for row in rows]), f"{words} ({told})" if told else words)


def _leading(graph: RowGraph, members: set[str], middle: set[str]) -> set[str]:
    """The members that nothing outside reads, and that come from a layer or parameter of the group."""
    order = [name for name in graph.ordered(members) if name not in middle]
    for _ in range(2):
        for name in reversed(order):
            if name in graph.outputs or not set(graph.readers[name]) <= members:
                members.discard(name)
        for name in order:
            row = graph.rows[name]
            if not (graph.dense(row) or name not in graph.reached or any(n in members for n in row.inputs)):
                members.discard(name)
    return members


def _between(graph: RowGraph, core: Row, upward: bool) -> set[str]:
    """The rows from the softmax to the products on one side, those included; empty where other things come first."""
    found: set[str] = set()
    products = 0
    stack = [*(core.inputs if upward else graph.readers[core.name])]
    while stack:
        name = stack.pop()
        if name in found:
            continue
        if name not in graph.rows or name in graph.taken:
            return set()
        row = graph.rows[name]
        if upward and name not in graph.reached:
            found.update(graph.constant(name))
            continue
        found.add(name)
        if _part(row) == "product":
            products += 1
        elif graph.free(row) and _part(row) != "softmax":
            stack += row.inputs if upward else graph.readers[name]
        else:
            return set()
    return found if products >= 1 and (upward or products == 1) else set()


def _sources(graph: RowGraph, inner: set[str]) -> set[str]:
    """What makes queries, keys, values and masks: back to the layers that work at each position alone."""
    found: set[str] = set()
    stack = [name for one in inner for name in graph.rows[one].inputs if name not in inner]
    while stack:
        name = stack.pop()
        if name in found or name not in graph.rows or name in graph.taken:
            continue
        row = graph.rows[name]
        if name not in graph.reached:
            found.update(graph.constant(name))
        elif graph.dense(row):
            found.add(name)
        elif graph.free(row) and not _core(row):
            found.add(name)
            stack += row.inputs
    return found


def _behind(graph: RowGraph, last: str) -> set[str]:
    """From the product with the values through moves to the layer behind it; the moves alone where there is none."""
    found: list[str] = []
    moves: list[str] = []
    name = last
    while name not in graph.outputs and len(graph.readers[name]) == 1:
        row = graph.rows[graph.readers[name][0]]
        if row.name in graph.taken or any(n in graph.reached and n != name for n in row.inputs):
            break
        name = row.name
        found.append(name)
        if graph.dense(row):
            return set(found)
        if not graph.free(row) or len(row.inputs) != 1 or row.ops["adaptive_pool_inputs"]:  # a mean or an extreme
            break
        if row.view and len(moves) == len(found) - 1:
            moves.append(name)
    return set(moves)


def _positions(row: Row) -> int | None:
    """At how many positions a layer of weights works, where each is read alone; else None."""
    layer = row.node.layer
    if layer.by_position:
        cost = row.report.costs[row.position]
        if is_number(cost.macs) and is_number(cost.weights) and cost.weights:
            return int(cost.macs) // int(cost.weights)
        return 0
    return None


def _heads(rows: Sequence[Row]) -> int | None:
    """How many heads the scores have for each position of the last layer; None where the shapes do not tell it."""
    layers = [n for row in rows if (n := _positions(row))]
    for row in rows:
        dims = row.shape.dims
        if _part(row) not in ("product", "all") or len(dims) < 2 or not all(map(is_number, dims)) or not layers:
            continue
        count = 1
        for n in dims[:-2]:
            count *= int(n)
        sides = [dims[-2]] if _part(row) == "all" else [*dict.fromkeys(dims[-2:])]
        heads = {int(count * n) // layers[-1] for n in sides if count * n % layers[-1] == 0}
        return heads.pop() if len(heads) == 1 and heads != {0} else None
    return None


def _weights(graph: RowGraph) -> Iterator[GatheredRows]:
    """Layers whose weights are computed in the network: the computation, the product, and the bias behind it."""
    for row in [*graph.rows.values()]:
        made = [n for n in row.inputs if n in graph.rows and n not in graph.reached]
        if row.name not in graph.reached or not made or row.macs == 0 or row.name in graph.taken:
            continue
        members = {row.name, *(name for one in made for name in graph.constant(one))}
        if not any(graph.rows[name].params for name in members if name != row.name):
            continue
        last = row.name
        while len(graph.readers[last]) == 1 and last not in graph.outputs:
            after = graph.rows[graph.readers[last][0]]
            others = [n for n in after.inputs if n != last]
            if not others or not graph.free(after) or any(n not in graph.rows or n in graph.reached for n in others):
                break
            members |= {after.name, *(name for one in others for name in graph.constant(one))}
            last = after.name
        scope = _scope(members, last)
        before = next(n for n in row.inputs if n in graph.reached or n not in graph.rows)
        while before in graph.reached and graph.free(graph.rows[before]) and before.startswith(scope + "."):
            members.add(before)
            before = graph.rows[before].inputs[0]
        whole = scope and graph.scopes[scope] + (scope in graph.rows) == len(members)
        alone = not members & graph.taken and len({graph.rows[name].stage for name in members}) == 1
        if whole and alone and graph.closed(members, last):
            yield GatheredRows(graph.gather(members), scope, _computed(row))


def _scope(members: Iterable[str], last: str) -> str:
    """The module that all of them stand in, or that the last is."""
    paths = [(name if name == last else name.rpartition(".")[0]) + "." for name in members]
    scope = min(paths, key=len).removesuffix(".")
    for name in (scope, scope.rpartition(".")[0]):
        if name and all(path.startswith(name + ".") for path in paths):
            return name
    return ""


def _computed(row: Row) -> str:
    if _part(row) != "product":
        return row.notation
    return f"fc{row.shape.dims[-1]} (its weight computed)"


def _unread(graph: RowGraph) -> Iterator[tuple[str, GatheredRows]]:
    """Parameters that no node reads, and products of them, as what a layer computes its weight from has them, with
    their layer."""
    own: dict[str, dict[str, Row]] = {}
    within: dict[str, list[str]] = {}
    for name in graph.reached:
        for scope in _scopes(name) if graph.rows[name].node.layer.weight_layers else ():
            within.setdefault(scope, []).append(name)
    for name, row in graph.rows.items():
        if name in graph.reached or graph.readers[name] or name in graph.outputs or name in graph.taken:
            continue
        layer = _layer_of(graph, name, within)
        if layer is not None and graph.rows[layer].stage == row.stage:
            made = graph.ordered(graph.constant(name))
            own.setdefault(layer, {}).update({one: graph.rows[one] for one in made})
    for layer, rows in own.items():
        yield layer, GatheredRows((graph.rows[layer], *rows.values()), layer, None)


def _layer_of(graph: RowGraph, name: str, within: Mapping[str, Sequence[str]]) -> str | None:
    """The layer that a parameter stands in: the row of its module, or the only layer of weights beside it there."""
    for scope in reversed([*_scopes(name)]):
        if scope in graph.rows and scope not in graph.taken:
            return scope
        layers = [n for n in within.get(scope, ()) if n not in graph.taken]
        if layers:
            return layers[0] if len(layers) == 1 else None
    return None
