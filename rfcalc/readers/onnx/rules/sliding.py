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
from rfcalc.layers.unpool import MaxUnpool
from rfcalc.readers.builder.maps import back, mapped
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.lengths import gives, lengths_of, more
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.names import invented
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const

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


def padding(
    reader: Reader, node: Node, x: Value, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Any:
    """Padding as a kind takes it: pairs, or SAME (ONNX's SAME_UPPER; SAME_LOWER as numbers for this input)."""
    mode = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    rank = len(kernel)
    if mode == "SAME_UPPER":
        return "SAME"
    if mode == "SAME_LOWER":
        found = []
        for n, s, d, k in zip(lengths_of(reader, x)[2:], stride, dilation, kernel, strict=True):
            total = more((n + s - 1) // s * s - s + d * (k - 1) + 1 - n)
            found.append(gives(reader, (total - total // 2, total // 2)))
        return short(tuple(found))
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


def spread(values: tuple[Any, ...], leading: bool, one: Any = 1) -> tuple[Any, ...]:
    """Entries for the spatial axes, with one for a leading axis that nothing slides over."""
    return short((one, *values) if leading else values)


@rule("Conv")
def conv(reader: Reader, node: Node) -> None:
    weight = reader.const(node, 1)
    reader.give(node, convolved(reader, node, weight, written_bias(reader, node, weight, reader.const(node, 2))))


def convolved(reader: Reader, node: Node, weight: Const | None, bias: Const | None) -> Value:
    """A convolution of the node's first input, with its attributes."""
    given = reader.map(node)
    if weight is None or len(weight.dims) < 3:
        raise RfcalcError("a convolution needs weights of three axes or more")
    rank = len(given.dims) - 2
    kernel = _kernel(node, weight, rank)
    stride, dilation = numbers(node, "strides", rank, 1), numbers(node, "dilations", rank, 1)
    groups = int(node.attributes.get("group", 1))
    if groups < 1 or weight.dims[1] * groups != given.dims[1]:
        raise RfcalcError(
            f"the weights {'x'.join(map(str, weight.dims))} in {groups} groups do not fit {given.dims[1]} channels"
        )
    pads = padding(reader, node, given, kernel, stride, dilation)
    x, leading = mapped(reader.graph, given, rank, merged=groups == 1)
    layer = Conv(
        weight.dims[0],
        spread(kernel, leading),
        stride=spread(stride, leading),
        padding=around(pads, leading, rank),
        dilation=spread(dilation, leading),
        groups=groups,
        bias=bias is not None,
    )
    return _weighted(reader, node, layer, x, leading, weight, bias)


def around(pads: Any, leading: bool, rank: int) -> Any:
    """Padding with none for a leading axis that nothing slides over."""
    if isinstance(pads, str) or not leading:
        return pads
    return ((0, 0), *(pads * rank if len(pads) == 1 else pads))


def _weighted(
    reader: Reader, node: Node, layer: Layer, x: Value, leading: bool, weight: Const, bias: Const | None
) -> Value:
    name = weight.origin[0] if len(weight.origin) == 1 else ""
    made = reader.place(layer, [x], batch=x.batch, weight=name)
    reader.uses(made, "weight", weight)
    reader.uses(made, "bias", bias)
    if folded(node, weight):
        reader.folded.append(made.node)
    return back(reader.graph, made, leading)


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
    given = reader.map(node)
    weight, bias = reader.const(node, 1), reader.const(node, 2)
    bias = written_bias(reader, node, weight, bias)
    if weight is None or len(weight.dims) < 3:
        raise RfcalcError("a transposed convolution needs weights of three axes or more")
    rank = len(given.dims) - 2
    kernel = _kernel(node, weight, rank)
    stride, dilation = numbers(node, "strides", rank, 1), numbers(node, "dilations", rank, 1)
    extra = numbers(node, "output_padding", rank, 0)
    groups = int(node.attributes.get("group", 1))
    if weight.dims[0] != given.dims[1]:
        raise RfcalcError(f"the weights {'x'.join(map(str, weight.dims))} do not fit {given.dims[1]} channels")
    pads = _transposed_padding(reader, node, given, kernel, stride, dilation, extra)
    x, leading = mapped(reader.graph, given, rank)
    layer = ConvTranspose(
        weight.dims[1] * groups,
        spread(kernel, leading),
        stride=spread(stride, leading),
        padding=around(pads, leading, rank),
        output_padding=spread(extra, leading, 0),
        dilation=spread(dilation, leading),
        groups=groups,
        bias=bias is not None,
    )
    reader.give(node, _weighted(reader, node, layer, x, leading, weight, bias))


def _transposed_padding(
    reader: Reader,
    node: Node,
    x: Value,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    extra: tuple[int, ...],
) -> Pairs:
    """What is cut off on each side: given, or so that the output has the size that is asked for."""
    mode = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    rank = len(kernel)
    spatial = lengths_of(reader, x)[2:]
    wanted = node.attributes.get("output_shape")
    if wanted:
        sizes = tuple(int(v) for v in wanted)[-rank:]
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        sizes = None
    elif mode == "VALID":
        return ((0, 0),)
    else:
        return tuple(short(pairs(numbers(node, "pads", 2 * rank, 0))))
    found = []
    for i, (n, k, s, d, e) in enumerate(zip(spatial, kernel, stride, dilation, extra, strict=True)):
        total = e + (k - 1) * d + 1 - s  # where n times the stride is left
        if sizes is not None:
            total = s * (n - 1) + e + (k - 1) * d + 1 - sizes[i]
        if total < 0:
            raise NotUnderstood("its output is larger than what it makes")
        small = total // 2
        cut = (small, total - small) if mode == "SAME_UPPER" else (total - small, small)
        found.append(gives(reader, cut))
    return tuple(short(tuple(found)))


@rule("MaxPool", "AveragePool", "LpPool")
def pool(reader: Reader, node: Node) -> None:
    given = reader.map(node)
    rank = len(given.dims) - 2
    if not node.attributes.get("kernel_shape"):
        raise RfcalcError("kernel_shape is missing")
    kernel = numbers(node, "kernel_shape", rank, 1)
    stride, dilation = numbers(node, "strides", rank, 1), numbers(node, "dilations", rank, 1)
    pads = padding(reader, node, given, kernel, stride, dilation)
    x, leading = mapped(reader.graph, given, rank)
    ceil = bool(node.attributes.get("ceil_mode", 0)) and pads != "SAME"
    if node.op == "LpPool" and (pads == "SAME" or any(p for pair in pads for p in pair)):
        if pads == "SAME":
            totals = [PAD_SAME(n=n, s=s, d=1, k=k) for n, s, k in zip(given.dims[2:], stride, kernel, strict=True)]
            pads = tuple((t // 2, t - t // 2) for t in totals)
        x = reader.place(Pad(around(pads, leading, rank)), [x], batch=x.batch, helper=True)
        pads = ((0, 0),)
    if node.op == "LpPool" and set(dilation) != {1}:
        raise NotUnderstood("its windows have holes")

    wide = spread(kernel, leading), spread(stride, leading)

    def layer(rounding: str) -> Layer:
        holes, sides = spread(dilation, leading), around(pads, leading, rank)
        if node.op == "MaxPool":
            return MaxPool(wide[0], wide[1], sides, dilation=holes, rounding=rounding)
        if node.op == "LpPool":
            return LpPool(int(node.attributes.get("p", 2)), wide[0], wide[1], rounding=rounding)
        counted = bool(node.attributes.get("count_include_pad", 0)) or pads == ((0, 0),)
        return AvgPool(wide[0], wide[1], sides, dilation=holes, rounding=rounding, count_padding=counted)

    made = layer("floor")
    if ceil:
        made = _rounded(reader, node, layer("ceil"), layer("ceil-onnx"), x)
    reader.give(node, back(reader.graph, reader.place(made, [x], batch=x.batch), leading))
    if len(node.outputs) > 1 and (uses := reader.readers[node.outputs[1]]):
        places = node.outputs[1]
        unpools = sum(other.op == "MaxUnpool" and other.inputs[1:2] == (places,) for other in reader.nodes)
        if unpools != uses or leading or node.attributes.get("storage_order", 0):
            raise NotUnderstood("its indices are used")
        reader.values[places] = x  # an unpooling finds the maxima again in the map that was pooled
        reader.pooled[places] = made


@rule("MaxUnpool")
def max_unpool(reader: Reader, node: Node) -> None:
    """Unpooling by the indices of a max pooling of the same file, to the size of the map that was pooled."""
    x, pool = reader.map(node), reader.pooled.get(node.inputs[1])
    if not isinstance(pool, MaxPool):
        raise NotUnderstood("its indices are not those that a max pooling gave")
    pooled = reader.map(node, 1)
    rank = len(x.dims) - 2
    kernel, stride = numbers(node, "kernel_shape", rank, 1), numbers(node, "strides", rank, 1)
    pads = pairs(numbers(node, "pads", 2 * rank, 0))
    sizes = zip(x.dims[2:], kernel, stride, pads, strict=True)
    made = tuple(s * (n - 1) + k - sum(around_it) for n, k, s, around_it in sizes)
    asked = reader.known(node, 2)
    if made != pooled.dims[2:] or (asked is not None and tuple(asked) != pooled.dims):
        told = ["x".join(map(str, dims)) for dims in (made if asked is None else asked[2:], pooled.dims[2:])]
        raise NotUnderstood(
            f"it makes {told[0]} of a map that was {told[1]}: ONNX does not say where the indices point then"
        )
    x, leading = mapped(reader.graph, x, rank)
    if leading or x.batch != pooled.batch:
        raise NotUnderstood("of a merged batch")
    back_to = MaxUnpool(pool.kernel, pool.stride, pool.padding, dilation=pool.dilation, rounding=pool.rounding)
    reader.give(node, reader.place(back_to, [x, pooled], batch=x.batch))


def _rounded(reader: Reader, node: Node, dropped: Layer, kept: Layer, x: Value) -> Layer:
    """The pool of ONNX's ceil mode: the file's own shape decides where there is one.

    From opset 22 on ONNX drops a last window of MaxPool and AveragePool that would start in the right padding, as
    PyTorch does, whose exporters write older opsets too. The formula of older opsets, and LpPool's, keeps it.
    """
    short_one, long_one = dropped.output(reader.shape(x)), kept.output(reader.shape(x))
    if short_one == long_one:
        return dropped
    info = reader.infos.get(node.outputs[0])
    told = None if info is None or info.dims is None or not reader.compare else info.dims[2:]
    torch = reader.model.producer.startswith("pytorch")
    if torch and told is not None and all(isinstance(n, int) for n in told):
        return dropped  # whatever the file says: its exporters write sizes that PyTorch's rule does not make
    if told == short_one.dims[1:]:
        return dropped
    if told == long_one.dims[1:]:
        return kept
    drops = torch or (reader.opset >= 22 and node.op != "LpPool")
    rule = "drops" if drops else "keeps"
    reader.notes[
        f"ceil mode {rule} a last window in the padding (opset {reader.opset}); the file does not say its size"
    ] += 1
    return dropped if drops else kept


@rule("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(reader: Reader, node: Node) -> None:
    given = reader.map(node)
    if len(given.dims) < 3:
        raise NotUnderstood("its input has no spatial axes")
    x, leading = mapped(reader.graph, given, len(given.dims) - 2)
    sizes = spread(given.dims[2:], leading)
    if node.op == "GlobalLpPool":
        layer: Layer = LpPool(int(node.attributes.get("p", 2)), sizes)
    else:
        ones = (None, *[1] * (len(given.dims) - 2)) if leading else 1
        layer = AdaptivePool(ones, "avg" if node.op == "GlobalAveragePool" else "max")
    reader.give(node, back(reader.graph, reader.place(layer, [x], batch=x.batch), leading))
