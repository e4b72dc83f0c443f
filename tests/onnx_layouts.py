"""Operators of ONNX that move, part, join and reduce, and patterns of them, with random attributes."""

from __future__ import annotations

from math import prod
from random import Random
from typing import Any

import numpy as np
from onnx_files import File
from onnx_operators import MAKERS as MAKERS
from onnx_operators import maker


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
    about: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": where, "nearest_mode": nearest}
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


@maker(13, 14, 22)
def recurrent(f: File) -> None:
    """Over the positions of a signal, forward; both layouts where they exist."""
    r = f.random
    op, gates = r.choice([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    c, hidden = f.dims[1], r.choice([1, 3])
    f.add("Reshape", f.last, f.whole(1, c, -1))
    steps = prod(f.dims[2:])
    f.add("Slice", f.last, f.whole(0), f.whole(min(4, steps)), f.whole(2))
    f.add("Transpose", f.last, perm=[2, 0, 1])
    inputs = [f.last, f.constant(0.05 * np.ones((1, gates * hidden, c)), np.float32)]
    inputs.append(f.constant(0.1 * np.ones((1, gates * hidden, hidden)), np.float32))
    more = r.random() < 0.6
    if more:
        inputs.append(f.constant(0.1 * np.ones((1, 2 * gates * hidden)), np.float32))
    f.add(op, *inputs, hidden_size=hidden, outputs=2, direction=f.maybe("forward"))
    f.params += gates * hidden * (c + hidden + 2 * more)
    f.add("Squeeze", f.last, f.whole(1))
    f.add("Transpose", f.last, perm=[1, 2, 0])


@maker(13, 19)
def quantized(f: File) -> None:
    """To eight bits and back, before or behind a convolution: positions stay where they are."""
    r, c = f.random, f.dims[1]
    scale = f.constant(0.5, np.float32)
    zero = f.constant(0, r.choice([np.uint8, np.int8]))
    whole = f.add("QuantizeLinear", f.last, scale, zero)[0]
    f.add("DequantizeLinear", whole, scale, *[zero] * (r.random() < 0.5 or zero is None))
    if f.nodes[-1].input[-1] != zero:
        f.nodes[-1].input.append(zero)
    if r.random() < 0.5:
        f.add("MaxPool", f.last, kernel_shape=[2] * len(f.dims[2:]))
    f.exact = c > 0


@maker(13, 17)
def norm_by_hand(f: File) -> None:
    """Normalised over the last axes, or over one, as exporters write it: by its mean and its squares."""
    r, rank = f.random, len(f.dims)
    last = r.choice([[-1], [rank - 1], list(range(2, rank))])
    about: dict[str, Any] = {"keepdims": f.maybe(1)}
    x = f.last
    mean = f.add("ReduceMean", x, axes=last, **about)[0]
    centred = f.add("Sub", x, mean)[0]
    square = f.add("Pow", centred, f.constant(2, np.float32)) if r.random() < 0.5 else f.add("Mul", centred, centred)
    spread = f.add("ReduceMean", square[0], axes=last, **about)[0]
    root = f.add("Sqrt", f.add("Add", spread, f.constant(1e-5, np.float32))[0])[0]
    f.add("Div", centred, root)
    if r.random() < 0.5:
        dims = f.given[-1:] if len(last) == 1 else (f.given[1], *[1] * (rank - 2))
        f.add("Mul", f.last, f.weight(*dims))
        f.add("Add", f.last, f.weight(*dims))
        f.exact = False


@maker(13, 14, 18)
def activation_by_hand(f: File) -> None:
    """GELU, SiLU, hard swish and mish as their formulas."""
    r, x = f.random, f.last
    kind = r.randrange(4)
    if kind == 0:
        half = f.add(r.choice(["Div"]), x, f.constant(1.4142135, np.float32))[0]
        one = f.add("Add", f.add("Erf", half)[0], f.constant(1, np.float32))[0]
        f.add("Mul", f.add("Mul", x, one)[0], f.constant(0.5, np.float32))
    elif kind == 1:
        pair = [x, f.add("Sigmoid", x)[0]]
        f.add("Mul", *(pair if r.random() < 0.5 else pair[::-1]))
    elif kind == 2:
        f.add("Mul", x, f.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)[0])
    else:
        f.add("Mul", x, f.add("Tanh", f.add("Softplus", x)[0])[0])


@maker(11, 13, 17)
def sequence(f: File) -> None:
    """Parted into a list, of which one or all are taken."""
    r, rank = f.random, len(f.dims)
    axis = r.randrange(2, rank)
    n = f.dims[axis]
    length = r.choice([1, 2, 3])
    told = [f.constant(length, np.int64)] if r.random() < 0.6 else []
    keep = f.maybe(r.choice([0, 1]), 0.7)
    parts = f.add(
        "SplitToSequence", f.last, *told, axis=r.choice([axis, axis - rank]), keepdims=None if told else keep
    )[0]
    count = -(-n // length) if told else n
    if r.random() < 0.6:
        f.add("SequenceAt", parts, f.constant(r.randrange(-count, count), np.int64))
    elif told or keep in (None, 1):
        f.add("ConcatFromSequence", parts, axis=axis)
    else:
        f.add("ConcatFromSequence", parts, axis=axis, new_axis=1)


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
        places = [[r.randrange(-f.dims[1], f.dims[1])] for _ in range(rows)]
        f.add("GatherND", f.last, f.constant([places], np.int64), batch_dims=1)
    elif op == "ReduceL1" and f.opset < 18:
        f.add("ReduceL1", f.last, axes=[axis], keepdims=f.maybe(1))
    elif op == "ReduceProd" and f.opset < 18:
        f.add("ReduceProd", f.last, axes=[axis], keepdims=f.maybe(0))
    else:
        f.add("Hardmax" if f.opset >= 13 else "LpNormalization", f.last, axis=axis)


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
