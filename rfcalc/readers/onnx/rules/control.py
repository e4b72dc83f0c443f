"""Control flow: a branch that is decided beforehand is read; what the data decides is not."""

from __future__ import annotations

from rfcalc.readers.onnx.model import Node, Subgraph
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import NotUnderstoodError


@rule("If")
def branch(reader: Reader, node: Node) -> None:
    condition = reader.known(node, 0)
    if not condition:
        raise NotUnderstoodError("its condition is empty")
    chosen = node.attributes.get("then_branch" if condition[0] else "else_branch")
    if not isinstance(chosen, Subgraph):
        raise NotUnderstoodError("its branch is missing")
    reader.inline(node, chosen)


@rule("Loop", "Scan", "SequenceMap")
def loop(reader: Reader, node: Node) -> None:
    raise NotUnderstoodError("loops depend on the data")
