"""Lengths of maps that remember where they come from, and what code asked about them.

Code that takes another way at other sizes (windows that are padded, a shift that is left out where the map is small)
asks for that first: it compares lengths. While code is `watched`, each length of a map that it is given is a `Length`,
which notes every comparison with its outcome. One reading then says for which sizes the code goes the same way.

A length passes for an `int`, and is none: whatever reads its digits (`range`, NumPy, text, a dictionary) must ask it
for them, and that is noted, too.

Imports no framework.
"""

from __future__ import annotations

import math
import operator
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from linecache import getlines
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, cast

from rfcalc.core.messages import in_a_message

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
    hanging: dict[
        int, tuple[Any, Value]
    ]  # values made of lengths, by their memory: the framework's object, the lengths
    maps: list[tuple[int, Any]]  # that were asked: how many operators had run by then, and the framework's object
    alive: set[int]  # those of them that are maps of the network
    places: dict[
        tuple[int, int], tuple[str, int]
    ]  # of a map that was asked and its axis: the node's name, and its axis

    def clear(self) -> None:
        self.hanging.clear()
        self.maps.clear()
        self.alive.clear()
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
            self.given.append(Given(steps, value.made, value.value))
        elif isinstance(value, (tuple, list)):
            for part in value:
                self.gives(steps, part)
        elif isinstance(value, slice):
            self.gives(steps, (value.start, value.stop))
        elif isinstance(value, dict):
            self.gives(steps, [*value.values()])


OWN = "rfcalc."  # modules that look at lengths on behalf of code
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "up": lambda a, b: -(-a // b),
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip

_watching: ContextVar[Watched | None] = ContextVar("watching", default=None)


@contextmanager
def watched(framework: str) -> Iterator[Watched]:
    """Code that is read meanwhile is given lengths that note what it asks."""
    found = Watched([], [], [], framework, {}, [], set(), {})
    token = _watching.set(found)
    try:
        yield found
    finally:
        _watching.reset(token)


def watching() -> Watched | None:
    return _watching.get()


class Length:  # noqa: PLW1641  (`__hash__` is set below)
    """A length, with the expression that made it."""

    __slots__ = ("made", "value")
    passes_for: type = int  # what `isinstance` is told

    def __init__(self, value: int, made: Asked | Expression) -> None:
        self.value = value
        self.made = made

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return Length.passes_for

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

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __truediv__(self, other: Any) -> Any:
        quotient = _plain(self) / _plain(other)
        return Share(quotient, self, other) if isinstance(other, int) else _lose(quotient, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        quotient = _plain(other) / self.value
        return Share(quotient, other, self) if isinstance(other, int) else _lose(quotient, self)

    def __rshift__(self, other: Any) -> Any:
        return self // (1 << other) if type(other) is int else _lose(self.value >> _plain(other), self, other)

    def __lshift__(self, other: Any) -> Any:
        return self * (1 << other) if type(other) is int else _lose(self.value << _plain(other), self, other)

    def __and__(self, other: Any) -> Any:
        """As code does it: the rest of a power of two, or what is left without it."""
        if type(other) is int and other >= 0 and other & (other + 1) == 0:
            return self % (other + 1)
        if type(other) is int and other < 0 and -other & (-other - 1) == 0:
            return self // -other * -other
        return _lose(self.value & _plain(other), self, other)

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

    def __reduce__(self) -> Any:
        return int, (_plain(self),)

    def __copy__(self) -> Length:
        return self

    def __deepcopy__(self, memo: Any) -> Length:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(int, name):  # what is looked for in arrays
            raise AttributeError(name)
        return getattr(_lose(self.value, self), name)


class Share:
    """A length divided by a whole number, until it is rounded to one."""

    __slots__ = ("parts", "value")
    passes_for: type = float

    def __init__(self, value: float, left: Any, right: Any) -> None:
        self.value = value
        self.parts = (left, right)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return Share.passes_for

    def __ceil__(self) -> Any:
        return self._rounded("up", math.ceil)

    def __floor__(self) -> Any:
        return self._rounded("//", math.floor)

    @property
    def positive(self) -> bool:
        """Whether it is so at every size."""
        left, right = self.parts
        return all(isinstance(_made(part), Asked) or (type(part) is int and part > 0) for part in (left, right))

    def _rounded(self, how: str, rounding: Callable[[float], int]) -> Any:
        """The quotient rounded as code does it: exact below 2**53."""
        return Length(rounding(self.value), Expression(how, *map(_made, self.parts)))

    def __reduce__(self) -> Any:
        return float, (self.value,)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(float, name):
            raise AttributeError(name)
        return getattr(_lose(self.value, self), name)


class _Converting(type):
    """What `int` is to code that is watched: a length remains one, its quotient is rounded down."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, int)

    def __subclasscheck__(cls, kind: Any) -> bool:
        return issubclass(kind, int)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and type(args[0]) is Length:
            return args[0]
        if len(args) == 1 and type(args[0]) is Share and args[0].positive:
            return math.floor(args[0])
        return int(*args, **kwargs)


class _Int(metaclass=_Converting):
    pass


_ASKS_FOR_THE_TYPE = re.compile(r"\b(is|is not|==|!=|in|dtype=|dtype =)\s*[\[({]?\s*int\b|\bint\.|\bto\(int\)|\(int\)")


@contextmanager
def converting(modules: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """Code with these globals converts lengths by `int` and still has lengths; not where it asks for the type."""
    changed: list[Any] = []
    try:
        for names in modules:
            path = names.get("__file__")
            if "int" not in names and isinstance(path, str) and _converts(path):
                cast(Any, names)["int"] = _Int
                changed.append(names)
        yield
    finally:
        for names in changed:
            names.pop("int", None)


@cache
def _converts(path: str) -> bool:
    text = "".join(getlines(path))
    return "int(" in text and not _ASKS_FOR_THE_TYPE.search(re.sub(r"isinstance\(.*|:\s*int\b.*", "", text))


def _made(value: Any) -> Value:
    if type(value) is Length:
        return value.made
    return bool(value) if isinstance(value, bool) else _plain(value)


def _plain(value: Any) -> Any:
    return value.value if type(value) in (Length, Share) else value


def plain(value: Any) -> Any:
    """What an operator is given, with plain numbers in it."""
    if type(value) in (Length, Share):
        return value.value
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()} if _has(value.values()) else value
    if isinstance(value, slice):
        return slice(plain(value.start), plain(value.stop), plain(value.step))
    if isinstance(value, (tuple, list)) and _has(value):
        made = [plain(v) for v in value]
        return type(value)(*made) if hasattr(value, "_fields") else value.__class__(made)
    return value


def _has(values: Iterable[Any]) -> bool:
    return any(type(v) in (Length, Share) or isinstance(v, (tuple, list, dict, slice)) for v in values)


def _computed(how: str, left: Any, right: Any) -> Any:
    if not (isinstance(left, int) and isinstance(right, int)):
        other = right if type(left) is Length else left
        if not isinstance(other, (int, float, complex)):
            return NotImplemented
        return _lose(OPERATIONS[how](_plain(left), _plain(right)), left, right)
    return Length(OPERATIONS[how](_plain(left), _plain(right)), Expression(how, _made(left), _made(right)))


def _compared(how: str, left: Length, right: Any) -> Any:
    if not isinstance(right, (int, float)):
        return NotImplemented
    if type(right) is float and math.isfinite(right):  # a whole number is asked: of one above 9.5, above 9
        if right.is_integer():
            right = int(right)
        elif how in ("<", "<=", ">", ">="):
            how, right = how[0], math.ceil(right) if how[0] == "<" else math.floor(right)
    holds = OPERATIONS[how](_plain(left), _plain(right))
    if not isinstance(right, int):
        return _lose(holds, left, right)
    watched = watching()
    if watched is not None:
        watched.conditions.append(Condition(_where(), Expression(how, _made(left), _made(right)), holds))
    return holds


def _caller() -> FrameType:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(OWN):
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
            both = part.parts if type(part) is Share else (part, None)
            made = Expression("lost", made, Expression("lost", *map(_made, both)))
        watched.lost.append(Lost(_where(), made))
    return value


def lose(made: Value) -> None:
    """Note that code asks for something that is made of lengths in a way that is not followed."""
    if made is not None:
        _lose(None, Length(0, made))


_AS_TEXT = ("__format__", "__repr__", "__str__")


def _losing(kind: type, base: type, name: str) -> None:
    own: Any = {"__pow__": pow, "__rpow__": lambda a, b: pow(b, a)}.get(name) or getattr(base, name)

    def lose(self: Any, *args: Any) -> Any:
        if name in _AS_TEXT and in_a_message(_caller()):
            return own(self.value, *args)
        return _lose(own(self.value, *map(_plain, args)), self, *args)

    setattr(kind, name, lose)


_TEXT = ("int", "hash", "format", "repr", "str", "pow", "rpow", "abs", "round", "trunc")
for _name in (*_TEXT, "float", "index", "or", "xor", "rlshift", "rrshift", "invert", "rand", "ror", "rxor"):
    _losing(Length, int, f"__{_name}__")
for _name in (
    *(*_TEXT, "float", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv"),
    *("mod", "rmod", "divmod", "lt", "le", "gt", "ge", "eq", "ne", "bool", "neg", "pos"),
):
    _losing(Share, float, f"__{_name}__")
