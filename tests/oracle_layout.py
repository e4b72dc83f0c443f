"""The oracle's rules for the kinds that cut, join and re-arrange, element by element."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise, product
from math import floor
from typing import Any

from oracle_edges import (
    Edge,
    Taps,
    Unit,
    bounded,
    from_axes,
    gathered,
    inside,
    own,
    per,
    place,
    rule,
    separable,
    space,
    units,
)

from rfcalc.core.shape import Shape


@rule("concat")
def concat(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    axis = y.channel if layer.axis is None else layer.axis % len(y.dims)
    if axis == y.channel:
        return [own(x) for x in xs]
    at = place(y, axis)
    found = []
    start = 0
    for x in xs:

        def near(unit: Unit, start: int = start, n: int = x.dims[axis]) -> list[Unit]:
            moved = unit[at] - start
            return [(*unit[:at], moved, *unit[at + 1 :])] if 0 <= moved < n else []

        found.append(bounded(near, space(y)))
        start += x.dims[axis]
    return found


@rule("matmul")
def matmul(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """y[…, r, c] is the sum over k of a[…, r, k] · b[…, k, c] (b[…, c, k] transposed), element by element."""
    found: list[dict[Unit, set[Unit]]] = [{}, {}]
    for element in product(*map(range, y.dims)):
        *lead, r, c = element
        unit = without(element, y.channel)
        for k in range(xs[0].dims[-1]):
            read = ((*lead, r, k), (*lead, c, k) if layer.transpose else (*lead, k, c))
            for edge in (0, 1):
                found[edge].setdefault(unit, set()).add(without(read[edge], xs[edge].channel))
    return [bounded(lambda u, f=f: f[u], space(y)) for f in found]


def without(index: Sequence[int], channel: int) -> Unit:
    """A unit from the index of an element."""
    return (*index[:channel], *index[channel + 1 :])


@rule("flatten", "reshape")
def regroup(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """The same elements in the same order, element by element; beyond the map where axes are merely merged."""
    (x,) = xs
    found: dict[Unit, dict[Unit, None]] = {}
    pairs = zip(product(*map(range, y.dims)), product(*map(range, x.dims)), strict=True)
    for element, source in pairs:
        found.setdefault(without(element, y.channel), {})[without(source, x.channel)] = None
    if x == y:
        return [own(x)]
    # With axes of one position there are several ways to go on beyond the map: none is asked for.
    merge = None if 1 in space(x) + space(y) else merging(x, y)

    def far(unit: Unit) -> Iterable[Unit] | None:
        if inside(unit, space(y)):
            return found[unit]
        return None if merge is None else [merge(unit)]

    return [Edge(lambda unit: found[unit], far)]


def merging(x: Shape, y: Shape) -> Callable[[Unit], Unit] | None:
    """Where a unit beyond the map comes from if axes are merged only: the first of the merged ones goes on for ever.

    None if the channels take part or an axis is split.
    """
    wide = [[i for i in range(len(s.dims)) if i != s.channel] for s in (x, y)]
    parts = []
    for s, w in zip((x, y), wide, strict=True):
        parts.append(([i for i in w if i < s.channel], [i for i in w if i > s.channel]))
    if x.dims[x.channel] != y.dims[y.channel]:
        return None
    runs: dict[int, list[int]] = {}
    for mine, theirs in zip(parts[0], parts[1], strict=True):
        rest = list(mine)
        for j in theirs:
            size, run = 1, []
            while rest and size < y.dims[j]:
                run.append(rest.pop(0))
                size *= x.dims[run[-1]]
            if size != y.dims[j]:
                return None
            runs[j] = run
        if rest:
            return None

    def merge(unit: Unit) -> Unit:
        found = [0] * len(x.dims)
        for j, run in runs.items():
            at = unit[place(y, j)]
            for i in reversed(run[1:]):
                at, found[i] = divmod(at, x.dims[i])
            found[run[0]] = at
        return without(found, x.channel)

    return merge


@rule("permute")
def permute(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    return [from_axes(xs[0], y, {i: j for j, i in enumerate(layer.order)})]


@rule("class_token")
def class_token(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    t = layer.count
    return [bounded(lambda u: [(u[0] - t,)] if u[0] >= t else [], space(y))]


@rule("slice", "split")
def cut(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    axis = x.channel if layer.axis is None else layer.axis % len(x.dims)
    if axis == x.channel:
        return [own(x)]
    n = x.dims[axis]
    if layer.kind == "slice":
        kept = list(range(n))[layer.start : layer.stop : layer.step]
    else:
        sizes = layer.parts if isinstance(layer.parts, tuple) else (n // layer.parts,) * layer.parts
        kept = list(range(n))[sum(sizes[: layer.part]) :][: sizes[layer.part]]
    step = layer.step if layer.kind == "slice" else 1
    at = place(x, axis)
    taps: list[Taps] = [(lambda u: [u])] * len(space(x))
    taps[at] = lambda u: [kept[0] + step * u]
    return [separable(taps, space(x))]


@rule("gather")
def take(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Position i of the axis is position positions[i]; one that goes up evenly goes on so beyond the map."""
    (x,) = xs
    axis = layer.axis % len(x.dims)
    if axis == x.channel:
        return [own(x)]
    listed, at = gathered(layer, x), place(x, axis)
    gaps = {b - a for a, b in pairwise(listed)} or {1}
    if len(gaps) == 1 and min(gaps) > 0:
        taps: list[Taps] = [(lambda u: [u])] * len(space(x))
        taps[at] = lambda u: [listed[0] + min(gaps) * u]
        return [separable(taps, space(x))]
    return [bounded(lambda u: [(*u[:at], listed[u[at]], *u[at + 1 :])], space(y))]


def listed_by(layer: Any, u: int) -> list[int]:
    """The positions that `IndexSum` adds up at unit u, those beside the map too."""
    if layer.by is None:
        return list(layer.rows[u])
    turn, phase = divmod(u, len(layer.rows))
    return [layer.by * turn + t for t in layer.rows[phase]]


@rule("index_sum")
def index_sum(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    axis = layer.axis % len(x.dims)
    if axis == x.channel:
        return [own(x)]
    at = place(x, axis)
    if layer.by is None:
        return [bounded(lambda u: [(*u[:at], t, *u[at + 1 :]) for t in layer.rows[u[at]]], space(y))]
    taps: list[Taps] = [(lambda u: [u])] * len(space(x))
    taps[at] = lambda u: listed_by(layer, u)
    return [separable(taps, space(x))]


@rule("roll")
def roll(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    extents = space(x)
    shifts = [per(layer.shift, i) for i in range(len(extents))]
    moved: dict[Unit, Unit] = {}
    for unit in units(x):
        moved[tuple((u + s) % n for u, s, n in zip(unit, shifts, extents, strict=True))] = unit
    still = [s % n == 0 for s, n in zip(shifts, extents, strict=True)]

    def far(unit: Unit) -> Iterable[Unit] | None:
        """An axis that is not rolled goes on beyond the map."""
        if any(not f and not 0 <= u < n for u, f, n in zip(unit, still, extents, strict=True)):
            return None
        held = moved[tuple(0 if f else u for u, f in zip(unit, still, strict=True))]
        return [tuple(u if f else h for u, h, f in zip(unit, held, still, strict=True))]

    return [Edge(lambda u: [moved[u]], far)]


@rule("window_partition")
def window_partition(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Windows in row-major order, and the places in each in row-major order."""
    (x,) = xs
    extents = space(x)
    sizes = [per(layer.window, i) for i in range(len(extents))]
    held: dict[Unit, Unit] = {}
    corners = product(*(range(0, n, w) for n, w in zip(extents, sizes, strict=True)))
    for window, corner in enumerate(corners):
        for at, offset in enumerate(product(*map(range, sizes))):
            held[window, at] = tuple(c + o for c, o in zip(corner, offset, strict=True))
    return [bounded(lambda u: [held[u]], space(y))]


@rule("window_attention")
def window_attention(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Pad to whole windows, roll back, cut into windows, keep the mask's regions apart: as torchvision's Swin does.

    Beyond the map the windows go on, unless an unmasked shift ties the two ends together.
    """
    (x,) = xs
    extents = space(x)
    sizes = [per(layer.window, i) for i in range(len(extents))]
    padded = [-(-n // w) * w for n, w in zip(extents, sizes, strict=True)]
    shifts = [0 if w >= p else per(layer.shift, i) for i, (w, p) in enumerate(zip(sizes, padded, strict=True))]
    regions = []
    for p, w, s in zip(padded, sizes, shifts, strict=True):
        ids = [0] * p
        for number, part in enumerate((slice(0, -w), slice(-w, -s), slice(-s, None))):
            for v in range(p)[part]:
                ids[v] = number
        regions.append(ids)
    rooms: dict[tuple[Unit, Unit], list[Unit]] = {}
    room_of: dict[Unit, tuple[Unit, Unit]] = {}
    for rolled in product(*map(range, padded)):
        unit = tuple((v + s) % p for v, s, p in zip(rolled, shifts, padded, strict=True))
        region = tuple(ids[v] for ids, v in zip(regions, rolled, strict=True)) if layer.masked else ()
        room = tuple(v // w for v, w in zip(rolled, sizes, strict=True)), region
        room_of[unit] = room
        if inside(unit, extents):
            rooms.setdefault(room, []).append(unit)

    def near(unit: Unit) -> list[Unit]:
        return rooms[room_of[unit]]

    if any(shifts) and not layer.masked:
        return [bounded(near, extents)]

    def taps(w: int, s: int) -> Taps:
        return lambda u: range(s + floor(Fraction(u - s, w)) * w, s + floor(Fraction(u - s, w)) * w + w)

    return [Edge(near, separable([taps(w, s) for w, s in zip(sizes, shifts, strict=True)], extents).far)]
