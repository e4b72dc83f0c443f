"""The table of a report as a document: which rows and columns, folded how, with which totals and notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from rfcalc.core.errors import UnknownName, noun, plural
from rfcalc.core.size import is_number
from rfcalc.receptive.receptive_field import LISTED
from rfcalc.report import Report, Row
from rfcalc.report.document import Cell, Column, Document, Section, Sentences, Table, TableLine
from rfcalc.report.metrics import PRESETS, SHARES, Metric, columns_named, metric, part, size_text
from rfcalc.report.units import binary, exact, megabytes, short

FULL_DIGITS = ("params", "weights", "biases", "buffers", "values")
BARS = ("params", "weights", "bytes", "macs", "values", "saved_bytes", "params_share", "macs_share", "memory_share")
NUMBERED = re.compile(r"(?<![^.])[0-9]+\.")  # a number that is a part of a name with dots, not its last
FOLD_FROM = 60  # rows from which repeated ones are folded unless asked otherwise
STYLES = {
    "table": "rows and columns, in any format",
    "cs231n": "the lecture's listing: map, memory, weights, each with its arithmetic",
    "stages": "a line a stage, its layers in brackets with how often they stand, as in the ResNet paper",
    "summary": "the summary that PyTorch and Keras users know",
}
_LEAST = {"name": 16, "notation": 12, "inputs": 8}  # texts that a narrow terminal may cut, to at least this
_MOST = {"name": 60, "notation": 60, "inputs": 40}  # beyond this, columns of letters cut them
_SPARE = {"bytes": 5, "stride": 4, "notation": 3, "macs": 2, "params": 1}  # columns that go first, the greatest first


class Shown(NamedTuple):
    """Rows shown as one: the weight layer with what follows it, copies of a repetition, or what is gathered.

    `times`, `last`: how many copies, and the last of them. `title`, `words`: the name and the notation of gathered
    rows, whose output is the last's. `together`: their memory is that of all of them.
    """

    rows: tuple[Row, ...]
    times: int = 1
    last: Shown | None = None
    title: str = ""
    words: str = ""
    together: bool = False
    period: int = 1  # copies stand so many numbers apart

    @property
    def head(self) -> Row:
        return self.rows[0]

    @property
    def own_name(self) -> str:
        return self.title or self.head.name

    @property
    def name(self) -> str:
        return self.own_name if self.last is None else span(self.own_name, self.last.own_name, self.period)

    @property
    def stage(self) -> str:
        """The stage, or those of all copies."""
        return span(self.head.stage, self.end.stage)

    @property
    def end(self) -> Row:
        """The row that the shown output belongs to."""
        rows = (self.last or self).rows
        return rows[-1] if self.words else rows[0]


def span(first: str, last: str, step: int = 1) -> str:
    """The names of the first and the last copy as one; what differs is one number where it can be.

    >>> span("conv3_2", "conv3_3"), span("relu9", "relu12"), span("layer3.1.conv1", "layer3.35.conv1")
    ('conv3_2–3', 'relu9–12', 'layer3.{1–35}.conv1')
    >>> span("blocks.0.fc", "blocks.4.fc", 2), span("blocks.1.fc", "blocks.17.fc", 2)
    ('blocks.{0,2,4}.fc', 'blocks.{1,3…17}.fc')
    """
    if first == last:
        return first
    stem = len(first.rstrip("0123456789"))
    if first[:stem] == last[:stem] and last[stem:].isdecimal() and stem < len(first):
        return first[:stem] + _numbers(first[stem:], last[stem:], step)
    one, other = first.split("."), last.split(".")
    apart = [i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) == len(other) and len(apart) == 1 and one[apart[0]].isdecimal() and other[apart[0]].isdecimal():
        i = apart[0]
        numbers = _numbers(one[i], other[i], step)
        return ".".join([*one[:i], numbers if step > 1 else f"{{{numbers}}}", *one[i + 1 :]])
    return f"{first} … {last}"


def _numbers(first: str, last: str, step: int) -> str:
    """The numbers of copies."""
    if step == 1:
        return f"{first}–{last}"
    copies = [str(n) for n in range(int(first), int(last) + 1, step)]
    return "{" + (",".join(copies) if len(copies) <= 3 else f"{copies[0]},{copies[1]}…{copies[-1]}") + "}"


def shown_rows(rows: Sequence[Row], every: bool) -> list[Shown]:
    """Rows with the activations, normalisation, dropout after a weight layer folded into it, unless all are shown; so
    is attention written by hand, and what weights are computed from."""
    places: dict[str, Any] = {}
    if not every and len(rows) > 1 and any(row.node.layer.in_attention or not row.inputs for row in rows):
        places = import_module("rfcalc.report.gathering").gathered(rows)
    inside = {row.name for group in places.values() for row in group.rows}
    found: list[list[Row]] = []
    about: list[Any] = []
    busy = {block for row in rows if not row.node.layer.folds for block in _blocks(row.name)}
    for row in rows:
        group = places.get(row.name)
        if group is None and row.name in inside:
            continue
        last = found[-1][-1] if found else None
        follows = last is not None and row.inputs == (last.name,) and row.stage == last.stage
        if (
            follows
            and group is None
            and (row.node.layer.folds or _inside(row, found[-1][0]))
            and not every
            and row.shape == _shape_of(found[-1], about)
            and all(f"{found[-1][0].name}.".startswith(block) for block in _blocks(row.name) if block in busy)
        ):
            found[-1].append(row)
        else:
            found.append([*group.rows] if group is not None and group.words else [row])
            about.append(group)
    return [_one(group, told) for group, told in zip(found, about, strict=True)]


def _inside(row: Row, layer: Row) -> bool:
    """Whether a row is a part of that layer which has no figures of its own: what a computed weight fixes."""
    return row.name.rpartition(".")[0] == layer.name and not row.params and not row.macs


def _blocks(name: str) -> Iterator[str]:
    """The numbered blocks that a name stands in: ``layers.0.`` and ``layers.0.blocks.1.``."""
    for found in NUMBERED.finditer(name):
        yield name[: found.end()]


def _shape_of(group: list[Row], about: list[Any]) -> Any:
    """The shape that the group shows."""
    told = about[-1]
    return (told.rows[-1] if told is not None and told.words else group[0]).shape


def _one(rows: list[Row], told: Any) -> Shown:
    if told is None:
        return Shown(tuple(rows))
    if told.words:
        words = " ".join([told.words, *(row.notation for row in rows[len(told.rows) :])])
        return Shown(tuple(rows), title=told.name, words=words, together=True)
    return Shown((*rows, *told.rows[1:]), together=True)


class View(NamedTuple):
    """What of the report is shown.

    `columns`: metric names, in order; None for the usual ones. `every`: activations, normalisation and dropout get rows
    of their own. `fold`: repeated rows are shown once with their count; None where it helps. `at`: only this node.
    `depth`: a tree of stages and blocks with subtotals, so many levels of it. `sort`: by this metric, the largest first
    (the smallest, with ``-`` before it); `top`: so many rows. `caption`: instead of the network's; `label`: for LaTeX.
    """

    columns: tuple[str, ...] | None = None
    every: bool = False
    fold: bool | None = None
    at: str | None = None
    depth: int | None = None
    sort: str | None = None
    top: int | None = None
    caption: str = ""
    label: str = ""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The columns; names of `PRESETS` stand for theirs.

        Raises:
            UnknownName: there is no such column.
        """
        return columns_named(self.columns or PRESETS["usual"])


def document(report: Report, view: View = View(), style: str = "table") -> Document:  # noqa: B008 (immutable)
    """The report as a document, in a style.

    Raises:
        UnknownName: no such style, column or node.
    """
    if style not in STYLES:
        raise UnknownName("style", style, list(STYLES))
    network = report.network
    about: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    section: Section
    if style != "table":
        section = import_module(f"rfcalc.report.{style}").listing(report, view)
        told = notes(report) if isinstance(section, Table) else ()
    else:
        shown = _chosen(report, view)
        section = table(report, view, shown)
        about = tuple(_about(section, shown, view))
        told = notes(report)
    return Document(
        network.name or report.target,
        (*([Sentences(about, listed=False)] if about else []), section),
        told,
        data=report.to_dict,
        records=partial(_records, report, view),
        about=(network.title, network.citation),
    )


def _about(found: Table, shown: Sequence[Shown], view: View) -> Iterator[str]:
    """What has to be said of the choice of rows."""
    if any(c.name == "copies" for c in found.columns):
        yield "×n: n equal copies in one line, their params, memory and macs summed, output and rf of the last"
    if any(one.together for one in shown):
        yield "attention and computed weights: one line, params, memory and macs of all its nodes (--all shows them)"
    if view.top is not None and view.depth is None:
        by = metric((view.sort or "params").removeprefix("-")).title
        yield f"{len(found.lines)} of {plural(len(shown), 'row')}, by {by}"


def _records(report: Report, view: View) -> Any:
    from rfcalc.report.records import records

    return records(report, view.columns and tuple(m.name for m in view.metrics), view.at)


def column(found: Metric) -> Column:
    """A metric as the column of a table."""
    unit: Any = "exact" if found.adds or found.name in ("bytes", "values") else ""
    unit = {"bytes": "bytes", "saved_bytes": "bytes", "macs": "count", "flops": "count"}.get(found.name, unit)
    name = found.name
    return Column(found.title, name, found.right, unit, _LEAST.get(name), _SPARE.get(name, 0), _MOST.get(name))


def _chosen(report: Report, view: View) -> list[Shown]:
    return shown_rows([report[view.at]] if view.at else list(report), view.every)


def table(report: Report, view: View, shown: list[Shown] | None = None) -> Table:
    """The report's rows as a table.

    Args:
        shown: the rows as `shown_rows` puts them together, where they are known already.

    Raises:
        UnknownName: a column or node that does not exist.
    """
    columns = view.metrics
    shown = _chosen(report, view) if shown is None else shown
    if view.depth is not None or view.sort is not None or view.top is not None:
        found = import_module("rfcalc.report.tree").lines(report, shown, columns, view)
    else:
        found = _lines(report, shown, columns, view)
    narrow = view.columns is not None and "paper" in view.columns
    caption = view.caption or caption_of(report)
    return Table(*_counted(columns, found), totals(report), "", caption, view.label, narrow)


def _lines(
    report: Report, shown: list[Shown], columns: tuple[Metric, ...], view: View
) -> Iterator[tuple[TableLine, int]]:
    """The lines in the network's order, each with how many copies it stands for; a heading opens each stage."""
    if len(shown) > FOLD_FROM if view.fold is None else view.fold:
        folding = import_module("rfcalc.report.folding")
        shown = folding.folded(folding.moves_in_one(shown))
    if not view.at:
        for name, shape in report.inputs.items():
            yield _input_line(name, shape, report, columns), 1
    stages: dict[str, list[Row]] = {}
    for row in report:
        stages.setdefault(row.stage, []).append(row)
    order = {stage: i for i, stage in enumerate(stages)}
    stage = ""
    for i, group in enumerate(shown):
        if group.head.stage != stage:
            stage = group.head.stage
            alone = group.name == group.stage and (i + 1 == len(shown) or shown[i + 1].head.stage != stage)
            if stage and not alone:
                copies = [*stages][order[stage] : order[group.end.stage] + 1]
                yield heading(group.stage, [r for s in copies for r in stages[s]], report, columns), 1
        yield TableLine(tuple(cell(group, column, report) for column in columns)), group.times


def _counted(
    columns: tuple[Metric, ...], found: Iterable[tuple[TableLine, int]]
) -> tuple[tuple[Column, ...], tuple[TableLine, ...]]:
    """Columns and lines; one more column for the copies that a line stands for, where there are any."""
    lines = [*found]
    heads = [*map(column, columns)]
    if all(times == 1 for _, times in lines):
        return tuple(heads), tuple(line for line, _ in lines)
    heads.insert(1, Column("", "copies", right=True))
    counts = (Cell(f"×{times}", times) if times > 1 else Cell() for _, times in lines)
    told = (
        line._replace(cells=(line.cells[0], count, *line.cells[1:]))
        for (line, _), count in zip(lines, counts, strict=True)
    )
    return tuple(heads), tuple(told)


def caption_of(report: Report) -> str:
    name = report.network.title or report.target
    inputs = ", ".join(map(str, report.inputs.values()))
    return f"{name}; input {inputs}; {exact(report.totals.params)} {noun(report.totals.params, 'parameter')}"


def _text(column: Metric, value: Any) -> str:
    if value is None:
        return ""
    if column.name in FULL_DIGITS:
        return exact(value) if value != 0 else "–"
    if column.right and (is_number(value) or isinstance(value, Fraction)) and value == 0:
        return "–"
    return column.short(value)


def cell(shown: Shown, column: Metric, report: Report) -> Cell:
    """A cell of a row; figures that add up are those of all copies that it stands for."""
    if column.row is None:
        return Cell("")
    if column.name == "name":
        return Cell(shown.name)
    if column.name == "notation":
        return Cell(" ".join(_words(shown)))
    if shown.together and column.name in ("bytes", "values", "memory_share"):
        return figure(column, _times(column.over(shown.rows), shown.times), report)
    if column.name == "receptive_field":
        idle = any(row.position in report.unproductive for row in shown.rows)
        return Cell(size_text(shown.end) + ("*" if idle else ""))
    if column.name in ("bytes", "values", "memory_share"):
        value = column.row(shown.end)
        return figure(column, _times(value, shown.times), report)
    if column.name in SHARES:
        value = sum((column.row(r) or 0 for r in shown.rows), Fraction(0))
        return figure(column, value * shown.times, report)
    if not column.adds:
        return figure(column, column.row(shown.end), report)
    return figure(column, sum(column.row(r) for r in shown.rows) * shown.times, report)


def _times(value: Any, times: int) -> Any:
    return None if value is None else value * times


def figure(column: Metric, value: Any, report: Report) -> Cell:
    """A figure's cell, with the bar for its share of the whole."""
    exactly = int(value) if is_number(value) else float(value) if isinstance(value, Fraction) else None
    return Cell(_text(column, value), exactly, _share(column, value, report))


def _words(shown: Shown) -> Iterator[str]:
    if shown.words:
        yield shown.words
    for row in () if shown.words else shown.rows:
        computes = shown.together and row.position < shown.head.position  # what its weight is computed from
        if row is shown.head or not (computes or row.node.layer.passes_on or not row.inputs):
            yield row.notation


def _share(column: Metric, value: Any, report: Report) -> int:
    """The share of the whole, in thousandths, for figures that have one."""
    if column.name not in BARS or column.whole is None or not (is_number(value) or isinstance(value, Fraction)):
        return 0
    whole = column.whole(report)
    return int(value * 1000 // whole) if is_number(whole) and whole else 0


def _input_line(name: str, shape: Any, report: Report, columns: Sequence[Metric]) -> TableLine:
    values = shape.values * report.batch
    known: dict[str, Any] = {
        "name": name,
        "output_shape": shape.dims,
        "values": values,
        "bytes": values * report.itemsize,
        "memory_share": part(values * report.itemsize, report.totals.bytes),
    }
    position = list(report.inputs).index(name)
    if any(c.name == "seen" for c in columns):
        known["seen"] = report.seen(position)
    if "saved_bytes" in [c.name for c in columns]:
        known["saved_bytes"] = report.kept[position].total(report.itemsize, report.batch)
    cells = []
    for column in columns:
        value = known.get(column.name)
        if value is None or column.name == "name":
            cells.append(Cell(value or ""))
        else:
            cells.append(figure(column, value, report))
    return TableLine(tuple(cells))


def heading(name: str, rows: Sequence[Row], report: Report, columns: Sequence[Metric]) -> TableLine:
    """The line that opens a group: its name, and its sums of what adds up, whatever of it is shown."""
    cells = (Cell(name) if i == 0 else subtotal(column, rows, report) for i, column in enumerate(columns))
    return TableLine(tuple(cells), "group")


def subtotal(column: Metric, rows: Sequence[Row], report: Report) -> Cell:
    """The sum of a column over rows, where it adds up; memory without views and what is written in place."""
    return figure(column, column.over(rows), report) if column.together else Cell("")


def totals(report: Report) -> tuple[tuple[str, str], ...]:
    """The totals as (label, figure), the exact digits first; lower bounds where an operator was not understood."""
    t = report.totals
    least = "" if report.complete else "at least "
    bias = (
        f" = {exact(t.weights)} {noun(t.weights, 'weight')} + {exact(t.biases)} {noun(t.biases, 'bias', 'biases')}"
        if t.biases != 0
        else ""
    )
    found = [
        ("params", f"{least}{exact(t.params)}{bias}"),
        ("macs", f"{least}{exact(t.macs)} multiply-adds = {short(t.flops)} FLOPs"),
        (
            "memory",
            f"{least}{exact(t.values)} values = {megabytes(t.bytes)} = {binary(t.bytes)} in {report.dtype}, forward",
        ),
    ]
    if t.buffers != 0:
        found.insert(1, ("buffers", f"{least}{exact(t.buffers)} running statistics, not trained"))
    count = t.weight_layers
    found.append(("layers", f"{count} with weights, {len(report)} {noun(len(report), 'node')}"))
    return tuple(found)


def notes(report: Report) -> tuple[str, ...]:
    """Conventions and assumptions, in sentences; first what is not known."""
    found = []
    unknown = [row for row in report if row.node.layer.opaque]
    if unknown:
        named = ", ".join(f"{r.name} ({r.notation})" for r in unknown[:5]) + (" …" if len(unknown) > 5 else "")
        found.append(f"not understood: {named}; totals are lower bounds, what depends on it is marked unknown")
    batch = "" if report.batch == 1 else f", batch of {report.batch}"
    found.append(
        "rf: side of the input region that a unit depends on, padding counted; stride: input pixels between units"
    )
    found.append(f"macs: multiply-adds of convolutions, linear and attention layers (FLOPs = 2 × macs){batch}")
    found.append("memory: outputs; views and in-place activations add nothing. MB = 10^6, MiB = 2^20, K M G decimal")
    statuses = {s for row in report for s in _statuses(row)}
    if "global" in statuses:
        found.append("rf 'all': the whole input, through " + _through(report) + "; in brackets the local paths alone")
    if "periodic" in statuses:
        found.append("rf '≤': depends on the unit's position; the largest phase is shown")
    if "bounded" in statuses:
        names = list(dict.fromkeys(n for f in _fields(report) for n in f.bounded))
        found.append(f"rf '≤': no unit sees more, and behind {', '.join(names[:3])} some may see less")
    if "shift_variant" in statuses:
        found.append("rf 'varies': " + _joins(report))
    idle = [row for row in report if row.position in report.unproductive]
    if idle:
        image = "x".join(str(n) for n in report.shapes[0].spatial)
        named = idle[0].name if len(idle) == 1 else f"{idle[0].name} … {idle[-1].name}"
        count = "1 weight layer reads" if len(idle) == 1 else f"{len(idle)} weight layers read"
        found.append(f"rf *: {count} maps whose units see more than the whole {image} already ({named})")
    found += [f"assumed: {a}" for a in report.assumptions_of_memory]
    return tuple(found)


def _statuses(row: Row) -> list[str]:
    return [field.status for field in row.receptive_fields.values()]


def _fields(report: Report) -> Iterator[Any]:
    for row in report:
        yield from row.receptive_fields.values()


def _through(report: Report) -> str:
    names = list(dict.fromkeys(n for f in _fields(report) for n in f.through))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _joins(report: Report) -> str:
    found = list(dict.fromkeys(_join(j) for f in _fields(report) for j in f.joins))
    return "; ".join(found[:2]) + (f"; and {len(found) - 2} more" if len(found) > 2 else "")


def _join(join: dict[str, Any]) -> str:
    if join["why"] == "rearranged":
        return f"{join['node']} re-arranges positions"
    if join["why"] in LISTED:
        return f"at {join['node']} {LISTED[join['why']]}"
    if join["why"] == "gaps":
        return f"at {join['node']} some units see nothing, which no single axis decides"
    if join["why"] == "period":
        return f"the phases at {join['node']} are too many to list"
    told = " and ".join(f"{p['node']} (stride {p['stride']})" for p in join["paths"])
    return f"at {join['node']} paths of different {join['why']} meet: {told}"
