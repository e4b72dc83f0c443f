"""What re-arranges a value without computing: reshape, transpose, squeeze, expand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import prod
from rfcalc.readers.builder.moves import batch_after, inserted_axis, moved, regrouped, repeated_along, widened, without
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.onnx import lengths
from rfcalc.readers.onnx.constants import axes_of, axis_of, broadcast, permutation, reshaped
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import Reader, rule

MOST_COPIES = 64


@rule("Reshape")
def reshape(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    target: Sequence[int] | None = node.attributes.get("shape")
    if len(node.inputs) > 1:
        target = reader.known(node, 1)
    if target is None:
        raise RfcalcError("nothing says the shape")
    zero = bool(node.attributes.get("allowzero", 0))
    dims = reshaped(x.dims, target, zero)
    asked: Sequence[Any] = dims
    if reader.watched is not None:
        asked = lengths.asked(reader.const(node, 1)).values if len(node.inputs) > 1 else target
        asked = lengths.reshaped_to(lengths.lengths_of(reader, x), asked, zero)
        lengths.gives(reader, asked)
    reader.give(node, lengths.viewed(reader, regrouped(reader.graph, x, dims, batch_after(x, dims)), asked))


@rule("Flatten")
def flatten(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    axis = int(node.attributes.get("axis", 1))
    if not -len(x.dims) <= axis <= len(x.dims):
        raise RfcalcError(f"there is no axis {axis} in a value of {len(x.dims)} axes")
    axis = axis + len(x.dims) if axis < 0 else axis
    dims = (prod(x.dims[:axis]), prod(x.dims[axis:]))
    reader.give(node, regrouped(reader.graph, x, dims, batch_after(x, dims)))


@rule("Squeeze")
def squeeze(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    axes = axes_of(node, reader.inputs(node))  # type: ignore[arg-type]
    if axes is None:
        axes = [i for i, n in enumerate(x.dims) if n == 1 and i != x.batch]
    gone = {axis_of(a, len(x.dims)) for a in axes}
    if any(x.dims[a] != 1 for a in gone):
        raise RfcalcError(f"an axis of {next(x.dims[a] for a in gone if x.dims[a] != 1)} cannot be squeezed")
    dims = tuple(n for i, n in enumerate(x.dims) if i not in gone)
    reader.give(node, without(reader.graph, x, gone, dims))


@rule("Unsqueeze")
def unsqueeze(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    axes = axes_of(node, reader.inputs(node)) or []  # type: ignore[arg-type]
    rank = len(x.dims) + len(axes)
    for at in sorted(axis_of(a, rank) for a in axes):
        batch = None if x.batch is None else x.batch + (at <= x.batch)
        x = inserted_axis(reader.graph, x, (*x.dims[:at], 1, *x.dims[at:]), batch, at)
    reader.give(node, x)


@rule("Transpose")
def transpose(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    order = tuple(permutation(node, len(x.dims)))
    made = moved(reader.graph, x, order)
    if reader.watched is not None:
        own = lengths.lengths_of(reader, x)
        lengths.viewed(reader, made, [own[i] for i in order])
    reader.give(node, made)


@rule("Expand", "Tile")
def expand(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    target = tuple(int(v) for v in reader.known(node, 1) or ())
    if node.op == "Expand":
        dims = broadcast(x.dims, target)
    elif len(target) != len(x.dims):
        raise RfcalcError(f"{len(target)} numbers of copies for {len(x.dims)} axes")
    else:
        dims = tuple(n * t for n, t in zip(x.dims, target, strict=True))
    if any(n < 1 for n in dims):
        raise RfcalcError(f"the result {dims} is empty")
    if node.op == "Expand":
        reader.give(node, widened(reader.graph, x, dims))
        return
    if max((t for t, n in zip(target, x.dims, strict=True) if n != 1), default=1) > MOST_COPIES:
        raise NotUnderstood(f"it repeats a map {max(target)} times")
    reader.give(node, repeated_along(reader.graph, x, target, dims))
