"""The lengths of tensors that are made of lengths: what operators make of tables, coordinates and masks.

1. What is not known here has lengths that are not known; what is told is compared with the shape that came out.
2. Where an operator demands that lengths are equal, or does something else where they are, that is asked of them.
3. A tensor that hangs on no length has plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from itertools import zip_longest
from typing import Any

import torch

from rfcalc.core.lengths import Length, atoms, plain, written
from rfcalc.core.plainly import larger
from rfcalc.readers.torch.asking import FINEST

Lengths = tuple[Any, ...]
Of = Callable[[Any], Lengths]  # the lengths of a tensor
_T: Any = torch.Tensor
_AS_THEY_WERE = frozenset((
    "to", "float", "double", "half", "bfloat16", "int", "long", "bool", "type", "type_as", "contiguous", "detach",
    "cumsum", "cumprod", "softmax", "flip", "roll", "tril", "triu", "ones_like", "zeros_like", "empty_like",
    "full_like", "fill", "zero",
))  # fmt: skip
_OPERATORS = {"truediv": "div", "floordiv": "div", "floor_divide": "div", "mod": "remainder", "invert": "bitwise_not"}


class Unknown(Exception):
    """The lengths of what comes out are not known."""


def shaped(func: Any, args: Any, kwargs: Any, of: Callable[[Any], Lengths | None]) -> Lengths | list[Lengths] | None:
    """The lengths of what an operator makes, several where it makes several tensors; None where they are not known."""
    rule = _rule(func)
    if rule is None:
        return None

    def known(tensor: Any) -> Lengths:
        if (found := of(tensor)) is None:
            raise Unknown
        return found

    try:
        found: Lengths | list[Lengths] = rule(known, *args, **kwargs)
    except (Unknown, TypeError, ValueError, IndexError):  # it is called in a way that is not known
        return None
    return found


@lru_cache(maxsize=1024)
def _rule(func: Any) -> Callable[..., Any] | None:
    if func in _TURNING:
        return lambda known, x: known(x)[::-1]
    name = getattr(func, "__name__", "")
    names = [name.strip("_"), *([name.strip("_")[1:]] if name.startswith("__") else [])]  # __radd__, __iadd__
    for each in names:
        if each in _AS_THEY_WERE:
            return lambda known, x, *args, **kwargs: known(x)
        if each in _RULES:
            return _RULES[each]
        packet: Any = getattr(torch.ops.aten, _OPERATORS.get(each, each), None) if each else None
        if packet is not None and any(torch.Tag.pointwise in getattr(packet, o).tags for o in packet.overloads()):
            written_over = (name.startswith("__i") and each == names[-1]) or name.rstrip("_") == name[:-1]
            return _each_value_of_one if written_over else _each_value
    return None


_RULES: dict[str, Callable[..., Any]] = {}


def _of(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


def _each_value(known: Of, *args: Any, **kwargs: Any) -> Lengths:
    return _spread([known(t) for t in (*args, *kwargs.values()) if isinstance(t, torch.Tensor)])


def _each_value_of_one(known: Of, x: Any, *args: Any, **kwargs: Any) -> Lengths:
    """What is written over a tensor is stretched to it."""
    for t in (*args, *kwargs.values()):
        if isinstance(t, torch.Tensor):
            _stretched(known(t), known(x))
    return known(x)


def _spread(several: Sequence[Lengths]) -> Lengths:
    """Of tensors whose axes of one position go with any other."""
    axes = zip_longest(*[lengths[::-1] for lengths in several], fillvalue=1)
    return tuple([reduce(_met, axis) for axis in axes])[::-1]


def _met(a: Any, b: Any) -> Any:
    """The length of an axis of several tensors, in which it is as long, or 1 in one of them; that it is so is one
    question, whichever it is."""
    if type(a) is int and a == 1:
        return b
    if (type(b) is int and b == 1) or _same(a, b):
        return a
    if type(a) is int:
        a, b = b, a
    fits = (a - b) * (a - 1) == 0 if type(b) is int else (a - b) * (a - 1) * (b - 1) == 0
    if not fits or not (type(b) is int or (a > 0 and b > 0)):
        raise Unknown
    return b if type(b) is int else larger(a, b)


def _alike(a: Any, b: Any) -> bool:
    """Whether two lengths are equal, which is asked where it is not known."""
    return _same(a, b) or bool(a == b)


def _same(a: Any, b: Any) -> bool:
    if type(a) is Length and type(b) is Length:
        pairs = zip(atoms(a.made), atoms(b.made), strict=False)
        return written(a.made) == written(b.made) and all((x.map, x.axis) == (y.map, y.axis) for x, y in pairs)
    return type(a) is int and type(b) is int and a == b


def _all_alike(several: Sequence[Lengths], but: int | None = None) -> None:
    first, *others = several
    for lengths in others:
        if len(lengths) != len(first):
            raise Unknown
        for axis, (a, b) in enumerate(zip(first, lengths, strict=True)):
            if axis != but and not _alike(a, b):
                raise Unknown


def _flat(given: Sequence[Any]) -> Sequence[Any]:
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


def _put(lengths: Lengths, axis: int, *made: Any) -> Lengths:
    """Lengths with others in the place of an axis."""
    at = range(len(lengths))[axis]
    return (*lengths[:at], *made, *lengths[at + 1 :])


@_of("unsqueeze")
def _unsqueeze(known: Of, x: Any, dim: int) -> Lengths:
    lengths = known(x)
    at = range(len(lengths) + 1)[dim]
    return (*lengths[:at], 1, *lengths[at:])


@_of("squeeze")
def _squeeze(known: Of, x: Any, dim: int) -> Lengths:
    lengths = known(x)
    if type(lengths[dim]) is not int:
        raise Unknown
    return _put(lengths, dim) if lengths[dim] == 1 else lengths


@_of("repeat", "tile")
def _repeat(known: Of, x: Any, *times: Any) -> Lengths:
    times, lengths = tuple(_flat(times)), known(x)
    before = (*[1] * (len(times) - len(lengths)), *lengths)
    return tuple([n * i for n, i in zip(before, (*[1] * (len(before) - len(times)), *times), strict=True)])


@_of("expand", "broadcast_to")
def _expand(known: Of, x: Any, *sizes: Any) -> Lengths:
    return _stretched(known(x), _flat(sizes))


@_of("expand_as")
def _expand_as(known: Of, x: Any, other: Any) -> Lengths:
    return _stretched(known(x), known(other))


def _stretched(lengths: Lengths, sizes: Sequence[Any]) -> Lengths:
    """Axes of one position stretched to sizes; -1 is as long as it was."""
    found = []
    for own, n in zip((*[1] * (len(sizes) - len(lengths)), *lengths), sizes, strict=True):
        as_it_was = type(n) is int and n == -1
        if not (as_it_was or (type(own) is int and own == 1) or _alike(own, n) or own == 1):
            raise Unknown
        found.append(own if as_it_was else n)
    return tuple(found)


@_of("permute")
def _permute(known: Of, x: Any, *dims: Any) -> Lengths:
    lengths = known(x)
    return tuple([lengths[i] for i in _flat(dims)])


@_of("transpose", "swapaxes", "swapdims")
def _transpose(known: Of, x: Any, one: int, other: int) -> Lengths:
    found = [*known(x)]
    found[one], found[other] = found[other], found[one]
    return tuple(found)


@_of("flatten")
def _flatten(known: Of, x: Any, start_dim: int = 0, end_dim: int = -1) -> Lengths:
    lengths = known(x)
    first, last = range(len(lengths))[start_dim], range(len(lengths))[end_dim]
    return (*lengths[:first], math.prod(lengths[first : last + 1]), *lengths[last + 1 :])


@_of("view", "reshape")
def _view(known: Of, x: Any, *sizes: Any) -> Lengths:
    sizes, left = tuple(_flat(sizes)), [*known(x)]
    more = []
    for n in sizes:  # what is on both sides is left out
        at = next((i for i, own in enumerate(left) if _same(own, n)), None)
        if at is None:
            more.append(n)
        else:
            del left[at]
    missing = [type(n) is int and n == -1 for n in sizes]
    whole, others = math.prod(left), math.prod([n for n in more if not (type(n) is int and n == -1)])
    found = whole if type(others) is int and others == 1 else whole // others
    if not _alike(whole, found * others if any(missing) else others):
        raise Unknown
    return tuple([found if gone else n for n, gone in zip(sizes, missing, strict=True)])


@_of("cat", "concat", "concatenate")
def _cat(known: Of, tensors: Sequence[Any], dim: int = 0) -> Lengths:
    several = [known(t) for t in tensors]
    at = range(len(several[0]))[dim]
    _all_alike(several, at)
    return _put(several[0], at, sum(lengths[at] for lengths in several))


@_of("stack")
def _stack(known: Of, tensors: Sequence[Any], dim: int = 0) -> Lengths:
    several = [known(t) for t in tensors]
    _all_alike(several)
    at = range(len(several[0]) + 1)[dim]
    return (*several[0][:at], len(several), *several[0][at:])


def _pieces(lengths: Lengths, dim: int, most: Any) -> list[Lengths]:
    whole = lengths[dim]
    count = -(-plain(whole) // plain(most))
    return [_put(lengths, dim, n) for n in (*[most] * (count - 1), whole - most * (count - 1))]


@_of("chunk", "unsafe_chunk")
def _chunk(known: Of, x: Any, chunks: int, dim: int = 0) -> list[Lengths]:
    lengths = known(x)
    return _pieces(lengths, dim, -(-lengths[dim] // chunks))


@_of("split", "unsafe_split", "split_with_sizes")
def _split(known: Of, x: Any, split_size_or_sections: Any, dim: int = 0) -> list[Lengths]:
    sizes, lengths = split_size_or_sections, known(x)
    if isinstance(sizes, (tuple, list)):
        if not _alike(sum(sizes), lengths[dim]):
            raise Unknown
        return [_put(lengths, dim, n) for n in sizes]
    return _pieces(lengths, dim, sizes)


@_of("unbind", "iter")
def _unbind(known: Of, x: Any, dim: int = 0) -> list[Lengths]:
    lengths = known(x)
    return [_put(lengths, dim)] * plain(lengths[dim])


@_of("meshgrid")
def _meshgrid(known: Of, *tensors: Any, indexing: str = "ij") -> list[Lengths]:
    found = [math.prod(known(t)) for t in _flat(tensors)]
    if indexing == "xy":
        found[:2] = found[1::-1]
    return [tuple(found)] * len(found)


@_of("repeat_interleave")
def _repeat_interleave(known: Of, x: Any, repeats: Any, dim: int | None = None) -> Lengths:
    lengths = known(x) if dim is not None else (math.prod(known(x)),)
    if not isinstance(repeats, int):
        raise Unknown
    return _put(lengths, dim or 0, lengths[dim or 0] * repeats)


@_of("outer", "ger")
def _outer(known: Of, x: Any, other: Any) -> Lengths:
    return (*known(x), *known(other))


@_of("einsum")
def _einsum(known: Of, equation: str, *operands: Any) -> Lengths:
    terms, _, result = equation.replace(" ", "").partition("->")
    lengths: dict[str, Any] = {}
    for letters, operand in zip(terms.split(","), _flat(operands), strict=True):
        for letter, n in zip(letters, known(operand), strict=True):
            lengths[letter] = _met(lengths[letter], n) if letter in lengths else n
    if "->" not in equation or "." in equation:
        raise Unknown
    return tuple([lengths[letter] for letter in result])


@_of("matmul")
def _matmul(known: Of, x: Any, other: Any) -> Lengths:
    (*before, rows, inner), (*others, own, columns) = known(x), known(other)
    if not _alike(inner, own):
        raise Unknown
    return (*_spread([tuple(before), tuple(others)]), rows, columns)


@_of("interpolate")
def _interpolate(known: Of, x: Any, size: Any = None, scale_factor: Any = None, *_: Any, **__: Any) -> Lengths:
    lengths = known(x)
    axes = range(2, len(lengths))
    each = scale_factor if size is None else size
    given = [*each] if isinstance(each, (tuple, list)) else [each] * len(axes)
    if size is not None:
        return *lengths[:2], *given
    shares = [float(factor).as_integer_ratio() for factor in given if type(factor) in (int, float)]
    if len(shares) < len(axes) or any(below > FINEST for _, below in shares):
        raise Unknown
    return *lengths[:2], *[lengths[i] * above // below for i, (above, below) in zip(axes, shares, strict=True)]


@_of("sum", "mean", "prod", "amax", "amin", "any", "all")
def _reduced(known: Of, x: Any, dim: Any = None, keepdim: bool = False) -> Lengths:
    lengths = known(x)
    every = range(len(lengths))
    gone = {every[i] for i in (every if dim is None else (dim,) if type(dim) is int else dim)}
    return tuple([1 if i in gone else n for i, n in enumerate(lengths) if keepdim or i not in gone])


@_of("view_as_complex")
def _as_complex(known: Of, x: Any) -> Lengths:
    return known(x)[:-1]


@_of("view_as_real")
def _as_real(known: Of, x: Any) -> Lengths:
    return (*known(x), 2)


_TURNING = frozenset((_T.T.__get__, _T.t, torch.t))
