"""Numbers that stand for a class of numbers: n = modulus·t + rest for every t of a range.

A rule of a layer that is walked with such numbers answers for all of the class at once. Where it cannot (a division
that does not come out even, a comparison that is true for some t only) the number says how the class must be split, and
the walk goes on with the parts: the answer stays exact, and no size is walked twice.

1. A number is a polynomial in t with whole coefficients; where it is constant it is a plain `int`.
2. ``a // s`` is a polynomial if s divides every coefficient but the constant; else `Split` asks for classes modulo s.
3. A comparison holds for every t of the range, or for none; else `Split` asks for the t where it changes.

Imports nothing from the project.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any, NamedTuple

MOST_STEPS = 100_000  # tried one by one, where the number is no straight line


class Split(Exception):
    """The class must be split: into `classes` classes of t, or before `at`."""

    def __init__(self, classes: int = 0, at: int = 0) -> None:
        super().__init__(f"{classes} classes" if classes else f"before {at}")
        self.classes = classes
        self.at = at


class Undecided(Exception):
    """A rule wants to count through a number that stands for many; the position of the node whose rule it is."""

    position: int | None = None


class Range(NamedTuple):
    """The t of a class, first to last; no last one: all from the first on."""

    first: int = 0
    last: int | None = None

    def part(self, classes: int, rest: int) -> Range | None:
        """The u with classes·u + rest in this range."""
        first = -((rest - self.first) // classes)
        last = None if self.last is None else (self.last - rest) // classes
        return None if last is not None and last < first else Range(first, last)

    @property
    def single(self) -> bool:
        return self.first == self.last


class Number:
    """A polynomial in t: coefficients from the constant on, the last one not 0, at least two.

    >>> n = Number((3, 4), Range(0, None))  # 3, 7, 11, …
    >>> (n + 1) // 4, n % 2, n > 2
    (Number(t + 1), 1, True)
    """

    __slots__ = ("coefficients", "range")

    def __init__(self, coefficients: tuple[int, ...], values: Range) -> None:
        self.coefficients = coefficients
        self.range = values

    def at(self, t: int) -> int:
        value = 0
        for c in reversed(self.coefficients):
            value = value * t + c
        return value

    def substituted(self, classes: int, rest: int, values: Range) -> Any:
        """With t = classes·u + rest, over these u."""
        if values.single:
            return self.at(classes * values.first + rest)
        if len(self.coefficients) == 2:
            constant, rate = self.coefficients
            return Number((constant + rate * rest, rate * classes), values)
        found: list[int] = [0]
        for c in reversed(self.coefficients):  # Horner's rule, in polynomials of u
            found = [rest * a + classes * b for a, b in zip([*found, 0], [0, *found], strict=True)]
            found[0] += c
        return made(found, values)

    def _with(self, other: Any, how: Callable[[int, int], int]) -> Any:
        mine, theirs = self.coefficients, _coefficients(other)
        length = max(len(mine), len(theirs))
        pairs = zip(mine + (0,) * (length - len(mine)), theirs + (0,) * (length - len(theirs)), strict=True)
        return made([how(a, b) for a, b in pairs], self.range)

    def __add__(self, other: Any) -> Any:
        if type(other) is int:
            constant, *rates = self.coefficients
            return Number((constant + other, *rates), self.range)
        return self._with(other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if type(other) is int:
            return self + -other
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __neg__(self) -> Any:
        return Number(tuple(-c for c in self.coefficients), self.range)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __mul__(self, other: Any) -> Any:
        if type(other) is int:
            return Number(tuple([other * c for c in self.coefficients]), self.range) if other else 0
        theirs = _coefficients(other)
        found = [0] * (len(self.coefficients) + len(theirs) - 1)
        for i, a in enumerate(self.coefficients):
            for j, b in enumerate(theirs):
                found[i + j] += a * b
        return made(found, self.range)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Number):
            return quotient(self, other)
        common = divisor = _number(other)
        if not divisor:
            raise ZeroDivisionError("a size is divided by 0")
        for c in self.coefficients[1:]:
            common = gcd(common, c)
        if common != abs(divisor):
            raise Split(classes=abs(divisor) // common)
        constant, *rest = self.coefficients
        return made([constant // divisor, *(c // divisor for c in rest)], self.range)

    def __mod__(self, other: Any) -> Any:
        return self - self // other * other

    def __divmod__(self, other: Any) -> Any:
        quotient = self // other
        return quotient, self - quotient * other

    def __rfloordiv__(self, other: Any) -> Any:
        return quotient(other, self)

    def __rmod__(self, other: Any) -> Any:
        return other - quotient(other, self) * self

    def _holds(self, other: Any, test: Callable[[int], bool]) -> bool:
        """Whether the difference to another number passes, for every t of the range."""
        difference = self - other
        if not isinstance(difference, Number):
            return test(difference)
        values = difference.range
        answer = test(difference.at(values.first))
        change = difference.change(test, answer)
        if change is None:
            return answer
        raise Split(at=change)

    def change(self, test: Callable[[int], bool], answer: bool) -> int | None:
        """The first t of the range whose value answers the test otherwise."""
        first, last = self.range
        if len(self.coefficients) == 2:  # a straight line: at its root, or beside it
            root = -self.coefficients[0] // self.coefficients[1]
            tried = [t for t in (first + 1, root - 1, root, root + 1, root + 2) if t > first]
        else:  # beyond the bound of Cauchy it has the sign of its last coefficient
            bound = 1 + max(map(abs, self.coefficients)) // abs(self.coefficients[-1])
            if bound - first > MOST_STEPS:
                raise Undecided("a product of sizes is compared")
            tried = list(range(first + 1, bound + 2))
        found = [t for t in tried if (last is None or t <= last) and test(self.at(t)) is not answer]
        return min(found) if found else None

    def __lt__(self, other: Any) -> bool:
        return self._holds(other, lambda d: d < 0)

    def __le__(self, other: Any) -> bool:
        return self._holds(other, lambda d: d <= 0)

    def __gt__(self, other: Any) -> bool:
        return self._holds(other, lambda d: d > 0)

    def __ge__(self, other: Any) -> bool:
        return self._holds(other, lambda d: d >= 0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (int, Number)):
            return NotImplemented
        return self._holds(other, lambda d: d == 0)

    def __ne__(self, other: object) -> bool:
        if not isinstance(other, (int, Number)):
            return NotImplemented
        return self._holds(other, lambda d: d != 0)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return self != 0

    def __index__(self) -> int:
        raise Undecided("what is listed one by one (positions, phases) hangs on the size")

    def __repr__(self) -> str:
        terms = []
        for power, c in reversed(list(enumerate(self.coefficients))):
            if c:
                symbol = "" if power == 0 else "t" if power == 1 else f"t^{power}"
                terms.append(symbol if c == 1 and symbol else f"{c}{symbol}")
        return f"Number({' + '.join(terms)})"


def made(coefficients: list[int], values: Range) -> Any:
    """A number, or an `int` where it is the same for every t."""
    while len(coefficients) > 1 and coefficients[-1] == 0:
        coefficients.pop()
    return coefficients[0] if len(coefficients) == 1 else Number(tuple(coefficients), values)


def quotient(above: Any, below: Any) -> Any:
    """A polynomial divided by one that is not constant, rounded down: what comes out whole, and what is left over it,
    which in the end is the same number for every t."""
    if below == 0:
        raise ZeroDivisionError("a size is divided by 0")
    left, by, whole = above, _coefficients(below), 0
    while len(mine := _coefficients(left)) > len(by) or (len(mine) == len(by) and mine[-1] % by[-1] == 0):
        if mine[-1] % by[-1]:
            raise Split(classes=abs(by[-1]) // gcd(by[-1], mine[-1]))
        power = made([0] * (len(mine) - len(by)) + [mine[-1] // by[-1]], below.range)
        left, whole = left - power * below, whole + power
    left, below = (left, below) if below > 0 else (-left, -below)
    rest = int(_at(left, below.range.first)) // below.at(below.range.first)
    same = left >= rest * below and left < (rest + 1) * below  # else the class is split
    assert same
    return whole + rest


def _at(value: Any, t: int) -> Any:
    return value.at(t) if isinstance(value, Number) else value


def _coefficients(value: Any) -> tuple[int, ...]:
    return value.coefficients if isinstance(value, Number) else (_number(value),)


def _number(value: Any) -> int:
    if isinstance(value, Number):
        raise Undecided("a size is divided by a size")
    if not hasattr(value, "__index__"):
        raise Undecided("something is repeated as often as a size says")  # a list, as many times as there are positions
    return int(value.__index__())
