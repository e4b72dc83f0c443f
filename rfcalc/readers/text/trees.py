"""``print(model)`` of a PyTorch model: a tree of modules with their arguments. Parsed, never run.

What is printed are modules, not the order in which forward uses them. What that means is told with every result:
Sequential and its kin run in order for certain; blocks whose class is known (`blocks`) run as that class does; any
other class is taken to run its modules once each in the order printed, and only as long as every module reads what the
one before it makes. What cannot be that (branches, shortcuts, lists of modules) is refused.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.configuration import shown
from rfcalc.readers.text.literals import LONGEST_CALL, module, tree
from rfcalc.readers.text.modules import MODULES, WrittenLayer, layer_of

DEEPEST = 60
_CHILD = re.compile(r"\((?P<key>[\w.\-]{1,100})\): (?P<rest>.*)$")
_OPEN = re.compile(r"(?P<kind>[A-Za-z_]\w{0,100})\((?P<extra>[^()]*)$")
_WHOLE = re.compile(r"(?P<kind>[A-Za-z_]\w{0,100})\((?P<args>.*)\)$")
_LOOKS = re.compile(r"(?m)^\s*\([\w.\-]+\): (\d+ x )?[A-Za-z_]\w*\(")


class Tree(NamedTuple):
    """A printed module: its class, what stands in its parentheses, its children by name, the line."""

    kind: str
    args: str
    children: dict[str, Tree]
    line: int

    @property
    def where(self) -> str:
        return f"line {self.line}, {self.kind}"

    def made(self) -> WrittenLayer:
        """The layer of a module without children."""
        if len(self.args) > LONGEST_CALL:
            raise RfcalcError("its arguments are too long", where=self.where)
        call = tree(f"{self.kind}({self.args})", self.where, "eval").body
        assert isinstance(call, ast.expr)
        return layer_of(module(call, f"line {self.line}", {}, unquoted=True))

    def leaves(self) -> list[Tree]:
        """All modules without children, in the order printed."""
        if not self.children:
            return [self]
        return [leaf for child in self.children.values() for leaf in child.leaves()]


def looks(text: str) -> bool:
    """Whether a text is a printed model."""
    return _LOOKS.search(text) is not None or (
        (match := _WHOLE.match(text.strip())) is not None and match["kind"] in MODULES and "\n" not in text.strip()
    )


def parse(text: str) -> Tree:
    """The tree of a printed model.

    Raises:
        RfcalcError: a line that is none of its, or brackets that do not close.

    >>> found = parse("Sequential(\\n  (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))\\n  (1): ReLU()\\n)")
    >>> found.kind, list(found.children)
    ('Sequential', ['0', '1'])
    """
    stack: list[Tree] = []
    root: Tree | None = None
    for number, written in enumerate(text.splitlines(), 1):
        line = written.strip()
        if not line:
            continue
        if line == ")":
            if not stack:
                raise RfcalcError("a bracket closes that was never opened", where=f"line {number}")
            stack.pop()
            continue
        if root is not None and not stack:
            raise RfcalcError(f"{shown(line)} stands after the end of the model", where=f"line {number}")
        key, rest = "", line
        if stack:
            match = _CHILD.match(line)
            if match is None:
                raise RfcalcError(f"{shown(line)} is not a module of a printed model", where=f"line {number}")
            key, rest = match["key"], match["rest"]
        opened = _OPEN.match(rest)
        entire = _WHOLE.match(rest)
        if opened is not None:
            found = Tree(opened["kind"], opened["extra"].strip(), {}, number)
        elif entire is not None:
            found = Tree(entire["kind"], entire["args"], {}, number)
        else:
            raise RfcalcError(
                f"{shown(rest)} is not a printed module",
                where=f"line {number}",
                why="lists of equal modules are printed once, and their order is not known" if " x " in rest else None,
            )
        if stack:
            if key in stack[-1].children:
                raise RfcalcError(f"{shown(key)} stands twice", where=f"line {number}")
            stack[-1].children[key] = found
        else:
            root = found
        if opened is not None:
            stack.append(found)
            if len(stack) > DEEPEST:
                raise RfcalcError("the modules are nested too deeply", where=f"line {number}")
    if stack:
        raise RfcalcError("the text ends before the model does", where=stack[-1].where, why="a bracket is not closed")
    if root is None:
        raise RfcalcError("there is no model in the text")
    return root
