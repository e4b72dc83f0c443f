"""The least and the largest number of tensors that code computes of lengths: ``torch.arange(n)[:, None] + n - 1``.

A tensor of one value is a number that code may go on with (``torch.ceil(frames).to(torch.int64) - 1``); one of several
holds positions that it picks, which a table must have. Of positions that values of the input say, which are not there
(``x.argmax(-1)``), it is known between which numbers they lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch.utils._python_dispatch import _disable_current_modes

from rfcalc.core.lengths import Length, Share, watching
from rfcalc.readers.torch.asking import MAKING, PICKING, PIECES, VIEWS, ends_of
from rfcalc.readers.torch.ranges import (
    DIVIDE,
    FLOOR,
    RULES,
    Range,
    clamp,
    joined,
    largest_of,
    least_of,
    of_both,
    whole_number,
)

_T: Any = torch.Tensor
NEAR = 1e-5  # of single precision
MOST = 1 << 24  # values of which the extremes are looked up
COUNTED = frozenset((F.pad, F.interpolate, _T.expand, _T.repeat, *PICKING, *VIEWS, *MAKING))  # what takes whole numbers
WITH_VALUES = (torch.bool, torch.int32, torch.int64, torch.float32, torch.float64)
_KEPT = frozenset((
    "to", "long", "int", "float", "double", "clone", "detach", "tensor", "as_tensor", "contiguous", "type_as", "cpu",
    "view", "reshape", "flatten", "ravel", "unflatten", "unsqueeze", "squeeze", "expand", "expand_as", "repeat", "tile",
    "broadcast_to", "permute", "transpose", "swapaxes", "movedim", "t", "flip", "roll", "meshgrid", "stack", "cat",
    "concat", "concatenate", "mean", "aminmax", *PIECES,
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


_POSITIONS = frozenset(("argmax", "argmin", "argsort"))
_WITH_POSITIONS = frozenset(  # values and positions along an axis
    ("topk", "sort", "kthvalue", "mode", "median", "nanmedian", "max", "min", "cummax", "cummin")
)
_POOLS = frozenset(f"{kind}max_pool{rank}d_with_indices" for kind in ("", "adaptive_") for rank in (1, 2, 3))
_SUMS = frozenset(("sum", "cumsum", "count_nonzero"))
_PRODUCTS = frozenset(("prod", "cumprod"))  # of a mask, one
_WITHIN = {"sigmoid": (0, 1), "softmax": (0, 1), "sign": (-1, 1), "tanh": (-1, 1), "sin": (-1, 1), "cos": (-1, 1)}
_DRAWN = frozenset(("randperm", "randint", "multinomial", "searchsorted", "bucketize"))
SAYING = _WITHIN.keys() | _POSITIONS | _WITH_POSITIONS | _POOLS | _SUMS | _PRODUCTS | _DRAWN | {"clamp", "clip"}


class Extremes:
    """The tensors that were made of lengths, each with the least and the largest number in it."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[torch.Tensor, int, Range]] = {}
        self.unfollowed: dict[int, tuple[torch.Tensor]] = {}  # not there, and hanging on lengths

    def __bool__(self) -> bool:
        return bool(self.known or self.unfollowed)

    def of(self, value: Any) -> Any:
        """The number that a tensor is; None if it is not known to be one."""
        found = self.within(value)
        return found.least if found is not None and found.exact and not value.dim() else None

    def within(self, value: Any) -> Range | None:
        """The least and the largest number of a tensor; None if they are not known."""
        tensor, version, found = self.known.get(id(value), (None, 0, None))
        return found if tensor is not None and tensor is value and tensor._version == version else None

    def hang(self, value: Any) -> bool:
        """Whether numbers hang on lengths in a way that is known, or that is not followed."""
        if self.unfollowed.get(id(value), (None,))[0] is value:
            return True
        tensor, _, found = self.known.get(id(value), (None, 0, None))
        return found is not None and tensor is value and any(type(n) in (Length, Share) for n in found[:2])

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

    def made(self, followed: Sequence[Range | None], out: Any, blank: Callable[[Any], bool], hanging: bool) -> None:
        """Note the extremes of what an operator made, where they are those that were followed; of pieces, of each.

        Args:
            blank: whether the values of a tensor are not there.
            hanging: whether what it was given hangs on lengths: so does what is not followed.
        """
        made = out if isinstance(out, (tuple, list)) else (out,)
        for t, found in zip(made, [*followed] * len(made) if len(followed) == 1 else followed, strict=False):
            if found is None or not isinstance(t, torch.Tensor) or t.dtype not in WITH_VALUES or not t.numel():
                continue
            if not t.dtype.is_floating_point:
                found = of_both(whole_number, found)._replace(exact=found.exact)
            if blank(t):
                self.known[id(t)] = t, t._version, found._replace(exact=False)
                continue
            if t.numel() > MOST:
                continue
            ends = _ends(t)
            exact = all(_near(n, end, t.dtype) for n, end in zip(found, ends, strict=False))
            if exact or (t.dim() and _value(found.least) <= ends[0] and ends[1] <= _value(found.largest)):
                self.known[id(t)] = t, t._version, found._replace(exact=found.exact and exact)
        for t in made if hanging else ():
            if blank(t) and self.within(t) is None:
                self.unfollowed[id(t)] = (t,)

    def concern(self, func: Any, args: Sequence[Any]) -> bool:
        """Whether something is known of what an operator makes, or is given."""
        if _name(func) in SAYING:
            return True
        flat = (t for v in args for t in (v if isinstance(v, (tuple, list)) else (v,)))
        return any(isinstance(t, torch.Tensor) and (t.dtype == torch.bool or id(t) in self.known) for t in flat)

    def followed(
        self, func: Any, args: Sequence[Any], kwargs: Any, varies: Callable[[Any], bool], lengths: Callable[[Any], Any]
    ) -> list[Range | None]:
        """The extremes of each tensor that an operator is about to make, as far as they follow a rule.

        Args:
            varies: whether the values of a tensor are not there, or hang on lengths.
            lengths: those of a tensor.
        """
        watched = watching()
        lost = len(watched.lost) if watched is not None else 0
        found: list[Range | None] = []
        if _name(func) in SAYING:
            with suppress(IndexError, TypeError, AttributeError):  # called in a form that PyTorch refuses
                found = [*self._said(func, args, kwargs, varies, lengths)]
        found = found or [*self._rule(func, args, kwargs, varies)]
        if watched is not None and len(watched.lost) > lost:  # it is no fraction; the code itself asks nothing
            del watched.lost[lost:]
            return []
        return found

    def _said(
        self, func: Any, args: Sequence[Any], kwargs: Any, varies: Callable[[Any], bool], lengths: Callable[[Any], Any]
    ) -> Iterator[Range | None]:
        """Between which numbers positions lie that values say."""
        name = _name(func)
        if name in _WITHIN:
            yield Range(*_WITHIN[name], False)
        elif name in ("randperm", "randint"):
            ends = [v for v in (*args, kwargs.get("low"), kwargs.get("high")) if type(v) in (int, Length)]
            yield Range(ends[0] if len(ends) > 1 else 0, ends[-1] - 1, False)
        elif name == "multinomial":
            yield Range(0, lengths(args[0])[-1] - 1, False)
        elif name in ("searchsorted", "bucketize"):
            yield Range(0, lengths(args[name == "bucketize"])[-1], False)
        elif name in _POOLS:
            rank = int(name[name.index("pool") + 4])
            yield from (None, Range(0, math.prod(lengths(args[0])[-rank:]) - 1, False))
        elif name not in ("clamp", "clip"):
            yield from self._along(name, args, kwargs, varies, lengths)

    def _along(
        self, name: str, args: Sequence[Any], kwargs: Any, varies: Callable[[Any], bool], lengths: Callable[[Any], Any]
    ) -> Iterator[Range | None]:
        """The same of an axis."""
        x, *given = args
        given = [*given[name in ("topk", "kthvalue") :], kwargs.get("dim"), kwargs.get("axis")]
        axes = next((v for v in given if type(v) is int or isinstance(v, (tuple, list))), None)
        if name in _PRODUCTS:
            found = self._given(x, varies)
            yield found if found is not None and found[:2] == (0, 1) else None
        elif name in _SUMS:
            found = Range(0, 1) if name == "count_nonzero" else self._given(x, varies)
            if found is not None and axes is not None:
                count = math.prod([lengths(x)[i] for i in ((axes,) if isinstance(axes, int) else axes)])
                least = found.least if found.least >= 0 else found.least * count
                yield Range(least, found.largest * count if found.largest >= 0 else found.largest, False)
        elif name in ("argmax", "argmin") and axes is None:
            yield Range(0, math.prod(lengths(x)) - 1, False)
        elif axes is not None or name in ("argsort", "topk", "sort", "kthvalue", "mode"):
            if name in _WITH_POSITIONS:
                found = self._given(x, varies)
                yield found and found._replace(exact=False)
            yield Range(0, lengths(x)[-1 if axes is None else axes] - 1, False)

    def _rule(
        self, func: Any, args: Sequence[Any], kwargs: Any, varies: Callable[[Any], bool]
    ) -> Iterator[Range | None]:
        if func in CHOOSING and not kwargs and not (func is _T.__getitem__ and _whole(args[1])):
            chosen = self._given(CHOOSING[func](args), varies)
            yield chosen and chosen._replace(exact=chosen.exact and chosen.one)
            return
        name = _name(func)
        if func in (torch.arange, torch.linspace):
            ends = ends_of(func, args, kwargs)
            yield None if ends is None else Range(*ends)
            return
        if name in _KEPT or (func is _T.__getitem__ and _whole(args[1])):
            given = args[0] if name == "meshgrid" and isinstance(args[0], (tuple, list)) else args
            yield from [self._given(v, varies) for v in (given if name == "meshgrid" else given[:1])]
            return
        rule = RULES.get(name)
        if rule is DIVIDE and kwargs.get("rounding_mode") == "floor":
            rule, kwargs = FLOOR, {key: value for key, value in kwargs.items() if key != "rounding_mode"}
        bounds = ("min", "max") if rule is clamp else ()
        along = rule in (largest_of, least_of) and any(isinstance(v, (int, tuple)) for v in args[1:])  # an axis
        if along:
            found = self._given(args[0], varies)
            yield found and found._replace(exact=False)
        if rule is None or along or {*kwargs} - {"dtype", "device", *bounds}:
            return
        told = [*args, *(kwargs.get(key) for key in bounds[len(args) - 1 :])]
        given = [None if v is None else self._given(v, varies) for v in told]
        if rule is clamp and given[0] is None and None not in given[1:]:
            yield Range(given[1].least, given[2].largest, False)
        elif all(r is not None for r, v in zip(given, told, strict=True) if v is not None) and given[0] is not None:
            found = rule(*given)
            yield found and found._replace(exact=all(r.exact for r in given if r is not None))

    def _given(self, value: Any, varies: Callable[[Any], bool]) -> Range | None:
        """The extremes of what an operator is given."""
        if isinstance(value, (tuple, list)):
            several = [r for v in value if (r := self._given(v, varies)) is not None]
            fractions = len(several) > 1 and any(Share in map(type, r) for r in several)  # which are not compared
            return joined(several) if several and len(several) == len(value) and not fractions else None
        if not isinstance(value, torch.Tensor):
            return Range(value, value) if isinstance(value, (int, float)) else None
        if (found := self.within(value)) is not None:
            return found
        there = not varies(value) and value.layout == torch.strided and not value.is_meta and 0 < value.numel() <= MOST
        if not there or value.dtype not in WITH_VALUES:
            return Range(0, 1, False) if value.dtype == torch.bool else None
        least, largest = _ends(value)
        return Range(least, least if least == largest else largest)


def _name(func: Any) -> str:
    """That of an operator, which may be done in place."""
    name: str = getattr(func, "__name__", "")
    if name.startswith("__i") or (name.endswith("_") and name[-2:] != "__"):
        name = name.strip("_").removeprefix("i" if name.startswith("__") else "")
    return name


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
