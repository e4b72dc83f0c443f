"""The chart ``memory``: what lives when, moment by moment of a step; the largest items as bars below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from rfcalc.drawing.axes import EDGE, linear, title_lines
from rfcalc.drawing.letters import cut, width
from rfcalc.drawing.options import NONE, Options
from rfcalc.drawing.stages import heading_of
from rfcalc.plan.memory import Memory
from rfcalc.report.document import Area, Box, Cell, Column, Label, Picture, Sentences, Stroke, Table, TableLine
from rfcalc.report.units import bytes_short

if TYPE_CHECKING:
    from rfcalc.plan.account import Account
    from rfcalc.report import Report

WIDE, HIGH = 640.0, 260.0
ROW, BAR = 18.0, 10.0
MOST = 16  # items with a bar
COLUMNS = (Column("item", "name", least=16), Column("of"), Column("size", right=True), Column("moments", right=True))
# from below; what lives all the time first
TERMS = ("weights", "buffers", "optimizer", "gradients", "kept", "activations")


_Place = Callable[[float], float]


class _Life(NamedTuple):
    """An item: its term, its node, its bytes, the first and the last moment at which it lives."""

    term: str
    node: str
    size: int
    first: int
    last: int


def picture(report: Report, options: Options = NONE) -> Picture:
    """The memory of a step of training with Adam, or of running the network only.

    Raises:
        RfcalcError: sizes that are symbols.

    >>> import rfcalc
    >>> picture(rfcalc.analyze("conv3-8 > maxpool2", "3x16x16"), Options(infer=True)).description.partition(":")[0]
    'conv3-8 > maxpool2'
    """
    return timeline(Memory(report, options.infer))


def timeline(memory: Memory) -> Picture:
    """What lives at every moment of a step (or of a run without gradients), as `memory` has it.

    >>> import rfcalc
    >>> found = timeline(rfcalc.memory("conv3-8 > maxpool2", "3x16x16", optimizer="sgd").memory)
    >>> found.description.rpartition(": ")[2]
    'a step of training with sgd; the memory at 5 moments, by what it holds.'
    """
    report = memory.report
    sums, lives = _lives(memory)
    moments = len(memory.timeline)
    worst = memory.peak
    title, about = heading_of(report)
    optimizer = memory.optimizer.replace("adam", "Adam")
    mode = "running only" if memory.infer else f"a step of training with {optimizer}"
    items = "1 item" if memory.batch == 1 else f"{memory.batch:,} items"
    where = f"{worst.phase} of {worst.node}" if worst.node else "the optimizer's step"
    about = (
        *about,
        f"{mode}, a batch of {items}, {report.dtype}: the peak is {bytes_short(worst.bytes)} in the {where}",
    )
    texts, wide, top = title_lines(title, about)
    names = [cut(life.node, 26) for life in lives]
    left = EDGE + max([58.0, *(ceil(width(name)) + 8.0 for name in names)])
    top += 34
    scale = linear(worst.bytes / _unit(worst.bytes)[0])
    unit, word = _unit(worst.bytes)
    bottom = top + HIGH
    lines = []
    for value in scale.marks:
        y = round(bottom - HIGH * scale.place(value), 2)
        lines.append(Stroke(((left, y), (left + WIDE, y)), "grid"))
        texts.append(Label(left - 6, y + 4, f"{value:g}", "soft", "end"))
    texts.append(Label(EDGE, top - 14, word, "strong"))

    def across(moment: float) -> float:
        return round(left + WIDE * moment / moments, 2)

    def upwards(amount: float) -> float:
        return round(bottom - HIGH * scale.place(amount / unit), 2)

    areas = []
    base = [0] * moments
    used = [term for term in TERMS if any(sums[term])]
    for term in used:
        above = [b + n for b, n in zip(base, sums[term], strict=True)]
        areas.append(Area(_steps(base, above, across, upwards), term, f"{term}: up to {bytes_short(max(sums[term]))}"))
        base = above
    phases = [phase for _, phase, _ in memory.timeline]
    x = left
    for phase in dict.fromkeys(phases):
        first, last = phases.index(phase), moments - phases[::-1].index(phase)
        if first:
            lines.append(Stroke(((across(first), top), (across(first), bottom)), "mark"))
        if across(last) - across(first) > width(phase) + 6:
            texts.append(Label((across(first) + across(last)) / 2, bottom + 16, phase, "soft", "middle"))
    peak = max(range(moments), key=lambda i: memory.timeline[i][2])
    lines.append(Stroke(((across(peak + 0.5), top), (across(peak + 0.5), bottom)), "peak"))
    told = f"peak {bytes_short(worst.bytes)}"
    x = min(max(across(peak + 0.5), left + width(told) / 2), left + WIDE - width(told) / 2)
    texts.append(Label(round(x, 2), top - 14, told, "strong", "middle"))
    boxes = []
    y = bottom + 40
    x = left
    for term in used:
        if x + 22 + width(term) > left + WIDE:
            x, y = left, y + 18
        boxes.append(Box(round(x, 2), y - 9, 12, 10, term))
        texts.append(Label(round(x + 17, 2), y, term))
        x += 17 + width(term) + 16
    y += 26
    texts.append(
        Label(
            left,
            y,
            f"the {len(lives)} largest that do not live all the time"
            if len(lives) == MOST
            else "what does not live all the time",
            "strong",
        )
    )
    y += 10
    for life, name in zip(lives, names, strict=True):
        start, end = across(life.first), across(life.last + 1)
        boxes.append(
            Box(
                start,
                y,
                max(0.5, round(end - start, 2)),
                BAR,
                life.term,
                "",
                f"{life.node}: {life.term}, {life.size:,} bytes",
            )
        )
        texts.append(Label(left - 6, y + BAR - 1, name, "", "end"))
        size = bytes_short(life.size)
        texts.append(Label(left + WIDE + 8, y + BAR - 1, size))
        y += ROW
    right = left + WIDE + 8 + max((width(bytes_short(life.size)) for life in lives), default=0.0)
    listed = [("all", term, max(sums[term]), "the most") for term in used]
    listed += [(life.node, life.term, life.size, f"{life.first}–{life.last} of {moments}") for life in lives]
    described = f"{title}: {mode}; the memory at {moments} moments, by what it holds."
    return Picture(
        max(wide, right) + EDGE,
        y + EDGE,
        tuple(areas),
        tuple(lines),
        tuple(boxes),
        tuple(texts),
        title,
        described,
        (
            Table(
                COLUMNS,
                tuple(
                    TableLine((Cell(n), Cell(t), Cell(bytes_short(size), size), Cell(m))) for n, t, size, m in listed
                ),
            ),
            Sentences(tuple(about), listed=False),
        ),
    )


def _unit(most: int) -> tuple[int, str]:
    return next(((10**e, word) for e, word in ((9, "GB"), (6, "MB"), (3, "kB")) if most >= 10**e), (1, "bytes"))


def _lives(memory: Memory) -> tuple[dict[str, list[int]], list[_Life]]:
    """The bytes of each term at each moment; the largest items with the moments between which they live."""
    moments = len(memory.timeline)
    sums = {term: [memory.constant.get(term, 0)] * moments for term in TERMS}
    lives: dict[tuple[object, ...], _Life] = {}
    begun: dict[object, int] = {}

    def watch(now: int, account: Account) -> None:
        for key in [*begun]:
            if key not in account.items:
                del begun[key]
        for key, (item, amount) in account.items.items():
            first = begun.setdefault(key, now)
            size = amount.at(memory.batch)
            sums[item.term][now] += size
            lives[key, first, item.term] = _Life(
                item.term, item.node, size, lives.get((key, first, item.term), _Life("", "", 0, now, 0)).first, now
            )

    for _ in memory.run().moments(watch):
        pass
    if not memory.infer:
        sums["gradients"][-1] += memory.gradient_bytes
    whole = [life for life in lives.values() if life.last - life.first < moments - 2]
    largest = sorted(whole, key=lambda life: (-life.size, life.first))[:MOST]
    return sums, sorted(largest, key=lambda life: (life.first, life.last))


def _steps(low: Sequence[int], high: Sequence[int], across: _Place, upwards: _Place) -> tuple[tuple[float, float], ...]:
    """The outline between two staircases."""
    there = [(across(i + k), upwards(v)) for i, v in enumerate(high) for k in (0, 1)]
    back = [(across(i + k), upwards(v)) for i, v in reversed([*enumerate(low)]) for k in (1, 0)]
    found: list[tuple[float, float]] = []
    for point in [*there, *back]:
        if len(found) > 1 and (found[-2][1] == found[-1][1] == point[1] or found[-2][0] == found[-1][0] == point[0]):
            found[-1] = point
        else:
            found.append(point)
    return tuple(found)
