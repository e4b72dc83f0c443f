"""What operators are given beside maps: numbers, constants, and which parameters.

Code may compute them from the size of its input (``x / x.shape[-1]``), which no layer holds: readings at several sizes
tell by them that a part of the image would be computed otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import torch

from rfcalc.readers.torch.recorder import memory_of
from rfcalc.readers.torch.recording import Recording, tensors
from rfcalc.readers.torch.tensors import Static, TensorBuilder

# Arguments of operators that are numbers, and no lengths, also where they are whole.
NUMBERS = {"self", "other", "value", "fill_value", "exponent", "alpha", "beta", "eps", "p", "min", "max", "min_val"}
NUMBERS |= {"max_val", "threshold", "negative_slope", "scale", "input_scale", "lambd", "weight", "upper", "lower"}
Kept = Mapping[int, str]  # buffers that are as they were, by identity
DEEP = 16  # steps back from a constant without values, for the numbers that it is computed with


def amounts(graph: TensorBuilder, recording: Recording, steps: Mapping[str, int]) -> dict[str, tuple[Any, ...]]:
    """By node, what its operator is given, in order: numbers, and the names of parameters and buffers."""
    kept = {id(t): n for n, t in recording.parts.buffers if memory_of(t) not in recording.written}
    found = {}
    for name, number in steps.items():
        if number >= 0 and (own := tuple(_given(graph, recording.steps[number].args, kept))):
            found[name] = own
    return found


def _given(graph: TensorBuilder, args: Mapping[str, Any], kept: Kept) -> Iterator[Any]:
    for name, value in args.items():
        if value is None:
            continue
        if isinstance(value, float) or (isinstance(value, int) and name in NUMBERS):
            yield float(value)
        elif isinstance(value, (list, tuple)) and value and all(isinstance(v, float) for v in value):
            yield from value
        else:
            for tensor in tensors(value):
                yield from _constant(graph.entry(tensor), tensor, kept)


def _constant(entry: Any, tensor: torch.Tensor, kept: Kept) -> Iterator[Any]:
    """The name of a parameter; the smallest and the largest value of a constant; of one without data, the numbers that
    it is computed with, and of how many values together."""
    if not isinstance(entry, Static) or tensor.is_complex():
        return
    if entry.parameter or not tensor.is_meta:
        yield from _known(entry, tensor, kept)
        return
    left, seen = [entry], 0
    while left and seen < DEEP:
        one, seen = left.pop(), seen + 1
        if one.step is None:
            continue
        yield from (float(n) for name, n in one.step.args.items() if name in NUMBERS and isinstance(n, (int, float)))
        for before in one.sources.values():
            if not isinstance(before, Static):
                continue
            yield from _known(before, before.tensor, kept)
            if not before.parameter:
                left.append(before)
            if prod(one.dims) < prod(before.dims) and prod(one.dims) == tensor.numel():
                yield float(prod(before.dims))


def _known(entry: Static, tensor: Any, kept: Kept) -> Iterator[Any]:
    """What is known of a constant by itself; a buffer has its values in every reading, and its name says which (not by
    a word, which would be a parameter)."""
    if entry.parameter:
        yield entry.parameter
    elif id(tensor) in kept:
        yield (kept[id(tensor)],)
    elif tensor is not None and not tensor.is_meta and (tensor.numel() == 1 or tensor.is_floating_point()):
        yield from _values(tensor.detach())


def _values(tensor: torch.Tensor) -> Iterator[float]:
    """The smallest and the largest value."""
    if tensor.numel() and tensor.layout == torch.strided:
        yield from {float(n): None for n in tensor.aminmax()}
