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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from rfcalc.core.expressions import OPERATIONS, Lost, Value, even, times
from rfcalc.core.expressions import Asked as Asked
from rfcalc.core.expressions import Condition as Condition
from rfcalc.core.expressions import Expression as Expression
from rfcalc.core.expressions import Given as Given
from rfcalc.core.expressions import atoms as atoms
from rfcalc.core.expressions import evaluated as evaluated
from rfcalc.core.expressions import written as written
from rfcalc.core.messages import in_a_message
from rfcalc.core.noticed import caller, noticed, where


class Watched(NamedTuple):
    """What code asked of lengths in its last reading, and which ones it gave to operators, in order."""

    conditions: list[Condition]
    given: list[Given]
    lost: list[Lost]  # where code made something else than a whole number of a length, and could ask unseen
    framework: str  # the package whose own code asks on behalf of operators
    hanging: dict[int, tuple[Any, Value]]  # values made of lengths, by memory: the framework's object, the lengths
    alive: set[int]  # the maps that were asked and that are maps of the network
    maps: list[tuple[int, Any]]  # that were asked: how many operators had run by then, and the framework's object
    places: dict[tuple[int, int], tuple[str, int]]  # of a map that was asked, and its axis: the node's name, and axis
    whole: list[Given]  # whether slices ended where their map does: one that takes everything leaves no trace
    standing: list[str]  # where a file asks: the operator that is being read; empty where code does
    refusal: list[Condition]  # why it was refused, where that is known: conditions which all hold
    sized: bool = False  # whether only sizes are asked, so that what is given as a size is told as one
    as_written: bool = False  # whether views, and padding that comes to nothing, are nodes of their own, as in the code

    def clear(self) -> None:
        for each in (part for part in self if isinstance(part, (list, dict, set))):
            each.clear()

    def ran(self, since: int, until: int) -> None:
        """Note how many operators had run when the calls were done that were given something `since`."""
        for i in range(since, len(self.given)):
            self.given[i] = self.given[i]._replace(until=until)

    def gives(self, steps: int, value: Any) -> None:
        """Note the lengths in what an operator is called with."""
        if type(value) is Length:
            self.given.append(Given(steps, value.made, plain(value)))
        elif isinstance(value, (tuple, list)):
            for part in value:
                self.gives(steps, part)
        elif isinstance(value, slice):
            self.gives(steps, (value.start, value.stop))
        elif isinstance(value, dict):
            self.gives(steps, [*value.values()])


FLOATS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


_watching: ContextVar[Watched | None] = ContextVar("watching", default=None)


@contextmanager
def watched(framework: str = "torch", as_written: bool = False, sized: bool = False) -> Iterator[Watched]:
    """Code that is read meanwhile is given lengths that note what it asks."""
    with watched_again(Watched([], [], [], framework, {}, set(), [], {}, [], [], [], sized, as_written)) as found:
        yield found


@contextmanager
def watched_again(found: Watched) -> Iterator[Watched]:
    """What is made of a reading meanwhile is made as in the one that was watched."""
    token = _watching.set(found)
    try:
        yield found
    finally:
        _watching.reset(token)


def watching() -> Watched | None:
    return _watching.get()


def as_written() -> bool:
    """Whether what code does is told step by step: what comes to nothing at one size does not at others."""
    found = _watching.get()
    return found is not None and found.as_written


class Length:
    """A length, with the expression that made it."""

    __slots__ = ("made", "value")
    passes_for: type = int  # what `isinstance` is told
    as_node: Any = None  # makes what the framework takes for its value, where code has kept it

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

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Length):
            _divides(other)
            return Share(plain(self) / plain(other), self, other)
        return _shared("/", self, other) if isinstance(other, (int, float)) else NotImplemented

    def __rtruediv__(self, other: Any) -> Any:
        _divides(self)
        return _lose(_unfollowed(other) / plain(self), other, self)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is None and type(other) is int and 0 < other <= 4:
            return self if other == 1 else self * self ** (other - 1)
        _lose(None, self, other)
        return pow(plain(self), _unfollowed(other), modulus)

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __round__(self, digits: Any = None) -> Any:
        return self if digits is None or digits >= 0 else _lose(round(plain(self), digits), self)

    def __trunc__(self) -> Any:
        return self

    def __ceil__(self) -> Any:
        return self

    def __floor__(self) -> Any:
        return self

    def __int__(self) -> Any:
        noticed(caller(), "int")
        return _lose(plain(self), self)

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __rshift__(self, other: Any) -> Any:
        if type(other) is int and other >= 0:
            return self // (1 << other)
        _lose(None, self, other)
        return self.value >> plain(other)

    def __lshift__(self, other: Any) -> Any:
        if type(other) is int and other >= 0:
            return self * (1 << other)
        _lose(None, self, other)
        return self.value << plain(other)

    def __and__(self, other: Any) -> Any:
        """As code does it: the rest of a power of two, or what is left without it."""
        if type(other) is int and other >= 0 and other & (other + 1) == 0:
            return self % (other + 1)
        if type(other) is int and other < 0 and -other & (-other - 1) == 0:
            return self // -other * -other
        return _lose(self.value & plain(other), self, other)

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
        noticed(caller(), "cache")
        return int(_lose(hash(self.value), self))

    def __reduce__(self) -> Any:
        return int, (_lose(plain(self), self),)

    __copy__ = __pos__

    def __deepcopy__(self, memo: Any) -> Length:
        return self

    def __getattr__(self, name: str) -> Any:
        if name == "node" and Length.as_node is not None:
            return Length.as_node(self.value)
        if name.startswith("__") or not hasattr(int, name):  # what is looked for in arrays
            raise AttributeError(name)
        return getattr(_lose(self.value, self), name)


class Share:
    """A length divided by a whole number, exactly, until it is rounded to a whole one: with whole numbers and halves,
    quarters … added, and times powers of two, the float that Python computes is rounded as the fraction is."""

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

    def __trunc__(self) -> Any:
        return self._rounded("//", math.floor) if _weighed(">=", self, 0) else self._rounded("up", math.ceil)

    def __round__(self, digits: Any = None) -> Any:
        return self._rounded("even", round) if digits is None else _lose(round(_float(self), digits), self)

    def _rounded(self, how: str, rounding: Callable[[float], int]) -> Any:
        return Length(rounding(_float(self)), Expression(how, *map(made_of, self.parts)))

    def __int__(self) -> Any:
        noticed(caller(), "int")
        return _lose(int(_float(self)), self)

    def __neg__(self) -> Any:
        return _shared("*", self, -1)

    def __abs__(self) -> Any:
        return self if _weighed(">=", self, 0) else -self

    def __bool__(self) -> bool:
        return bool(_weighed("!=", self, 0))

    def is_integer(self) -> bool:
        above, below = self.parts
        return bool(above % below == 0)

    def __reduce__(self) -> Any:
        return float, (_lose(_float(self), self),)

    def __deepcopy__(self, memo: Any) -> Share:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(float, name):
            raise AttributeError(name)
        return getattr(_lose(self.value, self), name)


LARGEST_PART = 1 << 20  # of which a float is a multiple


def _float(value: Any) -> float:
    return value.value if type(value) is Share else float(value)


def _fraction(value: Any) -> tuple[Any, Any] | None:
    """What is above and below the line of a number; None where it is no fraction with a positive whole number below."""
    if type(value) is Share:
        above, below = value.parts
        return (above, below) if type(below) is int and below > 0 else None
    if isinstance(value, int):
        return value, 1
    if isinstance(value, float) and math.isfinite(value):
        above, below = value.as_integer_ratio()
        return (above, below) if below <= LARGEST_PART else None
    return None


def _shared(how: str, left: Any, right: Any) -> Any:
    """Floats that are made of lengths."""
    if how == "/":
        _divides(right)
    value = FLOATS[how](_unfollowed(left), _unfollowed(right))
    one, two = _fraction(left), _fraction(right)
    if one is None or two is None:
        return _lose(value, left, right)
    (a, b), (c, d) = one, two
    if how in "+-" and (even(b) or even(d)):
        added = times(a, d) + times(c, b) if how == "+" else times(a, d) - times(c, b)
        return Share(value, added, b * d)
    if how == "*" and (
        (even(b) and even(d))
        or (type(c) is int and even(abs(c)) and even(d))
        or (type(a) is int and even(abs(a)) and even(b))
    ):
        return Share(value, times(a, c), b * d)
    if how == "/" and type(c) is int and c > 0:
        return Share(value, times(a, d), b * c)
    return _lose(value, left, right)


def _unfollowed(value: Any) -> Any:
    return value.value if type(value) is Share else plain(value)


def _weighed(how: str, left: Any, right: Any) -> Any:
    """A comparison with a fraction."""
    holds = OPERATIONS[how](_unfollowed(left), _unfollowed(right))
    one, two = _fraction(left), _fraction(right)
    if one is None or two is None:
        return _lose(holds, left, right)
    (a, b), (c, d) = one, two
    _note(Expression(how, made_of(times(a, d)), made_of(times(c, b))), holds)
    return holds


def made_of(value: Any) -> Value:
    if isinstance(value, Length):
        return value.made
    return bool(value) if isinstance(value, bool) else _unfollowed(value)


def plain(value: Any) -> Any:
    """A length as any other whole number; of several, each."""
    if type(value) is tuple:
        return tuple(map(plain, value))
    return value.value if type(value) is Length else value


_NOTHING = {("*", int, 1), ("//", int, 1), ("+", int, 0), ("-", int, 0)}  # what leaves a length as it is


def _computed(how: str, left: Any, right: Any) -> Any:
    if how in ("//", "%"):
        _divides(right)
    if not (isinstance(left, int) and isinstance(right, int)):
        other = right if isinstance(left, Length) else left
        if isinstance(other, float) and how in FLOATS:
            return _shared(how, left, right)
        if not isinstance(other, (int, float, complex)):
            return NotImplemented
        return _lose(OPERATIONS[how](plain(left), _unfollowed(right)), left, right)
    if (how, type(right), right if type(right) is int else None) in _NOTHING:
        return left
    if (how, type(left), left if type(left) is int else None) in _NOTHING and how in "+*":
        return right
    return Length(OPERATIONS[how](plain(left), plain(right)), Expression(how, made_of(left), made_of(right)))


def _compared(how: str, left: Length, right: Any) -> Any:
    if not isinstance(right, (int, float)):
        return NotImplemented
    if not isinstance(right, int):
        return _weighed(how, left, right)
    holds = OPERATIONS[how](plain(left), plain(right))
    _note(Expression(how, made_of(left), made_of(right)), holds)
    return holds


def _divides(value: Any) -> None:
    """Note that code asks whether a length is 0 that it divides by: what it does then may be caught."""
    if type(value) is Length:
        _compared("!=", value, 0)
    elif type(value) is Share:
        _weighed("!=", value, 0)


def _note(asked: Expression, holds: bool) -> None:
    watched = watching()
    if watched is not None:
        watched.conditions.append(Condition(_where(), asked, holds))


def _where(others: tuple[str, ...] = ("rfcalc.",)) -> str:
    watched = watching()
    return watched.standing[-1] if watched is not None and watched.standing else where(others)


def _lose(value: Any, *parts: Any) -> Any:
    """Note that something is made of lengths that is not followed further, unless the framework itself does it."""
    watched = watching()
    if watched is not None and not caller().f_globals.get("__name__", "").startswith(f"{watched.framework}."):
        made: Value = None
        for part in parts:
            both = part.parts if type(part) is Share else (part, None)
            made = Expression("lost", made, Expression("lost", *map(made_of, both)))
        watched.lost.append(Lost(_where(), made))
    return value


def lose(made: Value) -> None:
    """Note that code asks for something that is made of lengths in a way that is not followed."""
    if (watched := watching()) is not None and made is not None:
        watched.lost.append(Lost(_where(("rfcalc.", f"{watched.framework}.")), Expression("lost", made, None)))


def _losing(kind: type, base: type, name: str) -> None:
    own: Any = {"__pow__": pow, "__rpow__": lambda a, b: pow(b, a)}.get(name) or getattr(base, name)

    def lose(self: Any, *args: Any) -> Any:
        if name in ("__format__", "__repr__", "__str__") and in_a_message(caller()):
            return own(self.value, *args)
        _lose(None, self, *args)  # before it: an error that it raises may be caught
        return own(self.value, *map(_unfollowed, args))

    setattr(kind, name, lose)


def _computing(name: str, how: str) -> None:
    back = name.startswith("r")

    def compute(self: Share, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return _lose(NotImplemented, self)
        return _shared(how, other, self) if back else _shared(how, self, other)

    setattr(Share, f"__{name}__", compute)


def _comparing(name: str, how: str) -> None:
    def compare(self: Share, other: Any) -> Any:
        return _weighed(how, self, other) if isinstance(other, (int, float)) else NotImplemented

    setattr(Share, f"__{name}__", compare)


for _name, _how in {"add": "+", "radd": "+", "sub": "-", "rsub": "-", "mul": "*", "rmul": "*", "truediv": "/"}.items():
    _computing(_name, _how)
for _name, _how in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    _comparing(_name, _how)
for _name in (
    *("float", "rpow", "rand", "or", "ror", "xor", "rxor", "rlshift", "rrshift", "invert", "index"),
    *("format", "repr", "str"),
):
    _losing(Length, int, f"__{_name}__")
for _name in ("float", "hash", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "divmod", "rdivmod", "pow", "rpow"):
    _losing(Share, float, f"__{_name}__")
for _name in ("format", "repr", "str", "pos"):
    _losing(Share, float, f"__{_name}__")
