"""The state of the process that the user's code may change, and how it is put back: that of Python itself."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Callable


def python_as_now() -> Callable[[], None]:
    """What puts Python's own state back: arguments, paths, random numbers, warnings, the environment, the folder."""
    argv, path, numbers, filters = sys.argv, sys.path[:], random.getstate(), warnings.filters[:]
    arguments = argv[:]
    environment, folder = dict(os.environ), _folder()

    def again() -> None:
        sys.argv = argv
        sys.argv[:] = arguments
        sys.path[:] = path
        random.setstate(numbers)
        if warnings.filters[:] != filters:
            warnings.resetwarnings()  # so that what was remembered of the others is forgotten
            warnings.filters[:] = filters  # type: ignore[index]
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        if folder is not None and _folder() != folder:
            os.chdir(folder)

    return again


def _folder() -> str | None:
    """The folder that the process works in; None where it was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
