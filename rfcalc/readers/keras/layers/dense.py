"""Fully connected layers, and products with learned tables."""

from __future__ import annotations

import re

from rfcalc.layers.dense import Linear
from rfcalc.layers.reshape import Flatten
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.configuration import dims
from rfcalc.readers.keras.build import KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import activated

_LAST_AXIS = re.compile(r"(\.\.\.|[a-z]*)([a-z]),\2([a-z])->\1\3")


def features(call: LayerCall, x: KerasValue) -> KerasValue:
    """The value with its features last; the order within a flattened map does not matter to what reads all of it."""
    build = call.build
    if x.rank > 1:
        x = build.plain(x)
        build.graph.with_channels(x.held)
        return x
    return (
        build.add(Flatten(), [x._replace(held=x.held._replace(extra=False))], f"{call.name}.flatten")
        if x.held.extra
        else x
    )


@layer("Dense")
def dense(call: LayerCall) -> KerasValue:
    """On the last axis, whatever that is."""
    f = call.fields
    if f.get("lora_rank") is not None:
        raise NotUnderstood("its weights are split (LoRA)")
    x = features(call, call.x)
    built = None if call.build.compare and not call.build.sized else dims(call.built.get("input_shape"), call.name)
    made = Linear(f.integer("units"), bias=f.flag("use_bias", True), in_features=built[-1] if built else None)
    found = call.build.add(made, [x], call.name, owner=call.owner)._replace(packed=None)
    return activated(call, found, f.get("activation"))


@layer("EinsumDense")
def einsum(call: LayerCall) -> KerasValue:
    """The form that is a fully connected layer: the last axis is contracted, one axis comes in its place."""
    f = call.fields
    match = _LAST_AXIS.fullmatch(f.word("equation").replace(" ", ""))
    axes = f.get("bias_axes")
    if match is None or match[3] in match[1] + match[2] or axes not in (None, match[3] if match else None):
        raise NotUnderstood(f"the equation {f.word('equation')[:60]}")
    shape = f.get("output_shape")
    units = shape[-1] if isinstance(shape, (list, tuple)) and shape else shape
    x = features(call, call.x)
    made = Linear(type(f)({"units": units}, f.where).integer("units"), bias=axes is not None)
    found = call.build.add(made, [x], call.name, owner=call.owner)._replace(packed=None)
    return activated(call, found, f.get("activation"))
