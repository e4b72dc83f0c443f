"""Where the units of a map lie in the image: stride, offset, size, reach; how levels are out of step.

Two conventions are in use. In one, pixel 0 is centred at 0: unit u lies at offset + stride·u. In the other, pixel 0
covers 0 to 1 and is centred at ½ (half-pixel centres, as boxes are drawn): unit u lies at offset + ½ + stride·u.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rfcalc.core.displayed import displayed
from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.core.window import Window
from rfcalc.receptive.receptive_field import ReceptiveField, plain
from rfcalc.report import Report
from rfcalc.report.document import Cell, Column, Document, Sentences, Table, TableLine

if TYPE_CHECKING:
    from rfcalc.report.schemas.grid import GridAxisJson, GridJson

SCHEMA: Final = "rfcalc/grid/1"
FIGURES = ("stride", "offset", "offset_half", "size")
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
    """(least first + greatest last over one period) / 2 − stride·(P − 1) / 2.

    >>> offset(Window(2, [(0, 1), (0, 1)]))  # maxpool2, then up2
    Fraction(0, 1)
    """
    ends = [e for e in window.ends if e is not None]
    middle = Fraction(min(e[0] for e in ends) + max(e[1] for e in ends), 2)
    return middle - Fraction(window.advance * (window.period - 1), 2 * window.period)


class Level(NamedTuple):
    """One node: its grid on each axis of the input (None where its units have none), and why not."""

    name: str
    grids: tuple[AxisGrid | None, ...]
    why: str = ""


class OutOfStep(NamedTuple):
    """How two levels are out of step on one axis, in pixels: their offsets, and their cells."""

    fine: str
    coarse: str
    axis: int
    offset: Fraction
    cells: Fraction


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

    Raises:
        UnknownName: there is no such node.
    """

    def __init__(self, report: Report, nodes: Sequence[str] = ()) -> None:
        self.report = report
        levels = [self._level(name) for name in dict.fromkeys(nodes or report.network.outputs)]
        if not nodes and all(set(level.grids) == {None} for level in levels):  # a classifier: its last map with places
            names = reversed([node.name for node in report.network.nodes])
            levels = [level for level in map(self._level, names) if None not in level.grids][:1] or levels
        self.levels = tuple(levels)

    def _level(self, name: str) -> Level:
        network = self.report.network
        position = network.position(name)
        found = self.report.receptive_field(position)
        field: ReceptiveField = found if isinstance(found, ReceptiveField) else next(iter(found.values()))
        shape = self.report.shapes[position]
        grids: list[AxisGrid | None] = []
        for axis, window in enumerate(field.windows):
            carrier = field.carrier(axis)
            if window is None or window.empty or carrier is None or field.stride[axis] is None:
                grids.append(None)
                continue
            stride = Fraction(*window.stride)
            grids.append(AxisGrid(stride, offset(window), int(shape.dims[carrier]), reach(window)))
        why = "" if None not in grids else _why(field)
        return Level(name, tuple(grids), why)

    @cached_property
    def steps(self) -> tuple[OutOfStep, ...]:
        """Each level against the next coarser one, axis by axis."""
        found = []
        rank = self.report.shapes[0].rank
        for axis in range(rank):
            placed = [(level.name, g) for level in self.levels if (g := level.grids[axis]) is not None]
            placed.sort(key=lambda item: item[1].stride)
            for (fine, a), (coarse, b) in pairwise(placed):
                found.append(OutOfStep(fine, coarse, axis, b.offset - a.offset, b.shift - a.shift))
        return tuple(found)

    def failures(self, text: str) -> list[str]:
        """What does not hold of ``"stride=16 offset=8"``, for every level and axis.

        Raises:
            RfcalcError: it cannot be read.
        """
        wanted = parsed(text)
        found = []
        for level in self.levels:
            for axis, grid in enumerate(level.grids):
                for name, value in wanted.items():
                    is_ = None if grid is None else Fraction(getattr(grid, name))
                    if is_ == value:
                        continue
                    if is_ is None:
                        found.append(f"{level.name} axis {axis} has no {name}: {level.why}")
                        break
                    other = {"offset": "offset_half", "offset_half": "offset"}.get(name)
                    same = other and grid is not None and getattr(grid, other) == value
                    note = f" ({value} is its {other})" if same else ""
                    found.append(f"{level.name} axis {axis}: {name} is {is_}, not {value}{note}")
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
                    "axes": [_axis(i, g) for i, g in enumerate(level.grids)],
                    "why": level.why or None,
                }
                for level in self.levels
            ],
            "alignment": [
                {"fine": s.fine, "coarse": s.coarse, "axis": s.axis, "offset": plain(s.offset), "cells": plain(s.cells)}
                for s in self.steps
            ],
            "assumptions": list(self.report.assumptions),
        }

    _repr_html_ = displayed

    def document(self, check: str | None = None) -> Document:
        """What `rfcalc grid` shows; `check` as for `failures`."""
        columns = (
            Column("node"),
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
            for axis, g in enumerate(level.grids):
                if g is None:
                    lines.append(
                        TableLine((Cell(level.name), Cell(str(axis), axis), *[Cell("–")] * 5, Cell(level.why)))
                    )
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
                lines.append(TableLine((Cell(level.name), Cell(str(axis), axis), *cells)))
        sections: list[Any] = [Table(columns, tuple(lines), title=f"The grid of {self.report.target} in its input")]
        if self.steps:
            heads = (
                Column("level"),
                Column("next"),
                Column("axis", right=True),
                Column("offsets apart", "offset", right=True),
                Column("cells apart", "cells", right=True),
            )
            rows = [
                TableLine(
                    (Cell(s.fine), Cell(s.coarse), Cell(str(s.axis)), Cell(_told(s.offset)), Cell(_told(s.cells)))
                )
                for s in self.steps
            ]
            sections.append(Table(heads, tuple(rows), title="Levels against the next coarser one, in pixels"))
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


def parsed(text: str) -> dict[str, Fraction]:
    """``"stride=16 offset=7.5"`` (also with commas) as figures.

    Raises:
        RfcalcError: it cannot be read.

    >>> parsed("stride=16, offset=7.5")
    {'stride': Fraction(16, 1), 'offset': Fraction(15, 2)}
    """
    found: dict[str, Fraction] = {}
    for part in text.replace(",", " ").replace(";", " ").split():
        name, sign, value = part.partition("=")
        name = name.strip().lower().replace("-", "_")
        if name not in FIGURES:
            raise UnknownName("figure of a grid", name, FIGURES)
        try:
            found[name] = Fraction(value) if sign else Fraction("")
        except (ValueError, ZeroDivisionError):
            raise RfcalcError(f"--check: {part!r} has no number", fix='write --check "stride=16 offset=7.5"') from None
    if not found:
        raise RfcalcError("--check says nothing", fix='write --check "stride=16 offset=7.5"')
    return found


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


def _why(field: ReceptiveField) -> str:
    if field.status == "none":
        return "it depends on nothing of the input"
    if field.status == "global":
        return f"every unit sees everything, through {', '.join(field.through[:2])}"
    if field.status == "unknown":
        return f"{', '.join(field.unknown)} was not understood"
    if field.joins:
        join = field.joins[0]
        return f"paths of different strides meet at {join['node']}" if join["why"] == "strides" else f"{join['node']}"
    return f"it is {field.status.replace('_', ' ')}"
