"""What a unit of each layer kind reads, written out from the definition of the kind, position by position.

Nothing here comes from rfcalc but layer parameters and shapes. A unit is a position over all channels: a tuple of its
coordinates on the axes that are not the channels. Every rule gives one `Edge` for each input:

- ``near(unit)``: the real units of the input that are read; padding is resolved (zeros are dropped).
- ``far(unit)``: what is read with padding counted, for any unit of the endless grid; None where no meaning is defined
  (a rolled map has nothing beyond its border).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from math import floor
from typing import Any

import oracle_layout  # noqa: F401 (registers its rules)
from oracle_edges import (
    RULES,
    Edge,
    Taps,
    Unit,
    both,
    bounded,
    from_axes,
    inside,
    own,
    per,
    place,
    rule,
    separable,
    space,
    together,
    units,
    whole,
)

from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape

__all__ = ["RULES", "Edge", "Unit", "edges", "per", "place", "space", "units"]


def edges(layer: Layer, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """One edge for each input of the layer."""
    return RULES[layer.kind](layer, xs, y)


@rule("activation", "prelu", "glu", "dropout", "stochastic_depth", "scale", "identity", "lrn", "position_table")
@rule("channel_shuffle")
def pointwise(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    return [own(x) for x in xs]


BEYOND = 60  # how far windows are listed beyond a map


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


@rule("max_unpool")
def unpooled(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Position o reads the values of the windows that hold it, and all that lies in these windows."""
    values, pooled = xs

    def windows(i: int, n: int, real: bool) -> Callable[[int], list[list[int]]]:
        k, s, d = (per(getattr(layer, name), i) for name in ("kernel", "stride", "dilation"))
        a = around(layer, n, i)
        units = range(space(values)[i]) if real else range(-BEYOND, n + BEYOND)
        held = {u: [u * s - a + d * t for t in range(k)] for u in units}
        return lambda o: [[u, *found] for u, found in held.items() if o in found]

    def held(real: bool) -> Edge:
        each = [windows(i, n, real) for i, n in enumerate(space(pooled))]
        return separable([lambda o, w=w: sorted({p for f in w(o) for p in f[1:]}) for w in each], space(pooled))

    each = [windows(i, n, False) for i, n in enumerate(space(pooled))]
    first = separable([lambda o, w=w: [found[0] for found in w(o)] for w in each], space(values))
    there, endless = held(True), held(False)
    complete = all(set(there.near(unit)) == set(endless.near(unit)) for unit in units(pooled))
    second = endless if complete else bounded(there.near, space(pooled))
    return [first, second]


@rule("adaptive_pool")
def adaptive(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Unit u of m reads ⌊u·n/m⌋ up to, not with, ⌈(u + 1)·n/m⌉; one unit is the whole axis."""

    def taps(n: int, m: int) -> Taps:
        if m == 1:
            return whole(n)
        return lambda u: range(floor(Fraction(u * n, m)), -floor(-Fraction((u + 1) * n, m)))

    (x,) = xs
    return [separable([taps(n, m) for n, m in zip(space(x), space(y), strict=True)], space(x))]


@rule("mean", "reduce")
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
    edge = from_axes(x, y, {i: None if i == last else i for i in range(len(x.dims))})
    return [bounded(edge.near, space(y)) if x.dims[last] == 1 else edge]


@rule("recurrent")
def recurrent(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """A state comes from all features of its own position and of all before it; from the other end too, both ways."""
    (x,) = xs
    last, along = len(x.dims) - 1, len(x.dims) - 2
    if layer.bidirectional or along == x.channel or x.dims[along] == 1:
        single = along != x.channel and x.dims[along] == 1
        edge = from_axes(x, y, {i: None if i == last or (i == along and not single) else i for i in range(last + 1)})
        return [bounded(edge.near, space(y)) if x.dims[last] == 1 else edge]
    own_position = from_axes(x, y, {i: None if i == last else i for i in range(last + 1)}).near
    at = place(y, along)
    return [
        bounded(lambda u: [r for t in range(u[at] + 1) for r in own_position((*u[:at], t, *u[at + 1 :]))], space(y))
    ]


@rule("softmax")
def softmax(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    return [together(x, [x.channel if layer.axis is None else layer.axis % len(x.dims)])]


@rule("along")
def along(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Of a running sum, everything up to the position; of an order, the whole axis."""
    (x,) = xs
    axis = layer.axis % len(x.dims)
    if axis == x.channel or x.dims[axis] == 1:
        return [own(x)]
    if not layer.function.startswith(("cum", "logcum")):
        return [from_axes(x, y, {i: None if i == axis else i for i in range(len(x.dims))})]
    at = place(y, axis)
    return [bounded(lambda u: [(*u[:at], t, *u[at + 1 :]) for t in range(u[at] + 1)], space(y))]


@rule("batchnorm")
def batchnorm(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    (x,) = xs
    return [both(own(x), together(x, range(len(x.dims)))) if layer.training or not layer.track else own(x)]


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


@rule("add", "multiply", "elementwise")
def broadcast(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    def taps(n: int, m: int) -> Taps:
        return (lambda u: [0]) if n < m else (lambda u: [u])

    return [separable([taps(n, m) for n, m in zip(space(x), space(y), strict=True)], space(x)) for x in xs]


@rule("parameter", "constant")
def source(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    return [from_axes(x, y, dict.fromkeys(range(len(x.dims)))) for x in xs]


@rule("attention_product")
def attention_product(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """A query reads its own features (and row of the bias), all keys, and of all values the feature that it gives."""
    last = len(y.dims) - 1

    def edge(x: Shape, rows: bool, columns: bool) -> Edge:
        kept = [i for i in range(last + 1) if i < last - 1 or (i == last and columns) or (i == last - 1 and rows)]
        own = [i for i in kept if x.dims[i] == y.dims[i]]
        return from_axes(x, y, {i: i if i in own else None for i in range(last + 1)})

    return [edge(x, at in (0, 3), at == 2) for at, x in enumerate(xs)]


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
        return [Edge(edge.near, lambda unit: edge.far(unit) if inside(unit, space(y)) else None)]
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


@rule("unknown")
def unknown(layer: Any, xs: tuple[Shape, ...], y: Shape) -> list[Edge]:
    """Never asked: what depends on it is not known."""
    return [Edge(lambda unit: (), lambda unit: None) for _ in xs]
