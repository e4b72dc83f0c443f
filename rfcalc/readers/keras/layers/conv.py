"""Convolutions: full, depthwise, separable, transposed, over one, two or three axes."""

from __future__ import annotations

from typing import Any

from rfcalc.layers.conv import Conv, Depthwise
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.readers.configuration import malformed, shown
from rfcalc.readers.keras.build import KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import Fit, activated, image, padding, slid


def _rank(kind: str) -> int:
    return int(next(c for c in kind if c.isdecimal()))


def geometry(call: LayerCall, rank: int, fit: Fit) -> dict[str, Any]:
    """Kernel, stride, padding, dilation."""
    f = call.fields
    kernel, stride = f.sizes("kernel_size", rank), f.sizes("strides", rank, 1)
    dilation = f.sizes("dilation_rate", rank, 1)
    pad = padding(call, kernel, stride, dilation)
    return {
        "kernel": fit(kernel),
        "stride": fit(stride),
        "padding": pad if pad == "SAME" else fit(pad, 0),
        "dilation": fit(dilation),
    }


@layer("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D")
def convolution(call: LayerCall) -> KerasValue:
    rank = _rank(call.kind)
    f = call.fields
    groups, bias = f.integer("groups", 1), f.flag("use_bias", True)

    def make(fit: Fit) -> Conv:
        return Conv(f.integer("filters"), **geometry(call, rank, fit), groups=groups, bias=bias)

    return activated(call, slid(call, image(call, rank), make, owner=call.owner), f.get("activation"))


@layer("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(call: LayerCall) -> KerasValue:
    rank = _rank(call.kind)
    f = call.fields
    multiplier, bias = f.integer("depth_multiplier", 1), f.flag("use_bias", True)

    def make(fit: Fit) -> Depthwise:
        return Depthwise(**geometry(call, rank, fit), multiplier=multiplier, bias=bias)

    return activated(call, slid(call, image(call, rank), make, owner=call.owner), f.get("activation"))


@layer("SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D")
def separable(call: LayerCall) -> KerasValue:
    """A depthwise convolution without bias, then a pointwise one: two nodes."""
    rank = _rank(call.kind)
    f = call.fields
    multiplier = f.integer("depth_multiplier", 1)

    def first(fit: Fit) -> Depthwise:
        return Depthwise(**geometry(call, rank, fit), multiplier=multiplier, bias=False)

    def second(fit: Fit) -> Conv:
        return Conv(f.integer("filters"), 1, bias=f.flag("use_bias", True))

    inner = slid(call, image(call, rank), first, f"{call.name}.depthwise", f"{call.owner}.depthwise")
    return activated(call, slid(call, inner, second, owner=call.owner), f.get("activation"))


@layer(
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose",
    "Convolution1DTranspose", "Convolution2DTranspose", "Convolution3DTranspose",
)  # fmt: skip
def transposed(call: LayerCall) -> KerasValue:
    rank = _rank(call.kind)
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
    uneven = any(a != b for a, b in sides)

    def make(fit: Fit) -> ConvTranspose:
        return ConvTranspose(
            f.integer("filters"),
            fit(kernel),
            stride=fit(stride),
            padding=fit(tuple((a, max(b, 0)) if uneven else a for a, b in sides), 0),
            output_padding=fit(tuple(max(-b, 0) for _, b in sides), 0),
            dilation=fit(dilation),
            bias=f.flag("use_bias", True),
        )

    return activated(call, slid(call, image(call, rank), make, owner=call.owner), f.get("activation"))


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
