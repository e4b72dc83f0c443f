"""Numbers that code computes of lengths in tensors of one value: ``torch.ceil(frames).to(torch.int64) - 1``."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch.utils._python_dispatch import _disable_current_modes

from rfcalc.core.lengths import Length, Share
from rfcalc.readers.torch.asking import MAKING, PICKING, VIEWS

_T: Any = torch.Tensor
NEAR = 1e-5  # of single precision
COUNTED = frozenset((F.pad, F.interpolate, _T.expand, _T.repeat, *PICKING, *VIEWS, *MAKING))  # what takes whole numbers


def _kept(value: Any, *_: Any) -> Any:
    return value


def _back(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda one, other: function(other, one)


_COMPUTED: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "floor_divide": operator.floordiv, "__floordiv__": operator.floordiv, "remainder": operator.mod,
    "__radd__": operator.add, "__rmul__": operator.mul, "__rsub__": _back(operator.sub), "rsub": _back(operator.sub),
    "__rdiv__": _back(operator.truediv), "__rtruediv__": _back(operator.truediv),
    "__rfloordiv__": _back(operator.floordiv), "ceil": math.ceil, "floor": math.floor, "trunc": math.trunc,
    "round": round, "neg": operator.neg, "maximum": max, "minimum": min, "lt": operator.lt, "le": operator.le,
    "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
    **dict.fromkeys(("to", "long", "int", "float", "double", "clone", "detach", "tensor", "as_tensor"), _kept),
}  # fmt: skip


class Scalars:
    """The tensors of one value that were made of lengths, each with the number that it is."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[torch.Tensor, int, Any]] = {}

    def of(self, value: Any) -> Any:
        """The number that a tensor is; None if it is not known to be one."""
        tensor, version, number = self.known.get(id(value), (None, 0, None))
        return number if tensor is not None and tensor is value and tensor._version == version else None

    def counted(self, func: Any, args: Any) -> Any:
        """What an operator is given, with these numbers where it takes whole numbers."""
        return (*args[:1], *map(self._numbers, args[1:])) if self.known and func in COUNTED else args

    def _numbers(self, value: Any) -> Any:
        if isinstance(value, slice):
            return slice(*map(self._numbers, (value.start, value.stop, value.step)))
        if type(value) in (tuple, list):
            return type(value)(map(self._numbers, value))
        number = self.of(value) if isinstance(value, torch.Tensor) else None
        return number if type(number) is Length else value

    def made(self, func: Any, args: Sequence[Any], kwargs: Any, out: Any, fixed: Callable[[Any], bool]) -> None:
        """Note the number that an operator makes of others, if it is followed.

        Args:
            fixed: whether a tensor holds a value that hangs on no length.
        """
        compute = _COMPUTED.get(getattr(func, "__name__", ""))
        if compute is None or {*kwargs} - {"dtype", "device"}:
            return
        if not isinstance(out, torch.Tensor) or out.is_meta or out.dim():  # without a value, or of several
            return
        if out.dtype not in (torch.bool, torch.int32, torch.int64, torch.float32, torch.float64):
            return
        given = [self.of(v) if self.of(v) is not None else v for v in (args[:1] if compute is _kept else args)]
        with _disable_current_modes():
            given = [v.item() if isinstance(v, torch.Tensor) and not v.dim() and fixed(v) else v for v in given]
            value = out.item()
        if not all(isinstance(v, (int, float)) for v in given):
            return
        number = compute(*given)
        if not out.dtype.is_floating_point and type(number) is Share:
            number = math.trunc(number)
        plain = number.value if type(number) in (Length, Share) else number
        near = NEAR * max(1, abs(value)) if out.dtype.is_floating_point else 0
        if abs(plain - value) <= near:
            self.known[id(out)] = out, out._version, number
