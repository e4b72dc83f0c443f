"""What code that is watched does that hides lengths, as it is noticed.

Imports nothing from the project.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
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


def caller(others: tuple[str, ...] = ("rfcalc.",)) -> FrameType:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(others):
        frame = frame.f_back
    return frame


def where(others: tuple[str, ...] = ("rfcalc.",)) -> str:
    """The line of code that is running; the user's where there is one, not that of a function of PyTorch or Python."""
    frame = innermost = caller(others)
    while frame.f_back is not None and _of_library(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    if frame.f_globals.get("__name__", "").startswith(others):
        frame = innermost  # PyTorch's own modules, called by what reads them
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"


def _of_library(module: str) -> bool:
    top = module.partition(".")[0]
    return top == "torch" or top in sys.stdlib_module_names
