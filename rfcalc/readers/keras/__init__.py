"""Reads Keras models: a model, a `.keras` archive, the text of ``model.to_json()``. Needs neither Keras nor TensorFlow.

Only the configuration is read, never the weights, and nothing in it is run. ``same`` is TensorFlow's SAME. Shapes are
written channels first, whatever the model's own order is; every shape that the configuration tells is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape, corrected, mistaken
from rfcalc.readers.configuration import dims, malformed, shown
from rfcalc.readers.imported import Imported, input_shapes
from rfcalc.readers.keras.archive import parse, read_file
from rfcalc.readers.keras.build import Build, KerasValue
from rfcalc.readers.keras.graph import MODELS, LayerOutput, Scope, entries, input_dims, model, references, subclassed
from rfcalc.readers.keras.layers import translate

USUAL = 224  # of a free side of an image


def from_keras(source: Any, inputs: Any = None) -> Imported:
    """The network of a Keras model, with what was noted and what was not understood.

    Args:
        source: a Functional or Sequential model; the path of a `.keras` archive or of a JSON file; or the text of
            ``model.to_json()``.
        inputs: its input shape (or shapes by name), channels first and without the batch; the model's own if left out.

    Raises:
        RfcalcError: what is not such a model, or cannot be read.

    >>> text = '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Conv2D", "config": {"name": "c", '
    >>> text += '"filters": 8, "kernel_size": 3, "padding": "same", "batch_input_shape": [null, 32, 32, 3]}}]}}'
    >>> from_keras(text).network
    Network(series([Conv(8, 3, padding=1).named('c')]), '3x32x32')
    """
    return read(source, inputs)


def load(path: str, inputs: Any = None) -> Imported:
    """The network of a file: an archive, or the JSON of a model."""
    data = read_file(str(path))
    try:
        return _read(data, inputs, None)
    except RfcalcError as error:
        error.asked = (str(path), inputs)
        raise error.at(str(path)) from None


def read(source: Any, inputs: Any = None) -> Imported:
    """What `from_keras` does; by the name that all adapters have."""
    if isinstance(source, Mapping):
        return _read(source, inputs, None)
    if isinstance(source, (str, bytes)):
        start = source[:1] if isinstance(source, str) else source[:1].decode("latin-1")
        if start == "{" or (isinstance(source, bytes)):
            return _read(parse(source, "the text"), inputs, None)
        return load(source, inputs)
    if hasattr(source, "__fspath__"):
        return load(source.__fspath__(), inputs)
    if not hasattr(source, "to_json") or not hasattr(source, "layers"):
        raise RfcalcError(
            f"{type(source).__name__} is no Keras model", fix="give a model, a .keras file or the text of to_json()"
        )
    try:
        text = source.to_json()
    except Exception as error:  # a layer of the user's own may raise anything here
        raise RfcalcError(
            f"Keras cannot write the model down: {str(error)[:200]}",
            where=getattr(source, "name", None),
            fix="give your own layers a get_config",
        ) from None
    try:
        return _read(parse(text, "the model"), inputs, source)
    except RfcalcError as error:
        error.asked = (source, inputs)
        raise


def is_model(data: Any) -> bool:
    """Whether JSON is the configuration of a Keras model."""
    return isinstance(data, Mapping) and "class_name" in data and "config" in data


def _read(data: Any, given: Any, live: Any) -> Imported:
    if not is_model(data):
        raise RfcalcError("this is not the configuration of a Keras model", why="it has no class_name and config")
    config = data["config"]
    if isinstance(config, list):
        config = {"layers": config}
        data = {**data, "config": config}
    if (
        data["class_name"] not in MODELS
        or not isinstance(config, Mapping)
        or not isinstance(config.get("layers"), list)
    ):
        raise subclassed(data["class_name"])
    build = Build(_channels_last(config), translate)
    build.live = live is not None
    first = next((e["class_name"] for _, e in entries(config, "") if e["class_name"] != "InputLayer"), "")
    build.frames = first == "TimeDistributed" or first.startswith("ConvLSTM")
    sources = _inputs(build, data, given)
    scope = Scope(live=live)
    outputs = list(_values(model(build, data, sources, scope)))
    name = config.get("name")
    found = build.finish(outputs, name if isinstance(name, str) and len(name) < 300 else "")
    return found if live is None else _counted(build, outputs, found, live)


def _values(value: Any) -> Iterator[KerasValue]:
    if isinstance(value, KerasValue):
        yield value
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from _values(v)
    else:
        for v in value:
            yield from _values(v)


def _counted(build: Build, outputs: list[KerasValue], found: Imported, live: Any) -> Imported:
    """The result with the parameters of the model compared: all that it keeps, less what the algebra calls buffers."""
    from rfcalc.graph.forward import forward, shapes_of_inputs

    walked = forward(found.network, shapes_of_inputs(found.network))
    buffers = sum(int(cost.buffers) for cost in walked.costs)
    kept = sum(build.uncounted.values())
    if kept:
        owners = ", ".join(list(build.uncounted)[:4])
        build.notes[f"Keras keeps {kept} more values with {owners}, which are not parameters"] = None
    return build.finish(outputs, found.network.name, int(live.count_params()) - buffers - kept)


def _channels_last(config: Mapping[str, Any]) -> bool:
    """The data format of the model: that of the first layer that tells it; Keras' default is channels last."""
    waiting = [config]
    first = None  # whether a normalisation of images works along their first axis
    for _ in range(100_000):
        if not waiting:
            break
        inner = waiting.pop(0)
        for entry in inner.get("layers") or ():
            settings = entry.get("config") if isinstance(entry, Mapping) else None
            if not isinstance(settings, Mapping):
                continue
            while isinstance(held := settings.get("layer"), Mapping) and isinstance(held.get("config"), Mapping):
                settings = held["config"]  # of what a layer holds: TimeDistributed
            if settings.get("data_format") in ("channels_last", "channels_first"):
                return bool(settings["data_format"] == "channels_last")
            if first is None and entry.get("class_name") in ("BatchNormalization", "GroupNormalization"):
                built = entry.get("build_config")
                shape = built.get("input_shape") if isinstance(built, Mapping) else None
                wide = isinstance(shape, list) and len(shape) > 3
                first = settings.get("axis") in (1, [1]) and wide
            if isinstance(settings.get("layers"), list):
                waiting.append(settings)
    return not first


def _inputs(build: Build, data: Mapping[str, Any], given: Any) -> dict[str, KerasValue]:
    """The inputs by the names of their layers, with the sizes given, the model's, or the usual ones."""
    declared = _declared(data)
    shapes = input_shapes(given, list(declared))
    found = {}
    for name, own in declared.items():
        wanted = shapes.get(name)
        if own is None and wanted is None:
            raise RfcalcError(
                "the model does not tell the shape of its input", where=name, fix="give one: --input 3x224x224"
            )
        found[name] = build.input(name, _sized(build, name, own, wanted))
    return found


def _declared(data: Mapping[str, Any]) -> dict[str, tuple[int | None, ...] | None]:
    """The inputs of a model and the shapes that it declares."""
    config = data["config"]
    listed = entries(config, "")
    if data["class_name"] == "Sequential":
        if not listed:
            raise malformed("the model", "it has no layers")
        name, first = listed[0]
        own = input_dims(first)
        if own is None and config.get("build_input_shape") is not None:
            own = dims(config["build_input_shape"], "build_input_shape")
        if own is None and isinstance(first.get("config"), Mapping) and "layers" in first["config"]:
            own = next(iter(_declared(first).values()), None)
        return {name if first["class_name"] == "InputLayer" else "input": own}
    by_name = dict(listed)
    found: dict[str, tuple[int | None, ...] | None] = {}
    waiting = [references(config.get("input_layers"), "the model")]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, LayerOutput):
            found[value.layer] = input_dims(by_name.get(value.layer, {}))
        else:
            waiting[:0] = value.values() if isinstance(value, Mapping) else value
    if not found:
        raise malformed("the model", "it has no inputs")
    return found


def _sized(build: Build, name: str, own: tuple[int | None, ...] | None, wanted: Shape | None) -> tuple[int, ...]:
    """The input's sizes as Keras has them; where they are not the model's own, its shapes are not compared."""
    if wanted is not None:
        rank = len(wanted.dims)
        at = build.channel_axis(rank)
        given = (*wanted.dims[1 : at + 1], wanted.dims[0], *wanted.dims[at + 1 :])
        if own is None:
            return given
        channel = build.channel_axis(len(own))
        if len(own) != rank or own[channel] not in (None, given[channel]):
            told = "x".join("?" if n is None else str(n) for n in _first(own, channel))
            sizes = [224 if n is None else n for n in _first(own, channel)]
            found = mistaken(wanted, sizes[0], len(own) - 1) if 1 < len(own) < 5 else corrected(wanted, Shape(*sizes))
            raise RfcalcError(
                f"the input {shown(name)} is {told}, and {wanted} was given",
                why=found[0] if found else "shapes are channels first, without the batch",
                fix=f"did you mean {found[1] if found else Shape(*sizes)}?",
            )
        if any(n not in (None, m) for n, m in zip(own, given, strict=True)):
            build.compare = False
            told = "x".join("?" if n is None else str(n) for n in _first(own, channel))
            build.notes[f"the model was made for {told} and is read with {wanted}"] = None
        return given
    assert own is not None
    if None not in own:
        return tuple(n for n in own if n is not None)
    channel = build.channel_axis(len(own))
    if len(own) != 3 or own[channel] is None:
        raise RfcalcError(
            f"the input {shown(name)} has free sizes",
            why=f"it is {'x'.join('?' if n is None else str(n) for n in _first(own, channel))}",
            fix=f"give them: --input {name}=…",
        )
    sized = tuple(USUAL if n is None else n for n in own)
    told = "x".join(map(str, _first(sized, channel)))
    build.notes[f"the input is {told}: the model leaves its size free and none was given"] = None
    return sized


def _first(values: tuple[Any, ...], channel: int) -> tuple[Any, ...]:
    """Channels first."""
    return (values[channel], *(v for i, v in enumerate(values) if i != channel))
