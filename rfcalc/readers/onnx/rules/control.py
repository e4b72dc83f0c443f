"""Control flow: a branch that is decided beforehand is read; what the data decides is not."""

from __future__ import annotations

from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.onnx.model import Node, Subgraph
from rfcalc.readers.onnx.reading import Reader, rule


@rule("If")
def branch(reader: Reader, node: Node) -> None:
    condition = reader.known(node, 0)
    if not condition:
        raise NotUnderstood("its condition is empty")
    chosen = node.attributes.get("then_branch" if condition[0] else "else_branch")
    if not isinstance(chosen, Subgraph):
        raise NotUnderstood("its branch is missing")
    reader.inline(node, chosen)


@rule("Loop", "Scan", "SequenceMap")
def loop(reader: Reader, node: Node) -> None:
    raise NotUnderstood("loops depend on the data")
