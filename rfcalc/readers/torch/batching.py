"""What a batch does to the figures of a module: it is run at that batch too, and every step is put beside itself.

1. What grows with the batch is there once an item; what does not is computed once, whatever the batch.
2. Where items are mixed (``x @ x.t()``, a contrastive loss), figures are those of the run at that batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

import torch

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.torch.given import ForwardCall
from rfcalc.readers.torch.recorder import Operation, tensors
from rfcalc.readers.torch.recording import Recording, record


class BatchScale(NamedTuple):
    """By how much figures of one item are multiplied: values, multiply-adds; the shape where items are mixed."""

    values: Any
    macs: Any
    shape: tuple[int, ...] | None = None


class Size(NamedTuple):
    """What a step gave: its operator, how many values, and how many products each of them is a sum of."""

    name: str
    values: int
    products: int


def sizes(recording: Recording) -> tuple[Size, ...]:
    """The sizes of all steps."""
    return tuple([Size(s.name, _values(s), contracted(s)) for s in recording.steps])


def scales(
    module: torch.nn.Module,
    call: ForwardCall,
    training: bool,
    one: Sequence[Size],
    steps: Mapping[str, int],
    batch: Any,
) -> dict[str, BatchScale]:
    """The nodes whose figures are not those of an item times the batch.

    Args:
        one: the sizes of the steps of one item.
        steps: the step that made a node, by its number; -1 for what is given with the weights.
        batch: a number of items, or a symbol for it.

    Raises:
        RfcalcError: the module does something else at another batch; items are mixed, and the batch is a symbol.
    """
    count = batch if isinstance(batch, int) else 2
    recording = record(module, call.of_batch(count), training)
    many = sizes(recording)
    if not many:
        return {}
    different = [s.name for s in one] != [s.name for s in many]
    if different and sizes(record(module, call, training)) != tuple(one):
        raise RfcalcError(
            "the module is not what it was when it was read",
            why="at the same batch it runs other operators now: it was moved, its mode or a layer of it changed",
            fix="read it again: from_torch(module, …)",
        )
    if different:
        raise RfcalcError(
            f"figures for a batch of {batch} are not those of one item times {batch}",
            why="the module runs other operators at another batch",
            fix="leave --batch out",
        )
    found: dict[str, BatchScale] = {}
    for node, number in steps.items():
        scale = BatchScale(1, 1) if number < 0 else _scale(one[number], many[number], recording.steps[number])
        if (scale.values, scale.macs) == (count, count):
            continue
        if not isinstance(batch, int) and not {scale.values, scale.macs} <= {1, count}:
            raise RfcalcError(
                "items of a batch are mixed, so figures are no formula of one item's", where=node, fix="give a number"
            )
        if not isinstance(batch, int):
            scale = BatchScale(batch if scale.values == count else 1, batch if scale.macs == count else 1)
        elif scale.values in (1, count):
            scale = scale._replace(shape=None)
        found[node] = scale
    return found


def _scale(one: Size, many: Size, step: Operation) -> BatchScale:
    if not one.values:
        return BatchScale(1, 1)
    values = _whole(Fraction(many.values, one.values))
    macs = _whole(Fraction(many.values * many.products, one.values * one.products))
    return BatchScale(values, macs, next((tuple(t.shape) for t in step.outs), None))


def _whole(n: Fraction) -> Any:
    return int(n) if n.denominator == 1 else n


def _values(step: Operation) -> int:
    return sum(t.numel() for t in step.outs)


def contracted(step: Operation) -> int:
    """How many products each value of a step's result is a sum of, up to a factor that no batch changes."""
    args = step.args
    if step.name in ("linear", "matmul", "mm", "mv", "bmm"):
        first = args.get("input", args.get("self"))
        return int(first.shape[-1]) if first.dim() else 1
    if step.name in ("addmm", "baddbmm", "addbmm", "addmv"):
        return int(args.get("mat1", args.get("batch1", args.get("mat"))).shape[-1])
    if step.name == "scaled_dot_product_attention":
        return int(args["key"].shape[-2])
    if step.name == "einsum":
        left, _, right = str(args["equation"]).replace(" ", "").partition("->")
        sizes: dict[str, int] = {}
        for letters, t in zip(left.split(","), tensors(args["tensors"]), strict=False):
            sizes.update(zip(letters.replace(".", ""), t.shape[-len(letters.replace(".", "")) :], strict=False))
        return prod(n for letter, n in sizes.items() if letter not in right)
    return 1
