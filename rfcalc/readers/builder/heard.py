"""Lengths that a reader asks maps for while it builds, and what it makes of them; which nodes stand for these maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rfcalc.core.expressions import Asked, Expression, Given
from rfcalc.core.lengths import Length, Watched, made_of, plain, watching
from rfcalc.readers.builder.graph import Builder
from rfcalc.readers.builder.values import Value

FAR = (1 << 31) - 1  # an end of a slice that stands for the end of the axis


@dataclass(eq=False)
class Source:
    """What was asked of lengths of maps while a file was read, and which of its steps made each node.

    Attributes:
        built: whether layers make their parameters for the maps that they get, as those of a configuration do; else the
            file holds them.
    """

    steps: Mapping[str, int]
    heard: Watched | None
    called: str = "file"
    sizes_asked: bool = True
    catches: bool = False
    built: bool = False


def lengths_of(graph: Builder, x: Value) -> list[Any]:
    """The extents of a map, as lengths that note what is asked, where that is wanted."""
    watched = watching()
    if watched is None:
        return list(x.dims)
    if x in graph.lengths:
        return graph.lengths[x]
    number = len(watched.maps)
    watched.maps.append((graph.step, x))
    found = [n if i == x.batch else Length(n, Asked(graph.step, n, number, i)) for i, n in enumerate(x.dims)]
    graph.lengths[x] = found
    return found


def gives(graph: Builder, values: Iterable[Any]) -> Any:
    """Note lengths that the step that is being read is given, or computes; the plain numbers."""
    values = tuple(values)
    watched = watching()
    if watched is not None:
        for value in values:
            if type(value) is Length:
                watched.given.append(Given(graph.step, value.made, plain(value), graph.step + 1))
    return plain(values)


def source_of(
    graph: Builder, named: Mapping[int, str], kept: Iterable[int], called: str = "file", built: bool = False
) -> Source | None:
    """What was asked while a graph was built, by the names of its nodes; None where nobody wants to know."""
    watched = watching()
    if watched is None:
        return None
    asked = {number: x for number, (_, x) in enumerate(watched.maps) if isinstance(x, Value)}
    named_places(watched, asked, graph, named)
    steps = {named[p]: graph.nodes[p - len(graph.inputs)].step for p in kept}
    return Source(steps, watched, called, built=built)


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


def clipped(start: Any, end: Any, n: Any) -> tuple[Any, Any]:
    """The ends of a slice of n positions with a positive step, from lengths; equal ones where nothing is left."""
    low = _from_the_end(start, n)
    high = n if type(end) is int and end >= FAR else _from_the_end(end, n)
    some = not (type(high) is int and high < 1)
    high = n if some and high is not n and high >= n else high
    low = 0 if high is n and type(low) is Length and low <= 0 else low  # what takes everything leaves no trace
    return (low, high) if low < high else (0, 0)


def _from_the_end(at: Any, n: Any) -> Any:
    """A position that is counted from the end where it is negative; 0 where it lies before the beginning."""
    if not is_negative(at):
        return at
    at = at + n
    return Length(max(plain(at), 0), Expression("max", made_of(at), 0)) if type(at) is Length else max(at, 0)


def is_negative(value: Any) -> bool:
    """Whether a number is negative, which is asked of lengths only where it is not known."""
    return not (type(value) is Length and _never_negative(value.made)) and bool(value < 0)


def _never_negative(made: Any) -> bool:
    if isinstance(made, Expression):
        sides = _never_negative(made.left), _never_negative(made.right)
        if made.how == "%":
            return sides[1]
        return (made.how in ("+", "*", "//", "up", "min") and all(sides)) or (made.how == "max" and any(sides))
    return isinstance(made, Asked) or (isinstance(made, int) and made >= 0)
