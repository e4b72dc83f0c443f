"""What operators give without data, remembered: PyTorch works shapes out in Python, and models repeat their blocks.

Only what an operator of PyTorch makes new, or a view of that, is remembered, by all that its result may hang on: the
shapes, strides and types of its tensors, its other arguments with their types (1, 1.0 and True give other results), the
default type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rfcalc.readers.torch.direct import made

MOST = 1 << 15  # results

_PLAIN = frozenset(
    [int, float, bool, str, type(None), torch.dtype, torch.device, torch.memory_format, torch.layout]
)  # what is told apart by its value
_TENSORS = (torch.Tensor, torch.nn.Parameter)
_known: dict[Any, tuple[Any, Any, torch.dtype, Any]] = {}


def written_over(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result of an operator that writes over a tensor on the device ``meta``: there is nothing to write."""
    told = made(func, args, kwargs) if _as_torch_does(func) else None
    return func(*args, **kwargs) if told is None else told


def ran(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result of an operator that makes a tensor of its own, called with tensors on the device ``meta``."""
    if not _as_torch_does(func):
        return func(*args, **kwargs)
    told = made(func, args, kwargs)
    if told is not None:
        return told
    key = _key(func, args, kwargs)
    found = _known.get(key) if key is not None else None
    if found is not None:
        shape, stride, dtype, whole = found
        again = torch.empty_strided(*(whole or (shape, stride)), dtype=dtype, device="meta")
        return again.as_strided(shape, stride) if whole else again
    out = func(*args, **kwargs)
    if key is not None and _is_new(out, [*args, *kwargs.values()]):
        if len(_known) >= MOST:
            _known.clear()
        # a linear layer gives a view of its product: who writes into that in place writes into a view
        whole = None if out._base is None else (tuple(out._base.shape), out._base.stride())
        _known[key] = (tuple(out.shape), out.stride(), out.dtype, whole)
    return out


def _as_torch_does(func: Any) -> bool:
    """Whether an operator is PyTorch's own, and nothing of the code's looks on or changes what it makes."""
    if func.namespace != "aten" or torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        return False
    return not torch._C._len_torch_dispatch_stack()


def _key(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What the result hangs on; None where that is not known."""
    try:
        told = _told(args), tuple(kwargs), _told([*kwargs.values()])
    except _Unknown:
        return None
    return func, *told, torch.get_default_dtype()


class _Unknown(Exception):
    """An argument that is not told apart by its value."""


def _told(values: Sequence[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for value in values:
        kind = type(value)
        if kind in _PLAIN:
            found += (kind, value)
        elif kind in _TENSORS:
            if not _is_plain(value):
                raise _Unknown
            found.append((value.shape, value.stride(), value.dtype, value.storage_offset()))
        elif kind is list or kind is tuple:
            found.append(_told(value))
        else:
            raise _Unknown
    return tuple(found)


def _is_plain(tensor: torch.Tensor) -> bool:
    plain = tensor.is_meta and tensor.layout == torch.strided
    plain = plain and not (tensor.requires_grad and torch.is_grad_enabled())
    return plain and not tensor.dtype.is_complex


def _is_new(out: Any, given: Sequence[Any]) -> bool:
    """Whether the result is one tensor, with memory of its own."""
    if type(out) is not torch.Tensor or not _is_plain(out) or out.storage_offset():
        return False
    if out._base is not None and out._base.dtype != out.dtype:
        return False
    memory = out.untyped_storage()._cdata
    return all(memory != t.untyped_storage()._cdata for t in _tensors(given))


def _tensors(values: Sequence[Any]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _tensors(value)
    return found
