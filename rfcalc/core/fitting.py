"""Code that is read as if the weights of its linear layers fitted: all of its maps are seen where only these refuse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Fitting:
    """What was taken as if it fitted.

    Attributes:
        since: how many operators had run before the first linear layer whose weights do not fit; None if all do.
    """

    def __init__(self) -> None:
        self.since: int | None = None

    def taken(self, steps: int) -> None:
        if self.since is None:
            self.since = steps


_fitting: ContextVar[Fitting | None] = ContextVar("fitting", default=None)


@contextmanager
def fitting() -> Iterator[Fitting]:
    """Linear layers of code that is read meanwhile take any number of features."""
    token = _fitting.set(found := Fitting())
    try:
        yield found
    finally:
        _fitting.reset(token)


def as_fitting() -> Fitting | None:
    return _fitting.get()
