"""The maps of a stream, and which positions a unit of one reads of another; written streams carry this source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Read(NamedTuple):
    """What unit u of a node reads of one map: ``stride·u + first + dilation·t`` for t below `kernel`; with `phases`,
    ``stride·(u // period) + t`` for the t listed for its phase. A map without the axis is read as it is."""

    source: int
    stride: int = 1
    first: int = 0
    kernel: int = 1
    dilation: int = 1
    border: str = "zeros"
    phases: tuple[tuple[int, ...], ...] = ()
    begins: bool = False  # everything before belongs to it too
    head: int = 0  # units at the beginning that nobody reads
    even: int = 0  # the axis along which the positions of a map without the axis are alike

    def known(self, count: int) -> int:
        """How many units read only the first `count` positions."""
        if self.border != "zeros" and count <= (-self.first - self.head if self.border == "reflect" else 0):
            return 0
        if not self.phases:
            last = self.first + self.dilation * (self.kernel - 1)
            return max(0, (count - 1 - last) // self.stride + 1)
        turns = [((count - 1 - t[-1]) // self.stride + 1, i) for i, t in enumerate(self.phases) if t]
        return max(0, min((turn * len(self.phases) + i for turn, i in turns), default=0))

    def taps(self, unit: int) -> Sequence[int]:
        """The positions that a unit reads."""
        if not self.phases:
            start = self.stride * unit + self.first
            return range(start, start + self.dilation * (self.kernel - 1) + 1, self.dilation)
        turn, phase = divmod(unit, len(self.phases))
        return [turn * self.stride + t for t in self.phases[phase]]

    def lowest(self, unit: int) -> int:
        """The first position that a unit, or any after it, reads."""
        if self.begins:
            return 0
        if not self.phases:
            return self.stride * unit + self.first
        turn, phase = divmod(unit, len(self.phases))
        now = [turn * self.stride + t[0] for t in self.phases[phase:] if t]
        return min(now + [(turn + 1) * self.stride + t[0] for t in self.phases if t])

    def between(self, start: int, stop: int) -> tuple[int, int]:
        """The positions that units from `start` to `stop` read, from the first to after the last."""
        if not self.phases:
            return self.stride * start + self.first, (
                self.stride * (stop - 1) + self.first + self.dilation * (self.kernel - 1) + 1
            )
        period = len(self.phases)
        units = {*range(start, min(stop, start + period)), *range(max(start, stop - period), stop)}
        taps = [t for u in units for t in self.taps(u)]
        return (min(taps), max(taps) + 1) if taps else (0, 0)

    def seen(self, units: range, positions: range) -> Tensor:
        """Which of some positions each of some units reads, as a table of flags (units × positions)."""
        if self.begins:
            last = torch.tensor([self.taps(u)[-1] for u in units])
            return torch.tensor(positions) <= last[:, None]
        made = torch.zeros(len(units), len(positions), dtype=torch.bool)
        for row, unit in zip(made, units, strict=True):
            row[[p - positions.start for p in self.taps(unit) if p in positions]] = True
        return made


class StreamedMap(NamedTuple):
    """One map: the axis of its tensor (0: it has none), how many positions it has for `rate` = (p, q) of the input:
    n·p / q + extra; what it reads, and how it is made (`how`, see `Streamed`)."""

    name: str
    axis: int
    rate: tuple[int, int] = (1, 1)
    extra: int = 0
    reads: tuple[Read, ...] = ()
    how: str = "window"
    run: Any = None  # function of the module, the learned tensor and the inputs; None: its module
    module: str = ""
    learned: str = ""
    fill: float = 0.0  # what stands beyond the ends
    cut: int = 0  # positions before the first unit that its layer makes (transposed), or reads (whole); of a bias by
    # differences (attention), the first one
    hold: int = 0  # positions by which it waits longer than it must
    again: bool = False  # it is made again from the maps before it, and not kept
    after: int = 0  # how far its last window reaches beyond the end
    shape: tuple[int, ...] = ()  # of the map without the batch; its length does not matter
    kind: Any = None  # the type of its values, where it is not that of the parameters


class Held(NamedTuple):
    """Positions of a map from `start` on; `gaps` lists those that are really there (counted from `start`), where not
    all are."""

    start: int
    values: Tensor
    gaps: tuple[int, ...] | None = None
