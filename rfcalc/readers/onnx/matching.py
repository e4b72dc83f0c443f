"""A graph as the patterns look at it: who makes a value, how often it is read, which number a constant is."""

from __future__ import annotations

import math
from collections import Counter

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.onnx.constants import FOLDS, NotFoldedError
from rfcalc.readers.onnx.folding import written
from rfcalc.readers.onnx.model import Model, Node, Tensor
from rfcalc.readers.onnx.values import Const, constant

DOMAIN = "rfcalc"  # of operators that were put together again


class Match(Exception):
    """Raised where a graph is not what a pattern looks for."""


class PatternGraph:
    """The nodes as a pattern looks at them: who makes a value, how often it is read, which constant it is."""

    def __init__(self, model: Model, nodes: list[Node], folder: str) -> None:
        self.model, self.folder = model, folder
        self.makers = {name: node for node in nodes for name in node.outputs if name}
        self.reads: Counter[str] = Counter(name for node in nodes for name in node.inputs)
        self.reads.update(o.name for o in model.graph.outputs)
        self.taken: list[Node] = []
        self.known: dict[str, Const | None] = {}

    def made(self, name: str, *ops: str) -> Node:
        """The node that makes a value, which nothing else reads."""
        node = self.makers.get(name)
        if node is None or node.op not in ops or node.domain not in ("", "ai.onnx") or self.reads[name] != 1:
            raise Match
        self.taken.append(node)
        return node

    def number(self, name: str) -> float | None:
        """The value of a constant of one value, also behind casts; None if it is none."""
        for _ in range(5):
            tensor = self.model.graph.tensors.get(name)
            if tensor is None:
                node = self.makers.get(name)
                if node is None:
                    return None
                if node.op in ("Identity", "Cast", "Unsqueeze", "Reshape") and node.inputs:
                    name = node.inputs[0]
                    continue
                value = node.attributes.get("value", node.attributes.get("value_float"))
                if node.op != "Constant" or value is None:
                    return None
                if isinstance(value, (int, float)):
                    return float(value)
                tensor = value if isinstance(value, Tensor) else None
            if tensor is None or tensor.size != 1:
                return None
            found = constant(tensor, self.model.wire, self.folder).scalar
            return None if found is None else float(found)
        return None

    def is_number(self, name: str, wanted: float) -> bool:
        found = self.number(name)
        return found is not None and math.isclose(found, wanted, rel_tol=2e-3)

    def constant(self, name: str, depth: int = 8) -> Const | None:
        """A tensor that stands in the file, or is computed from such by a few operators."""
        if name in self.known:
            return self.known[name]
        tensor = self.model.graph.tensors.get(name)
        node = self.makers.get(name)
        found = None if tensor is None else constant(tensor, self.model.wire, self.folder)
        if tensor is None and node is not None and depth and name:
            if node.op == "Constant":
                found = written(node, self.model.wire, self.folder)
            elif node.called in FOLDS and len(node.outputs) == 1:
                found = self._computed(node, depth)
        self.known[name] = found
        return found

    def _computed(self, node: Node, depth: int) -> Const | None:
        if node.op == "CastLike":  # only its type is another's
            return self.constant(node.inputs[0], depth - 1)
        given = [self.constant(name, depth - 1) if name else None for name in node.inputs]
        if any(g is None and name for g, name in zip(given, node.inputs, strict=True)):
            return None
        try:
            (found,) = FOLDS[node.called](node, given, self.model.opset)
        except (
            NotFoldedError,
            RfcalcError,
            TypeError,
            ValueError,
            IndexError,
            AttributeError,
            OverflowError,
            KeyError,
        ):
            return None
        return found

    def other(self, node: Node, name: str) -> str:
        """The second operand of a node whose first is `name`, whatever their order."""
        if len(node.inputs) != 2 or name not in node.inputs:
            raise Match
        return node.inputs[1] if node.inputs[0] == name else node.inputs[0]

    def with_number(self, node: Node, wanted: float) -> str:
        """The operand of a node whose other operand is this number."""
        if len(node.inputs) == 2:
            for i in (0, 1):
                if self.is_number(node.inputs[i], wanted):
                    return node.inputs[1 - i]
        raise Match
