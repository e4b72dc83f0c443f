"""Matrix products, einsum, and the products of attention."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from rfcalc.core.masks import CAUSAL, Mask
from rfcalc.layers.general import MASKED, AttentionProduct, Elementwise
from rfcalc.layers.merge import Multiply
from rfcalc.readers.builder.indexed import diagonal
from rfcalc.readers.builder.maps import plus
from rfcalc.readers.builder.moves import moved, regrouped, repeated_each, stretched, transposed
from rfcalc.readers.builder.products import contracted, mask_of, product, within
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.convolutions import dense
from rfcalc.readers.torch.facts import MOST, facts, left, passed_over, score_mask
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.tensors import TensorBuilder


@handles("matmul", "mm", "bmm", "mv", "dot")
def matmul(call: OperatorCall) -> Value:
    graph = call.graph
    other = call.step.args.get(
        "other", call.step.args.get("mat2", call.step.args.get("vec", call.step.args.get("tensor")))
    )
    first = call["self"]
    masked = len(other.shape) == 2 and graph.is_static(other) and facts(graph, other).zero is not None
    if graph.is_static(other) and not graph.is_static(first) and len(other.shape) == 2 and not masked:
        found = graph.leaves(other)
        if (
            len(found) == 1
            and not graph.multiplied(other)
            and graph.size(found[0]) == prod(other.shape)
            and graph.uses[found[0]] == 1
        ):
            return dense(graph, call.x, other, None, call.dims)
    return masked_product(graph, (first, call.x), (other, graph.get(other)), call.dims)


def masked_product(graph: TensorBuilder, a: tuple[Any, Value], b: tuple[Any, Value], dims: tuple[int, ...]) -> Value:
    """A matrix product; where one of the factors (a tensor and its value) is zero, the other is not read."""
    (first, x), (second, y) = a, b
    if min(len(x.dims), len(y.dims)) < 2:
        return product(graph, x, y, dims)
    mask = left(graph, facts(graph, first).zero, x.dims)
    if mask is not None:
        return product(graph, x, y, dims, mask)
    gone = facts(graph, second).zero
    return product(graph, x, y, dims) if gone is None or gone.dim() < 2 else masked_by(graph, x, y, gone, dims)


def masked_by(graph: TensorBuilder, x: Value, y: Value, gone: Any, dims: tuple[int, ...]) -> Value:
    """A matrix product whose second factor is zero where flags say: the same turned round, so that it comes first."""
    mask = left(graph, gone.transpose(-2, -1), (*y.dims[:-2], y.dims[-1], y.dims[-2]))
    if mask is None:
        return product(graph, x, y, dims)
    turned = (*dims[:-2], dims[-1], dims[-2])
    return transposed(graph, product(graph, transposed(graph, y), transposed(graph, x), turned, mask))


@handles("addmm", "baddbmm")
def addmm(call: OperatorCall) -> Value:
    graph = call.graph
    first, second = ("mat1", "mat2") if call.step.name.rstrip("_") == "addmm" else ("batch1", "batch2")
    if call["alpha"] != 1 or call["beta"] not in (0, 1):
        raise NotUnderstood("with factors")
    weight, bias = call[second], call["self"]
    if call.step.name == "addmm" and graph.is_static(weight) and graph.is_static(bias):
        return dense(graph, call.value(first), weight, bias, call.dims)
    made = product(graph, call.value(first), graph.get(weight), call.dims)
    return plus(graph, made, graph.get(bias)) if call["beta"] else made


@handles("scaled_dot_product_attention")
def attention(call: OperatorCall) -> Value:
    graph = call.graph
    q, k, v = call.value("query"), call.value("key"), call.value("value")
    dims = call.dims
    lead = dims[:-2]
    if len(lead) and k.dims[:-2] and call.step.args.get("enable_gqa") and k.dims[-3] != q.dims[-3]:
        k, v = (repeated_each(graph, x, len(x.dims) - 3, q.dims[-3] // x.dims[-3]) for x in (k, v))
    given = [q, k, v]
    at = {x.batch for x in given}
    batch = at.pop() if len(at) == 1 else None
    if batch is None or batch >= len(dims) - 2:
        batch, given = None, [graph.plain(x) for x in given]
    if any(len(x.dims) != len(dims) for x in given):
        raise NotUnderstood("queries, keys and values have different axes")
    given = [stretched(graph, x, (*lead, *x.dims[-2:])) for x in given]
    nodes = [x.node for x in given]
    mask: Mask = CAUSAL if call["is_causal"] else None
    bias = call["attn_mask"]
    if bias is not None:
        own = _bias_mask(graph, bias, (*dims[:-1], k.dims[-2]))
        mask = own if mask is None else mask
        if not _only_masks(graph, bias):
            nodes.append(mask_of(graph, graph.get(bias), dims, batch))
    scale = call["scale"]
    made = AttentionProduct(mask=within(mask, batch), scale=None if scale is None else float(scale))
    return graph.add(made, nodes, dims, batch)


def _bias_mask(graph: TensorBuilder, bias: Any, dims: tuple[int, ...]) -> Mask:
    """Which keys the mask of an attention leaves each query: flags that are set, or numbers that are not very low."""
    found = facts(graph, bias)
    if bias.numel() > MOST and graph.is_static(bias) and not graph.leaves(bias):
        passed_over(graph)
    if bias.dtype != torch.bool:
        return score_mask(graph, bias, dims)
    if found.zero is None or found.zero.dim() == 0:
        return None
    return left(graph, found.zero, dims)


def _only_masks(graph: TensorBuilder, bias: Any) -> bool:
    """Whether a bias is fixed and does nothing but leaving keys out."""
    if not graph.is_static(bias) or graph.leaves(bias):
        return False
    if bias.dtype == torch.bool:
        return True
    found = facts(graph, bias)
    if found.low is None:
        return False
    zero = found.low if found.zero is None else found.low | found.zero
    return bool(zero.all())


@handles("einsum")
def einsum(call: OperatorCall) -> Value:
    """Factors one after another: matrix products over the letters that nothing else has. One: its order, or sums."""
    operands = list(call["tensors"])
    terms, out = _letters(call["equation"].replace(" ", ""), [t.dim() for t in operands])
    if len(set(out)) != len(out):
        raise NotUnderstood(f"{call['equation']}: a letter twice in the result")
    if any(len(set(t)) != len(t) for t in terms):
        return _einsum(call, terms, out)
    if len(operands) == 2 and (made := _by_masked_matrix(call, terms, out)) is not None:
        return made
    made = _einsum(call, terms, out)
    return _at_most(call, operands, made)


def _einsum(call: OperatorCall, terms: list[str], out: str) -> Value:
    graph, operands = call.graph, list(call["tensors"])
    values = [graph.get(t) for t in operands]
    for k, t in enumerate(terms):
        while (twice := next((c for c in t if t.count(c) > 1), None)) is not None:  # its diagonal
            first, second = [i for i, c in enumerate(t) if c == twice][:2]
            values[k] = diagonal(graph, values[k], first, second)
            t = "".join(c for i, c in enumerate(t) if i not in (first, second)) + twice
        terms = [*terms[:k], t, *terms[k + 1 :]]
    term, value = terms[0], values[0]
    for k in range(1, len(terms)):
        later = {c for t in (*terms[k + 1 :], out) for c in t}
        kept = out if k == len(terms) - 1 else "".join(dict.fromkeys(c for c in term + terms[k] if c in later))
        sizes = dict(zip(term + terms[k], (*value.dims, *values[k].dims), strict=True))
        dims = call.dims if kept == out else tuple(sizes[c] for c in kept)
        value, term = contracted(graph, (term, terms[k]), kept, (value, values[k]), dims), kept
    gone = [i for i, c in enumerate(term) if c not in out]
    if gone:
        left_over = "".join(c for c in term if c in out)
        value = reduced(graph, value, gone, "sum", False, tuple(value.dims[term.index(c)] for c in left_over))
        term = left_over
    return value if term == out else moved(graph, value, tuple(term.index(c) for c in out))


def _at_most(call: OperatorCall, factors: list[Any], made: Value) -> Value:
    """A contraction of which some factor has zeros, whose places are not followed."""
    graph = call.graph
    if any(graph.is_static(t) and facts(graph, t).zero is not None for t in factors):
        return graph.add(Elementwise(MASKED), (made.node,), made.dims, made.batch, extra=made.extra, helper=True)
    return made


def _by_masked_matrix(call: OperatorCall, terms: list[str], out: str) -> Value | None:
    """One axis multiplied with a fixed matrix that has zeros, as the product that leaves out what they multiply."""
    graph, operands = call.graph, list(call["tensors"])
    for k in (1, 0):
        matrix, term, other = operands[k], terms[k], terms[1 - k]
        if len(term) != 2 or not graph.is_static(matrix) or graph.is_static(operands[1 - k]):
            continue
        if facts(graph, matrix).zero is None:
            continue
        gone = [c for c in term if c in other and c not in out]
        new = [c for c in term if c in out and c not in other]
        rest = other.replace(gone[0], "") if gone else ""
        if (len(gone), len(new)) != (1, 1) or sorted(rest + new[0]) != sorted(out):
            continue
        x = graph.get(operands[1 - k])
        x = moved(graph, x, tuple(other.index(c) for c in rest + gone[0]))
        sizes = dict(zip(out, call.dims, strict=True))
        dims = tuple(sizes[c] for c in rest + new[0])
        weight = graph.get(matrix)
        gone_facts = facts(graph, matrix).zero.expand(matrix.shape)
        if term.index(gone[0]) == 1:
            weight, gone_facts = transposed(graph, weight), gone_facts.t()
        made = masked_by(graph, x, weight, gone_facts, dims)
        return moved(graph, made, tuple((rest + new[0]).index(c) for c in out))
    return None


@handles("tensordot", "inner")
def tensordot(call: OperatorCall) -> Value:
    """The sum of products over pairs of axes; the others of the first factor, then those of the second, are left."""
    graph, a, b = call.graph, call["self"], call["other"]
    if call.step.name == "inner":
        if not (a.dim() and b.dim()):
            raise NotUnderstood("with a single number")
        first, second = [a.dim() - 1], [b.dim() - 1]
    else:
        first, second = ([d % t.dim() for d in call[f"dims_{n}"]] for t, n in ((a, "self"), (b, "other")))
    if any(a.shape[i] != b.shape[j] for i, j in zip(first, second, strict=True)):
        raise NotUnderstood("it broadcasts what it sums over")
    letters = [chr(0x100 + i) for i in range(a.dim() + b.dim())]
    one, two = letters[: a.dim()], letters[a.dim() :]
    for i, j in zip(first, second, strict=True):
        two[j] = one[i]
    out = [c for c in one if c not in two] + [c for c in two if c not in one]
    values = graph.get(a), graph.get(b)
    made = contracted(graph, ("".join(one), "".join(two)), "".join(out), values, call.dims)
    return _at_most(call, [a, b], made)


@handles("outer", "ger")
def outer(call: OperatorCall) -> Value:
    """Each value of a vector times each of another: a column times a row, broadcast."""
    graph = call.graph
    a, b = call.x, call.value("vec2")
    column, row = (regrouped(graph, graph.plain(v), d, None) for v, d in ((a, (*a.dims, 1)), (b, (1, *b.dims))))
    nodes, batch, extra = graph.aligned((column, row), call.dims)
    return graph.add(Multiply(), nodes, call.dims, batch, extra=extra)


@handles("kron")
def kronecker(call: OperatorCall) -> Value:
    """Each value of one tensor times all of another, laid side by side."""
    graph, dims = call.graph, call.dims
    rank = len(dims)
    full = [(1,) * (rank - len(v.dims)) + v.dims for v in (call.x, call.value("other"))]
    batch = 0 if call.x.batch == rank - len(call.x.dims) == 0 and full[1][0] == 1 else None
    apart = []
    for v, own, other in ((call.x, full[0], False), (call.value("other"), full[1], True)):
        wide = tuple(n for size in own for n in ((1, size) if other else (size, 1)))
        apart.append(regrouped(graph, graph.plain(v) if other or batch is None else v, wide, None if other else batch))
    wide = tuple(n for pair in zip(*full, strict=True) for n in pair)
    nodes, made_batch, extra = graph.aligned(apart, wide)
    made = graph.add(Multiply(), nodes, wide, made_batch, extra=extra)
    return regrouped(graph, made, dims, batch if made_batch is not None else None)


def _letters(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each factor and of the result, with letters of their own for an ellipsis.

    Raises:
        NotUnderstood: letters that do not fit.
    """
    left, arrow, out = equation.partition("->")
    terms = left.split(",")
    free = [chr(c) for c in range(0x391, 0x3A2)]  # Greek, which equations do not have
    most = max((n - len(t) + 3 for t, n in zip(terms, ranks, strict=False) if "..." in t), default=0)
    if len(terms) != len(ranks) or most > len(free):
        raise NotUnderstood(equation)
    if not arrow:
        letters = sorted(c for c in left if c.isalpha())
        out = "..." * ("..." in left) + "".join(c for c in letters if letters.count(c) == 1)
    found = []
    for t, n in zip(terms, ranks, strict=True):
        own = n - len(t.replace("...", ""))
        found.append(t.replace("...", "".join(free[most - own : most]) if "..." in t else ""))
        if len(found[-1]) != n:
            raise NotUnderstood(equation)
    return found, out.replace("...", "".join(free[:most]))


@handles("bilinear")
def bilinear(call: OperatorCall) -> Value:
    """Each result is a sum of products of a feature of one and a feature of the other, with a weight for each pair."""
    graph, dims = call.graph, call.dims
    first, second, weight = call.value("input1"), call.value("input2"), graph.get(call["weight"])
    lead = "".join(chr(0x100 + i) for i in range(len(dims) - 1))
    pairs = (*dims, second.dims[-1])
    made = contracted(graph, (lead + "i", "oij"), lead + "oj", (first, weight), pairs)
    made = contracted(graph, (lead + "oj", lead + "j"), lead + "o", (made, second), dims)
    return made if call["bias"] is None else plus(graph, made, graph.get(call["bias"]))
