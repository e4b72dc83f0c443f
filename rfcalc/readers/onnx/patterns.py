"""Operators that exporters take apart, put together again before the graph is read: activations, norms.

Each pattern looks at the last node of what it may be and walks back. It matches only if nothing else reads what lies
between, and the numbers are right; the last node is then replaced by one of the domain ``rfcalc``, the others go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from rfcalc.readers.onnx.composed import affine_group, affine_norm, group_norm, layer_norm
from rfcalc.readers.onnx.matching import DOMAIN, Match, PatternGraph
from rfcalc.readers.onnx.model import Model, Node

Pattern = Callable[[PatternGraph, Node], Iterator[Node]]


def factors(graph: PatternGraph, node: Node) -> Iterator[tuple[list[str], float]]:
    """The operands of a product of products, flat, and the number that they are multiplied with."""
    found: list[str] = []
    scale = 1.0
    waiting = list(node.inputs)
    while waiting:
        name = waiting.pop()
        number = graph.number(name)
        if number is not None:
            scale *= number
            continue
        inner = graph.makers.get(name)
        if inner is not None and inner.op in ("Mul", "Div") and graph.reads[name] == 1 and len(found) < 8:
            if inner.op == "Mul":
                graph.taken.append(inner)
                waiting += inner.inputs
                continue
            divisor = graph.number(inner.inputs[1])
            if divisor:
                graph.taken.append(inner)
                scale /= divisor
                waiting.append(inner.inputs[0])
                continue
        found.append(name)
    yield found, scale


def gelu(graph: PatternGraph, node: Node) -> Iterator[Node]:
    """x · ½ · (1 + erf(x / √2)), the factors in any order; with tanh(√(2/π)·(x + 0.044715·x³)) its approximation."""
    if node.op not in ("Mul", "Div"):
        return
    for names, scale in factors(graph, node if node.op == "Mul" else replace(node, inputs=node.inputs[:1])):
        if node.op == "Div":
            divisor = graph.number(node.inputs[1])
            scale /= divisor or math.inf
        if len(names) != 2 or not math.isclose(scale, 0.5, rel_tol=1e-3):
            raise Match
        for x, rest in (names, names[::-1]):
            add = graph.makers.get(rest)
            if add is None or add.op != "Add" or graph.reads[rest] != 1:
                continue
            graph.taken.append(add)
            inner = graph.with_number(add, 1.0)
            function = graph.made(inner, "Erf", "Tanh")
            if function.op == "Erf":
                _scaled(graph, function.inputs[0], x, 1 / math.sqrt(2))
                yield made("Gelu", x, node)
            else:
                _cubic(graph, function.inputs[0], x)
                yield made("GeluTanh", x, node)
            return
        raise Match


def _scaled(graph: PatternGraph, name: str, x: str, factor: float) -> None:
    """`name` must be x times a factor."""
    node = graph.made(name, "Mul", "Div")
    if node.op == "Div":
        if node.inputs[0] != x or not graph.is_number(node.inputs[1], 1 / factor):
            raise Match
    elif graph.with_number(node, factor) != x:
        raise Match


def _cubic(graph: PatternGraph, name: str, x: str) -> None:
    """√(2/π)·(x + 0.044715·x³), loosely: the numbers must be there."""
    outer = graph.made(name, "Mul")
    inner = graph.made(graph.with_number(outer, math.sqrt(2 / math.pi)), "Add")
    cubed = graph.made(graph.other(inner, x), "Mul")
    power = graph.with_number(cubed, 0.044715)
    node = graph.made(power, "Pow", "Mul")
    if node.op == "Pow":
        if node.inputs[0] != x or not graph.is_number(node.inputs[1], 3.0):
            raise Match
    else:
        square = graph.made(graph.other(node, x), "Mul", "Pow")
        if set(square.inputs[: 2 if square.op == "Mul" else 1]) != {x}:
            raise Match


def silu(graph: PatternGraph, node: Node) -> Iterator[Node]:
    """x · σ(x); x · hardsigmoid(x); x · tanh(softplus(x))."""
    if node.op != "Mul" or len(node.inputs) != 2:
        return
    for x, gate in (node.inputs, node.inputs[::-1]):
        inner = graph.makers.get(gate)
        if inner is None or graph.reads[gate] != 1:
            continue
        if inner.op == "Sigmoid" and inner.inputs[0] == x:
            graph.taken.append(inner)
            yield made("Silu", x, node)
            return
        if inner.op == "HardSigmoid" and inner.inputs[0] == x:
            alpha = inner.attributes.get("alpha", 0.2)
            if math.isclose(alpha, 1 / 6, rel_tol=1e-3):
                graph.taken.append(inner)
                yield made("HardSwish", x, node)
            return
        if inner.op == "Tanh":
            plus = graph.makers.get(inner.inputs[0])
            if plus is not None and plus.op == "Softplus" and plus.inputs[0] == x and graph.reads[inner.inputs[0]] == 1:
                graph.taken += [inner, plus]
                yield made("Mish", x, node)
                return


def hardswish(graph: PatternGraph, node: Node) -> Iterator[Node]:
    """x · clip(x + 3, 0, 6) / 6 in any order, or without the factor x (hardsigmoid)."""
    if node.op not in ("Mul", "Div"):
        return
    products = factors(graph, node if node.op == "Mul" else replace(node, inputs=node.inputs[:1]))
    for names, scale in products:
        if node.op == "Div":
            scale /= graph.number(node.inputs[1]) or math.inf
        if not math.isclose(scale, 1 / 6, rel_tol=1e-3) or not 1 <= len(names) <= 2:
            raise Match
        for gate in names:
            clip = graph.makers.get(gate)
            if clip is None or clip.op != "Clip" or graph.reads[gate] != 1 or not _clips(graph, clip, 0.0, 6.0):
                continue
            graph.taken.append(clip)
            x = graph.with_number(graph.made(clip.inputs[0], "Add"), 3.0)
            rest = [n for n in names if n != gate]
            if not rest:
                yield made("HardSigmoid", x, node)
            elif rest == [x]:
                yield made("HardSwish", x, node)
            return
        raise Match


def _clips(graph: PatternGraph, node: Node, low: float, high: float) -> bool:
    if len(node.inputs) >= 3:
        return graph.number(node.inputs[1]) == low and graph.number(node.inputs[2]) == high
    return node.attributes.get("min") == low and node.attributes.get("max") == high


def made(op: str, x: str, node: Node) -> Node:
    """A recognised function in place of its last node."""
    return Node(op, (x,), node.outputs, {}, node.name, DOMAIN, node.scope)


PATTERNS: tuple[tuple[Pattern, str], ...] = (
    (silu, "activations that the exporter took apart are read as one"),
    (gelu, "activations that the exporter took apart are read as one"),
    (hardswish, "activations that the exporter took apart are read as one"),
    (layer_norm, "layer normalisations that the exporter took apart are read as one"),
    (affine_norm, ""),
    (group_norm, "group normalisations that the exporter took apart are read as one"),
    (affine_group, ""),
)
TRIGGERS = {"Mul", "Div", "Add", "Reshape"}


def recognised(model: Model, nodes: list[Node], folder: str) -> tuple[list[Node], Counter[str]]:
    """The nodes with what was recognised as one node each, and notes on it."""
    graph = PatternGraph(model, nodes, folder)
    notes: Counter[str] = Counter()
    result: dict[int, Node] = {id(node): node for node in nodes}
    order = [id(node) for node in nodes]
    slot = {id(node): id(node) for node in nodes}  # a node, and whose place it takes
    for node in nodes:
        if node.op not in TRIGGERS or node.domain not in ("", "ai.onnx"):
            continue
        for pattern, note in PATTERNS:
            graph.taken = []
            try:
                found = next(pattern(graph, node), None)
            except (Match, IndexError, TypeError, ValueError):
                continue
            if found is None:
                continue
            for gone in graph.taken:
                result.pop(slot.get(id(gone), 0), None)
                for name in gone.inputs:
                    graph.reads[name] -= 1
            result.pop(id(node), None)
            for name in node.inputs:
                graph.reads[name] -= 1
            place = id(node)
            result[place] = found
            slot[id(found)] = place
            for name in found.inputs:
                graph.reads[name] += 1
            for name in found.outputs:
                graph.makers[name] = found
            if note:
                notes[note] += 1
            break
    return [result[i] for i in order if i in result], notes
