"""Padding, cropping, resizing, reshaping, permuting, flattening."""

from __future__ import annotations

import math

from rfcalc.core.layer import Layer
from rfcalc.core.size import prod
from rfcalc.layers.resample import Pad, Upsample
from rfcalc.layers.reshape import Flatten, Reshape
from rfcalc.readers.builder.heard import gives, lengths_of
from rfcalc.readers.builder.moves import moved, regrouped
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.configuration import malformed, sizes
from rfcalc.readers.keras.build import KerasValue, Order, channels_first
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import Fit, image, slid

INTERPOLATIONS = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}


def _rank(kind: str) -> int:
    return int(next(c for c in kind if c.isdecimal()))


@layer("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zeros(call: LayerCall) -> KerasValue:
    return _padded(call, call.fields.pairs("padding", _rank(call.kind), 1))


@layer("Cropping1D", "Cropping2D", "Cropping3D")
def crop(call: LayerCall) -> KerasValue:
    return _padded(call, tuple((-a, -b) for a, b in call.fields.pairs("cropping", _rank(call.kind), 0)))


def _padded(call: LayerCall, sides: tuple[tuple[int, int], ...]) -> KerasValue:
    alike = all(s == (sides[0][0],) * 2 for s in sides)
    return slid(call, image(call, len(sides)), lambda fit: Pad(fit(sides[0][0] if alike else sides, 0)))


@layer("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsample(call: LayerCall) -> KerasValue:
    rank = _rank(call.kind)
    mode = call.fields.word("interpolation", "nearest")
    if mode not in INTERPOLATIONS:
        raise NotUnderstood(f"{mode[:20]} interpolation")
    factor = call.fields.sizes("size", rank, 2)
    return slid(call, image(call, rank), lambda fit: Upsample(fit(factor), mode=INTERPOLATIONS[mode]))


@layer("Resizing")
def resize(call: LayerCall) -> KerasValue:
    f = call.fields
    mode = f.word("interpolation", "bilinear")
    if mode not in INTERPOLATIONS or any(
        f.flag(n, False) for n in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")
    ):
        raise NotUnderstood("it crops, pads or filters too")
    x = image(call, 2)
    size = (f.integer("height"), f.integer("width"))

    def make(fit: Fit) -> Layer:
        return Upsample(size=(*x.held.dims[:1], *size) if x.held.batch is None else size, mode=INTERPOLATIONS[mode])

    return slid(call, x, make)


@layer("CenterCrop")
def center(call: LayerCall) -> KerasValue:
    x = image(call, 2)
    sides = []
    height, width = call.fields.integer("height"), call.fields.integer("width")
    rows, columns = lengths_of(call.build.graph, x.held)[2:]
    if height > rows or width > columns:
        if call.build.sized:
            dims = [height if k == 0 else width if k == 1 else n for k, n in enumerate(call.x.dims)]
            dims = dims if call.build.last else [call.x.dims[0], height, width]
            return call.build.not_understood(call.kind, [call.x], dims, call.name, "it resizes")
        raise NotUnderstood("it resizes what is smaller than the crop")
    for n, m in ((rows, height), (columns, width)):
        before = (n - m) // 2
        sides.append(gives(call.build.graph, (-before, -(n - m - before))))
    return slid(call, x, lambda fit: Pad(fit(tuple(sides))))


@layer("Flatten")
def flatten(call: LayerCall) -> KerasValue:
    """One vector. What order it is in is kept in mind, for what takes it apart again."""
    x = call.x
    if x.rank == 1:
        return call.build.add(Flatten(), [x], call.name)
    wide = [k for i, k in enumerate(x.order) if x.held.dims[1 + i] != 1]
    made = flat(call, x, call.name)
    if wide == sorted(wide):
        return made._replace(packed=None)
    call.build.notes["maps are written channels first here; the weights after a flatten are in Keras' order"] = None
    return made._replace(packed=(x.held.dims[1:], x.order))


def flat(call: LayerCall, x: KerasValue, name: str) -> KerasValue:
    """One vector, in the order of the map."""
    if x.held.batch is not None and not x.held.extra:
        return call.build.add(Flatten(), [x], name, (0,))
    held = regrouped(call.build.graph, x.held, (x.held.dims[0], prod(x.held.dims[1:])), x.held.batch)
    return call.build.made(held, (0,), name)


@layer("Reshape")
def reshape(call: LayerCall) -> KerasValue:
    told = call.fields.get("target_shape")
    if not isinstance(told, (list, tuple)):
        raise malformed(call.name, "its configuration has no target_shape")
    return reshaped(call, sizes(told, len(told), call.name), call.name)


def reshaped(call: LayerCall, target: tuple[int, ...], name: str) -> KerasValue:
    """The first input in these extents (−1: what remains), of Keras' order."""
    x, build = call.x, call.build
    known = prod(n for n in target if n != -1)
    if target.count(-1) > 1 or not target or known < 1:
        raise malformed(name, f"{target} are not extents", "at most one -1")
    whole = prod(x.dims)
    if -1 in target and build.watched is not None:
        every = math.prod(build.lengths(x))
        if every % known == 0:
            gives(build.graph, [every // known])
    target = tuple(whole // known if n == -1 else n for n in target)
    if prod(target) != whole:
        told = "x".join(map(str, x.dims))
        why = f"{told} holds {whole} values, and {'x'.join(map(str, target))} {prod(target)}"
        raise malformed(name, why).by_answer() if known != prod(target) else malformed(name, why)
    order: Order = tuple(range(len(target)))
    if sum(1 for n in target if n != 1) <= 1 and x.packed is None and sum(1 for n in x.dims if n != 1) <= 1:
        # a vector in any order: straight to channels first, which is what layers want next
        order = channels_first(len(target), len(target) - 1 if build.last else 0)
        if x.held.batch is not None and not x.held.extra:
            return build.add(Reshape(tuple(target[k] for k in order)), [x], name, order)
    else:
        x = build.plain(x)
    before = len(build.graph.shapes)
    try:
        held = regrouped(build.graph, x.held, (x.held.dims[0], *(target[k] for k in order)), x.held.batch)
    except NotUnderstood as why:
        build.back_to(before)
        return build.not_understood(call.kind, [x], target, name, str(why))
    return build.made(held, order, name)


@layer("Permute")
def permute(call: LayerCall) -> KerasValue:
    dims = call.fields.get("dims")
    if not isinstance(dims, (list, tuple)):
        raise malformed(call.name, "its configuration has no dims")
    order = tuple(d - 1 for d in sizes(dims, len(dims), call.name))
    return transposed(call, order, call.name)


def transposed(call: LayerCall, order: tuple[int, ...], name: str) -> KerasValue:
    """The first input with its axes in another order: axis i of the result is Keras' axis order[i]."""
    x = call.build.settled(call.x)
    if sorted(order) != list(range(x.rank)):
        raise malformed(name, f"{order} is not an order of {x.rank} axes")
    held = moved(call.build.graph, x.held, (0, *(x.axis(k) for k in order)))
    return call.build.made(held, tuple(range(x.rank)), name)


@layer("RepeatVector")
def repeat_vector(call: LayerCall) -> KerasValue:
    """A vector n times: tokens that are all alike."""
    x = call.build.settled(call.x)
    if x.rank != 1:
        raise malformed(call.name, "RepeatVector needs a flat vector")
    if x.held.batch is None or x.held.extra:
        raise NotUnderstood("of frames side by side")
    count = call.fields.integer("n")
    column = call.build.add(Reshape((*x.shape.dims, 1)), [x], f"{call.name}.reshape", (1, 0))
    return call.build.add(Upsample(count), [column], call.name)
