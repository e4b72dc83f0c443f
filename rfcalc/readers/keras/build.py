"""What the Keras reader adds to the common builder: the order of axes, and the names of Keras' layers.

Keras numbers axes as they lie in memory, usually channels last; maps are written channels first here. A `Value` is the
builder's value of a map and knows which of Keras' axes each of its own is, so nothing is moved until a layer needs
another order; then the builder permutes, once for each map and order. A flattened map remembers the order that it was
flattened in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.expr import MOST_NODES, Named, Ref, Series, Side
from rfcalc.core.layer import Layer
from rfcalc.core.lengths import watching
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.layers.pointwise import GLU
from rfcalc.readers.builder import values as built
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.heard import lengths_of, source_of
from rfcalc.readers.builder.moves import moved, regrouped
from rfcalc.readers.builder.naming import expression, pruned
from rfcalc.readers.configuration import bounded
from rfcalc.readers.imported import Imported, imported

Order = tuple[int, ...]
Held = built.Value


class KerasValue(NamedTuple):
    """A map: the builder's value, whose first axis is the batch; the shape of its node; which of Keras' axes (counted
    without the batch) each axis after the first is.

    `packed` is the extents and the order of the map that a flat vector was flattened from, if not in Keras' own order.
    """

    held: Held
    shape: Shape
    order: Order
    packed: tuple[tuple[int, ...], Order] | None = None

    @property
    def rank(self) -> int:
        """How many axes Keras has, without the batch."""
        return len(self.order)

    @property
    def dims(self) -> tuple[int, ...]:
        """The extents as Keras has them, without the batch."""
        return tuple(self.held.dims[self.axis(k)] for k in range(len(self.order)))

    def axis(self, k: int) -> int:
        """Which axis of the builder's value one of Keras' axes is."""
        return 1 + self.order.index(k)

    @property
    def channel(self) -> int | None:
        """Which of Keras' axes holds the channels; None where they are gone."""
        at = self.shape.channel - self.held.extra - (self.held.batch is None)
        return self.order[at] if at >= 0 else None


def channels_first(rank: int, axis: int) -> Order:
    """The order with Keras' axis `axis` in front."""
    return (axis, *(k for k in range(rank) if k != axis))


class Build:
    """A network that is being read. `last` says whether the model's channels are Keras' last axis."""

    def __init__(self, last: bool, translate: Callable[..., Any]) -> None:
        self.last = last
        self.frames = False  # whether its inputs are sequences of images, whose channels come second
        self.translate = translate  # what one use of one layer makes
        self.graph = Builder()
        self.notes: dict[str, None] = {}
        self.shapes: dict[int, tuple[int, ...]] = {}  # what Keras says of nodes
        self.uncounted: dict[str, int] = {}  # values that Keras keeps with a layer and the algebra does not count
        self.objects: dict[int, str] = {}  # layer objects by identity, and the first place of each
        self.compare = True  # whether the sizes are those that the model was saved with
        self.layer = ""  # Keras' layer that is being read
        self._names: set[str] = set()
        self._helpers: set[str] = set()  # names of nodes that stand for no layer of Keras'
        self._named = 0  # nodes that have names
        self._aliases: dict[str, int] = {}
        self._arranged: dict[tuple[int, Order], Held] = {}
        self.live = False  # whether it is read from a model, and no file
        self.watched = watching()
        if self.watched is not None:
            self.watched.clear()

    # --- names -------------------------------------------------------------------------------------------------

    def name(self, wanted: str) -> str:
        """The name, or with a number if it is taken (a layer that is used again)."""
        name, count = wanted or "layer", 1
        while name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        self._names.add(name)
        return name

    def name_of(self, node: int) -> str:
        count = len(self.graph.inputs)
        return self.graph.inputs[node] if node < count else self.graph.nodes[node - count].label

    def alias(self, name: str, value: KerasValue) -> None:
        """Another name for a value: that of a nested model whose output it is, or of a layer that changes nothing."""
        self._aliases[name] = value.held.node

    def _name_helpers(self) -> None:
        """Name what the builder put in between: permutations after what they read, others after the layer."""
        for made in self.graph.nodes[self._named :]:
            if not made.label:
                stem = made.stem or made.layer.stem
                before = self.name_of(made.inputs[0]) if stem == "permute" else self.layer
                made.label = self.name(f"{before}.{stem}" if before else stem)
                self._helpers.add(made.label)
        self._named = len(self.graph.nodes)

    # --- lengths -----------------------------------------------------------------------------------------------

    def begin(self, layer: str) -> None:
        """Say which of Keras' layers is read now."""
        self.layer = layer
        self.graph.step += 1
        if self.watched is not None:
            self.watched.standing[:] = [layer]

    @property
    def sized(self) -> bool:
        """Whether it is read to find out which sizes it takes."""
        return self.watched is not None and self.watched.sized

    def lengths(self, value: KerasValue) -> list[Any]:
        """The extents as Keras has them, as lengths that note what is asked, where that is wanted."""
        found = lengths_of(self.graph, value.held)
        return [found[value.axis(k)] for k in range(value.rank)]

    # --- values ------------------------------------------------------------------------------------------------

    def channel_axis(self, rank: int) -> int:
        """Which of the axes of an input (or of what was not understood) counts channels."""
        if self.last:
            return max(rank - 1, 0)
        return 1 if self.frames and rank > 2 else 0

    def input(self, name: str, dims: Sequence[int]) -> KerasValue:
        """An input of these sizes, as Keras has them; its own are channels first."""
        rank = len(dims)
        order = channels_first(rank, self.channel_axis(rank)) if rank else (0,)
        shape = Shape(*(dims[k] for k in order)) if dims else Shape(1)
        held = self.graph.input(self.name(name), shape, (1, *shape.dims), 0)
        return KerasValue(held, shape, order)

    def value(self, held: Held, order: Order) -> KerasValue:
        return KerasValue(held, self.graph.shape(held), order)

    def add(
        self, layer: Layer, inputs: Sequence[KerasValue], name: str, order: Order | None = None, owner: str = ""
    ) -> KerasValue:
        """A node for one of Keras' layers.

        Args:
            order: which of Keras' axes its axes are; those of its first input if left out.
            owner: the layer that holds its weights.
        """
        if len(self.graph.nodes) >= MOST_NODES:
            raise RfcalcError("the model has too many layers", why=f"the limit is {MOST_NODES:,}")
        self._name_helpers()
        name = self.name(name)
        try:
            shape = bounded(layer.output(*(v.shape for v in inputs)))
        except RfcalcError as error:
            told = ", ".join(f"{self.name_of(v.held.node)} {v.shape}" for v in inputs[:6])
            raise error.at(f"{name} ({layer.notation()})", f"it reads {told}" if told else None) from None
        first = inputs[0] if inputs else KerasValue(Held(0, (1,), 0), shape, tuple(range(len(shape.dims))))
        batch, extra = first.held.batch, first.held.extra
        dims = (*(() if batch is None else (1,)), *shape.dims[extra:])
        held = self.graph.add(layer, [v.held.node for v in inputs], dims, batch, label=name, extra=extra)
        if owner:
            self.graph.own(held, (owner,))
        order = first.order if order is None else order
        packed = first.packed if len(inputs) == 1 and len(order) == 1 else None
        return KerasValue(held, shape, order, packed)

    def made(self, held: Held, order: Order, name: str) -> KerasValue:
        """What the builder made for one of Keras' layers, which is called after it."""
        made = self.graph.nodes[held.node - len(self.graph.inputs)] if held.node >= len(self.graph.inputs) else None
        if made is None or (made.label and made.label not in self._helpers):
            self.alias(self.name(name), self.value(held, order))
        else:
            made.label = self.name(name)
        self._name_helpers()
        return self.value(held, order)

    def arranged(self, value: KerasValue, order: Order) -> KerasValue:
        """The value with its axes in this order."""
        value = self.settled(value)
        if value.order == order:
            return value
        key = (value.held.node, order)
        found = self._arranged.get(key)
        if found is None:
            found = moved(self.graph, value.held, (0, *(value.axis(k) for k in order)))
            self._arranged[key] = found
            self._name_helpers()
        return self.value(found, order)

    def plain(self, value: KerasValue) -> KerasValue:
        """The value with its axes in Keras' order."""
        return self.arranged(value, tuple(range(value.rank)))

    def settled(self, value: KerasValue) -> KerasValue:
        """The value; a vector that was flattened in another order than Keras' is put into that first."""
        if value.packed is None:
            return value
        dims, order = value.packed
        key = (value.held.node, (0,))
        if key not in self._arranged:
            lead = value.held.dims[:1]
            whole = regrouped(self.graph, value.held, (*lead, *dims), value.held.batch)
            turned = self.plain(self.value(whole, order))
            self._arranged[key] = regrouped(self.graph, turned.held, (*lead, prod(dims)), turned.held.batch)
            self._name_helpers()
        return self.value(self._arranged[key], (0,))

    def alike(self, values: Sequence[KerasValue]) -> list[KerasValue]:
        """Values of equal rank in one order: that of the first one."""
        first = next((v for v in values if v.packed is None), values[0])
        if all(v.order == first.order for v in values) and (
            first.rank > 1 or all(v.packed == first.packed for v in values)
        ):
            return list(values)
        return [self.arranged(v, first.order) for v in values]

    # --- what was read -----------------------------------------------------------------------------------------

    def not_understood(
        self, operator: str, inputs: Sequence[KerasValue], dims: Sequence[int], name: str, why: str = ""
    ) -> KerasValue:
        """A node for an operator that was not understood; `dims` is the shape that Keras says it makes."""
        self._name_helpers()
        rank = len(dims)
        order = channels_first(rank, self.channel_axis(rank)) if rank else (0,)
        lead, batch = (inputs[0].held.dims[:1], inputs[0].held.batch) if inputs else ((1,), 0)
        full = (*lead, *(dims[k] for k in order)) if rank else (*lead, 1)
        nodes = [v.held.node for v in inputs]
        return self.value(self.graph.not_understood(operator, why, nodes, full, batch, label=self.name(name)), order)

    def back_to(self, count: int) -> None:
        """Take back the nodes after the first `count`, and their names."""
        self._names.difference_update(made.label for made in self.graph.nodes[count - len(self.graph.inputs) :])
        self.graph.back_to(count)
        self._named = min(self._named, len(self.graph.nodes))
        self._arranged = {k: v for k, v in self._arranged.items() if v.node < count}
        gone = [name for name, node in self._aliases.items() if node >= count]
        self._names.difference_update(gone)
        self._aliases = {name: node for name, node in self._aliases.items() if node < count}

    def expect(self, value: KerasValue, dims: Sequence[int | None] | None) -> None:
        """Note the shape that Keras has for a value, to be compared with the algebra's."""
        if dims is None or not self.compare or value.held.node < len(self.graph.inputs):
            return
        if len(dims) != value.rank:
            if not dims and value.shape.values == 1:
                return
            raise RfcalcError(
                f"Keras makes a map of {len(dims)} axes here, rfcalc one of {value.rank}",
                where=self.name_of(value.held.node),
            )
        mine = value.held.dims[1:]
        told = tuple(mine[i] if (n := dims[k]) is None else n for i, k in enumerate(value.order))
        lead = value.held.dims[:1] if value.held.batch is None else ()
        made = self.graph.nodes[value.held.node - len(self.graph.inputs)].layer
        if isinstance(made, GLU) and told == (2 * mine[0], *mine[1:]) and told != mine:
            raise RfcalcError(
                f"Keras takes glu to leave {told[0]} channels, but it makes {mine[0]} of them",
                where=self.name_of(value.held.node),
                why="Activation('glu') halves the channels, and Keras builds what follows for all of them",
                fix="write a * sigmoid(b) in the model instead, with a, b = keras.ops.split(x, 2, axis=-1)",
            )
        self.shapes[value.held.node] = (*((1,) if value.held.extra else ()), *lead, *told)

    def finish(self, outputs: Sequence[KerasValue], name: str, params: int | None = None) -> Imported:
        """The importer's result, checked: see `rfcalc.readers.imported`."""
        self._name_helpers()
        graph = self.graph
        ends = list(dict.fromkeys(v.held.node for v in outputs))
        gone = pruned(graph, ends)
        kept = [p for p in range(len(graph.inputs), len(graph.shapes)) if p not in gone]
        named = {p: self.name_of(p) for p in (*range(len(graph.inputs)), *kept)}
        body = expression(graph, kept, named, dict.fromkeys(kept, ""), aliases=False)
        also = [Side(Named(Ref(named[p]), alias)) for alias, p in self._aliases.items() if p in named]
        inputs = dict(zip(graph.inputs, graph.shapes, strict=False))
        wanted = [] if kept and ends == kept[-1:] else [named[p] for p in ends]
        source = source_of(graph, named, kept, "model" if self.live else "file", built=True)
        network = Network(Series((body, *also)) if also else body, inputs, outputs=wanted, name=name, source=source)
        shapes = {named[p]: dims for p, dims in self.shapes.items() if p in named}
        return imported(
            network, notes=list(self.notes), unknown=graph.report(named), shapes=shapes, params=params
        )  # fmt: skip
