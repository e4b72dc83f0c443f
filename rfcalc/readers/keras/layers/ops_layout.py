"""keras.ops that move positions or work along an axis."""

from __future__ import annotations

from typing import Any

from rfcalc.core.layer import Layer
from rfcalc.layers.along import Along
from rfcalc.layers.general import Elementwise
from rfcalc.layers.pointwise import Identity
from rfcalc.layers.pool import AvgPool, MaxPool
from rfcalc.readers.builder.heard import gives
from rfcalc.readers.builder.indexed import summed
from rfcalc.readers.builder.moves import picked, repeated_along, repeated_each, sliced, stretched, without
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.configuration import malformed, sizes
from rfcalc.readers.keras.build import KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer, operation
from rfcalc.readers.keras.layers.common import Fit, image, keras_axis, map_axis, padding, slid
from rfcalc.readers.keras.layers.rearrange import transposed


def _axes(call: LayerCall, x: KerasValue, name: str = "axis") -> list[int]:
    """The axes (without the batch) that an operation works along."""
    told = call.fields.get(name)
    if told is None:
        raise NotUnderstood("it works over the batch")
    return [keras_axis(x, a, call.name) for a in (told if isinstance(told, (list, tuple)) else [told])]


@operation("Flip", "Fliplr", "Flipud")
def flip(call: LayerCall) -> KerasValue:
    build, x = call.build, call.build.settled(call.x)
    if call.kind == "Flipud":
        raise NotUnderstood("it moves the batch")
    held = x.held
    for k in [0] if call.kind == "Fliplr" else _axes(call, x):
        held = picked(build.graph, held, x.axis(k), list(reversed(range(x.dims[k]))))
    return build.made(held, x.order, call.name)


@operation("Roll")
def roll(call: LayerCall) -> KerasValue:
    build, x = call.build, call.build.settled(call.x)
    axes, told = _axes(call, x), call.fields.get("shift")
    shifts = list(told) if isinstance(told, (list, tuple)) else [told] * len(axes)
    if len(shifts) != len(axes) or not all(isinstance(s, int) for s in shifts):
        raise NotUnderstood("its shifts are written in another way")
    held = x.held
    for k, s in zip(axes, shifts, strict=True):
        n = x.dims[k]
        held = picked(build.graph, held, x.axis(k), [(i - s) % n for i in range(n)])
    return build.made(held, x.order, call.name)


@operation("Repeat")
def repeat(call: LayerCall) -> KerasValue:
    build, x = call.build, call.build.plain(call.x)
    (k,) = _axes(call, x)
    held = repeated_each(build.graph, x.held, x.axis(k), call.fields.integer("repeats"))
    return build.made(held, x.order, call.name)


@operation("Tile")
def tile(call: LayerCall) -> KerasValue:
    build, x = call.build, call.build.plain(call.x)
    told = call.fields.get("repeats")
    times = sizes(told, len(told), call.name) if isinstance(told, (list, tuple)) else (call.fields.integer("repeats"),)
    if len(times) > x.rank + 1 or (len(times) == x.rank + 1 and times[0] != 1):
        raise NotUnderstood("it moves the batch")
    times = (*(1,) * (x.rank + 1 - len(times)), *times)
    dims = tuple(n * t for n, t in zip(x.held.dims, times, strict=True))
    return build.made(repeated_along(build.graph, x.held, times, dims), x.order, call.name)


@operation("BroadcastTo")
def broadcast_to(call: LayerCall) -> KerasValue:
    build, x = call.build, call.build.plain(call.x)
    told = call.fields.get("shape")
    if not isinstance(told, (list, tuple)) or len(told) != x.rank + 1 or told[0] not in (None, -1, 1):
        raise NotUnderstood("it moves the batch")
    dims = (x.held.dims[0], *sizes(told[1:], x.rank, call.name))
    return build.made(stretched(build.graph, x.held, dims), x.order, call.name)


@operation("Take")
def take(call: LayerCall) -> KerasValue:
    """Fixed positions of an axis."""
    build, x = call.build, call.build.settled(call.x)
    told = call.args[1] if len(call.args) > 1 else call.kwargs.get("indices")
    if isinstance(told, dict) and isinstance(told.get("config"), dict):
        told = told["config"].get("value")
    (k,) = _axes(call, x)
    n = x.dims[k]
    listed = told if isinstance(told, (list, tuple)) else [told]
    places = [i for i in listed if isinstance(i, int)]
    if build.sized and places:
        size = build.lengths(x)[k]
        if size <= max(*places, -1 - min(places)):
            raise malformed(call.name, f"there are no such positions among {n}").by_answer()
        gives(build.graph, [size + i + end for i in places if i < 0 for end in (0, 1)])
    if not all(isinstance(i, int) and -n <= i < n for i in listed):
        raise NotUnderstood("its positions are not fixed numbers")
    held = picked(build.graph, x.held, x.axis(k), [i % n for i in listed if isinstance(i, int)])
    if isinstance(told, int):
        x = build.plain(build.value(held, x.order))
        held = without(build.graph, x.held, {x.axis(k)}, tuple(n for i, n in enumerate(x.held.dims) if i != x.axis(k)))
        return build.made(held, tuple(range(x.rank - 1)), call.name)
    return build.made(held, x.order, call.name)


@operation("Swapaxes", "Moveaxis")
def exchanged(call: LayerCall) -> KerasValue:
    f, x = call.fields, call.x
    pair = ("axis1", "axis2") if call.kind == "Swapaxes" else ("source", "destination")
    told = [f.get(name) for name in pair]
    first, second = (list(t) if isinstance(t, (list, tuple)) else [t] for t in told)
    if not all(isinstance(a, int) for a in (*first, *second)) or len(first) != len(second):
        raise malformed(call.name, "its axes are no numbers")
    rank = x.rank + 1
    order = list(range(rank))
    if call.kind == "Swapaxes":
        a, b = first[0] % rank, second[0] % rank
        order[a], order[b] = order[b], order[a]
    else:
        order = [i for i in order if i not in {a % rank for a in first}]
        for to, source in sorted((b % rank, a % rank) for a, b in zip(first, second, strict=True)):
            order.insert(to, source)
    if order[0] != 0:
        raise NotUnderstood("it moves the batch")
    return transposed(call, tuple(a - 1 for a in order[1:]), call.name)


@operation("Cumsum", "Cumprod")
def cumulative(call: LayerCall) -> KerasValue:
    x = call.build.settled(call.x)
    (k,) = _axes(call, x)
    return call.build.add(Along(call.kind.lower(), map_axis(x, k)), [x], call.name)


@operation("Sort", "Argsort", "FFT", "Nancumsum")
def along(call: LayerCall) -> KerasValue:
    """Each value is made of all positions of an axis."""
    if len(call.inputs) > 1 or call.kind in ("FFT", "Nancumsum"):
        raise NotUnderstood("of complex or missing numbers")
    x = call.build.settled(call.x)
    (k,) = _axes(call, x)
    return call.build.add(Along(call.kind.lower(), map_axis(x, k)), [x], call.name)


@operation("Diff")
def difference(call: LayerCall) -> KerasValue:
    build, x = call.build, call.build.settled(call.x)
    (k,) = _axes(call, x)
    held = x.held
    for _ in range(call.fields.integer("n", 1)):
        held = summed(build.graph, held, x.axis(k), [[0, 1]], 1, held.dims[x.axis(k)] - 1)
    return build.made(held, x.order, call.name)


@operation("Unstack")
def unstack(call: LayerCall) -> Any:
    """Each position of an axis by itself."""
    build, x = call.build, call.build.plain(call.x)
    (k,) = _axes(call, x)
    at = x.axis(k)
    dims = tuple(n for i, n in enumerate(x.held.dims) if i != at)
    found = []
    for i in range(x.dims[k]):
        held = without(build.graph, sliced(build.graph, x.held, at, i, i + 1), {at}, dims)
        found.append(build.made(held, tuple(range(x.rank - 1)), f"{call.name}.{i}"))
    return found


@operation("MaxPool", "AveragePool")
def pool(call: LayerCall) -> KerasValue:
    f, rank = call.fields, call.x.rank - 1
    kernel = f.sizes("pool_size", rank)
    stride = f.sizes("strides", rank, kernel) if f.get("strides") is not None else kernel
    pad = padding(call, kernel, stride, (1,) * rank)

    def make(fit: Fit) -> Layer:
        pads = pad if pad == "SAME" else fit(pad, 0)
        if call.kind == "MaxPool":
            return MaxPool(fit(kernel), fit(stride), padding=pads)
        return AvgPool(fit(kernel), fit(stride), padding=pads, count_padding=pad == 0)

    return slid(call, image(call, rank), make)


@layer("Masking")
def masking(call: LayerCall) -> KerasValue:
    """Positions at which all values are one number are set to zero; what comes after may leave them out."""
    if not isinstance(call.fields.get("mask_value", 0.0), (int, float)):
        raise malformed(call.name, "its mask_value is no number")
    x = call.x
    if x.channel == x.rank - 1:
        return call.build.add(Elementwise("masked_fill"), [x], call.name)
    return call.build.add(Identity(), [x], call.name)
