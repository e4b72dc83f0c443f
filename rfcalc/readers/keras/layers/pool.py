"""Pooling, global pooling, adaptive pooling."""

from __future__ import annotations

from rfcalc.core.layer import Layer
from rfcalc.layers.pool import AdaptivePool, AvgPool, GlobalPool, MaxPool
from rfcalc.layers.reshape import Flatten
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.keras.build import KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import Fit, image, padding, slid


def _rank(kind: str) -> int:
    return int(next(c for c in kind if c.isdecimal()))


def _kinds(*names: str) -> list[str]:
    return [f"{name}{rank}D" for name in names for rank in (1, 2, 3)]


@layer(*_kinds("MaxPooling", "AveragePooling", "MaxPool", "AvgPool"))
def pool(call: LayerCall) -> KerasValue:
    """Average pooling with padding divides by what lies inside the map."""
    rank = _rank(call.kind)
    kernel = call.fields.sizes("pool_size", rank, 2)
    stride = call.fields.sizes("strides", rank, kernel)
    pad = padding(call, kernel, stride, (1,) * rank)

    def make(fit: Fit) -> Layer:
        pads = pad if pad == "SAME" else fit(pad, 0)
        if call.kind.startswith("Max"):
            return MaxPool(fit(kernel), fit(stride), padding=pads)
        return AvgPool(fit(kernel), fit(stride), padding=pads, count_padding=pad == 0)

    return slid(call, image(call, rank), make)


@layer(*_kinds("GlobalAveragePooling", "GlobalMaxPooling", "GlobalAvgPool", "GlobalMaxPool"))
def global_pool(call: LayerCall) -> KerasValue:
    """One value a channel; without `keepdims` the axes are removed."""
    build, keep = call.build, call.fields.flag("keepdims", False)
    if len(call.inputs) > 1:
        raise NotUnderstood("it is masked")
    x = image(call, _rank(call.kind))
    op = "max" if "Max" in call.kind else "avg"
    if x.held.batch is None:  # frames of a sequence stay apart
        axes = range(2, len(x.held.dims))
        dims = (*x.held.dims[:2], *(1 for _ in axes if keep))
        found = reduced(build.graph, x.held, axes, "mean" if op == "avg" else "amax", keep, dims)
        return build.made(found, x.order if keep else (0,), call.name)
    pooled = slid(call, x, lambda fit: GlobalPool(op))
    return pooled if keep else build.add(Flatten(), [pooled], f"{call.name}.flatten", (0,))


@layer(*_kinds("AdaptiveAveragePooling", "AdaptiveMaxPooling"))
def adaptive(call: LayerCall) -> KerasValue:
    rank = _rank(call.kind)
    size = call.fields.sizes("output_size", rank)
    op = "max" if "Max" in call.kind else "avg"
    return slid(call, image(call, rank), lambda fit: AdaptivePool(fit(size, None), op))
