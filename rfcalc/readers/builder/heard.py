"""Which nodes stand for the maps that were asked for lengths, and where their axes lie."""

from __future__ import annotations

from collections.abc import Mapping

from rfcalc.core.lengths import Watched
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.values import Value


def named_places(watched: Watched, values: Mapping[int, Value], graph: Builder, names: Mapping[int, str]) -> None:
    """Note the places of the maps that were asked (by number), by the names of the nodes that stand for them."""
    kept = {tuple(sorted(map(int, graph.shapes[node].dims))) for node in names}
    for number, value in values.items():
        if tuple(sorted(map(int, graph.shapes[value.node].dims))) in kept:  # or one that is read as another
            watched.alive.add(number)
        name, shape = names.get(value.node), graph.shapes[value.node]
        if name is None or shape.dims != ((1,) if value.extra else ()) + value.inner:
            continue
        axes = [axis for axis in range(len(value.dims)) if axis != value.batch]
        for place, axis in enumerate(axes, int(value.extra)):
            watched.places[number, axis] = (name, place)
    watched.maps.clear()
