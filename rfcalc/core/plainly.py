"""What operators are given by code that is watched, in which lengths become plain numbers. Imports no framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rfcalc.core.expressions import Expression, Given
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
