"""Operators of ONNX with random attributes, in the versions that files have: a maker each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from onnx_files import File

Maker = Callable[[File], None]
MAKERS: dict[str, tuple[Maker, tuple[int, ...]]] = {}


def maker(*opsets: int) -> Callable[[Maker], Maker]:
    """Registers what makes an operator, with the versions in which it is tried."""

    def kept(function: Maker) -> Maker:
        MAKERS[function.__name__] = function, opsets
        return function

    return kept


def sliding(f: File, kernel: Sequence[int], dilated: bool = True) -> dict[str, Any]:
    """Strides, dilations and padding; by hand or by rule; some left out."""
    r, rank = f.random, len(kernel)
    rule = r.choice([None, None, None, "VALID", "SAME_UPPER", "SAME_LOWER", "NOTSET"])
    by_hand = rule in (None, "NOTSET")
    dilations = [r.choice([1, 1, 2]) for _ in kernel] if dilated and by_hand else [1] * rank
    pads = [r.randrange((k + 1) // 2 + 1) for k in [*kernel, *kernel]] if by_hand else None
    if pads is not None:
        pads = [min(p, kernel[i % rank] - 1) for i, p in enumerate(pads)]
    return {
        "strides": f.maybe([r.choice([1, 1, 2, 3]) for _ in kernel], 0.7),
        "dilations": dilations if max(dilations) > 1 else f.maybe(dilations, 0.2) if dilated else None,
        "pads": f.maybe(pads, 0.8) if pads else None,
        "auto_pad": rule,
    }


@maker(7, 11, 13, 17, 22)
def conv(f: File) -> None:
    r, c = f.random, f.dims[1]
    kernel = [r.choice([1, 2, 3]) for _ in f.dims[2:]]
    group = r.choice([g for g in (1, 2, c) if c % g == 0])
    out = group * r.choice([1, 2])
    inputs = [f.last, f.weight(out, c // group, *kernel)]
    if r.random() < 0.5:
        inputs.append(f.weight(out))
    about = sliding(f, kernel)
    f.params += out * (c // group) * prod(kernel) + out * (len(inputs) == 3)
    f.add("Conv", *inputs, group=f.maybe(group, 0.5) if group == 1 else group, kernel_shape=f.maybe(kernel), **about)
    f.macs += prod(f.value().shape) * (c // group) * prod(kernel)


@maker(11, 17, 22)
def conv_transpose(f: File) -> None:
    r, c = f.random, f.dims[1]
    kernel = [r.choice([1, 2, 3, 4]) for _ in f.dims[2:]]
    group = r.choice([g for g in (1, 2) if c % g == 0])
    strides = [r.choice([1, 2, 3]) for _ in kernel]
    inputs = [f.last, f.weight(c, 2, *kernel)]
    f.params += c * 2 * prod(kernel)
    if r.random() < 0.5:
        inputs.append(f.weight(2 * group))
        f.params += 2 * group
    pads = [r.randrange(k) for k in [*kernel, *kernel]]
    extra = [r.randrange(s) for s in strides]
    f.add(
        "ConvTranspose",
        *inputs,
        group=group if group > 1 else None,
        strides=strides,
        pads=f.maybe([min(p, 1) for p in pads]),
        output_padding=f.maybe(extra),
        kernel_shape=f.maybe(kernel),
    )


@maker(8, 10, 11, 12, 22)
def max_pool(f: File) -> None:
    kernel = [f.random.choice([1, 2, 3]) for _ in f.dims[2:]]
    about = sliding(f, kernel, dilated=f.opset >= 10)
    # a window that would start behind the input is dropped in some versions only
    within = all(s <= k for s, k in zip(about["strides"] or [1, 1], kernel, strict=False)) and not about["pads"]
    ceil = f.opset >= 10 and about["auto_pad"] in (None, "NOTSET") and within
    f.add("MaxPool", f.last, kernel_shape=kernel, ceil_mode=f.maybe(1) if ceil else None, **about)


@maker(7, 10, 11, 19)
def average_pool(f: File) -> None:
    kernel = [f.random.choice([1, 2, 3]) for _ in f.dims[2:]]
    about = sliding(f, kernel, dilated=f.opset >= 19)
    f.add("AveragePool", f.last, kernel_shape=kernel, count_include_pad=f.maybe(1), **about)


@maker(11, 18)
def lp_pool(f: File) -> None:
    kernel = [f.random.choice([1, 2, 3]) for _ in f.dims[2:]]
    about = sliding(f, kernel, dilated=False)
    f.add("LpPool", f.last, kernel_shape=kernel, p=f.maybe(2), **about)


@maker(7, 22)
def global_pool(f: File) -> None:
    f.add(f.random.choice(["GlobalAveragePool", "GlobalMaxPool"]), f.last)


@maker(7, 9, 14, 15)
def batch_norm(f: File) -> None:
    c = f.dims[1]
    f.add("BatchNormalization", f.last, *(f.weight(c) for _ in range(4)), epsilon=f.maybe(1e-3))
    f.params += 2 * c


@maker(7, 22)
def instance_norm(f: File) -> None:
    c = f.dims[1]
    f.add("InstanceNormalization", f.last, f.weight(c), f.weight(c))
    f.params += 2 * c


@maker(17)
def layer_norm(f: File) -> None:
    rank = len(f.dims)
    axis = f.random.randrange(1, rank)
    dims = f.dims[axis:]
    inputs = [f.last, f.weight(*dims)]
    if f.random.random() < 0.6:
        inputs.append(f.weight(*dims))
    told = f.random.choice([axis, axis - rank])
    f.add("LayerNormalization", *inputs, axis=None if told == -1 and f.random.random() < 0.5 else told)
    f.params += (len(inputs) - 1) * prod(dims)


@maker(21)
def group_norm(f: File) -> None:
    c = f.dims[1]
    groups = f.random.choice([g for g in (1, 2, c) if c % g == 0])
    f.add("GroupNormalization", f.last, f.weight(c), f.weight(c), num_groups=groups)
    f.params += 2 * c


@maker(7, 13)
def lrn(f: File) -> None:
    f.add("LRN", f.last, size=f.random.choice([1, 3]), alpha=f.maybe(1e-3), bias=f.maybe(1.5))


@maker(7, 13, 16)
def activation(f: File) -> None:
    r = f.random
    op, about = r.choice(
        [
            ("Relu", {}),
            ("LeakyRelu", {"alpha": f.maybe(0.2)}),
            ("Elu", {"alpha": f.maybe(0.5)}),
            ("Selu", {"alpha": f.maybe(1.2)}),
            ("Sigmoid", {}),
            ("HardSigmoid", {"alpha": f.maybe(0.3), "beta": f.maybe(0.4)}),
            ("Tanh", {}),
            ("Softplus", {}),
            ("Softsign", {}),
            ("ThresholdedRelu", {"alpha": f.maybe(0.5)}),
            ("Exp", {}),
            ("Abs", {}),
            ("Neg", {}),
            ("Sqrt", {}),
            ("Erf", {}),
            ("Sin", {}),
            ("Identity", {}),
        ]
    )
    if op in ("ThresholdedRelu", "Erf", "Sin") and f.opset < 10:
        op, about = "Relu", {}
    f.add(op, f.last, **about)


@maker(7, 9, 16)
def p_relu(f: File) -> None:
    ones = [1] * (len(f.dims) - 2)
    slope = f.random.choice([[1], [f.dims[1], *ones]])
    f.add("PRelu", f.last, f.weight(*slope))
    f.params += prod(slope)


@maker(6, 11, 12)
def clip(f: File) -> None:
    low, high = f.maybe(-1e4, 0.7), f.maybe(1e4, 0.7)
    if f.opset < 11:
        f.add("Clip", f.last, min=low, max=high)
        return
    names = ["" if v is None else f.constant(v, np.float32) for v in (low, high)]
    while names and not names[-1]:
        names.pop()
    f.add("Clip", f.last, *names)


@maker(13)
def softmax(f: File) -> None:
    """Along one axis, the last one if none is told."""
    f.add(f.random.choice(["Softmax", "LogSoftmax"]), f.last, axis=f.maybe(f.axis(len(f.dims)), 0.8))


@maker(7, 13)
def arithmetic(f: File) -> None:
    """With a constant that is stretched along some axes, on either side, or with the value itself."""
    r = f.random
    op = r.choice(["Add", "Sub", "Mul", "Div"])
    dims = [n if r.random() < 0.5 else 1 for n in f.dims[1:]]
    dims = dims[r.randrange(len(dims)) :] if r.random() < 0.3 else dims
    other = f.weight(*dims)
    pair = [f.last, other]
    if r.random() < 0.3 and op != "Div":
        pair.reverse()
    f.add(op, *pair)
    f.exact = False  # of parameters: a bias or a scale counts, a number does not


@maker(8, 13)
def several(f: File) -> None:
    """A branch, and a join of two or three."""
    first = f.last
    f.add("Relu", first)
    second = f.last
    three = [first, second, first][: f.random.choice([2, 3])]
    f.add(f.random.choice(["Sum", "Max", "Mean", "Min"]), *three)
