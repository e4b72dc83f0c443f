"""What is told of a step of training, beside PyTorch's own run of it on tensors without data: a second road.

The source of a network that was read from a module can run it so (`lived`); other sources have no second road.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rfcalc.plan.memory import Memory


class Compared(NamedTuple):
    """What is told (`kept`, and the `peak` of forward and backward without the optimizer's state), and what PyTorch's
    own run of the step on tensors without data comes to (0: not known); `why` it could not be run, else empty; the
    modules inside of which other bytes are kept, and how many more than told."""

    kept: int
    peak: int
    own_kept: int
    own_peak: int
    why: str = ""
    where: tuple[tuple[str, int], ...] = ()

    @property
    def equal(self) -> bool:
        return not self.why and self.own_kept == self.kept and self.own_peak in (0, self.peak)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**self._asdict(), "where": [{"module": path, "more": more} for path, more in self.where]}


def compared(memory: Memory) -> Compared | None:
    """The step of a module as PyTorch runs it, beside what `memory` tells; None where there is no module, or no step of
    training in the module's own dtype."""
    source = memory.report.network.source
    ask = getattr(source, "lived", None)
    if ask is None or memory.infer or source.dtype != memory.report.dtype:
        return None
    fixed = memory.constant["weights"] + memory.constant["buffers"]
    peak = fixed + max((m.amount.at(memory.batch) for m in memory.moments), default=0)
    own = ask(memory.batch, memory.low)
    if own.why:
        return Compared(memory.kept, peak, 0, 0, own.why)
    found = dict(own.inside)
    for node, size in memory.kept_by.items():
        path = source.frames.get(node, "")
        found[path] = found.get(path, 0) - size
    where = sorted(((path, n) for path, n in found.items() if n), key=lambda item: -abs(item[1]))
    return Compared(memory.kept, peak, own.kept, own.peak, "", tuple(where))
