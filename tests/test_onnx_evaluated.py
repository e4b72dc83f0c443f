"""Small hand-made graphs of operators that exporters seldom write, against onnx's reference evaluator: shapes, and
which positions of the input move a unit."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

import rfcalc  # noqa: E402
from rfcalc.readers.onnx import from_onnx  # noqa: E402
from rfcalc.receptive.receptive_field import ReceptiveField  # noqa: E402
from rfcalc.receptive.region_walk import regions  # noqa: E402

SIZE = 6
DRAWN = np.random.default_rng(0)
SPATIAL = (1, 2, SIZE, SIZE)


def weights(*dims: int) -> Any:
    return (DRAWN.random(dims) + 0.5).astype(np.float32)


def whole(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


W = weights(4, 2, 3, 3)
CONV = ("Conv", "x W", "h", {"pads": [1, 1, 1, 1]})


def after(op: str, inputs: str, tensors: dict[str, Any] | None = None, opset: int = 20, **attributes: Any) -> Any:
    """A 3 x 3 convolution of four channels (h), and an operator."""
    return [CONV, (op, inputs, "y", attributes)], {"W": W, **(tensors or {})}, opset


GRID = (DRAWN.random((1, 4, 4, 2)) * 2 - 1).astype(np.float32)
LOWER = np.tril(np.ones((SIZE, SIZE), dtype=bool))
TURNED = np.tile(np.arange(SIZE)[::-1], (1, 4, SIZE, 1)).astype(np.int64)
GRAPHS: dict[str, Any] = {
    "CumSum": after("CumSum", "h a", {"a": np.array(2)}),
    "CumSum from the end": after("CumSum", "h a", {"a": np.array(3)}, reverse=1),
    "CumSum of what is before": after("CumSum", "h a", {"a": np.array(2)}, exclusive=1),
    "CumSum of what is behind": after("CumSum", "h a", {"a": np.array(2)}, exclusive=1, reverse=1),
    "MeanVarianceNormalization": after("MeanVarianceNormalization", "h", axes=[0, 2, 3]),
    "ReduceSum of nothing": after("ReduceSum", "h", noop_with_empty_axes=1),
    "Einsum, a diagonal": after("Einsum", "h", equation="bchh->bch"),
    "Einsum, a trace": after("Einsum", "h", equation="bchh->bc"),
    "Einsum with a table": after("Einsum", "h M", {"M": weights(SIZE, 5)}, equation="bchw,wk->bchk"),
    "Trilu": after("Trilu", "h", upper=0),
    "GridSample": after("GridSample", "h g", {"g": GRID}),
    "CenterCropPad": after("CenterCropPad", "h s", {"s": whole(3, 9)}, axes=[2, 3]),
    "Where": after("Where", "c h z", {"c": LOWER, "z": np.float32(0)}),
    "Gather from the end": after("Gather", "h i", {"i": whole(-1, 0, 3)}, axis=3),
    "Slice backwards": after("Slice", "h a b c d", {"a": whole(-1), "b": whole(-7), "c": whole(3), "d": whole(-2)}),
    "ScatterND": after("ScatterND", "h j u", {"j": np.array([[0, 0], [0, 2]]), "u": weights(2, SIZE, SIZE)}),
    "ScatterElements": after("ScatterElements", "h k h", {"k": TURNED}, axis=3),
    "Concat along the last axis": after("Concat", "h h", axis=-1),
    "Tile": after("Tile", "h t", {"t": whole(1, 1, 2, 1)}),
    "Transpose": after("Transpose", "h"),
    "DepthToSpace": after("DepthToSpace", "h", blocksize=2, mode="CRD"),
    "SpaceToDepth": after("SpaceToDepth", "h", blocksize=2),
    "Pad, mirrored": after("Pad", "h p", {"p": whole(0, 0, 2, 0, 0, 0, 0, 3)}, mode="reflect"),
    "LpPool": after("LpPool", "h", kernel_shape=[3, 3], strides=[2, 2]),
    "AveragePool, dilated": after("AveragePool", "h", kernel_shape=[2, 2], dilations=[2, 2], strides=[2, 1]),
    "Resize, corners aligned": after(
        "Resize", "h _ s", {"s": np.float32([1, 1, 1.5, 2])}, mode="linear",
        coordinate_transformation_mode="align_corners",
    ),
    "Resize, cubic": after("Resize", "h _ s", {"s": np.float32([1, 1, 2, 2])}, mode="cubic"),
    "MatMul from the left": after("MatMul", "M h", {"M": weights(5, SIZE)}),
    "LRN": after("LRN", "h", size=3),
    "GroupNormalization": after("GroupNormalization", "h s t", {"s": weights(4), "t": weights(4)}, 21, num_groups=2),
    "DFT": (
        [("Unsqueeze", "x u", "h", {}), ("DFT", "h", "y", {"axis": 3})], {"u": whole(4)}, 17,
    ),
}  # fmt: skip
BOUNDED = {"Trilu", "GridSample", "Where", "DFT"}


def made(name: str) -> Any:
    nodes, tensors, opset = GRAPHS[name]
    held = [numpy_helper.from_array(np.asarray(value), key) for key, value in tensors.items()]
    graph = helper.make_graph(
        [helper.make_node(op, [i.strip("_") for i in ins.split()], [out], **more) for op, ins, out, more in nodes],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SPATIAL)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        held,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def moved(model: Any) -> tuple[Any, Any]:
    """What the evaluator makes, and which values of it each position changes, on one of two inputs."""
    run, drawn = ReferenceEvaluator(model), np.random.default_rng(1)
    found: Any = False
    for _ in range(2):
        x = drawn.normal(size=SPATIAL).astype(np.float32)
        (y,) = run.run(None, {"x": x})
        rows = []
        for place in product(range(SIZE), range(SIZE)):
            other = x.copy()
            other[(0, slice(None), *place)] += drawn.normal(size=2).astype(np.float32) * 4
            rows.append(run.run(None, {"x": other})[0] != y)
        found = found | np.stack(rows)
    return y, found.reshape(SIZE, SIZE, *y.shape)


@pytest.mark.parametrize("name", GRAPHS)
def test_against_the_evaluator(name: str) -> None:
    model = made(name)
    y, changed = moved(model)
    read = from_onnx(model.SerializeToString())
    assert read.complete, read.unknown
    report = rfcalc.analyze(read)
    position = report.network.position(report.network.outputs[0])
    shape = report.shapes[position]
    assert [n for n in shape.dims if n != 1] == [n for n in y.shape if n != 1]
    told = regions(report, position)
    status = str(ReceptiveField(report.fields[0][position], report.shapes[0], shape).status)
    assert (status == "bounded") == (name in BOUNDED)
    by_unit = changed.reshape(SIZE, SIZE, *shape.dims).any(2 + shape.channel)
    for unit in product(*(range(shape.dims[i]) for i in shape.axes)):
        seen = set(zip(*(axis.tolist() for axis in by_unit[(slice(None), slice(None), *unit)].nonzero()), strict=True))
        pixels = set(told.unit(unit).pixels())
        assert seen <= pixels if name in BOUNDED else seen == pixels, (unit, seen ^ pixels)


def test_control_another_graph_differs() -> None:
    left, right = (moved(made(name))[1] for name in ("CumSum", "CumSum of what is before"))
    assert (left != right).any()
