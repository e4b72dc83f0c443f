"""Attention as one operator (opset 23)."""

from __future__ import annotations

from rfcalc.layers.general import AttentionProduct
from rfcalc.readers.builder.moves import moved, regrouped
from rfcalc.readers.builder.products import mask_of
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.weights import solid


@rule("Attention")
def attention(reader: Reader, node: Node) -> None:
    """Queries, keys, values: batch × heads × positions × features, or batch × positions × all features."""
    if any(node.inputs[4:]) or any(reader.readers[name] for name in node.outputs[1:] if name):
        raise NotUnderstood("it keeps keys and values of earlier calls")
    if node.attributes.get("is_causal", 0):
        raise NotUnderstood("causal attention")
    graph = reader.graph
    maps = [solid(reader, reader.value(node.inputs[i])) for i in range(3)]
    flat = len(maps[0].dims) == 3
    heads = int(node.attributes.get("q_num_heads", 0)), int(node.attributes.get("kv_num_heads", 0))
    if flat:
        if heads[0] != heads[1] or heads[0] < 1:
            raise NotUnderstood("several queries share their keys")
        maps = [_heads(reader, m, heads[0]) for m in maps]
    elif len({m.dims[1] for m in maps}) > 1:
        raise NotUnderstood("several queries share their keys")
    q, k, v = maps
    if any(len(m.dims) != 4 for m in maps):
        raise NotUnderstood("it gets another number of axes")
    at = {m.batch for m in maps}
    batch = at.pop() if len(at) == 1 else None
    if batch != 0:
        batch = None
        q, k, v = (graph.plain(m) for m in maps)
    dims = (*q.dims[:-1], v.dims[-1])
    nodes = [m.node for m in (q, k, v)]
    mask = reader.value(node.inputs[3]) if len(node.inputs) > 3 else None
    if mask is not None:
        nodes.append(mask_of(graph, solid(reader, mask), dims, batch))
    made = graph.add(AttentionProduct(), nodes, dims, batch)
    if flat:
        made = moved(graph, made, (0, 2, 1, 3))
        made = regrouped(graph, made, (*made.dims[:2], made.dims[2] * made.dims[3]), made.batch)
    reader.give(node, made)


def _heads(reader: Reader, m: Value, heads: int) -> Value:
    batch, positions, features = m.dims
    if features % heads:
        raise NotUnderstood("its features do not split into its heads")
    split = regrouped(reader.graph, m, (batch, positions, heads, features // heads), m.batch)
    return moved(reader.graph, split, (0, 2, 1, 3))
