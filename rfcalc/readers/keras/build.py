"""Collects the nodes of a network while a configuration is read, and keeps account of axes.

Keras numbers axes as they lie in memory, usually channels last; the algebra's maps are channels first. A `Value` knows
which of Keras' axes each of its own is, so nothing is moved until a layer needs another order; then a `Permute` is put
in, once for each map and order. A flattened map remembers the order that it was flattened in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.expr import MOST_NODES, Expr, Named, Parallel, Ref, Series, Shared
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.layers.reshape import Flatten, Permute, Reshape
from rfcalc.layers.unknown import Unknown
from rfcalc.readers.configuration import bounded
from rfcalc.readers.imported import Imported, UnknownOperator, imported

Order = tuple[int, ...]


class Value(NamedTuple):
    """A map: the node (or input) that makes it, its shape, and which of Keras' axes each axis of the shape is.

    `packed` is the shape and order of the map that a flat vector was flattened from, if not in Keras' own order.
    """

    node: str
    shape: Shape
    order: Order
    packed: tuple[Shape, Order] | None = None

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as Keras has it, without the batch."""
        return tuple(self.shape.dims[self.order.index(k)] for k in range(len(self.order)))

    @property
    def channel(self) -> int:
        """Which of Keras' axes holds the channels."""
        return self.order[self.shape.channel]


def channels_first(rank: int, axis: int) -> Order:
    """The order with Keras' axis `axis` in front."""
    return (axis, *(k for k in range(rank) if k != axis))


class _Entry(NamedTuple):
    name: str
    layer: Layer | None  # None: another name for what it reads
    inputs: tuple[str, ...]
    owner: str  # the layer whose weights it uses


class Build:
    """The network that is being built. `last` says whether the model's channels are Keras' last axis."""

    def __init__(self, last: bool, translate: Callable[..., Any]) -> None:
        self.last = last
        self.translate = translate  # what one use of one layer makes
        self.inputs: dict[str, Shape] = {}
        self.notes: dict[str, None] = {}
        self.unknown: list[UnknownOperator] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.uncounted: dict[str, int] = {}  # values that Keras keeps with a layer and the algebra does not count
        self.flattened: dict[str, Value] = {}  # what a flatten read, by its node
        self.objects: dict[int, str] = {}  # layer objects by identity, and the first place of each
        self.compare = True  # whether the sizes are those that the model was saved with
        self._entries: list[_Entry] = []
        self._names: set[str] = set()
        self._uses: dict[str, int] = {}
        self._arranged: dict[tuple[str, Order, int], Value] = {}

    def name(self, wanted: str) -> str:
        """The name, or with a number if it is taken (a layer that is used again)."""
        name, count = wanted or "layer", 1
        while name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        self._names.add(name)
        return name

    def input(self, name: str, dims: Sequence[int]) -> Value:
        """An input of these sizes, as Keras has them; its own are channels first."""
        rank = len(dims)
        order = channels_first(rank, rank - 1 if self.last and rank > 1 else 0) if rank else ()
        name = self.name(name)
        self.inputs[name] = Shape(*(dims[k] for k in order)) if dims else Shape(1)
        return Value(name, self.inputs[name], order or (0,))

    def add(
        self, layer: Layer, inputs: Sequence[Value], name: str, order: Order | None = None, owner: str = ""
    ) -> Value:
        """A node. `order`: which of Keras' axes its axes are; those of its first input if left out."""
        if len(self._entries) >= MOST_NODES:
            raise RfcalcError("the model has too many layers", why=f"the limit is {MOST_NODES:,}")
        name = self.name(name)
        try:
            shape = bounded(layer.output(*(v.shape for v in inputs)))
        except RfcalcError as error:
            told = ", ".join(f"{v.node} {v.shape}" for v in inputs[:6])
            raise error.at(f"{name} ({layer.notation()})", f"it reads {told}" if told else None) from None
        self._entries.append(_Entry(name, layer, tuple(v.node for v in inputs), owner))
        if owner:
            self._uses[owner] = self._uses.get(owner, 0) + 1
        if order is None:
            order = inputs[0].order if inputs else tuple(range(len(shape.dims)))
        packed = inputs[0].packed if len(inputs) == 1 and len(order) == 1 else None
        return Value(name, shape, order, packed)

    def alias(self, name: str, value: Value) -> None:
        """Another name for a value: that of the nested model that it is the output of."""
        self._entries.append(_Entry(name, None, (value.node,), ""))

    def arranged(self, value: Value, order: Order, channel: int | None = None) -> Value:
        """The value with its axes in this order; `channel`: which of Keras' axes is to count as channels."""
        value = self.settled(value)
        wanted = value.channel if channel is None else channel
        if value.order == order and value.channel == wanted:
            return value
        key = (value.node, order, wanted)
        found = self._arranged.get(key)
        if found is None:
            found = value
            if value.order != order:
                moved = tuple(value.order.index(k) for k in order)
                found = self.add(Permute(moved), [value], f"{value.node}.permute", order)
            if found.channel != wanted:
                same = Reshape(found.shape.dims, order.index(wanted))
                found = self.add(same, [found], f"{value.node}.reshape", order)
            self._arranged[key] = found
        return found

    def spatial(self, value: Value, axis: int) -> Value:
        """The value with Keras' axis `axis` in front, as channels."""
        return self.arranged(value, channels_first(len(value.order), axis), axis)

    def plain(self, value: Value) -> Value:
        """The value with its axes in Keras' order."""
        return self.arranged(value, tuple(range(len(value.order))))

    def settled(self, value: Value) -> Value:
        """The value; a vector that was flattened in another order than Keras' is put into that first."""
        if value.packed is None:
            return value
        shape, order = value.packed
        key = (value.node, (0,), -1)
        if key not in self._arranged:
            whole = self.add(Reshape(shape.dims, shape.channel), [value], f"{value.node}.reshape", order)
            turned = self.plain(whole)
            flat = self.add(Flatten(), [turned], f"{value.node}.flatten", (0,))
            self._arranged[key] = flat._replace(packed=None)
        return self._arranged[key]

    def unfolded(self, value: Value) -> Value:
        """The value with its axes in Keras' order, for what gives it other extents.

        Of a flattened map it is the map itself: in between every unit would be the whole map.
        """
        if value.node in self.flattened:
            return self.plain(self.flattened[value.node])
        if value.packed is None:
            return self.plain(value)
        shape, order = value.packed
        key = (value.node, (0,), -2)
        if key not in self._arranged:
            whole = self.add(Reshape(shape.dims, shape.channel), [value], f"{value.node}.reshape", order)
            self._arranged[key] = self.plain(whole)
        return self._arranged[key]

    def alike(self, values: Sequence[Value]) -> list[Value]:
        """Values of equal rank in one order, with the same channel axis: that of the first one."""
        first = next((v for v in values if v.packed is None), values[0])
        if all(v.order == first.order and v.channel == first.channel for v in values) and (
            len(first.order) > 1 or all(v.packed == first.packed for v in values)
        ):
            return list(values)
        first = self.settled(first)
        return [self.arranged(v, first.order, first.channel) for v in values]

    def not_understood(
        self, operator: str, inputs: Sequence[Value], dims: Sequence[int], name: str, why: str = ""
    ) -> Value:
        """A node for an operator that was not understood; `dims` is the shape that Keras says it makes."""
        rank = len(dims)
        order = channels_first(rank, rank - 1 if self.last and rank > 1 else 0) if rank else (0,)
        shape = tuple(dims[k] for k in order) if rank else (1,)
        value = self.add(Unknown(shape, operator), inputs, name, order)
        self.unknown.append(UnknownOperator(operator, value.node, why))
        return value

    def expect(self, value: Value, dims: Sequence[int | None] | None) -> None:
        """Note the shape that Keras has for a value, to be compared with the algebra's."""
        if dims is None or not self.compare or value.node in self.inputs:
            return
        if len(dims) != len(value.order):
            if not dims and value.shape.values == 1:
                return
            raise RfcalcError(
                f"Keras makes a map of {len(dims)} axes here, rfcalc one of {len(value.order)}", where=value.node
            )
        mine = value.shape.dims
        self.shapes[value.node] = tuple(mine[i] if (n := dims[k]) is None else n for i, k in enumerate(value.order))

    def network(self, outputs: Sequence[Value], name: str) -> Network:
        """What was built. Layers that were used more than once share a weight group."""
        items: list[Expr] = []
        before = next(iter(self.inputs)) if len(self.inputs) == 1 else None
        for entry in self._entries:
            if entry.layer is None:
                items.append(Named(Ref(entry.inputs[0]), entry.name))
                before = entry.inputs[0]
                continue
            layer: Expr = entry.layer
            if self._uses.get(entry.owner, 0) > 1:
                layer = Shared(layer, entry.owner)
            reads = entry.inputs
            if len(reads) != 1:
                merged = Parallel(tuple(Ref(r) for r in reads), entry.layer)
                layer = Shared(merged, entry.owner) if layer is not entry.layer else merged
            elif reads[0] != before:
                items.append(Ref(reads[0]))
            items.append(Named(layer, entry.name))
            before = entry.name
        names = list(dict.fromkeys(v.node for v in outputs))
        if names == [before]:
            names = []
        return Network(Series(tuple(items)), dict(self.inputs), outputs=names, name=name)

    def finish(self, outputs: Sequence[Value], name: str, params: int | None = None) -> Imported:
        """The importer's result, checked: see `rfcalc.readers.imported`."""
        network = self.network(outputs, name)
        return imported(network, notes=list(self.notes), unknown=self.unknown, shapes=self.shapes, params=params)
