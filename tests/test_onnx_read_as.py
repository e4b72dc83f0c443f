"""What ONNX's operators are read as, node by node: attributes left out, older opsets, patterns, constants, shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from onnx_bytes import chain, message, model, node, tensor, text, value

from rfcalc import RfcalcError
from rfcalc.readers.onnx import from_onnx
from rfcalc.readers.onnx.model import DTYPES
from rfcalc.report import Report

Case = tuple[str, bytes]


def whole(name: str, *values: int, dims: Sequence[int] | None = None) -> bytes:
    return tensor(name, [len(values)] if dims is None else dims, values, 7)


def many(*inputs: bytes, nodes: Sequence[bytes], tensors: Sequence[bytes] = (), **more: Any) -> bytes:
    return model(nodes, inputs, [value("y", None)], tensors, **more)


def read_as(source: bytes) -> str:
    """Each node: its layer, and what it reads where that is not the node before; then the output, and what is told."""
    try:
        found = from_onnx(source)
    except RfcalcError as error:
        return f"refused: {str(error).splitlines()[0]}"
    told, before = [], next(iter(found.network.inputs))
    for made in found.network.nodes:
        read = "" if made.inputs == (before,) else f"({', '.join(made.inputs)})"
        told.append(f"{made.name}: {made.layer}{read}")
        before = made.name
    report = Report(found.network)
    told.append(f"→ {', '.join(str(report[name].output_shape) for name in found.network.outputs)}")
    told += [f"not read: {unknown.why}" for unknown in found.unknown]
    told += [f"note: {note[:50]}" for note in found.notes]
    return "; ".join(told)


def scoped(op: str, inputs: str, outputs: str, scopes: str) -> bytes:
    """An operator with the module scopes that PyTorch's exporter writes beside it."""
    return node(op, inputs, outputs) + message(9, text(1, "pkg.torch.onnx.name_scopes") + text(2, scopes))


N = node
K3 = tensor("w", [4, 3, 3])
MAP = (1, 3, 8, 8)
LINE = (1, 3, 8)
ONES = [tensor("one", [2], [1.0, 1.0]), tensor("zero", [2], [0.0, 0.0]), tensor("two", [2], [2.0, 1.0])]


def norm(square: bytes, axes: str = "a", more: Sequence[bytes] = (), **kept: Any) -> list[bytes]:
    """A layer normalisation, taken apart, with another square."""
    return [
        N("ReduceMean", f"x {axes}", "m", **kept), N("Sub", "x m", "d"), square, N("ReduceMean", f"s {axes}", "v"),
        N("Add", "v e", "p"), N("Sqrt", "p", "r"), *(more or [N("Div", "d r", "y")]),
    ]  # fmt: skip


GROUPED = [
    N("Reshape", "x split", "g"),
    N("InstanceNormalization", "g one zero", "i"),
    N("Reshape", "i back", "y"),
]
BACK = whole("back", 1, 4, 8)


def groups(scale: str, offset: str, first: int = 0) -> bytes:
    nodes = [GROUPED[0], N("InstanceNormalization", f"g {scale} {offset}", "i"), GROUPED[2]]
    given = [*ONES, whole("split", first, 2, -1), BACK]
    return chain(*nodes, given=(1, 4, 8), tensors=given)


EPS = [tensor("e", [], [1e-5]), tensor("2", [], [2.0]), tensor("3", [], [3.0]), whole("a", -1)]
POOL = N("MaxPool", "x", "y", kernel_shape=[2], strides=[3], pads=[1, 1], ceil_mode=1)
FLAT = [value("x", [1, 5, 8]), value("k", [1, 6, 4])]
WRITTEN = tensor("w", [1, 1, 3])
SLICES = [N("Reshape", "x r", "f"), N("Slice", "f o p q", "g")]
SLICED = [whole("r", 4, 2), whole("o", 0), whole("p", 1), whole("q", 0)]
LSTM = [tensor("w", [1, 24, 4]), tensor("r", [1, 24, 6])]


def ceil(*declared: int | str, opset: int = 17, producer: str = "hand") -> bytes:
    return model([POOL], [value("x", [1, 1, 5])], [value("y", declared or None)], opset=opset, producer=producer)


def resize(mode: str, where: str, *scales: float) -> bytes:
    factors = tensor("s", [len(scales)], scales)
    given = N("Resize", "x - s", "y", mode=mode, coordinate_transformation_mode=where)
    return chain(given, given=MAP if len(scales) == 4 else LINE, tensors=[factors])


def tied(times: int) -> bytes:
    """Convolutions one after another, all of the same weights."""
    nodes = [N("Conv", f"c{i} w", f"c{i + 1}", name=f"/l{i}/Conv", pads=[1, 1]) for i in range(times)]
    weights = tensor("w", [3, 3, 3], [float(i) for i in range(27)])
    return chain(N("Relu", "x", "c0"), *nodes, N("Tanh", f"c{times}", "y"), given=LINE, tensors=[weights])


CASES: list[Case] = [
    ("flat attention, fewer heads of keys",
     many(*FLAT, nodes=[N("Attention", "x k k", "y", q_num_heads=4, kv_num_heads=2)], opset=23)),
    ("attention without heads", many(*FLAT, nodes=[N("Attention", "x k k", "y")], opset=23)),
    ("attention of two axes", chain(N("Attention", "x x x", "y"), given=(5, 8), opset=23)),
    ("layer norm by Pow", chain(*norm(N("Pow", "d 2", "s")), given=LINE, tensors=EPS, opset=18)),
    ("layer norm by Mul", chain(*norm(N("Mul", "d d", "s")), given=LINE, tensors=EPS, opset=18)),
    ("no layer norm: a cube", chain(*norm(N("Pow", "d 3", "s")), given=LINE, tensors=EPS, opset=18)),
    ("no layer norm: a product with the input",
     chain(*norm(N("Mul", "d x", "s")), given=LINE, tensors=EPS, opset=18)),
    ("no layer norm: a map in place of ε",
     chain(N("Relu", "x", "e"), *norm(N("Mul", "d d", "s")), given=LINE, tensors=EPS[1:], opset=18)),
    ("no layer norm: its difference is used again",
     chain(*norm(N("Pow", "d 2", "s"), more=[N("Div", "d r", "z"), N("Add", "z d", "y")]),
           given=LINE, tensors=EPS, opset=18)),
    ("layer norm with a computed factor",
     chain(*norm(N("Mul", "d d", "s"), more=[N("Div", "d r", "z"), N("Reshape", "f l", "g"), N("Mul", "z g", "y")]),
           given=LINE, tensors=[*EPS, tensor("f", [1, 8], range(8)), whole("l", 8)], opset=18)),
    ("group norm", groups("one", "zero")),
    ("group norm, a batch of 1", groups("one", "zero", 1)),
    ("group norm, any batch", chain(*GROUPED, given=(1, 4, 8), tensors=[*ONES, whole("split", -1, 2, 16), BACK])),
    ("no group norm: a scale", groups("two", "zero")),
    ("no group norm: an offset", groups("one", "one")),
    ("silu", chain(N("Sigmoid", "x", "s"), N("Mul", "x s", "y"), given=LINE)),
    ("silu, gate first", chain(N("Sigmoid", "x", "s"), N("Mul", "s x", "y"), given=LINE)),
    ("no silu: the gate is used", chain(N("Sigmoid", "x", "s"), N("Mul", "s x", "z"), N("Add", "z s", "y"))),
    ("no silu: another's product", chain(N("Sigmoid", "x", "s"), N("Mul", "x s", "y", domain="own"), given=LINE)),
    ("GatherND", chain(N("GatherND", "x i", "y"), given=LINE, tensors=[whole("i", 0, 0, dims=[2, 1])])),
    ("GatherND of several axes", chain(N("GatherND", "x i", "y"), given=LINE, tensors=[whole("i", 0, 1, dims=[1, 2])])),
    ("batch norm without a batch",
     chain(*SLICES, N("BatchNormalization", "g s s s s", "y"), given=(1, 4, 2),
           tensors=[*SLICED, tensor("s", [2], [3.0, 2.0])])),
    ("batch norm of one axis",
     chain(N("Reshape", "x r", "f"), N("BatchNormalization", "f s s s s", "y"), given=(1, 1),
           tensors=[whole("r", 1), tensor("s", [1], [3.0])])),
    ("Add along an axis", chain(N("Add", "x b", "y", axis=1), given=MAP, tensors=[tensor("b", [3])], opset=6)),
    ("Add without an axis", chain(N("Add", "x b", "y"), given=MAP, tensors=[tensor("b", [8])], opset=6)),
    ("Add of two, along an axis", chain(N("Relu", "x", "r"), N("Add", "x r", "y", axis=0), given=MAP, opset=6)),
    ("layer norm, no axis", chain(N("LayerNormalization", "x s", "y"), given=LINE, tensors=[tensor("s", [8])])),
    ("rms norm", chain(N("RMSNormalization", "x s", "y"), given=LINE, tensors=[tensor("s", [8])], opset=23)),
    ("softmax before 13", chain(N("Softmax", "x", "y"), given=(1, 3, 4), opset=11)),
    ("softmax before 13, axis 2", chain(N("Softmax", "x", "y", axis=2), given=(1, 3, 4), opset=11)),
    ("softmax from 13", chain(N("Softmax", "x", "y"), given=(1, 3, 4), opset=13)),
    ("a batch of any name, reshaped",
     chain(N("Reshape", "x r", "y"), given=("n", 3, 8), tensors=[whole("r", 1, 24)])),
    ("one axis, the batch", chain(N("Relu", "x", "y"), given=("n",))),
    ("an extent of nought", chain(N("Relu", "x", "y"), given=(1, 0, 8))),
    ("positions first", chain(N("LSTM", "x w r", "y", hidden_size=6), given=(7, "batch", 4), tensors=LSTM)),
    ("batch first, with a state",
     many(value("x", [1, 7, 4]), value("h", [1, 1, 6]), tensors=LSTM,
          nodes=[N("LSTM", "x w r - - h", "z y", hidden_size=6, layout=1)])),
    ("shapes are worked out in a module",
     chain(N("Relu", "x", "r", name="/act/Relu"), N("Shape", "x", "n", name="/act/Shape"),
           N("Reshape", "r n", "y"), given=LINE)),
    ("scopes", chain(scoped("Tanh", "x", "a", "['body', 'tanh']"), scoped("Relu", "a", "b", "['', 'c', 'relu']"),
                     scoped("Sigmoid", "b", "y", "['sigmoid']"), given=LINE)),
    ("ceil, dropped", ceil(1, 1, 2)),
    ("ceil, kept", ceil(1, 1, 3)),
    ("ceil, not said", ceil()),
    ("ceil, not said, from 22", ceil(opset=22)),
    ("ceil, of PyTorch", ceil(1, 1, 3, producer="pytorch")),
    ("ceil, no version", ceil(opset=0)),
    ("an opset without a version", ceil() + message(8, text(1, ""))),
    ("LpPool, SAME",
     chain(N("LpPool", "x", "y", kernel_shape=[3], strides=[2], auto_pad="SAME_UPPER"), given=(1, 3, 6))),
    ("LpPool, padded", chain(N("LpPool", "x", "y", kernel_shape=[3], pads=[1, 0]), given=(1, 3, 6))),
    ("LpPool", chain(N("LpPool", "x", "y", kernel_shape=[3]), given=(1, 3, 6))),
    ("ceil, a sound size", chain(N("MaxPool", "x", "y", kernel_shape=[3], strides=[2], ceil_mode=1), given=(1, 3, 6))),
    ("ceil and SAME",
     chain(N("MaxPool", "x", "y", kernel_shape=[3], strides=[2], ceil_mode=1, auto_pad="SAME_UPPER"), given=(1, 3, 6))),
    ("einsum, turned", chain(N("Einsum", "x", "y", equation="bcl->blc"), given=LINE)),
    ("einsum, summed", chain(N("Einsum", "x", "y", equation="bcl->bl"), given=LINE)),
    ("einsum of two", chain(N("Einsum", "x x", "y", equation="bcl,bcl->bcl"), given=LINE)),
    ("einsum of three", chain(N("Einsum", "x x x", "y", equation="bcl,bcl,bcl->bcl"), given=LINE)),
    ("Squeeze of no axes", chain(N("Squeeze", "x", "y", axes=[]), given=(1, 3, 1), opset=11)),
    ("Squeeze of all", chain(N("Squeeze", "x", "y"), given=(1, 3, 1), opset=11)),
    ("channels last", chain(N("Relu", "x", "a"), N("MatMul", "a m", "y"), given=(1, 5, 7, 4),
                            tensors=[tensor("m", [4, 2])])),
    ("integer product", chain(N("MatMulInteger", "x v", "y"), given=(1, 8), tensors=[tensor("v", [8, 4], None, 3)])),
    ("integer product of tables",
     chain(N("MatMulInteger", "x v", "y"), given=(1, 2, 8), tensors=[tensor("v", [1, 8, 4], None, 3)])),
    ("dynamic, all outputs", chain(N("DynamicQuantizeLinear", "x", "y s z"), given=LINE)),
    ("resize 2 x 3", resize("nearest", "asymmetric", 1.0, 1.0, 2.0, 3.0)),
    ("resize 2 x 2", resize("linear", "half_pixel", 1.0, 1.0, 2.0, 2.0)),
    ("resize linear 2 x 3", resize("linear", "half_pixel", 1.0, 1.0, 2.0, 3.0)),
    ("resize a half", resize("linear", "asymmetric", 1.0, 1.0, 0.5, 0.25)),
    ("resize twice", resize("linear", "asymmetric", 1.0, 1.0, 2.0, 2.0)),
    ("resize cropped", resize("linear", "tf_crop_and_resize", 1.0, 1.0, 0.5, 0.5)),
    ("cubic a half", resize("cubic", "asymmetric", 1.0, 1.0, 0.5, 0.5)),
    ("resize of merged axes",
     chain(N("Reshape", "x r", "f"), N("Resize", "f - s", "y", mode="linear"), given=(1, 4, 3, 8),
           tensors=[whole("r", 4, 3, 8), tensor("s", [3], [1.0, 1.0, 2.0])])),
    ("transposed to a size",
     chain(N("ConvTranspose", "x w", "y", strides=[2], output_shape=[10]), given=(1, 4, 5), tensors=[K3])),
    ("transposed SAME_UPPER",
     chain(N("ConvTranspose", "x w", "y", strides=[2], auto_pad="SAME_UPPER"), given=(1, 4, 5), tensors=[K3])),
    ("transposed SAME_LOWER",
     chain(N("ConvTranspose", "x w", "y", strides=[2], dilations=[2], auto_pad="SAME_LOWER"), given=(1, 4, 5),
           tensors=[K3])),
    ("sampled", chain(N("GridSample", "x g", "s"), N("Relu", "s", "y"), given=MAP,
                      tensors=[tensor("g", [1, 5, 6, 2])])),
    ("regions", chain(N("RoiAlign", "x b i", "s"), N("Relu", "s", "y"), given=MAP,
                      tensors=[tensor("b", [5, 4]), whole("i", 0, 0, 0, 0, 0)])),
    ("exchanged with the batch", chain(N("Reshape", "x r", "s"), N("Relu", "s", "y"), given=(2, 3, 4),
                                       tensors=[whole("r", 3, 2, 4)])),
    ("the largest of the batch", chain(N("TopK", "x k", "y", axis=0), given=(2, 3, 4), tensors=[whole("k", 1)])),
    ("the largest, how many", chain(N("TopK", "x", "y"), given=LINE)),
    ("nothing is read", chain(N("Hardmax", "-", "h"), N("Relu", "h", "y"), given=LINE)),
    ("rows picked from a table of sizes",
     chain(N("Gather", "t i", "p"), N("Squeeze", "p", "r"), N("Reshape", "x r", "y"), given=LINE,
           tensors=[whole("t", 1, 2, 3, 1, 4, 6, dims=[2, 3]), whole("i", 1)])),
    ("sizes without axes of 1",
     chain(N("Squeeze", "t", "p"), N("Concat", "p q", "r", axis=0), N("Reshape", "x r", "y"), given=LINE,
           tensors=[whole("t", 1, 4, dims=[1, 2]), whole("q", 6)])),
    ("a table of sizes turned",
     chain(N("Transpose", "t", "p", perm=[1, 0, 2]), N("Reshape", "p f", "r"), N("Reshape", "x r", "y"), given=LINE,
           tensors=[whole("t", 1, 2, 3, 4, dims=[2, 2, 1]), whole("f", -1)])),
    ("names of tables",
     chain(N("Mul", "x table", "a"), N("Mul", "a onnx::Mul_3", "b"), N("Mul", "b /t/u", "c"), N("Mul", "c table", "y"),
           given=LINE, tensors=[tensor(name, [3, 8]) for name in ("table", "onnx::Mul_3", "/t/u")])),
    ("a table of products", chain(N("MatMul", "t v", "p"), N("Add", "x p", "y"), given=(1, 4, 3),
                                  tensors=[tensor("t", [1, 4, 2]), tensor("v", [2, 3])])),
    ("a table of sums", chain(N("Add", "t v", "p"), N("Add", "x p", "y"), given=(1, 4, 2),
                              tensors=[tensor("t", [1, 4, 2]), tensor("v", [4, 2])])),
    ("slopes of the last axis", chain(N("PRelu", "x s", "y"), given=(1, 8, 5, 3), tensors=[tensor("s", [3])])),
    ("slopes of the channels", chain(N("PRelu", "x s", "y"), given=MAP, tensors=[tensor("s", [3, 1, 1])])),
    ("slopes of one", chain(N("PRelu", "x s", "y"), given=MAP, tensors=[tensor("s", [1])])),
    ("too large", chain(N("Relu", "x", "y"), given=(64,) * 9)),
    ("product of maps", chain(N("Reshape", "x r", "f"), N("Gemm", "f f b", "y", transB=1), given=(1, 3, 8),
                              tensors=[whole("r", 3, 8), tensor("b", [3, 3])])),
    ("product of maps, turned", chain(N("Reshape", "x r", "f"), N("Gemm", "f f", "y", transA=1), given=(1, 3, 8),
                                      tensors=[whole("r", 3, 8)])),
    ("product of maps that do not fit", chain(N("Reshape", "x r", "f"), N("Gemm", "f f", "y"), given=(1, 3, 8),
                                              tensors=[whole("r", 3, 8)])),
    ("products with tables", chain(N("MatMul", "x v", "y"), given=(1, 3, 8), tensors=[tensor("v", [1, 8, 4])])),
    ("product of two maps of two axes",
     chain(N("Reshape", "x r", "f"), N("Transpose", "f", "t"), N("MatMul", "f t", "y"), given=(1, 3, 8),
           tensors=[whole("r", 3, 8)])),
    ("a written number", chain(N("Constant", "", "c", value_float=0.25), N("Mul", "x c", "y"), given=LINE)),
    ("a written whole number", chain(N("Constant", "", "c", value_int=2), N("Mul", "x c", "y"), given=LINE)),
    ("mean of positions", chain(N("ReduceMean", "x", "y", axes=[2, 3]), given=MAP)),
    ("largest of positions", chain(N("ReduceMax", "x", "y", axes=[2, 3], keepdims=0), given=MAP)),
    ("a signal beside a map",
     model([N("Concat", "m m", "j", axis=1), N("Conv", "j w", "n"), N("Unsqueeze", "x u", "o"), N("Conv", "o k", "y")],
           [value("x", [1, 100]), value("m", [1, 2, 8])], [value("y", None), value("n", None)],
           [tensor("w", [3, 4, 3]), tensor("k", [1, 1, 3]), whole("u", 1)])),
    ("weights used five times", tied(5)),
    ("weights used seven times", tied(7)),
]  # fmt: skip


def test_read_as(golden: Callable[[str, str], None]) -> None:
    golden("onnx_read_as.txt", "\n".join(f"{name}: {read_as(source)}" for name, source in CASES))


@pytest.mark.parametrize("dtype", sorted(set(DTYPES) - {8}))
def test_bits_of_a_type(dtype: int) -> None:
    """As many as the onnx package writes for it."""
    onnx = pytest.importorskip("onnx")
    kind = onnx.helper.tensor_dtype_to_np_dtype(dtype)
    written = onnx.numpy_helper.from_array(np.zeros(1000, kind)).raw_data
    assert len(written) * 8 == 1000 * DTYPES[dtype][1]
