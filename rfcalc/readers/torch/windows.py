"""Windows of maps and signals: as axes or channels of their own, added up again, and transformed."""

from __future__ import annotations

import torch

from rfcalc.layers.resample import PixelShuffle, PixelUnshuffle
from rfcalc.readers.builder.indexed import folded, framed, transformed
from rfcalc.readers.builder.joining import padded
from rfcalc.readers.builder.maps import mapped
from rfcalc.readers.builder.moves import moved, regrouped, sliced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.fixed import known
from rfcalc.readers.torch.handling import OperatorCall, handles


@handles("unfold")
def unfold(call: OperatorCall) -> Value:
    """Windows of an axis, their positions along a last axis."""
    graph, x, size, axis = call.graph, call.x, call["size"], call["dimension"] % len(call.x.dims)
    if axis == x.batch:
        x = graph.plain(x)
    count = call.dims[axis]
    if call["step"] == size:
        x = sliced(graph, x, axis, 0, count * size)
    else:
        x = framed(graph, x, axis, range(size), call["step"], count)
    apart = (*x.dims[:axis], count, size, *x.dims[axis + 1 :])
    batch = None if x.batch is None else x.batch + (axis < x.batch)
    x = regrouped(graph, x, apart, batch)
    return moved(graph, x, (*range(axis + 1), *range(axis + 2, len(apart)), axis + 1))


def _sizes(call: OperatorCall) -> list[tuple[int, int, int, int]]:
    """Of each axis: how large windows are, by how much they move on, the padding, the gap between positions."""
    given = (call["kernel_size"], call["stride"], call["padding"], call["dilation"])
    return list(zip(*(tuple(v) * 2 if len(v) == 1 else tuple(v) for v in given), strict=True))


@handles("im2col")
def im2col(call: OperatorCall) -> Value:
    graph, sizes = call.graph, _sizes(call)
    x, leading = mapped(graph, call.x, 2)
    if leading or x.batch != 0:
        raise NotUnderstood("of a merged batch")
    counts = []
    for axis, (size, step, pad, gap) in enumerate(sizes, 2):
        count = (x.dims[axis] + 2 * pad - gap * (size - 1) - 1) // step + 1
        counts.append(count)
        if (step, pad, gap) == (size, 0, 1):
            x = sliced(graph, x, axis, 0, count * size)
        else:
            x = framed(graph, x, axis, [gap * t - pad for t in range(size)], step, count)
    b, c = x.dims[:2]
    (kh, *_), (kw, *_) = sizes
    h, w = counts
    if kh == kw:
        x = graph.add(PixelUnshuffle(kh), (x.node,), (b, c * kh * kw, h, w), 0, helper=True)
        return regrouped(graph, x, call.dims, 0)
    x = moved(graph, regrouped(graph, x, (b, c, h, kh, w, kw), 0), (0, 1, 3, 5, 2, 4))
    return regrouped(graph, x, call.dims, 0)


@handles("col2im")
def col2im(call: OperatorCall) -> Value:
    graph, sizes, x = call.graph, _sizes(call), call.graph.with_channels(call.x)
    b, c, *space = call.dims
    if x.batch != 0:
        raise NotUnderstood("of a merged batch")
    (kh, *_), (kw, *_) = sizes
    h, w = (
        (n + 2 * pad - gap * (size - 1) - 1) // step + 1 for n, (size, step, pad, gap) in zip(space, sizes, strict=True)
    )
    if kh == kw:
        x = regrouped(graph, x, (b, c * kh * kw, h, w), 0)
        x = graph.add(PixelShuffle(kh), (graph.laid(x, x.inner, 0),), (b, c, h * kh, w * kw), 0)
    else:
        x = moved(graph, regrouped(graph, x, (b, c, kh, kw, h, w), 0), (0, 1, 4, 2, 5, 3))
        x = regrouped(graph, x, (b, c, h * kh, w * kw), 0)
    for axis, (size, step, pad, gap) in enumerate(sizes, 2):
        if (step, pad, gap, x.dims[axis]) != (size, 0, 1, call.dims[axis]):
            x = folded(graph, x, axis, size, step, -pad, gap, call.dims[axis])
    return x


@handles("istft")
def signal(call: OperatorCall) -> Value:
    """Frames are transformed back, and added up where they overlap; frequencies are the channels. Where the window is
    0, nothing is added."""
    graph, args, x, dims = call.graph, call.step.args, call.x, call.dims
    size, count = args["n_fft"], x.dims[-1]
    step, width = args.get("hop_length") or size // 4, args.get("win_length") or size
    first = (size - width) // 2
    window = args.get("window")
    values = known(graph, window) if isinstance(window, torch.Tensor) else None
    taps = [first + i for i in range(width) if values is None or values[i] != 0]
    if len(x.dims) != 3 or x.batch != 0 or taps != list(range(taps[0], taps[0] + len(taps))):
        raise NotUnderstood("of several axes in front, or with zeros within the window")
    x = Value(graph.laid(graph.with_channels(x), x.inner, 0), x.dims, 0)
    x = transformed(graph, x, [1], (x.dims[0], len(taps), count))
    wide = (x.dims[0], 1, count * len(taps))
    x = graph.add(PixelShuffle(len(taps)), (x.node,), wide, 0, helper=True)
    start = taps[0] - (size // 2 if args["center"] else 0)
    x = folded(graph, x, 2, len(taps), step, start, 1, dims[1])
    return Value(x.node, dims, 0, extra=True)


@handles("stft")
def spectrogram(call: OperatorCall) -> Value:
    """Frames of a signal, each transformed: frequencies are the channels. Where the window is 0, nothing is read."""
    graph, args, x, dims = call.graph, call.step.args, call.x, call.dims
    size = args["n_fft"]
    step = args.get("hop_length") or size // 4
    width = args.get("win_length") or size
    if not x.extra or x.batch is None:
        raise NotUnderstood("of a map that is no signal")
    taps = list(range((size - width) // 2, (size - width) // 2 + width))
    window = args.get("window")
    values = known(graph, window) if isinstance(window, torch.Tensor) else None
    if values is not None:
        taps = [taps[0] + i for i in range(width) if values[i] != 0]
    if args.get("center"):
        mode = "zeros" if args["pad_mode"] == "constant" else args["pad_mode"]
        x = padded(graph, x, [(0, 0), (size // 2, size // 2)], mode)
    count = (x.dims[1] - size) // step + 1
    x = framed(graph, Value(x.node, (x.dims[0], 1, x.dims[1]), x.batch), 2, taps, step, count)
    x = graph.add(PixelUnshuffle(len(taps)), (x.node,), (x.dims[0], len(taps), count), x.batch, helper=True)
    x = transformed(graph, x, [1], (x.dims[0], dims[1], count))
    if values is not None:
        graph.held[x.node] = values
    if len(dims) == 4:  # real and imaginary parts along a last axis
        raise NotUnderstood("with parts of complex numbers apart: give return_complex=True")
    return x
