"""Reductions over axes, running sums, and what is largest along an axis."""

from __future__ import annotations

from rfcalc.core.errors import RfcalcError
from rfcalc.layers.along import Along
from rfcalc.layers.general import Elementwise
from rfcalc.layers.pool import AdaptivePool
from rfcalc.readers.builder.indexed import summed
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import picked
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.onnx.constants import axes_of, axis_of
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule

OPERATIONS = {
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceMax": "amax",
    "ReduceMin": "amin",
    "ReduceProd": "prod",
    "ReduceL1": "norm",
    "ReduceL2": "norm",
    "ReduceSumSquare": "norm",
    "ReduceLogSum": "sum",
    "ReduceLogSumExp": "logsumexp",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
}


@rule(*OPERATIONS)
def reduce(reader: Reader, node: Node) -> None:
    x, graph = reader.map(node), reader.graph
    rank = len(x.dims)
    if node.op.startswith("Arg"):
        axes: list[int] | None = [int(node.attributes.get("axis", 0))]
    else:
        axes = axes_of(node, reader.inputs(node))  # type: ignore[arg-type]
    keep = bool(node.attributes.get("keepdims", 1))
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        reader.give(node, x)
        return
    gone = sorted({axis_of(a, rank) for a in axes} if axes else set(range(rank)))
    dims = tuple(1 if i in gone else n for i, n in enumerate(x.dims) if keep or i not in gone)
    operation = OPERATIONS[node.op]
    here = graph.shape(x)
    spatial = here.channel == 0 and here.axes and x.batch == 0 and gone == list(range(2, rank)) and not x.extra
    if spatial and keep and operation in ("mean", "amax"):
        reader.give(node, alone(graph, x._replace(dims=dims), AdaptivePool(1, "avg" if operation == "mean" else "max")))
        return
    reader.give(node, reduced(graph, x, gone, operation, keep, dims))


@rule("CumSum")
def running_sum(reader: Reader, node: Node) -> None:
    x, graph = reader.map(node), reader.graph
    (told,) = reader.known(node, 1) or (0,)
    axis = axis_of(int(told), len(x.dims))
    backwards = list(reversed(range(x.dims[axis])))
    if node.attributes.get("reverse", 0):
        x = picked(graph, x, axis, backwards)
    x = graph.add(Along("cumsum", graph.axis(x, axis)), (x.node,), x.dims, x.batch, extra=x.extra)
    if node.attributes.get("exclusive", 0):  # what is before a position, without itself
        x = summed(graph, x, axis, [[], *([i] for i in range(x.dims[axis] - 1))])
    reader.give(node, picked(graph, x, axis, backwards) if node.attributes.get("reverse", 0) else x)


@rule("TopK")
def largest(reader: Reader, node: Node) -> None:
    """The largest (or smallest) values along an axis, and where they stood."""
    x, graph = reader.map(node), reader.graph
    told = (reader.known(node, 1) if len(node.inputs) > 1 else None) or (node.attributes.get("k"),)
    if len(told) != 1 or told[0] is None:
        raise RfcalcError("it does not say how many values it takes")
    count = told[0]
    axis = axis_of(int(node.attributes.get("axis", -1)), len(x.dims))
    dims = (*x.dims[:axis], int(count), *x.dims[axis + 1 :])
    made = graph.add(Along("topk", graph.axis(x, axis), keep=int(count)), (x.node,), dims, x.batch, extra=x.extra)
    reader.give(node, made)
    if len(node.outputs) > 1 and node.outputs[1]:
        reader.give(node, alone(graph, made, Elementwise("positions")), 1)
