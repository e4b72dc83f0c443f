"""The numbers that operators are given beside maps: fractions, and constants of one value.

Code may compute them from the size of its input (``x / x.shape[-1]``), which no layer holds: readings at several sizes
tell by them that a part of the image would be computed otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import torch

from rfcalc.readers.torch.recording import Recording, tensors
from rfcalc.readers.torch.tensors import Static, TensorBuilder

NUMBERS = ("fill_value", "other", "exponent", "value")  # arguments of operators that are numbers, not lengths
DEEP = 16  # steps back from a constant without values, for the numbers that it is computed with


def amounts(graph: TensorBuilder, recording: Recording, steps: Mapping[str, int]) -> dict[str, tuple[float, ...]]:
    """By node, the numbers that its operator is given, in order."""
    found = {}
    for name, number in steps.items():
        if number >= 0 and (own := tuple(_given(graph, recording.steps[number].args))):
            found[name] = own
    return found


def _given(graph: TensorBuilder, args: Mapping[str, Any]) -> Iterator[float]:
    for value in args.values():
        if isinstance(value, float):
            yield value
        elif isinstance(value, Sequence) and value and all(isinstance(v, float) for v in value):
            yield from value
        else:
            for tensor in tensors(value):
                yield from _constant(graph.entry(tensor), tensor)


def _constant(entry: Any, tensor: torch.Tensor) -> Iterator[float]:
    """The smallest and the largest value of a constant; of one without data, the numbers that it is computed with, and
    of how many values together."""
    if not isinstance(entry, Static) or entry.parameter or tensor.is_complex():
        return
    if not tensor.is_meta:
        if tensor.numel() == 1 or tensor.is_floating_point():
            yield from _values(tensor.detach())
        return
    left, seen = [entry], 0
    while left and seen < DEEP:
        one, seen = left.pop(), seen + 1
        if one.step is None or one.parameter:
            continue
        yield from (float(n) for name in NUMBERS if isinstance(n := one.step.args.get(name), (int, float)))
        for before in one.sources.values():
            if isinstance(before, Static):
                left.append(before)
                if prod(one.dims) < prod(before.dims) and prod(one.dims) == tensor.numel():
                    yield float(prod(before.dims))


def _values(tensor: torch.Tensor) -> Iterator[float]:
    """The smallest and the largest value."""
    if tensor.numel():
        yield from {float(n): None for n in tensor.aminmax()}
