"""Layers of several inputs."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Concat, Multiply
from rfcalc.readers.builder.joining import chained
from rfcalc.readers.builder.moves import regrouped
from rfcalc.readers.configuration import malformed
from rfcalc.readers.keras.build import KerasValue, Order
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import keras_axis, map_axis, number

MERGES: dict[str, Layer] = {
    "Add": Add(),
    "Multiply": Multiply(),
    "Subtract": Elementwise("sub"),
    "Average": Elementwise("average"),
    "Maximum": Elementwise("maximum"),
    "Minimum": Elementwise("minimum"),
}


@layer(*MERGES)
def merge(call: LayerCall) -> KerasValue:
    return merged(call, MERGES[call.kind], call.inputs)


def merged(call: LayerCall, made: Layer, inputs: Sequence[KerasValue]) -> KerasValue:
    """Inputs of unequal rank get axes of size 1 in front, after the batch."""
    if not inputs:
        raise malformed(call.name, "it joins nothing")
    build = call.build
    alike = build.alike(of_equal_rank(call, inputs))
    if len(alike) == 1:
        return build.add(made, alike, call.name)
    shapes = [v.held.dims for v in alike]
    if any(len({n for n in sizes if n != 1}) > 1 for sizes in zip(*shapes, strict=True)):
        return build.add(made, alike, call.name)  # says that they do not fit
    dims = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
    nodes, batch, extra = build.graph.aligned([v.held for v in alike], dims)
    packed = alike[0].packed
    return build.made(build.graph.add(made, nodes, dims, batch, extra=extra), alike[0].order, call.name)._replace(
        packed=packed
    )


def of_equal_rank(call: LayerCall, inputs: Sequence[KerasValue]) -> list[KerasValue]:
    """The inputs with as many axes as the one that has most, in its order."""
    first = max(inputs, key=lambda v: v.rank)
    return [v if v.rank == first.rank else expanded(call, v, first.order) for v in inputs]


def expanded(call: LayerCall, value: KerasValue, order: Order) -> KerasValue:
    """A map with axes of size 1 in front, in an order of axes."""
    value = call.build.plain(value)
    dims = (*(1,) * (len(order) - value.rank), *value.dims)
    wide = regrouped(call.build.graph, value.held, (value.held.dims[0], *dims), value.held.batch)
    return call.build.arranged(call.build.value(wide, tuple(range(len(order)))), order)


@layer("Concatenate")
def concatenate(call: LayerCall) -> KerasValue:
    return joined(call, call.inputs, call.fields.get("axis", -1))


def joined(call: LayerCall, inputs: Sequence[KerasValue], axis: object) -> KerasValue:
    """One after another along one of Keras' axes."""
    if not inputs:
        raise malformed(call.name, "it joins nothing")
    if len({v.rank for v in inputs}) > 1:
        raise malformed(call.name, "the maps have different numbers of axes")
    build = call.build
    alike = build.alike([build.settled(v) for v in inputs])
    first = alike[0]
    k = keras_axis(first, axis, call.name)
    at = first.axis(k)
    if len({(*v.held.dims[:at], *v.held.dims[at + 1 :]) for v in alike}) > 1:
        return build.add(Concat(map_axis(first, k)), alike, call.name)  # says that they do not fit
    dims = (*first.held.dims[:at], sum(v.held.dims[at] for v in alike), *first.held.dims[at + 1 :])
    return build.made(chained(build.graph, [v.held for v in alike], at, dims), first.order, call.name)


@layer("CustomScaleLayer")
def scaled_sum(call: LayerCall) -> KerasValue:
    """InceptionResNetV2's: the first map plus a fixed multiple of the second."""
    first, second = call.inputs
    scaled = call.build.add(Elementwise("times", number(call.fields.get("scale"))), [second], f"{call.name}.times")
    return merged(call, Add(), [first, scaled])
