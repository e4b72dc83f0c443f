"""A function whose module imports an optional package, as a stand-in that loads it when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rfcalc.core.errors import require_installed


class Later:
    """A function that is loaded when it is called, or when its help or signature is asked for.

    >>> from rfcalc import to_torch
    >>> to_torch
    <function to_torch of rfcalc.backend.build, which needs torch>

    Raises:
        MissingExtra: the package is not installed, with the command that installs it.
    """

    def __init__(self, module: str, name: str, needs: str) -> None:
        self.__module__ = module
        self.__name__ = self.__qualname__ = name
        self._needs = needs

    def _load(self) -> Any:
        require_installed(self._needs)
        return getattr(import_module(self.__module__), self.__name__)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._load()(*args, **options)

    def __getattribute__(self, name: str) -> Any:
        if name == "__signature__":
            from inspect import signature

            return signature(object.__getattribute__(self, "_load")())
        if name in ("__doc__", "__defaults__", "__kwdefaults__", "__annotations__"):
            return getattr(object.__getattribute__(self, "_load")(), name)
        return object.__getattribute__(self, name)

    def __repr__(self) -> str:
        return f"<function {self.__name__} of {self.__module__}, which needs {self._needs}>"
