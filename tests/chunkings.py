"""Thousands of random chunkings of one signal, run side by side: what has come so far decides where a stream stands.

Chunkings that stand at the same position are items of one batch: each has its own state, made by its own chunks, and
all of those that take a chunk of the same length next run it together. So ten thousand chunkings of a signal of 24
blocks take some 300 steps, not 60,000.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rfcalc.backend.stream.runtime import Held


class State(NamedTuple):
    """Where streams stand that have got the same positions, one for each item of the batch."""

    came: int
    left: int
    next: tuple[int, ...]
    kept: dict[int, tuple[int, Tensor, Any]]
    states: dict[int, tuple[Tensor, ...]]


def cuts(r: Random, blocks: int, most: int = 8) -> tuple[int, ...]:
    """Where chunks end, in blocks."""
    return (*sorted({r.randint(1, blocks - 1) for _ in range(r.randint(0, most))}), blocks)


def differing(
    stream: Any, x: Tensor, whole: Tensor, seeds: range, tolerance: float, wrong: bool = False
) -> tuple[int, float]:
    """How many values of the outputs of random chunkings differ from the whole run by more than a share of its largest
    value, and the largest difference as such a share; `wrong`: with the first states changed, as a control."""
    axis, size = stream.lines[0].axis, stream.block["in"]
    out = stream.lines[stream.output].axis
    blocks = x.shape[axis] // size
    chunkings = [cuts(Random(seed), blocks) for seed in seeds]
    many = len(chunkings)
    shape = list(whole.shape)
    shape[out] += stream.latency
    got = whole.new_full([many, *shape[1:]], float("nan"))
    at: dict[int, list[tuple[list[int], State | None]]] = defaultdict(list)
    at[0] = [(list(range(many)), None)]
    for position in range(blocks):
        if position not in at:
            continue
        rows, state = _together(at.pop(position))
        if wrong and state is not None:
            for values in (*(k[1] for k in state.kept.values()), *(t for s in state.states.values() for t in s)):
                values += 1
            wrong = False
        goals: dict[int, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            ends = chunkings[row]
            goals[ends[bisect.bisect_right(ends, position)]].append(place)
        for stop, places in goals.items():
            picked = torch.tensor(places)
            _stand(stream, state, picked, x)
            chunk = x.narrow(axis, position * size, (stop - position) * size)
            made = stream(chunk.expand(len(places), *chunk.shape[1:]))
            mine = torch.tensor([rows[p] for p in places])
            _write(got, mine, out, position * stream.block["out"], made)
            at[stop].append(([rows[p] for p in places], _state(stream, len(places))))
    rows, state = _together(at.pop(blocks))
    _stand(stream, state, torch.arange(len(rows)), x)
    _write(got, torch.tensor(rows), out, blocks * stream.block["out"], stream.flush())
    got = got.narrow(out, stream.latency, whole.shape[out])
    scale = float(whole.abs().max().clamp_min(1e-300))
    gap = (got - whole).abs() / scale
    return int((~(gap <= tolerance)).sum()), float(gap.max())


def _write(got: Tensor, rows: Tensor, axis: int, start: int, made: Tensor) -> None:
    got.narrow(axis, start, made.shape[axis]).index_copy_(0, rows, made)


def _state(stream: Any, many: int) -> State:
    stream._settled()
    kept = {n: (h.start, h.values, h.gaps) for n, h in stream.kept.items()}
    states = {}
    for n, s in stream.states.items():
        parts = s if isinstance(s, tuple) else (s,)
        recurrent = stream.lines[n].how == "recurrent"  # layers × (batch and what stands before the positions) × units
        states[n] = tuple(t.unflatten(1, (many, -1)).transpose(0, 1) if recurrent else t for t in parts)
    units = tuple(n if line.reads else 0 for n, line in zip(stream.next, stream.lines, strict=True))
    return State(stream.came, stream.left, units, kept, states)


def _stand(stream: Any, state: State | None, picked: Tensor, x: Tensor) -> None:
    """Put the stream where these items of a state stand."""
    stream.reset()
    if state is None:
        return
    stream.came, stream.left, stream.next = state.came, state.left, list(state.next)
    stream.batch = len(picked)
    stream.kept = {n: Held(start, t.index_select(0, picked), gaps) for n, (start, t, gaps) in state.kept.items()}
    for n, parts in state.states.items():
        mine = tuple(t.index_select(0, picked) for t in parts)
        if stream.lines[n].how == "recurrent":
            mine = tuple(t.transpose(0, 1).flatten(1, 2).contiguous() for t in mine)
        stream.states[n] = mine if len(mine) > 1 else mine[0]
    stream._like = x.new_zeros(len(picked), 0)


def _together(found: list[tuple[list[int], State | None]]) -> tuple[list[int], State | None]:
    """Items that stand at the same position as one batch."""
    rows = [row for mine, _ in found for row in mine]
    states = [s for _, s in found if s is not None]
    if not states:
        return rows, None
    first = states[0]
    assert all((s.came, s.left, s.next) == first[:3] for s in states)
    assert all({n: k[::2] for n, k in s.kept.items()} == {n: k[::2] for n, k in first.kept.items()} for s in states)
    kept = {n: (start, torch.cat([s.kept[n][1] for s in states]), gaps) for n, (start, _, gaps) in first.kept.items()}
    pairs = {n: tuple(map(torch.cat, zip(*(s.states[n] for s in states), strict=True))) for n in first.states}
    return rows, State(first.came, first.left, first.next, kept, pairs)


def chunked(
    module: Any, stream: Any, shape: str, seeds: range, tolerance: float = 1e-12, blocks: int = 24
) -> tuple[int, float]:
    """`differing` for a module and a random signal of so many blocks, a thousand chunkings at once."""
    torch.set_num_threads(1)
    dims = [int(n) for n in shape.split("x")]
    at = stream.lines[0].axis - 1
    dims[at] = blocks * stream.block["in"]
    count, worst = 0, 0.0
    for begin in range(seeds.start, seeds.stop, 1000):
        x = torch.randn(1, *dims, generator=torch.Generator().manual_seed(begin), dtype=torch.float64)
        with torch.no_grad():
            whole = module(x)
        found = differing(stream, x, whole, range(begin, min(begin + 1000, seeds.stop)), tolerance)
        count, worst = count + found[0], max(worst, found[1])
    return count, worst
