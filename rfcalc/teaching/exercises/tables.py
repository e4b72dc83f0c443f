"""Forms with tables: fill one in, find the first wrong row of one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from rfcalc.core.errors import RfcalcError
from rfcalc.report import Report
from rfcalc.teaching.case import cases
from rfcalc.teaching.exercises.draw import Draw
from rfcalc.teaching.exercises.forms import conventions
from rfcalc.teaching.exercises.item import AnswerSlot, Blank, Question, Text
from rfcalc.teaching.exercises.recount import KeyMismatch
from rfcalc.teaching.exercises.subject import Subject, Unfit, again, choice_blank, number_blank, value, written
from rfcalc.teaching.exercises.words import SHORT, axes, convention, listing
from rfcalc.teaching.misconceptions import Misconception, Sheet, Wrong, fill, touching, wrong

COLUMNS = {
    "output_shape": ("output_shape",),
    "side": ("output_shape",),
    "receptive_field": ("receptive_field", "stride"),
    "stride": ("receptive_field", "stride"),
    "weights": ("output_shape", "weights", "biases"),
    "biases": ("output_shape", "weights", "biases"),
    "params": ("output_shape", "params"),
    "buffers": ("params", "buffers"),
    "macs": ("output_shape", "macs"),
    "flops": ("output_shape", "macs"),
    "values": ("output_shape", "values"),
    "bytes": ("output_shape", "bytes"),
    "peak_bytes": ("output_shape", "bytes"),
}
COUNTED = ("weights", "biases", "params", "buffers", "macs")
CARRIED = ("output_shape", "receptive_field", "stride")
MOST_ROWS = 12


def _columns(subject: Subject) -> tuple[str, ...]:
    return subject.columns or COLUMNS[subject.figure]


def _rows(subject: Subject) -> range:
    """The positions that the table shows: up to the place, or all."""
    arity = subject.report.network.arity
    last = subject.position or len(subject.report.shapes) - 1
    rows = range(arity, last + 1)
    if not 2 <= len(rows) <= MOST_ROWS:
        raise Unfit
    return rows


def table(subject: Subject, draw: Draw) -> Question:
    """Fill in a table: every cell of the columns is a blank."""
    report = subject.report
    network = report.network
    arity = network.arity
    rows = _rows(subject)
    found = cases(report)
    blanks: list[Blank] = []
    told: list[str] = []
    columns: list[tuple[str, tuple[Any, ...]]] = []
    for column in _columns(subject):
        cells: list[str | AnswerSlot] = [input_cell(report, column)] * arity
        for position in rows:
            node = network.nodes[position - arity]
            key = value(report, column, position)
            if again(subject, column, node.name) != key:
                raise KeyMismatch(f"{column} is {key} by the rules", where=f"{node.name} of {subject.target}")
            if key == 0 and column not in COUNTED:
                raise Unfit
            name = f"r{position - arity + 1}_{column}"
            label = f"{node.name}, {SHORT[column]}"
            ask = subject.ask._replace(figure=column, at=node.name)
            wrongs = as_column(wrong(found[position - arity], column), column)
            blanks.append(number_blank(draw, key, wrongs, name=name, label=label, ask=ask))
            cells.append(AnswerSlot(name))
            told.append(f"{node.name}: {SHORT[column]} {written('', key)}")
        columns.append((SHORT[column], tuple(cells)))
    grid = listing(report, *columns, upto=rows[-1])
    story = (Text(subject.story),) if subject.story else ()
    shown = {written("", report.shapes[p].dims) for p in range(rows[-1] + 1)}
    rank = report.shapes[0].rank or 2
    shape = f" Write a shape as {axes(rank)}, for example {example_shape(shown, rank)}." if _shapes(blanks) else ""
    body = (*story, Text(f"Fill in the table.{shape}"), grid)
    derived = tuple(_by_row(told, len(rows)))
    said = convention(_columns(subject), subject.batch, subject.dtype, report.itemsize, rank=rank)
    read = [b for i in range(len(rows)) for b in blanks[i :: len(rows)]]  # row by row, as the table is read
    return Question(f"{subject.title}: fill in the table", body, tuple(read), said, derived, subject.tags)


def example_shape(shown: Collection[str], rank: int = 2) -> str:
    """A shape as an example, which is none of the table's own."""
    examples = ((16, 32), (24, 20), (6, 10), (48, 9), (7, 6))
    told = ("x".join(map(str, (c, *(n,) * min(rank, 3)))) for c, n in examples)
    return next(e for e in told if e not in shown)


def _shapes(blanks: list[Blank]) -> bool:
    return any(b.kind == "shape" for b in blanks)


def input_cell(report: Report, column: str, position: int = 0) -> str:
    shape = report.shapes[position]
    if column == "output_shape":
        return written("", shape.dims)
    if column in ("values", "bytes"):
        return str(shape.values * report.batch * (report.itemsize if column == "bytes" else 1))
    return "1" if column in ("receptive_field", "stride") and not position else "–"


def as_column(wrongs: list[Wrong], column: str) -> list[Wrong]:
    """Wrong receptive fields and strides as one number where all axes agree, as the key is."""
    if column not in ("receptive_field", "stride"):
        return wrongs
    return [w._replace(value=w.value[0]) if len(set(w.value)) == 1 else w for w in wrongs]


def _by_row(told: list[str], rows: int) -> list[str]:
    """One line a row of the table: 'conv1: output 8x16x16, parameters 224'."""
    found = []
    for i in range(rows):
        parts = told[i::rows]
        name = parts[0].partition(": ")[0]
        found.append(f"{name}: " + ", ".join(p.partition(": ")[2] for p in parts))
    return found


def error(subject: Subject, draw: Draw) -> Question:
    """Find the first wrong row: one misconception at one row, carried forward by the right rules."""
    report = subject.report
    network = report.network
    arity = network.arity
    rows = _rows(subject)
    column = "output_shape" if subject.figure == "side" else subject.figure
    if column not in CARRIED:  # a total: a column of the table that people get wrong
        column = next(c for c in reversed(_columns(subject)) if touching(c) and c not in CARRIED)
    at, one, sheets = _spoiled(subject, column, list(rows), draw)
    texts = []
    for position in rows:
        sheet = sheets[position - arity]
        found = sheet.figure(column)
        if position == at and column not in CARRIED:
            found = one.wrong(sheet.case, column)[0]
        if found is None:
            raise Unfit
        texts.append(written("", _one(found, column)))
    names = [network.nodes[p - arity].name for p in rows]
    key = network.nodes[at - arity].name
    right = value(report, column, at)
    if again(subject, column, key) != right:
        raise KeyMismatch(f"{column} is {right} by the rules", where=f"{key} of {subject.target}")
    near = [n for n in names if n != key]
    blank = choice_blank(
        draw,
        key,
        [(n, _innocent(n, names, key, column in CARRIED), "") for n in near],
        most=3,
        least=2,
        label="first wrong row",
        ask=subject.ask._replace(figure=column, at=key),
    )
    order = sorted(blank.options, key=lambda o: names.index(o.text))
    blank = blank._replace(options=tuple(order))
    grid = listing(report, (SHORT[column], (input_cell(report, column),) * arity + tuple(texts)), upto=rows[-1])
    story = (Text(subject.story),) if subject.story else ()
    carried = ", each row from the row before. One row is wrong; any rows after it follow from it."
    asked = f"A student filled in the column “{SHORT[column]}”{carried if column in CARRIED else '. One row is wrong.'}"
    body = (*story, Text(f"{asked} Which one is it?"), grid)
    wrong_text = texts[list(rows).index(at)]
    told = (
        f"{key}: the table says {wrong_text}, it is {written('', right)}.",
        f"The mistake: {one.title}. {one.feedback}",
    )
    title = f"{subject.title}: find the error"
    return Question(title, body, (blank,), conventions(subject, column), told, (*subject.tags, one.name))


def _one(found: Any, column: str) -> Any:
    if column in ("receptive_field", "stride") and len(set(found)) == 1:
        return found[0]
    return found


def _innocent(name: str, names: list[str], key: str, carried: bool) -> str:
    if carried and names.index(name) > names.index(key):
        return "This row follows from the rows before it: the mistake is further up."
    return "This row is right."


def _spoiled(subject: Subject, column: str, rows: list[int], draw: Draw) -> tuple[int, Misconception, list[Sheet]]:
    """A row, a misconception that makes a difference there, and the table that a student then writes."""
    report = subject.report
    arity = report.network.arity
    found = cases(report)
    for position in draw.shuffled(rows):
        case = found[position - arity]
        for one in _usual_first(draw, touching(column)):
            wrongs = one.wrong(case, column)
            if not wrongs or not _whole(wrongs[0]) or _absurd(wrongs[0], column):
                continue
            if column not in CARRIED:
                return position, one, fill(report, {})
            try:
                sheets = fill(report, {position: one})
            except RfcalcError:
                continue
            if sheets[position - arity].figure(column) == value_tuple(report, column, position):
                continue
            if column == "receptive_field" and not _strides_kept(report, sheets, rows):
                continue  # a stride that is forgotten makes the rows after it wrong too, and the table does not show it
            return position, one, sheets
    raise Unfit


USUAL = ("own-stride-in-growth", "kernel-not-widened", "dilation-from-zero", "stride-ignored")


def _usual_first(draw: Draw, found: Sequence[Misconception]) -> list[Misconception]:
    """The misconceptions in a drawn order; in two of three items those that are seen most often come first."""
    order = draw.shuffled(found)
    return sorted(order, key=lambda one: one.name not in USUAL) if draw.between(1, 3) > 1 else order


def _strides_kept(report: Report, sheets: Sequence[Sheet], rows: Sequence[int]) -> bool:
    arity = report.network.arity
    return all(sheets[p - arity].figure("stride") == value_tuple(report, "stride", p) for p in rows)


def value_tuple(report: Any, column: str, position: int) -> Any:
    """The right figure, an entry an axis."""
    if column == "output_shape":
        return report.shapes[position].dims
    field = report.receptive_field(position)
    return field.size if column == "receptive_field" else field.stride


def _whole(found: Any) -> bool:
    values = found if isinstance(found, tuple) else (found,)
    return all(isinstance(v, int) for v in values)


def _absurd(found: Any, column: str) -> bool:
    """What would be seen at once."""
    return column == "output_shape" and len(found) > 1 and min(found[1:]) < 2
