"""Products of matrices: linear layers where one factor is learned, `MatMul` where both are maps."""

from __future__ import annotations

from rfcalc.core.errors import RfcalcError
from rfcalc.core.masks import of_flags
from rfcalc.layers.dense import Linear
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add
from rfcalc.readers.builder.indexed import at_most, diagonal
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import moved, transposed
from rfcalc.readers.builder.products import contracted, product, summed
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.onnx.constants import broadcast
from rfcalc.readers.onnx.masking import mask_of
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Entry, Reader, rule
from rfcalc.readers.onnx.values import Const
from rfcalc.readers.onnx.weights import MOST_LOOKED_AT, solid


def linear(reader: Reader, x: Value, out: int, weight: Const, bias: Const | None) -> Value:
    """A linear layer on the last axis."""
    graph = reader.graph
    name = weight.origin[0] if len(weight.origin) == 1 else ""
    if x.batch == len(x.dims) - 1:
        x = graph.plain(x)
    graph.with_channels(x)
    if not x.inner:
        raise NotUnderstood("its input is a single value")
    made = reader.place(Linear(out, bias=bias is not None), [x], batch=x.batch, dims=(*x.dims[:-1], out), weight=name)
    reader.uses(made, "weight", weight)
    reader.uses(made, "bias", bias)
    return made


@rule("Gemm")
def gemm(reader: Reader, node: Node) -> None:
    x, weight = solid(reader, reader.value(node.inputs[0])), reader.value(node.inputs[1])
    if len(x.dims) != 2:
        raise RfcalcError(f"it needs two axes, and gets {len(x.dims)}")
    if node.attributes.get("transA", 0):
        x = moved(reader.graph, x, (1, 0))
    across = bool(node.attributes.get("transB", 0))
    last = reader.value(node.inputs[2]) if len(node.inputs) > 2 else None
    if not isinstance(weight, Const):
        other = solid(reader, weight)
        other = transposed(reader.graph, other) if across else other
        if other.dims[0] != x.dims[1]:
            raise RfcalcError(f"{other.dims[0]} rows for {x.dims[1]} columns")
        made = product(reader.graph, x, other, (x.dims[0], other.dims[1]))
        reader.give(node, made if last is None else _plus(reader, made, last))  # type: ignore[arg-type]
        return
    if len(weight.dims) != 2:
        raise RfcalcError(f"its weights have {len(weight.dims)} axes")
    inner, out = weight.dims[::-1] if across else weight.dims
    if inner != x.dims[1]:
        raise RfcalcError(f"weights for {inner} features, and the input has {x.dims[1]}")
    bias = last if isinstance(last, Const) and last.size == out else None
    if isinstance(last, Const) and bias is None and last.size != 1:
        raise NotUnderstood(f"its offset has {last.size} values for {out} features")
    made = linear(reader, x, out, weight, bias)
    if last is not None and bias is None:
        made = _plus(reader, made, last)  # type: ignore[arg-type]
    reader.give(node, made)


def _plus(reader: Reader, m: Value, other: Value | Const) -> Value:
    """The sum of a product and what is neither its bias nor nothing."""
    if isinstance(other, Const) and other.size == 1:
        number = other.decimal
        return alone(reader.graph, m, Elementwise("plus", () if number is None else number))
    dims = broadcast(m.dims, other.dims)
    nodes, batch, extra = reader.graph.aligned((m, solid(reader, other)), dims)
    return reader.graph.add(Add(), nodes, dims, batch, extra=extra)


@rule("MatMul")
def matmul(reader: Reader, node: Node) -> None:
    left, right = reader.value(node.inputs[0]), reader.value(node.inputs[1])
    if isinstance(right, Const) and len(right.dims) == 2:
        x = solid(reader, left)
        if not x.dims or x.dims[-1] != right.dims[0]:
            raise RfcalcError(f"weights for {right.dims[0]} features, and the input has {x.dims[-1] if x.dims else 1}")
        gaps = _has_zeros(right) and x.batch != len(x.dims) - 1 and _over_positions(reader, x)
        made = linear(reader, x, right.dims[1], right, None)
        reader.give(node, at_most(reader.graph, made) if gaps else made)
        return
    a, b = solid(reader, left), solid(reader, right)
    inner = b.dims[-2] if len(b.dims) > 1 else b.dims[0]
    if a.dims[-1] != inner:
        raise RfcalcError(f"{inner} rows for {a.dims[-1]} columns")
    lead = broadcast(a.dims[:-2], b.dims[:-2])
    dims = (*lead, *a.dims[-2:-1], *(b.dims[-1:] if len(b.dims) > 1 else ()))
    mask = mask_of(reader, node.inputs[0], a.dims)
    if isinstance(left, Const) and len(left.dims) == 2 and _has_zeros(left):
        rows, columns = left.dims
        values = left.values or ()
        mask = of_flags([[v != 0 for v in values[r * columns : (r + 1) * columns]] for r in range(rows)])
    made = product(reader.graph, a, b, dims, mask)
    gaps = (_has_zeros(left) and len(a.dims) != 2) or _has_zeros(right)
    reader.give(node, at_most(reader.graph, made) if gaps else made)


def _has_zeros(table: Entry | None) -> bool:
    """Whether a table has zeros, as those of causal mixing and of bands have: what they meet is not read."""
    few = isinstance(table, Const) and table.values is not None and len(table.values) <= MOST_LOOKED_AT
    return few and 0 in table.values  # type: ignore[operator, union-attr]


def _over_positions(reader: Reader, x: Value) -> bool:
    """Whether positions of the input lie along the last axis."""
    return not x.extra and bool(x.dims) and reader.graph.axis(x, -1) in reader.graph.carriers[x.node]


@rule("Einsum")
def einsum(reader: Reader, node: Node) -> None:
    """Two operands: axes that are summed, axes that only one has, axes that both keep become one matrix product."""
    text = str(node.attributes.get("equation", "")).replace(" ", "")
    left, sign, out = text.partition("->")
    terms = left.split(",")
    if not sign or len(terms) != len(node.inputs) or "." in text or len(set(out)) < len(out):
        raise NotUnderstood(f"the equation {text!r} is not a product of two with a result")
    values = [solid(reader, reader.value(name)) for name in node.inputs]
    if any(len(v.dims) != len(t) for v, t in zip(values, terms, strict=True)):
        raise NotUnderstood(f"the equation {text!r} does not fit its inputs")
    for k in range(len(terms)):
        while len(set(terms[k])) < len(terms[k]):  # a letter that stands twice: the diagonal, as a last axis
            letter = next(c for c in terms[k] if terms[k].count(c) > 1)
            first = terms[k].index(letter)
            second = terms[k].index(letter, first + 1)
            values[k] = diagonal(reader.graph, values[k], first, second)
            terms[k] = "".join(c for i, c in enumerate(terms[k]) if i not in (first, second)) + letter
    if len(terms) == 1 and set(out) <= set(terms[0]):
        left, made = summed(reader.graph, terms[0], values[0], [c for c in terms[0] if c not in out])
        reader.give(node, moved(reader.graph, made, tuple(left.index(c) for c in out)))
        return
    if len(terms) != 2:
        raise NotUnderstood(f"the equation {text!r} is not a product of two")
    size = {c: n for t, v in zip(terms, values, strict=True) for c, n in zip(t, v.dims, strict=True)}
    dims = tuple(size[c] for c in out)
    made = contracted(reader.graph, (terms[0], terms[1]), out, (values[0], values[1]), dims)
    reader.give(node, made)
