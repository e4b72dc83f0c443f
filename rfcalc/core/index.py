"""The running index of a repetition, and whole-number expressions in it: ``dilation=2**i``.

A `Var` is a symbol in the sense of `size`: it adds, multiplies and floor-divides; comparisons stay open. sympy takes
it as one of its own expressions. Imports nothing from the project.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_SIGNS: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "+": (1, lambda a, b: a + b),
    "-": (1, lambda a, b: a - b),
    "*": (2, lambda a, b: a * b),
    "//": (2, lambda a, b: a // b),
    "%": (2, lambda a, b: a % b),
    "**": (4, lambda a, b: a**b),
}


class _Open:
    """A comparison that is not decided before a number is put in."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __bool__(self) -> bool:
        raise TypeError(f"not decided: {self.text}")

    def __str__(self) -> str:
        return self.text


class Expression:
    """A whole-number expression in repetition indices.

    >>> i = Var("i")
    >>> d = 2**i * 3 + 1
    >>> print(d, d.bind({"i": 4}))
    2**i*3 + 1 49
    """

    __slots__ = ("left", "right", "sign")
    _op_priority = 20.0  # sympy leaves its operators to an expression whose index is still open

    def __init__(self, sign: str, left: Any, right: Any) -> None:
        self.sign, self.left, self.right = sign, left, right

    @property
    def free_symbols(self) -> frozenset[str]:
        both = (self.left, self.right)
        return frozenset().union(*(v.free_symbols for v in both if isinstance(v, Expression)))

    def bind(self, values: dict[str, int]) -> Any:
        """Put numbers in; a plain number where nothing stays open."""
        left, right = (v.bind(values) if isinstance(v, Expression) else v for v in (self.left, self.right))
        return _SIGNS[self.sign][1](left, right)

    def _sympy_(self) -> Any:
        """The expression as sympy has it; sympy asks for it, and is loaded then."""
        left, right = (v._sympy_() if isinstance(v, Expression) else v for v in (self.left, self.right))
        return _SIGNS[self.sign][1](sys.modules["sympy"].sympify(left), right)

    def _with(self, sign: str, other: Any, swapped: bool = False) -> Any:
        if not isinstance(other, Expression) and not hasattr(other, "__index__") and not hasattr(other, "free_symbols"):
            return NotImplemented
        neutral = {"+": 0, "-": 0, "*": 1, "//": 1, "**": 1}.get(sign)
        if other == neutral and isinstance(other, int) and not (swapped and sign in ("-", "//", "**")):
            return self
        if isinstance(other, int) and not swapped and (sign, other) in (("*", 0), ("%", 1)):
            return 0
        return Expression(sign, other, self) if swapped else Expression(sign, self, other)

    def __add__(self, other: Any) -> Any:
        return self._with("+", other)

    def __radd__(self, other: Any) -> Any:
        return self._with("+", other, True)

    def __sub__(self, other: Any) -> Any:
        return self._with("-", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("-", other, True)

    def __mul__(self, other: Any) -> Any:
        return self._with("*", other)

    def __rmul__(self, other: Any) -> Any:
        return self._with("*", other, True)

    def __floordiv__(self, other: Any) -> Any:
        return self._with("//", other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with("//", other, True)

    def __mod__(self, other: Any) -> Any:
        return self._with("%", other)

    def __rmod__(self, other: Any) -> Any:
        return self._with("%", other, True)

    def __pow__(self, other: Any) -> Any:
        return self._with("**", other)

    def __rpow__(self, other: Any) -> Any:
        return self._with("**", other, True)

    def __neg__(self) -> Any:
        return 0 - self

    def __lt__(self, other: Any) -> Any:
        return _Open(f"{self} < {other}")

    def __le__(self, other: Any) -> Any:
        return _Open(f"{self} <= {other}")

    def __gt__(self, other: Any) -> Any:
        return _Open(f"{self} > {other}")

    def __ge__(self, other: Any) -> Any:
        return _Open(f"{self} >= {other}")

    def _key(self) -> tuple[Any, ...]:
        return (self.sign, self.left, self.right)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _written(self, one: Callable[[Any], str]) -> str:
        """The expression, its parts written by `one`, with the brackets it needs."""
        own = _SIGNS[self.sign][0]
        power = self.sign == "**"

        def part(value: Any, tight: bool) -> str:
            if not isinstance(value, Expression) or isinstance(value, Var):
                return one(value)
            inner = _SIGNS[value.sign][0]
            return f"({one(value)})" if inner < own or (inner == own and tight) else one(value)

        left, right = part(self.left, power), part(self.right, not power)
        return f"{left} {self.sign} {right}" if self.sign in "+-" else f"{left}{self.sign}{right}"

    def __str__(self) -> str:
        return self._written(str)

    def __repr__(self) -> str:
        return self._written(repr)


class Var(Expression):
    """The index of a repetition: 0 in the first copy, 1 in the second, …"""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__("", None, None)
        self.name = name

    @property
    def free_symbols(self) -> frozenset[str]:
        return frozenset((self.name,))

    def bind(self, values: dict[str, int]) -> Any:
        return values.get(self.name, self)

    def _sympy_(self) -> Any:
        return sys.modules["sympy"].Symbol(self.name, integer=True, nonnegative=True)

    def _key(self) -> tuple[Any, ...]:
        return ("var", self.name)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Var({self.name!r})"


def bind(value: Any, values: dict[str, int]) -> Any:
    """Put numbers in wherever an expression stands in a (nested) tuple."""
    if isinstance(value, Expression):
        return value.bind(values)
    if isinstance(value, tuple):
        return tuple(bind(v, values) for v in value)
    return value


def is_open(value: Any) -> bool:
    """Whether an expression stands in a value or a (nested) tuple."""
    return isinstance(value, Expression) or (isinstance(value, tuple) and any(is_open(v) for v in value))
