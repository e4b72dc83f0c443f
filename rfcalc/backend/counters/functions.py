"""Rules for functions that tools replace while a module runs: ptflops and calflops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

Rule = Callable[..., float]
Called = Callable[[str, str, Rule, Any, Any], None]


def values(input: Any, *args: Any, **kwargs: Any) -> float:  # noqa: A002
    return float(input.numel())


def no_work(*args: Any, **kwargs: Any) -> float:
    return 0


def elementwise(input: Any, other: Any, *args: Any, **kwargs: Any) -> float:  # noqa: A002
    """The values of the result; axes are compared from the front, as the tools do."""
    a = list(input.shape) if torch.is_tensor(input) else None
    b = list(other.shape) if torch.is_tensor(other) else None
    if a is None or b is None:
        return float(1 if a is None and b is None else prod(b if a is None else a))  # type: ignore[arg-type]
    rank = max(len(a), len(b))
    pairs = zip(a + [1] * (rank - len(a)), b + [1] * (rank - len(b)), strict=True)
    return float(prod(max(pair) for pair in pairs))


def product(input: Any, other: Any, *args: Any, **kwargs: Any) -> float:  # noqa: A002
    return float(input.numel() * other.shape[-1])


def plus_product(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, **kwargs: Any) -> float:  # noqa: A002
    return float(mat1.numel() * mat2.shape[-1] + (input.numel() if beta != 0 else 0))


def resized(input: Any = None, size: Any = None, scale_factor: Any = None, *args: Any, **kwargs: Any) -> float:  # noqa: A002
    """ptflops: the result's values, from what is asked for."""
    rank = input.dim() - 2
    assert rank > 0
    if size is not None:
        sides = int(prod(size)) if isinstance(size, (tuple, list)) else int(size) ** rank
        return float(sides * prod(input.shape[:2]))
    assert scale_factor is not None
    if isinstance(scale_factor, tuple) and len(scale_factor) == len(input.shape) - 2:
        return float(input.numel() * int(prod(scale_factor)))
    return float(input.numel() * scale_factor**rank)


# --- calflops: FLOPs ------------------------------------------------------------------------------------------


def twice_linear(input: Any, weight: Any, bias: Any = None) -> float:  # noqa: A002
    return float(2 * input.numel() * weight.shape[0])


def twice_conv(
    input: Any,  # noqa: A002
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> float:
    assert weight.shape[1] * groups == input.shape[1]
    kernel = list(weight.shape[2:])
    if padding == "same":
        sides = [(d * (k - 1)) // 2 for d, k in zip(_each(dilation, kernel), kernel, strict=True)]
    else:
        sides = [0] * len(kernel) if padding == "valid" else list(_each(padding, kernel))
    places = input.shape[0] * prod(_lengths(input, kernel, sides, stride, dilation))
    found = prod(kernel) * input.shape[1] * (weight.shape[0] // groups) * places
    return float(2 * found + (0 if bias is None else weight.shape[0] * places))


def twice_transposed(
    input: Any,  # noqa: A002
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> float:
    """Biases are counted as if it were no transposed convolution."""
    kernel, out = list(weight.shape[2:]), weight.shape[1]
    sides = _each(padding, kernel)
    found = prod(kernel) * input.shape[1] * (out // groups) * input.shape[0] * prod(input.shape[2:])
    lengths = _lengths(input, kernel, sides, stride, dilation)
    return float(2 * found + (0 if bias is None else out * input.shape[0] * prod(lengths)))


def _each(value: Any, kernel: Sequence[int]) -> Sequence[int]:
    return value if type(value) is tuple else (value,) * len(kernel)


def _lengths(x: Any, kernel: Sequence[int], sides: Sequence[int], stride: Any, dilation: Any) -> list[int]:
    parts = zip(x.shape[2:], kernel, sides, _each(stride, kernel), _each(dilation, kernel), strict=True)
    return [(n + 2 * p - (d * (k - 1) + 1)) // s + 1 for n, k, p, s, d in parts]


def batch_normed(
    input: Any,  # noqa: A002
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: Any = 1e-05,
) -> float:
    affine = weight is not None
    return float(input.numel() * ((5 if affine else 4) if training else (2 if affine else 1)))


def normed(input: Any, shape: Any = None, weight: Any = None, *args: Any, **kwargs: Any) -> float:  # noqa: A002
    return float(input.numel() * (5 if weight is not None else 4))


def instance_normed(input: Any, mean: Any = None, var: Any = None, weight: Any = None, *more: Any, **kw: Any) -> float:  # noqa: A002
    return float(input.numel() * (5 if weight is not None else 4))


def interpolated(*args: Any, **kwargs: Any) -> float:
    """The sizes that are asked for, without channels; or the values that go in."""
    size = kwargs.get("size") if len(args) < 2 or kwargs.get("size") is not None else args[1]
    if size is not None:
        return float(prod(size) if isinstance(size, (tuple, list)) else int(size))
    assert kwargs.get("scale_factor", args[2] if len(args) > 2 else None) is not None
    return float(args[0].numel())


def twice_product(input: Any, other: Any, *, out: Any = None) -> float:  # noqa: A002
    return float(2 * input.numel() * other.shape[-1])


def plus_twice(self: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> float:
    return float(2 * mat1.numel() * mat2.shape[-1] + self.numel())


def einsum(equation: str, *operands: Any) -> float:
    return contracted(equation, [t.shape for t in operands])


def contracted(equation: str, shapes: Sequence[Sequence[int]]) -> float:
    """What numpy says a contraction takes at best."""
    import numpy

    path = numpy.einsum_path(equation.replace(" ", ""), *[numpy.zeros(tuple(s)) for s in shapes], optimize="optimal")
    line = next(line for line in path[1].split("\n") if "optimized flop" in line.lower())
    return int(float(line.split(":")[-1]))


def _pools() -> list[str]:
    return [f"{kind}_pool{n}d" for kind in ("avg", "max", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)]


PTFLOPS: dict[tuple[Any, str], Rule] = {
    **{(F, n): values for n in ("relu", "prelu", "elu", "relu6", "gelu", "softmax", "silu", *_pools())},
    **{(F, n): resized for n in ("upsample", "interpolate")},
    **{(owner, n): product for owner in (torch, torch.Tensor) for n in ("matmul", "mm", "bmm")},
    **{(owner, n): elementwise for owner in (torch, torch.Tensor) for n in ("mul", "add")},
    (torch, "addmm"): plus_product,
    (torch.Tensor, "addmm"): plus_product,
    (torch, "baddbmm"): plus_product,
}
CALFLOPS: dict[tuple[Any, str], Rule] = {
    (F, "linear"): twice_linear,
    **{(F, f"conv{n}d"): twice_conv for n in (1, 2, 3)},
    **{(F, f"conv_transpose{n}d"): twice_transposed for n in (1, 2, 3)},
    **{(F, n): values for n in ("relu", "prelu", "elu", "leaky_relu", "relu6", "silu", "gelu", "softmax", *_pools())},
    (F, "batch_norm"): batch_normed,
    **{(F, n): normed for n in ("layer_norm", "group_norm")},
    (F, "instance_norm"): instance_normed,
    **{(F, n): interpolated for n in ("upsample", "interpolate")},
    (F, "embedding"): no_work,
    **{(owner, "matmul"): twice_product for owner in (torch, torch.Tensor)},
    **{(owner, "addmm"): plus_twice for owner in (torch, torch.Tensor)},
    **{(owner, n): elementwise for owner in (torch, torch.Tensor) for n in ("mul", "add")},
    (torch, "einsum"): einsum,
    (torch, "baddbmm"): plus_twice,
}


@contextmanager
def replaced(called: Called) -> Iterator[None]:
    """Functions tell of every call, `called(tool, name, rule, args, kwargs)`, before they run."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for owner, name in dict.fromkeys([*PTFLOPS, *CALFLOPS]):
            function = getattr(owner, name, None)
            if function is None:
                continue
            before.append((owner, name, function))
            setattr(owner, name, _telling(owner, name, function, called))
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def _telling(owner: Any, name: str, function: Any, called: Called) -> Any:
    label = f"{'F' if owner is F else 'Tensor' if owner is torch.Tensor else 'torch'}.{name}"
    rules = [(tool, r[owner, name]) for tool, r in (("ptflops", PTFLOPS), ("calflops", CALFLOPS)) if (owner, name) in r]

    def telling(*args: Any, **kwargs: Any) -> Any:
        for tool, rule in rules:
            called(tool, label, rule, args, kwargs)
        return function(*args, **kwargs)

    return telling
