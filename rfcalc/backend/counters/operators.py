"""Rules for the operators of a trace, as fvcore counts them: one multiply-add is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

Arguments = Mapping[str, Any]


def conv(args: Arguments, out: Any) -> float:
    """Padding that is a word makes another operator of it, which is not counted."""
    if isinstance(args["padding"], str):
        return 0
    return float(args["input"].shape[0] * args["weight"].numel() * prod(out.shape[2:]))


def transposed(args: Arguments, out: Any) -> float:
    return float(args["input"].shape[0] * args["weight"].numel() * prod(args["input"].shape[2:]))


def either(args: Arguments, out: Any) -> float:
    return transposed(args, out) if args["transposed"] else conv(args, out)


def linear(args: Arguments, out: Any) -> float:
    return float(args["input"].numel() * args["weight"].shape[0])


def matmul(args: Arguments, out: Any) -> float:
    a, b = args["self"], args["other"] if "other" in args else args["mat2"]
    if len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
        raise IndexError("a product with a vector")
    return float(a.numel() * b.shape[-1])


def addmm(args: Arguments, out: Any) -> float:
    return float(args["mat1"].numel() * args["mat2"].shape[1])


def einsum(args: Arguments, out: Any) -> float:
    from rfcalc.backend.counters.functions import contracted

    return contracted(args["equation"], [t.shape for t in args["tensors"]]) // 2


def batch_norm(args: Arguments, out: Any) -> float:
    affine = args["weight"] is not None
    if args["training"]:
        return float(args["input"].numel() * (5 if affine else 4))
    return float(args["input"].numel() * (2 if affine else 1))


def norm(args: Arguments, out: Any) -> float:
    return float(args["input"].numel() * (5 if args["weight"] is not None else 4))


def of_outputs(times: int) -> Callable[[Arguments, Any], float]:
    return lambda args, out: float(times * out.numel())


FVCORE: dict[str, Callable[[Arguments, Any], float]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), conv),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed),
    **dict.fromkeys(("convolution", "_convolution"), either),
    "linear": linear,
    **dict.fromkeys(("matmul", "mm", "bmm"), matmul),
    "addmm": addmm,
    "einsum": einsum,
    "batch_norm": batch_norm,
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), norm),
    "upsample_nearest2d": of_outputs(1),
    "upsample_bilinear2d": of_outputs(4),
    "adaptive_avg_pool2d": lambda args, out: float(args["self"].numel()),
    "grid_sampler": of_outputs(4),
}
