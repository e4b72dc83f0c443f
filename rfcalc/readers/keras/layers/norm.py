"""Normalisation, and the layers of keras.applications that scale by learned factors."""

from __future__ import annotations

from rfcalc.layers.general import Elementwise
from rfcalc.layers.learned import Parameter
from rfcalc.layers.merge import Add, Multiply
from rfcalc.layers.norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from rfcalc.layers.pointwise import Scale, StochasticDepth
from rfcalc.readers.builder.maps import channels_at
from rfcalc.readers.builder.reductions import reduced
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.keras.build import Held, KerasValue
from rfcalc.readers.keras.graph import LayerCall
from rfcalc.readers.keras.layers import layer
from rfcalc.readers.keras.layers.common import keras_axis


def _of_channels(call: LayerCall, axis: object) -> KerasValue:
    """The input with this axis as its channels."""
    x = call.build.settled(call.x)
    k = keras_axis(x, axis, call.name)
    if k == x.channel:
        return x
    held = channels_at(call.build.graph, x.held, x.axis(k))
    return call.build.value(held, x.order)


@layer("BatchNormalization")
def batch(call: LayerCall) -> KerasValue:
    f = call.fields
    try:
        x = _of_channels(call, f.get("axis", -1))
    except NotUnderstood:  # positions lie along the axis, so that the factors stand apart
        if call.kwargs.get("training") is True:
            raise
        x = call.build.settled(call.x)
        k = keras_axis(x, f.get("axis", -1), call.name)
        call.build.uncounted[call.owner] = 2 * x.dims[k]
        bare = call.build.add(Elementwise("standardize"), [x], f"{call.name}.standardize")
        return factored(call, bare, [k], f.flag("scale", True), f.flag("center", True))
    made = BatchNorm(
        training=call.kwargs.get("training") is True, gamma=f.flag("scale", True), bias=f.flag("center", True)
    )
    return call.build.add(made, [x], call.name, owner=call.owner)


@layer("LayerNormalization")
def over_layer(call: LayerCall) -> KerasValue:
    f = call.fields
    x = call.build.settled(call.x)
    axes = f.get("axis", -1)
    listed = axes if isinstance(axes, (list, tuple)) else [axes]
    mine = sorted({keras_axis(x, a, call.name) for a in listed})
    gamma, bias = f.flag("scale", True), f.flag("center", True)
    if f.flag("rms_scaling", False):
        if mine != [x.rank - 1]:
            raise NotUnderstood("root mean squares over another axis than the last")
        return call.build.add(RMSNorm(affine=gamma), [call.build.plain(x)], call.name, owner=call.owner)
    if mine == [x.channel]:
        over: int | str = "channels"
    elif len(mine) == x.rank and x.held.batch is not None:
        over = "all"
    elif mine == list(range(x.rank))[-len(mine) :]:
        x, over = call.build.plain(x), len(mine)
    else:
        return factored(call, normalised(call, x, mine, "var"), mine, gamma, bias)
    return call.build.add(LayerNorm(over, gamma=gamma, bias=bias), [x], call.name, owner=call.owner)


def normalised(call: LayerCall, x: KerasValue, axes: list[int], op: str) -> KerasValue:
    """A map less its mean over some of Keras' axes (of a variance), divided by what is told of these axes."""
    build, graph, held = call.build, call.build.graph, x.held
    dims = tuple(1 if i in {x.axis(k) for k in axes} else n for i, n in enumerate(held.dims))

    def joined(name: str, a: Held, b: Held) -> Held:
        nodes, batch, extra = graph.aligned([a, b], a.dims)
        return graph.add(Elementwise(name), nodes, a.dims, batch, extra=extra)

    if op == "var":
        held = joined("sub", held, reduced(graph, held, [x.axis(k) for k in axes], "mean", True, dims))
    spread = reduced(graph, held, [x.axis(k) for k in axes], op, True, dims)
    return build.made(joined("div", held, spread), x.order, f"{call.name}.normalize")


def factored(call: LayerCall, x: KerasValue, axes: list[int], gamma: bool, bias: bool) -> KerasValue:
    """A map multiplied by learned factors along some of Keras' axes, and learned offsets added."""
    build, graph = call.build, call.build.graph
    for part, layer_, wanted in (("gamma", Multiply(), gamma), ("beta", Add(), bias)):
        if not wanted:
            continue
        dims = (1, *(n if k in axes else 1 for k, n in zip(x.order, x.held.dims[1:], strict=True)))
        own = graph.add(Parameter(dims[1:], max(x.shape.channel - (x.held.batch is None), 0)), (), dims, 0)
        own = build.made(graph.own(own, (f"{call.owner}.{part}",)), x.order, f"{call.name}.{part}").held
        nodes, batch, extra = graph.aligned([x.held, own], x.held.dims)
        held = graph.add(layer_, nodes, x.held.dims, batch, extra=extra)
        x = build.made(held, x.order, f"{call.name}.{layer_.kind}")
    return x


@layer("UnitNormalization")
def unit(call: LayerCall) -> KerasValue:
    """Divided by the root of the sum of squares over some axes."""
    x = call.build.settled(call.x)
    axes = call.fields.get("axis", -1)
    listed = axes if isinstance(axes, (list, tuple)) else [axes]
    return normalised(call, x, sorted({keras_axis(x, a, call.name) for a in listed}), "norm")


@layer("RMSNormalization")
def root_mean_square(call: LayerCall) -> KerasValue:
    x = call.x
    if keras_axis(x, call.fields.get("axis", -1), call.name) != x.rank - 1:
        raise NotUnderstood("root mean squares over another axis than the last")
    return call.build.add(RMSNorm(), [call.build.plain(x)], call.name, owner=call.owner)


@layer("GroupNormalization")
def group(call: LayerCall) -> KerasValue:
    f = call.fields
    x = _of_channels(call, f.get("axis", -1))
    groups = f.integer("groups", 32)
    if x.held.batch is None:
        raise NotUnderstood("of frames side by side")
    made = GroupNorm(
        x.shape.channels if groups == -1 else groups, gamma=f.flag("scale", True), bias=f.flag("center", True)
    )
    return call.build.add(made, [x], call.name, owner=call.owner)


@layer("Normalization")
def fixed(call: LayerCall) -> KerasValue:
    """(x − mean) / deviation with statistics that were measured once; Keras keeps them, and how many values they are
    of, with the weights, unless they are written in the configuration."""
    f = call.fields
    if f.get("mean") is not None:
        return call.build.add(Elementwise("standardize"), [call.x], call.name)
    axis = f.get("axis", -1)
    if axis is None or axis == []:
        call.build.uncounted[call.owner] = 3
        return call.build.add(Elementwise("standardize"), [call.x], call.name)
    made = BatchNorm(affine=False)
    x = _of_channels(call, axis)
    call.build.uncounted[call.owner] = 1
    return call.build.add(made, [x], call.name, owner=call.owner)


@layer("LayerScale")
def scale(call: LayerCall) -> KerasValue:
    x = call.x
    if x.channel != x.rank - 1 or x.shape.channels != call.fields.integer("projection_dim"):
        raise NotUnderstood("it scales another axis than the channels")
    return call.build.add(Scale(), [x], call.name, owner=call.owner)


@layer("StochasticDepth")
def stochastic_depth(call: LayerCall) -> KerasValue:
    return call.build.add(StochasticDepth(call.fields.real("drop_path_rate", 0.0)), [call.x], call.name)
