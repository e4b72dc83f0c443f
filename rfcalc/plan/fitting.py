"""The whole answer to "what fits": the memory of a step, and on demand the largest batch, recomputation, an arena,
patches; as values and as a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape
from rfcalc.graph.network import Network
from rfcalc.plan.arena import Arena, Layout, arena, layout, live
from rfcalc.plan.checkpoint import Checkpoint, Search
from rfcalc.plan.cuts import cuts
from rfcalc.plan.largest import LargestInput, largest_input
from rfcalc.plan.memory import STAGE, TERMS, Largest, Memory
from rfcalc.plan.patch import Patches
from rfcalc.plan.patch_search import search
from rfcalc.plan.rolling import best_rolled
from rfcalc.report.document import Cell, Column, Document, Listing, Section, Sentences, Table, TableLine
from rfcalc.report.units import binary, bytes_short, exact, short

MOST_LIVE = 8  # items of the peak that are listed
WORK = 1.3  # of the whole, that patches may cost where nothing is said
WORK_TITLES = {"forward": "forward", "input_gradients": "maps' grad.", "weight_gradients": "weights' grad."}
TOLD = {
    "weights": "weights and biases",
    "gradients": "of the parameters that are trained",
    "optimizer": "state of the optimizer",
    "kept": "maps, statistics and indices that backward needs, when forward has run",
    "activations": "other maps and gradients of maps, at the worst moment",
    "buffers": "running statistics and counters of batches; of a module all buffers",
}


@dataclass(frozen=True)
class Fit:
    """The memory of a network, with what was asked beside it.

    Args:
        memory: one step, or one run.
        budget: bytes that are there.
        checkpoint: whether layers may be computed again in backward to stay within the budget (without a budget: for
            the least memory).
        arena: whether maps are placed in one buffer, as a device does.
        patch: whether the first part may run patch by patch.
        fold_bn: on a device, whether batch normalisation is folded into the layer before it.
        count_input: on a device, whether the input lies in the buffer too.
        most_work: the work that patches may cost, as a multiple of the whole.
        rolling: with `patch`, whether strips keep the rows that are read again, instead of computing them twice.
        at: the network for inputs of other shapes: then the largest input is looked for, not the largest batch.
    """

    memory: Memory
    budget: int | None = None
    checkpoint: bool = False
    arena: bool = False
    patch: bool = False
    fold_bn: bool = False
    count_input: bool = True
    most_work: float | None = None
    at: Callable[[Sequence[Shape]], Network] | None = None
    rolling: bool = False

    def __post_init__(self) -> None:
        if self.checkpoint and self.memory.infer:
            raise RfcalcError("recomputation saves memory in training only", fix="leave --infer or --checkpoint out")
        if self.at is not None and self.budget is None:
            raise RfcalcError("the largest input for which memory?", fix="name a budget: --budget 24GB")
        if self.at is not None and self.device:
            raise RfcalcError(
                "the largest input is found for the maps of a framework", fix="leave --arena, --patch out"
            )
        if not self.count_input and not self.device:
            why = "the largest sum of maps of a framework always has it"
            raise RfcalcError("leaving the input out is for devices", why=why, fix="add --arena, --patch or --fold-bn")
        if self.rolling and not self.patch:
            raise RfcalcError("rolling rows are a way to run the first part in pieces", fix="add --patch")
        number = isinstance(self.most_work, (int, float)) and self.most_work >= 1
        if self.most_work is not None and not (self.patch and number):
            why = "it is a multiple of the whole run's multiply-adds, which is 1 at least" if self.patch else ""
            fix = "for example --most-work 1.1" if self.patch else "add --patch"
            raise RfcalcError(f"most work {self.most_work} bounds nothing that patches may cost", why=why, fix=fix)
        if (self.arena or self.patch) and not self.memory.infer:
            raise RfcalcError("an arena and patches are for running a network", fix="add --infer")

    @cached_property
    def device(self) -> bool:
        """Whether maps are counted as a device stores them, activations and folded layers in place."""
        return self.arena or self.patch or self.fold_bn

    @cached_property
    def layout(self) -> Layout:
        return layout(self.memory.report, fold_bn=self.fold_bn)

    @cached_property
    def largest(self) -> Largest | None:
        """The largest batch within the budget."""
        if self.budget is None or self.device or self.at is not None:
            return None
        return self.memory.largest_batch(self.budget)

    @cached_property
    def largest_input(self) -> LargestInput | None:
        """The largest input within the budget, if that is asked for."""
        if self.budget is None or self.at is None:
            return None
        return largest_input(self.memory, self.budget, self.at)

    @cached_property
    def recomputed(self) -> Checkpoint | None:
        """The cheapest recomputation within the budget; without a budget, the one with the least memory."""
        if not self.checkpoint:
            return None
        if self.budget is not None:
            return self._search.plan(self.budget)
        return min(self.curve, key=lambda plan: plan.peak)

    @cached_property
    def _search(self) -> Search:
        return Search(self.memory)

    @cached_property
    def curve(self) -> tuple[Checkpoint, ...]:
        """Memory against recomputation: plans from none to the least memory."""
        return tuple(self._search.curve()) if self.checkpoint else ()

    @cached_property
    def placed(self) -> Arena | None:
        """All maps in one buffer."""
        if not self.arena:
            return None
        report = self.memory.report
        return arena(report, self.layout, report.itemsize, count_input=self.count_input)

    @cached_property
    def live_bytes(self) -> int:
        """The largest sum of live maps, as a device stores them."""
        report = self.memory.report
        return max(live(report, self.layout, report.itemsize, count_input=self.count_input))

    @property
    def device_bytes(self) -> int:
        """What a device needs for all maps: of their placement, if that is asked for."""
        return self.placed.bytes if self.placed else self.live_bytes

    @property
    def whole_fits(self) -> bool:
        """Whether a device has room for the network without patches."""
        return self.budget is not None and self.device_bytes <= self.budget

    @cached_property
    def patches(self) -> Patches | None:
        """The best division of the first part into patches; None where it saves nothing, or is not needed."""
        if not self.patch or self.whole_fits:
            return None
        report = self.memory.report
        work = self.most_work if self.most_work is not None or self.budget is not None else WORK
        places = cuts(report, self.layout.own)
        if self.rolling:
            plan = best_rolled(
                report, self.layout, places, report.itemsize, count_input=self.count_input, budget=self.budget
            )
        else:
            plan = search(
                report, self.layout, places, report.itemsize,
                count_input=self.count_input, most_work=work, budget=self.budget,
            )  # fmt: skip
        return plan if plan is not None and plan.peak_bytes < plan.whole_bytes else None

    @property
    def found(self) -> bool:
        """Whether everything that was asked for has an answer within the budget."""
        if self.patch:
            return self.whole_fits or self.patches is not None
        if self.checkpoint:
            return self.recomputed is not None
        if self.budget is not None:
            if self.device:
                return self.whole_fits
            if self.largest_input is not None:
                return self.largest_input.shapes is not None
            return self.largest is not None and self.largest.batch > 0
        return True

    def __repr__(self) -> str:
        return f"<memory of {self.memory.report.target}: {self.memory.peak_bytes:,} bytes at the peak>"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it (schema rfcalc/memory/1)."""
        found = self.memory.to_dict()
        if self.largest is not None:
            found["largest_batch"] = self.largest._asdict()
        if self.largest_input is not None:
            shapes = self.largest_input.shapes
            found["largest_input"] = {
                "budget": self.budget,
                "input": None if shapes is None else {name: list(shape.dims) for name, shape in shapes.items()},
                "next_peak": self.largest_input.next,
            }
        if self.checkpoint:
            plan = self.recomputed
            curve = [{"peak": p.peak, "extra_macs": p.extra_macs} for p in self.curve]
            found["checkpoint"] = {"found": plan is not None, "curve": curve, **(plan.to_dict() if plan else {})}
        if self.device:
            found["device_bytes"] = {
                "maps": self.live_bytes, "input_counted": self.count_input, "folded": self.fold_bn,
            }  # fmt: skip
        if self.placed is not None:
            found["arena"] = self.placed.to_dict()
        if self.patch:
            told = self.patches.to_dict() if self.patches else {}
            found["patch"] = {"found": self.found, "needed": not self.whole_fits, **told}
        found["assumptions"] = self.assumptions
        return found

    @property
    def assumptions(self) -> list[str]:
        """What the network was read with, but that it is evaluated, where it trains here."""
        evaluated = {node.layer.assumes_evaluation for node in self.memory.report.network.nodes}
        return [a for a in self.memory.report.assumptions_of_memory if self.memory.infer or a not in evaluated]

    _repr_html_ = displayed

    def document(self, timeline: bool = False) -> Document:
        """What `rfcalc memory` shows."""
        memory, report = self.memory, self.memory.report
        how = "running" if memory.infer else f"training with {memory.optimizer}"
        amp = f", mixed precision in {memory.amp}" if memory.amp else ""
        title = f"memory of {report.target}, {how}, batch {memory.batch}, {report.dtype}{amp}"
        sections: list[Section] = [self._terms(), self._peak()]
        if memory.infer and self.device:
            sections = [self._on_device()]
        else:
            sections += [self._stages(), Sentences((self._work_told(),))]
        if timeline:
            sections.append(self._timeline())
        sections += self._answers()
        return Document(title, tuple(sections), notes=tuple(self._notes()), data=self.to_dict)

    def _terms(self) -> Table:
        memory = self.memory
        whole = max(1, sum(memory.terms.values()))
        lines = [TableLine((Cell(t), _bytes(memory.terms[t], whole), Cell(TOLD[t]))) for t in TERMS if memory.terms[t]]
        total = (
            ("peak", f"{exact(memory.peak.bytes)} B = {bytes_short(memory.peak.bytes)} = {binary(memory.peak.bytes)}"),
        )
        return Table(
            (Column("term"), Column("bytes", right=True, unit="bytes"), Column("what", least=20, wraps=True)),
            tuple(lines),
            total,
        )

    def _peak(self) -> Table:
        peak = self.memory.peak
        when = "at the optimizer's step" if peak.phase == "step" else f"while {peak.node} runs {peak.phase}"
        shown = peak.live[:MOST_LIVE]
        lines = [TableLine((Cell(x.node or "(network)"), Cell(x.term), _bytes(x.bytes, peak.bytes))) for x in shown]
        rest = sum(x.bytes for x in peak.live[MOST_LIVE:])
        if rest:
            lines.append(TableLine((Cell(f"{len(peak.live) - MOST_LIVE} more"), Cell(""), _bytes(rest, peak.bytes))))
        return Table(
            (Column("live", "node", least=16), Column("term"), Column("bytes", right=True, unit="bytes")),
            tuple(lines),
            title=f"The peak is {when}. What lives then:",
        )

    def _stages(self) -> Table:
        found = self.memory.stages()
        heads = ("weights", "kept") if not self.memory.infer else ("weights",)
        work = STAGE[3:] if not self.memory.infer else STAGE[3:4]
        columns = (
            Column("stage", least=12),
            *(Column(h, right=True, unit="bytes") for h in heads),
            *(Column(WORK_TITLES[h], h, right=True, unit="count") for h in work),
        )
        lines = [
            TableLine((Cell(stage), *(_bytes(own[h], 0) for h in heads), *(Cell(short(own[h]), own[h]) for h in work)))
            for stage, own in found.items()
            if any(own[h] for h in (*heads, *work))
        ]
        return Table(columns, tuple(lines), title="By stage, with the multiply-adds of a step:")

    def _work_told(self) -> str:
        work = self.memory.step_macs
        if self.memory.infer:
            return f"Running takes {short(work.flops)} FLOPs."
        return (
            f"A step takes {short(work.flops)} FLOPs: twice the {short(work.forward)} multiply-adds of forward, "
            f"{short(work.input_gradients)} for gradients of maps and {short(work.weight_gradients)} for those of "
            "weights."
        )

    def _timeline(self) -> Table:
        lines = [
            TableLine((Cell(node or "optimizer"), Cell(phase), _bytes(size, self.memory.peak.bytes)))
            for node, phase, size in self.memory.timeline
        ]
        columns = (Column("node", least=16), Column("phase"), Column("bytes", right=True, unit="bytes"))
        return Table(columns, tuple(lines), title="Moment by moment:")

    def _on_device(self) -> Sentences:
        maps = f"The largest sum of live maps is {exact(self.live_bytes)} B ({binary(self.live_bytes)})"
        counted = "the input counted" if self.count_input else "the input not counted"
        folded = ", batch normalisation folded" if self.fold_bn else ""
        weights = self.memory.terms["weights"]
        return Sentences((
            f"{maps}, {counted}{folded}; element-wise and depthwise layers and additions write over their input.",
            f"The weights take {exact(weights)} B ({binary(weights)}) beside it.",
        ))  # fmt: skip

    def _answers(self) -> Iterator[Section]:
        if self.largest is not None:
            yield Sentences((self._batch_told(self.largest),))
        if self.largest_input is not None:
            yield Sentences((self._input_told(self.largest_input),))
        if self.checkpoint:
            yield from self._recomputed()
        if (self.budget is not None or self.checkpoint) and (doubt := self._doubt()):
            yield Sentences((doubt,))
        if self.device and self.budget is not None and not self.patch:
            fits = "fit into" if self.whole_fits else "do not fit into"
            yield Sentences((f"The maps {fits} {bytes_short(self.budget)}.",))
        if self.placed is not None:
            yield from self._arena(self.placed)
        if self.patch:
            yield Sentences((self._patches_told(),))

    def _doubt(self) -> str:
        """What an answer under a budget rests on, where the figures are not to the byte."""
        own, start = self.memory.compared, "This answer rests on figures that are not to the byte here"
        if own is not None and not own.why and own.own_peak > own.peak:
            more = own.own_peak - own.peak
            return (
                f"{start}: PyTorch's own run of the step needs {exact(more)} B more at its peak, "
                f"{100 * more / own.peak:.1f} %, at a batch of {self.memory.batch:,}. Leave room for it."
            )
        told = own is not None and not own.why and not own.equal
        return f"{start}; the notes say where, and why." if told or self.memory.inexact else ""

    def _batch_told(self, largest: Largest) -> str:
        size = bytes_short(largest.budget)
        if not largest.batch:
            return f"{size} hold no item at all: a single one needs {bytes_short(self.memory.single_peak)}."
        return f"{size} hold a batch of {largest.batch:,}, and no larger one."

    def _input_told(self, largest: LargestInput) -> str:
        size, batch = bytes_short(largest.budget), self.memory.batch
        needs = f"needs {exact(largest.next)} B" if largest.next is not None else ""
        if largest.shapes is None:
            return f"{size} hold no input of these proportions at all: the smallest that runs {needs}."
        shapes = ", ".join(map(str, largest.shapes.values()))
        more = f"the next larger one that runs {needs}" if needs else "the network runs on no larger one"
        return f"{size} hold an input of {shapes} at a batch of {batch:,}; {more}."

    def _recomputed(self) -> Iterator[Section]:
        plan = self.recomputed
        if plan is None:
            least = min(self.curve, key=lambda p: p.peak, default=None)
            told = f"; the least peak is {bytes_short(least.peak)}" if least else ""
            yield Sentences((f"No recomputation brings the peak below {bytes_short(self.budget or 0)}{told}.",))
            return
        if not plan.runs:
            yield Sentences((f"Nothing need be computed again: the peak is {bytes_short(plan.peak)}.",))
            return
        share = 100 * plan.extra_macs / plan.macs if plan.macs else 0
        best = "the least extra work" if plan.optimal else "the least extra work that was found"
        yield Sentences((
            f"Computed again, these bring the peak to {bytes_short(plan.peak)} for {short(plan.extra_macs)} more "
            f"multiply-adds a step, {share:.1f} % of forward and backward ({best}).",
        ))  # fmt: skip
        if plan.runs:
            lines = [TableLine((Cell(r.module or "–"), Cell(r.first), Cell(r.last))) for r in plan.runs]
            yield Table((Column("module"), Column("from"), Column("to")), tuple(lines), title="Computed again:")
        if len(self.curve) > 1:
            lines = [
                TableLine(
                    (_bytes(p.peak, 0), Cell(short(p.extra_macs), p.extra_macs), Cell(str(len(p.runs)), len(p.runs)))
                )
                for p in self.curve
            ]
            columns = (
                Column("peak", right=True, unit="bytes"),
                Column("extra macs", "extra_macs", right=True),
                Column("runs", right=True),
            )
            yield Table(columns, tuple(lines), title="Memory against recomputation:")
        if plan.runs and all(r.module for r in plan.runs):
            yield Listing(plan.source(), "python", title="In PyTorch:")

    def _arena(self, placed: Arena) -> Iterator[Section]:
        if placed.optimal:
            sure = "no placement needs less"
        else:
            sure = (
                f"no placement needs less than {exact(placed.bound)} B, a gap of {exact(placed.bytes - placed.bound)} B"
            )
        yield Sentences((f"One buffer of {exact(placed.bytes)} B ({binary(placed.bytes)}) holds all maps; {sure}.",))
        lines = [
            TableLine((Cell(p.node), Cell(exact(p.offset), p.offset), Cell(exact(p.bytes), p.bytes)))
            for p in placed.placed
        ]
        columns = (
            Column("map", "node", least=16),
            Column("offset", right=True, unit="exact"),
            Column("bytes", right=True, unit="exact"),
        )
        yield Table(columns, tuple(lines), title="Where each map lies:")

    def _patches_told(self) -> str:
        plan = self.patches
        if self.whole_fits:
            return f"The maps fit into {bytes_short(self.budget or 0)} without patches, so none are needed."
        if plan is None:
            bound = f" within {bytes_short(self.budget)}" if self.budget is not None else " at a lower peak"
            return f"No division of the first part into patches runs{bound} for the work that is allowed."
        if plan.rolling:
            return (
                f"In {plan.grid[0]} strips up to {plan.cut}, of whose maps only the rows that are read again are kept, "
                f"the peak is {exact(plan.peak_bytes)} B instead of {exact(plan.whole_bytes)} B, and nothing is "
                f"computed twice (a strip {exact(plan.patch_bytes)} B, the rest of the network "
                f"{exact(plan.rest_bytes)} B)."
            )
        grid = " × ".join(map(str, plan.grid))
        return (
            f"In patches of a {grid} grid up to {plan.cut}, the peak is {exact(plan.peak_bytes)} B instead of "
            f"{exact(plan.whole_bytes)} B, for {100 * (plan.ratio - 1):.1f} % more multiply-adds (a patch "
            f"{exact(plan.patch_bytes)} B, the rest of the network {exact(plan.rest_bytes)} B)."
        )

    def _notes(self) -> Iterator[str]:
        yield from self.assumptions
        if self.memory.block == 1:
            told = "what an allocator rounds up and libraries take as workspace is not counted"
        else:
            told = (
                f"every tensor is rounded up to {self.memory.block} bytes, as PyTorch's allocator does on a GPU; what "
                "it leaves unsplit of larger blocks, and workspaces of libraries, are not counted"
            )
        yield f"MB = 10^6 bytes, MiB = 2^20; {told}"
        if self.memory.unused:
            size = bytes_short(sum(self.memory.unused) * self.memory.report.itemsize)
            yield f"parameters that nothing uses lie there too, {size} of the weights, without gradient or state"
        if self.memory.infer:
            return
        yield (
            "training: gradients are made anew in every step (set_to_none), the state of the optimizer is there; "
            "the loss and its own maps are not counted"
        )
        for why, nodes in self.memory.inexact:
            more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""
            yield f"not to the byte: {', '.join(nodes[:3])}{more}: {why}"
        yield from self._compared_told()
        if self.memory.amp:
            yield (
                "mixed precision (autocast): what multiplies reads and gives two bytes a value, with copies of the "
                "weights; weights, gradients, statistics and what is added to values of four bytes are in four"
            )
            if self.memory.device == "cuda":
                yield "what stays in float32 on a GPU follows PyTorch's documentation; no GPU was at hand to measure it"

    def _compared_told(self) -> Iterator[str]:
        """How the step of a module compares with PyTorch's own run of it."""
        own = self.memory.compared
        if own is None:
            return
        if own.why:
            yield f"not compared with PyTorch's own run of the step: without data it stops at {own.why}"
            return
        what = "what is kept" if not own.own_peak else "what is kept and the peak"
        if own.equal:
            yield f"PyTorch's own run of the step, without data, comes to the same bytes: {what}"
            return
        told = []
        for name, said, is_ in (("keeps", own.kept, own.own_kept), ("has at its peak", own.peak, own.own_peak)):
            if is_ not in (0, said):
                told.append(f"{name} {exact(is_)} B instead of {exact(said)} B")
        parts = [f"{path or 'the module itself'} ({more:+,} B)" for path, more in own.where[:3]]
        inside = f"; other bytes are kept inside of {', '.join(parts)}" if parts else ""
        inside += f" and {len(own.where) - 3} more" if len(own.where) > 3 else ""
        yield (
            f"not to the byte: PyTorch's own run of the step, without data, {' and '.join(told)} "
            f"(a peak without the optimizer's state){inside}"
        )


def _bytes(value: int, whole: int) -> Cell:
    return Cell(bytes_short(value), value, 1000 * value // whole if whole else 0)
