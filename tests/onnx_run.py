"""The onnx package's sample networks run with PyTorch, for gradients: their operators as ONNX defines them.

Weights are drawn (positive, in double precision), maxima are means, ReLUs straight, so that a gradient shows every
dependence. Nothing of rfcalc is used.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def _padded(x: Tensor, given: dict[str, Any]) -> Tensor:
    """With the borders that the file says: first all befores, then all afters."""
    pads = given.get("pads", [0, 0, 0, 0])
    assert given.get("auto_pad", b"NOTSET") == b"NOTSET"
    return F.pad(x, (pads[1], pads[3], pads[0], pads[2]))


def _conv(given: dict[str, Any], x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    return F.conv2d(_padded(x, given), w, b, strides, 0, dilations, given.get("group", 1))


def _pool(given: dict[str, Any], x: Tensor) -> Tensor:
    assert not given.get("ceil_mode")
    return F.avg_pool2d(_padded(x, given), given["kernel_shape"], given.get("strides", [1, 1]))


def _norm(given: dict[str, Any], x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return F.batch_norm(x, mean, var, scale, bias, eps=given.get("epsilon", 1e-5))


def _reshape(given: dict[str, Any], x: Tensor, to: Tensor) -> Tensor:
    return x.reshape([x.shape[i] if n == 0 else int(n) for i, n in enumerate(to.tolist())])


def _unsqueeze(given: dict[str, Any], x: Tensor) -> Tensor:
    for axis in given["axes"]:
        x = x.unsqueeze(axis)
    return x


OPERATORS: dict[str, Any] = {
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": lambda given, x: x.mean((2, 3), keepdim=True),
    "BatchNormalization": _norm,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda given, x: x.permute(given["perm"]),
    "Concat": lambda given, *xs: torch.cat(xs, given["axis"]),
    "Sum": lambda given, *xs: sum(xs[1:], xs[0]),
    "Add": lambda given, a, b: a + b,
    "Mul": lambda given, a, b: a * b,
    "LRN": lambda given, x: F.local_response_norm(x, given["size"], given["alpha"], given["beta"], given["bias"]),
    "Relu": lambda given, x: x,
    "Dropout": lambda given, x: x,
    "Softmax": lambda given, x: x.softmax(given.get("axis", 1)),
}


def run(path: Path) -> tuple[Tensor, dict[str, Tensor]]:
    """The input, and what every operator before the first ``Gemm`` gives, by its type and number (``conv1``)."""
    import onnx
    from onnx import helper, numpy_helper

    graph = onnx.load(path).graph
    chance = torch.Generator().manual_seed(0)
    values: dict[str, Tensor] = {"": None}  # type: ignore[dict-item]
    for tensor in graph.initializer:
        kept = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        values[tensor.name] = kept.double() if kept.is_floating_point() else kept
    (info,) = (i for i in graph.input if i.name not in values)
    shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
    x = values[info.name] = torch.rand(shape, dtype=torch.float64, generator=chance).requires_grad_()
    found: dict[str, Tensor] = {}
    sizes: dict[str, list[int]] = {}  # of weights, drawn when they are used
    numbers: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type == "Gemm":  # only vectors follow
            break
        if node.op_type == "ConstantOfShape":
            sizes[node.output[0]] = values[node.input[0]].tolist()
            continue
        for name in node.input:
            if name in sizes and name not in values:
                drawn = torch.rand(sizes[name], dtype=torch.float64, generator=chance)
                fan = math.prod(sizes[name][1:])
                values[name] = (drawn + 0.5) / fan if len(sizes[name]) > 1 else drawn * 0.5 + 0.75
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        made = values[node.output[0]] = OPERATORS[node.op_type](given, *(values[name] for name in node.input))
        numbers[node.op_type] += 1
        found[f"{node.op_type.lower()}{numbers[node.op_type]}"] = made
    return x, found
