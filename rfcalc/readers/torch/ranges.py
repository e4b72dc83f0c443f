"""The least and the largest of several numbers, as what is computed of them says: ``arange(n)[:, None] + n - 1``."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rfcalc.core.lengths import Share
from rfcalc.core.plainly import larger, smaller


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
    return lambda x, *_: of_both(function, x)


def of_both(function: Callable[..., Any], *given: Range) -> Range:
    least = function(*[r.least for r in given])
    return Range(least, least if all(r.one for r in given) else function(*[r.largest for r in given]))


def _of_one(function: Callable[..., Any]) -> Rule:
    """What is followed of single numbers only."""
    return lambda *given: of_both(function, *given) if all(r.one for r in given) else None


def _add(x: Range, y: Range) -> Range:
    return of_both(operator.add, x, y)


def _negative(x: Range) -> Range:
    return Range(least := -x.largest, least if x.one else -x.least)


def _sub(x: Range, y: Range) -> Range:
    if x.one and y.one:
        return of_both(operator.sub, x, y)
    return Range(x.least - y.largest, x.largest - y.least)


def _mul(x: Range, y: Range) -> Range | None:
    if x.one and y.one:
        return of_both(operator.mul, x, y)
    if y.one:
        x, y = y, x
    if x.one:
        ends = x.least * y.least, x.least * y.largest
        return Range(*ends) if x.least >= 0 else Range(*ends[::-1])
    return of_both(operator.mul, x, y) if x.least >= 0 and y.least >= 0 else None


def _divided(how: Callable[[Any, Any], Any]) -> Rule:
    def divide(x: Range, y: Range) -> Range | None:
        return of_both(how, x, y) if y.one and (x.one or y.least > 0) else None

    return divide


def _remainder(x: Range, y: Range) -> Range | None:
    if x.one and y.one:
        return of_both(operator.mod, x, y)
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


def clamp(x: Range, least: Range | None = None, largest: Range | None = None) -> Range:
    if least is not None:
        x = of_both(_higher, x, least)
    return x if largest is None else of_both(_lower, x, largest)


def largest_of(x: Range, y: Range | None = None) -> Range:
    if y is None:
        return Range(x.largest, x.largest) if x.exact else x
    return of_both(_higher, x, y)


def least_of(x: Range, y: Range | None = None) -> Range:
    if y is None:
        return Range(x.least, x.least) if x.exact else x
    return of_both(_lower, x, y)


def _back(rule: Rule) -> Rule:
    return lambda x, y: rule(y, x)


DIVIDE, FLOOR = _divided(operator.truediv), _divided(operator.floordiv)
RULES: dict[str, Rule] = {
    **dict.fromkeys(("add", "__radd__"), _add), **dict.fromkeys(("mul", "__rmul__"), _mul), "sub": _sub,
    **dict.fromkeys(("rsub", "__rsub__"), _back(_sub)), **dict.fromkeys(("div", "true_divide"), DIVIDE),
    **dict.fromkeys(("__rdiv__", "__rtruediv__"), _back(DIVIDE)),
    **dict.fromkeys(("floor_divide", "__floordiv__"), FLOOR),
    "__rfloordiv__": _back(FLOOR), **dict.fromkeys(("remainder", "__mod__"), _remainder), "neg": _negative,
    "abs": _absolute, "__abs__": _absolute, "clamp": clamp, "clip": clamp,
    "clamp_min": clamp, "clamp_max": lambda x, y: clamp(x, None, y),
    **{name: _of_each(how) for name, how in (
        ("ceil", math.ceil), ("floor", math.floor), ("trunc", math.trunc), ("round", round),
    )},
    **dict.fromkeys(("maximum", "max", "amax"), largest_of), **dict.fromkeys(("minimum", "min", "amin"), least_of),
    **{name: _of_one(getattr(operator, name)) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
}  # fmt: skip


def joined(several: Sequence[Range]) -> Range:
    found = several[0]
    for other in several[1:]:
        exact = found.exact and other.exact
        found = Range(smaller(found.least, other.least), larger(found.largest, other.largest), exact)
    return found


def whole_number(n: Any) -> Any:
    """A number as one of a whole kind holds it."""
    return math.trunc(n) if type(n) is Share else n
