"""Values of what depends on no input: those that the run has computed, or the steps that made them are run again."""

from __future__ import annotations

from typing import Any

import torch

from rfcalc.readers.torch.recorder import memory_of, tensors
from rfcalc.readers.torch.tensors import Static, TensorBuilder

_SAME = ("alias", "detach", "detach_", "lift_fresh", "contiguous")
MOST_STEPS = 100
MOST_VALUES = 1 << 20


FILLED = ("ones", "zeros", "full", "ones_like", "zeros_like", "full_like", "new_ones", "new_zeros", "new_full")


def uniform(graph: TensorBuilder, tensor: Any) -> bool:
    """Whether a tensor that depends on no input is known to hold one number everywhere."""
    entry = graph.entry(tensor) if tensor is not None else None
    if not isinstance(entry, Static) or entry.parameter:
        return False
    if entry.step is not None and entry.step.name in FILLED and memory_of(tensor) not in graph.written:
        return True
    values = known(graph, tensor)
    return values is not None and values.numel() > 0 and bool((values == values.flatten()[0]).all())


def known(graph: TensorBuilder, tensor: Any) -> torch.Tensor | None:
    """The values of a tensor that depends on no input and no parameter; None where they cannot be told.

    Those that are there; others are made again if they are small and made by few steps. Random ones cannot be told.
    """
    entry = graph.entry(tensor)
    if not isinstance(entry, Static):
        return None
    if graph.leaves(tensor):
        return None
    return _value(entry, tensor, [MOST_STEPS], graph.written, graph.once)


def _value(
    entry: Static, tensor: Any, left: list[int], written: frozenset[int], once: frozenset[int]
) -> torch.Tensor | None:
    left[0] -= 1
    if left[0] < 0 or entry.parameter:
        return None
    there = not isinstance(tensor, torch.nn.Parameter) and not tensor.is_meta and tensor.layout == torch.strided
    if there and (entry.step is None or memory_of(tensor) not in written):
        values: torch.Tensor = tensor.detach().cpu()
        return values
    if there and entry.step is not None and entry.step.writes and memory_of(tensor) in once:
        return tensor.detach().cpu()  # type: ignore[no-any-return]
    if entry.step is None or tensor.numel() > MOST_VALUES:
        return None
    step = entry.step
    if step.name in _SAME:
        (same,) = (t for t in tensors(step.args.get("self")))
        source = entry.sources.get(id(same))
        return _value(source, same, left, written, once) if isinstance(source, Static) else None
    operator = getattr(getattr(torch.ops.aten, step.name, None), step.overload or "default", None)
    if operator is None or step.writes or torch.Tag.nondeterministic_seeded in operator.tags:
        return None
    given: dict[str, Any] = {}
    for argument in operator._schema.arguments:
        value = step.args.get(argument.name)
        found = []
        for t in tensors(value):
            source = entry.sources.get(id(t))
            made = _value(source, t, left, written, once) if isinstance(source, Static) else None
            if made is None:
                return None
            found.append(made)
        if isinstance(value, torch.Tensor):
            value = found[0]
        elif found:
            if not isinstance(value, (list, tuple)) or len(found) != len(value):
                return None
            value = found
        given[argument.name] = torch.device("cpu") if argument.name == "device" else value
    try:
        result = operator(**given)
    except Exception:  # whatever stands in the way of running it, its values are not known
        return None
    return result if isinstance(result, torch.Tensor) else None
