"""Rolling rows: the first part of a network runs strip by strip, and of every map keeps the rows that are read again.

Nothing is computed twice, as patches do at their borders: a strip of the part's output asks each map for its next rows
only, and a row goes when the last window that reads it has passed. The output of the part, and the input if it is
counted, lie there as a whole, and the input is never written over. An element-wise layer or an addition writes over its
input only where no later strip reads again what lay there; depthwise layers write beside theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rfcalc.core.layer import POINTWISE, VIEW
from rfcalc.core.window import STEP
from rfcalc.graph.forward import Shaped, relation
from rfcalc.plan.arena import Layout, given
from rfcalc.plan.patch import Patches, Unpatchable, divided, places, plan_of, read_box

Rows = tuple[int, int]  # half-open


class Step(NamedTuple):
    """One node for one strip: the rows that it makes, and those that it reads of each of its sources."""

    position: int
    makes: Rows
    reads: tuple[tuple[int, Rows], ...]


def steps(walked: Shaped, cut: int, strips: int) -> list[Step]:
    """What is computed, in order: strip by strip of the map at `cut`, and within a strip node by node.

    Raises:
        Unpatchable: a node whose units cannot be told by runs of rows, or more strips than rows.
    """
    arity = walked.network.arity
    rank = walked.shapes[cut].rank
    if not rank or any(walked.shapes[p].rank != rank for p in range(cut + 1)):
        raise Unpatchable("not all maps of the first part have rows")
    rows = [int(walked.shapes[p].spatial[0]) for p in range(cut + 1)]
    if strips > rows[cut]:
        raise Unpatchable("there are more strips than rows")
    done = [n if p < arity or given(walked, p) else 0 for p, n in enumerate(rows)]  # weights and inputs are there
    found: list[Step] = []
    for _, end in divided(rows[cut], strips):
        wanted, mine = list(done), []
        wanted[cut] = end
        for p in range(cut, arity - 1, -1):
            if wanted[p] <= done[p]:
                continue
            makes = (done[p], wanted[p])
            reads = tuple(_reads(walked, p, makes))
            for s, (_, last) in reads:
                wanted[s] = max(wanted[s], last)
            mine.append(Step(p, makes, reads))
        done = [max(a, b) for a, b in zip(done, wanted, strict=True)]
        found += reversed(mine)
    return found


def _reads(walked: Shaped, position: int, makes: Rows) -> Iterator[tuple[int, Rows]]:
    """The rows of each source that some rows of a node's output need."""
    y, node = walked.shapes[position], walked.network.nodes[position - walked.network.arity]
    box = tuple(makes if a == y.axes[0] else (0, int(n)) for a, n in enumerate(y.dims))
    for s, alternatives in zip(
        walked.network.sources[position - walked.network.arity], relation(walked, position), strict=True
    ):
        x = walked.shapes[s]
        for reads in alternatives:
            mine = box if reads is POINTWISE else read_box(box, reads, x.dims, node.name)
            yield s, mine[x.axes[0]]


def owners(walked: Shaped, laid: Layout, cut: int, plan: list[Step]) -> list[int]:
    """Whose memory each position lives in: that of the layout, unless rows move or later steps read what lay there."""
    arity = walked.network.arity
    own = list(range(cut + 1))
    shared: dict[int, list[int]] = {}  # the positions that live in each memory
    writes: list[list[tuple[int, dict[int, int]]]] = [[] for _ in own]  # of each step the end, and what is read later
    for step, later in zip(plan, _first_rows(plan)[1:], strict=True):
        writes[step.position].append((step.makes[1], later))
    for p in range(arity, cut + 1):
        for s in walked.network.sources[p - arity]:
            if laid.own[s] != laid.own[p] or not _row_by_row(walked, p, s):
                continue
            mine = shared.setdefault(own[s], [own[s]])
            over = walked.network.nodes[p - arity].layer.memory != VIEW
            kept = given(walked, own[s]) or own[s] < arity or laid.beside[p]
            if over and (kept or any(later.get(q, end) < end for end, later in writes[p] for q in mine)):
                continue
            own[p] = own[s]
            mine.append(p)
            break
    return own


def _row_by_row(walked: Shaped, position: int, source: int) -> bool:
    """Whether each row of a node is made of the same row of a source, and takes as much memory."""
    y, x = walked.shapes[position], walked.shapes[source]
    sources = walked.network.sources[position - walked.network.arity]
    found = [one for s, one in zip(sources, relation(walked, position), strict=True) if s == source]
    return x.dims == y.dims and all(
        reads is POINTWISE or reads[x.axes[0]] == (y.axes[0], STEP) for alternatives in found for reads in alternatives
    )


def _first_rows(plan: list[Step]) -> list[dict[int, int]]:
    """Of each map the first row that each step or a later one reads; after the last step none."""
    found: list[dict[int, int]] = [{}]
    for step in reversed(plan):
        needed = dict(found[-1])
        for s, (first, _) in step.reads:
            needed[s] = min(needed.get(s, first), first)
        found.append(needed)
    return found[::-1]


def held(walked: Shaped, laid: Layout, cut: int, plan: list[Step]) -> list[dict[int, Rows]]:
    """For each step the rows of each memory that live while it runs; without inputs, and without the cut's own."""
    arity, own = walked.network.arity, owners(walked, laid, cut, plan)
    done: dict[int, int] = {}
    found = []
    for step, needed in zip(plan, _first_rows(plan), strict=False):
        done[step.position] = step.makes[1]
        mine: dict[int, Rows] = {}
        for p, end in done.items():
            first = min(needed.get(p, end), step.makes[0] if p == step.position else end)
            if first < end and own[p] != own[cut] and own[p] >= arity:
                a, b = mine.get(own[p], (first, end))
                mine[own[p]] = (min(a, first), max(b, end))
        found.append(mine)
    return found


def rolled(walked: Shaped, laid: Layout, cut: int, strips: int, itemsize: int, *, count_input: bool = True) -> Patches:
    """The plan for one cut and so many strips.

    Raises:
        Unpatchable: a node of the first part cannot be computed in strips.
    """
    plan = steps(walked, cut, strips)
    row = [int(s.values) // int(s.spatial[0]) for s in walked.shapes[: cut + 1]]
    most = max(sum((b - a) * row[m] for m, (a, b) in one.items()) for one in held(walked, laid, cut, plan))
    work = 0
    for step in plan:
        rows = int(walked.shapes[step.position].spatial[0])
        work += int(walked.costs[step.position].macs) * (step.makes[1] - step.makes[0]) // rows
    grid = (strips, *([1] * (walked.shapes[cut].rank - 1)))
    return plan_of(walked, laid, cut, grid, itemsize, most, work, count_input=count_input, rolling=True)


def best_rolled(
    walked: Shaped,
    laid: Layout,
    cuts: list[int],
    itemsize: int,
    *,
    count_input: bool = True,
    budget: int | None = None,
) -> Patches | None:
    """The plan with the least peak (none, if that is more than a budget): strips of one row, of two, of four."""
    best: Patches | None = None
    for least, *_, cut in places(walked, laid, cuts, itemsize, count_input=count_input):
        if best is not None and least >= best.peak_bytes:
            break  # nothing that is left is smaller
        for high in (1, 2, 4):
            try:
                strips = -(-int(walked.shapes[cut].spatial[0]) // high)
                plan = rolled(walked, laid, cut, strips, itemsize, count_input=count_input)
            except Unpatchable:
                break
            if best is None or plan.peak_bytes < best.peak_bytes:
                best = plan
    return best if best is not None and (budget is None or best.peak_bytes <= budget) else None
