"""Where code looks at what a number is, not at how much it is: `type(h) is int`, `h is w`, `id(h)`, `h.__class__`.

A length that notes what is asked of it (`rfcalc.core.lengths`) passes for a whole number, and is another kind of
object: it does not see such a look, and answers it in another way than a number does.
"""

from __future__ import annotations

import ast
import dis
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from linecache import getlines
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

from rfcalc.core.lengths import Length, Share
from rfcalc.readers.torch.asking import Sizes

CALLS = frozenset({"type", "id", "is_", "is_not"})
OTHERS = frozenset({"torch", "rfcalc", "numpy"} | sys.stdlib_module_names) - {"__main__"}
_LENGTHS = (Length, Share, Sizes, torch.Size)
_NUMBERS = (int, float, *_LENGTHS)
_UNKNOWN = object()


class Look(NamedTuple):
    """A look at what things are: the expressions of these things, whether it asks if they are one, and where it is."""

    of: tuple[ast.expr, ...]
    same: bool
    told: str


@contextmanager
def codes() -> Iterator[dict[CodeType, dict[str, Any]]]:
    """All code that is run meanwhile, with its names."""
    found: dict[CodeType, dict[str, Any]] = {}

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            found[frame.f_code] = frame.f_globals

    with _profiled(profile):
        yield found


def may_look(run: Mapping[CodeType, Mapping[str, Any]]) -> set[CodeType]:
    """The code, of what was run, that may look at what a length is."""
    own = [code for code, names in run.items() if str(names.get("__name__", "")).partition(".")[0] not in OTHERS]
    return {code for code in own if looks(code)}


@contextmanager
def looking(among: set[CodeType]) -> Iterator[list[str]]:
    """Where some code, which is run meanwhile with lengths that note what is asked of them, looked at one of these."""
    found: list[str] = []

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "return" and frame.f_code in among:
            found.extend(look.told for look in looks(frame.f_code) if _is_at_lengths(look, frame))

    with _profiled(profile):
        yield found


@contextmanager
def _profiled(profile: Any) -> Iterator[None]:
    """Calls and returns are told meanwhile; none where the process is profiled already, which goes on undisturbed."""
    if sys.getprofile() is not None:
        yield
        return
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


@cache
def looks(code: CodeType) -> tuple[Look, ...]:
    """The looks that code takes, as far as they may be at numbers."""
    named = not CALLS.isdisjoint(code.co_names)
    found: list[Look] = []
    before = ""
    for step in dis.get_instructions(code):
        same = step.opname == "IS_OP" and before != "LOAD_CONST"
        before = step.opname
        if not (same or (named and step.opname.startswith("CALL")) or step.argval == "__class__"):
            continue
        node = _expression(code, step)
        of: tuple[ast.expr, ...] | None = None
        if node is None:
            of = () if same else None
        elif same and isinstance(node, ast.Compare):
            of = (node.left, *node.comparators)
            if any(map(_is_kind, of)):
                of = None  # that is a look of its own
        elif isinstance(node, ast.Call) and _name(node.func) in CALLS:
            of = tuple(node.args)
            same = _name(node.func) in ("is_", "is_not")
            if len(of) != 1 + same:
                of = None
        elif isinstance(node, ast.Attribute) and node.attr == "__class__":
            of = (node.value,)
        if of is not None:
            line = (step.positions.lineno if step.positions is not None else None) or code.co_firstlineno
            text = "something is something else" if node is None else ast.unparse(node)
            found.append(Look(of, same, f"{text} ({Path(code.co_filename).name}, line {line})"))
    return tuple(found)


def _expression(code: CodeType, step: dis.Instruction) -> ast.expr | None:
    """What an instruction computes, as it is written; None where that is not known."""
    at = step.positions
    lines = getlines(code.co_filename)
    if at is None or at.lineno is None or at.end_lineno is None or at.end_lineno > len(lines):
        return None
    part = [line.encode() for line in lines[at.lineno - 1 : at.end_lineno]]
    part[-1] = part[-1][: at.end_col_offset]
    part[0] = part[0][at.col_offset :]
    try:
        return ast.parse(b"(" + b"".join(part) + b")", mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _name(node: ast.expr) -> str:
    """The name of a function; that of a tensor, as in ``x.type()``, is none."""
    if isinstance(node, ast.Attribute) and node.attr in ("type", "id") and _name(node.value) != "builtins":
        return ""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_kind(node: ast.expr) -> bool:
    """Whether an expression is what something is."""
    return (isinstance(node, ast.Call) and _name(node.func) == "type") or _name(node) == "__class__"


def _is_at_lengths(look: Look, frame: FrameType) -> bool:
    values = [_value(node, frame) for node in look.of]
    lengths = not values or any(v is _UNKNOWN or type(v) in _LENGTHS for v in values)
    return lengths and (not look.same or all(v is _UNKNOWN or type(v) in _NUMBERS for v in values))


def _value(node: ast.expr, frame: FrameType) -> Any:
    """What an expression is worth as code returns: of what calls nothing; a length that is asked of a tensor, too."""
    known = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Slice, ast.UnaryOp, ast.unaryop, ast.Tuple)
    parts = [n for n in ast.walk(node) if not isinstance(n, ast.expr_context)]
    if not all(isinstance(n, known) for n in parts):
        return _UNKNOWN
    names = {**frame.f_globals, **frame.f_locals}
    try:
        with torch._C.DisableTorchFunction():
            value = eval(compile(ast.Expression(node), "look", "eval"), names)  # noqa: S307 (the user's own expression, which calls nothing)
    except Exception:  # what is not there was not looked at
        return None
    of_maps = any(isinstance(names.get(n.id), torch.Tensor) for n in parts if isinstance(n, ast.Name))
    return _UNKNOWN if of_maps and len(parts) > 1 and type(value) in (int, float) else value
