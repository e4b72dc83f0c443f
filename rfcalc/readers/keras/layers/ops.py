"""keras.ops: operations that stand in a model's graph beside its layers."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Any

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.pointwise import Identity
from rfcalc.layers.slice import Split
from rfcalc.readers.builder.heard import FAR, clipped, gives
from rfcalc.readers.builder.joining import padded
from rfcalc.readers.builder.moves import inserted_axis, picked, sliced, without
from rfcalc.readers.builder.products import product
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.builder.vocabulary import KERAS, KERAS_ACTIVATIONS, KERAS_FUNCTIONS, KERAS_SEVERAL
from rfcalc.readers.configuration import malformed, sizes
from rfcalc.readers.keras.build import KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import guess, operation
from rfcalc.readers.keras.layers.common import keras_axis, map_axis, of_function, softmax
from rfcalc.readers.keras.layers.merge import joined, merged
from rfcalc.readers.keras.layers.rearrange import reshaped, transposed

# Of two maps a layer; of a map and a number the name of a fixed function.
BINARY: dict[str, tuple[Layer, str]] = {
    "Add": (Add(), "plus"),
    "Subtract": (Elementwise("sub"), "plus"),
    "Multiply": (Multiply(), "times"),
    "Divide": (Elementwise("div"), "times"),
    "TrueDivide": (Elementwise("div"), "times"),
    "Maximum": (Elementwise("maximum"), "clamp"),
    "Minimum": (Elementwise("minimum"), "clamp"),
    "Power": (Elementwise("pow"), "pow"),
}
ACTIVATIONS = {name.title().replace("_", ""): name for name in (*KERAS_ACTIVATIONS, *KERAS_FUNCTIONS) if name != "gelu"}
REDUCTIONS = {
    "Sum": "sum", "Max": "amax", "Min": "amin", "Amax": "amax", "Amin": "amin", "Prod": "prod", "Var": "var",
    "Std": "std", "Any": "any", "All": "all", "Argmax": "argmax", "Argmin": "argmin", "Logsumexp": "logsumexp",
    "Norm": "norm", "CountNonzero": "sum",
}  # fmt: skip


@operation(*BINARY)
def binary(call: LayerCall) -> KerasValue:
    """Two maps, or a map and a number."""
    joins, single = BINARY[call.kind]
    values = call.inputs
    if len(values) == 2:
        return merged(call, joins, broadcast(call, values))
    if any(isinstance(a, (list, dict)) for a in call.args):
        raise NotUnderstood("one side is an array")
    return call.build.add(_of_number(call, single), [call.x], call.name)


def _of_number(call: LayerCall, name: str) -> Elementwise:
    """A map and a number: which function of the map that is; without the number where it is not written down."""
    if len(call.args) != 2:
        return Elementwise(name)
    first = isinstance(call.args[0], KerasValue)
    others = [a for a in call.args if not isinstance(a, KerasValue)]
    known = len(others) == 1 and isinstance(others[0], (int, float)) and not isinstance(others[0], bool)
    number = float(others[0]) if known and isfinite(others[0]) else None
    if call.kind == "Subtract" and first and number is not None:
        number = -number
    elif call.kind == "Subtract" and not first:
        name = "rsub"
    elif call.kind in ("Divide", "TrueDivide") and first:
        number = 1 / number if number else None
    elif call.kind in ("Divide", "TrueDivide"):
        name = "rdiv"
    elif call.kind in ("Maximum", "Minimum"):
        name = call.kind.lower()
    elif call.kind == "Power" and not first:
        number = None
    return Elementwise(name, () if number is None else number)


def broadcast(call: LayerCall, values: list[KerasValue]) -> list[KerasValue]:
    """Maps of unequal rank, as arrays are broadcast: the batch of one would meet an axis of the other."""
    if len({v.rank for v in values}) > 1:
        raise NotUnderstood("its maps have different numbers of axes")
    return values


@operation(*KERAS, "Clip")
def unary(call: LayerCall) -> KerasValue:
    return call.build.add(Elementwise(KERAS.get(call.kind, "clamp")), [call.x], call.name)


@operation(*KERAS_SEVERAL)
def several(call: LayerCall) -> KerasValue:
    """A function of maps and numbers at one place."""
    if any(isinstance(a, dict) for a in call.args):
        raise NotUnderstood("one side is an array")
    name = KERAS_SEVERAL[call.kind]
    values = call.inputs
    if len(values) == 1:
        return call.build.add(Elementwise(name), values, call.name)
    return merged(call, Elementwise(name), broadcast(call, values))


@operation("StopGradient", "Copy", "ConvertToTensor", "Conjugate", "Conj")
def same(call: LayerCall) -> KerasValue:
    return call.build.add(Identity(), [call.x], call.name)


@operation(*ACTIVATIONS)
def activation(call: LayerCall) -> KerasValue:
    return call.build.add(of_function(ACTIVATIONS[call.kind], call.x), [call.x], call.name)


@operation("Gelu")
def gelu(call: LayerCall) -> KerasValue:
    from rfcalc.layers.pointwise import Activation

    name = "gelu_tanh" if call.fields.flag("approximate", True) else "gelu"
    return call.build.add(Activation(name), [call.x], call.name)


@operation("Softmax", "LogSoftmax")
def soft(call: LayerCall) -> KerasValue:
    axis = call.fields.get("axis", -1)
    return call.build.add(softmax(call.x, axis, call.kind == "LogSoftmax"), [call.x], call.name)


@operation("Mean", *REDUCTIONS)
def reduction(call: LayerCall) -> KerasValue:
    """Over some of the axes, which are removed unless `keepdims`."""
    f, build = call.fields, call.build
    x = build.settled(call.x)
    x = build.value(build.graph.settled(x.held), x.order)
    told = f.get("axis")
    if told is None:
        raise NotUnderstood("it works over the batch")
    listed = told if isinstance(told, (list, tuple)) else [told]
    gone = {keras_axis(x, a, call.name) for a in listed}
    keep = f.flag("keepdims", False)
    left = [k for k in x.order if keep or k not in gone]
    sizes = [1 if k in gone else x.dims[k] for k in left]
    op = "mean" if call.kind == "Mean" else REDUCTIONS[call.kind]
    held = reduced(build.graph, x.held, [x.axis(k) for k in gone], op, keep, (x.held.dims[0], *(sizes or [1])))
    order = tuple(sorted(left).index(k) for k in left) or (0,)
    return build.made(held, order, call.name)


@operation("Reshape")
def reshape(call: LayerCall) -> KerasValue:
    """The batch stays in front: its extent is left out."""
    told = call.fields.get("newshape")
    known = call.known[0]
    if known is not None and call.build.compare and None not in known:
        target: tuple[int, ...] = tuple(guess(call, known, k) for k in range(len(known)))
    elif isinstance(told, (list, tuple)) and told and told[0] in (-1, None):
        target = sizes(told[1:], len(told) - 1, call.name)
    else:
        raise NotUnderstood("it moves the batch")
    return reshaped(call, target, call.name)


@operation("Transpose")
def transpose(call: LayerCall) -> KerasValue:
    axes = call.fields.get("axes")
    if not isinstance(axes, (list, tuple)) or not axes or axes[0] != 0:
        raise NotUnderstood("it moves the batch")
    return transposed(call, tuple(a - 1 for a in sizes(axes[1:], len(axes) - 1, call.name)), call.name)


@operation("Concatenate")
def concatenate(call: LayerCall) -> KerasValue:
    return joined(call, call.inputs, call.fields.get("axis", 0))


@operation("Stack")
def stack(call: LayerCall) -> KerasValue:
    """Each map gets an axis of size 1, along which they are joined."""
    values = [call.build.plain(v) for v in call.inputs]
    at = new_axis(call, values[0].rank)
    parts = [with_axis(call, v, at) for v in values]
    named = [call.build.made(p.held, p.order, f"{call.name}.{i}") for i, p in enumerate(parts)]
    return joined(call, named, at + 1)


@operation("ExpandDims")
def expand(call: LayerCall) -> KerasValue:
    x = call.build.plain(call.x)
    wide = with_axis(call, x, new_axis(call, x.rank))
    return call.build.made(wide.held, wide.order, call.name)


def new_axis(call: LayerCall, rank: int) -> int:
    """Where a new axis comes, without the batch."""
    axis = call.fields.get("axis", -1)
    if isinstance(axis, bool) or not isinstance(axis, int) or not -rank - 1 <= axis <= rank + 1 or axis == 0:
        raise NotUnderstood("it moves the batch")
    return axis - 1 if axis > 0 else rank + 1 + axis


def with_axis(call: LayerCall, x: KerasValue, at: int) -> KerasValue:
    """A map in Keras' order with an axis of size 1 put in."""
    dims = (*x.held.dims[: at + 1], 1, *x.held.dims[at + 1 :])
    held = inserted_axis(call.build.graph, x.held, dims, x.held.batch, at + 1)
    return call.build.value(held, tuple(range(x.rank + 1)))


@operation("Squeeze")
def squeeze(call: LayerCall) -> KerasValue:
    x = call.build.plain(call.x)
    told = call.fields.get("axis")
    gone = {k for k, n in enumerate(x.dims) if n == 1}
    if told is not None:
        listed = told if isinstance(told, (list, tuple)) else [told]
        chosen = {keras_axis(x, a, call.name) for a in listed}
        if not chosen <= gone:
            raise malformed(call.name, f"the axes {sorted(chosen)} of {x.dims} are not all of size 1")
        gone = chosen
    found = left_out(call, x, gone)
    return call.build.made(found.held, found.order, call.name)


def left_out(call: LayerCall, x: KerasValue, gone: set[int]) -> KerasValue:
    """A map in Keras' order without these axes of size 1; one axis stays of a single value."""
    if len(gone) == x.rank:
        gone = gone - {x.rank - 1}
    dims = (x.held.dims[0], *(n for k, n in enumerate(x.dims) if k not in gone))
    held = without(call.build.graph, x.held, {k + 1 for k in gone}, dims)
    return call.build.value(held, tuple(range(len(dims) - 1)))


@operation("Matmul")
def matmul(call: LayerCall) -> KerasValue:
    values = call.inputs
    if len(values) != 2 or len({v.rank for v in values}) > 1 or values[0].rank < 2:
        raise NotUnderstood("one side is no map")
    a, b = (call.build.plain(v) for v in values)
    lead = [max(pair) for pair in zip(a.held.dims[:-2], b.held.dims[:-2], strict=True)]
    dims = (*lead, a.held.dims[-2], b.held.dims[-1])
    return call.build.made(product(call.build.graph, a.held, b.held, dims), a.order, call.name)


@operation("Pad")
def pad(call: LayerCall) -> KerasValue:
    """Axes beside the batch; before and after the channels only zeros."""
    x, build = call.build.settled(call.x), call.build
    told, mode = call.fields.get("pad_width"), call.fields.word("mode", "constant")
    borders = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if not isinstance(told, (list, tuple)) or len(told) != x.rank + 1 or mode not in borders:
        raise NotUnderstood("its widths are written in another way")
    pairs = [sizes(p, 2, call.name) for p in told]
    if any(pairs[0]):
        raise NotUnderstood("it pads the batch")
    ordered = [(0, 0), *((pairs[1 + k][0], pairs[1 + k][1]) for k in x.order)]
    return build.made(padded(build.graph, x.held, ordered, borders[mode]), x.order, call.name)


@operation("Split")
def split(call: LayerCall) -> Any:
    x = call.build.settled(call.x)
    axis = keras_axis(x, call.fields.get("axis", 0), call.name)
    told = call.fields.get("indices_or_sections")
    mine = map_axis(x, axis)
    n = x.dims[axis]
    if isinstance(told, (list, tuple)):
        ends = [0, *sizes(told, len(told), call.name), n]
        last = call.build.lengths(x)[axis] - ends[-2]
        if last <= 0:
            raise malformed(call.name, f"its parts do not fit {n} positions").by_answer()
        gives(call.build.graph, [last])
        parts: Any = tuple(b - a for a, b in pairwise(ends))
        count = len(parts)
    else:
        parts = count = call.fields.integer("indices_or_sections")
    if not 1 <= count <= 10_000:
        raise malformed(call.name, f"{count} parts")
    return [call.build.add(Split(parts, i, mine), [x], f"{call.name}.{i}") for i in range(count)]


def _positions(call: LayerCall, key: slice, n: int, size: Any) -> list[int]:
    """Those that a slice takes of n positions."""
    if (key.step or 1) > 0 and call.build.watched is not None:
        low, high = gives(call.build.graph, clipped(key.start or 0, FAR if key.stop is None else key.stop, size))
        if low == high:
            raise malformed(call.name, f"nothing is left of an axis of {n}").by_answer()
    return list(range(n)[key])


@operation("GetItem")
def item(call: LayerCall) -> KerasValue:
    """Slices of axes, and single positions, whose axes are removed."""
    x = call.build.settled(call.x)
    told = call.args[1] if len(call.args) > 1 else None
    keys = list(told) if isinstance(told, (list, tuple)) else [told]
    dots = [i for i, k in enumerate(keys) if isinstance(k, dict) and k.get("class_name") == "__ellipsis__"]
    if len(dots) == 1:
        wide = x.rank + 1 - sum(1 for k in keys if k is not None) + 1
        keys[dots[0] : dots[0] + 1] = [slice(None)] * wide
    if not keys or keys[0] != slice(None):
        raise NotUnderstood("it picks from the batch")
    if sum(1 for k in keys[1:] if k is not None) > x.rank or not all(
        k is None or isinstance(k, (slice, int)) for k in keys
    ):
        raise NotUnderstood("it picks in another way than by slices")
    build = call.build
    held, k = x.held, 0
    gone: set[int] = set()
    new: list[int] = []
    for key in keys[1:]:
        if key is None:
            new.append(k - len(gone) + len(new))
            continue
        n = x.dims[k]
        if isinstance(key, slice):
            held = picked(build.graph, held, x.axis(k), _positions(call, key, n, build.lengths(x)[k]))
        elif isinstance(key, int):
            size = build.lengths(x)[k]
            if key < 0:
                gives(build.graph, (size + key, size + key + 1))
            if not (size + key >= 0 if key < 0 else size > key):
                raise malformed(call.name, f"there is no position {key} among {n}").by_answer()
            held = sliced(build.graph, held, x.axis(k), key % n, key % n + 1)
            gone.add(k)
        k += 1
    found = build.value(held, x.order)
    if gone:
        found = left_out(call, build.plain(found), gone)
    for at in new:
        found = with_axis(call, build.plain(found), at)
    return build.made(found.held, found.order, call.name)
