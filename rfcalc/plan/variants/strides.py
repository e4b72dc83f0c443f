"""Strides one convolution later or earlier on a chain: the same sizes after it, another receptive field and work.

A stride in the 3 × 3 convolution of a bottleneck instead of the 1 × 1 before it is how PyTorch's ResNet-50 differs from
the paper's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from rfcalc.plan.variants import (
    STAYS,
    CannotChange,
    Move,
    MoveRequest,
    NetworkDraft,
    VariantChoice,
    VariantOption,
    windowed,
    with_geometry,
)
from rfcalc.report import Report


def _convolution(draft: NetworkDraft, name: str) -> bool:
    layer: Any = draft.pieces[name].layer
    report = draft.report
    if not layer.weight_layers or len(draft.pieces[name].reads) != 1:
        return False
    return windowed(report, report.network.position(name)) and not isinstance(layer.padding, str)


def _strided(draft: NetworkDraft, name: str) -> bool:
    layer: Any = draft.pieces[name].layer
    return any(s != 1 for s in layer.stride)


def _pairs(draft: NetworkDraft) -> list[tuple[str, str]]:
    """Neighbouring convolutions on a chain: only what folds stands between them, and nothing else reads there."""
    found = []
    for name in draft.pieces:
        if not _convolution(draft, name):
            continue
        at = draft.follower(name)
        while at is not None and draft.pieces[at].layer.folds:
            at = draft.follower(at)
        if at is not None and _convolution(draft, at):
            found.append((name, at))
    return found


def _moves(report: Report, later: bool) -> list[tuple[str, str]]:
    """(from, to) for every stride that can be moved."""
    draft = NetworkDraft(report)
    found = []
    for first, second in _pairs(draft):
        source, goal = (first, second) if later else (second, first)
        if _strided(draft, source) and not _strided(draft, goal):
            found.append((source, goal))
    return found


def _change(moves: list[tuple[str, str]], draft: NetworkDraft) -> None:
    for source, goal in moves:
        if source not in draft.pieces or goal not in draft.pieces:
            raise CannotChange(f"{source} is not there any more")
        layer: Any = draft.pieces[source].layer
        stride = layer.stride
        draft.replace(source, with_geometry(layer, stride=(1,)))
        draft.replace(goal, with_geometry(draft.pieces[goal].layer, stride=stride))


def choices(report: Report, asked: MoveRequest) -> list[VariantChoice]:
    """All strides one later, or one earlier, or, where there are few, each by itself."""
    options = [STAYS]
    for later, word in ((True, "later"), (False, "earlier")):
        moves = _moves(report, later)
        groups = [moves] if len(moves) < 2 else [moves, *([m] for m in moves[:4])]
        for group in groups:
            if group:
                names = ", ".join(f"{a} to {b}" for a, b in group[:3]) + (" …" if len(group) > 3 else "")
                options.append(VariantOption(f"strides one convolution {word}: {names}", partial(_change, group)))
    return [VariantChoice("strides", tuple(options))] if len(options) > 1 else []


MOVE = Move("strides", "strides in the convolution before or after", choices, 0)
