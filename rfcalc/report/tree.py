"""The table as a tree of stages and blocks with subtotals, and sorted: what `--depth`, `--sort` and `--top` show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import is_number
from rfcalc.report.document import Cell, TableLine
from rfcalc.report.folding import TURNS, moves_in_one
from rfcalc.report.metrics import Metric, metric, size_text
from rfcalc.report.report import Report, Row
from rfcalc.report.table import FOLD_FROM, Shown, View, cell, figure, span, subtotal

INDENT = "  "
ENDS = ("output_shape", "stride", "padding", "center", "status", "seen")  # a group has those of its last row


class Part(NamedTuple):
    """A row or a group of rows at one level: its name there, and what is in it."""

    name: str
    shown: tuple[Shown, ...]
    group: bool

    @property
    def rows(self) -> list[Row]:
        return [row for one in self.shown for row in one.rows]

    @property
    def alike(self) -> tuple[Any, ...]:
        """What copies have in common."""
        return tuple((row.notation, row.shape.dims, row.cost) for row in self.rows)


def lines(
    report: Report, shown: Sequence[Shown], columns: tuple[Metric, ...], view: View
) -> Iterator[tuple[TableLine, int]]:
    """The lines, each with how many copies it stands for.

    Raises:
        RfcalcError: a depth or a number of rows below 1.
        UnknownName: a metric that does not exist.
    """
    for name, number in (("depth", view.depth), ("top", view.top)):
        if number is not None and number < 1:
            raise RfcalcError(f"--{name} {number} shows nothing", fix=f"give 1 or more: --{name} 1")
    if len(shown) > FOLD_FROM if view.fold is None else view.fold:
        shown = moves_in_one([*shown])
    sort = view.sort or ("params" if view.top is not None else None)
    if view.depth is None:
        parts = [Part(one.name, (one,), False) for one in shown]
        for part in _ordered(parts, sort)[: view.top]:
            yield _line(part, 0, report, columns), 1
        return
    yield from _level([*zip(paths(shown), shown, strict=True)], 0, report, columns, view, sort)


def _level(
    found: Sequence[tuple[tuple[str, ...], Shown]],
    level: int,
    report: Report,
    columns: tuple[Metric, ...],
    view: View,
    sort: str | None,
) -> Iterator[tuple[TableLine, int]]:
    """The rows and groups of one level, the groups with what is in them, as deep as is asked for."""
    inner: dict[int, list[tuple[tuple[str, ...], Shown]]] = {}
    parts: list[Part] = []
    for name, run in groupby(found, lambda pair: pair[0][level] if len(pair[0]) > level else None):
        pairs = [*run]
        if name is None:
            parts += [Part(one.own_name.rpartition(".")[2] if level else one.name, (one,), False) for _, one in pairs]
            continue
        parts.append(Part(name, tuple(one for _, one in pairs), True))
        inner[id(parts[-1])] = pairs
    last = view.depth is not None and level + 1 >= view.depth
    cut = view.top if level == 0 else None
    for copies, period in _copies(_ordered(parts, sort), view.fold is not False and last)[:cut]:
        part = copies[0]
        if len(copies) > 1:
            name = span(part.name, copies[-1].name, period)
            part = Part(name, tuple(one for copy in copies for one in copy.shown), True)
        yield _line(part, level, report, columns), len(copies)
        if part.group and not last:
            yield from _level(inner[id(copies[0])], level + 1, report, columns, view, sort)


def _copies(parts: Sequence[Part], fold: bool) -> list[tuple[list[Part], int]]:
    """Equal groups that stand beside each other, or take turns, together, and how many kinds take turns."""
    about = [part.alike if fold and part.group else None for part in parts]
    found: list[tuple[list[Part], int]] = []
    i = 0
    while i < len(parts):
        for period in range(1, TURNS + 1):
            own = about[i : i + period]
            times = 1
            while None not in own and about[i + period * times : i + period * (times + 1)] == own:
                times += 1
            if times > 1:
                break
        else:
            period = 1
        found += [([parts[i + k + period * c] for c in range(times)], period) for k in range(period)]
        i += period * times
    return found


def paths(shown: Sequence[Shown]) -> list[tuple[str, ...]]:
    """The groups that each row stands in, from the outside: its stage, and the blocks of its name."""
    outer: dict[str, tuple[str, ...]] = {}
    for one in shown:
        blocks = tuple(one.own_name.split(".")[:-1])
        stage = one.head.stage
        common = outer.get(stage, blocks)
        same = next((i for i, (a, b) in enumerate(zip(common, blocks, strict=False)) if a != b), None)
        outer[stage] = common[: min(len(common), len(blocks)) if same is None else same]
    found = []
    for one in shown:
        blocks = tuple(one.own_name.split(".")[:-1])
        stage = one.head.stage
        own = tuple(stage.split("."))
        if not stage or blocks[: len(own)] == own:
            found.append(blocks)
        else:
            found.append((stage, *blocks[len(outer[stage]) :]))
    return found


def _ordered(parts: list[Part], sort: str | None) -> list[Part]:
    """The parts by a metric, the largest first; as they come where no metric is given."""
    if sort is None:
        return parts
    by = metric(sort.removeprefix("-"))
    if by.row is None:
        raise RfcalcError(f"{by.name} is a figure of the whole network", fix="sort by params, macs, memory or rf")
    keys = [(part, _key(by, part)) for part in parts]
    known = [(part, key) for part, key in keys if key is not None]
    known.sort(key=lambda pair: pair[1], reverse=not sort.startswith("-") and by.right)
    return [part for part, _ in known] + [part for part, key in keys if key is None]


def _key(by: Metric, part: Part) -> Any:
    assert by.row is not None
    value = by.over(part.rows) if by.right else by.row(part.rows[0])
    if isinstance(value, (tuple, list)):
        numbers = [n for n in value if is_number(n)]
        return max(numbers) if numbers else None
    return value


def _line(part: Part, level: int, report: Report, columns: tuple[Metric, ...]) -> TableLine:
    cells = []
    for i, column in enumerate(columns):
        if column.name == "name" and i == 0:
            cells.append(Cell(INDENT * level + part.name))
        elif not part.group:
            cells.append(cell(part.shown[0], column, report))
        elif column.name == "receptive_field":
            cells.append(Cell(size_text(part.rows[-1])))
        elif column.name in ENDS and column.row is not None:
            cells.append(figure(column, column.row(part.rows[-1]), report))
        else:
            cells.append(subtotal(column, part.rows, report))
    return TableLine(tuple(cells), "", "strong" if part.group else "")
