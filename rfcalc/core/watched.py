"""What code asked of lengths while it was watched, and what it gave to operators.

Imports no framework.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from rfcalc.core.expressions import Condition, Given, Lost, Value


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
