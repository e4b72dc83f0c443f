"""What a picture shows of a report: boxes, each with the nodes that it stands for, and the links between them.

1. Every input and every node belongs to exactly one box.
2. Copies of a repetition are drawn once: the boxes of the first copy stand for those of all copies.
3. Links go forward only. What one copy hands to the next is said by the repetition, not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.layers import WHERE
from rfcalc.report.document import words
from rfcalc.report.folding import folded
from rfcalc.report.metrics import metric
from rfcalc.report.report import Report
from rfcalc.report.table import Shown, cell, shown_rows
from rfcalc.report.units import exact

MOST = 3000  # boxes of one picture


class Part(NamedTuple):
    """One box: the nodes that it stands for, the texts of its figures, the family of its layer.

    `params` and `macs` are those of all `times` copies, as in the table; `output` and `rf` are the last copy's.
    """

    nodes: tuple[str, ...]
    name: str
    notation: str
    output: str
    rf: str
    params: str
    macs: str
    family: str
    stage: str
    times: int = 1

    @property
    def told(self) -> str:
        """What a pointer on the box says."""
        copies = f", {self.times} copies" if self.times > 1 else ""
        figures = [f"output {self.output}"]
        figures += [f"receptive field {self.rf}"] if self.rf else []
        figures += [f"{self.params} parameters"] if self.params else []
        figures += [f"{self.macs} multiply-adds"] if self.macs else []
        return f"{self.name}: {self.notation}{copies}; {', '.join(figures)}"


class Repetition(NamedTuple):
    """Boxes from `first` up to `end` that stand for `times` copies."""

    first: int
    end: int
    times: int


class Parts(NamedTuple):
    """The boxes in the network's order, the links between them by their numbers, the repetitions."""

    parts: tuple[Part, ...]
    links: tuple[tuple[int, int], ...]
    repetitions: tuple[Repetition, ...]


def parts(report: Report) -> Parts:
    """The boxes of a picture of this report.

    Raises:
        RfcalcError: more boxes than a picture can show.

    >>> import rfcalc
    >>> found = parts(rfcalc.analyze("conv3-8 > conv3-8 x3 > maxpool2"))
    >>> [(part.name, part.times) for part in found.parts]
    [('input', 1), ('conv1', 1), ('conv2–4', 3), ('maxpool1', 1)]
    """
    shown = shown_rows(list(report), every=False)
    merged = folded(shown)
    if len(merged) > MOST:
        raise RfcalcError(
            f"a picture of {len(merged):,} boxes cannot be read",
            where=report.target,
            why=f"at most {MOST:,} are drawn",
            fix="draw a part of the network, or show it as text: rfcalc table TARGET --depth 1",
        )
    made = [
        Part((name,), name, "input", "x".join(map(str, shape.dims)), "", "", "", "input", "")
        for name, shape in report.inputs.items()
    ]
    repetitions = []
    for first, members, repetition in _groups(shown, merged, len(made)):
        made.append(_part(report, first, members))
        if repetition is not None:
            repetitions.append(repetition)
    return Parts(tuple(made), tuple(_links(report, made)), tuple(repetitions))


def _groups(
    shown: list[Shown], merged: list[Shown], offset: int
) -> Iterator[tuple[Shown, list[Shown], Repetition | None]]:
    """Each merged line with the lines that it stands for; the repetition, where one begins."""
    at = {id(one.rows[0]): i for i, one in enumerate(shown)}
    i = start = 0
    while i < len(merged):
        one = merged[i]
        if one.times == 1 or one.last is None:
            yield one, [shown[start]], None
            i, start = i + 1, start + 1
            continue
        length = (at[id(one.last)] - start) // (one.times - 1)
        for k in range(length):
            copies = [shown[start + k + length * c] for c in range(one.times)]
            repetition = Repetition(offset + i, offset + i + length, one.times)
            yield merged[i + k], copies, repetition if k == 0 else None
        i, start = i + length, start + length * one.times


def _part(report: Report, one: Shown, members: list[Shown]) -> Part:
    def text(name: str) -> str:
        return words(cell(one, metric(name), report).text)

    def count(name: str) -> str:
        found = metric(name)
        assert found.row is not None
        value = sum(found.row(row) for row in one.rows) * one.times
        return exact(value) if value != 0 else ""

    nodes = tuple(row.name for copy in members for row in copy.rows)
    layer = one.head.node.layer
    family = "unknown" if layer.opaque else WHERE.get(type(layer).__name__, "")
    figures = (text("output_shape"), text("receptive_field"), count("params"), count("macs"))
    return Part(nodes, one.name, text("notation"), *figures, family, one.stage, one.times)


def _links(report: Report, made: list[Part]) -> Iterator[tuple[int, int]]:
    """Which boxes read which, each pair once, in order of the reader."""
    box = {name: i for i, part in enumerate(made) for name in part.nodes}
    found: dict[tuple[int, int], None] = {}
    for row in report:
        to = box[row.name]
        for name in row.inputs:
            if box[name] < to:
                found[box[name], to] = None
    yield from sorted(found, key=lambda pair: (pair[1], pair[0]))
