"""What code of others prints is no result: while it runs, standard output goes to standard error. Imports nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress


@contextmanager
def printed_aside() -> Iterator[None]:
    """Send to stderr what is printed: by `print`, and by what writes to descriptor 1 itself (C code, child processes).

    >>> with printed_aside():
    ...     print("not shown here")
    """
    _flush()
    kept = None
    with suppress(OSError):  # a closed stdout or stderr: nothing can be sent elsewhere
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    """What was printed so far goes where it was meant to go."""
    for stream in (sys.stdout, sys.__stdout__):
        with suppress(OSError, ValueError, AttributeError):  # closed, full, or none at all
            stream.flush()  # type: ignore[union-attr]
