"""Translators of Keras' layers, one function for each family, by class name; a file is loaded when it is needed.

A translator takes a `LayerCall` and gives the value (or values) that the layer makes. It raises `NotUnderstood` where a
setting has no translation; then an `Unknown` stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from rfcalc.core.errors import RfcalcError, ShapeError, UnknownSize
from rfcalc.readers.builder.values import NotUnderstood
from rfcalc.readers.configuration import malformed, shown
from rfcalc.readers.keras.graph import LayerCall

Translator = Callable[[LayerCall], Any]

FILES = (
    *("conv", "pool", "dense", "norm", "pointwise", "rearrange", "merge", "attention", "recurrent", "wrapped"),
    *("ops", "ops_layout"),
)
LAYERS: dict[str, Translator] = {}
OPERATIONS: dict[str, Translator] = {}  # keras.ops.*, which stand in a model's graph beside its layers
OF_APPLICATIONS = ("LayerScale", "StochasticDepth", "CustomScaleLayer")  # keras.applications' own


def layer(*names: str) -> Callable[[Translator], Translator]:
    """Register the translator of these layers."""

    def register(function: Translator) -> Translator:
        LAYERS.update(dict.fromkeys(names, function))
        return function

    return register


def operation(*names: str) -> Callable[[Translator], Translator]:
    """Register the translator of these operations."""

    def register(function: Translator) -> Translator:
        OPERATIONS.update(dict.fromkeys(names, function))
        return function

    return register


@cache
def _load() -> None:
    for name in FILES:
        import_module(f"{__name__}.{name}")


def translator(entry: Mapping[str, Any], kind: str) -> Translator | None:
    """The translator of a layer that is Keras' own; a layer of the same name from elsewhere is another one."""
    _load()
    module, registered = entry.get("module"), entry.get("registered_name")
    if not (module is None or isinstance(module, str)):
        return None
    place = module or "keras.layers"
    if place.startswith("keras.src.ops"):
        return OPERATIONS.get(kind)
    if kind in OF_APPLICATIONS:
        return LAYERS.get(kind) if place.startswith("keras.src.applications") else None
    own = place == "keras" or place.startswith(("keras.layers", "keras.src.layers", "tensorflow.keras.layers"))
    return LAYERS.get(kind) if own and registered in (None, "", kind) else None


def translate(entry: Mapping[str, Any], call: LayerCall) -> Any:
    """What a layer makes of its inputs.

    Raises:
        RfcalcError: the configuration says something that no such layer can say, or a layer was not understood and
            nothing tells the shape that it makes.
    """
    function = translator(entry, call.kind)
    before = len(call.build.graph.shapes)
    call.build.begin(call.name)
    try:
        if function is None:
            own = str(entry.get("module") or "keras").partition(".")[0] == "keras"
            raise NotUnderstood("a layer of Keras' that is not translated" if own else "a layer of your own")
        return function(call)
    except NotUnderstood as reason:
        if call.build.sized and isinstance(reason.__cause__, ShapeError):  # the size is refused
            raise reason.__cause__.at(call.name) from None
        call.build.back_to(before)
        return _unknown(call, str(reason))
    except RfcalcError as error:
        raise error.at(call.name) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # a file may say anything: what no field's check foresaw is refused here rather than shown as a traceback
        raise malformed(
            call.name, f"the configuration of this {shown(call.kind)} is not understood: {str(error)[:120]}"
        ) from None


def _unknown(call: LayerCall, why: str) -> Any:
    """A node for each map that a layer makes which was not understood."""
    if call.build.sized:
        why = f"the layer {shown(call.kind)} was not understood: {why}"
        raise UnknownSize("the size of what it makes at other sizes is not known", where=call.name, why=why)
    shapes = [d for d in call.known if d is not None]
    if len(shapes) < len(call.known) or not shapes:
        raise RfcalcError(
            f"the layer {shown(call.kind)} was not understood, and nothing tells the shape that it makes",
            where=call.name,
            why=why or None,
            fix="give the model itself: rfcalc.from_keras(model), or py:your.module:build on the command line",
        )
    found = []
    for i, dims in enumerate(shapes):
        sizes = tuple(guess(call, dims, k) for k in range(len(dims)))
        name = call.name if len(shapes) == 1 else f"{call.name}.{i}"
        found.append(call.build.not_understood(call.kind, call.inputs, sizes, name, why))
    return found if len(found) > 1 else found[0]


def guess(call: LayerCall, dims: tuple[int | None, ...], k: int) -> int:
    """A size of an operator that was not understood: what Keras says, or where that is free, its input's."""
    size = dims[k]
    if size is not None and call.build.compare:
        return size
    for value in call.inputs:
        if value.rank == len(dims):
            call.build.notes[f"{call.name}: the free sizes of what it makes are taken to be its input's"] = None
            return value.dims[k] if size is None else size
    if size is not None:
        return size
    raise RfcalcError(
        f"the layer {shown(call.kind)} was not understood, and the size that it makes is free",
        where=call.name,
        fix="save the model with a fixed input size",
    )
