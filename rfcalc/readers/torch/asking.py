"""What operators ask of sizes on behalf of code: which of them tell sizes, pick positions, make pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch.fx.experimental._constant_symnode import ConstantIntNode

from rfcalc.core.lengths import Asked, Length, Share, plain
from rfcalc.core.plainly import beyond, cut, larger

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


FINEST = 64  # part of a length that a map is resized by
SQUEEZING = frozenset((_T.squeeze, torch.squeeze, _T.squeeze_))
INSERTING = frozenset((_T.unsqueeze, torch.unsqueeze))
NARROWING = frozenset((_T.narrow, torch.narrow))
LIKE = frozenset((_T.expand_as, _T.view_as, _T.reshape_as))  # what is given the lengths of another tensor
BY_INDEX = frozenset(  # of a tensor, an axis, positions
    getattr(owner, name + end)
    for owner in (_T, torch)
    for name in (
        *("index_select", "index_add", "index_copy", "index_fill", "index_reduce"),
        *("gather", "scatter", "scatter_add", "scatter_reduce"),
    )
    for end in ("", "_")
    if hasattr(owner, name + end)
)
UNPOOLING = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)
FLAT = frozenset((_T.take, torch.take))
ALONG = frozenset((_T.take_along_dim, torch.take_along_dim))
LOSSES = frozenset((F.cross_entropy, F.nll_loss))  # of what is counted for each class, the classes
BY_AXIS = frozenset((_T.narrow, torch.narrow, _T.select, torch.select, _T.unfold))
FITTING = BY_INDEX | BY_AXIS | PICKING | LOSSES | FLAT | ALONG | {
    *UNPOOLING,
    F.embedding, F.embedding_bag, F.one_hot, _T.split, torch.split, _T.split_with_sizes, _T.tensor_split,
    torch.tensor_split, _T.as_strided, torch.as_strided,
}  # fmt: skip  # what refuses positions that a table does not have
STRIDED = frozenset((_T.view, _T.view_as))  # what asks how a tensor lies in memory
FLATTENS = frozenset((_T.flatten, torch.flatten))
VIEWS = frozenset((_T.view, _T.reshape, torch.reshape, *FLATTENS))


def indexed(func: Any, args: Any, kwargs: Any) -> Iterator[tuple[torch.Tensor, Any, int | None, int]]:
    """The positions that an operator is given as values, what it picks from (or how many there are), the axis (None
    where all are laid out flat), and from where they count: -1 where negative ones count from the end, else 0."""
    table, *given = args
    if func in UNPOOLING:
        named = dict(zip(("indices", "kernel_size", "stride", "padding", "output_size"), given, strict=False)) | kwargs
        size = named.get("output_size")
        if isinstance(size, (tuple, list)) and isinstance(named.get("indices"), torch.Tensor):
            yield named["indices"], math.prod(size[-UNPOOLING.index(func) - 1 :]), None, 0
        return
    if func is F.one_hot:
        classes = (*given, kwargs.get("num_classes"))[0]
        if isinstance(classes, int) and (type(classes) is not int or classes > 0):
            yield table, classes, None, 0
        return
    if func in FLAT or func in ALONG:
        index, axis = (*given, *(kwargs[name] for name in ("index", "indices", "dim") if name in kwargs), None)[:2]
        if isinstance(index, torch.Tensor) and axis is None:  # along an axis it takes rests of what is given
            yield index, table, None, -(func in FLAT)
        return
    if func in LOSSES and given and isinstance(given[0], torch.Tensor) and not given[0].is_floating_point():
        yield given[0], table, min(1, table.dim() - 1), 0
        return
    if func in (F.embedding, F.embedding_bag):
        weight = (*given, kwargs.get("weight"))[0]
        if isinstance(weight, torch.Tensor):
            yield table, weight, 0, 0
        return
    if func in BY_INDEX:
        dim, index = (*given, *(kwargs[name] for name in ("dim", "index") if name in kwargs), None, None)[:2]
        if type(dim) is int and isinstance(index, torch.Tensor):
            yield index, table, dim, 0
        return
    if func not in PICKING:
        return
    at = given[0] if isinstance(given[0], tuple) else (given[0],)
    consumed = sum(_axes_of(i) for i in at)
    axis = 0
    for i in at:
        if isinstance(i, torch.Tensor) and i.dtype not in (torch.bool, torch.uint8) and axis < table.dim():
            yield i, table, axis, -1
        axis += table.dim() - consumed if i is Ellipsis else _axes_of(i)


def _axes_of(i: Any) -> int:
    """How many axes are picked from."""
    if i is None or i is Ellipsis:
        return 0
    return i.dim() if isinstance(i, torch.Tensor) and i.dtype in (torch.bool, torch.uint8) else 1


def picked(func: Any, args: Any, table: torch.Tensor) -> Iterator[int]:
    """The lengths of the axes of a table that an operator takes parts of."""
    if func in BY_AXIS:
        found = [i for i in args[1:3] if type(i) is int][:1] or [0]
        yield table.shape[found[0]]
    else:
        yield from table.shape


def positions(at: Any) -> list[Any]:
    """The lengths that pick one position, or where slices begin."""
    found = [i.start if isinstance(i, slice) else i for i in (at if isinstance(at, tuple) else (at,))]
    return [i for i in found if type(i) is Length]


def _scaled(func: Any, args: Any, kwargs: Any, lengths: Sequence[Any]) -> Iterator[Any]:
    """The lengths of what is resized by fractions, and how much of its map is read where it becomes shorter."""
    given = kwargs["scale_factor"] if "scale_factor" in kwargs else (*args, None, None)[2]
    for n, factor in zip(
        lengths[2:], given if isinstance(given, (tuple, list)) else [given] * len(lengths), strict=False
    ):
        if type(factor) is Share:
            yield math.floor(n * factor)
        elif isinstance(factor, float) and 1 < (below := factor.as_integer_ratio()[1]) <= FINEST:
            yield (made := math.floor(n * factor))
            if factor == 1 / below:
                yield made * below


def _part(x: Sequence[Any], dim: int, start: Any, length: Any) -> list[Any]:
    """Where a part ends, as code says where it begins and how long it is; it is asked whether the map has it, or ends
    there."""
    first = start if start >= 0 else start + x[dim]
    beyond(first + length, x[dim])
    return [first, first + length]


def _one(x: Sequence[Any], dim: int, index: Any) -> list[Any]:
    """The same of one position."""
    return one_at(index, x[dim])


def one_at(i: Any, n: Any) -> list[Any]:
    """Where one position begins and ends that is picked out of n; it is asked whether it is counted from the end."""
    first = i if i >= 0 else i + n
    return [first, first + 1] if first >= 0 and first < n else []


_OF_WINDOWS = ("kernel_size", "dilation", "padding", "stride")


def _windows(func: Any, args: Any, kwargs: Any, lengths: Sequence[Any]) -> Iterator[Any]:
    """How many windows an operator takes of each axis, and how many positions they have; how many there are in all."""
    if func is _T.unfold:
        axis, size, step = (*args, *(kwargs[n] for n in ("dimension", "size", "step") if n in kwargs))[1:4]
        count = (lengths[axis] - size) // step + 1
        yield from (count, count * size)
        return
    names = ["input", "output_size", *_OF_WINDOWS]
    if func is not F.fold:
        names.remove("output_size")
    given = {"dilation": 1, "padding": 0, "stride": 1, **dict(zip(names, args, strict=False)), **kwargs}
    space = pair(given["output_size"]) if func is F.fold else lengths[-2:]
    every: Any = 1
    how = [pair(given[name]) for name in _OF_WINDOWS]
    for n, size, gap, pad, step in zip(space, *how, strict=True):
        count = (n + 2 * pad - gap * (size - 1) - 1) // step + 1
        yield from (count, count * size)
        every = every * count
    yield every


def pair(value: Any, count: int = 2) -> Sequence[Any]:
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return given * count if len(given) == 1 else given


def cut_axes(at: Any, x: torch.Tensor) -> Iterator[int]:
    """The axes that slices may cut, and of which positions behind the first one are picked."""
    axis, consumed = 0, sum(i is not None and i is not Ellipsis for i in at)
    for i in at:
        bounds = (i.start, i.stop, i.step) if isinstance(i, slice) else ()
        if bounds not in ((), (None, None, None), (0, None, None)) or (isinstance(i, int) and i not in (0, -1)):
            yield axis
        axis += x.dim() - consumed if i is Ellipsis else i is not None


def cut_out(at: Any, lengths: Sequence[Any]) -> Iterator[Any]:
    """The lengths of what positions and slices pick."""
    axis, consumed = 0, sum(i is not None and i is not Ellipsis for i in at)
    for i in (*at, *(() if Ellipsis in at else (Ellipsis,))):
        if i is None:
            yield 1
        elif i is Ellipsis:
            yield from lengths[axis : axis + len(lengths) - consumed]
            axis += len(lengths) - consumed
        elif isinstance(i, slice):
            yield cut(i, lengths[axis])
            axis += 1
        else:
            if Length in (type(i), type(lengths[axis])):
                _ = i >= 0 and i < lengths[axis]
            axis += 1


def _cutting(args: Any, kwargs: Any, lengths: Sequence[Any]) -> tuple[Any, Any]:
    """By what a map is cut into pieces, and how long it is."""
    given = args[1] if len(args) > 1 else next((v for k, v in kwargs.items() if k not in ("dim", "axis")), None)
    axis = next((i for i in (*args[2:3], kwargs.get("dim"), kwargs.get("axis")) if type(i) is int), 0)
    return given, lengths[axis]


def _cuts(func: Any, args: Any, kwargs: Any, lengths: Sequence[Any]) -> list[Any]:
    """Where pieces of a map begin."""
    given, whole = _cutting(args, kwargs, lengths)
    if isinstance(given, (tuple, list)):
        return [] if func.__name__ == "tensor_split" else [*accumulate(given)]
    if type(given) not in (int, Length) or given < 1:
        return []
    if func.__name__ == "tensor_split":
        return [i * (whole // given) + min(i, whole % given) for i in range(1, plain(given))]
    most = -(-whole // given) if func.__name__ in ("chunk", "unsafe_chunk") else given
    return [i * most for i in range(1, -(-plain(whole) // plain(most)))] if most > 0 else []


def pieces(func: Any, args: Any, kwargs: Any, lengths: Sequence[Any], count: int) -> None:
    """Note what is asked of the length of a map that is cut into pieces: how many there are, where cuts lie."""
    given, whole = _cutting(args, kwargs, lengths)
    if type(given) in (int, Length):
        many = func.__name__ in ("chunk", "unsafe_chunk")
        most = -(-whole // given) if many else given
        if many or func.__name__ in ("split", "unsafe_split"):
            _ = -(-whole // most) == count
    elif func.__name__ == "tensor_split" and isinstance(given, (tuple, list)):
        for bound in given:
            beyond(bound, whole)


def _transformed(func: Any, args: Any, kwargs: Any, lengths: Sequence[Any]) -> list[Any]:
    """How many frequencies of real values there are, and how many values of them."""
    given = (*args[1:], None, None)
    axes = kwargs.get("dim", given[1])
    last = axes[-1] if isinstance(axes, (tuple, list)) else -1 if axes is None else axes
    size = kwargs.get("n", kwargs.get("s", given[0]))
    size = size[-1] if isinstance(size, (tuple, list)) else size
    whole = lengths[last] if size is None or plain(size) == -1 else size
    return [whole // 2 + 1] if "irfft" not in func.__name__ else [2 * (whole - 1) if size is None else whole]


def _as_given(rule: Callable[..., list[Any]]) -> Callable[[Any, Any, Any, Sequence[Any]], list[Any]]:
    """A rule of lengths that takes the arguments as code gives them."""
    return lambda func, args, kwargs, lengths: rule(lengths, *args[1:], **kwargs)


# What operators compute from the lengths of a map that they are given, beside what code gives them: the function, its
# arguments, the lengths.
GIVING: dict[Any, Callable[[Any, Any, Any, Sequence[Any]], Iterable[Any]]] = {
    F.interpolate: _scaled,
    **dict.fromkeys((F.unfold, F.fold, _T.unfold), _windows),
    **dict.fromkeys(NARROWING, _as_given(_part)),
    **dict.fromkeys((_T.select, torch.select), _as_given(_one)),
    **{getattr(owner, name): _cuts for owner in (_T, torch) for name in PIECES if hasattr(owner, name)},
    **{getattr(torch.fft, f"{i}rfft{n}"): _transformed for i in ("", "i") for n in ("", "2", "n")},
}
SELECTING = frozenset((_T.select, torch.select))
OF_TABLES = SELECTING | {F.interpolate}  # also where the map is a table, by lengths
_SHAPED_BY_VALUES = frozenset((
    _T.nonzero, torch.nonzero, torch.argwhere, _T.argwhere, torch.masked_select, _T.masked_select, torch.unique,
    _T.unique, torch.unique_consecutive, _T.unique_consecutive, torch.bincount, _T.bincount, torch.tril_indices,
    torch.triu_indices, torch.combinations,
))  # fmt: skip


def by_values(func: Any, args: Any, kwargs: Any, hangs: Callable[[torch.Tensor], Any]) -> bool:
    """Whether the shape of what an operator gives hangs on values that are made of lengths."""
    if func in _SHAPED_BY_VALUES:
        return True
    if func is torch.arange:
        return lengths_of(func, args, kwargs) is None
    if func is _T.__getitem__:
        at = args[1] if isinstance(args[1], tuple) else (args[1],)
        return any(isinstance(i, torch.Tensor) and i.dtype == torch.bool and hangs(i) is not None for i in at)
    if func in (F.one_hot, torch.where):
        return len(args) + len(kwargs) == 1
    if func in (_T.repeat_interleave, torch.repeat_interleave):
        counts = [*args[1:], *kwargs.values()] if len(args) + len(kwargs) > 1 else args
        return any(isinstance(i, torch.Tensor) and hangs(i) is not None for i in counts)
    return False


def by_lengths(at: Any) -> bool:
    """Whether a position, or a bound of a slice, is a length."""
    return Length in map(type, (at.start, at.stop) if isinstance(at, slice) else (at,))


def lengths_of(func: Any, args: Any, kwargs: Any) -> tuple[Any, ...] | None:
    """The lengths of a tensor that is made of lengths alone, as the code gave them."""
    if func is torch.arange:
        return _arange(args, kwargs)
    if func is torch.linspace:
        count = (*args[2:3], kwargs.get("steps"))[0]
        return (count,) if isinstance(count, int) else None
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


MAKING_LIKE = frozenset((_T.new_zeros, _T.new_ones, _T.new_empty, _T.new_full))
MAKING = frozenset((torch.zeros, torch.ones, torch.empty, torch.full, torch.rand, torch.randn, *MAKING_LIKE))
COUNTS = frozenset((_T.numel, _T.nelement, torch.numel))


def _arange(args: Any, kwargs: Any) -> tuple[Any, ...] | None:
    """How many numbers there are from a first one to a last one; None where that is not followed."""
    given = _from_to(args, kwargs)
    if given is None:
        return None
    start, end, step = given
    whole = {type(start), type(end), type(step)} <= {int, Length}
    if not (whole or getattr(kwargs.get("dtype"), "is_floating_point", True)):
        return None
    across = end - start if step > 0 else start - end
    if type(across) is Length and not isinstance(across.made, Asked):
        _ = across >= 0  # PyTorch refuses to count the other way
    count = across if abs(step) == 1 else -(-across // abs(step)) if whole else across / abs(step)
    if type(count) is Share:
        count = math.ceil(count)
    if not isinstance(count, int):
        return None
    return (count if type(start) is int and start == 0 and step > 0 else larger(count, 0),)


def _from_to(args: Any, kwargs: Any) -> tuple[Any, Any, Any] | None:
    """The first number, the end and the step of several; None where they are not followed."""
    given = [*args, *(kwargs[name] for name in ("start", "end", "step") if name in kwargs)]
    start, end, step = (0, *given, 1) if len(given) == 1 else (*given, 1)[:3]
    followed = type(step) in (int, float) and step != 0 and {type(start), type(end)} <= {int, float, Length}
    return (start, end, step) if followed else None


def ends_of(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
    """The least and the largest of numbers from a first one on; None where that is not followed."""
    if func is torch.linspace:
        start, end = (*args, *(kwargs[name] for name in ("start", "end") if name in kwargs))[:2]
        return (start, end) if start <= end else (end, start)
    given, count = _from_to(args, kwargs), _arange(args, kwargs)
    if given is None or count is None or plain(count[0]) < 1:
        return None
    start, _, step = given
    last = start + (count[0] - 1) * step
    return (start, last) if step > 0 else (last, start)
