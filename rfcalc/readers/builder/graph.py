"""The network while it is being read: values, nodes, parameters, and the axes that carry positions of the input.

A `Value` is a tensor of the source: its dims with the batch, which axis of it is the batch (None where it is merged
with others), and the node that makes it. The node's shape is the tensor's without the batch axis. Which axis counts
channels follows from the layers; where one has to be chosen, an axis that carries no positions of the input is, so that
no position is lost (`carriers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.layers.reshape import Reshape
from rfcalc.layers.unknown import Unknown
from rfcalc.readers.builder.axes import carried, dirtied
from rfcalc.readers.builder.values import BatchMixed, Made, NotUnderstood, Value, inner
from rfcalc.readers.imported import UnknownOperator, same_shape


@dataclass(slots=True)
class Builder:
    """What has been read so far. Positions count the inputs first."""

    dims: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # of parameters, by name
    inputs: list[str] = field(default_factory=list)
    nodes: list[Made] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    carriers: list[frozenset[int]] = field(default_factory=list)
    dirty: list[bool] = field(default_factory=list)  # positions were merged into the channels, and not mixed since
    fixed: list[bool] = field(default_factory=list)  # nothing of an input is in it
    unknown: list[tuple[int, str, str]] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)  # parameter → the node that holds it
    groups: dict[tuple[str, ...], str] = field(default_factory=dict)
    made: dict[Any, Value] = field(default_factory=dict)  # nodes of what depends on no input, by what stands for it
    step: int = -1
    lengths: dict[Value, list[Any]] = field(default_factory=dict)  # of views: extents, made of those of what they view

    # --- values ------------------------------------------------------------------------------------------------

    def size(self, parameter: str) -> int:
        return prod(self.dims[parameter])

    def input(self, name: str, shape: Shape, dims: tuple[int, ...], batch: int | None, extra: bool = False) -> Value:
        """Put an input; positions lie along all of its axes but the channels (`extra`: which the tensor has not)."""
        value = Value(len(self.inputs), dims, batch, extra)
        self.inputs.append(name)
        self.shapes.append(shape)
        self.carriers.append(frozenset(shape.axes))
        self.dirty.append(False)
        self.fixed.append(False)
        return value

    # --- nodes -------------------------------------------------------------------------------------------------

    def add(
        self,
        layer: Layer,
        inputs: Iterable[int],
        dims: tuple[int, ...],
        batch: int | None,
        *,
        stem: str = "",
        label: str = "",
        extra: bool = False,
        helper: bool = False,
    ) -> Value:
        """Put a node; its shape must be the tensor's.

        Raises:
            ShapeError: it is not; with both shapes.
            NotUnderstood: the layer refuses its inputs.
        """
        sources = tuple(inputs)
        xs = tuple([self.shapes[s] for s in sources])
        try:
            y = layer.output(*xs)
        except RfcalcError as error:
            raise NotUnderstood(error.what) from error
        wanted = inner(dims, batch)
        if y.dims != wanted and not (extra and y.dims == (1, *wanted)):
            same_shape(label or stem or layer.kind, wanted, y, layer.notation(exact=True))
        position = len(self.shapes)
        lies = -1 if batch is None else batch if len(y.dims) + 1 == len(dims) else 0
        self.nodes.append(Made(layer, sources, self.step, stem, label, helper=helper, batch=lies))
        self.shapes.append(y)
        self.carriers.append(
            frozenset() if layer.opaque else carried(layer, [self.carriers[i] for i in sources], xs, y)
        )
        self.dirty.append(dirtied(layer, [self.carriers[i] for i in sources], [self.dirty[i] for i in sources], xs, y))
        self.fixed.append(all(self.fixed[s] for s in sources))
        return Value(position, tuple(dims), batch, extra)

    def shape(self, value: Value) -> Shape:
        return self.shapes[value.node]

    def shares(self, names: Sequence[str]) -> tuple[str, ...]:
        """The key of parameters that one layer holds.

        Raises:
            NotUnderstood: another layer holds some of them and not all.
        """
        key = tuple(sorted(set(names)))
        if key not in self.groups and any(n in self.counted for n in key):
            raise NotUnderstood("it shares some of its parameters with another layer, and not all")
        return key

    def own(self, value: Value, key: tuple[str, ...]) -> Value:
        """Say which parameters the node of a value holds; the same ones elsewhere are shared."""
        if not key:
            return value
        if key not in self.groups:
            self.groups[key] = ""
            self.counted.update(dict.fromkeys(key, value.node))
            return value
        self.groups[key] = group = self.groups[key] or key[-1]
        for node in (value.node, self.counted[key[0]]):
            self.nodes[node - len(self.inputs)].group = group
        return value

    def axis(self, value: Value, axis: int) -> int:
        """Where an axis of the tensor is in its node's map.

        Raises:
            NotUnderstood: it is the batch.
        """
        axis %= max(len(value.dims), 1)
        if axis == value.batch:
            raise NotUnderstood("it works along the batch")
        return axis - (value.batch is not None and value.batch < axis) + value.extra

    def laid(self, value: Value, dims: tuple[int, ...], channel: int, merged: bool = False) -> int:
        """The node of a value with its map in other dims (of the same values) and channels on this axis.

        Args:
            merged: whether positions may lie along the new channel axis, because what reads it takes all channels of a
                place together; they do not come apart again.

        Raises:
            NotUnderstood: positions of the input would be lost, because they lie along the new channel axis.
        """
        x = self.shapes[value.node]
        if x.dims == dims and x.channel == channel:
            return value.node
        if not self.carriers[value.node]:
            made = self.nodes[value.node - len(self.inputs)] if value.node >= len(self.inputs) else None
            table = made is not None and made.layer.stored and not made.inputs
            if made is not None and table and not self._is_read(value.node):
                laid = {**made.layer.given, "dims": dims, "channel": channel}  # as its first reader wants it
                made.layer = type(made.layer)(**laid)
                self.shapes[value.node] = made.layer.output()
                return value.node
        elif x.dims == dims and (
            self.dirty[value.node] or (not merged and channel in self.carriers[value.node] and dims[channel] != 1)
        ):
            raise NotUnderstood("it exchanges channels and positions")
        return self.add(Reshape(dims, channel), (value.node,), dims, None, stem="reshape", helper=True).node

    def _is_read(self, position: int) -> bool:
        return any(position in node.inputs for node in self.nodes[position - len(self.inputs) + 1 :])

    def plain(self, value: Value) -> Value:
        """The same tensor with the batch as an axis like others."""
        self.with_channels(value)
        if value.batch is None:
            return value
        if value.dims[value.batch] != 1:
            raise BatchMixed
        x = self.shapes[value.node]
        channel = x.channel + (x.channel >= value.batch)
        node = self.laid(value, value.dims or (1,), min(channel, len(value.dims) - 1))
        return Value(node, value.dims, None)

    def settled(self, value: Value) -> Value:
        """A tensor of batch and positions whose channels are gone: the batch, of size 1, stands in their place."""
        if value.extra and value.batch == 0 and self.shapes[value.node].dims == value.dims:
            return Value(value.node, value.dims, None)
        return value

    def with_channels(self, value: Value) -> Value:
        """Refuse a tensor that has lost its channels, where a layer cannot do without them."""
        if value.extra:
            raise NotUnderstood("the channels are gone before it")
        return value

    def aligned(self, values: Sequence[Value], dims: tuple[int, ...]) -> tuple[list[int], int | None, bool]:
        """Nodes of values that are broadcast to `dims`, with equal numbers of axes and one channel axis; the batch axis
        of the result; whether it has lost its channels."""
        if any(v.extra for v in values):
            values, dims = self._with_channels(values, dims)
            nodes, batch, _ = self.aligned(values, dims)
            return nodes, batch, True
        rank = len(dims)
        at = {v.batch + rank - len(v.dims) for v in values if v.batch is not None}
        batch = at.pop() if len(at) == 1 else None
        if batch is not None and any(v.batch is None and not _thin(v, batch, rank) for v in values):
            batch = None
        if batch is None and any(v.batch is not None for v in values):
            values = [self.plain(v) for v in values]
        for v in values:
            self.with_channels(v)
        channel = self._channel(values, rank, batch)
        nodes = []
        for v in values:
            full = (1,) * (rank - len(v.dims)) + v.dims
            nodes.append(self.laid(v, inner(full, batch), channel))
        return nodes, batch, False

    def _with_channels(self, values: Sequence[Value], dims: tuple[int, ...]) -> tuple[list[Value], tuple[int, ...]]:
        """Tensors without channels as maps with one."""
        at = {0 if v.batch is None else 1 for v in values if v.extra}
        if len(at) != 1 or any(not v.extra and len(v.dims) == len(dims) and self.carriers[v.node] for v in values):
            raise NotUnderstood("the channels of one of its inputs are gone before it")
        (place,) = at
        place -= len(dims)  # counted from the end
        found = []
        for v in values:
            cut = len(v.dims) + place
            wide = (*v.dims[:cut], 1, *v.dims[cut:]) if cut >= 0 else v.dims
            found.append(Value(v.node, wide, v.batch) if v.extra or cut < 0 else self._widened(v, wide))
        cut = len(dims) + place
        return found, (*dims[:cut], 1, *dims[cut:])

    def _widened(self, v: Value, dims: tuple[int, ...]) -> Value:
        return Value(self.laid(v, inner(dims, v.batch), 0), dims, v.batch)

    def _channel(self, values: Sequence[Value], rank: int, batch: int | None) -> int:
        """The channel axis that values take together: one along which none of them has positions, that of the value
        with the most axes and values if possible."""
        count = max(rank - (batch is not None), 1)
        taken: set[int] = set()
        wishes: list[int] = []
        order = sorted(
            values,
            key=lambda v: (
                self.fixed[v.node],
                not self.carriers[v.node],
                -len(v.dims),
                -self.shapes[v.node].values,
                v.node,
            ),
        )
        for v in order:
            here = self.shapes[v.node]
            shift = rank - len(v.dims)

            def at(core: int, v: Value = v, shift: int = shift) -> int | None:
                axis = core + (v.batch is not None and v.batch <= core) + shift
                return None if axis == batch else axis - (batch is not None and batch < axis)

            taken |= {a for c in self.carriers[v.node] if here.dims[c] != 1 and (a := at(c)) is not None}
            if (wish := at(here.channel)) is not None and v.dims:
                wishes.append(wish)
        for wish in (*wishes, *reversed(range(count))):
            if wish not in taken:
                return min(wish, count - 1)
        raise NotUnderstood("it exchanges channels and positions")

    # --- unknown -----------------------------------------------------------------------------------------------

    def not_understood(
        self,
        operator: str,
        why: str,
        sources: Iterable[int],
        dims: tuple[int, ...],
        batch: int | None,
        *,
        stem: str = "",
        label: str = "",
        everything: bool = False,
    ) -> Value:
        """Put an `Unknown` for a result of an operator.

        Args:
            everything: what it reads is not known, so that it counts as reading every input.
        """
        read = tuple(dict.fromkeys(sources))
        if everything or not read:
            read = tuple(dict.fromkeys((*read, *range(len(self.inputs)))))
        value = self.add(Unknown(inner(dims, batch), operator), read, dims, batch, stem=stem, label=label)
        self.unknown.append((value.node, operator, why))
        return value

    def back_to(self, count: int) -> None:
        """Take back the nodes after the first `count`, and what was noted about them."""
        del self.nodes[count - len(self.inputs) :], self.shapes[count:], self.carriers[count:], self.dirty[count:]
        del self.fixed[count:]
        self.made = {k: v for k, v in self.made.items() if v.node < count}
        self.unknown = [u for u in self.unknown if u[0] < count]
        self.counted = {k: n for k, n in self.counted.items() if n < count}
        self.groups = {k: g for k, g in self.groups.items() if k[0] in self.counted}

    def report(self, names: Mapping[int, str]) -> list[UnknownOperator]:
        """The operators that were not understood, by the names of their nodes."""
        return [UnknownOperator(operator, names[node], why) for node, operator, why in self.unknown if node in names]


def _thin(value: Value, axis: int, rank: int) -> bool:
    """Whether a value has size 1 (or nothing) along an axis of the `rank` axes that it is broadcast to."""
    own = axis - (rank - len(value.dims))
    return own < 0 or value.dims[own] == 1
