"""An input close to one that is refused, with which a file or code can be read: what valid sizes are told from then."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.core.within import OutOfTime, in_time, within
from rfcalc.readers.target import Named

MULTIPLES = (2, 4, 8, 16, 32, 64, 128)
SIDES = (28, 32, 48, 64, 96, 112, 128, 160, 192, 224, 227, 256, 299, 320, 384, 448, 512, 640, 1024, 16, 8, 4, 2)
SECONDS = 4.0  # for sizes of files that are tried


def close_to(asked: Named, given: Any, error: RfcalcError) -> Any:
    """The input that code runs on, as its error tells; of files one whose sizes are rounded
    up to multiples, a usual one, or its own.

    Returns:
        An input as it was given, with other sizes; None where there is none.
    """
    if error.advice is not None:
        advice = error.advice()
        return None if advice is None else advice.input
    if given is None or error.asked is None:
        return None
    with suppress(RfcalcError, OutOfTime), within(SECONDS):
        for rounded, side in (*((True, m) for m in MULTIPLES), *((False, n) for n in SIDES)):
            in_time()
            tried = _resized(given, side, rounded)
            with suppress(RfcalcError):
                asked.read(tried)
                return tried
        own = dict(asked.read(None).network.inputs)  # those that it was written with
        return next(iter(own.values())) if len(own) == 1 else own
    return None


def _resized(given: Any, side: int, rounded: bool) -> Any:
    """An input of this side on every axis, or rounded up to multiples of it, in the form in which it is given."""
    if isinstance(given, Mapping):
        return {name: _resized(one, side, rounded) for name, one in given.items()}
    if isinstance(given, (list, tuple)) and any(isinstance(v, (str, Shape, tuple, list)) for v in given):
        return [_resized(one, side, rounded) for one in given]
    shape = Shape.of(given)
    return Shape(shape.channels, *(-(-n // side) * side if rounded else side for n in shape.spatial))


def first_of(given: Any) -> Any:
    """The input, or the first of several, as it is given."""
    if isinstance(given, Mapping):
        return next(iter(given.values()), None)
    several = isinstance(given, (list, tuple)) and any(isinstance(v, (str, Shape, tuple, list)) for v in given)
    return next(iter(given), None) if several else given


def told(given: Any) -> str:
    """An input in words."""
    if isinstance(given, Mapping):
        return ", ".join(f"{name}={told(one)}" for name, one in given.items())
    if isinstance(given, (list, tuple)):
        several = any(isinstance(v, (str, Shape, tuple, list)) for v in given)
        return (", " if several else "x").join(told(one) if several else str(one) for one in given)
    return str(given)
