"""What translators share: data formats, geometry, activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from rfcalc.core.layer import Layer
from rfcalc.layers.general import Elementwise
from rfcalc.layers.pointwise import GLU, Activation, Softmax
from rfcalc.readers.builder.maps import back, mapped, sized, tidy
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.builder.vocabulary import KERAS_ACTIVATIONS, KERAS_FUNCTIONS
from rfcalc.readers.configuration import malformed, shown
from rfcalc.readers.keras.build import KerasValue, channels_first
from rfcalc.readers.keras.graph import LayerCall

LINEAR = (None, "linear")


def last_channels(call: LayerCall) -> bool:
    """Whether a layer's channels are the last axis, by its own setting or the model's."""
    told = call.fields.get("data_format")
    if told is None:
        return call.build.last
    if told not in ("channels_last", "channels_first"):
        raise malformed(call.name, f"data_format is {shown(told)}", "channels_last or channels_first")
    return bool(told == "channels_last")


def image(call: LayerCall, rank: int) -> KerasValue:
    """The layer's input with `rank` spatial axes, channels first."""
    x = call.x
    if x.rank != rank + 1:
        raise malformed(call.name, f"{call.kind} needs a map of {rank + 1} axes, and gets one of {x.rank}: {x.dims}")
    return call.build.arranged(x, channels_first(rank + 1, rank if last_channels(call) else 0))


Fit = Callable[..., Any]


def slid(call: LayerCall, x: KerasValue, make: Callable[[Fit], Layer], name: str = "", owner: str = "") -> KerasValue:
    """A layer that slides over the spatial axes of an `image`.

    Args:
        make: gives the layer; it gets a function that fits settings, one an axis, to the axes that there are: a leading
            axis (frames of a sequence) is one more, that nothing slides over.
    """
    build, rank = call.build, x.rank - 1
    held, leading = mapped(build.graph, x.held, rank, merged=True)
    fit = fitting(rank, leading)
    made = build.add(make(fit), [build.value(held, x.order)], name or call.name, x.order, owner)
    return build.value(back(build.graph, made.held, leading), x.order)


def fitting(rank: int, leading: bool) -> Fit:
    """Gives settings of `rank` spatial axes as those of all axes that there are."""

    def fit(values: Any, one: Any = 1) -> Any:
        if isinstance(values, tuple) and isinstance(values[0], tuple):  # both sides of each axis
            return ((0, 0), *values) if leading else values
        return tidy(sized(values, rank, leading, one))

    return fit


def padding(call: LayerCall, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
    """`valid`, `same` (TensorFlow's; at stride 1 it does not depend on the size), `causal`."""
    told = call.fields.word("padding", "valid").lower()
    if told == "valid":
        return 0
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if told == "same":
        if any(s != 1 for s in stride):
            return "SAME"
        pairs: list[Any] = [(t // 2, t - t // 2) for t in totals]
    elif told == "causal":
        pairs = [(t, 0) for t in totals]
    else:
        raise malformed(call.name, f"padding is {shown(told)}", "valid, same or causal")
    return tidy(tuple(a for a, _ in pairs)) if all(a == b for a, b in pairs) else tuple(pairs)


def function_name(told: Any, where: str) -> tuple[str | None, Mapping[str, Any]]:
    """The name of an activation, and its settings where it is written as a layer."""
    if told is None or isinstance(told, str):
        return told, {}
    if isinstance(told, Mapping):
        config = told.get("config")
        if told.get("class_name") == "function" and isinstance(config, str):
            if told.get("module") not in (None, "builtins", "keras.activations", "keras.src.activations.activations"):
                raise NotUnderstood(f"the activation {config} is your own")
            return config, {}
        if isinstance(told.get("class_name"), str) and isinstance(config, Mapping):
            return told["class_name"], config
    raise malformed(where, f"activation is {shown(told)}")


def activated(call: LayerCall, value: KerasValue, told: Any, name: str | None = None) -> KerasValue:
    """The value after an activation that is written inside a layer; nothing for `linear`."""
    function, config = function_name(told, call.name)
    if function in LINEAR:
        return value
    if config:
        from rfcalc.readers.keras.layers import LAYERS

        inner = LAYERS.get(function or "")
        if inner is None:
            raise NotUnderstood(f"the activation {function} is not Keras' own")
        fields = type(call.fields)(config, call.fields.where)
        label = f"{call.name}.{config.get('name') or (function or '').lower()}"
        within = call._replace(
            kind=function, fields=fields, args=(value,), kwargs={}, name=label, owner=f"{call.owner}.act"
        )
        return inner(within)  # type: ignore[no-any-return]
    assert function is not None
    layer = of_function(function, value)
    return call.build.add(layer, [value], name or f"{call.name}.{layer_label(function)}")


def layer_label(function: str) -> str:
    """What the node of an activation inside a layer is called."""
    return {"swish": "silu"}.get(function, function)


def of_function(function: str, value: KerasValue, axis: int = -1) -> Layer:
    """The layer of an activation by its Keras name.

    Raises:
        NotUnderstood: it is none of Keras' own.
    """
    if function in KERAS_ACTIVATIONS:
        return Activation(KERAS_ACTIVATIONS[function])
    if function in ("softmax", "log_softmax"):
        return softmax(value, axis, function == "log_softmax")
    if function == "glu" and value.channel == len(value.order) - 1:
        return GLU()
    if function in KERAS_FUNCTIONS:
        return Elementwise(KERAS_FUNCTIONS[function])
    raise NotUnderstood(f"the activation {shown(function)}")


def softmax(value: KerasValue, axis: Any, log: bool = False) -> Softmax:
    """Softmax over one of Keras' axes (without the batch: −1 is the last)."""
    mine = position(value, axis)
    return Softmax(None if mine == value.shape.channel else mine, log=log)


def position(value: KerasValue, axis: Any, where: str = "axis") -> int:
    """Which axis of the algebra's map one of Keras' axes is; 0 is the batch there, which cannot be meant."""
    return map_axis(value, keras_axis(value, axis, where))


def map_axis(value: KerasValue, k: int) -> int:
    """Which axis of the node's map one of Keras' axes (counted without the batch) is."""
    return value.axis(k) - (value.held.batch is not None) + value.held.extra


def keras_axis(value: KerasValue, axis: Any, where: str = "axis") -> int:
    """One of Keras' axes, counted without the batch."""
    rank = value.rank
    if isinstance(axis, (list, tuple)) and len(axis) == 1:
        axis = axis[0]
    if isinstance(axis, bool) or not isinstance(axis, int) or not -rank <= axis <= rank:
        raise malformed(where, f"{shown(axis)} is not one of the {rank} axes of {value.dims}")
    if axis == 0:
        raise NotUnderstood("it works over the batch")
    return axis - 1 if axis > 0 else rank + axis


def number(told: Any) -> Any:
    """A number that is written down; () for one an axis, or none."""
    real = isinstance(told, (int, float)) and not isinstance(told, bool) and isfinite(told)
    return float(told) if real else ()
