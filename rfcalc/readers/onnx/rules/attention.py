"""Attention as one operator (opset 23)."""

from __future__ import annotations

from rfcalc.layers.general import AttentionProduct
from rfcalc.readers.builder.moves import moved, regrouped, repeated_each
from rfcalc.readers.builder.products import mask_of, within
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.masking import fixed_mask
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.values import Const
from rfcalc.readers.onnx.weights import solid


@rule("Attention")
def attention(reader: Reader, node: Node) -> None:
    """Queries, keys, values: batch × heads × positions × features, or batch × positions × all features."""
    if any(node.inputs[4:]) or any(reader.readers[name] for name in node.outputs[1:] if name):
        raise NotUnderstood("it keeps keys and values of earlier calls")
    graph = reader.graph
    maps = [solid(reader, reader.value(node.inputs[i])) for i in range(3)]
    flat = len(maps[0].dims) == 3
    heads = int(node.attributes.get("q_num_heads", 0)), int(node.attributes.get("kv_num_heads", 0))
    if flat:
        if min(heads) < 1:
            raise NotUnderstood("it does not say how many heads it has")
        maps = [_heads(reader, m, heads[i > 0]) for i, m in enumerate(maps)]
    if any(len(m.dims) != 4 for m in maps):
        raise NotUnderstood("it gets another number of axes")
    own = maps[0].dims[1]
    if any(own % m.dims[1] for m in maps):
        raise NotUnderstood("its heads of queries and of keys do not fit")
    q, k, v = (repeated_each(graph, m, 1, own // m.dims[1]) if m.dims[1] != own else m for m in maps)
    at = {m.batch for m in (q, k, v)}
    batch = at.pop() if len(at) == 1 else None
    if batch != 0:
        batch = None
        q, k, v = (graph.plain(m) for m in (q, k, v))
    dims = (*q.dims[:-1], v.dims[-1])
    nodes = [m.node for m in (q, k, v)]
    mask = reader.value(node.inputs[3]) if len(node.inputs) > 3 else None
    scores = (*q.dims[:-1], k.dims[-2])
    low = fixed_mask(
        reader, mask if isinstance(mask, Const) else None, scores, bool(node.attributes.get("is_causal", 0))
    )
    if mask is not None and not (isinstance(mask, Const) and mask.values is not None and low is not None):
        nodes.append(mask_of(graph, solid(reader, mask), dims, batch))
    made = graph.add(AttentionProduct(mask=within(low, batch)), nodes, dims, batch)
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
