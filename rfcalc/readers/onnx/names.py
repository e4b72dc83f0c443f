"""Names of nodes: the module path that the exporter wrote down, else the node's own name, else kind and number.

Three sources are known. PyTorch's exporter by `torch.export` writes module scopes beside each node, the older one puts
them into the node's name (``/layer1/layer1.0/conv1/Conv``), and parameters carry them (``layer1.0.conv1.weight``).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable

from rfcalc.readers.onnx.model import Node

LONGEST = 200
_WEIGHT = re.compile(r"(.+)\.(?:weight|kernel)$")
_PLAIN = re.compile(r"[^\W\d][\w.-]*$")


class Names:
    """Gives each placed node a name of its own."""

    def __init__(self, nodes: Iterable[Node], taken: Iterable[str], constants: Iterable[str] = ()) -> None:
        fixed = set(constants)
        self.taken = set(taken)
        self.scopes: dict[int, str] = {}
        self.counts: Counter[str] = Counter()
        self.inner: set[str] = set()
        self.numbers: Counter[str] = Counter()
        for node in nodes:
            scope = scope_of(node)
            self.scopes[id(node)] = scope
            aside = node.op in ("Shape", "Size") or all(not i or i in fixed for i in node.inputs)
            if aside:  # it works out a shape or a number: no layer of the module
                fixed.update(node.outputs)
            if scope:
                self.counts[scope] += not aside
                while "." in scope:
                    scope = scope.rpartition(".")[0]
                    if scope in self.inner:
                        break
                    self.inner.add(scope)

    def of(self, node: Node, stem: str, weight: str = "") -> str:
        """The name of the node that stands for an operator; `weight` is the name of its weight, if it has one."""
        match = _WEIGHT.match(weight)
        if match and "::" not in weight:
            return self.fresh(match[1])
        scope = self.scopes.get(id(node), "")
        if scope:
            leaf = scope not in self.inner and (self.counts[scope] == 1 or weight)
            return self.fresh(scope if leaf else f"{scope}.{stem}")
        name = node.name.strip("/").replace("/", ".")
        if _PLAIN.match(name) and "/" in node.name:
            return self.fresh(stem if name.lower() == node.op.lower() else name)
        return self.fresh("", stem)

    def fresh(self, wanted: str, stem: str = "node") -> str:
        """A name that nothing has: the wanted one, with a number where it is taken; else the stem and a number."""
        wanted = "".join(c if c.isprintable() else "?" for c in wanted)[:LONGEST].strip()
        if not wanted:
            base, sign = stem, ""
        elif wanted not in self.taken:
            self.taken.add(wanted)
            return wanted
        else:
            base, sign = wanted, "_"
        while True:
            self.numbers[base] += 1
            number = self.numbers[base] + (1 if sign else 0)
            name = f"{base}{sign}{number}"
            if name not in self.taken:
                self.taken.add(name)
                return name


def scope_of(node: Node) -> str:
    """The path of the module that a node came from; empty where nothing says it."""
    if node.scope:
        try:
            path = ast.literal_eval(node.scope)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            path = None
        if isinstance(path, list) and len(path) > 1 and all(isinstance(p, str) for p in path):
            return str(path[-2])
    if node.name.startswith("/") and node.name.count("/") > 1:
        return joined(node.name.split("/")[1:-1])
    return ""


def joined(parts: list[str]) -> str:
    """A module path from the parts of an older PyTorch node name, of which some repeat what stands before them.

    >>> joined(["layer1", "layer1.0", "conv1"])
    'layer1.0.conv1'
    """
    found: list[str] = []
    before = ""
    for part in parts:
        own = part[len(before) + 1 :] if before and part.startswith(f"{before}.") else part
        found.append(own)
        before = part
    return ".".join(p for p in found if p)


def function_of(node: Node) -> str:
    """What a function without a module of its own is called: ``add``, ``relu_1``.

    >>> function_of(Node("Relu", (), (), name="/layer1/relu/Relu_1"))
    'relu_1'
    """
    last = node.name.rpartition("/")[2] if node.name.startswith("/") else ""
    return last.lower() if last.lower().startswith(node.op.lower()) else node.op.lower()


def invented(name: str) -> bool:
    """Whether an exporter made a tensor's name up, so that it is no parameter as the model has it.

    >>> invented("onnx::Add_12"), invented("/norm/Constant_1_output_0"), invented("val_7"), invented("norm.weight")
    (True, True, True, False)
    """
    return name.startswith(("/", "val_", "onnx::", "_val_")) or "Constant" in name or name.isdecimal()
