"""Layers of several inputs."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Concat, Multiply
from rfcalc.layers.reshape import Reshape
from rfcalc.readers.configuration import malformed
from rfcalc.readers.keras.build import Value
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import NotUnderstood, layer
from rfcalc.readers.keras.layers.common import keras_axis, number

MERGES: dict[str, Layer] = {
    "Add": Add(),
    "Multiply": Multiply(),
    "Subtract": Elementwise("sub"),
    "Average": Elementwise("average"),
    "Maximum": Elementwise("maximum"),
    "Minimum": Elementwise("minimum"),
}


@layer(*MERGES)
def merge(call: LayerCall) -> Value:
    return merged(call, MERGES[call.kind], call.inputs)


def merged(call: LayerCall, made: Layer, inputs: Sequence[Value]) -> Value:
    """Inputs of unequal rank get axes of size 1 in front, after the batch."""
    if not inputs:
        raise malformed(call.name, "it joins nothing")
    return call.build.add(made, call.build.alike(of_equal_rank(call, inputs)), call.name)


def of_equal_rank(call: LayerCall, inputs: Sequence[Value]) -> list[Value]:
    """The inputs with as many axes as the one that has most."""
    most = max(len(v.order) for v in inputs)
    return [v if len(v.order) == most else expanded(call, v, most) for v in inputs]


def expanded(call: LayerCall, value: Value, rank: int) -> Value:
    """A map with axes of size 1 in front."""
    plain = call.build.plain(value)
    more = rank - len(plain.order)
    made = Reshape((*(1,) * more, *plain.shape.dims), more + plain.shape.channel)
    return call.build.add(made, [plain], f"{call.name}.reshape", tuple(range(rank)))


@layer("Concatenate")
def concatenate(call: LayerCall) -> Value:
    return joined(call, call.inputs, call.fields.get("axis", -1))


def joined(call: LayerCall, inputs: Sequence[Value], axis: object) -> Value:
    """One after another along one of Keras' axes."""
    if not inputs:
        raise malformed(call.name, "it joins nothing")
    if len({len(v.order) for v in inputs}) > 1:
        raise malformed(call.name, "the maps have different numbers of axes")
    alike = call.build.alike([call.build.settled(v) for v in inputs])
    first = alike[0]
    mine = first.order.index(keras_axis(first, axis, call.name))
    return call.build.add(Concat(None if mine == first.shape.channel else mine), alike, call.name)


@layer("CustomScaleLayer")
def scaled_sum(call: LayerCall) -> Value:
    """InceptionResNetV2's: the first map plus a fixed multiple of the second."""
    first, second = call.inputs
    scaled = call.build.add(Elementwise("times", number(call.fields.get("scale"))), [second], f"{call.name}.times")
    return merged(call, Add(), [first, scaled])


@layer("Dot")
def dot(call: LayerCall) -> Value:
    raise NotUnderstood("products over chosen axes")
