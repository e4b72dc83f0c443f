"""``nn.Sequential(…)`` as Python source, nested ones and OrderedDicts too. Parsed, never run.

Imports and assignments of literals may stand before it. Modules run in the order written: that is what Sequential does,
so nothing has to be assumed but the input's size.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.imported import Imported
from rfcalc.readers.text.chain import TextChain
from rfcalc.readers.text.literals import called, module, tree, value
from rfcalc.readers.text.modules import WrittenLayer, layer_of
from rfcalc.readers.text.order import default_input, place

_LOOKS = re.compile(r"\bSequential\s*\(")


def looks(text: str) -> bool:
    """Whether a text is such source."""
    return _LOOKS.search(text) is not None


def read(text: str, given: Any) -> Imported:
    """The network of a source.

    >>> read("nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())", (3, 8, 8)).network
    Network(Conv(8, 3).named('0') >> Activation('relu').named('1'), '3x8x8')
    """
    found = _sequential(tree(text, "the text"))
    if found is None:
        raise RfcalcError("there is no nn.Sequential in it", fix="paste nn.Sequential(nn.Conv2d(3, 64, 3), …)")
    call, names = found
    parts: list[tuple[str, WrittenLayer, str]] = []
    _gather(call, "", names, parts)
    if not parts:
        raise RfcalcError("the Sequential is empty")
    chain = TextChain(given, default_input([made for _, made, _ in parts]))
    for name, made, where in parts:
        place(chain, made, name, where)
    return chain.finish()


def _sequential(body: ast.Module) -> tuple[ast.Call, dict[str, Any]] | None:
    """The last Sequential, and the literals with names before it.

    Raises:
        RfcalcError: something else than imports, literals and a Sequential.
    """
    names: dict[str, Any] = {}
    found = None
    for statement in body.body:
        where = f"line {statement.lineno}"
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            continue
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, right = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, right = statement.target, statement.value
        elif isinstance(statement, ast.Return) and statement.value is not None:
            target, right = ast.Name("model"), statement.value
        elif isinstance(statement, ast.Expr):
            if isinstance(statement.value, ast.Constant):  # a docstring
                continue
            target, right = ast.Name("model"), statement.value
        else:
            raise RfcalcError(
                "this is code, which is not run",
                where=where,
                why="only imports, numbers with names and an nn.Sequential are read",
                fix="for a class or a function use file.py:Name, which runs it",
            )
        if isinstance(right, ast.Call) and called(right) == "Sequential":
            found = right
        elif isinstance(target, ast.Name):
            names[target.id] = value(right, where, names)
    return None if found is None else (found, names)


def _gather(call: ast.Call, prefix: str, names: dict[str, Any], parts: list[tuple[str, WrittenLayer, str]]) -> None:
    """The modules of a Sequential in order, with torch's names."""
    for key, node in _entries(call):
        where = f"line {node.lineno}"
        if isinstance(node, ast.Call) and called(node) == "Sequential":
            _gather(node, f"{prefix}{key}.", names, parts)
        else:
            parts.append((f"{prefix}{key}", layer_of(module(node, where, names)), where))


def _entries(call: ast.Call) -> list[tuple[str, ast.expr]]:
    """Names and modules: numbered, or as an OrderedDict names them."""
    where = f"line {call.lineno}"
    if call.keywords:
        raise RfcalcError("Sequential takes no named arguments", where=where)
    if len(call.args) == 1 and isinstance(call.args[0], ast.Call) and called(call.args[0]) == "OrderedDict":
        return _ordered(call.args[0], where)
    for node in call.args:
        if isinstance(node, (ast.Starred, ast.ListComp, ast.GeneratorExp)):
            raise RfcalcError("lists that are computed are code, which is not run", where=where, fix="write them out")
    return [(str(i), node) for i, node in enumerate(call.args)]


def _ordered(call: ast.Call, where: str) -> list[tuple[str, ast.expr]]:
    if len(call.args) == 1 and isinstance(call.args[0], (ast.List, ast.Tuple)):
        pairs = []
        for pair in call.args[0].elts:
            if not isinstance(pair, (ast.Tuple, ast.List)) or len(pair.elts) != 2:
                break
            key = pair.elts[0]
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                break
            pairs.append((key.value, pair.elts[1]))
        else:
            return pairs
    if len(call.args) == 1 and isinstance(call.args[0], ast.Dict):
        keys = call.args[0].keys
        if all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in keys):
            return [(k.value, v) for k, v in zip(keys, call.args[0].values, strict=True)]  # type: ignore[union-attr]
    raise RfcalcError(
        "this OrderedDict is not understood", where=where, fix='OrderedDict([("conv1", nn.Conv2d(…)), …])'
    )
