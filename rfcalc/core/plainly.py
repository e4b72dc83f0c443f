"""What operators are given by code that is watched, in which lengths become plain numbers. Imports no framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rfcalc.core.expressions import OPERATIONS, Asked, Expression, Given, atoms, evaluated
from rfcalc.core.lengths import Length, Share, made_of, plain, watching


def numbers(value: Any) -> Any:
    """What an operator is given, with plain numbers in it."""
    if type(value) in (Length, Share):
        return value.value
    if isinstance(value, dict):
        return {key: numbers(v) for key, v in value.items()} if _has(value.values()) else value
    if isinstance(value, slice):
        return slice(numbers(value.start), numbers(value.stop), numbers(value.step))
    if isinstance(value, (tuple, list)) and _has(value):
        made = [numbers(v) for v in value]
        return type(value)(*made) if hasattr(value, "_fields") else value.__class__(made)
    return value


def made_in(value: Any) -> Iterator[Any]:
    """The lengths, and their fractions, in what an operator is given."""
    if type(value) in (Length, Share):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from made_in(part)
    elif isinstance(value, slice):
        yield from made_in((value.start, value.stop))
    elif isinstance(value, dict):
        yield from made_in([*value.values()])


def larger(one: Any, other: Any) -> Any:
    return _extreme("max", one, other)


def smaller(one: Any, other: Any) -> Any:
    return _extreme("min", one, other)


def cut(at: slice, whole: Any) -> Any:
    """How long a slice of so many is; that there is a last one is asked."""
    if (at.start, at.stop) == (-1, None) and type(at.start) is int and whole > 0:
        return 1
    first, last = (
        _within(b, whole) for b in (0 if at.start is None else at.start, whole if at.stop is None else at.stop)
    )
    left = last if type(first) is int and first == 0 else larger(last - first, 0)
    return left if at.step in (None, 1) else -(-left // at.step)


def _within(bound: Any, whole: Any) -> Any:
    if bound is whole or (type(bound) is int and bound == 0):
        return bound
    if not bound >= 0:
        return larger(bound + whole, 0)
    if Length in (type(bound), type(whole)) and (watched := watching()) is not None:
        takes_all = Expression("<=", made_of(bound), made_of(whole))
        watched.whole.append(Given(0, takes_all, plain(bound) <= plain(whole)))
    return smaller(bound, whole)


def _extreme(how: str, one: Any, other: Any) -> Any:
    value = OPERATIONS[how](plain(one), plain(other))
    if Length not in (type(one), type(other)):
        return value
    return Length(value, Expression(how, made_of(one), made_of(other)))


def parts_of(made: Any) -> Iterator[Length]:
    """The lengths that something hangs on."""
    if isinstance(made, Expression) and made.how == "lost":
        yield from (*parts_of(made.left), *parts_of(made.right))
    elif isinstance(made, (Asked, Expression)):
        yield Length(evaluated(made, iter([a.value for a in atoms(made)])), made)


def _has(values: Iterable[Any]) -> bool:
    return any(type(v) in (Length, Share) or isinstance(v, (tuple, list, dict, slice)) for v in values)


def beyond(bound: Any, length: Any) -> None:
    """Note what a slice asks on behalf of code: whether a bound of it lies beyond the length, on either side. The other
    answer is one at which it does something else: where both are equal, it does the same. That it takes everything is
    noted apart: where no reading cuts anything off, no layer shows it."""
    if (watched := watching()) is not None and type(bound) is Length and plain(bound) >= 0:
        takes_all = Expression(">=", bound.made, made_of(length))
        watched.whole.append(Given(0, takes_all, plain(bound) >= plain(length)))
    if type(bound) is Length or (type(length) is Length and abs(bound) > 1):
        bound = bound if bound >= 0 else -bound
        _ = length <= bound if plain(length) < plain(bound) else length < bound
