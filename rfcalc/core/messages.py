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
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list) and block and isinstance(block[-1], ast.Raise):
                found += _put_together(block[:-1]) or ()
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


def _put_together(block: list[ast.stmt]) -> list[ast.AST] | None:
    """The texts that statements before a `raise` put into names of their own; None where they do anything else."""
    found: list[ast.AST] = []
    for statement in block:
        if isinstance(statement, ast.If):
            parts = _put_together(statement.body), _put_together(statement.orelse)
        elif isinstance(statement, (ast.Assign, ast.AugAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            own = all(isinstance(target, ast.Name) for target in targets)
            parts = ([n for n in ast.walk(statement.value) if isinstance(n, ast.JoinedStr)] if own else None, [])
        else:
            return None
        if parts[0] is None or parts[1] is None:
            return None
        found += [*parts[0], *parts[1]]
    return found


def in_a_message(frame: FrameType) -> bool:
    """Whether the code is making a text that only says something (of a failed assertion, where pytest rewrites it)."""
    if frame.f_globals.get("__name__", "").startswith("_pytest."):
        return True
    line, end_line, column, end_column = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    if line is None or end_line is None or column is None or end_column is None:
        return False
    at = (line, column), (end_line, end_column)
    return any(first <= at[0] and at[1] <= last for first, last in _messages(frame.f_code.co_filename))
