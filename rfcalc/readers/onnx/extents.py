"""The extents of what operators make that no layer kind stands for, where their definition says them.

With these an `Unknown` has a shape even in files that say none, and what follows can be read. Each rule takes the node,
the extents of its inputs and the reader, and returns the extents of its outputs (the last one stands for all others).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx import lengths
from rfcalc.readers.onnx.constants import axes_of, axis_of, reshaped
from rfcalc.readers.onnx.model import Node

if TYPE_CHECKING:
    from rfcalc.readers.onnx.reading import Reader

Dims = tuple[int, ...]
Given = Sequence["Dims | None"]
Rule = Callable[[Node, Given, "Reader"], "list[Dims | None]"]


def _same(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    return [given[0]]


def _second(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    return [given[1]]


def _top(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    x = given[0] or ()
    axis = axis_of(int(node.attributes.get("axis", -1)), len(x))
    count = node.attributes.get("k")
    if count is None:
        (count,) = reader.known(node, 1) or ()
    return [(*x[:axis], int(count), *x[axis + 1 :])]


def _gathered(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    x, index = given[0] or (), given[1] or ()
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x))
    return [(*x[:axis], *index, *x[axis + 1 :])]


def _gathered_nd(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    x, index = given[0] or (), given[1] or ()
    batch = int(node.attributes.get("batch_dims", 0))
    return [(*index[:-1], *x[batch + index[-1] :])]


def _sampled(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    x, grid = given[0] or (), given[1] or ()
    return [(*x[:2], *grid[1:-1])]


def _regions(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    x, boxes = given[0] or (), given[1] or ()
    size = (node.attributes.get("output_height", 1), node.attributes.get("output_width", 1))
    return [(boxes[0], x[1], *map(int, size))]


def _reduced(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    x = given[0] or ()
    axes = axes_of(node, reader.inputs(node))  # type: ignore[arg-type]
    gone = {axis_of(a, len(x)) for a in axes} if axes else set(range(len(x)))
    keep = node.attributes.get("keepdims", 1)
    return [tuple(1 if i in gone else n for i, n in enumerate(x) if keep or i not in gone)]


def _sliced(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    from rfcalc.readers.onnx.constants import bounds

    x = list(given[0] or ())
    for axis, start, end, step in bounds(node, reader.inputs(node), len(x), reader.opset):  # type: ignore[arg-type]
        stop = None if step < 0 and end < -x[axis] else end
        x[axis] = len(range(x[axis])[start:stop:step])
    return [tuple(x)]


def _padded(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    x = given[0] or ()
    told: Any = node.attributes.get("pads") or reader.known(node, 1) or ()
    axes = axes_of(Node(node.op, (), ()), reader.inputs(node), 3)  # type: ignore[arg-type]
    axes = list(range(len(x))) if axes is None else [axis_of(a, len(x)) for a in axes]
    found = list(x)
    for i, a in enumerate(axes):
        found[a] += int(told[i]) + int(told[i + len(axes)])
    return [tuple(found)]


def _shaped(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    return [reshaped(given[0] or (), reader.known(node, 1) or ())]


def given_by_factors(reader: Reader, node: Node) -> Sequence[float] | None:
    """The factors of a Resize; None where it is given sizes."""
    at = 1 if node.op == "Upsample" or reader.opset < 11 else 2
    scales: Sequence[float] | None = node.attributes.get("scales")
    if scales is None and len(node.inputs) > at and node.inputs[at]:
        scales = reader.known(node, at)
    return scales


def sizes_of(reader: Reader, node: Node, dims: tuple[int, ...], x: Value | None = None) -> tuple[tuple[int, ...], bool]:
    """The sizes that are asked for, and whether the factors are exactly theirs."""
    rank = len(dims)
    older = node.op == "Upsample" or reader.opset < 11
    scales = given_by_factors(reader, node)
    if scales:
        scales = _spread(node, scales, rank, 1.0)
        found = tuple(int(n * s + 1e-6) for n, s in zip(dims, scales, strict=True))
        exact = all(abs(n * s - m) < 1e-3 for n, s, m in zip(dims, scales, found, strict=True))
        if x is not None and reader.watched is not None:
            lengths.scaled(reader, lengths.lengths_of(reader, x), scales)
        if any(m < 1 for m in found):
            raise RfcalcError(f"the factors {list(scales)} leave nothing")
        return found, exact
    wanted = reader.known(node, 3) if not older and len(node.inputs) > 3 else None
    if not wanted:
        raise RfcalcError("nothing says the size")
    if node.attributes.get("keep_aspect_ratio_policy", "stretch") not in ("stretch", ""):
        raise NotUnderstood("it keeps the aspect ratio")
    axes = node.attributes.get("axes")
    if axes is None and len(wanted) == rank:
        return tuple(int(v) for v in wanted), True
    sizes = list(dims)
    for a, v in zip(axes or range(2, rank), wanted, strict=True):
        sizes[a] = int(v)
    return tuple(sizes), True


def _spread(node: Node, scales: Sequence[float], rank: int, default: float) -> list[float]:
    axes = node.attributes.get("axes")
    if axes is None:
        if len(scales) != rank:
            raise RfcalcError(f"{len(scales)} factors for {rank} axes")
        return list(scales)
    found = [default] * rank
    for a, s in zip(axes, scales, strict=True):
        found[a] = s
    return found


def _resized(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    return [sizes_of(reader, node, given[0] or ())[0]]


def _recurrent(node: Node, given: Given, reader: Reader) -> list[Dims | None]:
    """All hidden states, then the last ones."""
    x, weights = given[0] or (), given[1] or ()
    hidden = int(node.attributes.get("hidden_size", 0)) or (given[2] or (0, 0, 0))[-1]
    if int(node.attributes.get("layout", 0)):
        return [(x[0], x[1], weights[0], hidden), (x[0], weights[0], hidden)]
    return [(x[0], weights[0], x[1], hidden), (weights[0], x[1], hidden)]


SHAPES: dict[str, Rule] = {
    **dict.fromkeys(
        [
            "Bernoulli",
            "Clip",
            "CumProd",
            "CumSum",
            "EyeLike",
            "Hardmax",
            "LayerNormalization",
            "LpNormalization",
            "MeanVarianceNormalization",
            "RandomNormalLike",
            "RandomUniformLike",
            "ReverseSequence",
            "RotaryEmbedding",
            "ScatterElements",
            "ScatterND",
            "Scatter",
            "TensorScatter",
            "Trilu",
            "BatchNormalization",
            "InstanceNormalization",
            "GroupNormalization",
            "RMSNormalization",
            "Softmax",
            "LogSoftmax",
            "Dropout",
            "PRelu",
        ],
        _same,
    ),
    "GatherElements": _second,
    "TopK": _top,
    "Gather": _gathered,
    "GatherND": _gathered_nd,
    "GridSample": _sampled,
    "RoiAlign": _regions,
    **dict.fromkeys(["ReduceSumSquare", "ReduceLogSum", "ReduceL1", "ReduceL2", "ReduceProd"], _reduced),
    "Slice": _sliced,
    "Pad": _padded,
    "Reshape": _shaped,
    **dict.fromkeys(["Resize", "Upsample"], _resized),
    **dict.fromkeys(["LSTM", "GRU", "RNN"], _recurrent),
}
