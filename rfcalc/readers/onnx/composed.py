"""Patterns of normalisations that exporters take apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rfcalc.readers.onnx.matching import DOMAIN, Match, PatternGraph
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.names import invented


def layer_norm(graph: PatternGraph, node: Node) -> Iterator[Node]:
    """(x − mean) / √(mean((x − mean)²) + ε) over the last axes; the factor and offset after it join."""
    if node.op != "Div":
        return
    top, bottom = node.inputs
    root = graph.made(bottom, "Sqrt")
    inside = graph.made(root.inputs[0], "Add")
    variances = [n for n in inside.inputs if graph.number(n) is None]
    if len(variances) != 1:  # ε is a number
        raise Match
    (variance,) = variances
    mean_square = graph.made(variance, "ReduceMean")
    square = graph.made(mean_square.inputs[0], "Pow", "Mul")
    if square.op == "Pow" and not graph.is_number(square.inputs[1], 2.0):
        raise Match
    if square.op == "Mul" and set(square.inputs) != {top}:
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


def _axes(graph: PatternGraph, node: Node) -> list[int] | None:
    told = node.attributes.get("axes")
    if told is None and len(node.inputs) > 1:
        found = graph.constant(node.inputs[1])
        told = None if found is None else found.values
    return None if told is None else [int(a) for a in told]


def affine_norm(graph: PatternGraph, node: Node) -> Iterator[Node]:
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


def group_norm(graph: PatternGraph, node: Node) -> Iterator[Node]:
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


def affine_group(graph: PatternGraph, node: Node) -> Iterator[Node]:
    """A group normalisation that was recognised, times a factor, plus an offset for each channel."""
    if node.op not in ("Mul", "Add") or len(node.inputs) != 2:
        return
    for name, other in (node.inputs, node.inputs[::-1]):
        inner = graph.makers.get(name)
        const = graph.constant(_stripped(graph, other))
        if inner is None or inner.domain != DOMAIN or inner.op != "GroupNormalization" or const is None:
            continue
        number = const.size < 2 and (len(const.origin) != 1 or invented(const.origin[0]))
        casts = _casts(graph, other, name)
        alone = graph.reads[name] == 1 + len(casts)
        if len(inner.inputs) != (1 if node.op == "Mul" else 2) or not alone or number:
            continue
        graph.taken += [inner, *casts]
        yield replace(inner, inputs=(*inner.inputs, _stripped(graph, other)), outputs=node.outputs)
        return


def _stripped(graph: PatternGraph, name: str) -> str:
    """A value without the axes of size 1 that were put around it."""
    for _ in range(3):
        node = graph.makers.get(name)
        if node is None or node.op not in ("Unsqueeze", "Reshape", "Cast", "CastLike", "Identity"):
            return name
        name = node.inputs[0]
    return name


def _casts(graph: PatternGraph, name: str, like: str) -> list[Node]:
    """The operators around a value that read another one for nothing but its type, and that nothing else reads."""
    found: list[Node] = []
    while (node := graph.makers.get(name)) is not None and node.op == "CastLike" and graph.reads[name] == 1:
        if node.inputs[1] != like:
            break
        found.append(node)
        name = node.inputs[0]
    return found
