"""How long work may take whose answer is only an addition, such as the valid sizes in a message: what takes steps asks
`in_time` before each. Imports nothing from the project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time

_until: float | None = None


class OutOfTime(Exception):
    """The work takes longer than its answer is waited for."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Work that may take so many seconds of this thread's processor time, and no more than work around it may."""
    global _until  # noqa: PLW0603 (the state that this module is)
    before = _until
    mine = thread_time() + seconds
    _until = mine if before is None else min(mine, before)
    try:
        yield
    finally:
        _until = before


def in_time() -> None:
    """Go on, if there is time left.

    Raises:
        OutOfTime: there is none.

    >>> with within(-1):
    ...     in_time()
    Traceback (most recent call last):
    rfcalc.core.within.OutOfTime
    """
    if _until is not None and thread_time() > _until:
        raise OutOfTime
