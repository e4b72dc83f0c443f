"""keras.ops: operations that stand in a model's graph beside its layers."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Any

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise, Reduce
from rfcalc.layers.merge import Add, MatMul, Multiply
from rfcalc.layers.pool import Mean
from rfcalc.layers.resample import Pad
from rfcalc.layers.reshape import Reshape
from rfcalc.layers.slice import Slice, Split
from rfcalc.readers.configuration import malformed, sizes
from rfcalc.readers.keras.build import Value
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import NotUnderstood, guess, operation
from rfcalc.readers.keras.layers.common import FUNCTIONS, keras_axis, of_function, softmax
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
UNARY = {
    "Absolute": "abs", "Abs": "abs", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Rsqrt": "rsqrt", "Square": "square",
    "Negative": "neg", "Sin": "sin", "Cos": "cos", "Clip": "clamp", "Sign": "sign", "Floor": "floor", "Ceil": "ceil",
    "Round": "round", "Reciprocal": "reciprocal", "Expm1": "expm1", "Log1p": "log1p", "Erf": "erf", "Cast": "cast",
}  # fmt: skip
ACTIVATIONS = {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Tanh": "tanh", "Silu": "silu", "Elu": "elu",
    "Selu": "selu", "Celu": "celu", "LeakyRelu": "leaky_relu", "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh", "Softplus": "softplus", "Softsign": "softsign", "LogSigmoid": "log_sigmoid",
    "Mish": "mish", "SoftShrink": "soft_shrink", "HardShrink": "hard_shrink", "TanhShrink": "tanh_shrink",
    "Squareplus": "squareplus", "Threshold": "threshold",
}  # fmt: skip
REDUCTIONS = {"Sum": "sum", "Max": "amax", "Min": "amin", "Prod": "prod", "Var": "var", "Std": "std"}


@operation(*BINARY)
def binary(call: LayerCall) -> Value:
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
    first = isinstance(call.args[0], Value)
    others = [a for a in call.args if not isinstance(a, Value)]
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


def broadcast(call: LayerCall, values: list[Value]) -> list[Value]:
    """Maps of unequal rank, as arrays are broadcast: the batch of one would meet an axis of the other."""
    if len({len(v.order) for v in values}) > 1:
        raise NotUnderstood("its maps have different numbers of axes")
    return values


@operation(*UNARY)
def unary(call: LayerCall) -> Value:
    return call.build.add(Elementwise(UNARY[call.kind]), [call.x], call.name)


@operation(*ACTIVATIONS)
def activation(call: LayerCall) -> Value:
    return call.build.add(of_function(ACTIVATIONS[call.kind], call.x), [call.x], call.name)


@operation("Gelu")
def gelu(call: LayerCall) -> Value:
    from rfcalc.layers.pointwise import Activation

    name = "gelu_tanh" if call.fields.flag("approximate", True) else FUNCTIONS["gelu"]
    return call.build.add(Activation(name), [call.x], call.name)


@operation("Softmax", "LogSoftmax")
def soft(call: LayerCall) -> Value:
    axis = call.fields.get("axis", -1)
    return call.build.add(softmax(call.x, axis, call.kind == "LogSoftmax"), [call.x], call.name)


@operation("Mean", *REDUCTIONS)
def reduced(call: LayerCall) -> Value:
    """Over some of the axes, which are removed unless `keepdims`."""
    f = call.fields
    x = call.build.settled(call.x)
    told = f.get("axis")
    if told is None:
        raise NotUnderstood("it works over the batch")
    listed = told if isinstance(told, (list, tuple)) else [told]
    gone = sorted({keras_axis(x, a, call.name) for a in listed})
    keep = f.flag("keepdims", False)
    axes = tuple(sorted(x.order.index(k) for k in gone))
    made: Layer = Mean(axes, keep=keep) if call.kind == "Mean" else Reduce(REDUCTIONS[call.kind], axes, keep=keep)
    if keep:
        return call.build.add(made, [x], call.name)
    left = [k for k in x.order if k not in gone]
    order = tuple(sorted(left).index(k) for k in left) or (0,)
    return call.build.add(made, [x], call.name, order)


@operation("Reshape")
def reshape(call: LayerCall) -> Value:
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
def transpose(call: LayerCall) -> Value:
    axes = call.fields.get("axes")
    if not isinstance(axes, (list, tuple)) or not axes or axes[0] != 0:
        raise NotUnderstood("it moves the batch")
    return transposed(call, tuple(a - 1 for a in sizes(axes[1:], len(axes) - 1, call.name)), call.name)


@operation("Concatenate")
def concatenate(call: LayerCall) -> Value:
    return joined(call, call.inputs, call.fields.get("axis", 0))


@operation("Stack")
def stack(call: LayerCall) -> Value:
    """Each map gets an axis of size 1, along which they are joined."""
    values = [call.build.plain(v) for v in call.inputs]
    rank = len(values[0].order)
    at = new_axis(call, rank)
    parts = [with_axis(call, v, at, f"{call.name}.{i}") for i, v in enumerate(values)]
    return joined(call, parts, at + 1)


@operation("ExpandDims")
def expand(call: LayerCall) -> Value:
    x = call.build.plain(call.x)
    return with_axis(call, x, new_axis(call, len(x.order)), call.name)


def new_axis(call: LayerCall, rank: int) -> int:
    """Where a new axis comes, without the batch."""
    axis = call.fields.get("axis", -1)
    if isinstance(axis, bool) or not isinstance(axis, int) or not -rank - 1 <= axis <= rank + 1 or axis == 0:
        raise NotUnderstood("it moves the batch")
    return axis - 1 if axis > 0 else rank + 1 + axis


def with_axis(call: LayerCall, x: Value, at: int, name: str) -> Value:
    """A map in Keras' order with an axis of size 1 put in."""
    dims = (*x.shape.dims[:at], 1, *x.shape.dims[at:])
    channel = x.shape.channel + (at <= x.shape.channel)
    return call.build.add(Reshape(dims, channel), [x], name, tuple(range(len(dims))))


@operation("Squeeze")
def squeeze(call: LayerCall) -> Value:
    x = call.build.plain(call.x)
    told = call.fields.get("axis")
    gone = {k for k, n in enumerate(x.shape.dims) if n == 1}
    if told is not None:
        listed = told if isinstance(told, (list, tuple)) else [told]
        chosen = {keras_axis(x, a, call.name) for a in listed}
        if not chosen <= gone:
            raise malformed(call.name, f"the axes {sorted(chosen)} of {x.dims} are not all of size 1")
        gone = chosen
    left = [k for k in range(len(x.order)) if k not in gone]
    dims = tuple(x.shape.dims[k] for k in left) or (1,)
    channel = left.index(x.shape.channel) if x.shape.channel in left else len(dims) - 1
    return call.build.add(Reshape(dims, channel), [x], call.name, tuple(range(len(dims))))


@operation("Matmul")
def matmul(call: LayerCall) -> Value:
    values = call.inputs
    if len(values) != 2 or len({len(v.order) for v in values}) > 1 or len(values[0].order) < 2:
        raise NotUnderstood("one side is no map")
    a, b = (call.build.plain(v) for v in values)
    return call.build.add(MatMul(), [a, b], call.name)


@operation("Pad")
def pad(call: LayerCall) -> Value:
    """Axes beside the batch; of channels only zeros could be put before or after, which is not translated."""
    x = call.build.settled(call.x)
    told, mode = call.fields.get("pad_width"), call.fields.word("mode", "constant")
    borders = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if not isinstance(told, (list, tuple)) or len(told) != len(x.order) + 1 or mode not in borders:
        raise NotUnderstood("its widths are written in another way")
    pairs = [sizes(p, 2, call.name) for p in told]
    if any(pairs[0]) or any(pairs[1 + x.channel]):
        raise NotUnderstood("it pads the batch or the channels")
    x = call.build.spatial(x, x.channel)
    return call.build.add(Pad(tuple(pairs[1 + k] for k in x.order[1:]), borders[mode]), [x], call.name)


@operation("Split")
def split(call: LayerCall) -> Any:
    x = call.build.settled(call.x)
    axis = keras_axis(x, call.fields.get("axis", 0), call.name)
    told = call.fields.get("indices_or_sections")
    mine = x.order.index(axis)
    n = x.shape.dims[mine]
    if isinstance(told, (list, tuple)):
        ends = [0, *sizes(told, len(told), call.name), n]
        parts: Any = tuple(b - a for a, b in pairwise(ends))
        count = len(parts)
    else:
        parts = count = call.fields.integer("indices_or_sections")
    if not 1 <= count <= 10_000:
        raise malformed(call.name, f"{count} parts")
    return [call.build.add(Split(parts, i, mine), [x], f"{call.name}.{i}") for i in range(count)]


@operation("GetItem")
def item(call: LayerCall) -> Value:
    """Slices of axes, and single positions, whose axes are removed."""
    x = call.build.settled(call.x)
    told = call.args[1] if len(call.args) > 1 else None
    keys = list(told) if isinstance(told, (list, tuple)) else [told]
    if not keys or keys[0] != slice(None):
        raise NotUnderstood("it picks from the batch")
    if len(keys) - 1 > len(x.order) or not all(isinstance(k, (slice, int)) for k in keys):
        raise NotUnderstood("it picks in another way than by slices")
    picked = []
    found = x
    for axis, key in enumerate(keys[1:]):
        mine = found.order.index(axis)
        if isinstance(key, slice):
            if key == slice(None):
                continue
            made = Slice(mine, key.start, key.stop, 1 if key.step is None else key.step)
        else:
            assert isinstance(key, int)
            made = Slice(mine, key, key + 1 if key != -1 else None)
            picked.append(axis)
        found = call.build.add(
            made, [found], call.name if axis == len(keys) - 2 and not picked else f"{call.name}.slice"
        )
    if not picked:
        return found
    plain = call.build.plain(found)
    left = [k for k in range(len(plain.order)) if k not in picked]
    dims = tuple(plain.shape.dims[k] for k in left) or (1,)
    channel = left.index(plain.shape.channel) if plain.shape.channel in left else len(dims) - 1
    return call.build.add(Reshape(dims, channel), [plain], call.name, tuple(range(len(dims))))
