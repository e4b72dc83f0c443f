"""ONNX files written node by node, and what the reference implementation of ONNX makes of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

Array = Any


# The reference implements these otherwise than the standard says, in some versions or ranks.


class MaxPool(OpRun):
    op_domain = ""

    def _run(
        self,
        x: Array,
        auto_pad: Any = None,
        ceil_mode: Any = None,
        dilations: Any = None,
        kernel_shape: Any = None,
        pads: Any = None,
        storage_order: Any = None,
        strides: Any = None,
    ) -> Any:
        rank = x.ndim - 2
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        wide = [(k - 1) * d + 1 for k, d in zip(kernel_shape, dilations, strict=True)]
        before, after = list((pads or [0] * 2 * rank)[:rank]), list((pads or [0] * 2 * rank)[rank:])
        for i, (n, k, s) in enumerate(zip(x.shape[2:], wide, strides, strict=True)):
            if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
                more = max((-(-n // s) - 1) * s + k - n, 0)
                less = more // 2
                before[i], after[i] = (less, more - less) if auto_pad == "SAME_UPPER" else (more - less, less)
        sizes = []
        for n, k, s, a, b in zip(x.shape[2:], wide, strides, before, after, strict=True):
            count = (n + a + b - k + (s - 1) * bool(ceil_mode)) // s + 1
            sizes.append(count - 1 if ceil_mode and (count - 1) * s >= n + a else count)
        out = np.full((*x.shape[:2], *sizes), -np.inf, x.dtype)
        for unit in product(*map(range, sizes)):
            for at in product(*map(range, kernel_shape)):
                p: Any = [u * s - a + t * d for u, s, a, t, d in zip(unit, strides, before, at, dilations, strict=True)]
                if all(0 <= i < n for i, n in zip(p, x.shape[2:], strict=True)):
                    there: Any = (slice(None), slice(None), *p)
                    here: Any = (slice(None), slice(None), *unit)
                    out[here] = np.maximum(out[here], x[there])
        return (out,)


class GlobalMaxPool(OpRun):
    op_domain = ""

    def _run(self, x: Array) -> Any:
        return (x.max(tuple(range(2, x.ndim)), keepdims=True),)


class BatchNormalization(OpRun):
    op_domain = ""

    def _run(self, x: Array, scale: Array, bias: Array, mean: Array, var: Array, **attributes: Any) -> Any:
        scale, bias, mean, var = (t.reshape(-1, *[1] * (x.ndim - 2)) for t in (scale, bias, mean, var))
        return ((x - mean) / np.sqrt(var + 1e-5) * scale + bias,)


def reference(model: Any) -> Any:
    return ReferenceEvaluator(model, new_ops=[MaxPool, GlobalMaxPool, BatchNormalization])


class File:
    """A file that grows: one input, nodes, constants; the reference's shape of the last value is at hand."""

    def __init__(self, random: Random, dims: Sequence[int], opset: int) -> None:
        self.random, self.opset = random, opset
        self.dims = tuple(dims)  # of the value that the next operator reads
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.given = tuple(dims)
        self.last = "x"
        self.macs = self.params = 0
        self.exact = True

    def name(self) -> str:
        return f"v{len(self.nodes) + len(self.constants)}"

    def constant(self, values: Array, dtype: Any = None) -> str:
        made = numpy_helper.from_array(np.asarray(values, dtype=dtype), self.name())
        self.constants.append(made)
        return str(made.name)

    def weight(self, *dims: int) -> str:
        """Positive numbers, none of them twice."""
        count = prod(dims)
        values = np.array(self.random.sample(range(count), count), dtype=np.float32).reshape(dims)
        return self.constant(0.25 + values / (4 * count + 1))

    def whole(self, *values: int) -> str:
        return self.constant(list(values), np.int64)

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """A node that reads the last value (or what is named) and gives the last value."""
        names = [f"{self.name()}_{i}" for i in range(outputs)]
        told = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(op, list(inputs), names, **told))
        self.last = names[0]
        return names

    def model(self) -> Any:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.given)
        y = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "g", [x], [y], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def value(self) -> Array:
        """The reference's result for zeros."""
        return evaluated(reference(self.model()), np.zeros(self.given, np.float32))

    def maybe(self, value: Any, chance: float = 0.5) -> Any:
        """A value, or nothing: so that defaults are met, too."""
        return value if self.random.random() < chance else None

    def axis(self, rank: int, first: int = 1) -> int:
        """One of the axes, counted from either end."""
        axis = self.random.randrange(first, rank)
        return axis - rank if self.random.random() < 0.5 else axis


def evaluated(known: Any, x: Array) -> Array:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return known.run(None, {"x": x})[0]


def told(f: File) -> str:
    return "\n".join(
        f"{n.op_type} {list(n.input)} {[helper.get_attribute_value(a) for a in n.attribute]}" for n in f.nodes
    )
