"""What operators ask of sizes on behalf of code: which of them tell sizes, pick positions, make pieces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch.fx.experimental._constant_symnode import ConstantIntNode

from rfcalc.core.lengths import Asked, Length, Share

_T: Any = torch.Tensor
SIZES = frozenset((
    _T.shape.__get__, _T.size, _T.numel, _T.nelement, _T.__len__, _T.__iter__, _T.stride, _T.nbytes.__get__,
    _T.untyped_storage, _T.storage_offset, torch.numel,
))  # fmt: skip


PICKING = frozenset((_T.__getitem__, _T.__setitem__))


class _Whole(torch.SymInt, int):  # type: ignore[misc]
    """What a length passes for: PyTorch's functions take it where they take whole numbers."""


class _Real(torch.SymFloat, float):  # type: ignore[misc]
    """The same for a quotient."""


Length.passes_for, Share.passes_for, Length.as_node = _Whole, _Real, ConstantIntNode


class Sizes(tuple[Any, ...]):
    """Lengths that pass for a `torch.Size`, which holds plain numbers only."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return torch.Size

    def numel(self) -> Any:
        return math.prod(self)

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return Sizes(found) if type(found) is tuple else found

    def __add__(self, other: Any) -> Any:
        return Sizes((*self, *other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return Sizes((*other, *self)) if isinstance(other, tuple) else NotImplemented

    def __copy__(self) -> Sizes:
        return self

    def __deepcopy__(self, memo: Any) -> Sizes:
        return self

    def __reduce__(self) -> Any:
        return torch.Size, (tuple([n.__index__() for n in self]),)


PIECES = frozenset((
    "split", "split_with_sizes", "chunk", "unbind", "tensor_split", "hsplit", "vsplit", "dsplit", "unsafe_split",
    "unsafe_chunk",
))  # fmt: skip
ASKING = {
    _T.item, _T.tolist, _T.numpy, _T.__array__, _T.__int__, _T.__float__, _T.__index__, _T.__complex__, _T.__bool__,
    _T.is_nonzero, torch.is_nonzero, torch.equal, _T.equal, torch.allclose, _T.allclose, _T.__format__, _T.__repr__,
    _T.__contains__,
}  # fmt: skip


SQUEEZING = frozenset((_T.squeeze, torch.squeeze, _T.squeeze_))
NARROWING = frozenset((_T.narrow, torch.narrow))
FITTING = frozenset(
    (
        _T.__getitem__,
        _T.index_select,
        torch.index_select,
        _T.gather,
        torch.gather,
        _T.take,
        torch.take,
        _T.take_along_dim,
        torch.take_along_dim,
        F.embedding,
        F.embedding_bag,
        F.one_hot,
        _T.narrow,
        torch.narrow,
        _T.select,
        torch.select,
        _T.split,
        torch.split,
        _T.split_with_sizes,
        _T.tensor_split,
        torch.tensor_split,
        _T.unfold,
        _T.as_strided,
        torch.as_strided,
        _T.scatter,
        torch.scatter,
        _T.scatter_,
        _T.index_add,
        _T.index_add_,
        _T.index_copy,
        _T.index_copy_,
        _T.index_fill,
        _T.index_fill_,
        _T.index_put,
        _T.index_put_,
        _T.__setitem__,
    )
)  # what refuses positions that a table does not have
BY_AXIS = frozenset(
    (
        _T.index_select,
        torch.index_select,
        _T.gather,
        torch.gather,
        _T.narrow,
        torch.narrow,
        _T.select,
        torch.select,
        _T.unfold,
        _T.scatter,
        torch.scatter,
        _T.scatter_,
    )
)
FLATTENS = frozenset((_T.flatten, torch.flatten))
VIEWS = frozenset((_T.view, _T.reshape, torch.reshape, *FLATTENS))


def picked(func: Any, args: Any, table: torch.Tensor) -> Iterator[int]:
    """The lengths of the axes of a table that an operator picks positions from."""
    if func in BY_AXIS:
        found = [i for i in args[1:3] if type(i) is int][:1] or [0]
        yield table.shape[found[0]]
    elif func is _T.__getitem__ and table is args[0]:
        at = args[1] if isinstance(args[1], tuple) else (args[1],)
        axis, consumed = 0, sum(i is not None and i is not Ellipsis for i in at)
        for i in at:
            if isinstance(i, torch.Tensor) and axis < table.dim():
                yield table.shape[axis]
            axis += table.dim() - consumed if i is Ellipsis else i is not None
    elif func in (F.embedding, F.embedding_bag):
        yield table.shape[0]
    else:
        yield from table.shape


def by_lengths(at: Any) -> bool:
    """Whether a position, or a bound of a slice, is a length."""
    return Length in map(type, (at.start, at.stop) if isinstance(at, slice) else (at,))


def lengths_of(func: Any, args: Any, kwargs: Any) -> tuple[Any, ...] | None:
    """The lengths of a tensor that is made of lengths alone, as the code gave them."""
    if func not in MAKING:
        return None
    args = args[1:] if func in MAKING_LIKE else args
    size = kwargs["size"] if "size" in (kwargs or {}) else args[0] if isinstance(args[0], (tuple, list)) else args
    return tuple(size) if all(isinstance(n, int) for n in size) else None


def merges(func: Any, args: Any) -> bool:
    """Whether a view merges its first axis with the next ones, as far as what it is given says so: where these have
    one position, the extents alone do not tell."""
    given = args[1] if len(args) > 1 and isinstance(args[1], (tuple, list)) else args[1:]
    if func in FLATTENS:
        return not given or (given[0] == 0 and (len(given) < 2 or given[1] != 0))
    if not given or type(given[0]) is Length:
        return bool(given) and not isinstance(given[0].made, Asked)
    return type(given[0]) is int and int(given[0]) == -1 and len(given) > 1 and type(given[1]) is int


MAKING_LIKE = frozenset((_T.new_zeros, _T.new_ones, _T.new_empty))
MAKING = frozenset((torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn, *MAKING_LIKE))
COUNTS = frozenset((_T.numel, _T.nelement, torch.numel))
