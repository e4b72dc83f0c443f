"""Reductions over axes."""

from __future__ import annotations

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Reduce
from rfcalc.layers.pool import AdaptivePool, Mean
from rfcalc.readers.onnx.constants import axes_of, axis_of
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Map, NotUnderstoodError

OPERATIONS = {
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceMax": "amax",
    "ReduceMin": "amin",
    "ReduceProd": "prod",
    "ReduceL1": "norm",
    "ReduceL2": "norm",
    "ReduceLogSumExp": "logsumexp",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
}


@rule(*OPERATIONS)
def reduce(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    rank = len(x.dims)
    if node.op.startswith("Arg"):
        axes: list[int] | None = [int(node.attributes.get("axis", 0))]
    else:
        axes = axes_of(node, reader.inputs(node))  # type: ignore[arg-type]
    keep = bool(node.attributes.get("keepdims", 1))
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        raise NotUnderstoodError("it has no axes")
    gone = sorted({axis_of(a, rank) for a in axes} if axes else set(range(rank)))
    if x.batch in gone:
        x = reader.untracked(x)
    own = tuple(i for i in (x.axis(a) for a in gone) if i is not None)
    dims = tuple(1 if i in gone else n for i, n in enumerate(x.dims) if keep or i not in gone)
    batch = x.batch if keep or x.batch is None else x.batch - sum(a < x.batch for a in gone)
    reader.give(node, reader.place(_layer(OPERATIONS[node.op], x, own, keep), [x], batch=batch, dims=dims))


def _layer(operation: str, x: Map, axes: tuple[int, ...], keep: bool) -> Layer:
    spatial = axes == x.shape.axes
    if spatial and keep and x.shape.channel == 0 and operation in ("mean", "amax") and len(axes) > 0:
        return AdaptivePool(1, "avg" if operation == "mean" else "max")
    where = None if spatial and axes else axes
    return Mean(where, keep) if operation == "mean" else Reduce(operation, where, keep)
