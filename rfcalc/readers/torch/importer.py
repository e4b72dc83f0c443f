"""Read a PyTorch module as a network: `from_torch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

import torch

from rfcalc.core.errors import NetworkError, RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.layers.pointwise import Identity
from rfcalc.readers.builder.naming import expression, names, paths_of, pruned
from rfcalc.readers.builder.values import Frame
from rfcalc.readers.imported import Imported, imported
from rfcalc.readers.torch.recording import Given, Recording, Step, lazy, materialized, record, tensors, written
from rfcalc.readers.torch.tensors import Graph, Stale, Static, dims_of
from rfcalc.readers.torch.translate import load, translate

DEFAULT_INPUT = "3x224x224"


def from_torch(module: torch.nn.Module, inputs: Any = None, *, training: bool = False, name: str = "") -> Imported:
    """Read a module: its `forward` runs once on tensors without data, and every operator becomes a layer.

    The module is not changed, nothing is allocated or computed. Layer names are module paths (``layer3.5.conv2``).

    >>> import torch
    >>> from rfcalc import analyze, from_torch
    >>> from torch import nn
    >>> read = from_torch(nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(2)), "3x32x32")
    >>> read.network.node("0").layer, analyze(read).rows[-1].receptive_field.size
    (Conv(8, 3, 2), (5, 5))

    Args:
        module: any `torch.nn.Module`, on any device (``meta`` too).
        inputs: the shape of its input, channels first, without the batch (``"3x224x224"``, the default); shapes by the
            names of `forward`'s arguments; or tensors with the batch, of which shape and dtype are taken.
        training: read it in training mode, as it is; otherwise it is read in evaluation mode.
        name: what the network is called; the class if left out.

    Raises:
        RfcalcError: it does not run on such inputs, or decides on values (data-dependent control flow); the message
            has torch's reason and where it was.
        ShapeError: an operator was translated wrongly; with both shapes.
    """
    given, notes = _inputs(module, inputs)
    if lazy(module):
        module = materialized(module, given)
    recording = record(module, given, training)
    if recording.grown:  # it makes its layers when it first runs
        module = materialized(module, given)
        recording = record(module, given, training)
    load()
    graph = _graph(module, recording)
    for number, step in enumerate(recording.steps):
        graph.step = number
        if any(True for _ in tensors(step.out)):
            translate(graph, step)
    outputs = _outputs(graph, recording)
    gone = pruned(graph, outputs)
    kept = [p for p in range(len(graph.inputs), len(graph.shapes)) if p not in gone]
    named = names(graph, recording.steps, gone)
    network = Network(
        expression(graph, kept, named, paths_of(graph, recording.steps, kept)),
        {n: graph.shapes[i] for i, n in enumerate(graph.inputs)},
        outputs=tuple(dict.fromkeys(named[p] for p in outputs)),
        name=name or type(getattr(module, "_orig_mod", module)).__name__,
    )
    own = {id(p) for p in module.parameters()}
    used = [t for step in recording.steps for a in step.args.values() for t in tensors(a)]
    strange = {id(t): t.numel() for t in used if isinstance(t, torch.nn.Parameter) and id(t) not in own}
    if strange:
        notes.append(
            f"{sum(strange.values()):,} values of parameters that the module does not register (of modules in a plain"
            " list, or made in forward) are used and, as by PyTorch, not counted"
        )
    notes += [f"taken to hold, whatever the input: {line}" for line in recording.assumed]
    if not training and any(getattr(m, "training", False) for m in module.modules()):
        notes.append("the module is read in evaluation mode")
    unused = {n: graph.size(n) for n in graph.dims if n not in graph.counted}
    shapes = {named[p]: graph.shapes[p].dims for p in kept}
    made = imported(
        network,
        notes=notes,
        unknown=graph.report(named),
        shapes=shapes,
        params=sum(graph.size(n) for n in graph.dims),
        unused=unused,
    )
    return replace(made, origins={named[p]: recording.steps[graph.nodes[p - len(graph.inputs)].step] for p in kept})


def read(model: torch.nn.Module, inputs: Any = None) -> Imported:
    """What `target.MODELS` calls: the module read in evaluation mode."""
    return from_torch(model, inputs)


def _inputs(module: torch.nn.Module, given: Any) -> tuple[Given, list[str]]:
    """Shapes with the batch and dtypes by name; what was assumed."""
    names, required = _arguments(module)
    kind = next((p.dtype for p in module.parameters() if p.dtype.is_floating_point), torch.float32)
    notes: list[str] = []
    if given is None:
        if len(required) > 1:
            raise NetworkError(
                f"{type(module).__name__} has {len(required)} inputs",
                fix="give a shape for each: " + " ".join(f"{n}=3x224x224" for n in required),
            )
        given = DEFAULT_INPUT
        notes.append(f"the input is {DEFAULT_INPUT}: none was given")
    if isinstance(given, Mapping):
        given = {names[0] if n == "input" and n not in names and len(given) == 1 else n: v for n, v in given.items()}
        unknown = [n for n in given if n not in names]
        if unknown:
            raise NetworkError(f"there is no input {unknown[0]!r}", why=f"forward takes {', '.join(names)}")
        ordered = [n for n in names if n in given]
        if ordered != names[: len(ordered)]:
            raise NetworkError(f"the input {names[0]!r} has no shape", why=f"forward takes {', '.join(names)}")
        found = {n: _one(given[n], kind) for n in ordered}
    elif isinstance(given, (list, tuple)) and given and isinstance(given[0], (torch.Tensor, str, Shape, tuple, list)):
        found = {n: _one(v, kind) for n, v in zip(names, given, strict=False)}
    else:
        found = {names[0] if names else "input": _one(given, kind)}
    if len(found) == 1:  # one input is called input, as everywhere
        found = {"input": next(iter(found.values()))}
    return found, notes


def _arguments(module: torch.nn.Module) -> tuple[list[str], list[str]]:
    """The names of the arguments of `forward`, and of those that have no default."""
    if isinstance(module, torch.jit.ScriptModule):
        arguments = module._c._get_method("forward").schema.arguments[1:]
        return [a.name for a in arguments], [a.name for a in arguments if not a.has_default_value()]
    parameters = [p for p in signature(module.forward).parameters.values() if p.kind < p.VAR_KEYWORD]
    required = [p.name for p in parameters if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    return [p.name for p in parameters], required


def _one(given: Any, kind: torch.dtype) -> tuple[tuple[int, ...], torch.dtype]:
    if isinstance(given, torch.Tensor):
        if given.dim() < 2:
            raise RfcalcError(
                f"a tensor of shape {tuple(given.shape)} has no batch axis", fix="give it with one, or a shape"
            )
        return (1, *dims_of(given)[1:]), given.dtype
    return (1, *Shape.of(given).dims), kind


def _graph(module: torch.nn.Module, recording: Recording) -> Graph:
    named = {id(p): written(n) for n, p in module.named_parameters()}
    dims = {written(n): dims_of(p) for n, p in module.named_parameters()}
    uses: dict[str, int] = dict.fromkeys(dims, 0)
    for step in recording.steps:
        for argument in step.args.values():
            for t in tensors(argument):
                if id(t) in named:
                    uses[named[id(t)]] += 1
    graph = Graph(dims, names=named, uses=uses, translate=translate, written=recording.written)
    for name, tensor in recording.inputs.items():
        full = dims_of(tensor)
        graph.env[id(tensor)] = graph.input(name, Shape(*full[1:]), full, 0)
    return graph


def _outputs(graph: Graph, recording: Recording) -> list[int]:
    """The positions of the outputs; an input that is passed on gets a node.

    Raises:
        NetworkError: nothing that comes out depends on the input.
    """
    found: list[int] = []
    graph.step = len(recording.steps) - 1
    if not recording.steps:
        recording.steps.append(_nothing(recording))
        graph.step = 0
    for _, tensor in recording.outputs:
        entry = graph.entry(tensor)
        if isinstance(entry, (Static, Stale)):
            continue
        if entry.node < len(graph.inputs):
            entry = graph.add(Identity(), (entry.node,), entry.dims, entry.batch, stem="identity")
        found.append(entry.node)
    if not found:
        raise NetworkError("nothing that the module returns depends on its input")
    return found


def _nothing(recording: Recording) -> Step:
    return Step("identity", "", {}, None, Frame("", False), False, False)
