"""Where the units of a map lie in the image: stride, offset, size, reach; how levels are out of step.

Two conventions are in use. In one, pixel 0 is centred at 0: unit u lies at offset + stride·u. In the other, pixel 0
covers 0 to 1 and is centred at ½ (half-pixel centres, as boxes are drawn): unit u lies at offset + ½ + stride·u.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError, UnknownName, plural
from rfcalc.core.window import Window
from rfcalc.receptive.receptive_field import ReceptiveField, plain
from rfcalc.report import Report
from rfcalc.report.document import Cell, Column, Document, Sentences, Table, TableLine
from rfcalc.report.field_sentences import join_told

if TYPE_CHECKING:
    from rfcalc.report.schemas.grid import GridAxisJson, GridJson

SCHEMA: Final = "rfcalc/grid/1"
FIGURES = ("stride", "offset", "offset_half", "size")
NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})(/\d{1,15})?", re.ASCII)
HALF = Fraction(1, 2)


class AxisGrid(NamedTuple):
    """The grid of one node on one axis.

    Attributes:
        stride: pixels from a unit to the next (A / P: units 0 … P − 1 advance by A pixels).
        offset: the centre of unit 0, pixel 0 being centred at 0; over all phases, without their wobble.
        size: units on the axis.
        reach: how far a unit sees before and after its own place ⌊u·A / P⌋, the largest over all phases.
    """

    stride: Fraction
    offset: Fraction
    size: int
    reach: tuple[int, int]

    @property
    def offset_half(self) -> Fraction:
        """The same centre where pixel 0 is centred at ½."""
        return self.offset + HALF

    @property
    def shift(self) -> Fraction:
        """How far the cells are moved from those that tile the image: the centre of cell 0 is stride / 2 there."""
        return self.offset_half - self.stride / 2

    def centre(self, u: int) -> Fraction:
        """The centre of unit u, pixel 0 being centred at 0."""
        return self.offset + self.stride * u


def reach(window: Window) -> tuple[int, int]:
    """How far a unit sees before and after its own place ⌊u·A / P⌋, the largest over all phases.

    >>> reach(Window(16, [(-1, 3)]))
    (1, 3)
    """
    ends = [(u * window.advance // window.period, e) for u, e in enumerate(window.ends) if e is not None]
    return max(place - e[0] for place, e in ends), max(e[1] - place for place, e in ends)


def offset(window: Window) -> Fraction:
    """(least first + greatest last over one period) / 2 − stride · the middle phase.

    The middle phase is (P − 1) / 2; where some units see nothing, the middle of the first and last that see something.

    >>> offset(Window(2, [(0, 1), (0, 1)]))  # maxpool2, then up2
    Fraction(0, 1)
    >>> offset(Window(1, [(0, 0), None]))  # zeros between the pixels: unit 2 lies on pixel 1
    Fraction(0, 1)
    """
    ends = [e for e in window.ends if e is not None]
    seeing = [u for u, e in enumerate(window.ends) if e is not None]
    middle = Fraction(min(e[0] for e in ends) + max(e[1] for e in ends), 2)
    return middle - Fraction(window.advance * (seeing[0] + seeing[-1]), 2 * window.period)


class Level(NamedTuple):
    """One node in one input.

    Attributes:
        name: the node.
        grids: its grid on each axis of the input (None where its units have none).
        why: why an axis has none.
        source: the input.
        through: nodes through which its units see all of an axis besides; the grid is that of the other paths.
        bounded: nodes behind which some units may see less than is told.
    """

    name: str
    grids: tuple[AxisGrid | None, ...]
    why: str = ""
    source: str = "input"
    through: tuple[str, ...] = ()
    bounded: tuple[str, ...] = ()


class OutOfStep(NamedTuple):
    """How two levels are out of step on one axis of an input, in pixels: their offsets, and their cells."""

    fine: str
    coarse: str
    axis: int
    offset: Fraction
    cells: Fraction
    source: str = "input"


class Grids:
    """The grids of some nodes of a network.

    >>> import rfcalc
    >>> found = rfcalc.grid("vgg16", "pool3", "pool4")
    >>> [(level.name, *map(str, level.grids[0][:2])) for level in found.levels]
    [('pool3', '8', '7/2'), ('pool4', '16', '15/2')]
    >>> found.failures("stride=8")
    ['pool4 axis 0: stride is 16, not 8', 'pool4 axis 1: stride is 16, not 8']

    Args:
        report: the network, analysed.
        nodes: which nodes; the outputs if left out, or a classifier's last map. A stage or block means its last node.
        source: in which input; if left out, in each one that a node depends on.

    Attributes:
        levels: each node in each of its inputs.
        instead: the outputs, where none has a grid and the last map that has one is told.

    Raises:
        UnknownName: there is no such node, or no such input.
    """

    def __init__(self, report: Report, nodes: Sequence[str] = (), source: str | None = None) -> None:
        if source is not None and source not in report.network.inputs:
            raise UnknownName("input", source, report.network.inputs)
        self.report = report
        self.source = source
        levels = [level for name in dict.fromkeys(nodes or report.network.outputs) for level in self._levels(name)]
        instead: list[Level] = []
        if not nodes and not any(g for level in levels for g in level.grids):  # a classifier: its last map with places
            names = reversed([node.name for node in report.network.nodes])
            placed = (
                [level for level in self._levels(name) if level.grids and None not in level.grids] for name in names
            )
            if last := next(filter(None, placed), None):
                levels, instead = last, levels
        self.instead = tuple(instead)
        self.levels = tuple(levels)

    @property
    def several(self) -> bool:
        """Whether it has to be said in which input."""
        return len(self.report.network.inputs) > 1

    def _levels(self, name: str) -> list[Level]:
        """A node in the inputs that it depends on; in the first, where it depends on none."""
        fields = self.report.receptive_fields(self.report.network.position(name))
        if self.source is not None:
            return [self._level(name, self.source, fields[self.source])]
        seen = [source for source, field in fields.items() if field.status != "none" and field.windows]
        return [self._level(name, source, fields[source]) for source in seen or list(fields)[:1]]

    def _level(self, name: str, source: str, field: ReceptiveField) -> Level:
        shape = self.report.shapes[self.report.network.position(name)]
        grids: list[AxisGrid | None] = []
        for axis, window in enumerate(field.windows):
            carrier = field.carrier(axis)
            if window is None or window.empty or carrier is None or field.stride[axis] is None:
                grids.append(None)
                continue
            stride = Fraction(*window.stride)
            grids.append(AxisGrid(stride, offset(window), int(shape.dims[carrier]), reach(window)))
        bare = [axis for axis, g in enumerate(grids) if g is None]
        besides = any(g is not None and field.spans[axis] is not None for axis, g in enumerate(grids))
        through = field.through if besides else ()
        return Level(
            name,
            tuple(grids),
            _why(field, bare[0], source if self.several else "the input") if bare else "",
            source,
            through,
            field.bounded,
        )

    @cached_property
    def steps(self) -> tuple[OutOfStep, ...]:
        """Each level against the next, from fine to coarse, axis by axis; of levels with the same grid the first."""
        found = []
        for source in dict.fromkeys(level.source for level in self.levels):
            here = [level for level in self.levels if level.source == source]
            for axis in range(len(here[0].grids)):
                grids: dict[tuple[Fraction, Fraction], tuple[str, AxisGrid]] = {}
                for level in here:
                    if (g := level.grids[axis]) is not None:
                        grids.setdefault((g.stride, g.offset), (level.name, g))
                placed = sorted(grids.values(), key=lambda item: item[1].stride)
                for (fine, a), (coarse, b) in pairwise(placed):
                    found.append(OutOfStep(fine, coarse, axis, b.offset - a.offset, b.shift - a.shift, source))
        return tuple(found)

    def failures(self, text: str) -> list[str]:
        """What does not hold of ``"stride=16 offset=8"``, for every level and axis; ``size=50x82``: axis by axis.

        Raises:
            RfcalcError: it cannot be read, or has another number of axes.
        """
        wanted = parsed(text)
        found = []
        for level in self.levels:
            rank = len(level.grids)
            for name, values in wanted.items():
                if len(values) not in (1, rank):
                    axes = f"{level.source} {plural(rank, 'axis', 'axes')}"
                    what = f"--check: {name} has {plural(len(values), 'number')}, {axes}"
                    raise RfcalcError(what, fix="write one number for all axes, or one for each: size=50x82")
            for axis, grid in enumerate(level.grids):
                where = f"{level.name} axis {axis}" + (f" of {level.source}" if self.several else "")
                for name, values in wanted.items():
                    value = values[axis % len(values)]
                    is_ = None if grid is None else Fraction(getattr(grid, name))
                    if is_ == value:
                        continue
                    if is_ is None:
                        found.append(f"{where} has no {name}: {level.why}")
                        break
                    other = {"offset": "offset_half", "offset_half": "offset"}.get(name)
                    same = other and grid is not None and getattr(grid, other) == value
                    note = f" ({value} is its {other})" if same else ""
                    found.append(f"{where}: {name} is {is_}, not {value}{note}")
        return found

    def __repr__(self) -> str:
        return f"<grid of {self.report.target}: {', '.join(level.name for level in self.levels)}>"

    def to_dict(self) -> GridJson:
        """The JSON: schema rfcalc/grid/1."""
        return {
            "schema": SCHEMA,
            "network": {"name": self.report.network.name, "target": self.report.target},
            "input": {name: list(x.dims) for name, x in self.report.inputs.items()},
            "nodes": [
                {
                    "node": level.name,
                    "from": level.source,
                    "axes": [_axis(i, g) for i, g in enumerate(level.grids)],
                    "why": level.why or None,
                    "through": list(level.through),
                }
                for level in self.levels
            ],
            "alignment": [
                {
                    "fine": s.fine,
                    "coarse": s.coarse,
                    "from": s.source,
                    "axis": s.axis,
                    "offset": plain(s.offset),
                    "cells": plain(s.cells),
                }
                for s in self.steps
            ],
            "instead": [{"node": level.name, "from": level.source, "why": level.why} for level in self.instead],
            "assumptions": list(self.report.assumptions),
        }

    def _besides(self) -> Iterator[str]:
        """What the table's figures do not say of themselves, in sentences."""
        for level in self.instead:
            last = self.levels[0].name
            yield f"The output {level.name} has no grid: {level.why}; {last} is the last map that has one."
        for level in self.levels:
            name = f"{level.name} in {level.source}" if self.several else level.name
            if level.why:
                bare = ", ".join(str(axis) for axis, g in enumerate(level.grids) if g is None)
                yield f"{name} has no grid on axis {bare}: {level.why}."
            if level.through:
                told = ", ".join(level.through[:2])
                yield f"{name}: every unit also sees a whole axis, through {told}; told is what the other paths see."
            if level.bounded:
                yield f"{name}: some units may see less than is told, because of {', '.join(level.bounded[:3])}."

    _repr_html_ = displayed

    def document(self, check: str | None = None) -> Document:
        """What `rfcalc grid` shows; `check` as for `failures`."""
        column = (Column("input"),) if self.several else ()
        columns = (
            Column("node"),
            *column,
            Column("axis", right=True),
            Column("size", right=True),
            Column("stride", right=True),
            Column("offset", right=True),
            Column("half-pixel", "offset_half", right=True),
            Column("reach"),
            Column("centres", spare=1),
        )
        lines = []
        for level in self.levels:
            named = (Cell(level.name), *(Cell(level.source) for _ in column))
            for axis, g in enumerate(level.grids):
                if g is None:
                    lines.append(TableLine((*named, Cell(str(axis), axis), *[Cell("–")] * 5, Cell("–", level.why))))
                    continue
                shown = [0, 1, 2, g.size - 1] if g.size > 3 else range(g.size)
                centres = [_told(g.centre(u)) for u in shown]
                told = ", ".join(centres if g.size <= 4 else [*centres[:3], "…", centres[3]])
                cells = (
                    Cell(str(g.size), g.size),
                    Cell(_told(g.stride)),
                    Cell(_told(g.offset)),
                    Cell(_told(g.offset_half)),
                    Cell(f"{g.reach[0]} + {g.reach[1]}"),
                    Cell(told),
                )
                lines.append(TableLine((*named, Cell(str(axis), axis), *cells)))
        sections: list[Any] = [
            Table(
                columns,
                tuple(lines),
                title=f"The grid of {self.report.target} in its {'inputs' if self.several else 'input'}",
            )
        ]
        if besides := tuple(self._besides()):
            sections.append(Sentences(besides))
        if self.steps:
            heads = (
                Column("level"),
                Column("next"),
                *column,
                Column("axis", right=True),
                Column("offsets apart", "offset", right=True),
                Column("cells apart", "cells", right=True),
            )
            rows = []
            for s in self.steps:
                named = (Cell(s.fine), Cell(s.coarse), *(Cell(s.source) for _ in column), Cell(str(s.axis)))
                rows.append(TableLine((*named, Cell(_told(s.offset)), Cell(_told(s.cells)))))
            sections.append(Table(heads, tuple(rows), title="Each level against the next, fine to coarse, in pixels"))
        if check is not None:
            failed = self.failures(check)
            verdict = [f"No: {line}." for line in failed] or [f"Yes: {check} holds for every node and axis."]
            sections.append(Sentences(tuple(verdict), title="Check"))
        notes = (
            "offset: the centre of unit 0, pixel 0 being centred at 0; half-pixel: pixel 0 being centred at 1/2; "
            "reach: pixels that a unit sees before and after its own place, at most",
            "cells apart: 0 where the cells of both levels, a stride wide, begin at the same pixel edge"
            if self.steps
            else "centres: of units 0, 1, 2, … and the last one",
        )
        return Document(
            f"grid of {self.report.target}", tuple(sections), (*notes, *self.report.assumptions), self.to_dict
        )


def parsed(text: str) -> dict[str, tuple[Fraction, ...]]:
    """``"stride=16 offset=7.5"`` (also with commas) as figures: one for all axes, or ``size=50x82``, one for each.

    Raises:
        RfcalcError: it cannot be read.

    >>> parsed("stride=16, offset=7.5")
    {'stride': (Fraction(16, 1),), 'offset': (Fraction(15, 2),)}
    """
    found: dict[str, tuple[Fraction, ...]] = {}
    for part in re.sub(r"\s*=\s*", "=", text.replace(",", " ").replace(";", " ")).split():
        name, sign, value = part.partition("=")
        name = name.strip().lower().replace("-", "_")
        name = "offset_half" if name == "half_pixel" else name  # as its column is called
        if name not in FIGURES:
            raise UnknownName("figure of a grid", name, FIGURES)
        if name in found:
            raise RfcalcError(f"--check says {name} twice", fix="say it once; for several axes: stride=2x1")
        numbers = value.split("x")
        if not sign or not all(map(NUMBER.fullmatch, numbers)):
            raise RfcalcError(f"--check: {part!r} has no number", fix='write --check "stride=16 offset=7.5"')
        try:
            found[name] = tuple(map(_read, numbers))
        except ZeroDivisionError:
            raise RfcalcError(f"--check: {part!r} has no number", fix='write --check "stride=16 offset=7.5"') from None
    if not found:
        raise RfcalcError("--check says nothing", fix='write --check "stride=16 offset=7.5"')
    return found


def _read(text: str) -> Fraction:
    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or 1)


def _axis(axis: int, grid: AxisGrid | None) -> GridAxisJson:
    if grid is None:
        return {"axis": axis, "stride": None, "offset": None, "offset_half": None, "size": None, "reach": None}
    return {
        "axis": axis,
        "stride": _number(grid.stride),
        "offset": _number(grid.offset),
        "offset_half": _number(grid.offset_half),
        "size": grid.size,
        "reach": list(grid.reach),
    }


def _number(value: Fraction) -> Any:
    return plain(value.numerator if value.denominator == 1 else value)


def _told(value: Fraction) -> str:
    """As a decimal number where it ends soon, else as a fraction."""
    if value.denominator in (1, 2, 4, 8):
        return f"{float(value):g}"
    return str(value)


def _why(field: ReceptiveField, axis: int, source: str) -> str:
    """Why an axis has no grid."""
    if field.status == "none":
        return f"it depends on nothing of {source}"
    if field.status == "unknown":
        return f"{', '.join(field.unknown)} was not understood"
    if joins := [join for join in field.joins if join["axis"] == axis]:
        return join_told(joins[0])
    if field.spans[axis] is not None:
        return f"every unit sees everything, through {', '.join(field.through[:2])}"
    if field.status == "needs_input_size":
        return f"{field.needs[0][0]} needs the input's size: {field.needs[0][1]}"
    return "no axis of the map belongs to this axis of the input alone"
