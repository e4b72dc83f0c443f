"""The table of a report as a document: which rows and columns, folded how, with which totals and notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from rfcalc.core.errors import UnknownName
from rfcalc.core.size import is_number
from rfcalc.report.document import Cell, Column, Document, Line, Table
from rfcalc.report.metrics.units import binary, exact, short
from rfcalc.report.metrics.vocabulary import Metric, metric, size_text
from rfcalc.report.report import Report, Row

USUAL = ("name", "notation", "output_shape", "receptive_field", "stride", "params", "bytes", "macs")
FULL_DIGITS = ("params", "weights", "biases", "buffers", "values")
BARS = ("params", "weights", "bytes", "macs", "values", "saved_bytes")
FOLD_FROM = 60  # rows from which repeated ones are folded unless asked otherwise
STYLES = {
    "table": "rows and columns, in any format",
    "cs231n": "the lecture's listing: map, memory, weights, each with its arithmetic",
    "summary": "the summary that PyTorch and Keras users know",
}
_LEAST = {"name": 12, "notation": 12, "inputs": 8}  # texts that a narrow terminal may cut, to at least this
_SPARE = {"bytes": 5, "stride": 4, "notation": 3, "macs": 2, "params": 1}  # columns that go first, the greatest first


class View(NamedTuple):
    """What of the report is shown.

    `columns`: metric names, in order; None for the usual ones. `every`: activations, normalisation and dropout get rows
    of their own. `fold`: repeated rows are shown once with their count; None where it helps. `at`: only this node.
    """

    columns: tuple[str, ...] | None = None
    every: bool = False
    fold: bool | None = None
    at: str | None = None


def document(report: Report, view: View = View(), style: str = "table") -> Document:  # noqa: B008 (immutable)
    """The report as a document, in a style.

    Raises:
        UnknownName: no such style, column or node.
    """
    if style not in STYLES:
        raise UnknownName("style", style, list(STYLES))
    network = report.network
    if style != "table":
        sections = (import_module(f"rfcalc.report.{style}").listing(report, view),)
    else:
        sections = (table(report, view),)
    return Document(
        network.name or report.target,
        sections,
        notes(report) if style == "table" else (),
        data=report.to_dict,
        records=partial(_records, report, view),
        about=(network.title, network.citation),
    )


def _records(report: Report, view: View) -> Any:
    from rfcalc.report.records import records

    return records(report, view.columns, view.at)


def column(found: Metric) -> Column:
    """A metric as the column of a table."""
    unit: Any = "exact" if found.adds or found.name in ("bytes", "values") else ""
    unit = {"bytes": "bytes", "saved_bytes": "bytes", "macs": "count", "flops": "count"}.get(found.name, unit)
    return Column(found.title, found.name, found.right, unit, _LEAST.get(found.name), _SPARE.get(found.name, 0))


class Shown(NamedTuple):
    """Rows shown as one: the weight layer with what follows it, or copies of a repetition."""

    rows: tuple[Row, ...]
    times: int = 1
    last: Row | None = None

    @property
    def head(self) -> Row:
        return self.rows[0]

    @property
    def name(self) -> str:
        if self.last is None or self.times == 1:
            return self.head.name
        return _span(self.head.name, self.last.name)

    @property
    def end(self) -> Row:
        """The row that the shown output belongs to."""
        return (self.last or self.head) if self.times > 1 else self.head


def _span(first: str, last: str) -> str:
    """conv3_2 … conv3_3 as conv3_2–3.

    >>> _span("conv3_2", "conv3_3"), _span("relu9", "relu12")
    ('conv3_2–3', 'relu9–12')
    """
    stem = len(first.rstrip("0123456789"))
    return f"{first}–{last[stem:]}" if first[:stem] == last[:stem] and last[stem:].isdigit() else f"{first} … {last}"


def table(report: Report, view: View) -> Table:
    """The report's rows as a table.

    Raises:
        UnknownName: a column or node that does not exist.
    """
    columns = tuple(metric(name) for name in view.columns or USUAL)
    rows = [report[view.at]] if view.at else list(report)
    shown = _shown(rows, view)
    fold = len(shown) > FOLD_FROM if view.fold is None else view.fold
    if fold:
        shown = _fold(shown, columns)
    lines: list[Line] = []
    stage = ""
    if not view.at:
        lines += [_input_line(name, shape, report, columns) for name, shape in report.inputs.items()]
    for group in shown:
        if group.head.stage != stage:
            stage = group.head.stage
            if stage:
                lines.append(_heading(stage, [s for s in shown if s.head.stage == stage], report, columns))
        lines.append(Line(tuple(_cell(group, column, report) for column in columns)))
    return Table(tuple(map(column, columns)), tuple(lines), totals(report), caption=_caption(report))


def _caption(report: Report) -> str:
    name = report.network.title or report.target
    inputs = ", ".join(map(str, report.inputs.values()))
    return f"{name}; input {inputs}; {exact(report.totals.params)} parameters"


def _shown(rows: Sequence[Row], view: View) -> list[Shown]:
    """Rows with the activations, normalisation, dropout after a weight layer folded into it, unless all are shown."""
    found: list[list[Row]] = []
    for row in rows:
        layer = row.node.layer
        follows = bool(found) and row.inputs == (found[-1][-1].name,) and row.stage == found[-1][0].stage
        if layer.folds and follows and not view.every and row.shape == found[-1][0].shape:
            found[-1].append(row)
        else:
            found.append([row])
    return [Shown(tuple(group)) for group in found]


def _fold(shown: list[Shown], columns: Sequence[Metric]) -> list[Shown]:
    """Equal neighbours as one line, and equal copies of a repetition as the first one's lines with their count."""
    found: list[Shown] = []
    i = 0
    while i < len(shown):
        length, times = _repetition(shown, i)
        last = shown[i + length * (times - 1) : i + length * times]
        for k in range(length):
            first = shown[i + k]
            found.append(Shown(first.rows, times, last[k].head) if times > 1 else first)
        i += length * times
    return found


def _repetition(shown: list[Shown], i: int) -> tuple[int, int]:
    """How many lines from i repeat, and how often: one line, or the lines of one copy."""
    first = shown[i]
    times = 1
    while i + times < len(shown) and _alike(first, shown[i + times]) and _follows(shown, i + times):
        times += 1
    if times > 1:
        return 1, times
    here = first.head.node.repeat
    if here is None:
        return _numbered(shown, i)
    length = _copy_length(shown, i)
    times = 1
    while True:
        start = i + length * times
        if start + length > len(shown) or shown[start].head.node.repeat != (here[0], here[1] + times):
            break
        if not all(_alike(shown[i + k], shown[start + k]) for k in range(length)):
            break
        if _copy_length(shown, start) != length:
            break
        times += 1
    return (length, times) if times > 1 else (1, 1)


def _numbered(shown: list[Shown], i: int) -> tuple[int, int]:
    """The same, told by names with a number: the lines of layer3.1, layer3.2, … are copies if they are alike."""
    name = shown[i].head.name
    parts = name.split(".")
    for depth, part in enumerate(parts[:-1]):
        if not part.isdigit():
            continue
        before = ".".join(parts[:depth]) + "." if depth else ""

        def run(number: int, start: int, before: str = before) -> list[str]:
            """The names of the lines of one copy, from `start` on, without their beginning."""
            scope, found = f"{before}{number}.", []
            while start < len(shown) and shown[start].head.name.startswith(scope):
                found.append(shown[start].head.name[len(scope) :])
                start += 1
            return found

        first, own = int(part), f"{before}{part}."
        if i and shown[i - 1].head.name.startswith(own):
            continue
        names = run(first, i)
        times = 1
        while run(first + times, i + len(names) * times) == names and all(
            _alike(shown[i + k], shown[i + len(names) * times + k]) for k in range(len(names))
        ):
            times += 1
        if times > 1:
            return len(names), times
    return 1, 1


def _follows(shown: list[Shown], i: int) -> bool:
    """Whether a line reads what the line before it gives, and nothing else."""
    return shown[i].head.inputs == (shown[i - 1].rows[-1].name,)


def _copy_length(shown: list[Shown], i: int) -> int:
    here = shown[i].head.node.repeat
    end = i
    while end < len(shown) and shown[end].head.node.repeat == here:
        end += 1
    return end - i


def _alike(a: Shown, b: Shown) -> bool:
    return (
        len(a.rows) == len(b.rows)
        and a.head.stage == b.head.stage
        and all(
            p.notation == q.notation
            and p.shape == q.shape
            and p.cost == q.cost
            and p.node.layer == q.node.layer
            and len(p.inputs) == len(q.inputs)
            for p, q in zip(a.rows, b.rows, strict=True)
        )
    )


def _text(column: Metric, value: Any) -> str:
    if value is None:
        return ""
    if column.name in FULL_DIGITS:
        return exact(value) if value != 0 else "–"
    if column.right and is_number(value) and value == 0:
        return "–"
    return column.short(value)


def _cell(shown: Shown, column: Metric, report: Report) -> Cell:
    if column.row is None:
        return Cell("")
    if column.name == "name":
        return Cell(shown.name)
    if column.name == "notation":
        return Cell(" ".join(_words(shown)) + (f" ×{shown.times}" if shown.times > 1 else ""))
    if column.name == "receptive_field":
        idle = any(row.position in report.unproductive for row in shown.rows)
        return Cell(size_text(shown.end) + ("*" if idle else ""))
    if not column.adds:
        value = column.row(shown.end)
        return _figure(column, value, report)
    value = sum(column.row(r) for r in shown.rows)
    return _figure(column, value, report, value * shown.times)


def _figure(column: Metric, value: Any, report: Report, whole: Any = None) -> Cell:
    """A figure's cell; the bar is for `whole` where that is more than the figure shown."""
    share = _share(column, value if whole is None else whole, report)
    return Cell(_text(column, value), int(value) if is_number(value) else None, share)


def _words(shown: Shown) -> Iterator[str]:
    for row in shown.rows:
        if row.kind != "identity" or row is shown.head:
            yield row.notation


def _share(column: Metric, value: Any, report: Report) -> int:
    """The share of the whole, in thousandths, for figures that have one."""
    if column.name not in BARS or column.whole is None or not is_number(value):
        return 0
    whole = column.whole(report)
    return int(value * 1000 // whole) if is_number(whole) and whole else 0


def _input_line(name: str, shape: Any, report: Report, columns: Sequence[Metric]) -> Line:
    values = shape.values * report.batch
    known: dict[str, Any] = {
        "name": name,
        "output_shape": shape.dims,
        "values": values,
        "bytes": values * report.itemsize,
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
            cells.append(_figure(column, value, report))
    return Line(tuple(cells))


def _heading(stage: str, shown: Sequence[Shown], report: Report, columns: Sequence[Metric]) -> Line:
    """The line that opens a stage: its name, and its sums of what adds up."""
    cells = []
    for i, column in enumerate(columns):
        if i == 0:
            cells.append(Cell(stage))
        elif column.adds and column.row is not None:
            cells.append(_figure(column, sum(column.row(r) * s.times for s in shown for r in s.rows), report))
        elif column.name == "bytes":
            value = sum(r.new_values * s.times for s in shown for r in s.rows) * report.itemsize
            cells.append(_figure(column, value, report))
        else:
            cells.append(Cell(""))
    return Line(tuple(cells), "group")


def totals(report: Report) -> tuple[tuple[str, str], ...]:
    """The totals as (label, figure), the exact digits first; lower bounds where an operator was not understood."""
    t = report.totals
    least = "" if report.complete else "at least "
    bias = f" = {exact(t.weights)} weights + {exact(t.biases)} biases" if t.biases != 0 else ""
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
    found.append(("layers", f"{count} with weights, {len(report)} nodes"))
    return tuple(found)


def megabytes(value: Any) -> str:
    """Decimal megabytes with two places; smaller amounts in kB or B."""
    if not is_number(value):
        return f"{value} B"
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= scale:
            hundredths = (int(value) * 200 + scale) // (2 * scale)
            return f"{hundredths // 100}.{hundredths % 100:02d} {unit}"
    return f"{value} B"


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
        image = "x".join(str(n) for n in report.walked.shapes[0].spatial)
        named = idle[0].name if len(idle) == 1 else f"{idle[0].name} … {idle[-1].name}"
        count = "1 weight layer reads" if len(idle) == 1 else f"{len(idle)} weight layers read"
        found.append(f"rf *: {count} maps whose units see more than the whole {image} already ({named})")
    found += [f"assumed: {a}" for a in report.assumptions]
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
    if join["why"] == "gaps":
        return f"at {join['node']} some units see nothing, which no single axis decides"
    if join["why"] == "period":
        return f"the phases at {join['node']} are too many to list"
    told = " and ".join(f"{p['node']} (stride {p['stride']})" for p in join["paths"])
    return f"at {join['node']} paths of different {join['why']} meet: {told}"
