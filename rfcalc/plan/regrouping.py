"""Runs of views, padding and slices of two readings: which map of one reading a run of the other one gives.

Where padding or a slice comes to nothing, the views around it are one: a map that is cut into rows and columns, padded
and cut into windows is cut into windows at once. Such a run is written for the other reading with what is missing
there: layers that leave their map as it is, and views between them. What a run gives is told apart by its views alone,
composed: an order of axes, or extents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape, axis_groups
from rfcalc.graph.network import Network

Views = tuple[tuple[str, tuple[int, ...]], ...]  # orders of axes and extents, one after another


class Run(NamedTuple):
    """The layers of a run for another reading, the shapes behind them, the composed views up to each."""

    layers: tuple[Layer, ...]
    shapes: tuple[Shape, ...]
    views: tuple[Views, ...]


def is_view(layer: Layer) -> bool:
    return layer.row_major or layer.moves_axes is not None


def may_be_nothing(layer: Layer, x: Shape) -> bool:
    return not is_view(layer) and layer.nothing(x) is not None


def then(views: Views, layer: Layer, x: Shape, y: Shape) -> Views:
    """Views, and one more behind them, from x to y: what is undone is left out."""
    order = layer.moves_axes
    if order is None:
        before = views[:-1] if views and views[-1][0] == "extents" else views
        return views if x.dims == y.dims else (*before, ("extents", y.dims))
    if views and views[-1][0] == "order":
        order = tuple([views[-1][1][i] for i in order])
        views = views[:-1]
    return views if order == tuple(range(len(order))) else (*views, ("order", order))


def found_behind(network: Network, shapes: Sequence[Shape], root: int, last: int) -> Iterator[tuple[int, Views]]:
    """The maps up to a position that are a root seen otherwise, with the views that lead to them."""
    views: dict[int, Views] = {root: ()}
    yield root, ()
    for position in range(max(root + 1, network.arity), last + 1):
        node, sources = network.nodes[position - network.arity], network.sources[position - network.arity]
        if len(sources) == 1 and sources[0] in views and is_view(node.layer):
            views[position] = then(views[sources[0]], node.layer, shapes[sources[0]], shapes[position])
            yield position, views[position]


def written_for(layers: Sequence[Layer], known: Sequence[Shape], x: Shape, end: Shape) -> Run | None:
    """A run of layers, whose maps are known in one reading (before it, and behind each layer), for another reading,
    where it lies behind x, and what may come to nothing does; the views must lead to `end`.
    """
    try:
        return _written(layers, known, x, end)
    except (RfcalcError, IndexError, ZeroDivisionError):
        return None


def _written(layers: Sequence[Layer], known: Sequence[Shape], x: Shape, end: Shape) -> Run | None:
    behind = _from_end(layers, known, end)
    made: list[Layer] = []
    shapes = [x]
    views: list[Views] = [()]
    for i, layer in enumerate(layers):
        before = shapes[-1]
        mine: Layer | None = layer
        if layer.row_major:
            dims = _merged(known[i], known[i + 1], before.dims) or behind[i + 1]
            if dims is None or len(dims) != len(known[i + 1].dims) or prod(dims) != before.values:
                return None
            mine = layer.sized(Shape(*dims, channel=known[i + 1].channel))
        elif layer.moves_axes is None:
            mine = layer.nothing(before)
        if mine is None:
            return None
        made.append(mine)
        shapes.append(mine.output(before))
        if is_view(mine):
            views.append(then(views[-1], mine, before, shapes[-1]))
        elif shapes[-1] != before:
            return None
        else:
            views.append(views[-1])
    return Run(tuple(made), tuple(shapes[1:]), tuple(views[1:]))


def _merged(before: Shape, after: Shape, dims: tuple[int, ...]) -> tuple[int, ...] | None:
    """The extents behind a reshape that merges axes, of a map with other extents; None where it takes axes apart."""
    groups = axis_groups(before.dims, after.dims)
    if len(before.dims) != len(dims) or any(len(new) != 1 for _, new in groups):
        return None
    return tuple([prod(dims[i] for i in old) for old, _ in groups])


def _from_end(layers: Sequence[Layer], known: Sequence[Shape], end: Shape) -> list[tuple[int, ...] | None]:
    """The extents before each layer of a run and behind the last one, as far as the end tells them."""
    found: list[tuple[int, ...] | None] = [end.dims]
    for i in range(len(layers) - 1, -1, -1):
        layer, dims = layers[i], found[-1]
        order = layer.moves_axes
        if dims is not None and layer.row_major:
            dims = _merged(known[i + 1], known[i], dims)
        elif dims is not None and order is not None:
            dims = tuple([dims[order.index(axis)] for axis in range(len(order))])
        found.append(dims)
    return found[::-1]
