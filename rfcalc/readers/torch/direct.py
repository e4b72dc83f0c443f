"""What the most usual operators make without data, told directly: PyTorch's own rules are in Python, and cost more than
the rest of a reading.

One table, from operators to rules. A rule tells the result only where shape, strides and type follow surely: tensors
of one type of real numbers that are not empty, most of them laid out row by row. Whatever else it is asked, and what
the operator would refuse, it leaves to PyTorch. What is written over is as it was. The tests ask both, for thousands
of random tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Rule = Callable[..., "torch.Tensor | None"]
RULES: dict[Any, Rule] = {}
FLOATS = frozenset([torch.float32, torch.float64, torch.float16, torch.bfloat16])
_TENSORS = (torch.Tensor, torch.nn.Parameter)
_NUMBERS = (int, float)
_META = torch.device("meta")


def made(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.Tensor | None:
    """The result of an operator that is called with tensors on the device ``meta``; None where no rule tells it."""
    rule = RULES.get(func)
    if rule is None:
        return None
    try:
        return rule(*args, **kwargs)
    except TypeError:  # arguments that the rule does not know
        return None


def rows(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a tensor of this shape that is laid out row by row.

    >>> rows((2, 3, 4))
    (12, 4, 1)
    """
    found: list[int] = []
    step = 1
    for n in reversed(shape):
        found.append(step)
        step *= n
    return tuple(reversed(found))


def _of(*operators: Any) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, rule))
        return rule

    return register


def _new(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty_strided(shape, rows(shape), dtype=dtype, device=_META)


def _plain(x: Any, dtype: torch.dtype | None = None) -> bool:
    """Whether something is a tensor without data that no rule has to look at closer: of real numbers, not empty."""
    return (
        type(x) in _TENSORS
        and (x.dtype in FLOATS if dtype is None else x.dtype == dtype)
        and x.is_meta
        and x.layout == torch.strided
        and not (x.requires_grad and torch.is_grad_enabled())
        and x.numel() > 0
    )


def _in_rows(x: torch.Tensor) -> bool:
    return x.stride() == rows(x.shape)


def _channels_last(x: torch.Tensor) -> bool:
    if x.dim() != 4:
        return False
    n, channels, height, width = x.shape
    a, b, c, d = rows((n, height, width, channels))
    return x.stride() == (a, d, b, c)


def _kept(x: torch.Tensor) -> bool:
    """Whether what works value by value keeps the layout: row by row, or another order of axes without gaps and without
    axes of size 1, the place of which would be open."""
    if _in_rows(x):
        return True
    step = 1
    for stride, n in sorted(zip(x.stride(), x.shape, strict=True)):
        if n == 1 or stride != step:
            return False
        step *= n
    return True


def _like(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=_META)


def _vector(given: Any, shape: Sequence[int], dtype: torch.dtype) -> bool:
    """Whether something is left out, or is parameters of this shape and type, row by row."""
    return given is None or (_plain(given, dtype) and tuple(given.shape) == tuple(shape) and _in_rows(given))


def _fits(small: Sequence[int], large: Sequence[int]) -> bool:
    """Whether one shape can be repeated to the other, which has as many axes or more."""
    pairs = zip(reversed(small), reversed(large), strict=False)
    return len(small) <= len(large) and all(n in (1, m) for n, m in pairs)


def _repeats(x: torch.Tensor, large: Sequence[int]) -> bool:
    """Whether a tensor can be repeated to a shape, and lies row by row but for the axes along which it is."""
    own = zip(reversed(x.shape), reversed(large), reversed(x.stride()), reversed(rows(x.shape)), strict=False)
    return _fits(x.shape, large) and all(s == t or n != m for n, m, s, t in own)


ATEN = torch.ops.aten


@_of(ATEN.relu.default, ATEN.sigmoid.default, ATEN.tanh.default, ATEN.silu.default, ATEN.hardswish.default)
@_of(ATEN.hardsigmoid.default, ATEN.mish.default, ATEN.relu6.default, ATEN.exp.default, ATEN.sqrt.default)
@_of(ATEN.rsqrt.default, ATEN.neg.default, ATEN.abs.default)
def _value_by_value(x: Any) -> torch.Tensor | None:
    return _like(x) if _plain(x) and _kept(x) else None


@_of(ATEN.gelu.default)
def _gelu(x: Any, *, approximate: str = "none") -> torch.Tensor | None:
    return _value_by_value(x) if approximate in ("none", "tanh") else None


@_of(ATEN.clamp.default, ATEN.clamp_min.default, ATEN.pow.Tensor_Scalar)
def _by_a_number(x: Any, first: Any, *numbers: Any) -> torch.Tensor | None:
    return _by_numbers(x, first, *numbers)


@_of(ATEN.leaky_relu.default, ATEN.hardtanh.default, ATEN.elu.default, ATEN.softplus.default)
def _by_numbers(x: Any, *numbers: Any) -> torch.Tensor | None:
    return _value_by_value(x) if all(type(n) in _NUMBERS for n in numbers) else None


@_of(ATEN.relu_.default, ATEN.sigmoid_.default, ATEN.tanh_.default, ATEN.silu_.default, ATEN.hardswish_.default)
@_of(ATEN.hardsigmoid_.default, ATEN.mish_.default, ATEN.relu6_.default, ATEN.gelu_.default)
def _written_over(x: Any) -> torch.Tensor | None:
    return x if _plain(x) and _kept(x) else None


@_of(ATEN.leaky_relu_.default, ATEN.hardtanh_.default, ATEN.elu_.default)
def _written_over_by_numbers(x: Any, *numbers: Any) -> torch.Tensor | None:
    return _written_over(x) if all(type(n) in _NUMBERS for n in numbers) else None


@_of(ATEN.add_.Tensor, ATEN.sub_.Tensor)
def _sum_written_over(x: Any, other: Any, *, alpha: Any = 1) -> torch.Tensor | None:
    return _two_written_over(x, other) if type(alpha) is int else None


@_of(ATEN.mul_.Tensor, ATEN.div_.Tensor)
def _two_written_over(x: Any, other: Any) -> torch.Tensor | None:
    if type(other) in _NUMBERS:
        return _written_over(x)
    if not _plain(x) or not _kept(x) or not _plain(other, x.dtype) or not _fits(other.shape, x.shape):
        return None
    return x if other.untyped_storage()._cdata != x.untyped_storage()._cdata else None


@_of(ATEN.add.Tensor, ATEN.sub.Tensor)
def _sum(x: Any, other: Any, *, alpha: Any = 1) -> torch.Tensor | None:
    return _two(x, other) if type(alpha) is int else None


@_of(ATEN.mul.Tensor, ATEN.div.Tensor)
def _two(x: Any, other: Any) -> torch.Tensor | None:
    """Two tensors of one type and layout; one may be a number, or be repeated along axes of the other."""
    if type(other) in _NUMBERS:
        return _value_by_value(x)
    if not _plain(x) or not _plain(other, x.dtype):
        return None
    if x.shape == other.shape:
        return _like(x) if x.stride() == other.stride() and _kept(x) else None
    large, small = (x, other) if x.dim() > other.dim() or x.numel() >= other.numel() else (other, x)
    return _like(large) if _in_rows(large) and _repeats(small, large.shape) else None


@_of(ATEN.softmax.int, ATEN.log_softmax.int)
def _softmax(x: Any, dim: Any, dtype: Any = None) -> torch.Tensor | None:
    if dtype is not None or not _plain(x) or not _in_rows(x):
        return None
    return _like(x) if -x.dim() <= dim < x.dim() else None


@_of(ATEN.layer_norm.default)
def _layer_norm(
    x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5, cudnn: Any = True
) -> torch.Tensor | None:
    if not _plain(x) or not shape or tuple(x.shape[-len(shape) :]) != tuple(shape):
        return None
    if x.is_contiguous() and not _in_rows(x):  # axes of size 1 keep their strides
        return None
    return _new(x.shape, x.dtype) if _vector(weight, shape, x.dtype) and _vector(bias, shape, x.dtype) else None


@_of(ATEN.group_norm.default)
def _group_norm(
    x: Any, groups: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5, cudnn: Any = True
) -> torch.Tensor | None:
    if not _plain(x) or x.dim() < 3 or not _in_rows(x) or groups < 1 or x.shape[1] % groups:
        return None
    one = (x.shape[1],)
    return _like(x) if _vector(weight, one, x.dtype) and _vector(bias, one, x.dtype) else None


@_of(ATEN.batch_norm.default)
def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: Any, momentum: Any, eps: Any, cudnn: Any
) -> torch.Tensor | None:
    """With the statistics that it has learned; whether these fit is asked of the step (`unchecked`)."""
    if training is not False or mean is None or not _plain(x):
        return None
    if _in_rows(x):
        return _like(x)
    known = x.dtype == mean.dtype and (1 not in x.shape or _channels_last(x))
    return torch.empty_like(x) if known else None


@_of(ATEN.linear.default)
def _linear(x: Any, weight: Any, bias: Any = None) -> torch.Tensor | None:
    if not _plain(x) or not _plain(weight, x.dtype) or x.dim() < 2 or weight.dim() != 2 or not _in_rows(x):
        return None
    made, takes = weight.shape
    if x.shape[-1] != takes or not _vector(bias, (made,), x.dtype):
        return None
    shape = (*x.shape[:-1], made)
    if bias is None or x.dim() == 2:
        return _new(shape, x.dtype)
    return _new((x.numel() // takes, made), x.dtype).as_strided(shape, rows(shape))  # a view of its product


@_of(ATEN.bmm.default)
def _bmm(a: Any, b: Any) -> torch.Tensor | None:
    return _matmul(a, b) if _plain(a) and a.dim() == 3 else None


@_of(ATEN.matmul.default)
def _matmul(a: Any, b: Any) -> torch.Tensor | None:
    if not _plain(a) or not _plain(b, a.dtype) or a.dim() != b.dim() or a.dim() < 3:
        return None
    if a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        return None
    return _new((*a.shape[:-1], b.shape[-1]), a.dtype)


@_of(ATEN.scaled_dot_product_attention.default)
def _attention(
    q: Any, k: Any, v: Any, mask: Any = None, dropout: Any = 0.0, causal: Any = False, *, scale: Any = None, **more: Any
) -> torch.Tensor | None:
    if not _plain(q) or not _plain(k, q.dtype) or not _plain(v, q.dtype) or dropout != 0.0:
        return None
    if more.get("enable_gqa", False) or not 3 <= q.dim() == k.dim() == v.dim() or q.shape[:-2] != k.shape[:-2]:
        return None
    if k.shape[:-1] != v.shape[:-1] or q.shape[-1] != k.shape[-1] or type(scale) not in (type(None), float):
        return None
    if mask is not None:
        typed = _plain(mask, q.dtype) or _plain(mask, torch.bool)
        if causal or not typed or mask.dim() < 2 or not _fits(mask.shape, (*q.shape[:-1], k.shape[-2])):
            return None
    return _new((*q.shape[:-1], v.shape[-1]), q.dtype)


@_of(ATEN.cat.default)
def _cat(parts: Any, dim: Any = 0) -> torch.Tensor | None:
    if type(parts) not in (list, tuple) or not parts or not _plain(parts[0]):
        return None
    first = parts[0]
    rank, dtype = first.dim(), first.dtype
    if not -rank <= dim < rank:
        return None
    shape, at, length = list(first.shape), dim % rank, 0
    for x in parts:
        if not _plain(x, dtype) or x.dim() != rank or not _in_rows(x):
            return None
        length += x.shape[at]
        shape[at] = x.shape[at]
        if shape != list(x.shape):
            return None
    shape[at] = length
    return _new(shape, dtype)


@_of(ATEN.adaptive_avg_pool2d.default)
def _adaptive(x: Any, size: Any) -> torch.Tensor | None:
    if not _plain(x) or x.dim() not in (3, 4) or not _in_rows(x) or len(size) != 2 or min(size) < 1:
        return None
    return _new((*x.shape[:-2], *size), x.dtype)


@_of(ATEN.roll.default)
def _roll(x: Any, shifts: Any, dims: Any = ()) -> torch.Tensor | None:
    if not _plain(x) or not dims or type(shifts) is not list or len(shifts) != len(dims):
        return None
    return _new(x.shape, x.dtype) if all(-x.dim() <= d < x.dim() for d in dims) else None


@_of(ATEN.upsample_linear1d.vec, ATEN.upsample_bilinear2d.vec, ATEN.upsample_trilinear3d.vec)
@_of(ATEN.upsample_bicubic2d.vec)
def _upsampled(x: Any, size: Any, corners: Any, scales: Any = None) -> torch.Tensor | None:
    return _nearest(x, size, scales)


@_of(ATEN.upsample_nearest1d.vec, ATEN.upsample_nearest2d.vec, ATEN.upsample_nearest3d.vec)
def _nearest(x: Any, size: Any, scales: Any = None) -> torch.Tensor | None:
    axes = size if scales is None else scales
    if not axes or (size is not None and scales is not None) or not _plain(x) or x.dim() != 2 + len(axes):
        return None
    if not _in_rows(x):
        return None
    long = size if scales is None else [int(n * s) for n, s in zip(x.shape[2:], scales, strict=True)]
    return _new((*x.shape[:2], *long), x.dtype) if min(long) > 0 else None
