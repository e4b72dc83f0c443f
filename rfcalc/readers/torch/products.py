"""Matrix products, einsum, and the products of attention."""

from __future__ import annotations

from math import prod

from rfcalc.layers.general import AttentionProduct
from rfcalc.readers.builder.maps import plus
from rfcalc.readers.builder.moves import moved, stretched
from rfcalc.readers.builder.products import contracted, mask_of, product
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.convolutions import dense
from rfcalc.readers.torch.handling import Call, handles


@handles("matmul", "mm", "bmm", "mv", "dot")
def matmul(call: Call) -> Value:
    graph = call.graph
    other = call.step.args.get(
        "other", call.step.args.get("mat2", call.step.args.get("vec", call.step.args.get("tensor")))
    )
    first = call["self"]
    if graph.is_static(other) and not graph.is_static(first) and len(other.shape) == 2:
        found = graph.leaves(other)
        if (
            len(found) == 1
            and not graph.multiplied(other)
            and graph.size(found[0]) == prod(other.shape)
            and graph.uses[found[0]] == 1
        ):
            return dense(graph, call.x, other, None, call.dims)
    return product(graph, call.x, graph.get(other), call.dims)


@handles("addmm", "baddbmm")
def addmm(call: Call) -> Value:
    graph = call.graph
    first, second = ("mat1", "mat2") if call.step.name == "addmm" else ("batch1", "batch2")
    if call["alpha"] != 1 or call["beta"] not in (0, 1):
        raise NotUnderstood("with factors")
    weight, bias = call[second], call["self"]
    if call.step.name == "addmm" and graph.is_static(weight) and graph.is_static(bias):
        return dense(graph, call.value(first), weight, bias, call.dims)
    made = product(graph, call.value(first), graph.get(weight), call.dims)
    return plus(graph, made, graph.get(bias)) if call["beta"] else made


@handles("scaled_dot_product_attention")
def attention(call: Call) -> Value:
    graph = call.graph
    if call["is_causal"]:
        raise NotUnderstood("causal attention")
    q, k, v = call.value("query"), call.value("key"), call.value("value")
    dims = call.dims
    lead = dims[:-2]
    given = [q, k, v]
    at = {x.batch for x in given}
    batch = at.pop() if len(at) == 1 else None
    if batch is None or batch >= len(dims) - 2:
        batch, given = None, [graph.plain(x) for x in given]
    if any(len(x.dims) != len(dims) for x in given):
        raise NotUnderstood("queries, keys and values have different axes")
    given = [stretched(graph, x, (*lead, *x.dims[-2:])) for x in given]
    nodes = [x.node for x in given]
    if call["attn_mask"] is not None:
        nodes.append(mask_of(graph, call.value("attn_mask"), dims, batch))
    return graph.add(AttentionProduct(), nodes, dims, batch)


@handles("einsum")
def einsum(call: Call) -> Value:
    """Two factors: a matrix product over the letters that both have and the result has not. One: another order."""
    graph = call.graph
    equation, operands = call["equation"].replace(" ", ""), list(call["tensors"])
    left, _, out = equation.partition("->")
    terms = left.split(",")
    if "." in equation or "->" not in equation or len(terms) != len(operands) or len(operands) > 2:
        raise NotUnderstood(equation)
    if any(len(set(t)) != len(t) for t in (*terms, out)):
        raise NotUnderstood(f"{equation}: a letter twice")
    values = [graph.get(t) for t in operands]
    if len(terms) == 1:
        if set(terms[0]) != set(out):
            raise NotUnderstood(equation)
        return moved(graph, values[0], tuple(terms[0].index(c) for c in out))
    return contracted(graph, (terms[0], terms[1]), out, (values[0], values[1]), call.dims)
