"""Lengths of maps that remember where they come from, and what code asked about them.

Code that takes another way at other sizes (windows that are padded, a shift that is left out where the map is small)
asks for that first: it compares lengths. While code is `watched`, each length of a map that it is given is a `Length`,
an `int` that notes every comparison with its outcome. One reading then says for which sizes the code goes the same way.

Imports nothing from the project, and no framework.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

Value = Any  # a number (or whatever else a length is compared with), or an Asked, or an Expression


class Asked(NamedTuple):
    """A length that code asked a map for: how many operators had run by then, what it was, which of the maps that were
    asked (by number), and the axis of it that it is."""

    steps: int
    value: int
    map: int = -1
    axis: int = 0


class Expression(NamedTuple):
    """What code computed from lengths: an operation of whole numbers on two values."""

    how: str
    left: Value
    right: Value


def atoms(made: Value) -> Iterator[Asked]:
    """The lengths in an expression, in order."""
    if isinstance(made, Asked):
        yield made
    elif isinstance(made, Expression):
        yield from atoms(made.left)
        yield from atoms(made.right)


def evaluated(made: Value, values: Iterator[Any]) -> Any:
    """What an expression is where its lengths, in order, have these values."""
    if isinstance(made, Asked):
        return next(values)
    if isinstance(made, Expression):
        left = evaluated(made.left, values)
        return OPERATIONS[made.how](left, evaluated(made.right, values))
    return made


def written(asked: Value) -> Any:
    """An expression with its lengths left out."""
    if isinstance(asked, Expression):
        return (asked.how, written(asked.left), written(asked.right))
    return None if isinstance(asked, Asked) else asked


class Condition(NamedTuple):
    """What code asked, where, and the answer."""

    where: str
    asked: Expression
    holds: bool


class Given(NamedTuple):
    """A length that code computed and gave to an operator: how many operators had run before and after the call, and
    its value."""

    steps: int
    made: Value
    value: int
    until: int = 0


class Lost(NamedTuple):
    """What code made something else of than a whole number, and where."""

    where: str
    made: Value


class Watched(NamedTuple):
    """What code asked of lengths in its last reading, and which ones it gave to operators, in order."""

    conditions: list[Condition]
    given: list[Given]
    lost: list[Lost]  # where code made something else than a whole number of a length, and could ask unseen
    framework: str  # the package whose own code asks on behalf of operators
    maps: list[tuple[int, Any]]  # that were asked: how many operators had run by then, and the framework's object
    places: dict[
        tuple[int, int], tuple[str, int]
    ]  # of a map that was asked and its axis: the node's name, and its axis

    def clear(self) -> None:
        self.maps.clear()
        self.places.clear()
        self.conditions.clear()
        self.given.clear()
        self.lost.clear()

    def ran(self, since: int, until: int) -> None:
        """Note how many operators had run when the calls were done that were given something `since`."""
        for i in range(since, len(self.given)):
            self.given[i] = self.given[i]._replace(until=until)

    def gives(self, steps: int, value: Any) -> None:
        """Note the lengths in what an operator is called with."""
        if type(value) is Length:
            self.given.append(Given(steps, value.made, _plain(value)))
        elif isinstance(value, (tuple, list)):
            for part in value:
                self.gives(steps, part)
        elif isinstance(value, slice):
            self.gives(steps, (value.start, value.stop))
        elif isinstance(value, dict):
            self.gives(steps, [*value.values()])


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "up": lambda a, b: -(-a // b),
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip

_watching: ContextVar[Watched | None] = ContextVar("watching", default=None)


@contextmanager
def watched(framework: str) -> Iterator[Watched]:
    """Code that is read meanwhile is given lengths that note what it asks."""
    found = Watched([], [], [], framework, [], {})
    token = _watching.set(found)
    try:
        yield found
    finally:
        _watching.reset(token)


def watching() -> Watched | None:
    return _watching.get()


class Length(int):
    """A length, with the expression that made it."""

    made: Asked | Expression

    def __new__(cls, value: int, made: Asked | Expression) -> Length:
        length = super().__new__(cls, value)
        length.made = made
        return length

    def __add__(self, other: Any) -> Any:
        return _computed("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return _computed("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return _computed("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _computed("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return _computed("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _computed("*", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _computed("//", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _computed("//", other, self)

    def __mod__(self, other: Any) -> Any:
        return _computed("%", self, other)

    def __rmod__(self, other: Any) -> Any:
        return _computed("%", other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __truediv__(self, other: Any) -> Any:
        quotient = _plain(self) / _plain(other)
        return Share(quotient, self, other) if isinstance(other, int) else _lose(quotient, self, other)

    def __neg__(self) -> Any:
        return _computed("-", 0, self)

    def __pos__(self) -> Any:
        return self

    def __lt__(self, other: Any) -> Any:
        return _compared("<", self, other)

    def __le__(self, other: Any) -> Any:
        return _compared("<=", self, other)

    def __gt__(self, other: Any) -> Any:
        return _compared(">", self, other)

    def __ge__(self, other: Any) -> Any:
        return _compared(">=", self, other)

    def __eq__(self, other: Any) -> Any:
        return _compared("==", self, other)

    def __ne__(self, other: Any) -> Any:
        return _compared("!=", self, other)

    def __bool__(self) -> bool:
        return bool(_compared("!=", self, 0))

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __reduce__(self) -> Any:
        return int, (_plain(self),)

    def __deepcopy__(self, memo: Any) -> Length:
        return self


class Share(float):
    """A length divided by a whole number, until it is rounded to one."""

    parts: tuple[Any, Any]

    def __new__(cls, value: float, left: Any, right: Any) -> Share:
        share = super().__new__(cls, value)
        share.parts = (left, right)
        return share

    def __ceil__(self) -> Any:
        return _rounded("up", self, math.ceil)

    def __floor__(self) -> Any:
        return _rounded("//", self, math.floor)

    def __hash__(self) -> int:
        return float.__hash__(self)


def _rounded(how: str, share: Share, rounding: Callable[[float], int]) -> Any:
    """A quotient rounded as code does it: exact below 2**53."""
    return Length(rounding(float.__add__(share, 0.0)), Expression(how, *map(_made, share.parts)))


def _made(value: Any) -> Value:
    if isinstance(value, Length):
        return value.made
    return bool(value) if isinstance(value, bool) else value


def _plain(value: Any) -> Any:
    return int.__add__(value, 0) if isinstance(value, Length) else value


def _computed(how: str, left: Any, right: Any) -> Any:
    if not (isinstance(left, int) and isinstance(right, int)):
        other = right if isinstance(left, Length) else left
        if not isinstance(other, (int, float, complex)):
            return NotImplemented
        return _lose(OPERATIONS[how](_plain(left), _plain(right)), left, right)
    return Length(OPERATIONS[how](_plain(left), _plain(right)), Expression(how, _made(left), _made(right)))


def _compared(how: str, left: Length, right: Any) -> Any:
    if not isinstance(right, (int, float)):
        return NotImplemented
    holds = OPERATIONS[how](_plain(left), _plain(right))
    if not isinstance(right, int):
        return _lose(holds, left, right)
    watched = watching()
    if watched is not None:
        watched.conditions.append(Condition(_where(), Expression(how, _made(left), _made(right)), holds))
    return holds


def _caller() -> FrameType:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame


def _where() -> str:
    frame = _caller()
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"


def _lose(value: Any, *parts: Any) -> Any:
    """Note that something is made of lengths that is not followed further, unless the framework itself does it."""
    watched = watching()
    if watched is not None and not _caller().f_globals.get("__name__", "").startswith(f"{watched.framework}."):
        made: Value = None
        for part in parts:
            made = Expression("lost", made, Expression("lost", *map(_made, getattr(part, "parts", (part, None)))))
        watched.lost.append(Lost(_where(), made))
    return value


def _losing(kind: type, name: str) -> None:
    plain = getattr(kind.__base__, name)

    def lose(self: Any, *args: Any) -> Any:
        return _lose(plain(self, *args), self, *args)

    setattr(kind, name, lose)


for _name in ("int", "float", "pow", "rpow", "and", "or", "xor", "lshift", "rshift", "abs", "round", "invert", "trunc"):
    _losing(Length, f"__{_name}__")
for _name in (
    *("int", "trunc", "round", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "mod"),
    *("lt", "le", "gt", "ge", "eq", "ne", "bool", "pow", "neg", "abs"),
):
    _losing(Share, f"__{_name}__")
