"""Operators of ONNX with random attributes, in the versions that files have, beside the reference implementation.

1. Shapes are those that ONNX's own reference gives.
2. A unit depends on a position exactly where the reference's result there changes when the position does.
3. Parameters and multiply-adds are counted by hand.
4. Integers that a file computes (sizes, amounts of padding) have the values that the reference computes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.onnx import from_onnx
from rfcalc.receptive.region_walk import regions
from rfcalc.report.report import Report

Array = Any
COUNT = 24  # files of each operator


# The reference implements these otherwise than the standard says, in some versions or ranks.


class MaxPool(OpRun):
    op_domain = ""

    def _run(
        self,
        x: Array,
        auto_pad: Any = None,
        ceil_mode: Any = None,
        dilations: Any = None,
        kernel_shape: Any = None,
        pads: Any = None,
        storage_order: Any = None,
        strides: Any = None,
    ) -> Any:
        rank = x.ndim - 2
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        wide = [(k - 1) * d + 1 for k, d in zip(kernel_shape, dilations, strict=True)]
        before, after = list((pads or [0] * 2 * rank)[:rank]), list((pads or [0] * 2 * rank)[rank:])
        for i, (n, k, s) in enumerate(zip(x.shape[2:], wide, strides, strict=True)):
            if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
                more = max((-(-n // s) - 1) * s + k - n, 0)
                less = more // 2
                before[i], after[i] = (less, more - less) if auto_pad == "SAME_UPPER" else (more - less, less)
        sizes = []
        for n, k, s, a, b in zip(x.shape[2:], wide, strides, before, after, strict=True):
            count = (n + a + b - k + (s - 1) * bool(ceil_mode)) // s + 1
            sizes.append(count - 1 if ceil_mode and (count - 1) * s >= n + a else count)
        out = np.full((*x.shape[:2], *sizes), -np.inf, x.dtype)
        for unit in product(*map(range, sizes)):
            for at in product(*map(range, kernel_shape)):
                p = [u * s - a + t * d for u, s, a, t, d in zip(unit, strides, before, at, dilations, strict=True)]
                if all(0 <= i < n for i, n in zip(p, x.shape[2:], strict=True)):
                    here = (slice(None), slice(None), *unit)
                    out[here] = np.maximum(out[here], x[(slice(None), slice(None), *p)])
        return (out,)


class GlobalMaxPool(OpRun):
    op_domain = ""

    def _run(self, x: Array) -> Any:
        return (x.max(tuple(range(2, x.ndim)), keepdims=True),)


class BatchNormalization(OpRun):
    op_domain = ""

    def _run(self, x: Array, scale: Array, bias: Array, mean: Array, var: Array, **attributes: Any) -> Any:
        scale, bias, mean, var = (t.reshape(-1, *[1] * (x.ndim - 2)) for t in (scale, bias, mean, var))
        return ((x - mean) / np.sqrt(var + 1e-5) * scale + bias,)


def reference(model: Any) -> Any:
    return ReferenceEvaluator(model, new_ops=[MaxPool, GlobalMaxPool, BatchNormalization])


class File:
    """A file that grows: one input, nodes, constants; the reference's shape of the last value is at hand."""

    def __init__(self, random: Random, dims: Sequence[int], opset: int) -> None:
        self.random, self.opset = random, opset
        self.dims = tuple(dims)  # of the value that the next operator reads
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.given = tuple(dims)
        self.last = "x"
        self.macs = self.params = 0
        self.exact = True

    def name(self) -> str:
        return f"v{len(self.nodes) + len(self.constants)}"

    def constant(self, values: Array, dtype: Any = None) -> str:
        made = numpy_helper.from_array(np.asarray(values, dtype=dtype), self.name())
        self.constants.append(made)
        return str(made.name)

    def weight(self, *dims: int) -> str:
        """Positive numbers, none of them twice."""
        count = prod(dims)
        values = np.array(self.random.sample(range(count), count), dtype=np.float32).reshape(dims)
        return self.constant(0.25 + values / (4 * count + 1))

    def whole(self, *values: int) -> str:
        return self.constant(list(values), np.int64)

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """A node that reads the last value (or what is named) and gives the last value."""
        names = [f"{self.name()}_{i}" for i in range(outputs)]
        told = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(op, list(inputs), names, **told))
        self.last = names[0]
        return names

    def model(self) -> Any:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.given)
        y = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "g", [x], [y], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def value(self) -> Array:
        """The reference's result for zeros."""
        return evaluated(reference(self.model()), np.zeros(self.given, np.float32))

    def maybe(self, value: Any, chance: float = 0.5) -> Any:
        """A value, or nothing: so that defaults are met, too."""
        return value if self.random.random() < chance else None

    def axis(self, rank: int, first: int = 1) -> int:
        """One of the axes, counted from either end."""
        axis = self.random.randrange(first, rank)
        return axis - rank if self.random.random() < 0.5 else axis


def evaluated(known: Any, x: Array) -> Array:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return known.run(None, {"x": x})[0]


# --- operators ----------------------------------------------------------------------------------------------------

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
    pads = [r.randrange((k + 1) // 2 + 1) for k in kernel * 2] if by_hand else None
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
    pads = [r.randrange(k) for k in kernel * 2]
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
    by_hand = about["auto_pad"] in (None, "NOTSET")
    f.add(
        "MaxPool",
        f.last,
        kernel_shape=kernel,
        ceil_mode=f.maybe(1, 0.4) if f.opset >= 10 and by_hand else None,
        **about,
    )


@maker(7, 10, 11, 19)
def average_pool(f: File) -> None:
    kernel = [f.random.choice([1, 2, 3]) for _ in f.dims[2:]]
    about = sliding(f, kernel, dilated=f.opset >= 19)
    f.add("AveragePool", f.last, kernel_shape=kernel, count_include_pad=f.maybe(1), **about)


@maker(11, 18)
def lp_pool(f: File) -> None:
    kernel = [f.random.choice([1, 2, 3]) for _ in f.dims[2:]]
    about = sliding(f, kernel, dilated=False) | {"auto_pad": None}
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


@maker(11, 13)
def concat(f: File) -> None:
    first = f.last
    f.add("AveragePool", first, kernel_shape=[3] * len(f.dims[2:]), pads=[1] * 2 * len(f.dims[2:]))
    f.add("Concat", first, f.last, axis=f.axis(len(f.dims)))


@maker(7, 11, 13, 18)
def split(f: File) -> None:
    axis = f.axis(len(f.dims))
    n = f.dims[axis]
    first = f.random.randrange(1, n) if n > 1 else 1
    parts = [first, n - first] if n > 1 else [1]
    inputs, told = [f.last], None
    if n > 1 and f.random.random() < 0.4 and (n % 2 == 0 or f.opset >= 18):
        parts = [-(-n // 2), n // 2]
    elif f.opset >= 13:
        inputs.append(f.whole(*parts))
    else:
        told = parts
    count = {"num_outputs": len(parts)} if f.opset >= 18 and len(inputs) == 1 else {}
    names = f.add("Split", *inputs, outputs=len(parts), axis=axis, split=told, **count)
    f.last = f.random.choice(names)


@maker(9, 10, 13)
def slices(f: File) -> None:
    r, rank = f.random, len(f.dims)
    axes = sorted(r.sample(range(1, rank), r.randrange(1, rank)))
    starts, ends, steps = [], [], []
    for a in axes:
        n = f.dims[a]
        low = r.randrange(n)
        high = r.randrange(low + 1, n + 1)
        step = r.choice([1, 1, 2]) if f.opset >= 10 else 1
        if f.opset >= 10 and r.random() < 0.3:
            starts.append(r.choice([high - 1, high - 1 - n]))
            ends.append(low - 1 if low else r.choice([-n - 1, -(10**6)]))
            steps.append(-step)
            continue
        starts.append(r.choice([low, low - n]))
        ends.append(r.choice([high, high - n]) if high < n else r.choice([n, n + 3, 2**31 - 1]))
        steps.append(step)
    told = [r.choice([a, a - rank]) for a in axes]
    if f.opset < 10:
        f.add("Slice", f.last, starts=starts, ends=ends, axes=axes)
        return
    inputs = [f.last, f.whole(*starts), f.whole(*ends), f.whole(*told)]
    if any(s != 1 for s in steps) or r.random() < 0.5:
        inputs.append(f.whole(*steps))
    f.add("Slice", *inputs)


@maker(9, 11, 13)
def gather(f: File) -> None:
    r = f.random
    axis = f.axis(len(f.dims))
    n = f.dims[axis]
    low = -n if f.opset >= 11 else 0
    one = r.random() < 0.3
    index = f.constant(r.randrange(low, n), np.int64) if one else f.whole(*(r.randrange(low, n) for _ in range(3)))
    f.add("Gather", f.last, index, axis=axis)


@maker(9, 11, 13, 18, 19)
def pad(f: File) -> None:
    r, rank = f.random, len(f.dims)
    mode = r.choice([None, "constant", "reflect", "edge", *(["wrap"] if f.opset >= 19 else [])])
    axes = sorted(r.sample(range(2, rank), r.randrange(1, rank - 1))) if rank > 2 else [1]
    most = 2 if mode != "reflect" else min(2, *(f.dims[a] - 1 for a in axes))
    amounts = [r.randrange(most + 1) for _ in axes * 2]
    if mode in (None, "constant") and r.random() < 0.2:
        amounts = [max(a, -1) if r.random() < 0.7 else -1 for a in amounts]
    every = [0] * (2 * rank)
    for i, a in enumerate(axes):
        every[a], every[a + rank] = amounts[i], amounts[i + len(axes)]
    if f.opset < 11:
        f.add("Pad", f.last, pads=every, mode=mode)
        return
    inputs = [f.last, f.whole(*every)]
    if r.random() < 0.4:
        inputs.append(f.constant(0.5, np.float32))
    if f.opset >= 18 and r.random() < 0.6:
        inputs[1] = f.whole(*amounts)
        inputs += [""] * (len(inputs) == 2)
        inputs.append(f.whole(*(r.choice([a, a - rank]) for a in axes)))
    f.add("Pad", *inputs, mode=mode)


@maker(9, 11, 13, 18, 20)
def reduce(f: File) -> None:
    r, rank = f.random, len(f.dims)
    op = r.choice(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"])
    axes: list[int] | None = sorted(r.sample(range(1, rank), r.randrange(1, rank)))
    if f.opset >= 11:
        axes = [r.choice([a, a - rank]) for a in axes or ()]
    keep = f.maybe(r.choice([0, 1]), 0.7)
    if f.opset < (13 if op == "ReduceSum" else 18):
        f.add(op, f.last, axes=axes, keepdims=keep)
    else:
        f.add(op, f.last, f.whole(*(axes or ())), keepdims=keep)


@maker(7, 13)
def transpose(f: File) -> None:
    rest = list(range(1, len(f.dims)))
    f.random.shuffle(rest)
    f.add("Transpose", f.last, perm=[0, *rest])


@maker(7, 13)
def reshape(f: File) -> None:
    """Axes merged, parted, and both; 0 and −1 where they may stand."""
    r = f.random
    rest = list(f.dims[1:])
    if r.random() < 0.5 and len(rest) > 1:
        i = r.randrange(len(rest) - 1)
        rest[i : i + 2] = [rest[i] * rest[i + 1]]
    if r.random() < 0.6:
        i = r.randrange(len(rest))
        part = r.choice([d for d in range(1, rest[i] + 1) if rest[i] % d == 0])
        rest[i : i + 1] = [part, rest[i] // part]
    told = [r.choice([0, 1]), *rest]
    told = [0 if i and i < len(f.dims) and n == f.dims[i] and r.random() < 0.3 else n for i, n in enumerate(told)]
    if r.random() < 0.5:
        told[r.randrange(1, len(told))] = -1
    f.add("Reshape", f.last, f.whole(*told))


@maker(7, 11, 13)
def flatten(f: File) -> None:
    axis = 1 if f.opset < 11 else f.random.choice([1, 1 - len(f.dims)])
    f.add("Flatten", f.last, axis=None if axis == 1 and f.random.random() < 0.5 else axis)


@maker(9, 11, 13)
def ones(f: File) -> None:
    """Axes of one are put in and taken out."""
    r, rank = f.random, len(f.dims)
    new = r.choice([1, rank, 2])
    told = new - rank - 1 if f.opset >= 11 and r.random() < 0.5 else new
    inputs = [f.last] if f.opset < 13 else [f.last, f.whole(told)]
    f.add("Unsqueeze", *inputs, axes=[told] if f.opset < 13 else None)
    if r.random() < 0.6:
        f.add("Relu", f.last)
        inputs = [f.last] if f.opset < 13 else [f.last, f.whole(told)]
        f.add("Squeeze", *inputs, axes=[told] if f.opset < 13 else None)


@maker(8, 13)
def stretch(f: File) -> None:
    r = f.random
    if r.random() < 0.5:
        f.add("Tile", f.last, f.whole(1, *(r.choice([1, 1, 2, 3]) for _ in f.dims[1:])))
        return
    axis = r.randrange(1, len(f.dims))
    index = f.constant([r.randrange(f.dims[axis])], np.int64)
    f.add("Gather", f.last, index, axis=axis)
    dims = list(f.dims)
    dims[axis] = r.choice([2, 3])
    f.add("Expand", f.last, f.whole(*dims))


@maker(11, 13)
def depth_and_space(f: File) -> None:
    r, c = f.random, f.dims[1]
    if len(f.dims) != 4:
        f.add("Relu", f.last)
    elif c % 4 == 0 and r.random() < 0.6:
        f.add("DepthToSpace", f.last, blocksize=2, mode=f.maybe(r.choice(["DCR", "CRD"]), 0.7))
    elif f.dims[2] % 2 == f.dims[3] % 2 == 0:
        f.add("SpaceToDepth", f.last, blocksize=2)
    else:
        f.add("Relu", f.last)


@maker(11, 13, 18, 19)
def resize(f: File) -> None:
    r, rank = f.random, len(f.dims)
    mode = r.choice(["nearest", "linear"])
    where = r.choice(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", None])
    nearest = (
        r.choice([None, "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]) if mode == "nearest" else None
    )
    about = {"mode": mode, "coordinate_transformation_mode": where, "nearest_mode": nearest}
    factors = [r.choice([1, 2, 3, 0.5, 1.5]) for _ in f.dims[2:]]
    roi = "" if f.opset >= 13 else f.constant([], np.float32)
    some = f.opset >= 18 and r.random() < 0.5
    before = [] if some else [1.0, 1.0]
    axes = [r.choice([a, a - rank]) for a in range(2, rank)] if some else None
    if r.random() < 0.5:
        f.add("Resize", f.last, roi, f.constant([*before, *factors], np.float32), axes=axes, **about)
        return
    sizes = [max(1, int(n * s)) for n, s in zip(f.dims[2:], factors, strict=True)]
    empty = "" if f.opset >= 13 else f.constant([], np.float32)
    f.add("Resize", f.last, roi, empty, f.whole(*([] if some else f.dims[:2]), *sizes), axes=axes, **about)


@maker(9, 11, 13)
def gemm(f: File) -> None:
    r = f.random
    n, out = prod(f.dims[1:]), r.choice([1, 3])
    f.add("Flatten", f.last)
    turned = r.random() < 0.5
    inputs = [f.last, f.weight(*((out, n) if turned else (n, out)))]
    f.params += n * out
    if f.opset < 11 or r.random() < 0.6:
        inputs.append(f.weight(*r.choice([[out], [1, out]])))
        f.params += out
    f.add("Gemm", *inputs, transB=1 if turned else f.maybe(0, 0.3), alpha=f.maybe(1.0), beta=f.maybe(1.0))
    f.macs += n * out


@maker(9, 13)
def mat_mul(f: File) -> None:
    n, out = f.dims[-1], f.random.choice([2, 3])
    f.add("MatMul", f.last, f.weight(n, out))
    f.macs += prod(f.dims[1:]) * out
    f.params += n * out
    if f.random.random() < 0.5:
        f.add("Add", f.last, f.weight(out))
        f.params += out


@maker(12)
def einsum(f: File) -> None:
    """A weight over one of the axes, or over the channels."""
    letters = "bcdef"[: len(f.dims)]
    axis = f.random.randrange(1, len(letters))
    out = letters.replace(letters[axis], "z")
    n = f.dims[axis]
    f.add("Einsum", f.last, f.weight(n, 2), equation=f"{letters},{letters[axis]}z->{out}")
    f.macs += prod(f.dims[1:]) * 2
    f.params += 2 * n


@maker(7, 11, 13)
def dropout(f: File) -> None:
    f.add("Dropout", f.last, outputs=f.random.choice([1, 2]) if f.opset >= 12 else 1)


@maker(11, 13, 20)
def not_followed(f: File) -> None:
    """Operators whose positions are not followed, but whose shape is known."""
    r, rank = f.random, len(f.dims)
    op = r.choice(
        [
            "TopK",
            "CumSum",
            "Trilu",
            "GatherElements",
            "GatherND",
            "Hardmax",
            "LpNormalization",
            "ReduceL1",
            "ReduceProd",
        ]
    )
    axis = f.axis(rank)
    if op == "TopK":
        count = f.whole(r.randrange(1, f.dims[axis] + 1))
        f.add("TopK", f.last, count, outputs=2, axis=axis if axis != -1 else f.maybe(axis))
    elif op == "CumSum":
        f.add("CumSum", f.last, f.constant(axis, np.int64), exclusive=f.maybe(1), reverse=f.maybe(1))
    elif op == "Trilu" and f.opset >= 14 and rank > 3:
        f.add("Trilu", f.last, upper=f.maybe(0))
    elif op == "GatherElements":
        dims = [n if i != axis % rank else r.randrange(1, 4) for i, n in enumerate(f.dims)]
        index = [r.randrange(-f.dims[axis], f.dims[axis]) for _ in range(prod(dims))]
        f.add("GatherElements", f.last, f.constant(np.reshape(index, dims), np.int64), axis=axis)
    elif op == "GatherND":
        rows = r.randrange(1, 4)
        index = [[r.randrange(-f.dims[1], f.dims[1])] for _ in range(rows)]
        f.add("GatherND", f.last, f.constant([index], np.int64), batch_dims=1)
    elif op == "ReduceL1" and f.opset < 18:
        f.add("ReduceL1", f.last, axes=[axis], keepdims=f.maybe(1))
    elif op == "ReduceProd" and f.opset < 18:
        f.add("ReduceProd", f.last, axes=[axis], keepdims=f.maybe(0))
    else:
        f.add("Hardmax" if f.opset >= 13 else "LpNormalization", f.last, axis=axis)


# --- compared ------------------------------------------------------------------------------------------------------


def drawn(name: str, seed: int) -> File:
    """A file of one operator behind a convolution, or not."""
    make, opsets = MAKERS[name]
    r = Random(f"{name} {seed}")
    rank = r.choice([1, 2, 2])
    f = File(r, (1, r.choice([2, 4]), *(r.randrange(4, 8 if rank == 2 else 13) for _ in range(rank))), r.choice(opsets))
    if r.random() < 0.6:
        c = f.dims[1]
        f.add("Conv", f.last, f.weight(c, c, *[3] * rank), pads=[1] * 2 * rank)
        f.macs += prod(f.dims) * c * 3**rank
        f.params += c * c * 3**rank
    make(f)
    if r.random() < 0.3:
        f.add("LeakyRelu", f.last, alpha=0.5)
    return f


def influences(f: File, report: Report, pixels: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each pixel, and where the result changes with it, by positions of the output."""
    known = reference(f.model())
    base = np.random.default_rng(0).random(f.given, np.float32) + 0.5
    plain = evaluated(known, base)
    channel, source = report.rows[-1].shape.channel, report.shapes[0].channel
    bump = np.linspace(1, 1.3, f.given[1 + source], dtype=np.float32)
    for pixel in pixels:
        changed = np.zeros(plain.shape, bool)
        for by in (1, 3, 1000, -1000):
            x = base.copy()
            np.moveaxis(x[0], source, 0)[(slice(None), *pixel)] += by * bump
            now = evaluated(known, x)
            changed |= (now != plain) & ~(np.isnan(now) & np.isnan(plain))
        yield pixel, np.moveaxis(changed[0], channel, 0).any(0)


def compared(f: File, other: File | None = None, many: int = 12) -> str:
    """Read a file (or another one), and put it beside the reference; what was compared."""
    expected = f.value()
    read = from_onnx((other or f).model().SerializeToString())
    report = Report(read.network)
    row = report.rows[-1]
    if not read.complete:
        assert row.output_shape == expected.shape[1:], (row.output_shape, expected.shape)
        return "unknown"
    without = row.output_shape[: row.shape.channel] + row.output_shape[row.shape.channel + 1 :]
    if row.output_shape != expected.shape[1:]:  # an axis of channels is added where there is none
        assert (row.shape.dims[row.shape.channel], without) == (1, expected.shape[1:]), row.output_shape
    if f.exact:
        assert report.totals.params == f.params
    assert "conv_transpose" in str(f.nodes) or report.totals.macs >= f.macs
    field = row.receptive_field
    if row.output_shape != expected.shape[1:] or not row.shape.rank or field.status in ("unknown", "needs_input_size"):
        return str(field.status)
    walk = regions(report, row.name)
    units = list(product(*(range(n) for n in row.shape.spatial)))
    told = {unit: set(walk.unit(unit).pixels()) for unit in f.random.sample(units, min(len(units), 40))}
    pixels = list(product(*(range(n) for n in report.shapes[0].spatial)))
    for pixel, changed in influences(f, report, f.random.sample(pixels, min(len(pixels), many))):
        for unit, seen in told.items():
            if field.status == "bounded":
                assert pixel in seen or not changed[unit], (unit, pixel, "is seen")
            else:
                assert (pixel in seen) == bool(changed[unit]), (unit, pixel, bool(changed[unit]), field)
    return str(field.status)


def told(f: File) -> str:
    return "\n".join(
        f"{n.op_type} {list(n.input)} {[helper.get_attribute_value(a) for a in n.attribute]}" for n in f.nodes
    )


@pytest.mark.parametrize("name", MAKERS)
def test_an_operator_with_random_attributes(name: str) -> None:
    found = [_one(name, seed) for seed in range(COUNT)]
    statuses = {status for status in found if status}
    assert len([s for s in found if s]) > COUNT / 3, "the reference runs few of them"
    assert statuses != {"unknown"} or name in ("not_followed",), "none is understood"


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MAKERS)
def test_an_operator_with_many_random_attributes(name: str) -> None:
    for seed in range(COUNT, 10 * COUNT):
        _one(name, seed)


def _one(name: str, seed: int) -> str:
    """What was compared of one file; nothing where the reference does not run it."""
    f = drawn(name, seed)
    try:
        f.value()
    except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
        return ""
    try:
        return compared(f)
    except (AssertionError, RfcalcError) as error:
        raise AssertionError(f"{name} {seed}, version {f.opset}, {f.given}: {error}\n{told(f)}") from error


@pytest.mark.parametrize(
    "wrong", [{"kernel_shape": [3]}, {"strides": [2]}, {"pads": [1, 0]}, {"auto_pad": "SAME_LOWER"}]
)
def test_control_another_file_is_told_from_this_one(wrong: dict[str, Any]) -> None:
    f, other = (File(Random(0), (1, 2, 8), 13) for _ in range(2))
    right = {"kernel_shape": [2], "strides": [1], "pads": [0, 1]}
    f.add("MaxPool", "x", **right)
    other.add("MaxPool", "x", **(right | wrong if "auto_pad" not in wrong else {"kernel_shape": [2], **wrong}))
    assert compared(f) == "exact"
    with pytest.raises(AssertionError):
        compared(f, other)


# --- what a file computes ----------------------------------------------------------------------------------------


class Computed(File):
    """Integers computed in a file, one of which (by its first values) says how far the input is padded."""

    def __init__(self, random: Random, opset: int) -> None:
        super().__init__(random, (1, 2, 3, 3, 3), opset)
        self.known: list[str] = []
        self.arrays: dict[str, Array] = {}

    def array(self, name: str) -> Array:
        """Its value, by the reference."""
        if name not in self.arrays:
            self.arrays[name] = self._array(name)
        return self.arrays[name]

    def _array(self, name: str) -> Array:
        y = helper.make_tensor_value_info(name, TensorProto.INT64, None)
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.given)
        graph = helper.make_graph(self.nodes, "g", [x], [y], self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return evaluated(ReferenceEvaluator(made), np.zeros(self.given, np.float32))

    def pick(self, most: int = 12) -> str:
        return self.random.choice([n for n in self.known if self.array(n).size <= most])

    def step(self) -> None:
        r = self.random
        name = self.pick()
        value = self.array(name)
        rank, size = value.ndim, value.size
        flat = self.add("Reshape", name, self.whole(-1))[0]
        kind = r.choice(STEPS)
        if kind == "shape":
            about = (
                {"start": self.maybe(r.randrange(-2, 2)), "end": self.maybe(r.choice([-1, 3, 9]))}
                if self.opset >= 15
                else {}
            )
            made = self.add("Shape", r.choice(["x", name]), **about)
        elif kind == "size":
            made = self.add("Size", r.choice(["x", name]))
        elif kind == "gather":
            index = [r.randrange(-size, size) for _ in range(r.randrange(1, 4))]
            made = self.add(
                "Gather", flat, self.constant(index[0] if r.random() < 0.3 else index, np.int64), axis=self.maybe(0)
            )
        elif kind == "gather axis" and rank:
            axis = r.randrange(-rank, rank)
            made = self.add("Gather", name, self.whole(*(r.randrange(value.shape[axis]) for _ in range(2))), axis=axis)
        elif kind == "slice":
            step = r.choice([1, 1, 2, -1, -2])
            low, high = r.randrange(size), r.randrange(size)
            end = high + 1 if step > 0 else r.choice([high - 1, -size - 5])
            inputs = [
                flat,
                self.whole(low),
                self.whole(max(end, low + 1) if step > 0 else min(end, low - 1) if low else -size - 5),
            ]
            made = self.add("Slice", *inputs, self.whole(r.choice([0, -1])), self.whole(step))
        elif kind == "concat":
            other = self.add("Reshape", self.pick(), self.whole(-1))[0]
            made = self.add("Concat", flat, other, flat, axis=r.choice([0, -1]))
        elif kind in ("Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"):
            other = self.whole(*(r.choice([1, 2, 3, 5]) for _ in range(r.choice([1, size]))))
            pair = [flat, other]
            if kind in ("Add", "Sub", "Mul") and r.random() < 0.4:
                pair.reverse()
            made = self.add(kind, *pair)
        elif kind == "outer":
            a, b = (
                self.add("Reshape", name, self.whole(-1, 1))[0],
                self.add("Reshape", self.pick(4), self.whole(1, -1))[0],
            )
            made = self.add(r.choice(["Add", "Mul", "Sub"]), a, b)
        elif kind in ("Neg", "Abs", "Identity", "Sign"):
            made = self.add(kind, name)
        elif kind == "float":
            number = self.add("Cast", name, to=TensorProto.FLOAT)[0]
            half = self.add(r.choice(["Mul", "Div"]), number, self.constant(r.choice([0.5, 1.5, 2.5]), np.float32))[0]
            whole = self.add(r.choice(["Floor", "Ceil", "Identity"]), half)[0]
            made = self.add("Cast", whole, to=TensorProto.INT64)
        elif kind == "clip" and self.opset >= 12:
            ends = [self.maybe(self.constant(n, np.int64), 0.7) or "" for n in (r.randrange(-3, 2), r.randrange(2, 9))]
            while ends and not ends[-1]:
                ends.pop()
            made = self.add("Clip", name, *ends)
        elif kind == "reduce":
            op = r.choice(["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"])
            made = self.add(op, flat, keepdims=self.maybe(r.choice([0, 1])))
        elif kind == "range" and size > 0:
            last = self.add(
                "Min",
                self.add("Abs", self.add("Gather", flat, self.constant(0, np.int64))[0])[0],
                self.constant(9, np.int64),
            )[0]
            begin, step = self.constant(r.randrange(-2, 2), np.int64), self.constant(r.choice([1, 2, 3]), np.int64)
            made = self.add("Range", begin, self.add("Add", last, self.constant(3, np.int64))[0], step)
        elif kind == "where":
            op = r.choice(
                ["Equal", "Less", "Greater", *(["LessOrEqual", "GreaterOrEqual"] if self.opset >= 12 else [])]
            )
            test = self.add(op, flat, self.whole(r.randrange(-1, 4)))[0]
            if r.random() < 0.3:
                test = self.add("Not", test)[0]
            if r.random() < 0.3:
                more = self.add("Greater", flat, self.whole(0))[0]
                test = self.add(r.choice(["And", "Or", "Xor"]), test, more)[0]
            made = self.add("Where", test, flat, self.whole(r.randrange(5)))
        elif kind == "expand":
            made = self.add(
                "Expand", name, self.whole(2, *value.shape) if r.random() < 0.5 else self.whole(*([1] * rank or [1]))
            )
        elif kind == "tile" and rank:
            made = self.add("Tile", name, self.whole(*(r.choice([1, 2]) for _ in value.shape)))
        elif kind == "fill":
            shape = self.whole(r.randrange(1, 4), r.randrange(1, 3))
            fill = helper.make_tensor("", TensorProto.INT64, [1], [r.randrange(1, 6)])
            made = self.add("ConstantOfShape", shape, value=fill)
        elif kind == "split" and size > 1:
            parts = [1, size - 1]
            told = [self.whole(*parts)] if self.opset >= 13 else []
            made = self.add("Split", flat, *told, outputs=2, split=None if told else parts, axis=self.maybe(0))
        elif kind == "nonzero":
            made = self.add("NonZero", flat)
        elif kind == "transpose" and rank > 1:
            order = list(range(rank))
            r.shuffle(order)
            made = self.add("Transpose", name, perm=self.maybe(order))
        elif kind == "flatten" and rank > 1:
            made = self.add("Flatten", name, axis=self.maybe(r.randrange(-rank if self.opset >= 11 else 0, rank + 1)))
        elif kind == "ones":
            axis = r.choice([0, rank, *([-1] if self.opset >= 11 else [])])
            made = self.unsqueeze(name, axis)
            if r.random() < 0.5:
                made = self.squeeze(made[0], self.maybe(axis))
        elif kind == "constant":
            about: dict[str, Any] = r.choice(
                [{"value_int": r.randrange(9)}, {"value_ints": [r.randrange(9) for _ in range(3)]}]
            )
            if self.opset < 12:
                about = {"value": helper.make_tensor("", TensorProto.INT64, [2], [3, r.randrange(5)])}
            made = self.add("Constant", **about)
        else:
            made = self.add("Identity", name)
        for name in made:
            value = self.array(name)
            if 0 < value.size <= 30 and abs(value).max() < 10**6:
                self.known.append(name)

    def unsqueeze(self, name: str, axis: int) -> list[str]:
        if self.opset < 13:
            return self.add("Unsqueeze", name, axes=[axis])
        return self.add("Unsqueeze", name, self.whole(axis))

    def squeeze(self, name: str, axis: int | None) -> list[str]:
        if axis is None:
            return self.add("Squeeze", name)
        if self.opset < 13:
            return self.add("Squeeze", name, axes=[axis])
        return self.add("Squeeze", name, self.whole(axis))


STEPS = (
    *("shape", "size", "gather", "gather axis", "slice", "concat", "Add", "Sub", "Mul", "Div", "Mod", "Max", "Min"),
    *("outer", "Neg", "Abs", "Identity", "Sign", "float", "clip", "reduce", "range", "where", "expand", "tile", "fill"),
    *("split", "nonzero", "transpose", "flatten", "ones", "constant"),
)


def computed(seed: int, steps: int = 8) -> tuple[Computed, tuple[int, ...]]:
    """A file whose padding is computed, and the shape that the reference gives the result."""
    r = Random(f"computed {seed}")
    f = Computed(r, r.choice([11, 12, 13, 15, 17, 18]))
    f.known = [
        f.whole(*(r.randrange(-6, 9) for _ in range(4))),
        f.add("Shape", "x")[0],
        f.constant(r.randrange(1, 5), np.int64),
    ]
    for _ in range(steps):
        f.step()
    last = f.add("Reshape", f.known[-1], f.whole(-1))[0]
    size = f.array(last).size
    padded = f.add("Concat", *[last] * -(-6 // size), axis=0)[0]
    start = r.randrange(f.array(padded).size - 5)
    six = f.add("Slice", padded, f.whole(start), f.whole(start + 6))[0]
    small = f.add("Mod", f.add("Abs", six)[0], f.whole(7))[0]
    ones, sevens = (f.add("Slice", small, f.whole(i), f.whole(i + 3))[0] for i in (0, 3))
    three = f.add("Add", ones, f.add("Mul", sevens, f.whole(7))[0])[0]
    f.add("Concat", f.whole(0, 0, 0, 0, 0, 0, 0), three, axis=0)
    amounts = f.array(f.last)
    f.add("Pad", "x", f.last)
    return f, tuple(int(3 + n) for n in amounts[-3:])


@pytest.mark.parametrize("part", range(3))
def test_integers_that_a_file_computes(part: int) -> None:
    for seed in range(part * 40, part * 40 + 40):
        f, expected = computed(seed)
        read = from_onnx(f.model().SerializeToString())
        assert read.complete, (seed, read.notes, told(f))
        assert Report(read.network).rows[-1].output_shape == (2, *expected), (seed, told(f))


@pytest.mark.exhaustive
def test_many_integers_that_a_file_computes() -> None:
    for seed in range(120, 2000):
        f, expected = computed(seed)
        assert Report(from_onnx(f.model().SerializeToString()).network).rows[-1].output_shape == (2, *expected), seed
