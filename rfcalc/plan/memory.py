"""What fits, when it lives: weights, gradients, optimizer state, what backward needs, and the worst moment.

The peak is the largest sum over the moments of a step (`rfcalc.plan.training`): weights, buffers and the optimizer's
state live all the time; what PyTorch's allocator rounds up and what libraries take as workspace is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, NamedTuple

from rfcalc.core.dtypes import DTYPES
from rfcalc.core.errors import RfcalcError, UnknownName, suggestion
from rfcalc.core.layer import VIEW
from rfcalc.core.size import is_number
from rfcalc.graph.gradients import NO_GRADIENT, gradients
from rfcalc.plan.account import NONE, Account, Amount, Item, Moment, Precision
from rfcalc.plan.compared import Compared, compared
from rfcalc.plan.training import Run
from rfcalc.report import Report

# Optimizer → copies of the parameters that its state holds, in the weights' dtype.
OPTIMIZERS = {
    "sgd": 0,
    "sgd-momentum": 1,
    "adam": 2,
    "adamw": 2,
    "amsgrad": 3,
    "nadam": 2,
    "radam": 2,
    "adamax": 2,
    "adadelta": 2,
    "adagrad": 1,
    "rmsprop": 1,
    "lion": 1,
}
COUNTER = 8  # bytes of the counter of batches that PyTorch keeps beside running statistics
COMPUTED = "it is computed in every step, and what that takes beside its result is not followed"
WEIGHTS = "its weights are computed from other parameters in every step, which takes memory too"
PARTS = "it writes into a part of a map, for whose gradient PyTorch makes copies of the whole"
STATES = (
    "layers or directions that may run in one call hold its input and their last states together, which is not followed"
)
ALONE = "only its biases are trained, and PyTorch makes the gradient of its weights too, for a moment"
SINGLE = "in a batch of one its gradient may lie in that of a map, which is not followed"
FROZEN = "some of its parameters are frozen, for which PyTorch keeps and makes less than is told here"
BLOCK = 512  # bytes that PyTorch's allocator rounds every tensor up to on a GPU
AMP = {"bf16": "bfloat16", "fp16": "float16", "bfloat16": "bfloat16", "float16": "float16"}
STAGE = ("weights", "gradients", "kept", "forward", "input_gradients", "weight_gradients")
TERMS = ("weights", "gradients", "optimizer", "kept", "activations", "buffers")


class Live(NamedTuple):
    """Something that lives at a moment: its term, whose it is, its bytes."""

    term: str
    node: str
    bytes: int


class Peak(NamedTuple):
    """The worst moment: bytes in all, the node that runs, ``forward``, ``backward`` or ``step``, and what lives."""

    bytes: int
    node: str
    phase: str
    live: tuple[Live, ...]


class Work(NamedTuple):
    """Multiply-adds of a node ("" for the whole network) in a step: forward, for the gradients of its inputs, for that
    of its weights."""

    node: str
    forward: int
    input_gradients: int
    weight_gradients: int

    @property
    def flops(self) -> int:
        """Twice the multiply-adds."""
        return 2 * (self.forward + self.input_gradients + self.weight_gradients)


class Largest(NamedTuple):
    """The largest batch within a budget; 0 where not even one item fits."""

    budget: int
    batch: int


@dataclass(frozen=True)
class Memory:
    """The memory of a network while it trains, or while it only runs.

    Args:
        report: the network at an input, a batch and a dtype.
        infer: only forward, without gradients.
        optimizer: one of `OPTIMIZERS`.
        amp: mixed precision: maps and copies of the weights in this 2-byte type, weights and gradients as they are.
        freeze: patterns of nodes, stages or blocks whose parameters get no gradient, beside those that the source of
            the network freezes (PyTorch's ``requires_grad``).
        device: ``cpu`` or ``cuda``.
        block: what the allocator rounds every tensor up to, in bytes: 512 for PyTorch's on a GPU; 1: not counted.

    Raises:
        UnknownName: an optimizer, a type or a device that is not known.
        RfcalcError: a pattern that matches nothing; sizes that are symbols.
    """

    report: Report
    infer: bool = False
    optimizer: str = "adam"
    amp: str | None = None
    freeze: tuple[str, ...] = ()
    device: str = "cpu"
    block: int = 1

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise UnknownName("optimizer", self.optimizer, list(OPTIMIZERS))
        if self.amp is not None and self.amp not in AMP:
            raise UnknownName("mixed precision", self.amp, list(AMP))
        if self.device not in ("cpu", "cuda"):
            raise UnknownName("device", self.device, ["cpu", "cuda"])
        dtype = self.report.dtype
        if not self.infer and "int" in dtype:
            raise RfcalcError(f"{dtype} has no gradients", why="training needs fractions", fix="add --infer")
        if self.amp is not None and dtype != "float32":
            why = f"mixed precision lowers float32, and these are {dtype}"
            raise RfcalcError(f"--amp {self.amp} has nothing to lower", why=why, fix="leave --amp or --dtype out")
        if self.infer and self.freeze:
            raise RfcalcError(
                "a network that only runs has no gradients to freeze",
                fix="leave --freeze or --infer (--arena, --patch) out",
            )
        if not all(is_number(shape.values) for shape in self.report.shapes):
            raise RfcalcError("memory needs sizes in numbers", fix="give an input such as 3x224x224")
        _ = self.frozen

    @property
    def batch(self) -> int:
        return int(self.report.batch)

    @property
    def low(self) -> str | None:
        """The type of 2 bytes that mixed precision computes in."""
        return None if self.amp is None else AMP[self.amp]

    @property
    def mode(self) -> str:
        return "infer" if self.infer else "train"

    @cached_property
    def frozen(self) -> Mapping[int, int]:
        """How many parameters of a position get no gradient: those that the network's source freezes
        (``requires_grad``), and all of what a pattern names."""
        nodes, arity = self.report.network.nodes, self.report.network.arity
        still = self.report.frozen
        found = {p: still[node.name] for p, node in enumerate(nodes, arity) if node.name in still}
        for pattern in self.freeze:
            hit = {p for p, node in enumerate(nodes, arity) if _matches(pattern, node.name, node.stage)}
            if not any(self.report.costs[p].params for p in hit):
                able = [n for p, n in enumerate(nodes, arity) if self.report.costs[p].params]
                blocks = [n.name[:i] for n in able for i, sign in enumerate(n.name) if sign == "."]
                names = [*blocks, *(n.stage for n in able if n.stage), *(n.name for n in able)]
                why = "the nodes that it matches have no parameters" if hit else None
                fix = suggestion(pattern, list(dict.fromkeys(names)))
                raise RfcalcError(f"--freeze {pattern} freezes nothing", why=why, fix=None if hit else fix)
            found |= {p: int(self.report.costs[p].params) for p in hit if self.report.costs[p].params}
        return found

    def run(self, recomputed: Sequence[tuple[int, int]] = (), batch: int | None = None) -> Run:
        """The run whose moments are looked at."""
        size = self.report.itemsize
        precision = Precision(size, size, 2) if self.amp else Precision(size, size)
        batch = self.batch if batch is None else batch
        return Run(
            self.report, precision, None if self.infer else self.frozen, single=batch == 1, device=self.device,
            recomputed=recomputed, block=self.block, batch=batch,
        )  # fmt: skip

    @cached_property
    def _run(self) -> Run:
        return self.run()

    @cached_property
    def trainable(self) -> int:
        """Parameters that get a gradient."""
        costs = self.report.costs
        return 0 if self.infer else sum(int(c.params) for c in costs) - sum(self.frozen.values())

    @cached_property
    def gradient_bytes(self) -> int:
        """Bytes of the gradients of all parameters."""
        run = self._run
        return sum(run.parameters(p).fixed for p in range(run.arity, len(run.names)))

    @cached_property
    def constant(self) -> dict[str, int]:
        """Bytes of what lives all the time, by term."""
        size, run = self.report.itemsize, self._run
        costs = self.report.costs

        def bytes_of(*names: str) -> int:
            tensors = [Amount(int(getattr(c, n)) * size) for c in costs for n in names]
            return run.rounded(*tensors).fixed

        state = 0 if self.infer else OPTIMIZERS[self.optimizer] * self.gradient_bytes
        return {
            "weights": bytes_of("weights", "biases") + run.rounded(*(Amount(n * size) for n in self.unused)).fixed,
            "buffers": run.rounded(*map(Amount, self._buffers())).fixed,
            "optimizer": state,
        }

    @property
    def unused(self) -> tuple[int, ...]:
        """The values of each parameter of a module that nothing uses: it is there, and gets no gradient."""
        return tuple(getattr(self.report.network.source, "unused", {}).values())

    @cached_property
    def compared(self) -> Compared | None:
        """The step as PyTorch runs it, without data, beside what is told of it (without `freeze`, on a CPU, nothing
        rounded); None for what is no module of PyTorch."""
        return compared(self if self._plain else replace(self, freeze=(), device="cpu", block=1))

    @property
    def _plain(self) -> bool:
        return not self.freeze and self.device == "cpu" and self.block == 1

    @cached_property
    def inexact(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Why training takes other bytes than are told, and the nodes of which that is so; empty where none is known:
        recurrent layers, weights that are computed, and what code computes without its inputs, if backward keeps it.
        Where PyTorch's own run of the step came to the same bytes, only what is hidden in a library's kernel is."""
        own = self.compared
        same = own is not None and own.equal and own.own_peak > 0 and self._plain
        return tuple((why, tuple(nodes)) for why, nodes in self._doubts().items() if why == ALONE or not same)

    def _doubts(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        if not self.infer:
            run = self._run
            libraries = [p for p in range(run.arity, len(run.names)) if run.library(p) is not None]
            several = libraries if len(libraries) > 1 else ()
            kept = {m for p in range(run.arity, len(run.names)) for m in run.kept_maps(p)}
            for position, node in enumerate(self.report.network.nodes, run.arity):
                why = COMPUTED if position in kept and position in run.made else node.layer.workspace
                library = run.library(position)
                if library is not None:
                    why = "" if library.followed and position not in several else STATES
                    if 0 < self.frozen.get(position, 0) < run.params(position) and not library.frozen_too:
                        why = FROZEN
                if run.in_place.get(node.name, 0) > self.report.shapes[position].values:
                    why = PARTS
                still, cost = run.learned(position, 1), self.report.costs[position]
                if node.layer.makes_weights_too and cost.weights and still[0] == NONE and still[1] != NONE:
                    why = ALONE
                if why:
                    found.setdefault(why, []).append(node.name)
            if self.batch == 1:
                found.update({SINGLE: shared} if (shared := self._spread()) else {})
            computed = getattr(self.report.network.source, "reparametrized", ())
            if computed:
                found.setdefault(WEIGHTS, []).extend(computed)
        return found

    def _spread(self) -> list[str]:
        """The learned maps that are combined with maps of items, themselves or views of them."""
        run, network, found = self._run, self.report.network, set[int]()
        for p in range(len(run.names) - 1, run.arity - 1, -1):
            if not run.once[p] or (p in found and network.nodes[p - run.arity].layer.memory == VIEW):
                found.update(s for s in network.sources[p - run.arity] if run.once[s] and run.learns[s])
        return [run.names[p] for p in sorted(found) if run.constant(p) and self.report.costs[p].params]

    def _buffers(self) -> Iterator[int]:
        """Bytes of each buffer: those of the module that the network was read from; of other networks the mean, the
        variance and the counter that a layer with running statistics has in PyTorch."""
        report, size = self.report, self.report.itemsize
        source = report.network.source
        if source is None:
            for cost in report.costs:
                if cost.buffers:
                    yield from (int(cost.buffers) * size // 2, int(cost.buffers) * size // 2, COUNTER)
            return
        for one in source.buffers:
            yield one.fractions * size if one.fractions and source.dtype != report.dtype else one.bytes

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """The moments of a step, in order, without what lives all the time."""
        return tuple(self._run.moments())

    def bytes_at(self, moment: Moment, batch: int | None = None) -> int:
        """All bytes at a moment."""
        return sum(self.constant.values()) + moment.amount.at(self.batch if batch is None else batch)

    @cached_property
    def timeline(self) -> tuple[tuple[str, str, int], ...]:
        """(node, phase, bytes) of every moment; training ends with the optimizer's step."""
        found = [(m.node, m.phase, self.bytes_at(m)) for m in self.moments]
        if not self.infer:
            found.append(("", "step", sum(self.constant.values()) + self.gradient_bytes))
        return tuple(found)

    @cached_property
    def peak(self) -> Peak:
        """The worst moment and what lives then."""
        worst = max(range(len(self.timeline)), key=lambda i: self.timeline[i][2])
        node, phase, total = self.timeline[worst]
        found: list[tuple[Item, Amount]] = []

        def watch(number: int, account: Account) -> None:
            if number == worst:
                found.extend(account.listed())

        if phase == "step":
            found.append((Item("gradients", ""), Amount(self.gradient_bytes)))
        else:
            for _ in self._run.moments(watch):
                pass
        live = [Live(term, "", size) for term, size in self.constant.items() if size]
        live += [Live(item.term, item.node, amount.at(self.batch)) for item, amount in found]
        live.sort(key=lambda x: -x.bytes)
        return Peak(total, node, phase, tuple(live))

    @cached_property
    def peak_bytes(self) -> int:
        """Bytes at the worst moment."""
        return max(size for *_, size in self.timeline)

    @cached_property
    def terms(self) -> dict[str, int]:
        """Bytes by term: what each comes to in a step. `kept` is all that backward needs, as it is when forward ends;
        `activations` is what lives beside it at the worst moment."""
        gradients = self.gradient_bytes
        beside = sum(x.bytes for x in self.peak.live if x.term == "activations")
        found = {**self.constant, "gradients": gradients, "kept": self.kept, "activations": beside}
        return {term: found[term] for term in TERMS}

    @cached_property
    def kept(self) -> int:
        """Bytes that backward needs, when forward has run."""
        if self.infer:
            return 0
        return sum(self.kept_by.values())

    @cached_property
    def kept_by(self) -> dict[str, int]:
        """The same by the node that keeps them; a map that several keep counts with the first."""
        run, seen, found = self._run, set[int](), dict[str, int]()
        for p in range(run.arity, len(run.names)):
            if run.learns[p]:
                found[run.names[p]] = run.kept_beside(p).at(self.batch)
            for m in set(run.kept_maps(p)) - seen:
                seen.add(m)
                found[run.names[p]] += 0 if run.given(m) else run.size(m).at(self.batch)
        return found

    @cached_property
    def work(self) -> tuple[Work, ...]:
        """The multiply-adds of a step, by node, for those that have any; of a run without gradients, forward only."""
        report = self.report
        backward = None if self.infer else gradients(report, self.frozen)
        found = []
        for row in report:
            forward, one = int(row.macs), report.costs[row.position].macs
            if forward:
                mine = backward[row.position] if backward is not None else NO_GRADIENT
                # figures of a batch that are not those of one item times the batch stay so in backward
                found.append(Work(row.name, forward, forward * mine.inputs // one, forward * mine.weights // one))
        return tuple(found)

    @property
    def step_macs(self) -> Work:
        """The multiply-adds of the whole step."""
        work = self.work
        return Work(
            "", sum(w.forward for w in work), sum(w.input_gradients for w in work),
            sum(w.weight_gradients for w in work),
        )  # fmt: skip

    def largest_batch(self, budget: int) -> Largest:
        """The largest batch whose peak is within a budget of bytes.

        Every moment is affine in the batch, a + b·n bytes, so that the answer is the least of ⌊(budget − a) / b⌋.
        """
        fixed = sum(self.constant.values())
        run = self._run
        if self.block != 1 or any(run.library(p) for p in range(run.arity, len(run.names))):
            return Largest(budget, self._largest_rounded(budget))
        several = [*self.run(batch=2).moments()]
        fits = [(budget - fixed - m.amount.fixed) // m.amount.each for m in several if m.amount.each]
        enough = all(fixed + m.amount.fixed <= budget for m in several if not m.amount.each)
        batch = min(fits, default=0) if enough and self._step_fits(budget) else 0
        if batch < 2:
            one = all(self.bytes_at(m, 1) <= budget for m in self.run(batch=1).moments()) and self._step_fits(budget)
            batch = 1 if one else 0
        return Largest(budget, batch)

    def _largest_rounded(self, budget: int) -> int:
        """The same where tensors are rounded up, so that moments are not affine: found by doubling and halving."""
        low, high = 0, 1
        while self._peak_at(high) <= budget:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._peak_at(middle) <= budget else (low, middle)
        return low

    def _peak_at(self, batch: int) -> int:
        """The peak with another batch."""
        fixed = sum(self.constant.values())
        step = 0 if self.infer else fixed + self.gradient_bytes
        return max(step, *(fixed + m.amount.at(batch) for m in self.run(batch=batch).moments()))

    @property
    def single_peak(self) -> int:
        """The peak with a single item: the least memory that there has to be."""
        return self._peak_at(1)

    def _step_fits(self, budget: int) -> bool:
        return sum(self.constant.values()) + self.gradient_bytes <= budget

    def stages(self) -> dict[str, dict[str, int]]:
        """Bytes of weights, gradients and what is kept, and multiply-adds of forward, of the gradients of maps and of
        weights, by stage (or block, or node, where there are no stages)."""
        run, size = self._run, self.report.itemsize
        found: dict[str, dict[str, int]] = {}
        work = {w.node: w[1:] for w in self.work}
        kept = {} if self.infer else self.kept_by
        for p, node in enumerate(self.report.network.nodes, run.arity):
            key = node.stage or node.name.split(".")[0]
            mine = found.setdefault(key, dict.fromkeys(STAGE, 0))
            for name, macs in zip(STAGE[3:], work.get(node.name, (0, 0, 0)), strict=True):
                mine[name] += macs
            mine["weights"] += run.params(p) * size
            mine["gradients"] += run.parameters(p).fixed if not self.infer else 0
            mine["kept"] += kept.get(node.name, 0)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it (schema rfcalc/memory/1)."""
        peak = self.peak
        inexact = [{"nodes": list(nodes), "why": why} for why, nodes in self.inexact]
        return {
            "schema": "rfcalc/memory/1",
            "network": self.report.target,
            "input": {name: list(shape.dims) for name, shape in self.report.inputs.items()},
            "mode": self.mode,
            "batch": self.batch,
            "dtype": self.report.dtype,
            "amp": self.amp,
            "optimizer": None if self.infer else self.optimizer,
            "device": self.device,
            "block": self.block,
            "terms": self.terms,
            "peak": {
                "bytes": peak.bytes,
                "node": peak.node,
                "phase": peak.phase,
                "live": [x._asdict() for x in peak.live],
            },
            "work": {
                **_told(self.step_macs),
                "flops": self.step_macs.flops,
                "layers": [{"node": w.node, **_told(w)} for w in self.work],
            },
            "timeline": [{"node": n, "phase": p, "bytes": b} for n, p, b in self.timeline],
            **({"inexact": inexact} if inexact else {}),
            **({"compared": self.compared.to_dict()} if self.compared is not None else {}),
        }


def _told(work: Work) -> dict[str, int]:
    return {
        "forward_macs": work.forward,
        "input_gradient_macs": work.input_gradients,
        "weight_gradient_macs": work.weight_gradients,
    }


def _matches(pattern: str, name: str, stage: str) -> bool:
    """Whether a pattern names a node, its stage, or a block that holds it."""
    return name == pattern or stage == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


assert set(AMP.values()) <= set(DTYPES)
