"""Read a PyTorch module as a network: `from_torch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from rfcalc.core import progress
from rfcalc.core.dtypes import DTYPES
from rfcalc.core.errors import NetworkError, RfcalcError, plural
from rfcalc.core.lengths import watching
from rfcalc.core.shape import Shape
from rfcalc.graph import uncollected
from rfcalc.graph.network import Network
from rfcalc.layers.pointwise import Identity
from rfcalc.readers.builder.naming import expression, names, paths_of, pruned
from rfcalc.readers.builder.values import Frame, Value
from rfcalc.readers.imported import Imported, imported
from rfcalc.readers.torch.amounts import amounts
from rfcalc.readers.torch.batching import sizes
from rfcalc.readers.torch.beside import computed, in_place, indexed
from rfcalc.readers.torch.by_itself import ran
from rfcalc.readers.torch.copies import copied
from rfcalc.readers.torch.entrance import channels_of, is_signal
from rfcalc.readers.torch.facts import blinded
from rfcalc.readers.torch.fixed import uniform
from rfcalc.readers.torch.given import ForwardCall, calls
from rfcalc.readers.torch.heard import Heard
from rfcalc.readers.torch.recording import Operation, Recording, lazy, materialized, record, written
from rfcalc.readers.torch.source import Returned, Source
from rfcalc.readers.torch.tensors import Stale, Static, TensorBuilder, dims_of
from rfcalc.readers.torch.translate import load, translate
from rfcalc.readers.torch.untouched import tells_its_class


@uncollected
def from_torch(
    module: torch.nn.Module,
    input: Any = None,  # noqa: A002
    *,
    training: bool = False,
    name: str = "",
    exact: bool = False,
) -> Imported:
    """Read a module: its `forward` runs once on tensors without data, and every operator becomes a layer.

    The module is not changed, nothing is allocated or computed. Layer names are module paths (``layer3.5.conv2``).

    >>> import torch
    >>> from rfcalc import analyze, from_torch
    >>> from torch import nn
    >>> read = from_torch(nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(2)), "3x32x32")
    >>> read.network.node("0").layer, analyze(read).rows[-1].receptive_field.size
    (Conv(8, 3, stride=2), (5, 5))

    Args:
        module: any `torch.nn.Module`, on any device (``meta`` too).
        input: the shape of its input, channels first, without the batch (``"3x224x224"``, the default); several by
            the names of `forward`'s arguments or in their order; shapes, ``"int64:16"``, numbers, dictionaries and
            lists of them, or tensors with the batch, of which shape and dtype are taken.
        training: read it in training mode, as it is; otherwise it is read in evaluation mode.
        name: what the network is called; the class if left out.
        exact: compute all that no input reaches, also what is large (`constants` has its values then).

    Raises:
        RfcalcError: it does not run on such inputs, or decides on values (data-dependent control flow); the message
            has torch's reason and where it was.
        ShapeError: an operator was translated wrongly; with both shapes.
    """
    if not isinstance(module, torch.nn.Module):
        fix = "give a module: from_torch(Net()); other networks are read by rfcalc.analyze and rfcalc.load"
        raise RfcalcError(f"{type(module).__name__} is no torch module", fix=fix)
    for path, part in module.named_modules():
        if not tells_its_class(part):
            raise RfcalcError(
                "the module does not tell its class",
                where=path or type(module).__name__,
                why="reading its attribute __class__ raises an error",
                fix="leave __class__ as Python makes it",
            )
    module, given, recording = _run(module, input, training, exact)
    did = ran(recording) if watching() is not None else None
    notes = list(given.notes)
    graph, heard = _translated(recording)
    outputs = _outputs(graph, recording)
    gone = pruned(graph, outputs)
    kept = [p for p in range(len(graph.inputs), len(graph.shapes)) if p not in gone]
    named = names(graph, recording.steps, gone)
    unused = {n: graph.size(n) for n in graph.dims if n not in graph.counted}
    frozen = _frozen(recording, graph, named)
    steps = _steps(graph, recording, kept, named)
    kept = _as_run(graph, kept, [steps[named[p]] for p in kept])
    recomputed = _recomputed(recording, steps)
    dtype = dtype_of(recording, given)
    network = Network(
        expression(graph, kept, named, paths_of(graph, recording.steps, kept)),
        {n: graph.shapes[i] for i, n in enumerate(graph.inputs)},
        outputs=tuple(dict.fromkeys(named[p] for p in outputs)),
        name=name or type(getattr(module, "_orig_mod", module)).__name__,
        source=Source(
            module,
            given,
            returned=_returned(graph, recording, named),
            frozen=frozen,
            unused=unused,
            training=training,
            sizes=sizes(recording),
            steps=steps,
            sizes_asked=recording.sizes_asked,
            catches=recording.catches,
            recomputed=recomputed,
            frames={name: recording.steps[number].frame.path for name, number in steps.items() if number >= 0},
            dtype=dtype,
            batches={named[p]: at for p in kept if (at := graph.nodes[p - len(graph.inputs)].batch)},
        ),
    )
    network.source.copied = copied(graph, recording, network, named, steps)
    network.source.indexed = indexed(graph, recording, steps)
    network.source.in_place = in_place(recording, steps)
    network.source.computed = computed(graph, recording, named, steps)
    network.source.amounts = amounts(graph, recording, steps)
    if not any(isinstance(m, torch.jit.ScriptModule) for _, m in recording.parts.modules):  # these ask unheard
        network.source.heard = heard.named({**named, **dict(enumerate(graph.inputs))})
        network.source.ran = did
    own = {id(p) for _, p in recording.parts.parameters}
    used = [t for step in recording.steps for t in step.given]
    strange = {id(t): t.numel() for t in used if isinstance(t, torch.nn.Parameter) and id(t) not in own}
    if strange:
        holders = list(unregistered(module))
        told = (
            f"the layers in {', '.join(holders[:3])} are not registered: use nn.ModuleList (nn.ModuleDict)"
            if holders
            else "they are made in forward, or held where PyTorch does not look"
        )
        notes.append(
            f"{plural(sum(strange.values()), 'value')} of parameters that the module does not register are used and, as"
            f" by PyTorch, not counted; {told}"
        )
    notes += graph.notes
    notes += [stored] if (stored := network.source.stored) else []
    notes += [f"taken to hold, whatever the input: {line}" for line in recording.assumed]
    if recomputed:
        notes.append(
            f"{plural(len(recomputed), 'part')} of it {'is' if len(recomputed) == 1 else 'are'} computed again in the "
            "backward pass (checkpointed); what is kept for backward is told as if nothing were"
        )
    if recording.derived:
        defines = "define derivatives of their own" if len(recording.derived) > 1 else "defines a derivative of its own"
        notes.append(
            f"{', '.join(recording.derived)} {defines} (torch.autograd.Function): what that keeps is not known, "
            "and is told as if PyTorch's were taken"
        )
    if not training and any(getattr(m, "training", False) for _, m in recording.parts.modules):
        notes.append("the module is read in evaluation mode")
    shapes = {named[p]: graph.shapes[p].dims for p in kept}
    made = imported(
        network,
        notes=notes,
        unknown=graph.report(named),
        shapes=shapes,
        params=sum(graph.size(n) for n in graph.dims),
        unused=unused,
        dtype=dtype,
    )
    return replace(
        made,
        origins={named[p]: recording.steps[graph.nodes[p - len(graph.inputs)].step] for p in kept},
        constants={named[p]: tensor for p, tensor in graph.held.items() if p in named},
    )


def read(model: torch.nn.Module, inputs: Any = None) -> Imported:
    """What `target.MODELS` calls: the module read in evaluation mode."""
    return from_torch(model, inputs)


def _translated(recording: Recording) -> tuple[TensorBuilder, Heard]:
    """The nodes of a recording, and which of them the code asked."""
    load()
    graph = _graph(recording)
    heard = Heard(graph)
    for number, step in enumerate(recording.steps):
        graph.step = number
        heard.before(number)
        progress.at("reading operators", number, len(recording.steps))
        if step.outs:
            translate(graph, step)
    heard.before(len(recording.steps))
    return graph, heard


def _ran(module: torch.nn.Module, call: ForwardCall, recording: Recording) -> Network:
    """What code ran until it was refused, as a network: all that nothing reads comes out of it."""
    graph, heard = _translated(recording)
    arity = len(graph.inputs)
    if not graph.nodes:
        recording.steps.append(_nothing(recording))
        graph.step = len(recording.steps) - 1
        for place, tensor in enumerate(recording.inputs.values()):
            x = graph.env[id(tensor)]
            graph.add(Identity(), (place,), x.dims, x.batch, stem="identity", extra=x.extra)
    kept = [*range(arity, len(graph.shapes))]
    named = names(graph, recording.steps, set())
    steps = _steps(graph, recording, kept, named)
    kept = _as_run(graph, kept, [steps[named[p]] for p in kept])
    read = {s for node in graph.nodes for s in node.inputs}
    network = Network(
        expression(graph, kept, named, paths_of(graph, recording.steps, kept)),
        {n: graph.shapes[i] for i, n in enumerate(graph.inputs)},
        outputs=tuple(named[p] for p in kept if p not in read),
        name=type(module).__name__,
        source=Source(module, call, steps=steps),
    )
    if not any(isinstance(m, torch.jit.ScriptModule) for _, m in recording.parts.modules):
        network.source.heard = heard.named({**named, **dict(enumerate(graph.inputs))})
    return network


def _run(
    module: torch.nn.Module, given: Any, training: bool, exact: bool = False
) -> tuple[torch.nn.Module, ForwardCall, Recording]:
    """The recording of the first call that runs, with the call, and the module that has all of its parameters."""
    first: RfcalcError | None = None
    second: tuple[torch.nn.Module, ForwardCall, Recording] | None = None
    for call in calls(module, given):
        whole = module
        try:
            if lazy(whole):
                whole = materialized(whole, call)
            recording = record(whole, call, training, exact)
            if recording.grown:  # it makes its layers when it first runs
                whole = materialized(whole, call)
                recording = record(whole, call, training, exact)
        except RfcalcError as error:
            if isinstance(error.ran, Recording):
                error.ran = partial(_ran, whole, call, error.ran)
            if first is None or (error.reached or 0) > (first.reached or 0):  # what came further is likelier meant
                first = error
            continue
        if any(_along_the_map(recording, leaf.name) for leaf in call.leaves if leaf.value is not None):
            second = second or (whole, call, recording)
            continue
        return whole, call, recording
    if second is not None:
        return second
    assert first is not None
    raise first


# what combines a number with a map value by value
POINTWISE = {
    "add", "sub", "rsub", "mul", "div", "pow", "fmod", "remainder", "lerp", "where", "maximum", "minimum",
    "clamp", "clamp_min", "clamp_max", "gt", "ge", "lt", "le", "eq", "ne"
}  # fmt: skip


def _along_the_map(recording: Recording, name: str) -> bool:
    """Whether a number, made a value for each item of the batch, is used as it is along the last axis of a map: for
    more than one item that would not run, so a number was meant."""
    held = recording.inputs.get(name)
    operands = (s.given for s in recording.steps if s.name in POINTWISE)
    return any(any(t is held for t in found) and any(t.dim() > 1 for t in found) for found in operands)


def _returned(graph: TensorBuilder, recording: Recording, named: Mapping[int, str]) -> tuple[Returned, ...]:
    """The nodes of the tensors that the module returns."""
    found = []
    for tensor in recording.outputs:
        entry = graph.entry(tensor)
        made = isinstance(entry, Value) and entry.node >= len(graph.inputs)
        found.append(Returned(named[entry.node], entry.batch) if made else Returned(None))
    return tuple(found)


def _steps(graph: TensorBuilder, recording: Recording, kept: Sequence[int], named: Mapping[int, str]) -> dict[str, int]:
    """The step that made each node, by its number; -1 for what is given with the weights."""
    numbers = {id(step): i for i, step in enumerate(recording.steps)}
    found = {}
    for position in kept:
        made = graph.nodes[position - len(graph.inputs)].step
        if position in graph.origins:
            step = graph.origins[position]
            made = -1 if step is None else numbers.get(id(step), -1)
        found[named[position]] = made
    return found


def _as_run(graph: TensorBuilder, kept: Sequence[int], numbers: Sequence[int]) -> list[int]:
    """The nodes in the order in which the code computes them. What depends on no input was made a node where it is
    first read; what is given with the weights stands before its first reader."""
    arity = len(graph.inputs)
    when = dict(zip(kept, numbers, strict=True))
    first: dict[int, tuple[int, int]] = {}
    for position in reversed(kept):
        key = (when[position], position) if when[position] >= 0 else first.get(position, (0, position))
        first[position] = min(key, first.get(position, key))
        for source in graph.nodes[position - arity].inputs:
            if source >= arity:
                first[source] = min(first[position], first.get(source, first[position]))
    return sorted(kept, key=lambda position: (*first[position], position))


def _recomputed(recording: Recording, steps: Mapping[str, int]) -> tuple[frozenset[str], ...]:
    """The nodes of each checkpointed part; parts of parts are part of these."""
    outer = [(a, b) for a, b in recording.again if not any(c <= a and b <= d for c, d in {*recording.again} - {(a, b)})]
    parts = (frozenset(n for n, step in steps.items() if a <= step < b) for a, b in dict.fromkeys(outer))
    return tuple(part for part in parts if part)


def _frozen(recording: Recording, graph: TensorBuilder, named: Mapping[int, str]) -> dict[str, int]:
    """How many parameters of each node get no gradient."""
    found: dict[str, int] = {}
    for name, p in recording.parts.parameters:
        node = -1 if p.requires_grad else graph.counted.get(written(name), -1)
        if node in named:
            found[named[node]] = found.get(named[node], 0) + p.numel()
    return found


def unregistered(module: torch.nn.Module) -> Iterator[str]:
    """The attributes that hold layers in a plain list or dictionary, where PyTorch does not find their parameters."""
    for path, m in module.named_modules():
        for name, value in vars(m).items():
            if name.startswith("_"):
                continue
            inside = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
            if any(isinstance(v, torch.nn.Module) for v in inside):
                yield f"{written(path)}.{name}" if path else name


def dtype_of(recording: Recording, call: ForwardCall) -> str:
    """The dtype that the module computes in: that of its parameters, else of its inputs."""
    found = dict.fromkeys([p.dtype for _, p in recording.parts.parameters] + [leaf.dtype for leaf in call.leaves])
    kinds = [str(d).removeprefix("torch.") for d in found if d.is_floating_point or d.is_complex]
    return next((k for k in kinds if k in DTYPES), "float32")


def _graph(recording: Recording) -> TensorBuilder:
    named = {id(p): written(n) for n, p in recording.parts.parameters}
    dims = {named[id(p)]: dims_of(p) for _, p in recording.parts.parameters}
    uses: dict[str, int] = dict.fromkeys(dims, 0)
    for step in recording.steps:
        for t in step.given:
            if id(t) in named:
                uses[named[id(t)]] += 1
    graph = TensorBuilder(
        dims,
        names=named,
        uses=uses,
        translate=translate,
        uniform=uniform,
        written=recording.written,
        once=recording.once,
        steps=recording.steps,
        numbers={id(step): i for i, step in enumerate(recording.steps)},
    )
    for name, tensor in recording.inputs.items():
        full = dims_of(tensor)
        if len(full) == 2 and is_signal(recording.steps, tensor):
            graph.env[id(tensor)] = graph.input(name, Shape(1, full[1]), full, 0)._replace(extra=True)
        else:
            shape = Shape(*(full[1:] or (1,)), channel=channels_of(recording.steps, tensor))
            if shape.channel:
                graph.note(f"axis {shape.channel} of {name} ({shape}) holds its channels: a convolution reads it so")
            graph.env[id(tensor)] = graph.input(name, shape, full, 0)
    return graph


def _outputs(graph: TensorBuilder, recording: Recording) -> list[int]:
    """The positions of the outputs; an input that is passed on gets a node.

    Raises:
        NetworkError: nothing that comes out depends on the input.
    """
    found: list[int] = []
    graph.step = len(recording.steps) - 1
    if not recording.steps:
        recording.steps.append(_nothing(recording))
        graph.step = 0
    for tensor in recording.outputs:
        blinded(graph, tensor)
        entry = graph.entry(tensor)
        if isinstance(entry, Static):
            continue
        if isinstance(entry, Stale):
            dims = dims_of(tensor)
            why = f"memory that {entry.operator} has written to through a view is returned"
            entry = graph.not_understood(
                entry.operator, why, (), dims, 0 if dims[:1] == (1,) else None, everything=True
            )
        if entry.node < len(graph.inputs):
            entry = graph.add(Identity(), (entry.node,), entry.dims, entry.batch, stem="identity", extra=entry.extra)
        found.append(entry.node)
    if not found:
        if any(0 in t.shape for t in recording.outputs):
            error = NetworkError("nothing is left of what the module returns")
            error.emptied = True
            raise error
        raise NetworkError("nothing that the module returns depends on its input")
    return found


def _nothing(recording: Recording) -> Operation:
    return Operation("identity", "", {}, None, Frame("", False), False, False)
