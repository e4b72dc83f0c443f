"""Writing and adding by index, transforms along axes, and what picks by values of the input."""

from __future__ import annotations

from typing import Any

import torch

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Multiply
from rfcalc.readers.builder.indexed import at_most, diagonal, sampled, summed, transformed
from rfcalc.readers.builder.maps import alone
from rfcalc.readers.builder.moves import inserted_axis, moved, picked, regrouped, sliced, stretched
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood, Value
from rfcalc.readers.torch.fixed import known
from rfcalc.readers.torch.handling import OperatorCall, handles
from rfcalc.readers.torch.tensors import TensorBuilder, dims_of

FFT = [f"fft_{n}{d}" for d in ("", "2", "n") for n in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")]


@handles(*FFT)
def fourier(call: OperatorCall) -> Value:
    """Every value is made of all positions of the axes that are transformed."""
    x, args = call.x, call.step.args
    given = args["dim"]
    if given is None:
        sizes = args.get("s")
        given = list(range(-len(sizes), 0)) if sizes is not None else [i for i in range(len(x.dims)) if i != x.batch]
    axes = [d % len(x.dims) for d in (given if isinstance(given, (list, tuple)) else [given])]
    return transformed(call.graph, x, [a for a in axes if (x.dims[a], call.dims[a]) != (1, 1)], call.dims)


@handles("fft_fftshift", "fft_ifftshift")
def shifted(call: OperatorCall) -> Value:
    x, given = call.x, call.step.args.get("dim")
    axes = range(len(x.dims)) if given is None else [d % len(x.dims) for d in given]
    for axis in axes:
        n = x.dims[axis]
        by = n // 2 if call.step.name == "fft_fftshift" else (n + 1) // 2
        if n > 1:
            x = picked(call.graph, x, axis, [(i - by) % n for i in range(n)])
    return x


@handles("view_as_real")
def parts_of_complex(call: OperatorCall) -> Value:
    x = call.x
    apart = inserted_axis(call.graph, x, (*x.dims, 1), x.batch, len(x.dims))
    return stretched(call.graph, apart, call.dims)


@handles("view_as_complex")
def complex_of_parts(call: OperatorCall) -> Value:
    return reduced(call.graph, call.x, [-1], "sum", False, call.dims)


@handles("median", "nanmedian", "kthvalue", "mode", "quantile", "nanquantile")
def ordered(call: OperatorCall) -> Value | list[Value]:
    """A value that is found among all of an axis, and where it stood."""
    graph, x, dim = call.graph, call.x, call.step.args.get("dim")
    several = isinstance(call.step.out, (tuple, list))
    if dim is None or ("q" in call.step.args and isinstance(call["q"], torch.Tensor) and call["q"].dim()):
        raise NotUnderstood("of all values, or several at once")
    made = reduced(graph, x, [dim], "max", bool(call.step.args.get("keepdim")), call.dims)
    if not several:
        return made
    return [made, reduced(graph, x, [dim], "argmax", bool(call.step.args.get("keepdim")), call.dims)]


@handles("aminmax")
def both_ends(call: OperatorCall) -> list[Value]:
    axes = [] if call["dim"] is None else [call["dim"]]
    return [reduced(call.graph, call.x, axes, op, bool(call["keepdim"]), call.dims) for op in ("amin", "amax")]


@handles(
    "linalg_inv",
    "inverse",
    "linalg_pinv",
    "pinverse",
    "matrix_exp",
    "linalg_matrix_exp",
    "linalg_matrix_power",
    "matrix_power",
    "cholesky",
    "linalg_cholesky",
    "cholesky_inverse",
    "linalg_qr",
    "qr",
    "linalg_svd",
    "svd",
    "linalg_svdvals",
    "linalg_eigh",
    "linalg_eigvalsh",
    "linalg_det",
    "det",
    "linalg_slogdet",
    "slogdet",
    "logdet",
)
def of_matrix(call: OperatorCall) -> Value | list[Value]:
    """Every value is made of all of a matrix; of half of it, or none, where one half is zeros or is not looked at."""
    (x,) = call.step.given
    several = isinstance(call.step.out, (tuple, list))
    halves = any(word in call.step.name for word in ("cholesky", "qr", "eig"))
    made = [_of_whole(call.graph, call.graph.get(x), dims_of(t)) for t in call.step.outs]
    made = [at_most(call.graph, m) for m in made] if halves else made
    return made if several else made[0]


def _of_whole(graph: TensorBuilder, x: Value, dims: tuple[int, ...]) -> Value:
    """Values of which each is made of all of a matrix: matrices, vectors (of singular values), or single ones."""
    n = len(x.dims)
    if len(dims) == n:
        return transformed(graph, x, [n - 2, n - 1], dims)
    gone = [-2, -1] if len(dims) == n - 2 else [-2]
    x = reduced(graph, x, gone, "norm", False, tuple(m for i, m in enumerate(x.dims) if i - n not in gone))
    return x if len(gone) == 2 else transformed(graph, x, [n - 2], dims)


@handles("linalg_solve", "linalg_solve_triangular", "triangular_solve", "cholesky_solve")
def solved(call: OperatorCall) -> Value:
    """Every column is made of all of the matrix, and of the same column of the other side; if triangular, of a part."""
    graph, dims, name = call.graph, call.dims, call.step.name
    first, second = call.step.given
    matrix, columns = (first, second) if name.startswith("linalg_solve") else (second, first)
    if (
        isinstance(call.step.out, (tuple, list))
        or matrix.dim() != columns.dim()
        or not call.step.args.get("left", True)
    ):
        raise NotUnderstood("of vectors, or from the right")
    parts = []
    if not graph.is_static(matrix) or graph.leaves(matrix):
        one = (*dims_of(matrix)[:-2], 1, 1)
        parts.append(reduced(graph, graph.get(matrix), [-2, -1], "norm", True, one))
    if not graph.is_static(columns) or graph.leaves(columns):
        parts.append(transformed(graph, graph.get(columns), [len(dims) - 2], dims_of(columns)))
    nodes, batch, extra = graph.aligned(parts, dims)
    made = graph.add(Elementwise("solve"), nodes, dims, batch, extra=extra)
    return made if name == "linalg_solve" else at_most(graph, made)


@handles("bucketize", "searchsorted")
def sorted_in(call: OperatorCall) -> Value:
    places = call["boundaries" if call.step.name == "bucketize" else "sorted_sequence"]
    if not call.graph.is_static(places) or places.dim() != 1:
        raise NotUnderstood("in a sequence that depends on the input, or in several")
    return alone(call.graph, call.x, Elementwise(call.step.name))


@handles("one_hot")
def one_hot(call: OperatorCall) -> Value:
    x = call.x
    apart = inserted_axis(call.graph, x, (*x.dims, 1), x.batch, len(x.dims))
    return alone(call.graph, stretched(call.graph, apart, call.dims), Elementwise("one_hot"))


# --- by index ---------------------------------------------------------------------------------------------------


def _line(call: OperatorCall, axis: int) -> list[int] | None:
    """The positions along an axis that an index holds, the same wherever one stands on others; None where it depends on
    the input.

    Raises:
        NotUnderstood: they differ from place to place.
    """
    index = call["index"]
    found = known(call.graph, index)
    if found is None:
        if call.graph.is_static(index):
            raise NotUnderstood("by positions that are not known")
        return None
    if found.dim() > 1:
        lines = found.movedim(axis, -1).reshape(-1, found.shape[axis])
        if not bool((lines == lines[0]).all()):
            raise NotUnderstood("by positions that differ from place to place")
        found = lines[0]
    return [int(p) % int(call["self"].shape[axis]) for p in found.reshape(-1).tolist()]


def _added(graph: TensorBuilder, values: list[Value], name: str) -> Value:
    if len(values) == 1:
        return values[0]
    nodes, batch, extra = graph.aligned(values, values[0].dims)
    layer = Add() if "add" in name else Elementwise(name)
    return graph.add(layer, nodes, values[0].dims, batch, extra=extra)


@handles("index_add", "index_copy", "index_fill", "index_reduce", "scatter", "scatter_add", "scatter_reduce")
def into(call: OperatorCall) -> Value:
    """A part of an axis is added, or written, to positions of another tensor."""
    graph, args = call.graph, call.step.args
    name = call.step.name.rstrip("_")
    base, dims = call["self"], call.dims
    axis = call["dim"] % max(len(dims), 1)
    new = next((args[n] for n in ("source", "src", "value") if n in args), None)
    adds = "add" in name or "reduce" in name or (name == "scatter" and args.get("reduce") is not None)
    places = _line(call, axis)
    if places is None:
        return _anywhere(call, axis, base, new)
    if isinstance(new, torch.Tensor) and new.dim() and not graph.is_static(new):
        part = graph.get(new)
        count = call["index"].shape[axis] if call["index"].dim() > 1 else len(places)
        if part.dims[axis] > count:
            part = sliced(graph, part, axis, 0, int(count))
        if any(n != m for i, (n, m) in enumerate(zip(part.dims, dims, strict=True)) if i != axis):
            raise NotUnderstood("into a part of the other axes")
    else:
        part = None
    keeps = adds and args.get("include_self", True)
    values: list[Value] = []
    if not graph.is_static(base) or graph.leaves(base):
        x = graph.get(base)
        gone = set() if keeps else set(places)
        values.append(summed(graph, x, axis, [[] if p in gone else [p] for p in range(dims[axis])]) if gone else x)
    if part is not None:
        rows: list[list[int]] = [[] for _ in range(dims[axis])]
        for i, p in enumerate(places):
            rows[p].append(i)
        part = summed(graph, part, axis, rows)
        if not adds and len(set(places)) < len(places):  # which of two stays is not said
            part = at_most(graph, part)
        values.append(part)
    if not values:
        raise NotUnderstood("of what depends on nothing")
    return _added(graph, values, name)


def _anywhere(call: OperatorCall, axis: int, base: Any, new: Any) -> Value:
    """What is written where values of the input say may come from anywhere along the axis."""
    graph, dims = call.graph, call.dims
    values = [graph.get(base)] if not graph.is_static(base) or graph.leaves(base) else []
    for t in (new, call["index"]):
        if not isinstance(t, torch.Tensor) or not t.dim() or graph.is_static(t):
            continue
        x = graph.get(t)
        if tuple(n for i, n in enumerate(x.dims) if i != axis) != tuple(n for i, n in enumerate(dims) if i != axis):
            raise NotUnderstood("by positions that depend on the input")
        values.append(transformed(graph, x, [axis], dims))
    return at_most(graph, _added(graph, values, call.step.name.rstrip("_")))


def picked_anywhere(call: OperatorCall, x: Value, axis: int, index: torch.Tensor) -> Value:
    """Positions of an axis that values of the input say: any of them."""
    graph, dims = call.graph, call.dims
    at = graph.get(index)
    for i, n in enumerate(dims):
        if i != axis and i < len(x.dims) and len(x.dims) == len(dims) and n < x.dims[i]:
            x = sliced(graph, x, i, 0, n)
    if len(at.dims) == len(dims):
        x = transformed(graph, x, [axis], dims)
    elif len(at.dims) == 1 and len(x.dims) == len(dims):
        x = transformed(graph, x, [axis], dims)
        full = tuple(n if i == axis else 1 for i, n in enumerate(dims))
        at = regrouped(graph, graph.plain(at), full, None)
    else:
        raise NotUnderstood("by positions that depend on the input")
    nodes, batch, extra = graph.aligned((x, at), dims)
    return at_most(graph, graph.add(Elementwise("gather"), nodes, dims, batch, extra=extra))


@handles("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(call: OperatorCall) -> Value:
    """Each place takes what lies where the grid says: anywhere."""
    graph, grid = call.graph, call["grid"]
    fixed = graph.is_static(grid) and not graph.leaves(grid)
    return sampled(graph, call.value("input"), None if fixed else graph.get(grid), call.dims)


@handles("affine_grid_generator")
def affine_grid(call: OperatorCall) -> Value:
    """A grid of places from the numbers of one transform."""
    graph, dims = call.graph, call.dims
    theta = graph.get(call["theta"])
    row = reduced(graph, theta, [-1, -2], "sum", True, (dims[0], 1, 1))
    full = (dims[0], *(1,) * (len(dims) - 1))
    return stretched(graph, regrouped(graph, row, full, row.batch), dims)


# --- other relations of two tensors -----------------------------------------------------------------------------


@handles("diagonal", "linalg_diagonal")
def diagonals(call: OperatorCall) -> Value:
    x, args = call.x, call.step.args
    n = len(x.dims)
    return diagonal(call.graph, x, args.get("dim1", 0) % n, args.get("dim2", 1) % n, args.get("offset", 0))


@handles("diag_embed")
def embedded_diagonal(call: OperatorCall) -> Value:
    x, dims = call.x, call.dims
    n = x.dims[-1]
    if (call["offset"], call["dim1"] % len(dims), call["dim2"] % len(dims)) != (0, len(dims) - 2, len(dims) - 1):
        raise NotUnderstood("on another diagonal")
    made = summed(call.graph, x, len(x.dims) - 1, [[r] if r == c else [] for r in range(n) for c in range(n)])
    return regrouped(call.graph, made, dims, made.batch)


@handles("rot90")
def rotated(call: OperatorCall) -> Value:
    graph, x = call.graph, call.x
    a, b = (d % len(x.dims) for d in call["dims"])

    def flipped(x: Value, axis: int) -> Value:
        return picked(graph, x, axis, list(reversed(range(x.dims[axis]))))

    turns = call["k"] % 4
    if turns == 2:
        return flipped(flipped(x, a), b)
    order = list(range(len(x.dims)))
    order[a], order[b] = b, a
    if turns == 1:
        return moved(graph, flipped(x, b), tuple(order))
    return flipped(moved(graph, x, tuple(order)), b) if turns == 3 else x


def _common(first: torch.Tensor, second: torch.Tensor) -> tuple[int, ...]:
    return tuple(map(int, torch.broadcast_shapes(first.shape, second.shape)))  # type: ignore[no-untyped-call]


def _met(call: OperatorCall, layer: Layer) -> Value:
    """Both tensors, broadcast, through a layer that works value by value."""
    first, second = call["x1"], call["x2"]
    dims = _common(first, second)
    nodes, batch, extra = call.graph.aligned((call.graph.get(first), call.graph.get(second)), dims)
    return call.graph.add(layer, nodes, dims, batch, extra=extra)


@handles("cosine_similarity")
def cosine(call: OperatorCall) -> Value:
    return reduced(call.graph, _met(call, Multiply()), [call["dim"]], "sum", False, call.dims)


@handles("pairwise_distance")
def distance(call: OperatorCall) -> Value:
    made = _met(call, Elementwise("sub"))
    return reduced(call.graph, made, [-1], "norm", bool(call["keepdim"]), call.dims)


@handles("cdist", "_cdist_forward")
def distances(call: OperatorCall) -> Value:
    """The distance of each row of one matrix from each row of another: their difference, broadcast."""
    graph, dims = call.graph, call.dims
    first, second = call.value("x1"), call.value("x2")
    apart = []
    for x, back in ((first, 1), (second, 2)):
        at = len(x.dims) - back
        wide = (*x.dims[:at], 1, *x.dims[at:])
        apart.append(inserted_axis(graph, x, wide, x.batch if x.batch is None else x.batch + (at <= x.batch), at))
    full = (*dims, first.dims[-1])
    nodes, batch, extra = graph.aligned(apart, full)
    made = graph.add(Elementwise("sub"), nodes, full, batch, extra=extra)
    return reduced(graph, made, [-1], "norm", False, dims)


@handles("renorm")
def renormed(call: OperatorCall) -> Value:
    """Each slice along an axis times what its norm says."""
    graph, x, dims = call.graph, call.x, call.dims
    others = [i for i in range(len(dims)) if i != call["dim"] % len(dims)]
    kept = tuple(1 if i in others else n for i, n in enumerate(dims))
    nodes, batch, extra = graph.aligned((x, reduced(graph, x, others, "norm", True, kept)), dims)
    return graph.add(Multiply(), nodes, dims, batch, extra=extra)


@handles("cross", "linalg_cross")
def cross(call: OperatorCall) -> Value:
    """Of three components along an axis each is made of the two others."""
    graph, dims = call.graph, call.dims
    dim = call.step.args.get("dim")
    axis = (next(i for i, n in enumerate(dims) if n == 3) if dim is None else dim) % len(dims)
    first, second = (graph.get(call[n]) for n in ("self", "other"))
    parts = []
    for one, two in (((1, 2, 0), (2, 0, 1)), ((2, 0, 1), (1, 2, 0))):
        pair = (picked(graph, first, axis, list(one)), picked(graph, second, axis, list(two)))
        nodes, batch, extra = graph.aligned(pair, dims)
        parts.append(graph.add(Multiply(), nodes, dims, batch, extra=extra, helper=True))
    nodes, batch, extra = graph.aligned(parts, dims)
    return graph.add(Elementwise("sub"), nodes, dims, batch, extra=extra)


@handles("trapezoid", "trapz")
def trapezoid(call: OperatorCall) -> Value:
    if isinstance(call.step.args.get("x"), torch.Tensor):
        raise NotUnderstood("over places of its own")
    return reduced(call.graph, call.value("y"), [call["dim"]], "sum", False, call.dims)
