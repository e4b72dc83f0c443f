"""Which channels a unit of a layer reads, for the kinds that do not read all of them, from their definitions.

`apart` says for each input what an element (a channel and a unit) reads, or None where every channel reads all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from oracle_edges import RULES, Unit, gathered, space
from oracle_layout import listed_by

from rfcalc.core.shape import Shape

Element = tuple[int, Unit]  # a channel, and the unit
Reader = Callable[[Element, bool], "Iterable[Element] | None"]  # whether beyond the map counts

OWN = (
    *("activation", "prelu", "dropout", "stochastic_depth", "scale", "identity", "position_table", "instancenorm"),
    *(
        "maxpool",
        "max_unpool",
        "avgpool",
        "lppool",
        "adaptive_pool",
        "pad",
        "upsample",
        "roll",
        "class_token",
        "permute",
    ),
    *("batchnorm", "window_partition"),
)
CHOOSING = (
    "slice",
    "split",
    "gather",
    "index_sum",
    "lrn",
    "glu",
    "groupnorm",
    "pixel_shuffle",
    "conv",
    "conv_transpose",
)


def own_channels(layer: Any, edge: int, xs: tuple[Shape, ...], y: Shape) -> Callable[[int], Iterable[int]] | None:
    """The channels that a channel of the result reads of an input; None for all."""
    kind, x = layer.kind, xs[edge]
    if kind in OWN:
        return lambda c: (c,)
    if kind in ("add", "multiply", "elementwise"):
        return (lambda c: (0,)) if x.channels == 1 else (lambda c: (c,))
    if kind in ("mean", "reduce"):
        gone = layer.axes is not None and x.channel in {a % len(x.dims) for a in layer.axes}
        return None if gone else (lambda c: (c,))
    if kind == "softmax":
        return None if layer.axis is None or layer.axis % len(x.dims) == x.channel else (lambda c: (c,))
    if kind == "layernorm":  # statistics over other axes leave the channels apart
        over = {"channels": (x.channel,), "all": range(len(x.dims))}
        axes = over[layer.over] if layer.over in over else range(len(x.dims) - layer.over, len(x.dims))
        return None if x.channel in axes else (lambda c: (c,))
    if kind == "along":
        if layer.axis % len(x.dims) != x.channel:
            return lambda c: (c,)
        return (lambda c: range(c + 1)) if layer.function.startswith(("cum", "logcum")) else None
    if kind == "concat":
        axis = y.channel if layer.axis is None else layer.axis % len(y.dims)
        if axis != y.channel:
            return lambda c: (c,)
        start = sum(before.channels for before in xs[:edge])
        return lambda c: (c - start,) if start <= c < start + x.channels else ()
    if kind == "channel_shuffle":
        each = x.channels // layer.groups
        order = [g * each + i for i in range(each) for g in range(layer.groups)]
        return lambda c: (order[c],)
    if kind in ("linear", "rbf"):  # features lie on the last axis: channels on another one stay apart
        return None if x.channel == len(x.dims) - 1 else (lambda c: (c,))
    if kind == "glu":
        return lambda c: (c, c + y.channels)
    if kind == "lrn":
        return lambda c: [
            k for k in range(c - layer.size // 2, c - layer.size // 2 + layer.size) if 0 <= k < x.channels
        ]
    if kind == "depthwise":
        return lambda c: (c // (y.channels // x.channels),)
    if kind == "groupnorm" or (kind in ("conv", "conv_transpose") and layer.groups != 1):
        into, out = x.channels // layer.groups, y.channels // layer.groups
        return lambda c: range(c // out * into, c // out * into + into)
    if kind == "conv" and layer.table is not None and all(layer.table):
        return lambda c: layer.table[c]
    if kind == "index_sum":
        if layer.axis % len(x.dims) != x.channel:
            return lambda c: (c,)
        return lambda c: [t for t in listed_by(layer, c) if 0 <= t < x.channels]
    if kind in ("slice", "split", "gather"):
        axis = x.channel if layer.axis is None else layer.axis % len(x.dims)
        if axis != x.channel:
            return lambda c: (c,)
        if kind == "gather":
            return lambda c: (gathered(layer, x)[c],)
        if kind == "slice":
            kept = range(x.channels)[slice(layer.start, layer.stop, layer.step)]
        else:
            sizes = layer.parts if isinstance(layer.parts, tuple) else (x.channels // layer.parts,) * layer.parts
            first = sum(sizes[: layer.part])
            kept = range(first, first + sizes[layer.part])
        return lambda c: (kept[c],)
    return None


def apart(layer: Any, edge: int, xs: tuple[Shape, ...], y: Shape) -> Reader | None:
    """What elements read of an input; None where every channel reads all channels."""
    x = xs[edge]
    if layer.kind in ("flatten", "reshape"):
        return _same_order(x, y)
    if layer.kind in ("mean", "reduce") and turned(layer, x):
        return _reduced(layer, x, y)
    if layer.kind in ("matmul", "attention_product"):
        return _product(layer, edge, xs, y)
    if layer.kind in ("pixel_shuffle", "pixel_unshuffle"):
        return _packed(layer, x, y)
    channels = own_channels(layer, edge, xs, y)
    if channels is None:
        return None
    units = RULES[layer.kind](layer, xs, y)[edge]

    def read(element: Element, beyond: bool) -> Iterable[Element] | None:
        c, unit = element
        found = units.far(unit) if beyond else units.near(unit)
        return None if found is None else list(product(channels(c), found))

    return read


def _same_order(x: Shape, y: Shape) -> Reader:
    """The same elements in the same order; nothing beyond the map."""
    pairs = zip(product(*map(range, y.dims)), product(*map(range, x.dims)), strict=True)
    found = {_element(a, y.channel): [_element(b, x.channel)] for a, b in pairs}
    return lambda element, beyond: found.get(element)


def _element(index: Unit, channel: int) -> Element:
    return index[channel], (*index[:channel], *index[channel + 1 :])


def _packed(layer: Any, x: Shape, y: Shape) -> Reader:
    """A channel for each place in a patch of r positions an axis, the last axis fastest."""
    r, rank = layer.factor, len(space(x))

    def read(element: Element, beyond: bool) -> Iterable[Element]:
        c, unit = element
        if layer.kind == "pixel_shuffle":
            for u in unit:
                c = c * r + u % r
            return [(c, tuple(u // r for u in unit))]
        places = []
        for _ in range(rank):
            c, place = divmod(c, r)
            places.append(place)
        return [(c, tuple(u * r + p for u, p in zip(unit, reversed(places), strict=True)))]

    return read


def turned(layer: Any, x: Shape) -> bool:
    """Whether the channels are reduced away, so that an axis of positions takes their place."""
    return not layer.keep and layer.axes is not None and x.channel in {a % len(x.dims) for a in layer.axes}


def _reduced(layer: Any, x: Shape, y: Shape) -> Reader:
    gone = {a % len(x.dims) for a in layer.axes}
    stay = [i for i in range(len(x.dims)) if i not in gone]

    def read(element: Element, beyond: bool) -> Iterable[Element] | None:
        index = iter((*element[1][: y.channel], element[0], *element[1][y.channel :]))
        axes = [[next(index)] if i in stay else list(range(x.dims[i])) for i in range(len(x.dims))]
        return [_element(a, x.channel) for a in product(*axes)]

    return read


def _product(layer: Any, edge: int, xs: tuple[Shape, ...], y: Shape) -> Reader:
    """y[…, r, c] is the sum over k of a[…, r, k] · b[…, k, c]; of attention: queries, keys, values, bias."""
    x = xs[edge]

    def read(element: Element, beyond: bool) -> Iterable[Element] | None:
        *lead, r, c = (*element[1][: y.channel], element[0], *element[1][y.channel :])
        if layer.kind == "matmul":
            rows = [r] if edge == 0 else [c] if layer.transpose else range(x.dims[-2])
            columns = range(x.dims[-1]) if edge == 0 or layer.transpose else [c]
        else:
            rows = [r] if edge in (0, 3) and x.dims[-2] == y.dims[-2] else range(x.dims[-2])
            columns = [c] if edge == 2 else range(x.dims[-1])
        first = [[i] if n == m else list(range(n)) for i, n, m in zip(lead, x.dims, y.dims, strict=False)]
        return [_element(a, x.channel) for a in product(*first, rows, columns)]

    return read
