"""The pieces from which the oracle's rules are made: units, edges, and the few ways in which a unit reads.

Nothing here comes from rfcalc but the type of a shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

from rfcalc.core.shape import Shape

Unit = tuple[int, ...]
Taps = Callable[[int], Sequence[int]]


class Edge(NamedTuple):
    """What the units of a layer read of one of its inputs."""

    near: Callable[[Unit], Iterable[Unit]]
    far: Callable[[Unit], Iterable[Unit] | None]


Rule = Callable[[Any, tuple[Shape, ...], Shape], list[Edge]]
RULES: dict[str, Rule] = {}


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    def wrap(made: Rule) -> Rule:
        for kind in kinds:
            assert kind not in RULES
            RULES[kind] = made
        return made

    return wrap


def space(x: Shape) -> tuple[int, ...]:
    """Extents of the axes that are not the channels."""
    return tuple(n for i, n in enumerate(x.dims) if i != x.channel)


def units(x: Shape) -> list[Unit]:
    """All units of a map, in order."""
    return list(product(*map(range, space(x))))


def place(x: Shape, axis: int) -> int:
    """Where an axis of the map stands in its units."""
    return axis if axis < x.channel else axis - 1


def gathered(layer: Any, x: Shape) -> Sequence[int]:
    """The positions that a gather lists; without a list all of them, from the last to the first."""
    n = x.dims[layer.axis % len(x.dims)]
    return range(n - 1, -1, -1) if layer.positions is None else layer.positions


def per(values: Sequence[Any], i: int) -> Any:
    """A parameter's entry for axis i, where one entry serves all axes."""
    return values[i] if len(values) > 1 else values[0]


def inside(unit: Unit, extents: Sequence[int]) -> bool:
    return all(0 <= u < n for u, n in zip(unit, extents, strict=True))


def resolve(i: int, n: int, border: str) -> int | None:
    """The real position that stands at position i of a padded axis of n; None for zeros."""
    if 0 <= i < n:
        return i
    if border == "replicate":
        return 0 if i < 0 else n - 1
    if border == "circular":
        return i % n
    if border == "reflect":
        assert -n < i < 2 * n - 1, f"position {i} cannot be reflected into {n}"
        return -i if i < 0 else 2 * (n - 1) - i
    assert border == "zeros"
    return None


def separable(taps: Sequence[Taps], extents: Sequence[int], border: str = "zeros") -> Edge:
    """A unit reads the product over the axes of what each coordinate reads."""
    known: list[dict[int, list[int]]] = [{} for _ in extents]

    def real(axis: int, u: int) -> list[int]:
        found = known[axis].get(u)
        if found is None:
            resolved = [resolve(t, extents[axis], border) for t in taps[axis](u)]
            found = known[axis][u] = list(dict.fromkeys(t for t in resolved if t is not None))
        return found

    def near(unit: Unit) -> Iterable[Unit]:
        return product(*(real(i, u) for i, u in enumerate(unit)))

    def far(unit: Unit) -> Iterable[Unit]:
        return product(*(t(u) for t, u in zip(taps, unit, strict=True)))

    return Edge(near, far)


def bounded(near: Callable[[Unit], Iterable[Unit]], extents: Sequence[int]) -> Edge:
    """A relation that is not defined beyond the map."""
    return Edge(near, lambda unit: near(unit) if inside(unit, extents) else None)


def own(x: Shape) -> Edge:
    """A unit reads itself."""
    return Edge(lambda unit: (unit,), lambda unit: (unit,))


def whole(n: int) -> Taps:
    """Every unit reads the whole axis; on an axis of one position that is its own."""
    return (lambda u: [u]) if n == 1 else (lambda u: range(n))


def together(x: Shape, axes: Iterable[int]) -> Edge:
    """A unit reads all positions of the given axes, and its own of the others."""
    chosen = set(axes)
    spatial = [i for i in range(len(x.dims)) if i != x.channel]
    taps: list[Taps] = [whole(x.dims[i]) if i in chosen else (lambda u: [u]) for i in spatial]
    return separable(taps, space(x))


def both(a: Edge, b: Edge) -> Edge:
    """A unit reads what two edges to the same input read."""
    return Edge(
        lambda u: [*a.near(u), *b.near(u)],
        lambda u: None if (p := a.far(u)) is None or (q := b.far(u)) is None else [*p, *q],
    )


def from_axes(x: Shape, y: Shape, source: dict[int, int | None]) -> Edge:
    """Axis i of the input is axis source[i] of the output, or (None) read as a whole; channels are never told apart."""
    spatial = [i for i in range(len(x.dims)) if i != x.channel]

    def read(unit: Unit) -> Iterable[Unit]:
        chosen: list[Sequence[int]] = []
        for i in spatial:
            j = source[i]
            chosen.append(range(x.dims[i]) if j is None or j == y.channel else [unit[place(y, j)]])
        return product(*chosen)

    return Edge(read, read)
