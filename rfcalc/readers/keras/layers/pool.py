"""Pooling, global pooling, adaptive pooling."""

from __future__ import annotations

from rfcalc.layers.pool import AdaptivePool, AvgPool, GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.readers.keras.build import Value
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import image, padding, short


def _rank(kind: str) -> int:
    return int(next(c for c in kind if c.isdecimal()))


def _kinds(*names: str) -> list[str]:
    return [f"{name}{rank}D" for name in names for rank in (1, 2, 3)]


@layer(*_kinds("MaxPooling", "AveragePooling", "MaxPool", "AvgPool"))
def pool(call: LayerCall) -> Value:
    """Average pooling with padding divides by what lies inside the map."""
    rank = _rank(call.kind)
    x = image(call, rank)
    kernel = call.fields.sizes("pool_size", rank, 2)
    stride = call.fields.sizes("strides", rank, kernel)
    pad = padding(call, kernel, stride, (1,) * rank)
    if call.kind.startswith("Max"):
        return call.build.add(MaxPool(short(kernel), short(stride), padding=pad), [x], call.name)
    made = AvgPool(short(kernel), short(stride), padding=pad, count_padding=pad == 0)
    return call.build.add(made, [x], call.name)


@layer(*_kinds("GlobalAveragePooling", "GlobalMaxPooling", "GlobalAvgPool", "GlobalMaxPool"))
def global_pool(call: LayerCall) -> Value:
    """One value a channel; without `keepdims` the axes are removed."""
    x = image(call, _rank(call.kind))
    pooled = call.build.add(GlobalPool("max" if "Max" in call.kind else "avg"), [x], call.name)
    if call.fields.flag("keepdims", False):
        return pooled
    return call.build.add(Flatten(), [pooled], f"{call.name}.flatten", (0,))


@layer(*_kinds("AdaptiveAveragePooling", "AdaptiveMaxPooling"))
def adaptive(call: LayerCall) -> Value:
    rank = _rank(call.kind)
    x = image(call, rank)
    size = call.fields.sizes("output_size", rank)
    return call.build.add(AdaptivePool(short(size), "max" if "Max" in call.kind else "avg"), [x], call.name)
