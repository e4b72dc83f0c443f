"""Activations as layers, dropout, fixed scaling."""

from __future__ import annotations

from rfcalc.layers.general import Elementwise
from rfcalc.layers.learned import Parameter
from rfcalc.layers.pointwise import Activation, Dropout, Identity, PReLU, StochasticDepth
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.keras.build import KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import LINEAR, activated, function_name, number, of_function, softmax
from rfcalc.readers.keras.layers.merge import merged

SPATIAL = ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")


@layer("Activation")
def activation(call: LayerCall) -> KerasValue:
    told = call.fields.get("activation")
    function, config = function_name(told, call.name)
    if config:
        return activated(call, call.x, told)
    if function in LINEAR:
        return call.build.add(Identity(), [call.x], call.name)
    assert function is not None
    return call.build.add(of_function(function, call.x), [call.x], call.name)


@layer("ReLU")
def relu(call: LayerCall) -> KerasValue:
    f = call.fields
    most, slope, threshold = f.get("max_value"), f.real("negative_slope", 0.0), f.real("threshold", 0.0)
    if most == 6 and not slope and not threshold:
        name = "relu6"
    elif most is None and not threshold:
        name = "leaky_relu" if slope else "relu"
    else:
        return call.build.add(Elementwise("relu"), [call.x], call.name)
    return call.build.add(Activation(name), [call.x], call.name)


@layer("LeakyReLU", "ELU")
def sloped(call: LayerCall) -> KerasValue:
    return call.build.add(Activation("elu" if call.kind == "ELU" else "leaky_relu"), [call.x], call.name)


@layer("Softmax")
def soft(call: LayerCall) -> KerasValue:
    axis = call.fields.get("axis", -1)
    if len(call.inputs) > 1:
        raise NotUnderstood("it is masked")
    return call.build.add(softmax(call.x, axis), [call.x], call.name)


@layer("PReLU")
def prelu(call: LayerCall) -> KerasValue:
    """A slope for every value, except along the axes that share one."""
    x = call.build.settled(call.x)
    shared = call.fields.get("shared_axes") or []
    rank = x.rank
    axes = {a - 1 if a > 0 else rank + a for a in shared if isinstance(a, int)}
    if axes == {k for k in range(rank) if k != x.channel}:
        return call.build.add(PReLU(), [x], call.name, owner=call.owner)
    if axes == set(range(rank)):
        return call.build.add(PReLU(per_channel=False), [x], call.name, owner=call.owner)
    dims = (1, *(1 if k in axes else n for k, n in zip(x.order, x.held.dims[1:], strict=True)))
    channel = max(x.shape.channel - (x.held.batch is None), 0)
    slopes = call.build.graph.add(Parameter(dims[1:], channel), (), dims, 0)
    own = call.build.made(call.build.graph.own(slopes, (f"{call.owner}.alpha",)), x.order, f"{call.name}.alpha")
    return merged(call, Elementwise("prelu"), [x, own])


@layer("Dropout", *SPATIAL, "AlphaDropout", "GaussianDropout")
def dropout(call: LayerCall) -> KerasValue:
    """Dropout with one draw for each item of the batch is stochastic depth."""
    rate = call.fields.real("rate", 0.5)
    shape = call.fields.get("noise_shape")
    whole = isinstance(shape, list) and len(shape) > 1 and all(n == 1 for n in shape[1:])
    return call.build.add(
        StochasticDepth(rate) if whole else Dropout(rate, maps=call.kind in SPATIAL), [call.x], call.name
    )


@layer(
    "Identity", "GaussianNoise", "ActivityRegularization", "RandomBrightness", "RandomContrast", "RandomFlip",
    "RandomRotation", "RandomTranslation", "RandomZoom", "RandomHue", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomColorJitter", "RandomGrayscale", "RandomInvert", "RandomErasing", "RandomGaussianBlur",
    "RandomPerspective", "RandomPosterization", "RandomColorDegeneration", "RandomElasticTransform", "RandAugment",
)  # fmt: skip
def passing(call: LayerCall) -> KerasValue:
    """What changes values in training only, or never."""
    if call.kind not in ("Identity", "ActivityRegularization"):
        call.build.notes[f"{call.kind} works in training only, and passes its input on here"] = None
    return call.build.add(Identity(), [call.x], call.name)


@layer("Rescaling")
def rescaling(call: LayerCall) -> KerasValue:
    """x · scale + offset with fixed numbers."""
    offset = call.fields.get("offset", 0.0)
    shifts = any(offset) if isinstance(offset, list) else offset not in (0, 0.0)
    times, plus = (Elementwise(name, number(n)) for name, n in (("times", call.fields.get("scale")), ("plus", offset)))
    scaled = call.build.add(times, [call.x], f"{call.name}.times" if shifts else call.name)
    return call.build.add(plus, [scaled], call.name) if shifts else scaled
