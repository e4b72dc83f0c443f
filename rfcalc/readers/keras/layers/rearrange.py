"""Padding, cropping, resizing, reshaping, permuting, flattening."""

from __future__ import annotations

from rfcalc.core.size import prod
from rfcalc.layers.resample import Pad, Upsample
from rfcalc.layers.reshape import Flatten, Permute, Reshape
from rfcalc.readers.configuration import malformed, sizes
from rfcalc.readers.keras.build import Order, Value, channels_first
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import NotUnderstood, layer
from rfcalc.readers.keras.layers.common import image, short

INTERPOLATIONS = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}


def _rank(kind: str) -> int:
    return int(next(c for c in kind if c.isdecimal()))


@layer("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zeros(call: LayerCall) -> Value:
    rank = _rank(call.kind)
    sides = call.fields.pairs("padding", rank, 1)
    return call.build.add(Pad(_short(sides)), [image(call, rank)], call.name)


@layer("Cropping1D", "Cropping2D", "Cropping3D")
def crop(call: LayerCall) -> Value:
    rank = _rank(call.kind)
    sides = call.fields.pairs("cropping", rank, 0)
    return call.build.add(Pad(_short(tuple((-a, -b) for a, b in sides))), [image(call, rank)], call.name)


def _short(sides: tuple[tuple[int, int], ...]) -> object:
    return sides[0][0] if all(s == (sides[0][0],) * 2 for s in sides) else sides


@layer("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsample(call: LayerCall) -> Value:
    rank = _rank(call.kind)
    mode = call.fields.word("interpolation", "nearest")
    if mode not in INTERPOLATIONS:
        raise NotUnderstood(f"{mode[:20]} interpolation")
    factor = call.fields.sizes("size", rank, 2)
    return call.build.add(Upsample(short(factor), mode=INTERPOLATIONS[mode]), [image(call, rank)], call.name)


@layer("Resizing")
def resize(call: LayerCall) -> Value:
    f = call.fields
    mode = f.word("interpolation", "bilinear")
    if mode not in INTERPOLATIONS or any(
        f.flag(n, False) for n in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")
    ):
        raise NotUnderstood("it crops, pads or filters too")
    return call.build.add(
        Upsample(size=(f.integer("height"), f.integer("width")), mode=INTERPOLATIONS[mode]), [image(call, 2)], call.name
    )


@layer("CenterCrop")
def center(call: LayerCall) -> Value:
    x = image(call, 2)
    sides = []
    for n, m in zip(x.shape.dims[1:], (call.fields.integer("height"), call.fields.integer("width")), strict=True):
        if m > n:
            raise NotUnderstood("it resizes what is smaller than the crop")
        before = (n - m) // 2
        sides.append((-before, -(n - m - before)))
    return call.build.add(Pad(tuple(sides)), [x], call.name)


@layer("Flatten")
def flatten(call: LayerCall) -> Value:
    """One vector. What order it is in is kept in mind, for what takes it apart again."""
    x = call.x
    if len(x.order) == 1:
        return call.build.add(Flatten(), [x], call.name)
    in_order = tuple(range(len(x.order)))
    wide = [i for i, n in enumerate(x.shape.dims) if n != 1]
    moved = [x.order[i] for i in wide] != sorted(x.order[i] for i in wide)
    made = call.build.add(Flatten(), [x], call.name, (0,))
    call.build.flattened[made.node] = x
    if moved and x.order != in_order:
        call.build.notes["maps are written channels first here; the weights after a flatten are in Keras' order"] = None
        return made._replace(packed=(x.shape, x.order))
    return made._replace(packed=None)


@layer("Reshape")
def reshape(call: LayerCall) -> Value:
    told = call.fields.get("target_shape")
    if not isinstance(told, (list, tuple)):
        raise malformed(call.name, "its configuration has no target_shape")
    return reshaped(call, sizes(told, len(told), call.name), call.name)


def reshaped(call: LayerCall, target: tuple[int, ...], name: str) -> Value:
    """The first input in these extents (−1: what remains), of Keras' order."""
    x = call.x
    known = prod(n for n in target if n != -1)
    if target.count(-1) > 1 or not target or known < 1:
        raise malformed(name, f"{target} are not extents", "at most one -1")
    target = tuple(x.shape.values // known if n == -1 else n for n in target)
    channel = len(target) - 1 if call.build.last else 0
    if sum(1 for n in target if n != 1) <= 1 and x.packed is None and sum(1 for n in x.shape.dims if n != 1) <= 1:
        # a vector in any order: straight to channels first, which is what layers want next
        order: Order = channels_first(len(target), channel)
        return call.build.add(Reshape(tuple(target[k] for k in order)), [x], name, order)._replace(packed=None)
    made = call.build.add(Reshape(target, channel), [call.build.unfolded(x)], name, tuple(range(len(target))))
    return made._replace(packed=None)


@layer("Permute")
def permute(call: LayerCall) -> Value:
    dims = call.fields.get("dims")
    if not isinstance(dims, (list, tuple)):
        raise malformed(call.name, "its configuration has no dims")
    order = tuple(d - 1 for d in sizes(dims, len(dims), call.name))
    return transposed(call, order, call.name)


def transposed(call: LayerCall, order: tuple[int, ...], name: str) -> Value:
    """The first input with its axes in another order: axis i of the result is Keras' axis order[i]."""
    x = call.build.plain(call.x)
    if sorted(order) != list(range(len(x.order))):
        raise malformed(name, f"{order} is not an order of {len(x.order)} axes")
    return call.build.add(Permute(order), [x], name, x.order)


@layer("RepeatVector")
def repeat_vector(call: LayerCall) -> Value:
    """A vector n times: tokens that are all alike."""
    x = call.build.settled(call.x)
    if len(x.order) != 1:
        raise malformed(call.name, "RepeatVector needs a flat vector")
    count = call.fields.integer("n")
    column = call.build.add(Reshape((*x.shape.dims, 1)), [x], f"{call.name}.reshape", (1, 0))
    return call.build.add(Upsample(count), [column], call.name)
