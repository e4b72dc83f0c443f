"""The least and the largest number of tensors that code computes of lengths: ``torch.arange(n)[:, None] + n - 1``.

A tensor of one value is a number that code may go on with (``torch.ceil(frames).to(torch.int64) - 1``); one of several
holds positions that it picks, which a table must have.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch.utils._python_dispatch import _disable_current_modes

from rfcalc.core.lengths import Length, Share
from rfcalc.core.plainly import larger, smaller
from rfcalc.readers.torch.asking import MAKING, PICKING, VIEWS, ends_of

_T: Any = torch.Tensor
NEAR = 1e-5  # of single precision
MOST = 1 << 24  # values of which the extremes are looked up
COUNTED = frozenset((F.pad, F.interpolate, _T.expand, _T.repeat, *PICKING, *VIEWS, *MAKING))  # what takes whole numbers
WITH_VALUES = (torch.bool, torch.int32, torch.int64, torch.float32, torch.float64)


class Range(NamedTuple):
    """The least and the largest of several numbers; where they are not exact, none lies beyond them."""

    least: Any
    largest: Any
    exact: bool = True

    @property
    def one(self) -> bool:
        return self.least is self.largest


Rule = Callable[..., "Range | None"]


def _of_each(function: Callable[[Any], Any]) -> Rule:
    """What keeps the order of numbers."""
    return lambda x, *_: _both(function, x)


def _both(function: Callable[..., Any], *given: Range) -> Range:
    least = function(*[r.least for r in given])
    return Range(least, least if all(r.one for r in given) else function(*[r.largest for r in given]))


def _of_one(function: Callable[..., Any]) -> Rule:
    """What is followed of single numbers only."""
    return lambda *given: _both(function, *given) if all(r.one for r in given) else None


def _add(x: Range, y: Range) -> Range:
    return _both(operator.add, x, y)


def _negative(x: Range) -> Range:
    return Range(least := -x.largest, least if x.one else -x.least)


def _sub(x: Range, y: Range) -> Range:
    if x.one and y.one:
        return _both(operator.sub, x, y)
    return Range(x.least - y.largest, x.largest - y.least)


def _mul(x: Range, y: Range) -> Range | None:
    if x.one and y.one:
        return _both(operator.mul, x, y)
    if y.one:
        x, y = y, x
    if x.one:
        ends = x.least * y.least, x.least * y.largest
        return Range(*ends) if x.least >= 0 else Range(*ends[::-1])
    return _both(operator.mul, x, y) if x.least >= 0 and y.least >= 0 else None


def _divided(how: Callable[[Any, Any], Any]) -> Rule:
    def divide(x: Range, y: Range) -> Range | None:
        return _both(how, x, y) if y.one and (x.one or y.least > 0) else None

    return divide


def _remainder(x: Range, y: Range) -> Range | None:
    if x.one and y.one:
        return _both(operator.mod, x, y)
    if not y.one:
        return None
    return x if x.least >= 0 and x.largest < y.least else Range(0, y.least - 1)


def _higher(a: Any, b: Any) -> Any:
    """The larger of two; it is asked which one, as other numbers are taken there."""
    return a if a >= b else b


def _lower(a: Any, b: Any) -> Any:
    return a if a <= b else b


def _absolute(x: Range) -> Range:
    if x.least >= 0:
        return x
    return _negative(x) if x.largest <= 0 else Range(0, larger(-x.least, x.largest))


def _clamp(x: Range, least: Range | None = None, largest: Range | None = None) -> Range:
    if least is not None:
        x = _both(_higher, x, least)
    return x if largest is None else _both(_lower, x, largest)


def _largest(x: Range, y: Range | None = None) -> Range:
    return Range(x.largest, x.largest) if y is None else _both(_higher, x, y)


def _least(x: Range, y: Range | None = None) -> Range:
    return Range(x.least, x.least) if y is None else _both(_lower, x, y)


def _back(rule: Rule) -> Rule:
    return lambda x, y: rule(y, x)


_DIVIDE, _FLOOR = _divided(operator.truediv), _divided(operator.floordiv)
_RULES: dict[str, Rule] = {
    **dict.fromkeys(("add", "__radd__"), _add), **dict.fromkeys(("mul", "__rmul__"), _mul), "sub": _sub,
    **dict.fromkeys(("rsub", "__rsub__"), _back(_sub)), **dict.fromkeys(("div", "true_divide"), _DIVIDE),
    **dict.fromkeys(("__rdiv__", "__rtruediv__"), _back(_DIVIDE)),
    **dict.fromkeys(("floor_divide", "__floordiv__"), _FLOOR),
    "__rfloordiv__": _back(_FLOOR), **dict.fromkeys(("remainder", "__mod__"), _remainder), "neg": _negative,
    "abs": _absolute, "__abs__": _absolute, "clamp": _clamp, "clip": _clamp,
    "clamp_min": _clamp, "clamp_max": lambda x, y: _clamp(x, None, y),
    **{name: _of_each(how) for name, how in (
        ("ceil", math.ceil), ("floor", math.floor), ("trunc", math.trunc), ("round", round),
    )},
    **dict.fromkeys(("maximum", "max", "amax"), _largest), **dict.fromkeys(("minimum", "min", "amin"), _least),
    **{name: _of_one(getattr(operator, name)) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
}  # fmt: skip
_KEPT = frozenset((
    "to", "long", "int", "float", "double", "clone", "detach", "tensor", "as_tensor", "contiguous", "type_as", "cpu",
    "view", "reshape", "flatten", "ravel", "unflatten", "unsqueeze", "squeeze", "expand", "expand_as", "repeat", "tile",
    "broadcast_to", "permute", "transpose", "swapaxes", "movedim", "t", "flip", "roll", "meshgrid", "stack", "cat",
    "concat", "concatenate",
))  # fmt: skip  # the same numbers, in other places or of another type
PARTS = (_T.__getitem__, _T.index_select, torch.index_select, _T.narrow, torch.narrow, _T.select, torch.select)
# What picks some of the numbers that it is given: these.
CHOOSING: dict[Any, Callable[[Any], Sequence[Any]]] = {
    **dict.fromkeys((torch.where, _T.where), lambda args: args[1:3] if args[0].dtype == torch.bool else args[::2]),
    **dict.fromkeys((_T.masked_fill, torch.masked_fill), lambda args: args[::2]),
    **dict.fromkeys(
        (_T.__getitem__, _T.index_select, torch.index_select, _T.gather, torch.gather), lambda args: args[:1]
    ),
    **dict.fromkeys((_T.narrow, torch.narrow, _T.select, torch.select), lambda args: args[:1]),
    F.embedding: lambda args: args[1:2],
}


class Extremes:
    """The tensors that were made of lengths, each with the least and the largest number in it."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[torch.Tensor, int, Range]] = {}

    def of(self, value: Any) -> Any:
        """The number that a tensor is; None if it is not known to be one."""
        found = self.within(value)
        return found.least if found is not None and found.exact and not value.dim() else None

    def within(self, value: Any) -> Range | None:
        """The least and the largest number of a tensor; None if they are not known."""
        tensor, version, found = self.known.get(id(value), (None, 0, None))
        return found if tensor is not None and tensor is value and tensor._version == version else None

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

    def made(self, followed: Sequence[Range | None], out: Any) -> None:
        """Note the extremes of what an operator made, where they are those that were followed."""
        made = out if isinstance(out, (tuple, list)) else (out,)
        for t, found in zip(made, followed, strict=False):
            if found is None or not isinstance(t, torch.Tensor) or t.is_meta or not 0 < t.numel() <= MOST:
                continue
            if t.dtype not in WITH_VALUES:
                continue
            if not t.dtype.is_floating_point:
                found = _both(lambda n: math.trunc(n) if type(n) is Share else n, found)._replace(exact=found.exact)
            ends = _ends(t)
            exact = all(_near(n, end, t.dtype) for n, end in zip(found, ends, strict=False))
            if exact or (t.dim() and _value(found.least) <= ends[0] and ends[1] <= _value(found.largest)):
                self.known[id(t)] = t, t._version, found._replace(exact=found.exact and exact)

    def followed(self, func: Any, args: Sequence[Any], kwargs: Any, fixed: Callable[[Any], bool]) -> list[Range | None]:
        """The extremes of each tensor that an operator is about to make, as far as they follow a rule.

        Args:
            fixed: whether a tensor holds values that hang on no length.
        """
        return [*self._rule(func, args, kwargs, fixed)]

    def _rule(
        self, func: Any, args: Sequence[Any], kwargs: Any, fixed: Callable[[Any], bool]
    ) -> Iterator[Range | None]:
        if func in CHOOSING and not kwargs and not (func is _T.__getitem__ and _whole(args[1])):
            chosen = self._given(CHOOSING[func](args), fixed)
            yield chosen and chosen._replace(exact=chosen.exact and chosen.one)
            return
        name = getattr(func, "__name__", "")
        if name.startswith("__i") or (name.endswith("_") and name[-2:] != "__"):  # in place
            name = name.strip("_").removeprefix("i" if name.startswith("__") else "")
        if func in (torch.arange, torch.linspace):
            ends = ends_of(func, args, kwargs)
            yield None if ends is None else Range(*ends)
            return
        if name in _KEPT or (func is _T.__getitem__ and _whole(args[1])):
            given = args[0] if name == "meshgrid" and isinstance(args[0], (tuple, list)) else args
            yield from [self._given(v, fixed) for v in (given if name == "meshgrid" else given[:1])]
            return
        rule = _RULES.get(name)
        if rule is _DIVIDE and kwargs.get("rounding_mode") == "floor":
            rule, kwargs = _FLOOR, {key: value for key, value in kwargs.items() if key != "rounding_mode"}
        bounds = ("min", "max") if rule is _clamp else ()
        along = rule in (_largest, _least) and any(isinstance(v, (int, tuple)) for v in args[1:])  # an axis
        if rule is None or along or {*kwargs} - {"dtype", "device", *bounds}:
            return
        told = [*args, *(kwargs.get(key) for key in bounds[len(args) - 1 :])]
        given = [None if v is None else self._given(v, fixed) for v in told]
        if rule is _clamp and given[0] is None and None not in given[1:]:
            yield Range(given[1].least, given[2].largest, False)
        elif all(r is not None for r, v in zip(given, told, strict=True) if v is not None) and given[0] is not None:
            found = rule(*given)
            yield found and found._replace(exact=all(r.exact for r in given if r is not None))

    def _given(self, value: Any, fixed: Callable[[Any], bool]) -> Range | None:
        """The extremes of what an operator is given."""
        if isinstance(value, (tuple, list)):
            several = [r for v in value if (r := self._given(v, fixed)) is not None]
            fractions = len(several) > 1 and any(Share in map(type, r) for r in several)  # which are not compared
            return _joined(several) if several and len(several) == len(value) and not fractions else None
        if not isinstance(value, torch.Tensor):
            return Range(value, value) if isinstance(value, (int, float)) else None
        if (found := self.within(value)) is not None:
            return found
        if not fixed(value) or value.is_meta or not 0 < value.numel() <= MOST or value.dtype not in WITH_VALUES:
            return None
        least, largest = _ends(value)
        return Range(least, least if least == largest else largest)


def _joined(several: Sequence[Range]) -> Range:
    found = several[0]
    for other in several[1:]:
        exact = found.exact and other.exact
        found = Range(smaller(found.least, other.least), larger(found.largest, other.largest), exact)
    return found


def _ends(t: torch.Tensor) -> tuple[Any, Any]:
    with _disable_current_modes():
        least, largest = t.aminmax() if t.dim() else (t, t)
        return least.item(), largest.item()


def _whole(at: Any) -> bool:
    """Whether everything is picked: axes are put in."""
    return all(
        i is None or i is Ellipsis or (isinstance(i, slice) and i.start is i.stop is i.step is None)
        for i in (at if isinstance(at, tuple) else (at,))
    )


def _value(number: Any) -> Any:
    return number.value if type(number) in (Length, Share) else number


def _near(number: Any, value: float, dtype: torch.dtype) -> bool:
    return bool(abs(_value(number) - value) <= (NEAR * max(1, abs(value)) if dtype.is_floating_point else 0))
