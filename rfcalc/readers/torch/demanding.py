"""What functions of PyTorch demand of lengths before any operator runs, or with data only.

What is compared with data only, and follows no rule here, is not told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from rfcalc.core.lengths import Asked, Length, lose
from rfcalc.readers.torch.asking import pair

_T: Any = torch.Tensor
ATTENTION: Any = F.scaled_dot_product_attention
COVARIANCES = frozenset(  # of one observation, a number
    getattr(owner, name) for owner in (_T, torch) for name in ("cov", "corrcoef")
)
# What PyTorch compares with data only.
_NOT_COMPARED = (
    "select_scatter", "slice_scatter", "diagonal_scatter", "as_strided_scatter", "put", "put_", "index_reduce",
    "index_reduce_", "mv", "dot", "vdot", "addmv", "addmv_", "addbmm", "addbmm_", "dist", "index_put", "index_put_",
)  # fmt: skip
UNFOLLOWED = frozenset(
    (
        torch.linalg.multi_dot,
        torch.linalg.vecdot,
        torch.chain_matmul,
        torch.geqrf,
        torch.segment_reduce,
        F.multi_margin_loss,
        F.multilabel_margin_loss,
        *(getattr(owner, n) for owner in (_T, torch) for n in _NOT_COMPARED if hasattr(owner, n)),
    )
)
PRODUCTS = frozenset((_T.matmul, torch.matmul, _T.__matmul__, _T.__rmatmul__, torch.inner, _T.inner))  # of vectors, too


def compared(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether PyTorch compares the shapes of what a function is given without data, too."""
    if func is F.embedding_bag:  # bags end where their offsets say
        return kwargs.get("offsets") is None and not args[1].is_meta
    if func in STRIDING:
        x = args[0]
        return not x.is_meta or x.untyped_storage().nbytes() == x.numel() * x.itemsize
    if func in PRODUCTS:
        return all(t.dim() > 1 for t in args[:2] if isinstance(t, torch.Tensor))
    if func is _T.__setitem__:
        at = args[1] if isinstance(args[1], tuple) else (args[1],)
        listed = any(isinstance(i, (list, torch.Tensor)) for i in at)
        return not (listed and isinstance(args[2], torch.Tensor) and args[2].dim())
    return func not in UNFOLLOWED


STRIDING = frozenset(
    getattr(owner, name)
    for owner in (_T, torch)
    for name in ("as_strided", "as_strided_", "as_strided_copy")
    if hasattr(owner, name)
)
DRAWING = frozenset((_T.multinomial, torch.multinomial))
FILLING = frozenset((_T.masked_scatter, torch.masked_scatter, _T.masked_scatter_))
KEEPING = frozenset(  # what writes over a tensor, and makes it no larger
    getattr(_T, name)
    for name in (
        *("__imod__", "__ipow__", "__iand__", "__ior__", "__ixor__", "__ifloordiv__", "remainder_", "fmod_", "pow_"),
        *("ge_", "gt_", "le_", "lt_", "eq_", "ne_", "hypot_", "copysign_", "atan2_", "arctan2_", "floor_divide_"),
        *("xlogy_", "heaviside_", "div_", "divide_", "clamp_", "clip_", "clamp_min_", "clamp_max_", "greater_"),
        *("greater_equal_", "less_", "less_equal_", "not_equal_", "float_power_", "nextafter_", "bitwise_and_"),
        *("bitwise_or_", "bitwise_xor_", "logical_and_", "logical_or_", "logical_xor_", "gcd_", "lcm_"),
        *("addcmul_", "addcdiv_", "bitwise_left_shift_", "bitwise_right_shift_"),
    )
    if hasattr(_T, name)
)


def _of_positions(x: Sequence[Any], *given: Any, use_input_stats: bool = True, **_: Any) -> bool:
    """Whether statistics of each map are of more than one value, where they are taken."""
    return not ((given[4] if len(given) > 4 else use_input_stats) and math.prod(x[2:]) == 1)


def _of_some(x: Sequence[Any], *_: Any, **__: Any) -> bool:
    """Whether there is something to resize; of maps, layers ask."""
    return all(n > 0 for n in x[2:] if type(n) is Length and not isinstance(n.made, Asked))


def _of_halves(x: Sequence[Any], dim: int = -1) -> bool:
    return bool(x[dim] % 2 == 0)


def _within_half(rank: int) -> Callable[..., bool]:
    """Whether the padding of a pool is at most half of its kernel, however that is dilated (PyTorch 2.13)."""

    def demand(x: Sequence[Any], kernel_size: Any, stride: Any = None, padding: Any = 0, *_: Any, **__: Any) -> bool:
        pairs = zip(pair(kernel_size, rank), pair(padding, rank), strict=True)
        return all(k >= 2 * p for k, p in pairs if type(p) is not int or p)

    return demand


def _of_equal_parts(axis: int) -> Callable[..., bool]:
    """Whether an axis is divided by a number of parts."""

    def demand(x: Sequence[Any], given: Any) -> bool:
        at = min(axis, len(x) - 1) if axis == 1 else axis
        return not isinstance(given, int) or bool(x[at] % given == 0)

    return demand


def _in_memory(x: Sequence[Any], size: Any, stride: Any, storage_offset: Any = 0) -> bool:
    """Whether the last value of a view by strides lies in a map that has its memory for itself."""
    last = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    return bool((storage_offset or 0) + last < math.prod(x))


def as_masked(query: Sequence[Any], key: Any, value: Any, attn_mask: Any = None, *_: Any, **__: Any) -> bool:
    """Whether a mask that is given is for as many queries as there are."""
    fixed = isinstance(attn_mask, torch.Tensor) and not attn_mask.is_meta and attn_mask.dim() > 1
    return not fixed or attn_mask.shape[-2] == 1 or bool(query[-2] == attn_mask.shape[-2])


def _enough_to_draw(x: Sequence[Any], num_samples: Any, replacement: bool = False, **_: Any) -> bool:
    return replacement or bool(num_samples <= x[-1])


def _enough_to_fill(x: Sequence[Any], mask: Any, source: torch.Tensor) -> bool:
    """Whether there are values for a whole map; where there are not, the mask's values say how many are asked for."""
    whole = math.prod(x)
    enough = not source.is_meta and bool(whole <= source.numel())
    if not enough and type(whole) is Length:
        lose(whole.made)
    return True


# What functions of PyTorch ask of the lengths of what they are given before any operator runs, or of values.
DEMANDING: dict[Any, Callable[..., bool]] = {
    F.instance_norm: _of_positions,
    F.glu: _of_halves,
    F.interpolate: _of_some,
    **{
        getattr(owner, f"{name}_pool{rank}d{end}"): _within_half(rank)
        for rank in (1, 2, 3)
        for owner in (F, torch)
        for name, end in (("max", ""), ("max", "_with_indices"), ("avg", ""))
        if hasattr(owner, f"{name}_pool{rank}d{end}")
    },
    **{
        getattr(owner, f"{letter}split"): _of_equal_parts(axis)
        for owner in (_T, torch)
        for axis, letter in enumerate("vhd")
    },
    **dict.fromkeys(STRIDING, _in_memory),
    **dict.fromkeys(DRAWING, _enough_to_draw),
    **dict.fromkeys(FILLING, _enough_to_fill),
}
