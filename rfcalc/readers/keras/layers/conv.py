"""Convolutions: full, depthwise, separable, transposed, over one, two or three axes."""

from __future__ import annotations

from typing import Any

from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.readers.configuration import malformed, shown
from rfcalc.readers.keras.build import Value
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import activated, image, padding, short


def _rank(kind: str) -> int:
    return int(next(c for c in kind if c.isdecimal()))


def _geometry(call: LayerCall, rank: int) -> tuple[Any, Any, Any, Any]:
    """Kernel, stride, padding, dilation."""
    f = call.fields
    kernel, stride = f.sizes("kernel_size", rank), f.sizes("strides", rank, 1)
    dilation = f.sizes("dilation_rate", rank, 1)
    return short(kernel), short(stride), padding(call, kernel, stride, dilation), short(dilation)


@layer("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D")
def convolution(call: LayerCall) -> Value:
    rank = _rank(call.kind)
    x = image(call, rank)
    kernel, stride, pad, dilation = _geometry(call, rank)
    f = call.fields
    groups, bias = f.integer("groups", 1), f.flag("use_bias", True)
    made = Conv(f.integer("filters"), kernel, stride=stride, padding=pad, dilation=dilation, groups=groups, bias=bias)
    return activated(call, call.build.add(made, [x], call.name, owner=call.owner), f.get("activation"))


@layer("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(call: LayerCall) -> Value:
    rank = _rank(call.kind)
    x = image(call, rank)
    kernel, stride, pad, dilation = _geometry(call, rank)
    f = call.fields
    multiplier, bias = f.integer("depth_multiplier", 1), f.flag("use_bias", True)
    made = Depthwise(kernel, stride=stride, padding=pad, dilation=dilation, multiplier=multiplier, bias=bias)
    return activated(call, call.build.add(made, [x], call.name, owner=call.owner), f.get("activation"))


@layer("SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D")
def separable(call: LayerCall) -> Value:
    """A depthwise convolution without bias, then a pointwise one: two nodes."""
    rank = _rank(call.kind)
    x = image(call, rank)
    kernel, stride, pad, dilation = _geometry(call, rank)
    f = call.fields
    first = Depthwise(
        kernel, stride=stride, padding=pad, dilation=dilation, multiplier=f.integer("depth_multiplier", 1), bias=False
    )
    inner = call.build.add(first, [x], f"{call.name}.depthwise", owner=f"{call.owner}.depthwise")
    second = Conv(f.integer("filters"), 1, bias=f.flag("use_bias", True))
    return activated(call, call.build.add(second, [inner], call.name, owner=call.owner), f.get("activation"))


@layer(
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose",
    "Convolution1DTranspose", "Convolution2DTranspose", "Convolution3DTranspose",
)  # fmt: skip
def transposed(call: LayerCall) -> Value:
    rank = _rank(call.kind)
    x = image(call, rank)
    f = call.fields
    kernel, stride = f.sizes("kernel_size", rank), f.sizes("strides", rank, 1)
    dilation = f.sizes("dilation_rate", rank, 1)
    extra = None if f.get("output_padding") is None else f.sizes("output_padding", rank)
    mode = f.word("padding", "valid").lower()
    if mode not in ("valid", "same"):
        raise malformed(call.name, f"padding is {shown(mode)}", "valid or same")
    sides = [
        crops(k, s, d, mode, None if extra is None else extra[i])
        for i, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True))
    ]
    made = ConvTranspose(
        f.integer("filters"),
        short(kernel),
        stride=short(stride),
        padding=tuple((a, max(b, 0)) for a, b in sides) if any(a != b for a, b in sides) else short(sides_of(sides)),
        output_padding=short(tuple(max(-b, 0) for _, b in sides)),
        dilation=short(dilation),
        bias=f.flag("use_bias", True),
    )
    return activated(call, call.build.add(made, [x], call.name, owner=call.owner), f.get("activation"))


def sides_of(sides: list[tuple[int, int]]) -> tuple[int, ...]:
    """One number a side where both sides are equal."""
    return tuple(a for a, _ in sides)


def crops(k: int, s: int, d: int, mode: str, extra: int | None) -> tuple[int, int]:
    """What Keras cuts off the full result, before and after; negative after: what it adds there.

    The full result of n positions has (n − 1)s + e, e = d(k − 1) + 1. ``valid`` gives (n − 1)s + max(e, s), ``same``
    n·s; with an output padding p, ``valid`` (n − 1)s + e + p and ``same`` (n − 1)s + e mod 2 + p. Of what ``same`` cuts
    off, TensorFlow takes the smaller half before (Keras' other backends follow it).

    >>> crops(3, 2, 1, "same", None), crops(4, 2, 1, "same", None), crops(2, 3, 1, "valid", None)
    ((0, 1), (1, 1), (0, -1))
    """
    e = d * (k - 1) + 1
    if mode == "valid":
        return 0, -(max(e, s) - e if extra is None else extra)
    total = s + e - 2 if extra is None else e + e % 2 - 2 + extra
    left = min(total // 2 + total % 2, e - 1)
    return e - 1 - left, e - 1 - (total - left)
