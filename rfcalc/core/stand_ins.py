"""What stands in, in code that is watched, for what would hide lengths: for Python's `int`, which makes a plain number
of one, for `max` and `min`, which ask which one is larger, and for caches, which give an answer that another length was
asked for.

Only the names of the modules are changed that did it, and only while their code runs; `int` only where the module does
nothing with it but call it and ask whether something is one. Imports nothing foreign.
"""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import _lru_cache_wrapper, lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from rfcalc.core.lengths import Expression, Length, Share, made_of, plain
from rfcalc.core.noticed import noticing

Names = dict[str, Any]
_known: dict[tuple[int, str], tuple[Names, Any]] = {}  # by the namespace and the name: what stands in for it


class _Kind(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, int)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, int)


class Whole(int, metaclass=_Kind):
    """Python's `int`, which leaves lengths what they are."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and isinstance(args[0], (Length, Share)):
            return math.trunc(args[0])
        if len(args) == 1 and hasattr(args[0], "item"):  # a tensor of one value
            return math.trunc(args[0].item())
        return int(*args, **kwargs)


@contextmanager
def standing_in() -> Iterator[list[tuple[FrameType, str]]]:
    """What is known stands in meanwhile; notes what more could."""
    with ExitStack() as stack, _extremes(), noticing() as found:
        for (_, name), (names, value) in list(_known.items()):
            stack.callback(_restore, names, name, names.get(name, _known))
            names[name] = value
        try:
            yield found
        finally:
            for namespace in {id(f.f_globals): f.f_globals for f, what in found if what == "cache"}.values():
                for kept in [v for v in namespace.values() if isinstance(v, _lru_cache_wrapper)]:
                    kept.cache_clear()  # of answers that hold lengths


@contextmanager
def _extremes() -> Iterator[None]:
    """The larger and the smaller one of lengths are computed meanwhile as numbers are, and not asked for."""
    before = builtins.max, builtins.min
    builtins.max, builtins.min = _extreme("max", max), _extreme("min", min)
    try:
        yield
    finally:
        builtins.max, builtins.min = before


def _extreme(how: str, usual: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(*args: Any, **more: Any) -> Any:
        values = args if len(args) > 1 else (*args[0],) if args else ()
        if more or not any(type(v) is Length for v in values) or not all(isinstance(v, int) for v in values):
            return usual(*((values,) if len(args) == 1 else args), **more)
        made = made_of(values[0])
        for value in values[1:]:
            made = Expression(how, made, made_of(value))
        return Length(usual(map(plain, values)), made)

    return extreme


def _restore(names: Names, name: str, before: Any) -> None:
    if before is _known:
        names.pop(name, None)
    else:
        names[name] = before


def learned(found: list[tuple[FrameType, str]]) -> bool:
    """Whether something was found that was not stood in for."""
    count = len(_known)
    for frame, what in {(id(frame.f_globals), what): (frame, what) for frame, what in found}.values():
        names = frame.f_globals
        if what == "cache":
            for name, value in names.items():
                if isinstance(value, _lru_cache_wrapper):
                    _known.setdefault((id(names), name), (names, value.__wrapped__))
        elif "int" not in names and _plainly_used(frame.f_code.co_filename):
            _known.setdefault((id(names), "int"), (names, Whole))
    return len(_known) > count


@lru_cache
def _plainly_used(path: str) -> bool:
    """Whether a file does no more with `int` than call it and ask whether something is one."""
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return False
    used = _Used()
    used.visit(tree)
    return used.plainly


class _Used(ast.NodeVisitor):
    plainly = True
    inside = 0  # functions

    def visit(self, node: ast.AST) -> None:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            super().visit(node)
            return
        self.inside += 1
        for part in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(part)
        self.inside -= 1

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        asks = isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "issubclass", "map")
        kinds = node.args[1:2] if asks and node.func.id != "map" else node.args[:1] if asks else []  # type: ignore[attr-defined]
        kinds = [k for kind in kinds for k in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
        for part in (node.func, *node.args, *[k.value for k in node.keywords]):
            skipped = part is node.func or part in kinds
            if not (skipped and isinstance(part, ast.Name)) and not (isinstance(part, ast.Tuple) and asks):
                self.visit(part)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == "int" and self.inside:
            self.plainly = False
