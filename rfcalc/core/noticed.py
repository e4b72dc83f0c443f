"""What code that is watched does that hides lengths, as it is noticed.

Imports nothing from the project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

_noticing: ContextVar[list[tuple[FrameType, str]] | None] = ContextVar("noticing", default=None)


@contextmanager
def noticing() -> Iterator[list[tuple[FrameType, str]]]:
    """Where code meanwhile made a plain number of a length ("int"), or looked one up among answers that it keeps
    ("cache")."""
    found: list[tuple[FrameType, str]] = []
    token = _noticing.set(found)
    try:
        yield found
    finally:
        _noticing.reset(token)


def noticed(frame: FrameType, what: str) -> None:
    found = _noticing.get()
    if found is not None:
        found.append((frame, what))
