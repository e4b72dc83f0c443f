"""The algebra of layers: sizes, shapes, costs, windows, expressions, and what a kind is. Imports nothing foreign.

Here stands how things are named: a registry refuses duplicates, loads what it needs on a miss, and answers an unknown
name with suggestions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from rfcalc.core.errors import UnknownName

T = TypeVar("T")


def fold(name: str) -> str:
    """Names that differ in case, dash or underscore only are one name.

    >>> fold("Receptive_Field")
    'receptive-field'
    """
    return name.strip().lower().replace("_", "-")


class Registry(Generic[T]):
    """Values by name.

    >>> numbers = Registry("number")
    >>> _ = numbers.add("one", 1)
    >>> numbers["One"]
    1
    """

    def __init__(self, noun: str, load: Callable[[], object] | None = None) -> None:
        self.noun = noun
        self._load = load
        self._values: dict[str, T] = {}
        self._aliases: dict[str, str] = {}
        self._written: dict[str, str] = {}

    def add(self, name: str, value: T, aliases: tuple[str, ...] = ()) -> T:
        """Register a value; a name that is taken is a mistake of the programmer's, told at once."""
        for key in (name, *aliases):
            if fold(key) in self._values or fold(key) in self._aliases:
                raise ValueError(f"{self.noun} {key!r} is registered twice")
            self._written[fold(key)] = key
        self._values[fold(name)] = value
        for alias in aliases:
            self._aliases[fold(alias)] = fold(name)
        return value

    def remove(self, name: str) -> None:
        """Take a name out again (a plugin's, a test's)."""
        key = fold(name)
        del self._values[key]
        self._aliases = {a: k for a, k in self._aliases.items() if k != key}

    def load(self) -> None:
        """Load everything that can be registered."""
        if self._load is not None:
            load, self._load = self._load, None
            load()

    def get(self, name: str) -> T | None:
        key = fold(name)
        key = self._aliases.get(key, key)
        if key not in self._values:
            self.load()
            key = self._aliases.get(key, key)
        return self._values.get(key)

    def __getitem__(self, name: str) -> T:
        value = self.get(name)
        if value is None:
            raise UnknownName(self.noun, name, self.spellings())
        return value

    def spellings(self) -> list[str]:
        """All names and aliases."""
        return [*self.names(), *(self._written[a] for a in self._aliases)]

    def aliases(self, name: str) -> list[str]:
        """The other names of a value, as they were registered."""
        key = fold(name)
        return [self._written[alias] for alias, of in self._aliases.items() if of == key]

    def names(self) -> list[str]:
        """The names, as they were registered."""
        self.load()
        return [self._written[key] for key in self._values]

    def registered(self) -> list[T]:
        """The values that have been registered so far; nothing is loaded."""
        return list(self._values.values())

    def values(self) -> list[T]:
        self.load()
        return list(self._values.values())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None
