"""Python's syntax as data: module calls, literals, whole-number arithmetic. Parsed, never evaluated."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.configuration import LARGEST, shown
from rfcalc.readers.text.modules import Module

LONGEST = 1_000_000  # characters of a source
LONGEST_CALL = 4_000
DEEPEST_BRACKETS = 100
MOST_ENTRIES = 10_000
_OPENING, _CLOSING = "([{", ")]}"
_STRINGS = re.compile(r"'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|#[^\n]*")


def tree(text: str, where: str, mode: str = "exec") -> Any:
    """The syntax tree of a text that is not nested deeper than any model.

    Raises:
        RfcalcError: it is not Python, or too long, or nested too deeply.
    """
    if len(text) > LONGEST:
        raise RfcalcError("the text is too long", where=where, why=f"the limit is {LONGEST:,} characters")
    bare = _STRINGS.sub("", text)
    depth = deepest = 0
    for c in bare:
        depth += (c in _OPENING) - (c in _CLOSING)
        deepest = max(deepest, depth)
    if deepest > DEEPEST_BRACKETS or max((bare.count(s * 60) for s in "-+~"), default=0):
        raise RfcalcError("the text is nested too deeply", where=where, why=f"the limit is {DEEPEST_BRACKETS} levels")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "invalid decimal literal" and their like are told as errors or not at all
            return ast.parse(text, mode=mode)
    except SyntaxError as error:
        line = f"line {error.lineno}" if error.lineno and mode == "exec" else where
        told = (error.text or "").strip()
        raise RfcalcError(f"this is not Python: {error.msg}", where=line, why=shown(told) if told else None) from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise RfcalcError("this cannot be parsed", where=where, why=str(error)[:100] or None) from None


def module(node: ast.expr, where: str, names: dict[str, Any], unquoted: bool = False) -> Module:
    """A call of a module class with its arguments."""
    if not isinstance(node, ast.Call):
        raise RfcalcError(f"{_told(node)} is not a module", where=where, fix="write nn.Conv2d(3, 64, 3)")
    name = called(node)
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        raise RfcalcError(f"{name}: arguments with * are code, which is not run", where=where, fix="write them out")
    args = tuple(value(a, where, names, unquoted) for a in node.args)
    return Module(name, args, {str(k.arg): value(k.value, where, names, unquoted) for k in node.keywords}, where)


def called(node: ast.Call) -> str:
    """The last name of what is called: Conv2d of nn.Conv2d."""
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    if isinstance(function, ast.Name):
        return function.id
    return _told(function)


def value(node: ast.expr, where: str, names: dict[str, Any], unquoted: bool = False) -> Any:
    """A literal; a name of an earlier literal (or with `unquoted`, a word); arithmetic on whole numbers."""
    if isinstance(node, ast.Constant) and not isinstance(node.value, (bytes, complex, type(...))):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        if len(node.elts) > MOST_ENTRIES:
            raise RfcalcError("a list is too long", where=where)
        return [value(e, where, names, unquoted) for e in node.elts]
    if isinstance(node, ast.Call) and called(node) == "Size" and len(node.args) == 1 and not node.keywords:
        return value(node.args[0], where, names, unquoted)  # torch.Size([2, 4])
    if isinstance(node, ast.Name):
        if node.id in names:
            return names[node.id]
        if unquoted:
            return node.id
        raise RfcalcError(f"nothing says what {shown(node.id)} is", where=where, fix="write the number")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = value(node.operand, where, names, unquoted)
        if isinstance(inner, (int, float)):
            return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        return _arithmetic(
            node, value(node.left, where, names, unquoted), value(node.right, where, names, unquoted), where
        )
    if isinstance(node, ast.Attribute):
        return _told(node)
    raise RfcalcError(
        f"{_told(node)} is neither a number nor a literal", where=where, fix="code is not run: write it out"
    )


def _arithmetic(node: ast.BinOp, a: Any, b: Any, where: str) -> int:
    """+ − * // % ** of whole numbers."""
    found: int | None = None
    if all(isinstance(n, int) and not isinstance(n, bool) and abs(n) <= LARGEST for n in (a, b)):
        if isinstance(node.op, ast.Add):
            found = a + b
        elif isinstance(node.op, ast.Sub):
            found = a - b
        elif isinstance(node.op, ast.Mult):
            found = a * b
        elif isinstance(node.op, ast.FloorDiv) and b:
            found = a // b
        elif isinstance(node.op, ast.Mod) and b:
            found = a % b
        elif isinstance(node.op, ast.Pow) and 0 <= b <= 40 and abs(a) <= 1000:
            found = a**b
    if found is None or abs(found) > LARGEST:
        raise RfcalcError(f"{_told(node)} is not computed", where=where, fix="write the number")
    return found


def _told(node: ast.AST) -> str:
    """A piece of source, short."""
    try:
        return shown(ast.unparse(node)[:200])
    except (ValueError, RecursionError):
        return "this"
