"""What backward needs that no node stands for: indices that code computes, maps that are written over."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from rfcalc.readers.torch.recorder import memory_of
from rfcalc.readers.torch.recording import Recording
from rfcalc.readers.torch.tensors import Static, TensorBuilder

INDEXING = frozenset(("index", "__getitem__", "index_select", "gather", "embedding"))
WHOLE = (torch.int64, torch.int32)


def indexed(graph: TensorBuilder, recording: Recording, steps: Mapping[str, int]) -> dict[str, int]:
    """The bytes of indices that nodes keep, where code computes them without its inputs: those that are no buffer's
    memory, once where several nodes read them."""
    seen: set[int] | None = None
    found: dict[str, int] = {}
    for name, number in steps.items():
        if number < 0 or recording.steps[number].name not in INDEXING:
            continue
        for index in recording.steps[number].given:
            computed = index.dtype in WHOLE and isinstance(graph.entry(index), Static)
            if not computed:
                continue
            seen = {memory_of(t) for t in recording.parts.tensors} if seen is None else seen
            if memory_of(index) not in seen:
                seen.add(memory_of(index))
                found[name] = found.get(name, 0) + index.untyped_storage().nbytes()
    return found


def computed(
    graph: TensorBuilder, recording: Recording, named: Mapping[int, str], steps: Mapping[str, int]
) -> dict[str, int]:
    """The bytes of what code computes in every step without its inputs, by the node that stands for it; memory that is
    the module's own, or that several nodes share, is there once."""
    arity = len(graph.inputs)
    fixed = {p: t for p, t in graph.held.items() if p in named and not graph.nodes[p - arity].inputs}
    made = set[int]()
    for step in recording.steps if fixed else ():
        if not step.views:
            read = {memory_of(t) for t in step.given}
            made.update({memory_of(t) for t in step.outs} - read)
    found: dict[str, int] = {}
    for position, tensor in fixed.items():
        if steps[named[position]] >= 0 and memory_of(tensor) in made:
            made.discard(memory_of(tensor))
            found[named[position]] = tensor.untyped_storage().nbytes()
    return found


def in_place(recording: Recording, steps: Mapping[str, int]) -> dict[str, int]:
    """The nodes that write over their input; the values of the map of which that is a view, for which PyTorch makes
    copies of the gradient (0: it is none)."""
    found = {}
    for name, number in steps.items():
        step = recording.steps[number] if number >= 0 else None
        if step is not None and step.name.endswith("_") and not step.name.endswith("__"):
            first = next(iter(step.given), None)
            if first is not None:
                found[name] = 0 if first._base is None else first._base.numel()
    return found
