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
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rfcalc.core.expressions import OPERATIONS, Lost, Value, even, times
from rfcalc.core.expressions import Asked as Asked
from rfcalc.core.expressions import Condition as Condition
from rfcalc.core.expressions import Expression as Expression
from rfcalc.core.expressions import Given as Given
from rfcalc.core.expressions import answers as answers
from rfcalc.core.expressions import atoms as atoms
from rfcalc.core.expressions import evaluated as evaluated
from rfcalc.core.expressions import written as written
from rfcalc.core.messages import in_a_message
from rfcalc.core.noticed import caller, noticed, where
from rfcalc.core.watched import Watched as Watched
from rfcalc.core.watched import as_written as as_written
from rfcalc.core.watched import watched as watched
from rfcalc.core.watched import watched_again as watched_again
from rfcalc.core.watched import watching as watching

FLOATS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


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
        return _shared("/", self, other) if isinstance(other, (int, float)) else NotImplemented

    def __rtruediv__(self, other: Any) -> Any:
        return _shared("/", other, self) if isinstance(other, (int, float)) else NotImplemented

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
    """A fraction of lengths, as a float: what is done with it is told exactly, until it is rounded or compared.

    1. What is below the line is positive; where it is a length, this is asked.
    2. The float is so near that two fractions which are not equal are told apart as their floats are.
    3. A fraction that is a float exactly (whole numbers, halves, quarters …) is equal to it, if the ones are that are
       `unsure`: n / 49 * 49 is not always n.
    """

    __slots__ = ("parts", "single", "unsure", "value")
    passes_for: type = float

    def __init__(
        self, value: float, above: Any, below: Any, unsure: tuple[Share, ...] = (), single: bool = False
    ) -> None:
        self.value = value
        self.parts = (above, below)
        self.unsure = unsure
        self.single = single  # whether it was rounded once: then equal fractions are equal floats

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
        value, (above, below) = rounding(self.value), self.parts
        sure = _all_whole(self.unsure) or bool((above * 2 if how == "even" else above) % below != 0)
        if not sure or OPERATIONS[how](plain(above), plain(below)) != value:
            return _lose(value, self)
        return Length(value, Expression(how, made_of(above), made_of(below)))

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
        return bool(above % below == 0 if _all_whole(self.unsure) else _lose(self.value.is_integer(), self))

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


class _Fraction(NamedTuple):
    """A number, with what is above and below the line, and what is not sure of its float (`Share`)."""

    above: Any
    below: Any
    unsure: tuple[Share, ...]
    single: bool

    @property
    def exact(self) -> bool:
        return even(self.below) and not self.unsure


def _fraction(value: Any) -> _Fraction | None:
    """A number as a fraction; None where it is none that is followed."""
    if type(value) is Share:
        return _Fraction(*value.parts, value.unsure, value.single)
    if isinstance(value, int):
        return _Fraction(value, 1, (), True)
    if isinstance(value, float) and math.isfinite(value):
        above, below = value.as_integer_ratio()
        return _Fraction(above, below, (), True) if below <= LARGEST_PART else None
    return None


def _all_whole(shares: Sequence[Share]) -> bool:
    """Whether fractions are whole numbers, which is asked where they are."""
    return all(s.value.is_integer() for s in shares) and all(s.parts[0] % s.parts[1] == 0 for s in shares)


def _shared(how: str, left: Any, right: Any) -> Any:
    """Floats that are made of lengths."""
    if how == "/":
        _divides(right, ">")
    value = FLOATS[how](_unfollowed(left), _unfollowed(right))
    one, two = _fraction(left), _fraction(right)
    if one is None or two is None:
        return _lose(value, left, right)
    (a, b, *_), (c, d, *_) = one, two
    unsure = (*one.unsure, *two.unsure)
    if how in "+-" and (even(b) or even(d)) and (not unsure or _all_whole(unsure)):
        return Share(value, times(a, d) + times(c, b) if how == "+" else times(a, d) - times(c, b), b * d)
    if how == "*":
        for x, y, kept in ((one, two, left), (two, one, right)):  # is it exact only where each of them is?
            if not even(x.below) and not (type(y.above) is int and even(abs(y.above)) and even(y.below)):
                unsure = (*unsure, kept)
        return Share(value, times(a, c), times(b, d), unsure)
    if how == "/" and plain(c) > 0:
        unsure = unsure if even(d) else (*unsure, right)
        return Share(value, times(a, d), times(b, c), unsure, type(b) is type(d) is int and b == d == 1)
    return _lose(value, left, right)


def _unfollowed(value: Any) -> Any:
    return value.value if type(value) is Share else plain(value)


def _weighed(how: str, left: Any, right: Any) -> Any:
    """A comparison with a fraction."""
    holds = OPERATIONS[how](_unfollowed(left), _unfollowed(right))
    one, two = _fraction(left), _fraction(right)
    if one is None or two is None:
        return _lose(holds, left, right)
    above, below = times(one.above, two.below), times(two.above, one.below)
    unsure = (*one.unsure, *two.unsure)
    sure = not unsure and (even(one.below) or even(two.below) or (one.single and two.single))
    sure = sure or bool(unsure and _all_whole(unsure)) or bool(above != below)
    if not sure or OPERATIONS[how](plain(above), plain(below)) != holds:
        return _lose(holds, left, right)
    _note(Expression(how, made_of(above), made_of(below)), holds)
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


def _divides(value: Any, how: str = "!=") -> None:
    """Note that code asks whether a length is 0 that it divides by: what it does then may be caught."""
    if type(value) is Length:
        _compared(how, value, 0)
    elif type(value) is Share:
        _weighed(how, value, 0)


def _note(asked: Expression, holds: bool) -> None:
    watched = watching()
    if watched is not None:
        watched.conditions.append(Condition(_where(), asked, holds))


def _where(others: tuple[str, ...] = ("rfcalc.",)) -> str:
    watched = watching()
    return watched.standing[-1] if watched is not None and watched.standing else where(others)


def _lose(value: Any, *parts: Any) -> Any:
    """Note that something is made of lengths that is not followed further, unless an operator of the framework does it:
    a module of it that code makes keeps what it made."""
    watched, frame = watching(), caller()
    if watched is not None and (
        frame.f_code.co_name == "__init__"
        or not frame.f_globals.get("__name__", "").startswith(f"{watched.framework}.")
    ):
        made: Value = None
        for part in parts:
            both = part.parts if type(part) is Share else (part, None)
            made = Expression("lost", made, Expression("lost", *map(made_of, both)))
        watched.lost.append(Lost(_where(), made))
    return value


def lose(made: Value, why: str = "") -> None:
    """Note that code asks for something that is made of lengths in a way that is not followed; `why` no size is told
    at which it does."""
    if (watched := watching()) is not None and (made is not None or why):
        watched.lost.append(Lost(_where(("rfcalc.", f"{watched.framework}.")), Expression("lost", made, None), why))


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
