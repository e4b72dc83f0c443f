"""Sizes: whole numbers or symbols, and the few operations that every rule needs on them.

A size is an `int`, or any value that adds, multiplies and floor-divides like one (a sympy expression, the index of a
repetition). Rules use `+ - * //` and the functions here, so that the same rule walks numbers and symbols. This module
imports nothing from the project and nothing foreign.

1. `prod`, `ceildiv`, `minimum`, `maximum` are exact; nothing here ever makes a float.
2. A comparison has three answers: `decide(a < b)` is True, False or None (not decided for these symbols). A validation
   refuses only what is decided; what had to be taken for granted is told to whoever listens (`assumptions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

Size: TypeAlias = Any  # int | symbol: nothing in the core may ask which
Figure: TypeAlias = int  # a figure of a report, as its reader's type checker sees it; with symbols it is an expression


class Heard(list[str]):
    """Assumptions as texts; beside each, in `comparisons`, what was left open: a comparison, a pair of sizes that are
    taken to be equal, or None."""

    __slots__ = ("comparisons",)

    def __init__(self) -> None:
        super().__init__()
        self.comparisons: list[Any] = []


_assumed: ContextVar[Heard | None] = ContextVar("assumed", default=None)
_extrema: dict[str, Callable[[Size, Size], Size]] = {}
_evenly: list[Callable[[Size, Size], None]] = []


def prod(sizes: Iterable[Size]) -> Size:
    """The product; 1 for nothing.

    >>> prod((3, 224, 224))
    150528
    """
    result: Size = 1
    for size in sizes:
        result = result * size
    return result


def ceildiv(a: Size, b: Size) -> Size:
    """⌈a / b⌉ in integers: −((−a) // b).

    >>> ceildiv(7, 2), ceildiv(6, 2)
    (4, 3)
    """
    return -((-a) // b)


def decide(comparison: Any) -> bool | None:
    """The truth of a comparison, or None where symbols leave it open.

    >>> decide(3 < 4)
    True
    """
    if comparison is True or comparison is False:
        return bool(comparison)
    try:
        return bool(comparison)
    except TypeError:
        return None


def holds(comparison: Any, assumption: str = "") -> bool:
    """Whether a requirement may hold: False only if it is decided to fail; left open, `assumption` is recorded."""
    if comparison is True or comparison is False:
        return bool(comparison)
    answer = None if comparison is None else decide(comparison)
    if answer is None:
        heard = _assumed.get()
        if heard is not None:
            heard.append(assumption or str(comparison))
            heard.comparisons.append(comparison)
        return True
    return answer


def agree(a: Size, b: Size, assumption: str = "") -> bool:
    """Whether two sizes may be equal: False only for different numbers; left open by symbols, it is recorded.

    >>> agree(3, 3), agree(3, 4)
    (True, False)
    """
    if decide(a == b) is True:
        return True
    difference = a - b  # H + 1 and H differ, whatever H is
    if is_number(difference):
        return bool(difference == 0)
    heard = _assumed.get()
    if heard is not None:
        heard.append(assumption or f"{a} = {b}")
        heard.comparisons.append((a, b))
    return True


def divides(divisor: Size, size: Size) -> bool:
    """Whether a size may be divided evenly; left open by symbols, it is recorded.

    >>> divides(2, 6), divides(4, 6)
    (True, False)
    """
    even = agree(size % divisor, 0, f"{size} divisible by {divisor}")
    if even and _evenly:
        _evenly[0](divisor, size)
    return even


@contextmanager
def assumptions() -> Iterator[Heard]:
    """Collect what the rules take for granted about symbols while the block runs."""
    heard = Heard()
    token = _assumed.set(heard)
    try:
        yield heard
    finally:
        _assumed.reset(token)


def extrema(least: Callable[[Size, Size], Size], most: Callable[[Size, Size], Size]) -> None:
    """Say how a minimum and a maximum are written where symbols leave the comparison open (the symbolic view does)."""
    _extrema["least"], _extrema["most"] = least, most


def evenly(told: Callable[[Size, Size], None]) -> None:
    """Say who wants to know of every division (divisor, size) that is taken to be even (the symbolic view does)."""
    _evenly[:] = [told]


def minimum(a: Size, b: Size) -> Size:
    """The smaller one.

    >>> minimum(3, 2)
    2
    """
    smaller = decide(a <= b)
    if smaller is None:
        return _extrema["least"](a, b) if _extrema else a + b - (a + b + abs(a - b)) // 2
    return a if smaller else b


def maximum(a: Size, b: Size) -> Size:
    """The larger one.

    >>> maximum(3, 2)
    3
    """
    larger = decide(a >= b)
    if larger is None:
        return _extrema["most"](a, b) if _extrema else (a + b + abs(a - b)) // 2
    return a if larger else b


def is_size(value: object) -> bool:
    """Whether a value can be a size: it counts like an integer, or is a symbol. Floats, strings and booleans cannot."""
    return (hasattr(value, "__index__") or hasattr(value, "free_symbols")) and value is not True and value is not False


def is_number(value: object) -> bool:
    """Whether a size is a plain number, so that it can be counted through (tables of phases, lists of units)."""
    return hasattr(value, "__index__") and not getattr(value, "free_symbols", None)


def same(a: Size, b: Size) -> bool:
    """Whether two sizes are equal as far as it can be decided; open comparisons count as different."""
    return decide(a == b) is True
