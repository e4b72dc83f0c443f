"""Layers, figures and conventions in words that a student reads. Every sentence stands here once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rfcalc.core.layer import Layer
from rfcalc.core.sliding import one
from rfcalc.report import Report
from rfcalc.teaching.exercises.item import ExerciseTable


def sides(values: tuple[Any, ...], rank: int = 2) -> str:
    """A kernel as people write it: 3×3, 1×7; a plain number on one axis."""
    full = values if len(values) == rank else values * rank
    return "×".join(map(str, full)) if rank > 1 else str(full[0])


def dims(values: tuple[Any, ...]) -> str:
    """A shape as it is typed: 64x112x112; fractions as decimals."""
    return "x".join(number(v) for v in values)


def number(value: Any) -> str:
    """A number without separators: 4.5, 9.67."""
    if getattr(value, "denominator", 1) == 1:
        return str(int(value))
    halves = value * 1000
    return f"{float(value):g}" if halves.denominator == 1 else f"{float(value):.2f}"


def count(n: int, noun: str) -> str:
    """3 layers, 1 layer."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _alike(values: tuple[Any, ...]) -> str:
    """One number where all axes agree."""
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))


def _padding(layer: Any) -> str:
    padding = layer.padding
    if padding == "same":
        return "padded to keep the size"
    if padding == "SAME":
        return "padding SAME (TensorFlow's: ⌈n / s⌉ outputs)"
    if all(pair == (0, 0) for pair in padding):
        return "no padding"
    if all(a == b for a, b in padding):
        return f"padding {_alike(tuple(a for a, _ in padding))}"
    return "padding " + ", ".join(f"{a} before and {b} after" for a, b in padding)


def _options(layer: Any, *, pad: bool = True) -> str:
    found = [f"stride {_alike(layer.stride)}"]
    if pad:
        found.append(_padding(layer))
    if any(d != 1 for d in getattr(layer, "dilation", (1,))):
        found.append(f"dilation {_alike(layer.dilation)}")
    if any(e != 0 for e in getattr(layer, "output_padding", (0,))):
        found.append(f"output padding {_alike(layer.output_padding)}")
    groups = getattr(layer, "groups", 1)
    if groups != 1:
        found.append(f"{groups} groups")
    if not getattr(layer, "bias", True):
        found.append("without bias")
    if getattr(layer, "rounding", "floor") != "floor":
        found.append("rounded up (ceil mode)")
    return ", ".join(found)


def _conv(layer: Any, rank: int) -> str:
    kernel = sides(layer.kernel, rank) if rank > 1 else f"length {layer.kernel[0]}"
    return f"convolution, {count(layer.out_channels, 'filter')} of {kernel}, {_options(layer)}"


def _transposed(layer: Any, rank: int) -> str:
    return (
        f"transposed convolution, {count(layer.out_channels, 'filter')} of {sides(layer.kernel, rank)}, "
        f"{_options(layer)}"
    )


def _pool(name: str) -> Callable[[Any, int], str]:
    def say(layer: Any, rank: int) -> str:
        padded = layer.padding != ((0, 0),)
        return f"{name} {sides(layer.kernel, rank)}, {_options(layer, pad=padded)}"

    return say


def _adaptive(layer: Any, rank: int) -> str:
    size = tuple(one(layer.size, i) for i in range(rank))
    kind = "max" if layer.op == "max" else "average"
    if all(n == 1 for n in size):
        return f"global {kind} pooling"
    return f"adaptive {kind} pooling to {'×'.join('as is' if n is None else str(n) for n in size)}"


_SAYINGS: dict[str, Callable[[Any, int], str]] = {
    "conv": _conv,
    "depthwise": lambda layer, rank: f"depthwise convolution {sides(layer.kernel, rank)}, {_options(layer)}",
    "conv_transpose": _transposed,
    "maxpool": _pool("max pooling"),
    "avgpool": _pool("average pooling"),
    "adaptive_pool": _adaptive,
    "linear": lambda layer, rank: (
        f"fully connected, {count(layer.out_features, 'unit')}" + ("" if layer.bias else ", without bias")
    ),
    "flatten": lambda layer, rank: "flatten",
    "batchnorm": lambda layer, rank: "batch normalisation",
    "activation": lambda layer, rank: {"relu": "ReLU"}.get(layer.function, layer.function),
    "dropout": lambda layer, rank: "dropout",
    "add": lambda layer, rank: "sum",
    "concat": lambda layer, rank: "concatenation along the channels",
    "upsample": lambda layer, rank: f"upsampling ×{_alike(layer.factor)} ({layer.mode})",
    "pad": lambda layer, rank: f"zero padding {_alike(tuple(a for a, _ in layer.padding))} on every side",
    "identity": lambda layer, rank: "identity",
    "lrn": lambda layer, rank: "local response normalisation",
    "softmax": lambda layer, rank: "softmax",
}


def say(layer: Layer, rank: int = 2) -> str:
    """A layer in words.

    >>> from rfcalc import Conv, MaxPool
    >>> say(Conv(96, 11, stride=4)), say(MaxPool(3, 2))
    ('convolution, 96 filters of 11×11, stride 4, no padding', 'max pooling 3×3, stride 2')
    """
    saying = _SAYINGS.get(layer.kind)
    return layer.notation() if saying is None else saying(layer, rank)


def listing(
    report: Report, *columns: tuple[str, tuple[Any, ...]], upto: int | None = None, given: str = ""
) -> ExerciseTable:
    """The network as a table: the input, then a row for each node; what it reads, where that is not the row before.

    Args:
        columns: (header, cells) with a cell for the input and for each node.
        upto: the last position shown.
        given: how the input is told, where its size is what is asked for.
    """
    network = report.network
    arity = network.arity
    rank = report.shapes[0].rank
    shown = len(report.shapes) if upto is None else upto + 1
    chain = all(s == (p - 1,) for p, s in enumerate(network.sources, arity))
    header = ["layer", "what it is", *([] if chain else ["reads"]), *[c[0] for c in columns]]
    rows: list[tuple[Any, ...]] = []
    for position in range(shown):
        if position < arity:
            told = given or dims(report.shapes[position].dims)
            row: list[Any] = [list(network.inputs)[position], f"input {told}"]
            row += [] if chain else ["–"]
        else:
            node = network.nodes[position - arity]
            row = [node.name, say(node.layer, rank), *([] if chain else [", ".join(node.inputs)])]
        rows.append((*row, *[c[1][position] for c in columns]))
    return ExerciseTable(tuple(header), tuple(rows))


# What is asked, and by which convention the answer counts. `{at}` is the place in words.

ASKED = {
    "output_shape": "What is the shape of {the output}, as {axes}?",
    "side": "What is the side (height = width) of {the output}?",
    "receptive_field": "How large is the receptive field of one unit of {at}? Give its side in input pixels.",
    "stride": "What is the effective stride of {at}: how many input pixels lie between neighbouring units?",
    "weights": "How many weights does {at} have, biases not counted?",
    "biases": "How many biases does {at} have?",
    "params": "How many trainable parameters does {at} have?",
    "buffers": "How many values that are not trained (buffers) does {at} hold?",
    "macs": "How many multiply-adds does {at} take for one image?",
    "flops": "How many FLOPs does {at} take for one image?",
    "values": "How many values does {the output} hold?",
    "bytes": "How many bytes does {the output} take?",
}
ASKED_TOTAL = {
    "values": "How many values are in the maps of a forward pass in all, the input included?",
    "bytes": "How many bytes do the maps of a forward pass take in all, the input included?",
    "peak_bytes": "How many bytes of maps are in memory at the peak of a forward pass?",
}
SHORT = {
    "output_shape": "output",
    "side": "output side",
    "receptive_field": "receptive field",
    "stride": "effective stride",
    "weights": "weights",
    "biases": "biases",
    "params": "parameters",
    "buffers": "buffers",
    "macs": "multiply-adds",
    "flops": "FLOPs",
    "values": "values",
    "bytes": "bytes",
    "peak_bytes": "peak bytes",
}
PLURAL = ("weights", "biases", "params", "buffers", "macs", "flops", "values", "bytes")


def amount(figure: str) -> str:
    """A figure as the subject of a sentence: the number of parameters, the output side.

    >>> amount("macs"), amount("side"), amount("peak_bytes")
    ('number of multiply-adds', 'output side', 'peak in bytes')
    """
    if figure in PLURAL:
        return f"number of {SHORT[figure]}"
    return "peak in bytes" if figure == "peak_bytes" else SHORT[figure]


CONVENTIONS = {
    "output_shape": "Shapes are {axes}; sizes are rounded down unless ceil mode is said.",
    "side": "Sizes are rounded down unless ceil mode is said.",
    "receptive_field": "The receptive field of a unit is the hull of the input positions that can influence it, "
    "padding counted, as its side in input pixels; normalisation is in evaluation mode.",
    "stride": "The effective stride is counted in input pixels.",
    "weights": "Weights are the entries of the kernels and matrices (and γ of normalisation); biases are not among "
    "them.",
    "biases": "A bias belongs to an output channel or unit, unless the layer is said to be without.",
    "params": "Parameters are weights and biases (every convolution and fully connected layer has a bias unless it is "
    "said to be without); running statistics are not trained and not counted.",
    "buffers": "Buffers are running means and variances of batch normalisation, two for each channel.",
    "macs": "Multiply-adds of convolutions and fully connected layers are counted, {images}; the additions of "
    "biases, activations and pooling are not.",
    "flops": "One multiply-add is 2 FLOPs; multiply-adds of convolutions and fully connected layers are counted, "
    "{images}; additions of biases, activations and pooling are not.",
    "values": "Outputs are counted in values{batch}; {input}flattening and activations in place take no memory of "
    "their own.",
    "bytes": "Values are {dtype} ({itemsize} bytes each){batch}; {input}flattening and activations in place take no "
    "memory of their own; weights are not counted.",
    "peak_bytes": "Values are {dtype} ({itemsize} bytes each){batch}; the input counts too; a map lives until its last "
    "reader has run, while "
    "a layer runs its input and output are both in memory, and while max pooling runs the place of each maximum "
    "(8 bytes, int64); activations are in place; weights are not counted.",
}


def axes(rank: int) -> str:
    """How the shape of a map is written.

    >>> axes(1), axes(2)
    ('channels x length', 'channels x height x width')
    """
    return f"channels x {('length', 'height x width', 'depth x height x width')[min(max(rank, 1), 3) - 1]}"


def convention(
    figures: tuple[str, ...],
    batch: int = 1,
    dtype: str = "float32",
    itemsize: int = 4,
    whole: bool = False,
    rank: int = 2,
) -> str:
    """What the figures count, in one sentence or two; whatever a key is computed with stands in it.

    Args:
        whole: whether the figure is a sum over the network, in which the input counts too.
        rank: how many axes of positions the input has.
    """
    told = "" if batch == 1 else f", for a batch of {batch}"
    images = "for one image" if batch == 1 else f"for a batch of {batch} images"
    given = "the input counts too; " if whole else ""
    said = [CONVENTIONS[f] for f in figures]
    values = {"dtype": dtype, "itemsize": itemsize, "batch": told, "images": images, "input": given, "axes": axes(rank)}
    return " ".join(dict.fromkeys(s.format(**values) for s in said))
