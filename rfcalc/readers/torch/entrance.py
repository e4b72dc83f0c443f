"""What the axes of an input are: positions or channels, from the layers that read it first."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rfcalc.core.shape import axis_groups
from rfcalc.readers.torch.recorder import Operation


def is_signal(steps: Sequence[Operation], tensor: torch.Tensor) -> bool:
    """Whether a tensor of one axis beside the batch holds positions: a convolution, or what else slides over them, is
    the first to read it that does not work on each value by itself."""
    held = {id(tensor)}
    for step in steps:
        if not any(id(t) in held for t in step.given):
            continue
        if step.name.startswith(SLIDING):
            return True
        if step.name not in WHOLE:
            number = not tensor.is_floating_point()  # a part of a list of whole numbers is one too
            for t in step.outs:
                if t.numel() >= tensor.numel() or (number and t.dim() > 1 and not t.is_floating_point()):
                    held.add(id(t))
    return False


def channels_of(steps: Sequence[Operation], tensor: torch.Tensor) -> int:
    """Which axis of an input (without the batch) holds its channels: the first where no convolution says it."""
    found = channels_read(steps, tensor)
    return 0 if found is None else max(found[1], 0)


def channels_read(steps: Sequence[Operation], tensor: torch.Tensor) -> tuple[Operation, int] | None:
    """The first convolution that reads an input, through what only moves axes or works on each value or on the
    features, and the axis of the input (without the batch) that it reads as channels; -1: it is none of them."""
    held = {id(tensor): tuple(range(tensor.dim()))}  # for each axis the one of the input that it is, or -1
    for step in steps:
        given = next((t for t in step.given if id(t) in held), None)
        if given is None:
            continue
        axes = held[id(given)]
        if step.name.startswith("conv"):
            at = axes[1] if given.dim() == step.args["weight"].dim() else 0
            return step, max(at - 1, -1)
        for out in step.outs:
            if (moved := _axes_after(step, given, out, axes)) is not None:
                held[id(out)] = moved
    return None


def _axes_after(
    step: Operation, given: torch.Tensor, out: torch.Tensor, axes: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Which axes of an input the axes of a step's result are; None where that is not followed."""
    if step.name in MOVES:
        operator = getattr(getattr(torch.ops.aten, step.name), step.overload or "default")
        named = torch.empty(tuple(range(2, 2 + given.dim())), device="meta")  # each axis with a size of its own
        first = "self" if "self" in step.args else "input"
        order = operator(*(named if a.name == first else step.args[a.name] for a in operator._schema.arguments)).shape
        return tuple(axes[n - 2] for n in order)
    if given.dim() == out.dim() and (given.shape == out.shape or step.name in ("linear", "slice")):
        return axes
    if step.name in ("view", "reshape", "_unsafe_view", "flatten", "unflatten") and given.numel() == out.numel():
        found = [-1] * out.dim()
        for before, after in axis_groups(tuple(given.shape), tuple(out.shape)):
            old, new = ([i for i in g if t.shape[i] != 1] for g, t in ((before, given), (after, out)))
            if len(old) == len(new) == 1:
                found[new[0]] = axes[old[0]]
        return tuple(found)
    return None


MOVES = ("permute", "transpose", "t", "numpy_T", "mT", "movedim", "moveaxis", "swapaxes", "swapdims", "adjoint")
SLIDING = ("conv", "avg_pool", "max_pool", "unfold", "stft", "adaptive_", "embedding")
WHOLE = ("linear", "matmul", "mm", "addmm", "bmm", "einsum", "layer_norm", "batch_norm")
