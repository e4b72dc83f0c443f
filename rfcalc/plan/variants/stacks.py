"""Large kernels as stacks of smaller ones with the same receptive field: 7 × 7 as three of 3 × 3.

Kernels of stride 1 add their reach (Simonyan & Zisserman 2015, §2.3), so that the stacks are the partitions of
(k − 1)/2; the stride stands in the last of them. What normalises and activates the layer stands behind each.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from rfcalc.core.layer import IN_PLACE, Layer
from rfcalc.core.size import is_number
from rfcalc.plan.partitions import DilatedKernel, cheapest
from rfcalc.plan.variants import (
    STAYS,
    Move,
    MoveRequest,
    NetworkDraft,
    VariantChoice,
    VariantOption,
    along,
    windowed,
    with_geometry,
)
from rfcalc.report import Report

LARGEST = 31  # kernels beyond this are left as they are
STACKS = 3  # of a kernel, the cheapest


def kernel_of(part: DilatedKernel, rank: int) -> tuple[int, ...]:
    """The kernel of a part on every axis."""
    if part.axis is None:
        return (part.kernel,) * rank
    return tuple(part.kernel if i == part.axis else 1 for i in range(rank))


def layer_of(layer: Layer, part: DilatedKernel, rank: int, keeps: bool, stride: tuple[int, ...] = (1,)) -> Layer:
    """A layer of a stack: that layer with another kernel, with padding that keeps the size or without any."""
    kernel = (part.kernel,) if part.axis is None else kernel_of(part, rank)
    pads = tuple((part.d * (k - 1) // 2,) * 2 for k in kernel) if keeps else ((0, 0),)
    return with_geometry(layer, kernel=kernel, padding=pads, dilation=(part.d,), stride=stride)


def _large(report: Report) -> dict[int, list[str]]:
    """Convolutions with a large odd kernel, alike on all axes, by its size."""
    found: dict[int, list[str]] = {}
    for row in report:
        layer: Any = row.node.layer
        rank = row.shape.rank
        if not rank or not layer.weight_layers or row.node.group or len(row.inputs) != 1:
            continue
        if not windowed(report, row.position) or not hasattr(layer, "dilation") or getattr(layer, "table", None):
            continue
        kernel, pads = along(layer.kernel, rank), layer.padding
        k = kernel[0]
        plain = all(is_number(n) and n == k for n in kernel) and all(d == 1 for d in layer.dilation)
        if not plain or k % 2 == 0 or not 3 < k <= LARGEST or getattr(layer, "fixed", False):
            continue
        sides = pads == "same" or (not isinstance(pads, str) and all(p in ((k // 2, k // 2), (0, 0)) for p in pads))
        once = (
            layer_of(layer, DilatedKernel(0), rank, keeps=False).output(row.shape).channels == row.shape.channels
        )  # a stack of it does not multiply channels
        if once and sides and (isinstance(pads, str) or len(set(pads)) == 1):
            found.setdefault(int(k), []).append(row.name)
    return found


def _change(names: list[str], parts: tuple[DilatedKernel, ...], draft: NetworkDraft) -> None:
    for name in names:
        layer: Any = draft.pieces[name].layer
        rank = draft.report[name].shape.rank
        pads, stride = layer.padding, layer.stride
        keeps = isinstance(pads, str) or pads[0] != (0, 0)
        behind: list[Layer] = []
        at = draft.follower(name)
        while at is not None and draft.pieces[at].layer.folds:
            one = draft.pieces[at].layer
            if one.memory == IN_PLACE or one.takes_mean_away:
                behind.append(one)
            at = None if one.memory == IN_PLACE else draft.follower(at)
        stack: list[Layer] = []
        for i, part in enumerate(parts):
            last = i == len(parts) - 1
            stack.append(layer_of(layer, part, rank, keeps, stride if last else (1,)))
            stack += [] if last else behind
        draft.chain(name, stack)


def choices(report: Report, asked: MoveRequest) -> list[VariantChoice]:
    """For each size of large kernels, the cheapest stacks."""
    found = []
    for k, names in sorted(_large(report).items(), reverse=True):
        rank = report[names[0]].shape.rank
        options = [STAYS]
        for stack in cheapest((k // 2,) * rank, False, False, STACKS):
            parts = tuple(sorted(stack.parts, key=lambda p: -p.kernel))
            kernels = " and ".join(
                f"{n} of {size}" for size in dict.fromkeys(p.kernel for p in parts)
                if (n := sum(p.kernel == size for p in parts))
            )  # fmt: skip
            told = f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''}: kernel {k} as {kernels}"
            options.append(VariantOption(told, partial(_change, names, parts)))
        found.append(VariantChoice(f"kernels of {k}", tuple(options)))
    return found


MOVE = Move("stacks", "large kernels as stacks of smaller ones with the same receptive field", choices, 1)
