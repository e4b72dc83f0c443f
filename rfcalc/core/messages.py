"""Where code only says something: the texts of errors and assertions, what is printed and logged.

Imports nothing from the project.
"""

from __future__ import annotations

import ast
from functools import cache
from itertools import islice
from linecache import getlines
from types import FrameType
from typing import Any


@cache
def _messages(path: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The parts of a file that only say something: messages of errors and assertions, what is printed and logged."""
    try:
        tree = ast.parse("".join(getlines(path)))
    except (SyntaxError, ValueError):
        return []
    found: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            found.append(node.exc)
        elif isinstance(node, ast.Assert):
            found.append(node.msg)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("_assert", "_check"):
                found += node.value.args[1:]
            elif name in ("print", "warn", "warn_once", "debug", "info", "warning", "error", "log"):
                found.append(node.value)
    nodes: list[Any] = [node for node in found if node is not None]
    return [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in nodes]


def in_a_message(frame: FrameType) -> bool:
    """Whether the code is making a text that only says something (of a failed assertion, where pytest rewrites it)."""
    if frame.f_globals.get("__name__", "").startswith("_pytest."):
        return True
    line, end_line, column, end_column = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    if line is None or end_line is None or column is None or end_column is None:
        return False
    at = (line, column), (end_line, end_column)
    return any(first <= at[0] and at[1] <= last for first, last in _messages(frame.f_code.co_filename))
