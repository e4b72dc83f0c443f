"""Matrix products, einsum, and the products of attention."""

from __future__ import annotations

from math import prod

from rfcalc.layers.general import AttentionProduct, Constant, Elementwise
from rfcalc.layers.merge import MatMul
from rfcalc.layers.reshape import Permute, Reshape
from rfcalc.readers.torch.convolutions import dense, plus
from rfcalc.readers.torch.graph import Graph, NotUnderstood, Static, Value
from rfcalc.readers.torch.translate import Call, handles


def moved(graph: Graph, x: Value, order: tuple[int, ...]) -> Value:
    """The axes of a tensor in another order."""
    x = graph.whole(graph.settled(x))
    dims = tuple(x.dims[i] for i in order)
    batch = None if x.batch is None else order.index(x.batch)
    left = [i for i in order if i != x.batch]
    kept = sorted(left)
    core = tuple(kept.index(i) for i in left)
    if core == tuple(range(len(core))):
        return Value(x.node, dims, batch)
    if graph.dirty[x.node]:
        from rfcalc.readers.torch.views import behind, laid_out

        made = laid_out(graph, behind(graph, x.node).permuted(core).tidy(), dims, batch)
        if made is not None:
            return made
    return graph.add(Permute(core), (x.node,), dims, batch, helper=True)


def transposed(graph: Graph, x: Value) -> Value:
    """The last two axes exchanged."""
    n = len(x.dims)
    return moved(graph, x, (*range(n - 2), n - 1, n - 2))


def reshaped(graph: Graph, x: Value, dims: tuple[int, ...], batch: int | None) -> Value:
    """The same values in other dims."""
    from rfcalc.readers.torch.layouts import regrouped

    return regrouped(graph, x, dims, batch)


def stretched(graph: Graph, x: Value, dims: tuple[int, ...]) -> Value:
    """Axes of size 1 repeated to `dims` (which has as many axes as x)."""
    if x.dims == dims:
        return x
    full = graph.add(Constant(dims), (), dims, None, stem="constant", helper=True)
    nodes, batch, _ = graph.aligned((x, full), dims)
    return graph.add(Elementwise("expand"), nodes, dims, batch, helper=True)


def product(graph: Graph, a: Value, b: Value, dims: tuple[int, ...]) -> Value:
    """The matrix product of the last two axes, leading axes broadcast, as torch.matmul."""
    a, b = graph.whole(graph.settled(a)), graph.whole(graph.settled(b))
    if len(a.dims) < 2 or len(b.dims) < 2:
        return _with_vectors(graph, a, b, dims)
    lead = dims[:-2]
    rank = len(dims)
    batch = _shared_batch(a, b, rank)
    if batch is None:
        a, b = graph.plain(a), graph.plain(b)
    a, b = _spread(graph, a, lead, batch), _spread(graph, b, lead, batch)
    return graph.add(MatMul(), (a.node, b.node), dims, batch)


def _shared_batch(a: Value, b: Value, rank: int) -> int | None:
    """The leading axis that is the batch of both (or of one, where the other has size 1 or nothing)."""
    at = {v.batch + rank - len(v.dims) for v in (a, b) if v.batch is not None}
    if len(at) != 1 or (batch := at.pop()) >= rank - 2:
        return None
    for v in (a, b):
        own = batch - (rank - len(v.dims))
        if own >= 0 and v.dims[own] != 1:
            return None
    return batch


def _spread(graph: Graph, x: Value, lead: tuple[int, ...], batch: int | None) -> Value:
    """A factor with the leading axes of the product, the batch left out of the map."""
    rank = len(lead) + 2
    full = (1,) * (rank - len(x.dims)) + x.dims
    if len(full) != len(x.dims) or x.batch != batch:
        wanted = tuple(n for i, n in enumerate(full) if i != batch)
        own = graph.shape(x)
        channel = own.channel + len(wanted) - len(own.dims)
        if own.dims != wanted:
            x = graph.add(Reshape(wanted, max(channel, 0)), (x.node,), full, batch, helper=True)
        else:
            x = Value(x.node, full, batch)
    return stretched(graph, x, (*lead, *x.dims[-2:]))


def _with_vectors(graph: Graph, a: Value, b: Value, dims: tuple[int, ...]) -> Value:
    """A product with a vector: a matrix of one row or column."""
    full = dims
    if len(a.dims) == 1:
        a = reshaped(graph, graph.plain(a), (1, *a.dims), None)
        full = (*full[: len(full)], 1) if len(b.dims) == 1 else (*full[:-1], 1, full[-1])
    if len(b.dims) == 1:
        b = reshaped(graph, graph.plain(b), (*b.dims, 1), None)
        full = (*full, 1)
    made = product(graph, a, b, full)
    return reshaped(graph, made, dims, made.batch if made.batch is not None and made.batch < len(dims) else None)


@handles("matmul", "mm", "bmm", "mv", "dot")
def matmul(call: Call) -> Value:
    graph = call.graph
    other = call.step.args.get(
        "other", call.step.args.get("mat2", call.step.args.get("vec", call.step.args.get("tensor")))
    )
    first = call["self"]
    if graph.is_static(other) and not graph.is_static(first) and len(other.shape) == 2:
        found = graph.leaves(other)
        if len(found) == 1 and graph.size(found[0]) == prod(other.shape) and graph.uses[found[0]] == 1:
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
        nodes.append(_mask(graph, call.value("attn_mask"), dims, batch))
    return graph.add(AttentionProduct(), nodes, dims, batch)


def _mask(graph: Graph, mask: Value, dims: tuple[int, ...], batch: int | None) -> int:
    """A mask or bias with as many axes as the queries, without the batch."""
    full = (1,) * (len(dims) - len(mask.dims)) + mask.dims
    if batch is not None and full[batch] != 1:
        raise NotUnderstood("the mask has another batch")
    mask = graph.plain(mask) if mask.batch not in (None, batch) or batch is None else mask
    wanted = tuple(n for i, n in enumerate(full) if i != batch)
    if graph.shape(mask).dims == wanted:
        return mask.node
    return graph.laid(mask, wanted, len(wanted) - 1)


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
    return _pair(graph, (terms[0], terms[1]), out, (values[0], values[1]), call.dims)


def _pair(graph: Graph, terms: tuple[str, str], out: str, values: tuple[Value, Value], dims: tuple[int, ...]) -> Value:
    size = {c: n for t, v in zip(terms, values, strict=True) for c, n in zip(t, v.dims, strict=True)}
    a, b = terms
    both = [c for c in out if c in a and c in b]
    rows = [c for c in out if c in a and c not in b]
    columns = [c for c in out if c in b and c not in a]
    inner = [c for c in a if c in b and c not in out]
    if {*a, *b} != {*both, *rows, *columns, *inner}:
        raise NotUnderstood("a letter is summed in one factor")

    def matrix(term: str, value: Value, first: list[str], second: list[str]) -> Value:
        order = [*both, *first, *second]
        value = moved(graph, value, tuple(term.index(c) for c in order))
        wanted = (*(size[c] for c in both), prod(size[c] for c in first), prod(size[c] for c in second))
        batch = value.batch
        if batch is not None and order[batch] not in both:
            batch = None
        if value.dims == wanted and batch == value.batch:
            return value
        return reshaped(graph, value, wanted, batch)

    left, right = matrix(a, values[0], rows, inner), matrix(b, values[1], inner, columns)
    full = (*(size[c] for c in both), prod(size[c] for c in rows), prod(size[c] for c in columns))
    made = product(graph, left, right, full)
    order = [*both, *rows, *columns]
    split = tuple(size[c] for c in order)
    batch = made.batch
    if made.dims != split:
        if batch is None and split and split[0] == 1 and any(v.batch is not None for v in values):
            batch = 0
        made = reshaped(graph, made, split, batch)
    return moved(graph, made, tuple(order.index(c) for c in out))


__all__ = ["Static", "moved", "product", "reshaped", "stretched", "transposed"]
