"""Typed access to a configuration that came from a file: every field is checked where it is read.

Imports `errors` and `shape` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rfcalc.core.errors import LimitError, RfcalcError
from rfcalc.core.shape import Shape

LARGEST = 10**12  # of a number in a configuration
MOST_AXES = 16
MOST_VALUES = 10**18  # of one map
NO_DEFAULT: Any = object()


def malformed(where: str, what: str, fix: str | None = None) -> RfcalcError:
    """An error about a text that says something no layer can say."""
    return RfcalcError(what, where=where, fix=fix)


class Fields:
    """The configuration of one layer.

    >>> fields = Fields({"filters": 64, "strides": [2, 2]}, "conv1")
    >>> fields.integer("filters"), fields.sizes("strides", 2), fields.sizes("dilation_rate", 2, 1)
    (64, (2, 2), (1, 1))
    """

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise malformed(where, "it has no configuration")
        self.data = data
        self.where = where

    def get(self, name: str, default: Any = None) -> Any:
        return self.data.get(name, default)

    def integer(self, name: str, default: Any = NO_DEFAULT) -> int:
        """A whole number."""
        return integer(self._field(name, default), f"{self.where}: {name}")

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._field(name, default)
        if not isinstance(value, bool):
            raise malformed(self.where, f"{name} is {shown(value)}, neither true nor false")
        return value

    def word(self, name: str, default: Any = NO_DEFAULT) -> str:
        """A text."""
        value = self._field(name, default)
        if not isinstance(value, str):
            raise malformed(self.where, f"{name} is {shown(value)}, not a text")
        return value

    def real(self, name: str, default: float) -> float:
        """A number."""
        value = self._field(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise malformed(self.where, f"{name} is {shown(value)}, not a number")
        return value

    def sizes(self, name: str, count: int, default: Any = NO_DEFAULT) -> tuple[int, ...]:
        """`count` whole numbers; one number stands for all."""
        return sizes(self._field(name, default), count, f"{self.where}: {name}")

    def pairs(self, name: str, count: int, default: Any = NO_DEFAULT) -> tuple[tuple[int, int], ...]:
        """`count` pairs (before, after): written in full, as one number for each axis, or as one number for all."""
        value = self._field(name, default)
        where = f"{self.where}: {name}"
        if not isinstance(value, (list, tuple)):
            number = integer(value, where)
            return ((number, number),) * count
        if count == 1 and len(value) == 2 and not isinstance(value[0], (list, tuple)):
            return ((integer(value[0], where), integer(value[1], where)),)
        if len(value) != count:
            raise malformed(where, f"{shown(value)} is not for {count} axes")
        return tuple((sizes(v, 2, where)[0], sizes(v, 2, where)[1]) for v in value)

    def _field(self, name: str, default: Any) -> Any:
        value = self.data.get(name)
        if value is not None:
            return value
        if default is NO_DEFAULT:
            raise malformed(self.where, f"its configuration has no {name}")
        return default


def integer(value: Any, where: str) -> int:
    """A whole number of a size that a network can have; 64.0 counts as one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise malformed(where, f"{shown(value)} is not a whole number")
    if abs(value) > LARGEST:
        raise malformed(where, f"the number is too large: the limit is {LARGEST:,}")
    return value


def sizes(value: Any, count: int, where: str) -> tuple[int, ...]:
    """`count` whole numbers; one number stands for all."""
    if not isinstance(value, (list, tuple)):
        return (integer(value, where),) * count
    if len(value) != count:
        raise malformed(where, f"{shown(value)} has {len(value)} numbers, there are {count} axes")
    return tuple(integer(v, where) for v in value)


def bounded(shape: Shape) -> Shape:
    """The shape, unless no memory could ever hold it.

    Raises:
        LimitError: it has more than 10^18 values.
    """
    if shape.values > MOST_VALUES:
        raise LimitError("this map is too large", why=f"the limit is {MOST_VALUES:.0e} values".replace("+", ""))
    return shape


def dims(value: Any, where: str) -> tuple[int | None, ...] | None:
    """A Keras shape without its batch axis; None for what is no shape. Free sizes are None."""
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= MOST_AXES:
        return None
    if any(v is not None and not isinstance(v, (int, float)) for v in value):
        return None
    found = tuple(None if v is None else integer(v, where) for v in value[1:])
    return None if any(v is not None and v < 1 for v in found) else found


def shown(value: Any) -> str:
    """A value from a file, short enough for a message."""
    text = value if isinstance(value, str) else repr(value)[:80]
    return repr(text[:40] + "…") if len(text) > 40 else repr(text) if isinstance(value, str) else text
