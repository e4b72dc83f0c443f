"""Objects of the user's own code: ``model.py:build``, ``py:package.module:UNet(depth=4)``. Only these run code.

The reference is parsed, never evaluated: a dotted name, and in parentheses literals (numbers, texts, lists, …) that it
is called with. Where the code uses PyTorch, what it builds is built without memory for weights (device ``meta``) first,
and on the CPU where that does not work. Imports `errors` only; torch is touched only if the user's code has
imported it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from os.path import abspath, basename, dirname, isfile
from types import MappingProxyType
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError, UnknownName


class Reference(NamedTuple):
    """A parsed reference: the dotted name, and the arguments if it is called."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    called: bool = False


def parse(text: str) -> Reference:
    """Read ``UNet``, ``zoo.UNet(3, depth=4)``.

    Raises:
        RfcalcError: anything but a dotted name and literal arguments.

    >>> parse("UNet(3, depth=4, names=['a', 'b'])")
    Reference(name='UNet', args=(3,), kwargs={'depth': 4, 'names': ['a', 'b']}, called=True)
    """
    problem = RfcalcError(
        f"{text!r} names no object",
        why="it must be a name, with literal arguments if any: they are read, not run",
        fix='write it like build, UNet or UNet(depth=4, mode="bilinear")',
    )
    if len(text) > 10_000:
        raise problem
    try:
        node = ast.parse(text.strip(), mode="eval").body
        called = isinstance(node, ast.Call)
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        if isinstance(node, ast.Call):
            args = tuple(ast.literal_eval(a) for a in node.args)
            if any(k.arg is None for k in node.keywords):
                raise problem
            kwargs = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
            node = node.func
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise problem
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise problem from None
    return Reference(".".join([node.id, *reversed(parts)]), args, kwargs, called)


def defined(path: str) -> list[str]:
    """The classes, functions and values (in this order) at the top of a file, which is parsed, not run; up to ten."""
    try:
        with open(path, "rb") as file:
            body = ast.parse(file.read(1_000_000)).body
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    classes = [n.name for n in body if isinstance(n, ast.ClassDef)]
    functions = [n.name for n in body if isinstance(n, ast.FunctionDef)]
    values = [t.id for n in body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    return [n for n in [*classes, *functions, *values] if not n.startswith("_")][:10]


def from_script(path: str, text: str) -> tuple[Any, Reference]:
    """The module that a Python file makes when it is run, and the reference into it.

    Raises:
        RfcalcError: there is no such file, or running it fails; with the reason and the line.
    """
    from importlib.util import module_from_spec, spec_from_file_location

    reference = parse(text)
    if not isfile(path):
        raise RfcalcError("there is no such file", where=path)
    name = f"rfcalc_target_{basename(path).removesuffix('.py')}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    with _importable(dirname(abspath(path))), _failures(path, f"running {basename(path)}"):
        spec.loader.exec_module(module)
    return module, reference


def from_module(text: str) -> tuple[Any, Reference]:
    """The installed module (or one of the current folder) that ``py:package.module:object`` names, and the reference.

    Raises:
        RfcalcError: it cannot be imported.
    """
    name, sign, rest = text.removeprefix("py:").partition(":")
    if not sign or not name or not rest:
        raise RfcalcError(f"{text!r} names no object", fix="write py:package.module:object")
    reference = parse(rest)
    with _importable(abspath(".")), _failures(text, f"importing {name}"):
        try:
            return import_module(name), reference
        except ImportError as error:
            raise RfcalcError(f"cannot import {name}: {error}", where=text) from None


def made(holder: Any, reference: Reference, where: str, *, light: bool = True) -> Any:
    """The object: what stands under the name, called if it is a class or a function.

    Args:
        light: build PyTorch modules without memory (falls back to the CPU where that fails).

    Raises:
        UnknownName: there is nothing of this name.
        RfcalcError: building it fails; with the reason and the line.
    """
    found = holder
    for part in reference.name.split("."):
        if not hasattr(found, part):
            raise UnknownName("object", part, [n for n in dir(found) if not n.startswith("_")])
        found = getattr(found, part)
    if not reference.called and not _buildable(found):
        return found
    folder = dirname(abspath(getattr(holder, "__file__", None) or "."))
    torch = sys.modules.get("torch")
    with _importable(folder):
        if light and torch is not None:
            try:
                with torch.device("meta"):
                    return found(*reference.args, **reference.kwargs)
            except Exception:  # whatever it is, the CPU's message is the one to tell
                pass
        with torch.device("cpu") if torch is not None else nullcontext(), _failures(where, f"{reference.name}()"):
            return found(*reference.args, **reference.kwargs)


def _buildable(found: Any) -> bool:
    """A class or a function: something that makes a network, not a network (those can often be called too)."""
    from types import BuiltinFunctionType, FunctionType, MethodType

    return isinstance(found, (type, FunctionType, MethodType, BuiltinFunctionType)) or type(found).__name__ in (
        "partial",
        "_lru_cache_wrapper",
    )


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """With the folder among those that are imported from, as for a script that is run there."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


@contextmanager
def _failures(where: str, doing: str) -> Iterator[None]:
    """Whatever the user's code raises as one message, with the line of it."""
    try:
        yield
    except RfcalcError:
        raise
    except (Exception, SystemExit) as error:
        from traceback import extract_tb

        frames = [f for f in extract_tb(error.__traceback__) if "rfcalc" not in basename(dirname(f.filename))]
        own = next((f for f in reversed(frames) if "importlib" not in f.filename), None)
        line = f"\n{own.filename}, line {own.lineno}: {own.line}" if own else ""
        reason = (str(error).strip().splitlines() or [""])[0]
        raise RfcalcError(
            f"{doing} fails",
            where=where,
            why=f"{type(error).__name__}: {reason}"[:300] + line,
            fix="run it by itself first",
        ) from error
