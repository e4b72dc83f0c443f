"""What a unit of each layer kind reads, written out from the definition of the kind, position by position.

Nothing here comes from rfcalc but layer parameters and shapes. A unit is a position over all channels: a tuple of its
coordinates on the axes that are not the channels. Every rule gives one `Edge` for each input:

- ``near(unit)``: the real units of the input that are read; padding is resolved (zeros are dropped).
- ``far(unit)``: what is read with padding counted, for any unit of the endless grid; None where no meaning is defined
  (a rolled map has nothing beyond its border).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import product
from math import floor
from typing import Any, NamedTuple

from rfcalc.layer import Layer
from rfcalc.shape import Shape

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


def edges(layer: Layer, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """One edge for each input of the layer."""
    return RULES[layer.kind](layer, xs, y)


def space(x: Shape) -> tuple[int, ...]:
    """Extents of the axes that are not the channels."""
    return tuple(n for i, n in enumerate(x.dims) if i != x.channel)


def units(x: Shape) -> list[Unit]:
    """All units of a map, in order."""
    return list(product(*map(range, space(x))))


def place(x: Shape, axis: int) -> int:
    """Where an axis of the map stands in its units."""
    return axis if axis < x.channel else axis - 1


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


@rule("activation", "prelu", "glu", "dropout", "stochastic_depth", "scale", "identity", "lrn", "position_table")
@rule("channel_shuffle")
def pointwise(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    return [own(x) for x in xs]


def around(layer: Any, n: int, i: int) -> int:
    """Padding before the first position on axis i."""
    k, s, d = (per(getattr(layer, name, (1,)), i) for name in ("kernel", "stride", "dilation"))
    padding = getattr(layer, "padding", ((0, 0),))
    extent = d * (k - 1) + 1
    if padding == "same":
        return (extent - 1) // 2
    if padding == "SAME":
        starts = len([u for u in range(n) if u * s < n])
        return max((starts - 1) * s + extent - n, 0) // 2
    return per(padding, i)[0]


@rule("conv", "depthwise", "maxpool", "avgpool", "lppool")
def sliding(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Unit o reads o·s − a + t·d for every tap t."""
    (x,) = xs

    def taps(i: int, n: int) -> Taps:
        k, s, d = (per(getattr(layer, name, (1,)), i) for name in ("kernel", "stride", "dilation"))
        a = around(layer, n, i)
        return lambda o: [o * s - a + t * d for t in range(k)]

    extents = space(x)
    return [separable([taps(i, n) for i, n in enumerate(extents)], extents, getattr(layer, "border", "zeros"))]


@rule("conv_transpose")
def transposed(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Input i feeds output i·s − a + t·d for every tap t."""
    (x,) = xs

    def taps(i: int) -> Taps:
        k, s, d = (per(getattr(layer, name), i) for name in ("kernel", "stride", "dilation"))
        a = per(layer.padding, i)[0]
        return lambda o: [(o + a - t * d) // s for t in range(k) if (o + a - t * d) % s == 0]

    extents = space(x)
    far = separable([taps(i) for i in range(len(extents))], extents).far
    fed: list[dict[int, list[int]]] = []
    for i, n in enumerate(extents):
        k, s, d = (per(getattr(layer, name), i) for name in ("kernel", "stride", "dilation"))
        feeds: dict[int, list[int]] = {}
        for p, t in product(range(n), range(k)):
            feeds.setdefault(p * s - per(layer.padding, i)[0] + t * d, []).append(p)
        fed.append(feeds)
    return [Edge(lambda unit: product(*(f.get(o, ()) for f, o in zip(fed, unit, strict=True))), far)]


@rule("adaptive_pool")
def adaptive(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Unit u of m reads ⌊u·n/m⌋ up to, not with, ⌈(u + 1)·n/m⌉; one unit is the whole axis."""

    def taps(n: int, m: int) -> Taps:
        if m == 1:
            return whole(n)
        return lambda u: range(floor(Fraction(u * n, m)), -floor(-Fraction((u + 1) * n, m)))

    (x,) = xs
    return [separable([taps(n, m) for n, m in zip(space(x), space(y), strict=True)], space(x))]


@rule("mean")
def mean(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    rank = len(x.dims)
    gone = {i for i in range(rank) if i != x.channel} if layer.axes is None else {a % rank for a in layer.axes}
    if layer.keep:
        return [together(x, gone)]
    stay = [i for i in range(rank) if i not in gone]
    return [from_axes(x, y, {i: stay.index(i) if i in stay else None for i in range(rank)})]


@rule("linear", "rbf")
def dense(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    last = len(x.dims) - 1
    return [from_axes(x, y, {i: None if i == last else i for i in range(len(x.dims))})]


@rule("softmax")
def softmax(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    return [together(x, [x.channel if layer.axis is None else layer.axis % len(x.dims)])]


@rule("batchnorm")
def batchnorm(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    return [both(own(x), together(x, range(len(x.dims)))) if layer.training else own(x)]


@rule("groupnorm")
def groupnorm(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    return [both(own(xs[0]), together(xs[0], range(len(xs[0].dims))))]


@rule("instancenorm")
def instancenorm(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    return [own(x) if layer.track else both(own(x), together(x, range(len(x.dims))))]


@rule("layernorm")
def layernorm(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    rank = len(x.dims)
    named = {"channels": [x.channel], "all": list(range(rank))}
    axes = named[layer.over] if layer.over in named else list(range(rank - layer.over, rank))
    return [both(own(x), together(x, axes))]


@rule("rmsnorm")
def rmsnorm(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    return [both(own(xs[0]), together(xs[0], [len(xs[0].dims) - 1]))]


@rule("self_attention")
def attention(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    return [together(xs[0], range(len(xs[0].dims)))]


@rule("add", "multiply")
def broadcast(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    def taps(n: int, m: int) -> Taps:
        return (lambda u: [0]) if n < m else (lambda u: [u])

    return [separable([taps(n, m) for n, m in zip(space(x), space(y), strict=True)], space(x)) for x in xs]


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
    merge = merging(x, y)

    def far(unit: Unit) -> Iterable[Unit] | None:
        if inside(unit, space(y)):
            return found[unit]
        return None if merge is None else [merge(unit)]

    return [Edge(lambda unit: found[unit], far)]


def merging(x: Shape, y: Shape) -> Callable[[Unit], Unit] | None:
    """Where a unit beyond the map comes from if axes are merged only: the first of the merged ones goes on for ever.

    Axes of one position count as none. None if the channels take part or an axis is split.
    """
    wide = [[i for i, n in enumerate(s.dims) if n > 1 and i != s.channel] for s in (x, y)]
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


@rule("parameter")
def parameter(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    return []


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


@rule("pad")
def pad(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Position u is position u − a; a circular side wraps around what the other side's crop has left."""
    extents = space(xs[0])
    pairs = [per(layer.padding, i) for i in range(len(extents))]

    def taps(i: int) -> Taps:
        return lambda u: [u - pairs[i][0]]

    edge = separable([taps(i) for i in range(len(extents))], extents, layer.mode)
    if layer.mode != "circular" or not any(min(pair) < 0 < max(pair) for pair in pairs):
        return [edge]

    def wrapped(unit: Unit) -> list[Unit]:
        left = [range(n)[max(-a, 0) : n + min(b, 0)] for n, (a, b) in zip(extents, pairs, strict=True)]
        return [tuple(kept[(u - max(a, 0)) % len(kept)] for u, kept, (a, _) in zip(unit, left, pairs, strict=True))]

    return [bounded(wrapped, space(y))]


@rule("upsample")
def upsample(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """The neighbours of a position of the source, none where it falls on one exactly."""

    def taps(n: int, m: int) -> Taps:
        def read(u: int) -> Sequence[int]:
            if layer.align_corners:
                at = Fraction(u * (n - 1), m - 1) if m > 1 else Fraction(u)
            elif layer.mode == "nearest":
                return [u * n // m]
            elif layer.mode == "nearest-exact":
                return [floor((u + Fraction(1, 2)) * Fraction(n, m))]
            else:
                at = (u + Fraction(1, 2)) * Fraction(n, m) - Fraction(1, 2)
            left = floor(at)
            if at == left:
                return [left]
            return [left, left + 1] if layer.mode == "linear" else [left - 1, left, left + 1, left + 2]

        return read

    (x,) = xs
    edge = separable([taps(n, m) for n, m in zip(space(x), space(y), strict=True)], space(x), "replicate")
    if layer.align_corners and 1 in space(y):
        return [bounded(edge.near, space(y))]
    return [edge]


@rule("pixel_shuffle")
def pixel_shuffle(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    taps: list[Taps] = [lambda u: [u // layer.factor]] * len(space(y))
    return [separable(taps, space(xs[0]))]


@rule("pixel_unshuffle")
def pixel_unshuffle(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    r = layer.factor
    taps: list[Taps] = [lambda u: [u * r + t for t in range(r)]] * len(space(y))
    return [separable(taps, space(xs[0]))]


@rule("window_attention")
def window_attention(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Pad to whole windows, roll back, cut into windows, keep the regions of the mask apart: as torchvision's Swin does.

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


@rule("unknown")
def unknown(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Never asked: what depends on it is not known."""
    return [Edge(lambda unit: (), lambda unit: None) for _ in xs]
