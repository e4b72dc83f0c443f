"""Axes that are cut into frames by a row-major reshape, or put in a row from frames."""

from __future__ import annotations

from math import prod

from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape, axis_groups
from rfcalc.core.window import Slide


def frames(layer: Layer, x: Shape, y: Shape, axis: int) -> tuple[int, Slide] | None:
    """The axis on which an axis goes on behind a reshape that keeps the order of values, and what a position of it
    reads; None where it does not go on first of all, in whole frames.

    >>> from rfcalc import Reshape
    >>> frames(Reshape((1, -1, 10)), Shape(1, 100), Shape(1, 10, 10), 1)
    (1, Slide(10, 0, 10, 1, 'zeros'))
    """
    if not layer.row_major:
        return None
    open_axes = [i for i, n in enumerate(getattr(layer, "dims", ())) if n == -1]
    for before, after in axis_groups(x.dims, y.dims):
        if axis not in before:
            continue
        wide = [i for i in before if x.dims[i] != 1 or i == axis]
        made = [i for i in after if y.dims[i] != 1]
        if wide[0] != axis or not made or not set(open_axes) & set(after) <= {made[0]}:
            return None
        inner, size = prod(x.dims[i] for i in wide[1:]), prod(y.dims[i] for i in made[1:])
        return (made[0], Slide(size // inner, 0, size // inner)) if size > inner and not size % inner else None
    return None
