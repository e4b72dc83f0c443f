"""Operators on constants: shape computations, and re-arranged or repeated weights.

Values are computed where they are few and known; otherwise only the extents are. Each function takes the node and its
constant inputs (None where one is left out) and returns the constants that it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.lengths import plain
from rfcalc.core.size import prod
from rfcalc.readers.onnx.model import FLOATING, Node, Tensor
from rfcalc.readers.onnx.values import MOST_OF_MASKS, Const, checked, few, few_or_mask

Given = Sequence["Const | None"]
Fold = Callable[[Node, Given, int], "list[Const]"]


class NotFoldedError(Exception):
    """A value that is needed is not known."""


FOLDS: dict[str, Fold] = {}


def fold(*names: str) -> Callable[[Fold], Fold]:
    """Register a rule for operators on constants."""

    def register(function: Fold) -> Fold:
        for name in names:
            FOLDS[name] = function
        return function

    return register


def ints(const: Const | None) -> list[int] | None:
    """The values of a constant as whole numbers; None for an input that is left out.

    Raises:
        NotFoldedError: they are not known.
    """
    if const is None:
        return None
    if not isinstance(const, Const) or const.values is None:
        raise NotFoldedError
    return [v if isinstance(v, int) else int(v) for v in const.values]  # a length stays what it is


def need(const: Const | None) -> Const:
    if const is None:
        raise NotFoldedError
    return const


def origins(consts: Iterable[Const | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for c in consts if c is not None for name in c.origin))


def axis_of(axis: int, rank: int) -> int:
    """An axis that may be negative.

    Raises:
        RfcalcError: there is no such axis.
    """
    if not -rank <= axis < max(rank, 1):
        raise RfcalcError(f"there is no axis {axis} in a value of {rank} axes")
    return axis % rank if rank else 0


def axes_of(node: Node, given: Given, at: int = 1) -> list[int] | None:
    """Axes as an attribute (older opsets) or as an input."""
    told = node.attributes.get("axes")
    if told is not None:
        return [int(a) for a in told]
    return ints(given[at]) if len(given) > at else None


def taken(x: Const, dims: Sequence[int], places: Callable[[], Iterable[int]], origin: tuple[str, ...] = ()) -> Const:
    """The constant of these extents whose values stand at `places` in x."""
    dims = checked(tuple(dims))
    values = None
    if x.values is not None and few_or_mask(prod(dims), x):
        values = tuple(x.values[i] for i in places())
    return Const(dims, x.dtype, values, origin or x.origin)


def strides(dims: Sequence[int]) -> list[int]:
    found = [1] * len(dims)
    for i in range(len(dims) - 2, -1, -1):
        found[i] = found[i + 1] * dims[i + 1]
    return found


def grid(ranges: Sequence[Sequence[int]], steps: Sequence[int]) -> list[int]:
    """Row-major places of a product of positions.

    >>> grid([range(2), range(3)], [10, 1])
    [0, 1, 2, 10, 11, 12]
    """
    found = [0]
    for positions, step in zip(ranges, steps, strict=True):
        own = [p * step for p in positions]
        found = [base + p for base in found for p in own]
    return found


@fold("Identity", "Dropout", "DequantizeLinear", "QuantizeLinear", "StopGradient")
def _same(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    if node.op.endswith("Linear"):  # the values change, and are not needed
        return [Const(x.dims, 1 if node.op[0] == "D" else 2, None, x.origin)]
    return [x]


@fold("Cast", "CastLike")
def _cast(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    to = int(node.attributes.get("to", 0)) if node.op == "Cast" else need(given[1]).dtype
    values = x.values
    if values is not None:
        try:
            if to in FLOATING:
                values = tuple(float(v) for v in values)
            elif to == 9:
                values = tuple(bool(v) for v in values)
            else:
                values = tuple(int(v) for v in values)
        except (ValueError, OverflowError, TypeError):
            values = None
    return [Const(x.dims, to, values, x.origin)]


@fold("ConstantOfShape")
def _of_shape(node: Node, given: Given, opset: int) -> list[Const]:
    dims = checked(tuple(_extents(ints(need(given[0])) or [])))
    tensor = node.attributes.get("value")
    value: Any = 0.0
    dtype = 1
    if isinstance(tensor, Tensor):
        dtype = tensor.dtype
        value = 0
    if isinstance(tensor, Const):
        dtype, value = tensor.dtype, tensor.scalar
    size = prod(dims)
    return [Const(dims, dtype, (value,) * size if value is not None and size <= MOST_OF_MASKS else None)]


def _extents(values: Iterable[int]) -> list[int]:
    found = list(values)
    if any(v < 0 for v in found):
        raise RfcalcError(f"{found} are not extents")
    return found


@fold("Shape")
def _shape(node: Node, given: Given, opset: int) -> list[Const]:
    return [shape_of(need(given[0]).dims, node)]


def shape_of(dims: tuple[int, ...], node: Node) -> Const:
    """What Shape gives: the extents from `start` to `end`."""
    found = dims[slice(node.attributes.get("start"), node.attributes.get("end"))]
    return Const((len(found),), 7, found)


@fold("Size")
def _size(node: Node, given: Given, opset: int) -> list[Const]:
    return [Const((), 7, (need(given[0]).size,))]


def reshaped(dims: tuple[int, ...], target: Sequence[int], allow_zero: bool = False) -> tuple[int, ...]:
    """ONNX's Reshape: 0 keeps an extent (unless `allow_zero`), one −1 is what remains.

    Raises:
        RfcalcError: the numbers of values differ.

    >>> reshaped((2, 3, 4), [0, -1])
    (2, 12)
    """
    found = [int(t) for t in target]
    if not allow_zero:
        for i, t in enumerate(found):
            if t == 0:
                if i >= len(dims):
                    raise RfcalcError(f"cannot reshape {_told(dims)} to {list(target)}: there is no axis {i} to keep")
                found[i] = dims[i]
    size = prod(dims)
    known = prod(t for t in found if t != -1)
    if found.count(-1) == 1:
        if known == 0 or size % known:
            raise RfcalcError(f"cannot reshape {_told(dims)} to {list(target)}: {size} values")
        found[found.index(-1)] = size // known
    if any(t < 0 for t in found) or prod(found) != size:
        raise RfcalcError(f"cannot reshape {_told(dims)} to {list(target)}: {size} values")
    return tuple(found)


def _told(dims: Sequence[int]) -> str:
    return "x".join(map(str, dims)) or "a single value"


@fold("Reshape")
def _reshape(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    target = node.attributes.get("shape") if len(given) < 2 else ints(given[1])
    dims = reshaped(x.dims, target or [], bool(node.attributes.get("allowzero", 0)))
    return [Const(dims, x.dtype, x.values, x.origin)]


@fold("Flatten")
def _flatten(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    axis = int(node.attributes.get("axis", 1))
    axis = axis + len(x.dims) if axis < 0 else axis
    return [Const((prod(x.dims[:axis]), prod(x.dims[axis:])), x.dtype, x.values, x.origin)]


def squeezed(dims: tuple[int, ...], axes: list[int] | None) -> tuple[int, ...]:
    """The extents without these axes of size 1 (all such axes if None)."""
    if axes is None:
        return tuple(n for n in dims if n != 1)
    gone = {axis_of(a, len(dims)) for a in axes}
    for a in gone:
        if dims[a] != 1:
            raise RfcalcError(f"cannot squeeze axis {a} of {_told(dims)}")
    return tuple(n for i, n in enumerate(dims) if i not in gone)


def unsqueezed(dims: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    """The extents with axes of size 1 put in, at these places of the result."""
    rank = len(dims) + len(axes)
    new = {axis_of(a, rank) for a in axes}
    if len(new) < len(axes):
        raise RfcalcError(f"the axes {list(axes)} are not distinct")
    rest = iter(dims)
    return tuple(1 if i in new else next(rest) for i in range(rank))


@fold("Squeeze")
def _squeeze(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    return [Const(squeezed(x.dims, axes_of(node, given)), x.dtype, x.values, x.origin)]


@fold("Unsqueeze")
def _unsqueeze(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    return [Const(checked(unsqueezed(x.dims, axes_of(node, given) or [])), x.dtype, x.values, x.origin)]


@fold("Transpose")
def _transpose(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    perm = permutation(node, len(x.dims))
    dims = [x.dims[p] for p in perm]
    steps = strides(x.dims)
    made = taken(x, dims, lambda: grid([range(n) for n in dims], [steps[p] for p in perm]))
    return [Const(made.dims, made.dtype, made.values, made.origin)]


def permutation(node: Node, rank: int) -> list[int]:
    """The order of a Transpose; reversed if left out."""
    told = [int(p) for p in node.attributes.get("perm") or range(rank - 1, -1, -1)]
    perm = [p + rank if p < 0 else p for p in told]
    if sorted(perm) != list(range(rank)):
        raise RfcalcError(f"{perm} is not an order of {rank} axes")
    return perm


@fold("Concat")
def _concat(node: Node, given: Given, opset: int) -> list[Const]:
    parts = [need(g) for g in given]
    first = parts[0]
    axis = axis_of(int(node.attributes.get("axis", 1)), len(first.dims))
    if any(len(p.dims) != len(first.dims) for p in parts):
        raise RfcalcError("cannot join values of different numbers of axes")
    dims = checked((*first.dims[:axis], sum(p.dims[axis] for p in parts), *first.dims[axis + 1 :]))
    values = None
    if all(p.values is not None for p in parts) and few(prod(dims), parts[0].dtype):
        inner = [prod(p.dims[axis:]) for p in parts]
        values = tuple(
            v
            for row in range(prod(dims[:axis]))
            for p, n in zip(parts, inner, strict=True)
            for v in (p.values or ())[row * n : (row + 1) * n]
        )
    return [Const(dims, first.dtype, values, origins(parts))]


@fold("Gather")
def _gather(node: Node, given: Given, opset: int) -> list[Const]:
    x, index = need(given[0]), need(given[1])
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    dims = checked((*x.dims[:axis], *index.dims, *x.dims[axis + 1 :]))
    if index.values is None:
        return [Const(dims, x.dtype, None, x.origin)]
    n, below = x.dims[axis], prod(x.dims[axis + 1 :])
    wanted = [int(i) for i in index.values]
    if any(not -n <= i < n for i in wanted):
        raise RfcalcError(f"an index is outside of an axis of {n}")

    def places() -> Iterable[int]:
        for row in range(prod(x.dims[:axis])):
            for i in wanted:
                start = (row * n + i % n) * below
                yield from range(start, start + below)

    return [taken(x, dims, places)]


def bounds(node: Node, given: Given, rank: int, opset: int) -> list[tuple[int, int, int, int]]:
    """(axis, start, end, step) of a Slice."""
    if opset < 10:
        starts, ends = node.attributes.get("starts") or [], node.attributes.get("ends") or []
        axes, steps = node.attributes.get("axes"), None
    else:
        more = [*given, None, None, None, None][:5]
        if more[1] is None or more[2] is None:
            raise NotFoldedError
        starts, ends = ints(more[1]) or [], ints(more[2]) or []
        axes, steps = ints(more[3]), ints(more[4])
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or any(s == 0 for s in steps):
        raise RfcalcError("the lists of a slice do not fit together")
    return [(axis_of(int(a), rank), s, e, int(t)) for a, s, e, t in zip(axes, starts, ends, steps, strict=True)]


@fold("Slice")
def _slice(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    ranges = [range(n) for n in x.dims]
    for axis, start, end, step in bounds(node, given, len(x.dims), opset):
        ranges[axis] = range(x.dims[axis])[slice(start, _stop(end, step, x.dims[axis]), step)]
    return [taken(x, [len(r) for r in ranges], lambda: grid(ranges, strides(x.dims)))]


def _stop(end: int, step: int, n: int) -> int | None:
    """ONNX clamps ends to the axis; Python would count very negative ones from the end."""
    return None if step < 0 and end < -n else end


def parts_of(node: Node, given: Given, n: int) -> list[int]:
    """The sizes of a Split along an axis of n."""
    told = node.attributes.get("split")
    if told is None and len(given) > 1 and given[1] is not None:
        told = ints(given[1])
    count = len(node.outputs)
    if told is None:
        each = (n + count - 1) // count
        told = [min(each, max(n - i * each, 0)) for i in range(count)]
    if sum(told) != n or len(told) != count or any(t < 0 for t in told):
        raise RfcalcError(f"the parts {plain(tuple(told))} do not fit an axis of {plain(n)}").by_answer()
    return [t if isinstance(t, int) else int(t) for t in told]


@fold("Split")
def _split(node: Node, given: Given, opset: int) -> list[Const]:
    x = need(given[0])
    axis = axis_of(int(node.attributes.get("axis", 0)), len(x.dims))
    found = []
    start = 0
    for part in parts_of(node, given, x.dims[axis]):
        ranges = [range(n) for n in x.dims]
        ranges[axis] = range(start, start + part)
        dims = [len(r) for r in ranges]
        found.append(taken(x, dims, lambda ranges=ranges: grid(ranges, strides(x.dims))))  # type: ignore[misc]
        start += part
    return found


def broadcast(*all_dims: tuple[int, ...]) -> tuple[int, ...]:
    """The common extents, numpy's rule.

    Raises:
        RfcalcError: they do not fit.

    >>> broadcast((4, 1), (3,))
    (4, 3)
    """
    rank = max(map(len, all_dims), default=0)
    found = [1] * rank
    for dims in all_dims:
        for i, n in enumerate(dims, rank - len(dims)):
            if found[i] == 1:
                found[i] = n
            elif n not in (1, found[i]):
                raise RfcalcError(f"{' and '.join(map(_told, all_dims))} do not fit together")
    return tuple(found)


def spread(x: Const, dims: tuple[int, ...]) -> Iterable[int]:
    """The place in x of each value of x stretched to these extents."""
    own = [1] * (len(dims) - len(x.dims)) + list(x.dims)
    steps = strides(own)
    return grid([range(n) for n in dims], [s if n > 1 else 0 for s, n in zip(steps, own, strict=True)])
