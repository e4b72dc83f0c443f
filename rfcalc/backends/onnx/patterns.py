"""Operators that exporters take apart, put together again before the graph is read: activations, norms, shuffles.

Each pattern looks at the last node of what it may be and walks back. It matches only if nothing else reads what lies
between, and the numbers are right; the last node is then replaced by one of the domain ``rfcalc``, the others go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from rfcalc.backends.onnx.model import Model, Node, Tensor
from rfcalc.backends.onnx.values import Const, constant

DOMAIN = "rfcalc"


class Match(Exception):
    """Raised where a graph is not what a pattern looks for."""


class Graph:
    """The nodes as a pattern looks at them: who makes a value, how often it is read, which constant it is."""

    def __init__(self, model: Model, nodes: list[Node], folder: str) -> None:
        self.model, self.folder = model, folder
        self.makers = {name: node for node in nodes for name in node.outputs if name}
        self.reads: Counter[str] = Counter(name for node in nodes for name in node.inputs)
        self.reads.update(o.name for o in model.graph.outputs)
        self.taken: list[Node] = []

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

    def constant(self, name: str) -> Const | None:
        """A tensor that stands in the file."""
        tensor = self.model.graph.tensors.get(name)
        node = self.makers.get(name)
        if tensor is None and node is not None and node.op == "Constant":
            value = node.attributes.get("value")
            tensor = value if isinstance(value, Tensor) else None
        return None if tensor is None else constant(tensor, self.model.wire, self.folder)

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


Pattern = Callable[[Graph, Node], Iterator[Node]]


def factors(graph: Graph, node: Node) -> Iterator[tuple[list[str], float]]:
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


def gelu(graph: Graph, node: Node) -> Iterator[Node]:
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


def _scaled(graph: Graph, name: str, x: str, factor: float) -> None:
    """`name` must be x times a factor."""
    node = graph.made(name, "Mul", "Div")
    if node.op == "Div":
        if node.inputs[0] != x or not graph.is_number(node.inputs[1], 1 / factor):
            raise Match
    elif graph.with_number(node, factor) != x:
        raise Match


def _cubic(graph: Graph, name: str, x: str) -> None:
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


def silu(graph: Graph, node: Node) -> Iterator[Node]:
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


def hardswish(graph: Graph, node: Node) -> Iterator[Node]:
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


def _clips(graph: Graph, node: Node, low: float, high: float) -> bool:
    if len(node.inputs) >= 3:
        return graph.number(node.inputs[1]) == low and graph.number(node.inputs[2]) == high
    return node.attributes.get("min") == low and node.attributes.get("max") == high


def layer_norm(graph: Graph, node: Node) -> Iterator[Node]:
    """(x − mean) / √(mean((x − mean)²) + ε) over the last axes; the factor and offset after it join."""
    if node.op != "Div":
        return
    top, bottom = node.inputs
    root = graph.made(bottom, "Sqrt")
    inside = graph.made(root.inputs[0], "Add")
    variance = next((n for n in inside.inputs if graph.number(n) is None), "")
    mean_square = graph.made(variance, "ReduceMean")
    square = graph.made(mean_square.inputs[0], "Pow", "Mul")
    if square.op == "Pow" and not graph.is_number(square.inputs[1], 2.0):
        raise Match
    centred = graph.makers.get(top)
    if centred is None or centred.op != "Sub" or square.inputs[0] != top:
        raise Match
    mean = graph.made(centred.inputs[1], "ReduceMean")
    if mean.inputs[0] != centred.inputs[0] or _axes(graph, mean) != _axes(graph, mean_square):
        raise Match
    if graph.reads[top] > (2 if square.op == "Pow" else 3):
        raise Match
    graph.taken.append(centred)
    axes = _axes(graph, mean)
    if axes is None or sorted(axes) != list(range(-len(axes), 0)):
        raise Match
    x = centred.inputs[0]
    yield replace(node, op="LayerNormalization", inputs=(x,), attributes={"axis": -len(axes)}, domain=DOMAIN)


def _axes(graph: Graph, node: Node) -> list[int] | None:
    told = node.attributes.get("axes")
    if told is None and len(node.inputs) > 1:
        found = graph.constant(node.inputs[1])
        told = None if found is None else found.values
    return None if told is None else [int(a) for a in told]


def affine_norm(graph: Graph, node: Node) -> Iterator[Node]:
    """A layer normalisation that was recognised, times a factor, plus an offset: one node with both."""
    if node.op not in ("Mul", "Add") or len(node.inputs) != 2:
        return
    for name, other in (node.inputs, node.inputs[::-1]):
        inner = graph.makers.get(name)
        const = graph.constant(other)
        if inner is None or inner.domain != DOMAIN or inner.op != "LayerNormalization" or const is None:
            continue
        wanted = 1 if node.op == "Mul" else 2
        if len(inner.inputs) != wanted or graph.reads[name] != 1 or const.size < 2:
            continue
        graph.taken.append(inner)
        yield replace(inner, inputs=(*inner.inputs, other), outputs=node.outputs)
        return


def group_norm(graph: Graph, node: Node) -> Iterator[Node]:
    """Reshape to groups, InstanceNormalization with ones and zeros, Reshape back; a factor and an offset follow."""
    if node.op != "Reshape" or node.inputs[0] not in graph.makers:
        return
    norm = graph.made(node.inputs[0], "InstanceNormalization")
    split = graph.made(norm.inputs[0], "Reshape")
    target = graph.constant(split.inputs[1]) if len(split.inputs) > 1 else None
    if target is None or target.values is None or len(target.values) != 3 or target.values[0] not in (0, 1, -1):
        raise Match
    groups = int(target.values[1])
    scale, offset = graph.constant(norm.inputs[1]), graph.constant(norm.inputs[2])
    if groups < 1 or scale is None or offset is None or scale.size != groups:
        raise Match
    if scale.values is None or offset.values is None or set(scale.values) != {1.0} or set(offset.values) != {0.0}:
        raise Match
    yield Node(
        "GroupNormalization", (split.inputs[0],), node.outputs, {"num_groups": groups}, norm.name, DOMAIN, norm.scope
    )


def affine_group(graph: Graph, node: Node) -> Iterator[Node]:
    """A group normalisation that was recognised, times a factor, plus an offset for each channel."""
    if node.op not in ("Mul", "Add") or len(node.inputs) != 2:
        return
    for name, other in (node.inputs, node.inputs[::-1]):
        inner = graph.makers.get(name)
        const = graph.constant(_stripped(graph, other))
        if inner is None or inner.domain != DOMAIN or inner.op != "GroupNormalization" or const is None:
            continue
        if len(inner.inputs) != (1 if node.op == "Mul" else 2) or graph.reads[name] != 1 or const.size < 2:
            continue
        graph.taken.append(inner)
        yield replace(inner, inputs=(*inner.inputs, _stripped(graph, other)), outputs=node.outputs)
        return


def _stripped(graph: Graph, name: str) -> str:
    """A value without the axes of size 1 that were put around it."""
    for _ in range(3):
        node = graph.makers.get(name)
        if node is None or node.op not in ("Unsqueeze", "Reshape"):
            return name
        name = node.inputs[0]
    return name


def shuffle(graph: Graph, node: Node) -> Iterator[Node]:
    """N·g·(C/g)·H·W, the two exchanged, and back: a channel shuffle."""
    if node.op != "Reshape":
        return
    turned = graph.made(node.inputs[0], "Transpose")
    perm = [int(p) for p in turned.attributes.get("perm") or ()]
    rank = len(perm)
    if rank < 4 or perm != [0, 2, 1, *range(3, rank)]:
        raise Match
    split = graph.made(turned.inputs[0], "Reshape")
    first = graph.constant(split.inputs[1]) if len(split.inputs) > 1 else None
    last = graph.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if first is None or last is None or first.values is None or last.values is None:
        raise Match
    a, b = [int(v) for v in first.values], [int(v) for v in last.values]
    if len(a) != rank or len(b) != rank - 1 or a[3:] != b[2:] or a[1] < 1 or (b[1] != -1 and a[1] * a[2] != b[1]):
        raise Match
    yield Node("ChannelShuffle", (split.inputs[0],), node.outputs, {"groups": a[1]}, turned.name, DOMAIN, turned.scope)


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
    (shuffle, "channel shuffles that the exporter took apart are read as one"),
)
TRIGGERS = {"Mul", "Div", "Add", "Reshape"}


def recognised(model: Model, nodes: list[Node], folder: str) -> tuple[list[Node], Counter[str]]:
    """The nodes with what was recognised as one node each, and notes on it."""
    graph = Graph(model, nodes, folder)
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
