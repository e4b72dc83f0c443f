"""Expressions of lengths: what code computes from lengths of maps that it asked for.

Imports nothing from the project, and no framework.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
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
    """What code made something else of than a whole number, and where; `why` nothing is told, whatever they are."""

    where: str
    made: Value
    why: str = ""


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


def answers(asked: Sequence[Condition]) -> tuple[Any, ...]:
    """What code asked, where, and the answers: the same wherever code goes the same way."""
    return tuple([(c.where, c.holds, written(c.asked)) for c in asked])


def rounded(above: Any, below: Any) -> Any:
    """A fraction rounded to a whole number, a half to an even one, as Python does it."""
    nearest = (2 * above + below) // (2 * below)
    return nearest - 1 if (2 * above + below) % (2 * below) == 0 and nearest % 2 == 1 else nearest


def even(whole: Any) -> bool:
    """Whether a fraction is a float exactly: what is below the line is a power of two."""
    return type(whole) is int and whole & (whole - 1) == 0


def times(a: Any, b: Any) -> Any:
    return a if type(b) is int and b == 1 else b if type(a) is int and a == 1 else a * b


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "max": max, "min": min, "up": lambda a, b: -(-a // b), "even": rounded,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
