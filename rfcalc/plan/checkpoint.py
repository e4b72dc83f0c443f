"""Which runs of layers to compute again in backward, so that a step of training fits with the least extra work.

A network is cut where a single map leads on. Between two cuts lies a *block*; a *run* of blocks that is recomputed
keeps only the map that it reads. What is kept before a block, K, is all that the choices before it have to do with the
moments in it: they need K + (what lives then in a step without recomputation − what was kept before it there). So the
cheapest choice is found by dynamic programming over the cuts, with the pairs (K, extra multiply-adds) of which none is
better in both (Feng & Huang 2021, "Optimal Gradient Checkpoint Search", argue alike). The plan is simulated as a whole
before it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.plan.cuts import cuts
from rfcalc.plan.memory import Memory

MOST_STATES = 4_000  # pairs that are kept at a cut; beyond, the plan is not said to be the best
LONGEST = 64  # blocks in a run where names do not say which runs are modules


class Recomputed(NamedTuple):
    """A run of nodes that is computed again: the first and last, and the module that it is ("" where it is none)."""

    first: str
    last: str
    module: str


@dataclass(frozen=True)
class Checkpoint:
    """A plan: which runs are recomputed, the peak that is left, the multiply-adds of a step without and beyond it."""

    budget: int
    runs: tuple[Recomputed, ...]
    peak: int
    macs: int
    extra_macs: int
    optimal: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "budget": self.budget,
            "runs": [run._asdict() for run in self.runs],
            "peak": self.peak,
            "macs": self.macs,
            "extra_macs": self.extra_macs,
            "optimal": self.optimal,
        }

    def source(self) -> str:
        """Code that recomputes these modules of a model, with PyTorch's checkpoint.

        Raises:
            RfcalcError: a run is no module of its own.
        """
        if not all(run.module for run in self.runs):
            raise RfcalcError(
                "some runs of layers are no modules of their own",
                fix="give the layers names of blocks (block1.conv1), or wrap the runs by hand",
            )
        names = "".join(f'    "{run.module}",\n' for run in self.runs)
        return (
            "from functools import wraps\n\nfrom torch.utils.checkpoint import checkpoint\n\n"
            f"RECOMPUTED = (\n{names})\n\n\n"
            "def recompute(model):\n"
            '    """Compute these modules again in the backward pass instead of keeping what is inside them."""\n'
            "    for name in RECOMPUTED:\n"
            "        module = model.get_submodule(name)\n"
            "        forward = module.forward\n\n"
            "        @wraps(forward)\n"
            "        def again(*inputs, forward=forward):\n"
            "            return checkpoint(forward, *inputs, use_reentrant=False)\n\n"
            "        module.forward = again\n"
            "    return model\n"
        )


class _State(NamedTuple):
    """A choice up to a cut: bytes kept, extra multiply-adds, the run that ends here (or None), and what led here."""

    kept: int
    extra: int
    run: tuple[int, int] | None
    before: _State | None

    def runs(self) -> Iterator[tuple[int, int]]:
        state: _State | None = self
        while state is not None:
            if state.run is not None:
                yield state.run
            state = state.before


class Search:
    """The blocks of a network with what each keeps and needs; `plan` finds the cheapest choice within a budget."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        run = memory.run()
        self.run, self.batch = run, memory.batch
        self.fixed = sum(memory.constant.values())
        self.cuts = cuts(memory.report, run.own)
        self.macs = [int(c.macs) * self.batch for c in memory.report.costs]
        held = sum(run.size(p).at(self.batch) for p in range(run.arity))
        maps = {m for p in range(run.arity, len(run.names)) for m in run.kept_maps(p)}
        own = [0] * len(run.names)
        for p in range(run.arity, len(run.names)):
            own[p] = run.kept_beside(p).at(self.batch) if run.learns[p] else 0
        for m in maps:
            if m >= run.arity and not run.given(m):
                own[m] += run.size(m).at(self.batch)
        self._kept, self._whole = maps, True
        self._readers: dict[int, list[int]] = {}
        for p, sources in enumerate(run.network.sources, run.arity):
            for m in {run.own[s] for s in sources}:
                self._readers.setdefault(m, []).append(p)
        self._sum = [held, *accumulate(own, initial=0)][1:]  # kept by positions before each
        self.held = held
        forward, backward = [0] * len(run.names), [0] * len(run.names)
        for moment in memory.moments:
            at = moment.amount.at(self.batch)
            where = forward if moment.phase == "forward" else backward
            where[moment.position] = max(where[moment.position], at)
        self._forward, self._backward = forward, backward
        gradients = [
            run.parameters(p).at(self.batch) if p >= run.arity and run.learns[p] else 0 for p in range(len(own))
        ]
        self._after = list(accumulate(reversed(gradients), initial=0))[::-1]  # of positions from each on
        self.blocks = list(zip([run.arity, *(c + 1 for c in self.cuts)], [*self.cuts, len(own) - 1], strict=True))
        self.blocks = [b for b in self.blocks if b[0] <= b[1]]
        self._modules = {} if not any("." in n for n in run.names) else _modules(memory)

    def before(self, position: int) -> int:
        """Bytes that live before a position runs because backward needs them, in a step without recomputation."""
        return self.held + self._sum[position]

    def plain(self, first: int, last: int) -> int:
        """What the moments of these positions need beyond what is kept before them."""
        return max(*self._forward[first : last + 1], *self._backward[first : last + 1], 0) - self.before(first)

    def backward(self, first: int, last: int) -> int:
        """The same, of backward only."""
        return max(self._backward[first : last + 1]) - self.before(first)

    def again(self, first: int, last: int) -> int:
        """The same where they are computed again: forward runs beside the gradient of their output."""
        gradient = self.run.size(last).at(self.batch)
        forward = max(self._forward[first : last + 1]) - self.before(first) + gradient + self._after[last + 1]
        return max(self.plain(first, last), forward)

    @cached_property
    def candidates(self) -> dict[int, list[tuple[int, int]]]:
        """Runs of blocks (first, last) that may be recomputed, by their last block."""
        found: dict[int, list[tuple[int, int]]] = {}
        for j, (_, last) in enumerate(self.blocks):
            for i in range(j, max(-1, j - LONGEST), -1):
                first = self.blocks[i][0]
                if last == len(self.run.names) - 1 or not self.run.learns[last]:
                    continue
                if self._modules and (first, last) not in self._modules:
                    continue
                if any(self.run.own[p] < first for p in range(first, last + 1)):  # it writes over what it reads
                    continue
                found.setdefault(j, []).append((i, j))
        return found

    def plan(self, budget: int) -> Checkpoint | None:
        """The cheapest plan whose peak is within a budget of bytes; None if there is none.

        What a run needs while it is computed again is estimated from above. Estimated from below, the same search gives
        a bound: a plan that meets it, and is within the budget when it is simulated, is the best there is.
        """
        bound = self._choices(budget, above=False)
        for state in bound[:1]:
            found = self._checked(budget, state, optimal=self._whole)
            if found is not None:
                return found
        for state in self._choices(budget, above=True):
            found = self._checked(budget, state, optimal=self._whole and state.extra == bound[0].extra)
            if found is not None:
                return found
        for state in bound[1:]:
            found = self._checked(budget, state, optimal=False)
            if found is not None:
                return found
        return None

    def _choices(self, budget: int, above: bool) -> list[_State]:
        """What may be done up to the end within the budget, the cheapest first."""
        room = budget - self.fixed
        fronts: list[list[_State]] = [[_State(self.held, 0, None, None)]]
        self._whole = True
        for j, (first, last) in enumerate(self.blocks):
            need, keeps = self.plain(first, last), self._sum[last + 1] - self._sum[first]
            made = [_State(s.kept + keeps, s.extra, None, s) for s in fronts[j] if s.kept + need <= room]
            output = self.run.size(last).at(self.batch) if above or self._kept_later(last) else 0
            for i, _ in self.candidates.get(j, ()):
                start = self.blocks[i][0]
                need = self.again(start, last) if above else self.backward(start, last)
                extra = sum(self.macs[start : last + 1])
                made += [
                    _State(s.kept + output, s.extra + extra, (start, last), s)
                    for s in fronts[i]
                    if s.kept + need <= room
                ]
            front = _best(made)
            if len(front) > MOST_STATES:
                front, self._whole = front[:: len(front) // MOST_STATES + 1], False
            fronts.append(front)
        return sorted(fronts[-1], key=lambda s: (s.extra, s.kept))

    def _kept_later(self, position: int) -> bool:
        """Whether a later position keeps the map of a position for its backward."""
        memory = self.run.own[position]
        return memory in self._kept and any(
            memory in self.run.kept_maps(p) for p in self._readers.get(memory, ()) if p > position
        )

    def _checked(self, budget: int, state: _State, optimal: bool) -> Checkpoint | None:
        """The plan, if its simulation as a whole is within the budget."""
        runs, extra = sorted(state.runs()), state.extra
        moments = self.memory.run(runs).moments()
        peak = max([self.memory.bytes_at(m) for m in moments] + [self.memory.timeline[-1][2]])
        if peak > budget:
            return None
        names, total = self.run.names, self.memory.step_macs.flops // 2
        told = tuple(Recomputed(names[a], names[b], self._modules.get((a, b), "")) for a, b in runs)
        return Checkpoint(budget, told, peak, total, extra, optimal)

    def curve(self, most: int = 12) -> list[Checkpoint]:
        """Plans from none to the least memory: each with the least work at its peak."""
        found: list[Checkpoint] = []
        budget = self.memory.peak.bytes
        step = max(1, budget // (4 * most))
        while len(found) < most:
            plan = self.plan(budget)
            if plan is None:
                break
            found.append(plan)
            budget = plan.peak - step
        return found


def _best(states: list[_State]) -> list[_State]:
    """Those than which none is better in both what is kept and what is computed."""
    states.sort(key=lambda s: (s.kept, s.extra))
    found: list[_State] = []
    for state in states:
        if not found or state.extra < found[-1].extra:
            found.append(state)
    return found


def _modules(memory: Memory) -> dict[tuple[int, int], str]:
    """Runs of positions that are the nodes of one block, by their first and last, and the block's name."""
    arity = memory.report.network.arity
    spans: dict[str, list[int]] = {}
    for p, node in enumerate(memory.report.network.nodes, arity):
        parts = node.name.split(".")
        for i in range(1, len(parts)):
            spans.setdefault(".".join(parts[:i]), []).append(p)
    return {(s[0], s[-1]): name for name, s in reversed(spans.items()) if s[-1] - s[0] + 1 == len(s)}
