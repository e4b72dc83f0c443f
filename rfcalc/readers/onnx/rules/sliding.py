"""Convolutions and pools."""

from __future__ import annotations

from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.sliding import PAD_SAME
from rfcalc.layers.conv import Conv
from rfcalc.layers.pool import AdaptivePool, AvgPool, LpPool, MaxPool
from rfcalc.layers.resample import Pad
from rfcalc.layers.transpose import ConvTranspose
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.names import invented
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const, Map, NotUnderstoodError

Pairs = tuple[tuple[int, int], ...]


def numbers(node: Node, name: str, rank: int, default: int) -> tuple[int, ...]:
    """An attribute with one number for each spatial axis.

    Raises:
        RfcalcError: it has another length.
    """
    found = node.attributes.get(name)
    if not found:
        return (default,) * rank
    if not isinstance(found, list) or len(found) != rank:
        raise RfcalcError(f"{name} {found} does not fit a map of {rank} spatial axes")
    return tuple(int(v) for v in found)


def short(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """One entry where all are equal."""
    return values[:1] if len(set(values)) == 1 else values


def padding(node: Node, x: Map, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
    """Padding as a kind takes it: pairs, or SAME (ONNX's SAME_UPPER; SAME_LOWER as numbers for this input)."""
    mode = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    rank = len(kernel)
    if mode == "SAME_UPPER":
        return "SAME"
    if mode == "SAME_LOWER":
        spatial = x.shape.dims[1:]
        totals = [PAD_SAME(n=n, s=s, d=d, k=k) for n, s, d, k in zip(spatial, stride, dilation, kernel, strict=True)]
        return short(tuple((t - t // 2, t // 2) for t in totals))
    if mode == "VALID":
        return ((0, 0),)
    if mode != "NOTSET":
        raise RfcalcError(f"there is no auto_pad {mode!r}")
    return short(pairs(numbers(node, "pads", 2 * rank, 0)))


def pairs(pads: tuple[int, ...]) -> Pairs:
    """ONNX lists all beginnings, then all ends."""
    half = len(pads) // 2
    return tuple(zip(pads[:half], pads[half:], strict=True))


def _kernel(node: Node, weight: Const, rank: int) -> tuple[int, ...]:
    kernel = weight.dims[2:]
    told = numbers(node, "kernel_shape", rank, 0) if node.attributes.get("kernel_shape") else kernel
    if tuple(told) != kernel or len(kernel) != rank:
        raise RfcalcError(f"the kernel is {kernel} in the weights and {tuple(told)} in kernel_shape")
    return kernel


@rule("Conv", "QLinearConv", "ConvInteger")
def conv(reader: Reader, node: Node) -> None:
    quantized = node.op == "QLinearConv"
    x = reader.features(reader.map(node))
    weight = reader.const(node, 3 if quantized else 1)
    at = 8 if quantized else 2
    bias = written_bias(reader, node, weight, reader.const(node, at)) if node.op != "ConvInteger" else None
    if weight is None or len(weight.dims) < 3:
        raise RfcalcError("a convolution needs weights of three axes or more")
    if quantized or node.op == "ConvInteger":
        reader.notes[
            "quantized operators are read as what they approximate; scales and zero points are not counted"
        ] += 1
    rank = len(x.dims) - 2
    kernel = _kernel(node, weight, rank)
    stride, dilation = numbers(node, "strides", rank, 1), numbers(node, "dilations", rank, 1)
    groups = int(node.attributes.get("group", 1))
    if groups < 1 or weight.dims[1] * groups != x.shape.dims[0]:
        raise RfcalcError(
            f"the weights {'x'.join(map(str, weight.dims))} in {groups} groups do not fit {x.shape.dims[0]} channels"
        )
    layer = Conv(
        weight.dims[0],
        short(kernel),
        short(stride),
        padding(node, x, kernel, stride, dilation),
        short(dilation),
        groups,
        bias is not None,
    )
    _weighted(reader, node, layer, x, weight, bias)


def _weighted(reader: Reader, node: Node, layer: Layer, x: Map, weight: Const, bias: Const | None) -> None:
    name = weight.origin[0] if len(weight.origin) == 1 else ""
    made = reader.place(layer, [x], batch=0, weight=name)
    reader.uses(made.node, "weight", weight)
    reader.uses(made.node, "bias", bias)
    if folded(node, weight):
        reader.folded.append(made.node)
    reader.give(node, made)


def written_bias(reader: Reader, node: Node, weight: Const | None, bias: Const | None) -> Const | None:
    """The bias, unless it is zeros that PyTorch's exporter wrote into the graph for a layer without one."""
    if bias is None or (weight is not None and folded(node, weight)):
        return bias
    zeros = reader.model.producer.startswith("pytorch") and not any(bias.values or (1,))
    if not zeros or not all(reader.written(name) or invented(name) for name in bias.origin):
        return bias
    reader.notes["biases of zeros that the exporter put in are not counted"] += 1
    return None


def folded(node: Node, weight: Const) -> bool:
    """Whether PyTorch's exporters have multiplied a normalisation into these weights."""
    renamed = any(name.startswith("onnx::Conv") for name in weight.origin)
    return renamed or "batch_norm" in node.scope


@rule("ConvTranspose")
def conv_transpose(reader: Reader, node: Node) -> None:
    x = reader.features(reader.map(node))
    weight, bias = reader.const(node, 1), reader.const(node, 2)
    bias = written_bias(reader, node, weight, bias)
    if weight is None or len(weight.dims) < 3:
        raise RfcalcError("a transposed convolution needs weights of three axes or more")
    rank = len(x.dims) - 2
    kernel = _kernel(node, weight, rank)
    stride, dilation = numbers(node, "strides", rank, 1), numbers(node, "dilations", rank, 1)
    extra = numbers(node, "output_padding", rank, 0)
    groups = int(node.attributes.get("group", 1))
    if weight.dims[0] != x.shape.dims[0]:
        raise RfcalcError(f"the weights {'x'.join(map(str, weight.dims))} do not fit {x.shape.dims[0]} channels")
    pads = _transposed_padding(node, x, kernel, stride, dilation, extra)
    layer = ConvTranspose(
        weight.dims[1] * groups,
        short(kernel),
        short(stride),
        pads,
        short(extra),
        short(dilation),
        groups,
        bias is not None,
    )
    _weighted(reader, node, layer, x, weight, bias)


def _transposed_padding(
    node: Node,
    x: Map,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    extra: tuple[int, ...],
) -> Pairs:
    """What is cut off on each side: given, or so that the output has the size that is asked for."""
    mode = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    rank = len(kernel)
    wanted = node.attributes.get("output_shape")
    spatial = x.shape.dims[1:]
    if wanted:
        sizes = tuple(int(v) for v in wanted)[-rank:]
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        sizes = tuple(n * s for n, s in zip(spatial, stride, strict=True))
    elif mode == "VALID":
        return ((0, 0),)
    else:
        return tuple(short(pairs(numbers(node, "pads", 2 * rank, 0))))
    found = []
    for n, m, k, s, d, e in zip(spatial, sizes, kernel, stride, dilation, extra, strict=True):
        total = s * (n - 1) + e + (k - 1) * d + 1 - m
        if total < 0:
            raise NotUnderstoodError("its output is larger than what it makes")
        small = total // 2
        found.append((small, total - small) if mode == "SAME_UPPER" else (total - small, small))
    return tuple(short(tuple(found)))


@rule("MaxPool", "AveragePool", "LpPool")
def pool(reader: Reader, node: Node) -> None:
    x = reader.features(reader.map(node))
    rank = len(x.dims) - 2
    if not node.attributes.get("kernel_shape"):
        raise RfcalcError("kernel_shape is missing")
    kernel = numbers(node, "kernel_shape", rank, 1)
    stride, dilation = numbers(node, "strides", rank, 1), numbers(node, "dilations", rank, 1)
    pads = padding(node, x, kernel, stride, dilation)
    ceil = bool(node.attributes.get("ceil_mode", 0)) and pads != "SAME"
    if node.op == "LpPool" and (pads == "SAME" or any(p for pair in pads for p in pair)):
        if pads == "SAME":
            totals = [PAD_SAME(n=n, s=s, d=1, k=k) for n, s, k in zip(x.shape.dims[1:], stride, kernel, strict=True)]
            pads = tuple((t // 2, t - t // 2) for t in totals)
        x = reader.place(Pad(pads), [x], batch=0, stem="pad")
        pads = ((0, 0),)
    if node.op != "MaxPool" and set(dilation) != {1}:
        raise NotUnderstoodError("its windows have holes")

    def layer(rounding: str) -> Layer:
        if node.op == "MaxPool":
            return MaxPool(short(kernel), short(stride), pads, short(dilation), rounding)
        if node.op == "LpPool":
            return LpPool(int(node.attributes.get("p", 2)), short(kernel), short(stride), rounding)
        counted = bool(node.attributes.get("count_include_pad", 0)) or pads == ((0, 0),)
        return AvgPool(short(kernel), short(stride), pads, rounding, counted)

    made = layer("floor")
    if ceil:
        made = _rounded(reader, node, layer("ceil"), layer("ceil-onnx"), x)
    reader.give(node, reader.place(made, [x], batch=0))
    if len(node.outputs) > 1 and reader.readers[node.outputs[1]]:
        raise NotUnderstoodError("its indices are used")


def _rounded(reader: Reader, node: Node, dropped: Layer, kept: Layer, x: Map) -> Layer:
    """The pool of ONNX's ceil mode: the file's own shape decides where there is one.

    From opset 22 on ONNX drops a last window of MaxPool and AveragePool that would start in the right padding, as
    PyTorch does, whose exporters write older opsets too. The formula of older opsets, and LpPool's, keeps it.
    """
    short_one, long_one = dropped.output(x.shape), kept.output(x.shape)
    if short_one == long_one:
        return dropped
    info = reader.infos.get(node.outputs[0])
    told = None if info is None or info.dims is None or not reader.compare else info.dims[2:]
    if told == short_one.dims[1:]:
        return dropped
    if told == long_one.dims[1:]:
        return kept
    drops = (reader.opset >= 22 and node.op != "LpPool") or reader.model.producer.startswith("pytorch")
    rule = "drops" if drops else "keeps"
    reader.notes[
        f"ceil mode {rule} a last window in the padding (opset {reader.opset}); the file does not say its size"
    ] += 1
    return dropped if drops else kept


@rule("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(reader: Reader, node: Node) -> None:
    x = reader.features(reader.map(node))
    if len(x.dims) < 3:
        raise NotUnderstoodError("its input has no spatial axes")
    if node.op == "GlobalLpPool":
        layer: Layer = LpPool(int(node.attributes.get("p", 2)), x.shape.dims[1:])
    else:
        layer = AdaptivePool(1, "avg" if node.op == "GlobalAveragePool" else "max")
    reader.give(node, reader.place(layer, [x], batch=0))
