"""Control flow: a branch that is decided beforehand is read; what the data decides is not."""

from __future__ import annotations

from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.onnx.model import Node, Subgraph
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.rules.parts import stacked
from rfcalc.readers.onnx.values import Const
from rfcalc.readers.onnx.weights import solid

MOST_TURNS = 64


@rule("If")
def branch(reader: Reader, node: Node) -> None:
    condition = reader.known(node, 0)
    if not condition:
        raise NotUnderstood("its condition is empty")
    chosen = node.attributes.get("then_branch" if condition[0] else "else_branch")
    if not isinstance(chosen, Subgraph):
        raise NotUnderstood("its branch is missing")
    for i, name in enumerate(reader.inline(node, chosen)):
        found = reader.value(name)
        if found is not None:
            reader.give(node, found, i)


@rule("Loop")
def loop(reader: Reader, node: Node) -> None:
    """A loop of so many turns, one after another; what every turn gives is stacked."""
    trips = reader.known(node, 0)
    begins = reader.known(node, 1) if len(node.inputs) > 1 else None
    body = node.attributes.get("body")
    if not trips or not isinstance(body, Subgraph):
        raise NotUnderstood("how often it runs is not known")
    turns = int(trips[0]) if begins is None or begins[0] else 0
    if not 0 < turns <= MOST_TURNS:
        raise NotUnderstood(f"it runs {turns} times")
    carried = list(node.inputs[2:])
    stacks: list[list[str]] = []
    label = node.outputs[0]
    for turn in range(turns):
        reader.values[f"{label}/turn{turn}"] = Const((), 7, (turn,))
        reader.values[f"{label}/go{turn}"] = Const((), 9, (True,))
        made = reader.inline(node, body, [f"{label}/turn{turn}", f"{label}/go{turn}", *carried], f"{turn}/")
        goes = reader.value(made[0])
        if not isinstance(goes, Const) or goes.scalar is None:
            raise NotUnderstood("the data decides when it ends")
        carried, rest = made[1 : 1 + len(carried)], made[1 + len(carried) :]
        stacks = [[*stack, name] for stack, name in zip(stacks or [[] for _ in rest], rest, strict=True)]
        if not goes.scalar:
            break
    for i, name in enumerate(carried):
        if (found := reader.value(name)) is not None:
            reader.give(node, found, i)
    for i, stack in enumerate(stacks, len(carried)):
        if i < len(node.outputs) and reader.readers[node.outputs[i]]:
            values = [solid(reader, reader.value(name)) for name in stack]
            reader.give(node, stacked(reader.graph, values, 0), i)


@rule("Scan", "SequenceMap")
def scan(reader: Reader, node: Node) -> None:
    raise NotUnderstood("loops over positions are not followed")
