"""Products of matrices: linear layers where one factor is learned, `MatMul` where both are maps."""

from __future__ import annotations

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import prod
from rfcalc.layers.dense import Linear
from rfcalc.layers.general import Constant, Elementwise
from rfcalc.layers.merge import MatMul
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import BatchMixedError, Reader, rule
from rfcalc.readers.onnx.rules.functions import same
from rfcalc.readers.onnx.rules.layout import permuted
from rfcalc.readers.onnx.values import Const, Map, NotUnderstoodError
from rfcalc.readers.onnx.weights import learned


def linear(reader: Reader, x: Map, out: int, weight: Const, bias: Const | None) -> Map:
    """A linear layer on the last axis."""
    name = weight.origin[0] if len(weight.origin) == 1 else ""
    if x.batch == len(x.dims) - 1:
        x = reader.untracked(x)
    scalar = len(x.dims) - (x.batch is not None) == 0
    made = reader.place(Linear(out, bias is not None), [x], batch=x.batch, weight=name)
    reader.uses(made.node, "weight", weight)
    reader.uses(made.node, "bias", bias)
    if scalar:
        raise NotUnderstoodError("its input is a single value")
    return made


@rule("Gemm")
def gemm(reader: Reader, node: Node) -> None:
    x, weight = reader.map(node), reader.value(node.inputs[1])
    if len(x.dims) != 2:
        raise RfcalcError(f"it needs two axes, and gets {len(x.dims)}")
    if node.attributes.get("transA", 0):
        x = permuted(reader, x, [1, 0])
    across = bool(node.attributes.get("transB", 0))
    if not isinstance(weight, Const):
        _gemm_of_maps(reader, node, x, across)
        return
    if len(weight.dims) != 2:
        raise RfcalcError(f"its weights have {len(weight.dims)} axes")
    inner, out = weight.dims[::-1] if across else weight.dims
    if inner != x.dims[1]:
        raise RfcalcError(f"weights for {inner} features, and the input has {x.dims[1]}")
    last = reader.value(node.inputs[2]) if len(node.inputs) > 2 else None
    bias = last if isinstance(last, Const) and last.size == out else None
    if isinstance(last, Const) and bias is None and last.size != 1:
        raise NotUnderstoodError(f"its offset has {last.size} values for {out} features")
    made = linear(reader, x, out, weight, bias)
    if last is not None and bias is None:
        made = _plus(reader, made, last)  # type: ignore[arg-type]
    reader.give(node, made)


def _plus(reader: Reader, m: Map, other: Map | Const) -> Map:
    """The sum of a product and what is neither its bias nor nothing."""
    from rfcalc.readers.onnx.rules.arithmetic import LAYERS, aligned

    if isinstance(other, Const):
        number = other.decimal
        return reader.place(Elementwise("plus", () if number is None else number), [m], batch=m.batch, dims=m.dims)
    joined, batch, dims = aligned(reader, [m, other])
    return reader.place(LAYERS["Add"], joined, batch=batch, dims=dims)


def _gemm_of_maps(reader: Reader, node: Node, x: Map, across: bool) -> None:
    other = reader.map(node, 1)
    made = matmul(reader, reader.untracked(x), reader.untracked(other), across)
    if len(node.inputs) > 2 and (last := reader.value(node.inputs[2])) is not None:
        made = _plus(reader, made, last)  # type: ignore[arg-type]
    reader.give(node, made)


@rule("MatMul", "MatMulInteger")
def product(reader: Reader, node: Node) -> None:
    left, right = reader.value(node.inputs[0]), reader.value(node.inputs[1])
    if isinstance(left, Const) and isinstance(right, Const):
        layer = Constant(left.dims, len(left.dims) - 1)
        left = reader.place(layer, [], dims=left.dims, name=f"{reader.own_name()}.constant")
    if isinstance(left, Map) and isinstance(right, Const) and len(right.dims) == 2:
        if not left.dims or left.dims[-1] != right.dims[0]:
            raise RfcalcError(f"weights for {right.dims[0]} features, and the input has {(left.dims or (1,))[-1]}")
        reader.give(node, linear(reader, left, right.dims[1], right, None))
        return
    if left is None or right is None or len(left.dims) < 2 or len(right.dims) < 2:  # type: ignore[union-attr]
        raise NotUnderstoodError("it is a product with a vector")
    a = _operand(reader, left)  # type: ignore[arg-type]
    b = _operand(reader, right)  # type: ignore[arg-type]
    reader.give(node, matmul(reader, a, b))


def _operand(reader: Reader, v: Map | Const) -> Map:
    return v if isinstance(v, Map) else learned(reader, v, v.dims, None, len(v.dims) - 1)


def matmul(reader: Reader, a: Map, b: Map, across: bool = False) -> Map:
    """The product of the last two axes of two maps; `across`: b has its rows and columns exchanged."""
    rank = max(len(a.dims), len(b.dims))
    batch = _common_batch(reader, a, b, rank)
    a, b = _ranked(reader, a, rank, batch), _ranked(reader, b, rank, batch)
    lead_a, lead_b = a.dims[:-2], b.dims[:-2]
    if lead_a == lead_b:
        return _named(reader, reader.place(MatMul(across), [a, b], batch=batch), a)
    if prod(lead_b) == 1 and not across:  # one matrix for all: the rows of a are taken together
        if batch is not None and reader.batch != 1:
            raise BatchMixedError
        flat = reader.reshaped(a, (prod(a.dims[:-1]), a.dims[-1]), None, 1)
        other = reader.reshaped(b, b.dims[-2:], None, 1)
        made = reader.place(MatMul(), [flat, other], batch=None)
        dims = (*a.dims[:-1], b.dims[-1])
        return reader.reshaped(made, dims, batch, min(a.shape.channel, len(dims) - 1 - (batch is not None)))
    raise NotUnderstoodError("its leading axes are stretched")


def _named(reader: Reader, m: Map, a: Map) -> Map:
    return Map(m.node, m.shape, m.dims, m.batch, a.dtype)


def _common_batch(reader: Reader, a: Map, b: Map, rank: int) -> int | None:
    """Where both have the batch among their leading axes; None if they do not."""
    places = {None if m.batch is None else m.batch + rank - len(m.dims) for m in (a, b)}
    if len(places) == 1:
        (place,) = places
        if place is None or place < rank - 2:
            return place
    if reader.batch != 1:
        raise BatchMixedError
    return None


def _ranked(reader: Reader, m: Map, rank: int, batch: int | None) -> Map:
    more = rank - len(m.dims)
    channel = m.outer(m.shape.channel) + more
    if batch is not None and channel > batch:
        channel -= 1
    return reader.reshaped(m, (1,) * more + m.dims, batch, channel)


@rule("Einsum")
def einsum(reader: Reader, node: Node) -> None:
    """Two operands: axes that are summed, axes that only one has, axes that both keep become one matrix product."""
    text = str(node.attributes.get("equation", "")).replace(" ", "")
    left, sign, out = text.partition("->")
    terms = left.split(",")
    if not sign or len(terms) != len(node.inputs) or "." in text or any(len(set(t)) < len(t) for t in (*terms, out)):
        raise NotUnderstoodError(f"the equation {text!r} is not a product of two with a result")
    if len(terms) == 1 and sorted(terms[0]) == sorted(out):
        same_order = permuted(reader, reader.map(node), [terms[0].index(c) for c in out])
        reader.give(node, same_order if terms[0] != out else same(reader, node, Elementwise("copy")))
        return
    if len(terms) != 2:
        raise NotUnderstoodError(f"the equation {text!r} is not a product of two")
    values = [reader.value(name) for name in node.inputs]
    if isinstance(values[0], Const):
        terms, values = terms[::-1], values[::-1]
    a, b = values
    s, t = terms
    if not isinstance(a, Map) or not isinstance(b, (Map, Const)) or len(a.dims) != len(s) or len(b.dims) != len(t):
        raise NotUnderstoodError(f"the equation {text!r} does not fit its inputs")
    size = dict(zip(s, a.dims, strict=True)) | dict(zip(t, b.dims, strict=True))
    both = [c for c in s if c in t and c in out]
    summed = [c for c in s if c in t and c not in out]
    rows, columns = [c for c in s if c not in t], [c for c in t if c not in s]
    if set(rows + columns + both) != set(out) or not summed:
        raise NotUnderstoodError(f"the equation {text!r} sums over an axis of one operand")
    if isinstance(b, Const):
        if both:
            raise NotUnderstoodError(f"the equation {text!r} keeps an axis of the weights")
        made = _contract(reader, a, b, s, rows, summed, columns, size)
        order = [*rows, *columns]
    else:
        made = _contract_maps(reader, a, b, s, t, both, rows, summed, columns, size)
        order = [*both, *rows, *columns]
    reader.give(node, permuted(reader, made, [order.index(c) for c in out]))


def _contract(
    reader: Reader,
    a: Map,
    b: Const,
    s: str,
    rows: list[str],
    summed: list[str],
    columns: list[str],
    size: dict[str, int],
) -> Map:
    """A map and weights: the summed axes become the last one, of a linear layer."""
    x = permuted(reader, a, [s.index(c) for c in (*rows, *summed)])
    if x.batch is not None and x.batch >= len(rows):
        x = reader.untracked(x)
    inner = prod(size[c] for c in summed)
    hidden = int(x.batch is not None)
    flat = reader.reshaped(x, (*x.dims[: len(rows)], inner), x.batch, len(rows) - hidden)
    made = linear(reader, flat, prod(size[c] for c in columns), b, None)
    dims = (*made.dims[: len(rows)], *(size[c] for c in columns))
    return reader.reshaped(made, dims, made.batch, max(len(dims) - 1 - hidden, 0))


def _contract_maps(
    reader: Reader,
    a: Map,
    b: Map,
    s: str,
    t: str,
    both: list[str],
    rows: list[str],
    summed: list[str],
    columns: list[str],
    size: dict[str, int],
) -> Map:
    x = permuted(reader, a, [s.index(c) for c in (*both, *rows, *summed)])
    y = permuted(reader, b, [t.index(c) for c in (*both, *summed, *columns)])
    lead = tuple(size[c] for c in both)
    n, k, m = (prod(size[c] for c in group) for group in (rows, summed, columns))
    batches = {v.batch for v in (x, y)}
    keeps = len(batches) == 1 and None not in batches and max(batches) < len(both)  # type: ignore[type-var, operator]
    if not keeps:
        x, y = reader.untracked(x), reader.untracked(y)
    hidden = int(keeps)
    x = reader.reshaped(x, (*lead, n, k), x.batch, len(both) + 1 - hidden)
    y = reader.reshaped(y, (*lead, k, m), y.batch, len(both) + 1 - hidden)
    made = matmul(reader, x, y)
    dims = (*lead, *(size[c] for c in rows), *(size[c] for c in columns))
    return reader.reshaped(made, dims, made.batch, max(len(dims) - 1 - hidden, 0))
