"""Attention as one operator (opset 23)."""

from __future__ import annotations

from rfcalc.layers.general import AttentionProduct
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule
from rfcalc.readers.onnx.rules.layout import permuted
from rfcalc.readers.onnx.values import Const, Map, NotUnderstoodError
from rfcalc.readers.onnx.weights import learned


@rule("Attention")
def attention(reader: Reader, node: Node) -> None:
    """Queries, keys, values: batch × heads × positions × features, or batch × positions × all features."""
    if any(node.inputs[4:]) or any(reader.readers[name] for name in node.outputs[1:] if name):
        raise NotUnderstoodError("it keeps keys and values of earlier calls")
    maps = [reader.map(node, i) for i in range(3)]
    flat = len(maps[0].dims) == 3
    heads = int(node.attributes.get("q_num_heads", 0)), int(node.attributes.get("kv_num_heads", 0))
    if flat:
        if heads[0] != heads[1] or heads[0] < 1:
            raise NotUnderstoodError("several queries share their keys")
        maps = [_heads(reader, m, heads[0]) for m in maps]
    elif len({m.dims[1] for m in maps}) > 1:
        raise NotUnderstoodError("several queries share their keys")
    q, k, v = maps
    if any(m.batch != 0 or len(m.dims) != 4 for m in maps):
        raise NotUnderstoodError("the batch is mixed with other axes")
    mask = reader.value(node.inputs[3]) if len(node.inputs) > 3 else None
    sources = [q, k, v]
    if mask is not None:
        sources.append(_mask(reader, mask, q))  # type: ignore[arg-type]
    made = reader.place(AttentionProduct(), sources, batch=0)
    if flat:
        made = permuted(reader, made, [0, 2, 1, 3])
        made = reader.reshaped(made, (*made.dims[:2], made.dims[2] * made.dims[3]), 0, 1)
    reader.give(node, made)


def _heads(reader: Reader, m: Map, heads: int) -> Map:
    batch, positions, features = m.dims
    if m.batch != 0 or features % heads:
        raise NotUnderstoodError("its features do not split into its heads")
    split = reader.reshaped(m, (batch, positions, heads, features // heads), 0, 2)
    return permuted(reader, split, [0, 2, 1, 3])


def _mask(reader: Reader, mask: Map | Const, q: Map) -> Map:
    """What is added to the products, laid out as they are."""
    dims = (1,) * (4 - len(mask.dims)) + mask.dims
    if isinstance(mask, Const):
        return learned(reader, mask, dims, 0, 2)
    batch = 0 if mask.batch is not None or dims[0] == 1 else None
    if batch is None:
        raise NotUnderstoodError("its mask has no batch")
    return reader.reshaped(mask, dims, 0, 2)
