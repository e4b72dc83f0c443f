"""Sizes: whole numbers or symbols, and the few operations that every rule needs on them.

A size is an `int`, or any value that adds, multiplies and floor-divides like one (a sympy expression, the index of a
repetition). Rules use `+ - * //` and the functions here, so that the same rule walks numbers and symbols. This module
imports nothing from the project and nothing foreign.

1. `prod`, `ceildiv`, `minimum`, `maximum` are exact; nothing here ever makes a float.
2. A comparison has three answers: `decide(a < b)` is True, False or None (not decided for these symbols). A validation
   refuses only what is decided; what had to be taken for granted is told to whoever listens (`assumptions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias

Size: TypeAlias = Any  # int | symbol: nothing in the core may ask which
Figure: TypeAlias = int  # a figure of a report, as its reader's type checker sees it; with symbols it is an expression


class Algebra(Protocol):
    """What a library of symbols adds to the operators of its expressions while its symbols are walked.

    1. `settle` writes a size in one canonical form, so that equal sizes are equal values.
    2. `decide` answers a comparison that the library's own truth value left open, or says None. `more` is ``a > b``,
       without what the library tries first.
    3. `least` and `most` are the minimum and the maximum of two sizes, whatever is known of them.
    4. `evenly` is told of every division that the rules take to be even, and of nothing else.
    5. `write` is a size as text, as people read it; `source` as Python reads it.
    """

    def settle(self, size: Size) -> Size: ...
    def decide(self, comparison: Any) -> bool | None: ...
    def more(self, a: Size, b: Size) -> Any: ...
    def least(self, a: Size, b: Size) -> Size: ...
    def most(self, a: Size, b: Size) -> Size: ...
    def evenly(self, divisor: Size, size: Size) -> None: ...
    def write(self, size: Size) -> str: ...
    def source(self, size: Size) -> str: ...


class Heard(list[str]):
    """Assumptions as texts; beside each, in `comparisons`, what was left open: a comparison, a pair of sizes that are
    taken to be equal, or None."""

    __slots__ = ("comparisons",)

    def __init__(self) -> None:
        super().__init__()
        self.comparisons: list[Any] = []


_assumed: ContextVar[Heard | None] = ContextVar("assumed", default=None)
_algebra: ContextVar[Algebra | None] = ContextVar("algebra", default=None)


@contextmanager
def walking_with(algebra: Algebra) -> Iterator[None]:
    """While the block runs, sizes that are no plain integers are in this algebra."""
    token = _algebra.set(algebra)
    try:
        yield
    finally:
        _algebra.reset(token)


def algebra_in_use() -> Algebra | None:
    """The algebra that is walked with; None for plain integers."""
    return _algebra.get()


def settler() -> Any:
    """The `settle` of the algebra that is walked with; None for plain integers."""
    algebra = _algebra.get()
    return None if algebra is None else algebra.settle


def written(size: Size) -> str:
    """A size as people read it."""
    algebra = _algebra.get()
    return str(size) if algebra is None else algebra.write(size)


def source(size: Size) -> str:
    """A size as it is typed."""
    algebra = _algebra.get()
    return str(size) if algebra is None else algebra.source(size)


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
        algebra = _algebra.get()
        return None if algebra is None else algebra.decide(comparison)


def more(a: Size, b: Size) -> Any:
    """The comparison a > b, for `decide` and `holds`.

    >>> more(4, 3)
    True
    """
    algebra = None if type(a) is int and type(b) is int else _algebra.get()
    return a > b if algebra is None else algebra.more(a, b)


def holds(comparison: Any, assumption: str = "", *sizes: Size) -> bool:
    """Whether a requirement may hold: False only if it is decided to fail; left open, `assumption` is recorded.

    Args:
        comparison: the requirement; None is one that no symbol decides.
        assumption: the requirement in words, with ``{}`` for each of the sizes.
        sizes: the sizes in it.
    """
    if comparison is True or comparison is False:
        return bool(comparison)
    answer = None if comparison is None else decide(comparison)
    if answer is None:
        _record(comparison, assumption or "{}", sizes if assumption else (comparison,))
        return True
    return answer


def _record(comparison: Any, assumption: str, sizes: Iterable[Size]) -> None:
    """Tell whoever listens what is taken for granted."""
    heard = _assumed.get()
    if heard is not None:
        heard.append(assumption.format(*map(written, sizes)))
        heard.comparisons.append(comparison)


def agree(a: Size, b: Size, assumption: str = "{} = {}") -> bool:
    """Whether two sizes may be equal: False only for different numbers; left open by symbols, it is recorded.

    >>> agree(3, 3), agree(3, 4)
    (True, False)
    """
    if decide(a == b) is True:
        return True
    difference = a - b  # H + 1 and H differ, whatever H is
    algebra = _algebra.get()
    if algebra is not None:
        difference = algebra.settle(difference)
    if is_number(difference):
        return bool(difference == 0)
    _record((a, b), assumption, (a, b))
    return True


def divides(divisor: Size, size: Size) -> bool:
    """Whether a size may be divided evenly; left open by symbols, it is recorded.

    >>> divides(2, 6), divides(4, 6)
    (True, False)
    """
    rest = size % divisor
    algebra = _algebra.get()
    if algebra is not None:
        rest = algebra.settle(rest)
    if is_number(rest):
        return bool(rest == 0)
    _record((rest, 0), "{} divisible by {}", (size, divisor))
    if algebra is not None:
        algebra.evenly(divisor, size)
    return True


@contextmanager
def assumptions() -> Iterator[Heard]:
    """Collect what the rules take for granted about symbols while the block runs."""
    heard = Heard()
    token = _assumed.set(heard)
    try:
        yield heard
    finally:
        _assumed.reset(token)


def minimum(a: Size, b: Size) -> Size:
    """The smaller one.

    >>> minimum(3, 2)
    2
    """
    algebra = None if type(a) is int and type(b) is int else _algebra.get()
    if algebra is not None:
        return algebra.least(a, b)
    smaller = decide(a <= b)
    if smaller is None:
        return a + b - (a + b + abs(a - b)) // 2
    return a if smaller else b


def maximum(a: Size, b: Size) -> Size:
    """The larger one.

    >>> maximum(3, 2)
    3
    """
    algebra = None if type(a) is int and type(b) is int else _algebra.get()
    if algebra is not None:
        return algebra.most(a, b)
    larger = decide(a >= b)
    if larger is None:
        return (a + b + abs(a - b)) // 2
    return a if larger else b


def is_size(value: object) -> bool:
    """Whether a value can be a size: it counts like an integer, or is a symbol. Floats, strings and booleans cannot."""
    return (hasattr(value, "__index__") or hasattr(value, "free_symbols")) and value is not True and value is not False


def is_number(value: object) -> bool:
    """Whether a size is a plain number, so that it can be counted through (tables of phases, lists of units)."""
    return hasattr(value, "__index__") and not getattr(value, "free_symbols", None)


def native(value: Any) -> Any:
    """The value with numbers of other libraries (NumPy's, a tensor of one) as Python's own, arrays and lists of them as
    tuples; anything else as it is.

    >>> native(3), native([3, (1, True)]), native("same")
    (3, (3, (1, True)), 'same')
    """
    kind = type(value)
    if kind is int or kind is str or kind is bool or value is None:
        return value
    if kind is tuple or kind is list:
        return tuple(value) if set(map(type, value)) == {int} else tuple(map(native, value))
    return native(value.tolist()) if hasattr(value, "tolist") else value  # an array, or one of its numbers


def same(a: Size, b: Size) -> bool:
    """Whether two sizes are equal as far as it can be decided; open comparisons count as different."""
    if decide(a == b) is True:
        return True
    algebra = None if type(a) is int and type(b) is int else _algebra.get()
    return algebra is not None and decide(algebra.settle(a - b) == 0) is True
