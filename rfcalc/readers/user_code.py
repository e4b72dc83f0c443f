"""Objects of the user's own code: ``model.py:build``, ``py:package.module:UNet(depth=4)``. Only these run code.

The reference is parsed, never evaluated: a dotted name, and in parentheses literals (numbers, texts, lists, …) that it
is called with. The code runs as a script of its own: its folder is imported from, ``sys.argv`` is its name alone, and
what it prints goes to stderr. Where it uses PyTorch, parameters are made without data (device ``meta``) and buffers
with their values; where that does not work everything is on ``meta``, or on the CPU. Imports no framework; torch is
touched only if the user's code has imported it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from os import listdir
from os.path import abspath, basename, dirname, exists, isfile, join
from types import MappingProxyType
from typing import Any, NamedTuple

from rfcalc.core.aside import printed_aside
from rfcalc.core.errors import RfcalcError, UnknownName, suggestion
from rfcalc.core.installing import command
from rfcalc.readers.process import python_as_now

MOST_VALUES = 64  # of a parameter that is made with its values


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
    if text.startswith(":"):
        problem.fix = f"write one colon: model.py:{text.lstrip(':')}"
    if text.count("(") == text.count(")") + 1:
        problem.fix = f"close the bracket: {text})"
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
        raise RfcalcError("there is no such file", where=path, fix=_nearest(path))
    name = f"rfcalc_target_{basename(path).removesuffix('.py')}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with _as_script(dirname(abspath(path)), path), _failures(path, f"running {basename(path)}", text):
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
    return module, reference


def from_module(text: str) -> tuple[Any, Reference]:
    """The installed module (or one of the current folder) that ``py:package.module:object`` names, and the reference.

    Raises:
        RfcalcError: it cannot be imported.
    """
    name, sign, rest = text.removeprefix("py:").partition(":")
    if not sign or not name or not rest:
        module, dot, name = text.removeprefix("py:").rpartition(".")
        fix = f"write py:{module}:{name}" if dot and not sign and name else "write py:package.module:object"
        raise RfcalcError(f"{text!r} names no object", fix=fix)
    reference = parse(rest)
    with _as_script(abspath("."), name), _failures(text, f"importing {name}"):
        try:
            return import_module(name), reference
        except ModuleNotFoundError as error:
            missing = error.name or ""
            own = name == missing or name.startswith(f"{missing}.")
            near = suggestion(missing, _modules_here()) if own and "." not in missing else ""
            raise RfcalcError(
                f"cannot import {name}: {error}", where=text, fix=near if own else _install(missing)
            ) from None
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
    path = getattr(holder, "__file__", None) or "."
    torch = sys.modules.get("torch")
    with _as_script(dirname(abspath(path)), path):
        if light and torch is not None:
            for build in (_without_weights, torch.device):
                try:
                    with build("meta"):
                        return found(*reference.args, **reference.kwargs)
                except Exception:  # whatever it is, the CPU's message is the one to tell
                    pass
        needs = _needs(found, reference)
        if needs:
            call = f"{where.partition('(')[0]}({', '.join(f'{n}=…' for n in needs)})"
            raise RfcalcError(
                f"{reference.name} needs arguments: {', '.join(needs)}",
                where=where,
                fix=f"write their values, in quotes: '{call}', for example {needs[0]}=64",
            )
        with torch.device("cpu") if torch is not None else nullcontext(), _failures(where, f"{reference.name}()"):
            return found(*reference.args, **reference.kwargs)


def _needs(found: Any, reference: Reference) -> list[str]:
    """The arguments that are missing in a call."""
    from inspect import signature

    try:
        bound = signature(found)
        given = bound.bind_partial(*reference.args, **reference.kwargs).arguments
    except (TypeError, ValueError):  # no signature, or the call does not fit it: running it tells why
        return []
    return [
        p.name
        for p in bound.parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in given
    ]


@contextmanager
def _without_weights(device: str) -> Iterator[None]:
    """Parameters of more than a few values are made without data; what else is made has values."""
    torch: Any = sys.modules["torch"]
    parameter = torch.nn.Parameter
    usual = parameter.__new__

    def bare(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
        if type(data) is torch.Tensor and data.numel() > MOST_VALUES:
            data = data.to(device)
        return usual(cls, data, requires_grad)

    parameter.__new__ = bare
    try:
        with torch.device("cpu"):
            yield
    finally:
        parameter.__new__ = usual


def _buildable(found: Any) -> bool:
    """A class or a function: something that makes a network, not a network (those can often be called too)."""
    from types import BuiltinFunctionType, FunctionType, MethodType

    return isinstance(found, (type, FunctionType, MethodType, BuiltinFunctionType)) or type(found).__name__ in (
        "partial",
        "_lru_cache_wrapper",
    )


_LOADED: dict[str, str] = {}  # modules of the user's folders that were imported, and their folder


@contextmanager
def _as_script(folder: str, name: str) -> Iterator[None]:
    """As a script that is run in the folder: it imports from there, has no arguments, and its output is no result.

    Where it fails, the process is as it was before, and what was imported from the folder is forgotten.
    """
    arguments = sys.argv
    for module, other in list(_LOADED.items()):  # of another folder, under a name that this one uses too
        if other != folder and _is_in(folder, module):
            for known in [m for m in sys.modules if m.partition(".")[0] == module]:
                del sys.modules[known]
            del _LOADED[module]
    before = set(sys.modules)
    again = _as_now()
    sys.path.insert(0, folder)
    sys.argv = [name]
    failed = True
    try:
        with printed_aside():
            yield
        failed = False
    finally:
        sys.argv = arguments
        if folder in sys.path:
            sys.path.remove(folder)
        new = [m for m in set(sys.modules) - before if m.partition(".")[0] not in before]
        own = [m for m in new if _is_of(folder, m)]
        if failed:
            again()
            for module in own:
                del sys.modules[module]
        else:
            _LOADED.update({module: folder for module in own if "." not in module})


def _is_of(folder: str, module: str) -> bool:
    """Whether a loaded module is a file below the folder, and neither Python's nor an installed one that lies there."""
    path = getattr(sys.modules[module], "__file__", None) or ""
    installed = "site-packages" in path or "dist-packages" in path
    own = module.partition(".")[0] not in sys.stdlib_module_names
    return own and not installed and path.startswith(join(folder, ""))


def _is_in(folder: str, module: str) -> bool:
    return isfile(join(folder, f"{module}.py")) or exists(join(folder, module))


def _as_now() -> Callable[[], None]:
    """What puts the state of the process back; of torch where it is loaded."""
    if sys.modules.get("torch") is not None:
        again: Callable[[], None] = import_module("rfcalc.readers.torch.untouched").as_now()
        return again
    python = python_as_now()

    def without_torch() -> None:
        python()
        if sys.modules.get("torch") is not None:  # the code has loaded it
            import_module("rfcalc.readers.torch.untouched").as_started()

    return without_torch


@contextmanager
def _failures(where: str, doing: str, reference: str = "") -> Iterator[None]:
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
            fix=_advice(error, where, reference),
        ) from error


def _advice(error: BaseException, path: str, reference: str) -> str:
    """What to do about an error of the user's code."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _install(error.name)
    if isinstance(error, ImportError) and error.name is None and _imports_relatively(path):
        package, folder = _package(path)
        return f"it is part of a package: py:{package}:{reference or 'Net'}, in the folder {folder}"
    known = re.search(r"unexpected keyword argument '(\w+)'(?:\. Did you mean '(\w+)')?", str(error))
    if known is not None and isinstance(error, TypeError):
        return f"did you mean {known[2]}=…?" if known[2] else f"write it without {known[1]}=…, or as it is declared"
    return "run it by itself first"


def _imports_relatively(path: str) -> bool:
    """Whether a file holds ``from . import x``, which runs in a package only."""
    if not path.endswith(".py"):
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        tree = ast.parse(file.read())
    return any(isinstance(node, ast.ImportFrom) and node.level > 0 for node in ast.walk(tree))


def _install(module: str) -> str:
    """Where a package that the user's code imports must be."""
    name = module.partition(".")[0]
    return f"install {name} beside rfcalc ({command(name)}), or rfcalc where the model lives"


def _package(path: str) -> tuple[str, str]:
    """The dotted name of a file in its package, and the folder that the package is in."""
    full = abspath(path)
    parts, folder = [basename(full).removesuffix(".py")], dirname(full)
    while isfile(join(folder, "__init__.py")) or len(parts) == 1:
        parts.insert(0, basename(folder))
        folder = dirname(folder)
    return ".".join(parts), "." if folder == abspath(".") else folder


def _nearest(path: str) -> str:
    """A file of code with nearly this name, if there is one."""
    try:
        names = [n for n in listdir(dirname(path) or ".") if n.endswith(".py")]
    except OSError:
        return f"there is no folder {dirname(path)} either"
    near: str = suggestion(basename(path), names) or ""
    return near


def _modules_here() -> list[str]:
    return [n.removesuffix(".py") for n in listdir(".") if n.endswith(".py") or exists(join(n, "__init__.py"))]
