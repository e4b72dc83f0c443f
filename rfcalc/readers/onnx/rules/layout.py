"""What re-arranges a value without computing: reshape, transpose, squeeze, expand."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import prod
from rfcalc.layers.general import Constant, Elementwise
from rfcalc.layers.merge import Concat
from rfcalc.layers.pointwise import Identity
from rfcalc.layers.reshape import ChannelShuffle, Flatten, Permute, Reshape
from rfcalc.readers.onnx.constants import axes_of, broadcast, permutation, reshaped, squeezed, unsqueezed
from rfcalc.readers.onnx.model import Node
from rfcalc.readers.onnx.reading import BatchMixedError, Reader, rule
from rfcalc.readers.onnx.values import Map, NotUnderstoodError, visible

MOST_COPIES = 64


def batch_after(m: Map, dims: tuple[int, ...], batch: int) -> int | None:
    """Where the batch stands after a row-major reshape; None if it is merged.

    Raises:
        BatchMixedError: it has several items and is merged.
    """
    if m.batch is None:
        # An axis of size 1 in front (or behind it, where sequences come first) may stand for the batch again.
        if batch != 1 or len(dims) < 2:
            return None
        return 0 if dims[0] == 1 else 1 if len(dims) == 3 and dims[1] == 1 else None
    before = prod(m.dims[: m.batch])
    for j, n in enumerate(dims):
        if n == batch and prod(dims[:j]) == before:
            return j
    if batch != 1:
        raise BatchMixedError
    return None


def channel_after(x: tuple[int, ...], channel: int, y: tuple[int, ...]) -> int:
    """The channel axis after a row-major reshape: what keeps it, holds it merged, or the last of its parts."""
    i = j = 0
    while i < len(x) and j < len(y):
        i0, j0 = i, j
        a, b = x[i], y[j]
        i, j = i + 1, j + 1
        while a != b:
            if a < b and i < len(x):
                a, i = a * x[i], i + 1
            elif j < len(y):
                b, j = b * y[j], j + 1
            elif i < len(x):
                a, i = a * x[i], i + 1
            else:
                break
        if i0 <= channel < i:
            parts = [k for k in range(j0, j) if y[k] != 1] or [j0]
            if i - i0 > 1 and x[channel] != 1 and len(parts) > 1:
                # merged and split at once: the part that ends where the channels end
                end = prod(x[i0 : channel + 1])
                known = 1
                for k in range(j0, j):
                    known *= y[k]
                    if known >= end:
                        return k
            return parts[-1]
    return min(channel, len(y) - 1)


def to_dims(reader: Reader, m: Map, dims: tuple[int, ...], batch: int | None) -> Map:
    """A row-major reshape, with the batch there and the channels followed."""
    if m.batch is not None and batch is None and reader.batch != 1:
        raise BatchMixedError
    seen = visible(dims, batch)
    channel = channel_after(m.shape.dims, m.shape.channel, seen)
    if seen == m.shape.dims:
        return Map(m.node, m.shape, dims, batch, m.dtype)
    layer = Flatten() if len(seen) == 1 else Reshape(seen, channel)
    made = reader.place(layer, [m], batch=batch, dims=dims)
    return Map(made.node, made.shape, dims, batch, m.dtype)


@rule("Reshape")
def reshape(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    target: Sequence[int] | None = node.attributes.get("shape")
    if len(node.inputs) > 1:
        target = reader.known(node, 1)
    if target is None:
        raise RfcalcError("nothing says the shape")
    dims = reshaped(x.dims, target, bool(node.attributes.get("allowzero", 0)))
    view(reader, node, x, dims)


def view(reader: Reader, node: Node, x: Map, dims: tuple[int, ...]) -> None:
    """Give the same values in other extents; where they are the same, a node that says so."""
    batch = batch_after(x, dims, reader.batch)
    made = to_dims(reader, x, dims, batch)
    if made.node == x.node and dims == x.dims:
        made = reader.place(Identity(), [x], batch=x.batch, dims=x.dims)
    reader.give(node, made)


@rule("Flatten")
def flatten(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    axis = int(node.attributes.get("axis", 1))
    if not -len(x.dims) <= axis <= len(x.dims):
        raise RfcalcError(f"there is no axis {axis} in a value of {len(x.dims)} axes")
    axis = axis + len(x.dims) if axis < 0 else axis
    view(reader, node, x, (prod(x.dims[:axis]), prod(x.dims[axis:])))


@rule("Squeeze")
def squeeze(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    axes = axes_of(node, reader.inputs(node))  # type: ignore[arg-type]
    if axes is None:
        axes = [i for i, n in enumerate(x.dims) if n == 1 and i != x.batch]
    view(reader, node, x, squeezed(x.dims, axes))


@rule("Unsqueeze")
def unsqueeze(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    axes = axes_of(node, reader.inputs(node)) or []  # type: ignore[arg-type]
    dims = unsqueezed(x.dims, axes)
    if x.batch is None:
        view(reader, node, x, dims)
        return
    new = {a % len(dims) for a in axes}
    kept = [i for i in range(len(dims)) if i not in new]
    reader.give(node, to_dims(reader, x, dims, kept[x.batch]))


@rule("Transpose")
def transpose(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    made = permuted(reader, x, permutation(node, len(x.dims)))
    if made.node == x.node and made.dims == x.dims:
        made = reader.place(Identity(), [x], batch=x.batch, dims=x.dims)
    reader.give(node, made)


def permuted(reader: Reader, x: Map, order: Sequence[int]) -> Map:
    """The map with its axes in this order (the file's, batch included)."""
    dims = tuple(x.dims[p] for p in order)
    batch = None if x.batch is None else list(order).index(x.batch)
    own = [x.axis(p) for p in order if p != x.batch]
    if own == sorted(own):  # type: ignore[type-var]
        return Map(x.node, x.shape, dims, batch, x.dtype)
    made = reader.place(Permute(tuple(own)), [x], batch=batch, dims=dims)  # type: ignore[arg-type]
    return Map(made.node, made.shape, dims, batch, x.dtype)


@rule("rfcalc::ChannelShuffle")
def shuffle(reader: Reader, node: Node) -> None:
    x = reader.features(reader.map(node))
    made = reader.place(ChannelShuffle(int(node.attributes["groups"])), [x], batch=0)
    reader.give(node, made)


@rule("Expand", "Tile")
def expand(reader: Reader, node: Node) -> None:
    x = reader.map(node)
    target = tuple(int(v) for v in reader.known(node, 1) or ())
    dims = (
        broadcast(x.dims, target) if node.op == "Expand" else tuple(n * t for n, t in zip(x.dims, target, strict=True))
    )
    if any(n < 1 for n in dims):
        raise RfcalcError(f"the result {dims} is empty")
    padded = (1,) * (len(dims) - len(x.dims)) + x.dims
    if padded != x.dims:
        more = len(dims) - len(x.dims)
        x = to_dims(reader, x, padded, None if x.batch is None else x.batch + more)
    if dims == x.dims:
        reader.give(node, reader.place(Identity(), [x], batch=x.batch, dims=x.dims))
        return
    changed = [i for i, (n, m) in enumerate(zip(x.dims, dims, strict=True)) if n != m]
    if x.batch in changed:
        x = reader.untracked(x)
    for i in changed:
        if x.dims[i] != 1:  # copies one after another
            times = dims[i] // x.dims[i]
            if times > MOST_COPIES:
                raise NotUnderstoodError(f"it repeats a map {times} times")
            own = x.axis(i)
            x = reader.place(Concat(None if own == x.shape.channel else own), [x] * times, batch=x.batch)
    if x.dims != dims:
        # spread over axes of size 1, as arithmetic does it; the other input only tells the extents
        seen = visible(dims, x.batch)
        own_name = f"{reader.own_name()}.sizes"
        sizes = reader.place(Constant(seen, x.shape.channel), [], batch=x.batch, dims=dims, name=own_name)
        x = reader.place(Elementwise("copy"), [x, sizes], batch=x.batch, dims=dims)
    reader.give(node, x)
