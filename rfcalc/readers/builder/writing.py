"""Writing into a part of a tensor: what was there before, what is new, and where each stands afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.joining import along, chained
from rfcalc.readers.builder.moves import picked, sliced
from rfcalc.readers.builder.values import NotUnderstood, Value


def written(graph: Builder, base: Value, places: Sequence[Sequence[int]], new: Value) -> Value:
    """A tensor after a part of it was written over.

    Args:
        base: what was there before.
        places: for each axis of the base the positions that are written; the part is their product.
        new: what is written, of the part's dims.

    Raises:
        NotUnderstood: the part has other dims, or a position is written twice.
    """
    if new.dims != tuple(len(p) for p in places) or any(len(set(p)) < len(p) for p in places):
        raise NotUnderstood("it writes a part of other dims, or one position twice")
    axis = next((i for i, (p, n) in enumerate(zip(places, base.dims, strict=True)) if list(p) != list(range(n))), None)
    if axis is None:
        return new
    if axis == base.batch:
        base, new = graph.plain(base), graph.plain(new)
    here = list(places[axis])
    rest = [range(len(p)) if i == axis else p for i, p in enumerate(places)]
    if any(list(p) != list(range(n)) for i, (p, n) in enumerate(zip(places, base.dims, strict=True)) if i != axis):
        new = written(graph, picked(graph, base, axis, here), rest, new)
    n = base.dims[axis]
    if here == list(range(here[0], here[-1] + 1)):
        parts = [sliced(graph, base, axis, 0, here[0])] if here[0] else []
        parts.append(new)
        if here[-1] + 1 < n:
            parts.append(sliced(graph, base, axis, here[-1] + 1, n))
        return along(graph, parts, axis, base.dims)
    both = (*base.dims[:axis], n + len(here), *base.dims[axis + 1 :])
    found = chained(graph, [base, new], axis, both)
    at = {p: n + i for i, p in enumerate(here)}
    return picked(graph, found, axis, [at.get(p, p) for p in range(n)])
