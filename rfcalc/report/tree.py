"""The table as a tree of stages and blocks with subtotals, and sorted: what `--depth`, `--sort` and `--top` show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

from rfcalc.core.errors import RfcalcError
from rfcalc.core.size import is_number
from rfcalc.report import Report, Row
from rfcalc.report.document import Cell, TableLine
from rfcalc.report.folding import TURNS, moves_in_one
from rfcalc.report.metrics import Metric, metric, size_text
from rfcalc.report.table import FOLD_FROM, Shown, View, cell, figure, span, subtotal

INDENT = "  "
REST = " … "  # between the names of the first and the last row, where a heading has no name of its own
ENDS = ("output_shape", "stride", "padding", "center", "status", "seen")  # a group has those of its last row


Copies: TypeAlias = "tuple[Shown, ...]"  # a row, or equal rows of several copies that are shown as one
Placed: TypeAlias = "tuple[tuple[str, ...], Copies]"  # the groups that it stands in, from the outside


class TreeRow(NamedTuple):
    """A row or a group of rows at one level: its name there, and what is in it."""

    name: str
    inner: tuple[Placed, ...]
    group: bool

    @property
    def times(self) -> int:
        """How many copies are shown as one."""
        return len(self.inner[0][1])

    @property
    def rows(self) -> list[Row]:
        """The rows of all copies, one copy after another."""
        return [row for k in range(self.times) for _, copies in self.inner for row in copies[k].rows]

    @property
    def alike(self) -> tuple[Any, ...]:
        """What copies have in common."""
        return (self.group, *((row.notation, row.shape.dims, row.cost) for row in self.rows))


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
    if view.depth is None:
        sort = view.sort or ("params" if view.top is not None else None)
        parts = [TreeRow(one.name, (((), (one,)),), False) for one in shown]
        for part in _ordered(parts, sort)[: view.top]:
            yield _line(part, 0, report, columns), 1
        return
    yield from _level([(path, (one,)) for path, one in zip(paths(shown), shown, strict=True)], 0, report, columns, view)


def _level(
    found: Sequence[Placed], level: int, report: Report, columns: tuple[Metric, ...], view: View
) -> Iterator[tuple[TableLine, int]]:
    """The rows and groups of one level, the groups with what is in them, as deep as is asked for."""
    parts: list[TreeRow] = []
    for name, run in groupby(found, lambda placed: placed[0][level] if len(placed[0]) > level else None):
        placed = tuple(run)
        if name is not None:
            parts.append(TreeRow(name, placed, True))
            continue
        for one in placed:
            own = one[1][0]
            parts.append(TreeRow(own.own_name.rpartition(".")[2] if level else own.name, (one,), False))
    sort = view.sort or ("params" if view.top is not None else None)
    together = _together(_ordered(parts, sort), view.fold is not False)
    for part in together[: view.top if level == 0 else None]:
        yield _line(part, level, report, columns), part.times
        if part.group and (view.depth is None or level + 1 < view.depth):
            yield from _level(part.inner, level + 1, report, columns, view)


def _together(parts: Sequence[TreeRow], fold: bool) -> list[TreeRow]:
    """The parts, equal groups that stand beside each other as one; so are those that take turns with others, or with
    rows (a block and the sum behind it)."""
    about = [part.alike if fold else None for part in parts]
    found: list[TreeRow] = []
    i = 0
    while i < len(parts):
        period = times = 1
        for period in range(1, TURNS + 1):
            own = about[i : i + period]
            times = 1
            while (
                fold
                and any(part.group for part in parts[i : i + period])
                and about[i + period * times : i + period * (times + 1)] == own
            ):
                times += 1
            if times > 1:
                break
        else:
            period = 1
        found += [_as_one(parts[i + k : i + period * times : period]) for k in range(period)]
        i += period * times
    return found


def _as_one(copies: Sequence[TreeRow]) -> TreeRow:
    """Equal parts as one."""
    first, last = copies[0], copies[-1]
    if len(copies) == 1:
        return first
    inner = tuple(
        (path, tuple(shown for part in copies for shown in part.inner[i][1])) for i, (path, _) in enumerate(first.inner)
    )
    numbers = [int(part.name) for part in copies[:2] if part.name.isdecimal()]
    step = numbers[1] - numbers[0] if len(numbers) == 2 else 1
    return TreeRow(span(first.name, last.name, max(step, 1)), inner, first.group)


def paths(shown: Sequence[Shown]) -> list[tuple[str, ...]]:
    """The groups that each row stands in, from the outside: its stage, and the blocks of its name."""
    outer: dict[str, tuple[str, ...]] = {}
    for one in shown:
        blocks = tuple(one.own_name.split(".")[:-1])
        stage = one.head.stage
        common = outer.get(stage, blocks)
        same = next((i for i, (a, b) in enumerate(zip(common, blocks, strict=False)) if a != b), None)
        outer[stage] = common[: min(len(common), len(blocks)) if same is None else same]
    many = Counter(one.head.stage for one in shown)
    found = []
    for one in shown:
        blocks = tuple(one.own_name.split(".")[:-1])
        stage = one.head.stage
        own = tuple(stage.split("."))
        if not stage or blocks[: len(own)] == own:
            found.append(blocks)
        elif not blocks and (REST in stage or many[stage] == 1):  # the heading of what stands in no module
            found.append(())
        else:
            found.append((stage, *blocks[len(outer[stage]) :]))
    _take_in([*range(len(shown))], 0, found, [(one.head.notation, one.head.shape.dims) for one in shown])
    rest: dict[str, list[int]] = {}
    for i, one in enumerate(shown):
        if not found[i] and one.head.stage:
            rest.setdefault(one.head.stage, []).append(i)
    for stage, rows in rest.items():
        names = [shown[i].own_name for i in rows]
        for i in rows if len(rows) > 1 else ():
            found[i] = (f"{names[0]}{REST}{names[-1]}" if REST in stage else stage,)
    return found


def _take_in(rows: Sequence[int], level: int, found: list[tuple[str, ...]], kinds: Sequence[Any]) -> None:
    """Put rows of no block that stand between the blocks of one group into it, and those that follow its last block in
    the same way: the sums of a residual network whose code adds outside of its blocks.

    Args:
        rows: of one group, in order.
        level: of that group.
        found: the groups of each row, changed here.
        kinds: what each row does.
    """
    groups: dict[str, list[int]] = {}
    for place, i in enumerate(rows):
        if len(found[i]) > level:
            groups.setdefault(found[i][level], []).append(place)
    for places in groups.values():
        inside = range(places[0], places[-1] + 1)
        between = [rows[place] for place in inside if len(found[rows[place]]) == level]
        taken = rows[places[0] : places[-1] + 1]
        if between and len(between) + len(places) == len(inside):
            lone = {*between}
            end = len(taken) - next(n for n, i in enumerate(reversed(taken)) if i in lone)  # of the last ones between
            start = end - next(n for n, i in enumerate(reversed(taken[:end])) if i not in lone)
            after = rows[places[-1] + 1 : places[-1] + 1 + end - start]
            alike = [kinds[i] for i in after] == [kinds[i] for i in taken[start:end]]
            if alike and all(len(found[i]) == level for i in after):
                between += after
                taken = [*taken, *after]
            for i in between:
                found[i] = found[rows[places[0]]][: level + 1]
        elif len(inside) > len(places):
            taken = [rows[place] for place in places]
        _take_in(taken, level + 1, found, kinds)


def _ordered(parts: list[TreeRow], sort: str | None) -> list[TreeRow]:
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


def _key(by: Metric, part: TreeRow) -> Any:
    assert by.row is not None
    value = by.over(part.rows) if by.right else by.row(part.rows[0])
    if isinstance(value, (tuple, list)):
        numbers = [n for n in value if is_number(n)]
        return max(numbers) if numbers else None
    return value


def _line(part: TreeRow, level: int, report: Report, columns: tuple[Metric, ...]) -> TableLine:
    copies = part.inner[0][1]
    shown = copies[0] if len(copies) == 1 else copies[0]._replace(times=len(copies), last=copies[-1])
    cells = []
    for i, column in enumerate(columns):
        if column.name == "name" and i == 0:
            cells.append(Cell(INDENT * level + part.name))
        elif not part.group:
            cells.append(cell(shown, column, report))
        elif column.name == "receptive_field":
            cells.append(Cell(size_text(part.rows[-1])))
        elif column.name in ENDS and column.row is not None:
            cells.append(figure(column, column.row(part.rows[-1]), report))
        else:
            cells.append(subtotal(column, part.rows, report))
    return TableLine(tuple(cells), "", "strong" if part.group else "")
