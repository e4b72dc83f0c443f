"""The numbers that operators are given beside maps: fractions, and constants of one value.

Code may compute them from the size of its input (``x / x.shape[-1]``), which no layer holds: readings at several sizes
tell by them that a part of the image would be computed otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import torch

from rfcalc.readers.torch.recording import Recording, tensors
from rfcalc.readers.torch.tensors import Static, TensorBuilder

FILLED = "fill_value"
DEEP = 16  # steps back from a constant without values to the number that it is filled with


def amounts(graph: TensorBuilder, recording: Recording, steps: Mapping[str, int]) -> dict[str, tuple[float, ...]]:
    """By node, the numbers that its operator is given, in order."""
    found = {}
    for name, number in steps.items():
        if number >= 0 and (own := tuple(_given(graph, recording.steps[number].args))):
            found[name] = own
    return found


def _given(graph: TensorBuilder, args: Mapping[str, Any]) -> Iterator[float]:
    for value in args.values():
        kind = type(value)
        if kind is int or kind is bool or value is None:
            continue
        if isinstance(value, float):
            yield value
        elif isinstance(value, (list, tuple)) and value and all(isinstance(v, float) for v in value):
            yield from value
        else:
            for tensor in tensors(value):
                yield from _constant(graph.entry(tensor), tensor)


def _constant(entry: Any, tensor: torch.Tensor) -> Iterator[float]:
    """The value of a constant that has one everywhere; of one without data, how many values it is computed from."""
    if not isinstance(entry, Static) or entry.parameter:
        return
    if not tensor.is_meta and tensor.numel() == 1 and not tensor.is_complex():
        yield float(tensor.detach())
        return
    for _ in range(DEEP):
        if entry.step is None:
            return
        if isinstance(filled := entry.step.args.get(FILLED), (int, float)):
            yield float(filled)
        entry = next((e for e in entry.sources.values() if isinstance(e, Static)), None)
        if entry is None or entry.parameter:
            return
        if tensor.numel() == 1:
            yield float(prod(entry.dims))
