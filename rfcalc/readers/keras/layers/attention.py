"""Attention: with its projections, and the products alone; products over chosen axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rfcalc.core.masks import Mask
from rfcalc.layers.attention import SelfAttention
from rfcalc.layers.dense import Linear
from rfcalc.layers.general import AttentionProduct, Elementwise
from rfcalc.layers.learned import Parameter
from rfcalc.layers.merge import Multiply
from rfcalc.layers.pointwise import Activation, Softmax
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import moved, regrouped, stretched
from rfcalc.readers.builder.products import contracted, product
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.configuration import malformed, shown
from rfcalc.readers.keras.build import Held, KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer, operation

_PROJECTED = ("query", "value", "key")


class AttentionCall(NamedTuple):
    """What attention is called with: maps of tokens × features, masks that are values, the mask that is fixed."""

    query: KerasValue
    key: KerasValue
    value: KerasValue
    masks: list[tuple[str, KerasValue]]
    fixed: Mask


def _given(call: LayerCall, window: int | None = None) -> AttentionCall:
    build = call.build
    named = dict(zip(_PROJECTED, [a for a in call.args if isinstance(a, KerasValue)], strict=False))
    named |= {k: v for k, v in call.kwargs.items() if isinstance(v, KerasValue) and k in _PROJECTED}
    if call.args and isinstance(call.args[0], (list, tuple)) and not isinstance(call.args[0], KerasValue):
        named = dict(zip(_PROJECTED, call.args[0], strict=False))
    if "query" not in named or "value" not in named:
        raise NotUnderstood("its inputs are written in another way")
    query, value = named["query"], named["value"]
    key = named.get("key", value)
    if any(v.rank != 2 for v in (query, key, value)):
        raise NotUnderstood("it attends over maps of more than two axes")
    masks = []
    for name in ("query_mask", "value_mask", "key_mask", "attention_mask", "mask"):
        told = call.kwargs.get(name)
        listed = told if isinstance(told, list) else [told]
        masks += [(name, v) for v in listed if isinstance(v, KerasValue)]
        if any(v is not None and not isinstance(v, KerasValue) for v in listed):
            raise NotUnderstood(f"it is called with {name}")
    if call.kwargs.get("return_attention_scores"):
        raise NotUnderstood("its scores are a result")
    n, m = query.dims[0], key.dims[0]
    fixed: Mask = None
    causal = call.kwargs.get("use_causal_mask") or (call.kind != "MultiHeadAttention" and call.fields.get("causal"))
    if window is not None or (causal and n != m):
        rows = [
            tuple(j for j in range(m) if (window is None or abs(i - j) < window) and (not causal or j <= i))
            for i in range(n)
        ]
        fixed = tuple(r or tuple(range(m)) for r in rows)  # a row that sees nothing is a softmax of equal scores
    elif causal:
        fixed = "causal"
    return AttentionCall(build.plain(query), build.plain(key), build.plain(value), masks, fixed)


def _project(call: LayerCall, x: KerasValue, heads: int, width: int, part: str, bias: bool) -> KerasValue:
    made = call.build.add(Linear(heads * width, bias=bias), [x], f"{call.name}.{part}", owner=f"{call.owner}.{part}")
    return _apart(call, made, heads, width, part)


@layer("MultiHeadAttention")
def multi_head(call: LayerCall) -> KerasValue:
    f = call.fields
    window = None if f.get("sliding_window") is None else f.integer("sliding_window")
    if f.get("attention_axes") not in (None, [1], 1, [-2]):
        raise NotUnderstood("it attends over chosen axes")
    given = _given(call, window)
    heads, width = f.integer("num_heads"), f.integer("key_dim")
    deep = width if f.get("value_dim") is None else f.integer("value_dim")
    bias, gate = f.flag("use_bias", True), f.flag("use_gate", False)
    features = given.query.dims[-1]
    out = features
    if f.get("output_shape") is not None:
        (out,) = f.sizes("output_shape", 1)
    q, k, v = given.query.held, given.key.held, given.value.held
    plain = not given.masks and given.fixed is None and not gate and q.batch is not None
    if plain and q == k == v and heads * width == features and deep == width and out == features:
        whole = SelfAttention(heads, bias=bias, out_bias=bias)
        return call.build.add(whole, [given.query], call.name, owner=call.owner)
    parts = [
        _project(call, given.query, heads, width, "query", bias),
        _project(call, given.key, heads, width, "key", bias),
        _project(call, given.value, heads, deep, "value", bias),
    ]
    made = _attended(call, parts, given)
    if gate:
        gated = _project(call, given.query, heads, deep, "gate", bias)
        gated = call.build.add(Activation("sigmoid"), [gated], f"{call.name}.gate.sigmoid")
        made = call.build.add(Multiply(), [made, gated], f"{call.name}.multiply")
    found = _together(call, made, heads * deep)
    return call.build.add(Linear(out, bias=bias), [found], call.name, owner=call.owner)


@layer("GroupQueryAttention")
def grouped(call: LayerCall) -> KerasValue:
    """Several heads of queries for each head of keys and values."""
    f = call.fields
    given = _given(call)
    width, bias = f.integer("head_dim"), f.flag("use_bias", True)
    heads, fewer = f.integer("num_query_heads"), f.integer("num_key_value_heads")
    if f.flag("use_gate", False) or heads % fewer:
        raise NotUnderstood("it is gated, or its heads do not divide")
    q = _project(call, given.query, heads, width, "query", bias)
    found = [q]
    for part, x in (("key", given.key), ("value", given.value)):
        few = _project(call, x, fewer, width, part, bias)
        found.append(_repeated(call, few, heads // fewer, part))
    made = _together(call, _attended(call, found, given), heads * width)
    return call.build.add(Linear(given.query.dims[-1], bias=bias), [made], call.name, owner=call.owner)


def _repeated(call: LayerCall, x: KerasValue, times: int, part: str) -> KerasValue:
    """Each head so many times."""
    if times == 1:
        return x
    build, (lead, heads, *rest) = call.build, x.held.dims
    apart = regrouped(build.graph, x.held, (lead, heads, 1, *rest), x.held.batch)
    wide = stretched(build.graph, apart, (lead, heads, times, *rest))
    held = regrouped(build.graph, wide, (lead, heads * times, *rest), wide.batch)
    return build.made(held, x.order, f"{call.name}.{part}.repeat")


def _attended(call: LayerCall, parts: Sequence[KerasValue], given: AttentionCall) -> KerasValue:
    """The products of queries, keys and values of all heads; masks that are values are added to the scores."""
    build, rank = call.build, parts[0].rank
    scores = (parts[0].held.dims[0], *(1,) * (rank - 2), parts[0].dims[-2], parts[1].dims[-2])
    joined: list[Held] = []
    for name, mask in given.masks:
        mask = build.plain(mask)
        dims = mask.held.dims
        side = dims[1:]
        if name in ("value_mask", "key_mask") or (name == "mask" and len(joined) == 1):
            side = (1, dims[-1])
        elif name == "query_mask" or name == "mask":
            side = (dims[-1], 1)
        if len(side) not in (2, 3) or len(side) > rank:
            raise NotUnderstood(f"it is called with {name} of another shape")
        wide = (dims[0], *(1,) * (rank - len(side)), *side)
        joined.append(regrouped(build.graph, mask.held, wide, mask.held.batch))
    more = []
    if joined:
        nodes, batch, extra = build.graph.aligned(joined, scores)
        held = joined[0]
        if len(joined) > 1 or held.dims != scores:
            sizes = tuple(max(n) for n in zip(*(j.dims for j in joined), strict=True))
            held = build.graph.add(Elementwise("logical_and"), nodes, sizes, batch, extra=extra)
        more = [build.value(held, parts[0].order)]
    return build.add(AttentionProduct(mask=given.fixed), [*parts, *more], f"{call.name}.attention")


def _apart(call: LayerCall, x: KerasValue, heads: int, width: int, part: str) -> KerasValue:
    """tokens × features as heads × tokens × features of a head."""
    build, held = call.build, x.held
    split = regrouped(build.graph, held, (*held.dims[:2], heads, width), held.batch)
    split = build.made(split, (0, 1, 2), f"{call.name}.{part}.heads").held
    return build.made(moved(build.graph, split, (0, 2, 1, 3)), (0, 1, 2), f"{call.name}.{part}.permute")


def _together(call: LayerCall, x: KerasValue, features: int) -> KerasValue:
    """The reverse."""
    build = call.build
    turned = build.made(moved(build.graph, x.held, (0, 2, 1, 3)), (0, 1, 2), f"{call.name}.permute").held
    held = regrouped(build.graph, turned, (*turned.dims[:2], features), turned.batch)
    return build.made(held, (0, 1), f"{call.name}.flatten")


@layer("Attention")
def products(call: LayerCall) -> KerasValue:
    """softmax(q·kᵀ)·v of given queries, values and keys, perhaps multiplied by one learned number."""
    f, build = call.fields, call.build
    if f.word("score_mode", "dot") != "dot":
        raise NotUnderstood("its scores are not plain products")
    given = _given(call)
    query = given.query
    if f.flag("use_scale", False):
        query = _scaled(call, query, ())
    parts = [query, given.key, given.value]
    if not given.masks:
        return build.add(AttentionProduct(mask=given.fixed), parts, call.name)
    own = _attended(call, parts, given)
    return build.add(Elementwise("where"), [own], call.name)


def _scaled(call: LayerCall, x: KerasValue, dims: tuple[int, ...]) -> KerasValue:
    """A map multiplied by a learned number, or by one for each feature."""
    build, (lead, *rest) = call.build, x.held.dims
    full = (1, *(1,) * (len(rest) - len(dims)), *dims)
    weight = build.graph.add(Parameter(full[1:], len(full) - 2), (), full, 0)
    own = build.made(build.graph.own(weight, (f"{call.owner}.scale",)), x.order, f"{call.name}.scale").held
    nodes, batch, extra = build.graph.aligned([x.held, own], (lead, *rest))
    held = build.graph.add(Multiply(), nodes, (lead, *rest), batch, extra=extra)
    return build.made(held, x.order, f"{call.name}.scaled")


@layer("AdditiveAttention")
def additive(call: LayerCall) -> KerasValue:
    """softmax(Σ w · tanh(q + k))·v (Bahdanau 2015)."""
    build, given = call.build, _given(call)
    if given.masks or given.fixed is not None:
        raise NotUnderstood("it is masked")
    (lead, n, d), m = given.query.held.dims, given.key.held.dims[1]
    graph = build.graph
    q = regrouped(graph, given.query.held, (lead, n, 1, d), given.query.held.batch)
    k = regrouped(graph, given.key.held, (lead, 1, m, d), given.key.held.batch)
    nodes, batch, extra = graph.aligned([q, k], (lead, n, m, d))
    both = graph.add(Elementwise("plus"), nodes, (lead, n, m, d), batch, extra=extra)
    waved = build.made(alone(graph, both, Activation("tanh")), (0, 1, 2), f"{call.name}.tanh")
    if call.fields.flag("use_scale", True):
        waved = _scaled(call, waved, (d,))
    scores = reduced(graph, waved.held, [3], "sum", False, (lead, n, m))
    soft = alone(graph, graph.settled(scores), Softmax(-1))
    return _product(call, build.value(soft, (0, 1)), given.value)


def _product(call: LayerCall, a: KerasValue, b: KerasValue) -> KerasValue:
    held = product(call.build.graph, a.held, b.held, (*a.held.dims[:-1], b.held.dims[-1]))
    return call.build.made(held, (0, 1), call.name)


@layer("Dot")
def dot(call: LayerCall) -> KerasValue:
    """Sums of products of two maps over an axis of each; every item of the batch by itself."""
    x, y = (call.build.plain(v) for v in call.inputs)
    told = call.fields.get("axes")
    pair = [told, told] if isinstance(told, int) else told
    if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(a, int) for a in pair):
        raise malformed(call.name, f"{shown(told)} are not two axes")
    if call.fields.flag("normalize", False):
        raise NotUnderstood("its inputs are normalised first")
    letters = iter("abcdefghijklmnopqrstuvw")
    terms = []
    for v, a in ((x, pair[0]), (y, pair[1])):
        a %= v.rank + 1
        if not 1 <= a <= v.rank:
            raise NotUnderstood("it works over the batch")
        terms.append("z" + "".join("y" if k + 1 == a else next(letters) for k in range(v.rank)))
    out = "z" + terms[0].replace("z", "").replace("y", "") + terms[1].replace("z", "").replace("y", "")
    return summed_products(call, terms, out, (x, y), call.name)


def summed_products(
    call: LayerCall, terms: list[str], out: str, values: tuple[KerasValue, KerasValue], name: str
) -> KerasValue:
    """Products of two maps, summed over the letters that the result has not; the first letter of each is the batch."""
    size = {c: n for t, v in zip(terms, values, strict=True) for c, n in zip(t, v.held.dims, strict=True)}
    for term, v in zip(terms, values, strict=True):
        if any(size[c] != n for c, n in zip(term, v.held.dims, strict=True)):
            raise malformed(name, f"the maps {values[0].dims} and {values[1].dims} do not fit")
    dims = tuple(size[c] for c in out)
    held = contracted(call.build.graph, (terms[0], terms[1]), out, (values[0].held, values[1].held), dims)
    if len(out) == 1:  # one number
        held = regrouped(call.build.graph, held, (*dims, 1), held.batch)
    return call.build.made(held, tuple(range(max(len(out) - 1, 1))), name)


@operation("Einsum")
def einsum(call: LayerCall) -> KerasValue:
    told = call.fields.word("subscripts").replace(" ", "")
    left, arrow, out = told.partition("->")
    terms = left.split(",")
    values = [call.build.plain(v) for v in call.inputs]
    if not arrow or "." in told or len(terms) != 2 or len(values) != 2:
        raise NotUnderstood(f"the equation {told[:60]}")
    if any(len(set(t)) != len(t) for t in (*terms, out)) or len({t[:1] for t in (*terms, out)}) != 1:
        raise NotUnderstood(f"the equation {told[:60]} moves the batch")
    if any(len(t) != v.rank + 1 for t, v in zip(terms, values, strict=True)):
        raise malformed(call.name, f"the equation {told[:60]} does not fit its maps")
    return summed_products(call, terms, out, (values[0], values[1]), call.name)
