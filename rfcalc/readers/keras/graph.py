"""Walks a model's configuration, layer by layer in the order of the data; nested models in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from rfcalc.core.errors import NetworkError, RfcalcError
from rfcalc.readers.configuration import Fields, dims, malformed, shown
from rfcalc.readers.keras.build import Build, KerasValue

MODELS = ("Functional", "Sequential", "Model")
DEEPEST = 20  # models inside models
T = TypeVar("T")
DEEPEST_ARGUMENTS = 12
MOST_OUTPUTS = 1000  # of one layer


class LayerOutput(NamedTuple):
    """A reference to what a layer made at one of its uses."""

    layer: str
    use: int
    output: int
    dims: tuple[int | None, ...] | None


class Scope(NamedTuple):
    """Where in nested models a layer stands: prefix of its nodes' names, path of the layers themselves, the model."""

    prefix: str = ""
    path: str = ""
    live: Any = None
    depth: int = 0

    def layer(self, name: str) -> Any:
        """The layer object of this name, if the model itself was given."""
        for layer in getattr(self.live, "layers", None) or ():
            if getattr(layer, "name", None) == name:
                return layer
        return None


class LayerCall(NamedTuple):
    """One use of one layer: what a translator gets."""

    build: Build
    kind: str
    fields: Fields
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    name: str  # of its nodes
    owner: str  # the layer that holds the weights
    known: tuple[tuple[int | None, ...] | None, ...]  # shapes that Keras says it makes
    built: Mapping[str, Any]

    @property
    def inputs(self) -> list[KerasValue]:
        """All maps that it reads, in order."""
        return list(flat((self.args, self.kwargs), KerasValue))

    @property
    def x(self) -> KerasValue:
        """The one map that it reads first."""
        found = self.inputs
        if not found:
            raise malformed(self.name, "the layer reads nothing")
        return found[0]


def flat(value: Any, kind: type[T]) -> Iterator[T]:
    """The objects of a class in nested lists and mappings, in order."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for v in value.values() if isinstance(value, Mapping) else value:
            yield from flat(v, kind)


def model(build: Build, data: Any, inputs: list[KerasValue] | dict[str, KerasValue], scope: Scope) -> Any:
    """The outputs of a model, as its configuration nests them."""
    kind, config = data.get("class_name"), data.get("config")
    if scope.depth > DEEPEST:
        raise malformed(scope.path, f"models are nested more than {DEEPEST} deep")
    if isinstance(config, list):  # Sequential, as Keras 2.0 and 2.1 wrote it
        config = {"layers": config}
    if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
        raise subclassed(kind, scope.path)
    if kind == "Sequential":
        return _sequential(build, config, inputs, scope)
    return _functional(build, config, inputs, scope)


def subclassed(kind: Any, where: str = "") -> RfcalcError:
    """A model that is code has no graph to read."""
    return RfcalcError(
        f"{shown(kind)} is neither a Functional nor a Sequential model",
        where=where or None,
        why="the call of a subclassed model is code, which is not in its configuration",
        fix="make it functional: x = keras.Input(shape); keras.Model(x, model.call(x))",
    )


def entries(config: Mapping[str, Any], where: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The layers of a model with their names."""
    found = []
    for i, entry in enumerate(config["layers"]):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("class_name"), str):
            raise malformed(where or "the model", f"layer {i} is {shown(entry)}, not a layer")
        inner = entry.get("config")
        name = entry.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None) or f"layer{i}"
        if not isinstance(name, str) or len(name) > 300:
            raise malformed(where or "the model", f"the name of layer {i} is {shown(name)}")
        found.append((name, entry))
    return found


def input_dims(entry: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    """The shape that an entry of a model declares for its input."""
    config = entry.get("config")
    if not isinstance(config, Mapping):
        return None
    for key in ("batch_shape", "batch_input_shape"):
        if config.get(key) is not None:
            return dims(config[key], key)
    return None


def _sequential(build: Build, config: Mapping[str, Any], inputs: Any, scope: Scope) -> Any:
    values = list(inputs.values()) if isinstance(inputs, dict) else list(inputs)
    if len(values) != 1:
        raise malformed(scope.path, f"a Sequential model takes one input, and gets {len(values)}")
    value: Any = values[0]
    layers = [(n, e) for n, e in entries(config, scope.path) if e["class_name"] != "InputLayer"]
    for i, (name, entry) in enumerate(layers):
        follower = layers[i + 1][1] if i + 1 < len(layers) else {}
        built = follower.get("build_config")
        known = dims(built.get("input_shape"), name) if isinstance(built, Mapping) else None
        value = call(build, entry, name, (value,), {}, scope, (known,))
        if isinstance(value, (list, tuple)) and not isinstance(value, KerasValue):
            raise malformed(name, "a layer of a Sequential model makes several maps")
    return value


def _functional(build: Build, config: Mapping[str, Any], inputs: Any, scope: Scope) -> Any:
    listed = entries(config, scope.path)
    by_name = dict(listed)
    if len(by_name) != len(listed):
        raise malformed(scope.path or "the model", "two of its layers have one name")
    order = [t.layer for t in flat(references(config.get("input_layers"), scope.path), LayerOutput)]
    if isinstance(inputs, dict):
        bound = inputs
    elif len(order) == len(inputs):
        bound = dict(zip(order, inputs, strict=True))
    else:
        raise malformed(scope.path, f"it takes {len(order)} inputs, and gets {len(inputs)}")
    uses: dict[tuple[str, int], tuple[Any, Any]] = {}
    known: dict[tuple[str, int, int], tuple[int | None, ...]] = {}
    read: dict[tuple[str, int], int] = {}
    for name, entry in listed:
        nodes = entry.get("inbound_nodes") or []
        if not isinstance(nodes, list):
            raise malformed(name, "its connections are no list")
        for use, node in enumerate(nodes):
            uses[name, use] = arguments(node, name)
            for t in flat(uses[name, use], LayerOutput):
                read[t.layer, t.use] = max(read.get((t.layer, t.use), 0), t.output)
                if t.dims is not None:
                    known[t.layer, t.use, t.output] = t.dims
    made: dict[tuple[str, int], list[Any]] = {(name, 0): [value] for name, value in bound.items()}
    told = _told_outputs(scope.live, config.get("output_layers"), scope.path)
    for key in _in_order(uses, made):
        name, use = key
        args, kwargs = (_filled(part, made) for part in uses[key])
        count = min(read.get(key, 0), MOST_OUTPUTS) + 1
        shapes = [known.get((name, use, i), told.get((name, use, i))) for i in range(count)]
        found = call(build, by_name[name], name, args, kwargs, scope, tuple(shapes))
        made[key] = list(flat(found, KerasValue))
        if not made[key]:
            raise malformed(name, "the layer makes nothing")
    return _filled(_recounted(references(config.get("output_layers"), scope.path), uses, read), made)


def _recounted(refs: Any, uses: Mapping[tuple[str, int], Any], read: Mapping[tuple[str, int], int]) -> Any:
    """A model's outputs with the uses of layers as this model counts them.

    Keras counts a layer's uses in other models too, its making included, where it names outputs (not where layers read
    one another). Uses that no layer reads are outputs: the last of them is the last that is named.
    """
    named: dict[str, int] = {}
    for t in flat(refs, LayerOutput):
        named[t.layer] = max(named.get(t.layer, 0), t.use)
    shift = {}
    for name, most in named.items():
        own = [use for layer, use in uses if layer == name]
        if own and (name, most) not in uses:
            free = [use for use in own if (name, use) not in read]
            shift[name] = most - max(free or own)

    def moved(value: Any) -> Any:
        if isinstance(value, LayerOutput):
            return value._replace(use=value.use - shift.get(value.layer, 0))
        if isinstance(value, Mapping):
            return {k: moved(v) for k, v in value.items()}
        return [moved(v) for v in value] if isinstance(value, list) else value

    return moved(refs)


def _told_outputs(live: Any, written: Any, where: str) -> dict[tuple[str, int, int], tuple[int | None, ...]]:
    """The shapes of a model's outputs, where the model itself was given: no layer reads them, so no layer tells."""
    shapes = [getattr(t, "shape", None) for t in getattr(live, "outputs", None) or ()]
    refs = list(flat(references(written, where), LayerOutput))
    if len(refs) != len(shapes):
        return {}
    found = {}
    for t, shape in zip(refs, shapes, strict=True):
        told = dims(list(shape), where) if shape is not None else None
        if told is not None:
            found[t.layer, t.use, t.output] = told
    return found


def _in_order(uses: Mapping[tuple[str, int], Any], made: Mapping[tuple[str, int], Any]) -> Iterator[tuple[str, int]]:
    """Every use after those that it reads, otherwise in the order of the file; without recursion.

    Raises:
        NetworkError: a cycle, or a reference to nothing.
    """
    state: dict[tuple[str, int], int] = {}
    needs = {
        key: list(dict.fromkeys((t.layer, t.use) for t in flat(parts, LayerOutput))) for key, parts in uses.items()
    }
    for root in uses:
        stack = [root]
        while stack:
            key = stack[-1]
            if key in made or state.get(key) == 2:
                stack.pop()
                continue
            if key not in uses:
                raise NetworkError(
                    f"{shown(key[0])} (use {key[1]}) is read, and nothing makes it",
                    where=stack[-2][0] if len(stack) > 1 else None,
                )
            if state.get(key) == 1:
                stack.pop()
                state[key] = 2
                yield key
                continue
            state[key] = 1
            for need in needs[key]:
                if state.get(need) == 1:
                    raise NetworkError("the network has a cycle", why=f"{shown(need[0])} reads {shown(key[0])} …")
            stack += reversed([n for n in needs[key] if n not in made and state.get(n) != 2])


def arguments(node: Any, where: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of one use, with a `LayerOutput` for each map: as Keras 3 writes them, or Keras 2."""
    if isinstance(node, Mapping):
        args, kwargs = node.get("args", []), node.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, Mapping):
            raise malformed(where, "its arguments are not understood")
        return tuple(_argument(a, where, 0) for a in args), {k: _argument(v, where, 0) for k, v in kwargs.items()}
    if isinstance(node, list) and node:
        named = node if isinstance(node[0], list) else [node]
        tensors = [_reference(n[:3] if isinstance(n, list) else n, where) for n in named]
        last = named[-1]
        more = last[3] if isinstance(last, list) and len(last) > 3 and isinstance(last[3], Mapping) else {}
        return (tensors[0] if len(tensors) == 1 else tensors,), dict(more)
    raise malformed(where, f"{shown(node)} is not a connection")


def _argument(value: Any, where: str, depth: int) -> Any:
    if depth > DEEPEST_ARGUMENTS:
        raise malformed(where, "its arguments are nested too deeply")
    if isinstance(value, list):
        return [_argument(v, where, depth + 1) for v in value]
    if not isinstance(value, Mapping):
        return value
    config = value.get("config")
    if value.get("class_name") == "__keras_tensor__" and isinstance(config, Mapping):
        return _reference(config.get("keras_history"), where)._replace(dims=dims(config.get("shape"), where))
    if value.get("class_name") == "__slice__" and isinstance(config, Mapping):
        return slice(config.get("start"), config.get("stop"), config.get("step"))
    return {k: _argument(v, where, depth + 1) for k, v in value.items()}


def _reference(value: Any, where: str) -> LayerOutput:
    if isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str):
        name, use, index = value
        if all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1_000_000 for n in (use, index)):
            return LayerOutput(name, use, index, None)
    raise malformed(where, f"{shown(value)} names no map", "a reference is [layer, use, output]")


def references(value: Any, where: str, depth: int = 0) -> Any:
    """Names of maps as a configuration nests them: [layer, use, output], lists of these, or by name."""
    if depth > DEEPEST_ARGUMENTS:
        raise malformed(where, "its outputs are nested too deeply")
    if isinstance(value, Mapping):
        return {k: references(v, where, depth + 1) for k, v in value.items()}
    if isinstance(value, list) and value and not isinstance(value[0], str):
        return [references(v, where, depth + 1) for v in value]
    return _reference(value, where or "the model")


def _filled(value: Any, made: Mapping[tuple[str, int], list[Any]]) -> Any:
    """The arguments with the values for the references."""
    if isinstance(value, LayerOutput):
        found = made.get((value.layer, value.use))
        if found is None or value.output >= len(found):
            raise NetworkError(f"output {value.output} of {shown(value.layer)} is read, and nothing makes it")
        return found[value.output]
    if isinstance(value, tuple) and not isinstance(value, KerasValue):
        return tuple(_filled(v, made) for v in value)
    if isinstance(value, list):
        return [_filled(v, made) for v in value]
    if isinstance(value, Mapping):
        return {k: _filled(v, made) for k, v in value.items()}
    return value


def call(
    build: Build,
    entry: Mapping[str, Any],
    name: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    scope: Scope,
    known: tuple[tuple[int | None, ...] | None, ...],
) -> Any:
    """What one use of one layer makes."""
    kind = entry["class_name"]
    live = scope.layer(name)
    owner = f"{scope.path}{name}" if live is None else _identity(build, live, f"{scope.path}{name}")
    if kind in MODELS and isinstance(entry.get("config"), (Mapping, list)):
        label = build.name(f"{scope.prefix}{name}")
        inside = Scope(f"{label}.", f"{owner}/", live, scope.depth + 1)
        outputs = model(build, entry, list(flat((args, kwargs), KerasValue)), inside)
        if isinstance(outputs, KerasValue):
            build.alias(label, outputs)
        return outputs
    built = entry.get("build_config")
    found = build.translate(
        entry,
        LayerCall(
            build, kind, Fields(entry.get("config") or {}, f"{scope.path}{name}"), args, kwargs,
            f"{scope.prefix}{name}", owner, known, built if isinstance(built, Mapping) else {},
        ),
    )  # fmt: skip
    for value, told in zip(flat(found, KerasValue), known, strict=False):
        build.expect(value, told)
    return found


def _identity(build: Build, live: Any, path: str) -> str:
    """One name for one layer object, wherever in nested models it stands: that of its first place."""
    return build.objects.setdefault(id(live), path)
