"""Matrix products and contractions of two tensors."""

from __future__ import annotations

from math import prod

from rfcalc.core.masks import Mask, Several
from rfcalc.layers.merge import MatMul, Multiply
from rfcalc.layers.reshape import Reshape
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.moves import moved, regrouped, stretched
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood, Value


def product(graph: Builder, a: Value, b: Value, dims: tuple[int, ...], mask: Mask = None) -> Value:
    """The matrix product of the last two axes, leading axes broadcast, as torch.matmul.

    Args:
        mask: which columns of `a` are not zero, row by row.
    """
    a, b = graph.with_channels(graph.settled(a)), graph.with_channels(graph.settled(b))
    if len(a.dims) < 2 or len(b.dims) < 2:
        return _with_vectors(graph, a, b, dims)
    lead = dims[:-2]
    rank = len(dims)
    batch = _shared_batch(a, b, rank)
    if batch is None:
        a, b = graph.plain(a), graph.plain(b)
    a, b = _spread(graph, a, lead, batch), _spread(graph, b, lead, batch)
    here = graph.shape(b)
    own, last = graph.shape(a).channel, len(here.dims) - 1
    mixes = graph.fixed[a.node] and own == last - 1 and here.channel == last
    lies = mixes or own in graph.carriers[b.node] - {last - 1}
    if not graph.carriers[a.node] and lies:
        # the first says where the channels of the product are: not along positions of the second, nor where it makes
        # positions of positions while the columns of the second are channels
        a = Value(graph.laid(a, graph.shape(a).dims, here.channel), a.dims, a.batch)
    return graph.add(MatMul(mask=within(mask, batch)), (a.node, b.node), dims, batch)


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


def _spread(graph: Builder, x: Value, lead: tuple[int, ...], batch: int | None) -> Value:
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


def _with_vectors(graph: Builder, a: Value, b: Value, dims: tuple[int, ...]) -> Value:
    """A product with a vector: a matrix of one row or column."""
    full = dims
    if len(a.dims) == 1:
        a = regrouped(graph, graph.plain(a), (1, *a.dims), None)
        full = (*full[: len(full)], 1) if len(b.dims) == 1 else (*full[:-1], 1, full[-1])
    if len(b.dims) == 1:
        b = regrouped(graph, graph.plain(b), (*b.dims, 1), None)
        full = (*full, 1)
    made = product(graph, a, b, full)
    return regrouped(graph, made, dims, made.batch if made.batch is not None and made.batch < len(dims) else None)


def contracted(
    graph: Builder, terms: tuple[str, str], out: str, values: tuple[Value, Value], dims: tuple[int, ...]
) -> Value:
    """The sum of products of two tensors over the letters that the result has not, as einsum."""
    alone = [[c for c in t if c not in out and c not in other] for t, other in (terms, terms[::-1])]
    if any(alone):  # a letter of one factor only is summed first
        left, right = (summed(graph, t, v, gone) for t, v, gone in zip(terms, values, alone, strict=True))
        return contracted(graph, (left[0], right[0]), out, (left[1], right[1]), dims)
    if not any(c in terms[1] and c not in out for c in terms[0]):
        return _elementwise(graph, terms, out, values, dims)
    if not any(c in out for c in "".join(terms)):
        raise NotUnderstood("all products become one number")
    if not any(c in out for c in terms[0]):  # a vector comes second
        return contracted(graph, (terms[1], terms[0]), out, (values[1], values[0]), dims)
    before = len(graph.shapes)
    merge = any(c in out for c in terms[1])
    try:
        return _by_matrices(graph, terms, out, values, merge)
    except NotUnderstood:
        graph.back_to(before)
        return _by_matrices(graph, terms, out, values, not merge)


def _elementwise(
    graph: Builder, terms: tuple[str, str], out: str, values: tuple[Value, Value], dims: tuple[int, ...]
) -> Value:
    """Nothing is summed: each factor in the order of the result, with axes of 1 for letters that it has not."""
    found = []
    for term, value in zip(terms, values, strict=True):
        own = "".join(c for c in out if c in term)
        value = moved(graph, value, tuple(term.index(c) for c in own))
        lead = len(out) - len(out.lstrip("".join(c for c in out if c not in term)))  # these axes are broadcast
        wide = tuple(n if c in term else 1 for c, n in zip(out, dims, strict=True))[lead:]
        batch = None if value.batch is None else out.index(own[value.batch]) - lead
        found.append(value if value.dims == wide else regrouped(graph, value, wide, batch))
    nodes, batch, extra = graph.aligned(found, dims)
    return graph.add(Multiply(), nodes, dims, batch, extra=extra)


def summed(graph: Builder, term: str, value: Value, gone: list[str]) -> tuple[str, Value]:
    """A value summed over some of its letters, and the letters that are left."""
    if not gone:
        return term, value
    left = tuple(n for c, n in zip(term, value.dims, strict=True) if c not in gone)
    made = reduced(graph, value, [term.index(c) for c in gone], "sum", False, left)
    return "".join(c for c in term if c not in gone), made


def _by_matrices(graph: Builder, terms: tuple[str, str], out: str, values: tuple[Value, Value], merge: bool) -> Value:
    """
    Args:
        merge: whether all letters that only the first has and the result keeps are rows of one matrix; else the last
            one is, and there is a matrix for each position of the others.
    """
    size = {c: n for t, v in zip(terms, values, strict=True) for c, n in zip(t, v.dims, strict=True)}
    a, b = terms
    both = [c for c in out if c in a and c in b]
    rows = [c for c in out if c in a and c not in b]
    columns = [c for c in out if c in b and c not in a]
    inner = [c for c in a if c in b and c not in out]
    lead = [] if merge else rows[:-1]
    rows = rows[len(lead) :]

    def matrix(term: str, value: Value, before: list[str], first: list[str], second: list[str]) -> Value:
        own = [c for c in before if c in term]
        order = [*own, *first, *second]
        value = moved(graph, value, tuple(term.index(c) for c in order))
        stack = (*(size[c] if c in term else 1 for c in before),)
        wanted = (*stack, prod(size[c] for c in first), prod(size[c] for c in second))
        batch = value.batch
        if batch is not None and order[batch] not in before:
            batch = None
        if value.dims == wanted and batch == value.batch:
            return value
        return regrouped(graph, value, wanted, batch if batch is None else before.index(order[batch]))

    left = matrix(a, values[0], [*both, *lead], rows, inner)
    right = matrix(b, values[1], [*both, *lead], inner, columns)
    order = [*both, *lead, *rows, *columns]
    full = (*(size[c] for c in (*both, *lead)), prod(size[c] for c in rows), prod(size[c] for c in columns))
    made = product(graph, left, right, full)
    split = tuple(size[c] for c in order)
    batch = made.batch
    if made.dims != split:
        if batch is None and split and split[0] == 1 and any(v.batch is not None for v in values):
            batch = 0
        made = regrouped(graph, made, split, batch)
    return moved(graph, made, tuple(order.index(c) for c in out))


def within(mask: Mask, batch: int | None) -> Mask:
    """A mask of a tensor as one of its map, which has no batch axis."""
    if isinstance(mask, Several) and batch is not None:
        return mask._replace(axis=mask.axis - (batch < mask.axis))
    return mask


def mask_of(graph: Builder, mask: Value, dims: tuple[int, ...], batch: int | None) -> int:
    """A mask or bias with as many axes as the queries, without the batch."""
    full = (1,) * (len(dims) - len(mask.dims)) + mask.dims
    if batch is not None and full[batch] != 1:
        raise NotUnderstood("the mask has another batch")
    mask = graph.plain(mask) if mask.batch not in (None, batch) or batch is None else mask
    wanted = tuple(n for i, n in enumerate(full) if i != batch)
    if graph.shape(mask).dims == wanted:
        return mask.node
    return graph.laid(mask, wanted, len(wanted) - 1)
