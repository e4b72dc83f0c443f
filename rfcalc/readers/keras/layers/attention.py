"""Attention: with its projections (MultiHeadAttention), and the products alone (Attention)."""

from __future__ import annotations

from rfcalc.layers.attention import SelfAttention
from rfcalc.layers.dense import Linear
from rfcalc.layers.general import AttentionProduct
from rfcalc.readers.builder.moves import moved, regrouped
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.keras.build import Value
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer

MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask", "mask", "use_causal_mask", "return_attention_scores")


def _inputs(call: LayerCall) -> tuple[Value, Value, Value]:
    """Queries, keys, values."""
    for name in MASKS:
        if call.kwargs.get(name) not in (None, False, [None, None], [None, None, None]):
            raise NotUnderstood(f"it is called with {name}")
    named = dict(zip(("query", "value", "key"), [a for a in call.args if isinstance(a, Value)], strict=False))
    named |= {k: v for k, v in call.kwargs.items() if isinstance(v, Value)}
    if "query" not in named or "value" not in named:
        raise NotUnderstood("its inputs are written in another way")
    found = named["query"], named.get("key", named["value"]), named["value"]
    if any(v.rank != 2 for v in found):
        raise NotUnderstood("it attends over maps of more than two axes")
    return found


@layer("MultiHeadAttention")
def multi_head(call: LayerCall) -> Value:
    f = call.fields
    q, k, v = (call.build.plain(x) for x in _inputs(call))
    if f.get("attention_axes") not in (None, [1]):
        raise NotUnderstood("it attends over chosen axes")
    heads, width = f.integer("num_heads"), f.integer("key_dim")
    deep = width if f.get("value_dim") is None else f.integer("value_dim")
    bias = f.flag("use_bias", True)
    features = q.dims[-1]
    out = features
    if f.get("output_shape") is not None:
        (out,) = f.sizes("output_shape", 1)
    if (
        q.held == k.held == v.held
        and q.held.batch is not None
        and heads * width == features
        and deep == width
        and out == features
    ):
        return call.build.add(SelfAttention(heads, bias=bias, out_bias=bias), [q], call.name, owner=call.owner)

    def project(x: Value, units: int, part: str) -> Value:
        made = Linear(units * heads, bias=bias)
        flat = call.build.add(made, [x], f"{call.name}.{part}", owner=f"{call.owner}.{part}")
        return apart(call, flat, heads, units, part)

    parts = [project(q, width, "query"), project(k, width, "key"), project(v, deep, "value")]
    found = together(call, call.build.add(AttentionProduct(), parts, f"{call.name}.attention"), heads * deep)
    return call.build.add(Linear(out, bias=bias), [found], call.name, owner=call.owner)


def apart(call: LayerCall, x: Value, heads: int, width: int, part: str) -> Value:
    """tokens × features as heads × tokens × features of a head."""
    build, held = call.build, x.held
    split = regrouped(build.graph, held, (*held.dims[:2], heads, width), held.batch)
    split = build.made(split, (0, 1, 2), f"{call.name}.{part}.heads").held
    return build.made(moved(build.graph, split, (0, 2, 1, 3)), (0, 1, 2), f"{call.name}.{part}.permute")


def together(call: LayerCall, x: Value, features: int) -> Value:
    """The reverse."""
    build = call.build
    turned = build.made(moved(build.graph, x.held, (0, 2, 1, 3)), (0, 1, 2), f"{call.name}.permute").held
    held = regrouped(build.graph, turned, (*turned.dims[:2], features), turned.batch)
    return build.made(held, (0, 1), f"{call.name}.flatten")


@layer("Attention")
def products(call: LayerCall) -> Value:
    """softmax(q·kᵀ)·v of given queries, values and keys."""
    f = call.fields
    if f.word("score_mode", "dot") != "dot" or f.flag("use_scale", False):
        raise NotUnderstood("its scores are not plain products")
    listed = call.inputs
    if len(listed) not in (2, 3) or any(v.rank != 2 for v in listed):
        raise NotUnderstood("its inputs are written in another way")
    if any(call.kwargs.get(name) not in (None, False, [None, None], [None, None, None]) for name in MASKS):
        raise NotUnderstood("it is masked")
    q, v, k = (call.build.plain(x) for x in (*listed, listed[-1])[:3])
    if len(listed) == 2:
        k = v
    return call.build.add(AttentionProduct(), [q, k, v], call.name)
