"""Layers that hold another layer: for each frame of a sequence, with normalised weights, frame after frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rfcalc.layers.conv import Conv
from rfcalc.layers.general import Constant
from rfcalc.readers.builder.joining import chained
from rfcalc.readers.builder.moves import regrouped, sliced, without
from rfcalc.readers.builder.recurrent import stepped
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.configuration import Fields, malformed, shown
from rfcalc.readers.keras.build import Held, KerasValue, channels_first
from rfcalc.readers.keras.graph import MODELS, LayerCall, Scope, flat, model
from rfcalc.readers.keras.layers import layer, translator
from rfcalc.readers.keras.layers.common import fitting, last_channels
from rfcalc.readers.keras.layers.conv import geometry

MOST_FRAMES = 64


def inner(call: LayerCall, x: KerasValue) -> Any:
    """What the layer (or model) makes of a value that is held in this one's configuration."""
    told = call.fields.get("layer")
    if not isinstance(told, Mapping) or not isinstance(told.get("config"), Mapping):
        raise malformed(call.name, "it holds no layer")
    kind = str(told.get("class_name"))
    if kind in MODELS:
        return model(call.build, told, [x], Scope(f"{call.name}.", f"{call.owner}/"))
    function = translator(told, kind)
    if function is None:
        raise NotUnderstood(f"of {shown(kind)}, which is not translated")
    built = told.get("build_config")
    return function(
        call._replace(
            kind=kind,
            fields=Fields(told["config"], call.fields.where),
            args=(x,),
            kwargs={k: v for k, v in call.kwargs.items() if k != "mask"},
            built=built if isinstance(built, Mapping) else {},
        )
    )


@layer("TimeDistributed")
def time_distributed(call: LayerCall) -> Any:
    """A layer on each frame of a sequence: the frames stand where the batch does."""
    build, x = call.build, call.build.settled(call.x)
    if x.rank < 2:
        raise malformed(call.name, f"it needs frames, and gets {x.rank} axis")
    if x.held.batch is None:
        raise NotUnderstood("of frames within frames")
    build.graph.with_channels(x.held)
    x = build.arranged(x, (0, *(k for k in x.order if k)))
    frames = Held(x.held.node, x.held.dims[1:], None)
    made = inner(call, build.value(frames, tuple(k - 1 for k in x.order[1:])))
    found = [_together(call, v) for v in flat(made, KerasValue)]
    return found if len(found) > 1 else found[0]


def _together(call: LayerCall, x: KerasValue) -> KerasValue:
    """Frames as a sequence again."""
    build, x = call.build, call.build.settled(x)
    held = Held(x.held.node, (1, *x.held.dims), 0, x.held.extra)
    if x.held.batch is not None:  # of one frame
        held = regrouped(build.graph, x.held, (1, *x.held.dims), 0)
    return build.value(held, (0, *(k + 1 for k in x.order)))


@layer("SpectralNormalization")
def spectral(call: LayerCall) -> Any:
    """A layer whose weights are divided by their largest singular value; a vector of it is kept with them."""
    made = inner(call, call.x)
    told = call.fields.get("layer")["config"]
    call.build.uncounted[call.owner] = int(told.get("filters") or told.get("units") or 0)
    return made


@layer("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def conv_lstm(call: LayerCall) -> Any:
    """An LSTM whose products are convolutions, frame after frame: one convolution of all frames, and one of the state
    for each frame, with the same weights."""
    f, build, graph = call.fields, call.build, call.build.graph
    rank = int(call.kind[-2])
    x = build.settled(call.x)
    if x.rank != rank + 2 or x.held.batch is None:
        raise malformed(call.name, f"it needs frames of {rank + 1} axes, and gets {x.dims}")
    if len(call.inputs) > 1:
        raise NotUnderstood("its first state is an input, or it is masked")
    last = last_channels(call)
    channel = rank + 1 if last else 1
    space = [k for k in range(1, rank + 2) if k != channel]
    x = build.arranged(x, (channel, 0, *space))
    frames, units = x.held.dims[2], f.integer("filters")
    if frames > MOST_FRAMES:
        raise NotUnderstood(f"of {frames} frames, which are read one by one: at most {MOST_FRAMES} are")
    node = graph.laid(x.held, x.held.inner, 0, merged=True)
    settings = geometry(call, rank, fitting(rank, True))
    fed = build.add(
        Conv(4 * units, **settings, bias=f.flag("use_bias", True)),
        [build.value(x.held._replace(node=node), x.order)],
        f"{call.name}.input",
        owner=call.owner,
    ).held
    one = (1, units, 1, *fed.dims[3:])
    zeros = [graph.add(Constant(one[1:]), (), one, 0, stem="zeros") for _ in range(2)]
    kernel = (1, *f.sizes("kernel_size", rank))
    pads = tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in kernel)
    cell = Conv(4 * units, kernel, padding=pads, bias=False)
    state, made = zeros, list[Held]()
    order = range(frames - 1, -1, -1) if f.flag("go_backwards", False) else range(frames)
    for t in order:
        kept = graph.add(cell, (state[0].node,), (1, 4 * units, *one[2:]), 0)
        graph.own(kept, (f"{call.owner}.state",))
        state = stepped(graph, "lstm", sliced(graph, fed, 2, t, t + 1), kept, state, axis=1)
        made.append(state[0])

    def image(held: Held) -> KerasValue:
        dims = (*held.dims[:2], *held.dims[3:])
        return build.value(without(graph, held, {2}, dims), channels_first(rank + 1, rank if last else 0))

    whole = build.value(chained(graph, made, 2, (1, units, frames, *one[3:])), x.order)
    result = whole if f.flag("return_sequences", False) else image(made[-1])
    result = build.made(result.held, result.order, call.name)
    return [result, image(made[-1]), image(state[1])] if f.flag("return_state", False) else result
