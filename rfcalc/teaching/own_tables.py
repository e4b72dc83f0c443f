"""A fill-in table of the teacher's own network: the columns and rows that are asked for, key and feedback."""

from __future__ import annotations

from typing import Any

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.graph.network import Network
from rfcalc.notation import write
from rfcalc.readers.target import analyze, named
from rfcalc.report import Report
from rfcalc.teaching.case import cases
from rfcalc.teaching.exercises.draw import Draw, seed_of, text_of
from rfcalc.teaching.exercises.item import (
    VERSION,
    AnswerSlot,
    Ask,
    Blank,
    ExerciseItem,
    ExerciseTable,
    PictureRecipe,
    Question,
    Text,
)
from rfcalc.teaching.exercises.pictures import SORTS, graph_of
from rfcalc.teaching.exercises.recount import KeyMismatch, Second
from rfcalc.teaching.exercises.subject import Unfit, network_of, number_blank, recounted, value, written
from rfcalc.teaching.exercises.tables import COUNTED, as_column, example_shape, input_cell
from rfcalc.teaching.exercises.words import SHORT, axes, convention, say
from rfcalc.teaching.grading.aligning import RowPlace, WrittenNames
from rfcalc.teaching.grading.columns import asked
from rfcalc.teaching.misconceptions import wrong

USUAL = ("output_shape", "receptive_field", "params")
FIGURES = (*USUAL, "stride", "weights", "biases", "buffers", "macs", "flops", "values", "bytes")
FAMILY = {
    "output_shape": "output-size",
    "receptive_field": "receptive-field",
    "stride": "receptive-field",
    "macs": "operations",
    "flops": "operations",
    "values": "memory",
    "bytes": "memory",
}
MOST_ROWS = 60
MOST_BLANKS = 200


def table_of(
    target: Any,
    input: Any = None,  # noqa: A002
    *,
    blank: str = ",".join(USUAL),
    rows: str | None = None,
    batch: int = 1,
    dtype: str | None = None,
    title: str = "",
) -> ExerciseItem:
    """A table of a network with places for answers, its key and what misconceptions make of it.

    Args:
        target, input, batch, dtype: as for `rfcalc.analyze`.
        blank: the columns that are asked for: ``"output,params,rf"``.
        rows: nodes that are asked for, by name, separated by commas; every layer of the usual table if left out. The
            figures of the others are shown.
        title: of the item; the network's name if left out.

    Raises:
        RfcalcError: what cannot be read, or more rows than a table holds.

    >>> item = table_of("conv3-8/2 > maxpool2", "3x32x32", blank="output,rf", rows="conv1")
    >>> [(b.label, b.key) for b in item.blanks]
    [('conv1, output', '8x16x16'), ('conv1, receptive field', '3')]
    """
    report = analyze(target, input, batch=batch, dtype=dtype)
    columns, heads = asked(blank)
    for name in [*heads.values(), *(c for c in columns if c not in FIGURES)]:
        raise UnknownName("column", name, FIGURES)
    if not columns:
        raise RfcalcError("no column is asked for", fix=f"name one: --blank {','.join(USUAL)}")
    if not report.complete:
        raise RfcalcError("a layer is of no known kind, so its figures are not known", where=report.target)
    network = report.network
    if not network.arity:
        raise RfcalcError("a table is filled in for a network with an input", where=report.target)
    names = WrittenNames(report)
    places = {p.position: p for p in (names.chosen(rows) if rows else names.usual)}
    if not rows and len(network.nodes) > MOST_ROWS:
        raise RfcalcError(
            f"the table would have {len(network.nodes)} rows",
            why=f"the limit is {MOST_ROWS}",
            fix="name the rows that are asked for: --rows conv1,pool1",
        )
    maker = _Maker(report, columns, places, bool(rows))
    return maker.item(title or f"{network.title or report.target}: fill in the table")


class _Maker:
    """The blanks and rows of one table."""

    def __init__(self, report: Report, columns: tuple[str, ...], places: dict[int, RowPlace], some: bool) -> None:
        self.report, self.columns, self.places, self.some = report, columns, places, some
        self.cases = cases(report)
        shapes = {name: report.shapes[i].dims for i, name in enumerate(report.network.inputs)}
        try:
            self.second: Second | None = Second(report.network, shapes)
        except KeyMismatch:
            self.second = None  # a kind that the second road cannot count
        self.draw = Draw(seed_of("network", report.target, *map(str, shapes.values()), *columns, *places))
        self.blanks: list[Blank] = []

    def item(self, title: str) -> ExerciseItem:
        report, network = self.report, self.report.network
        first = self._shown()
        rows = [self._row(position) for position in first]
        if not self.blanks:
            raise RfcalcError("nothing is left to be filled in", why="these rows have no such figures")
        if len(self.blanks) > MOST_BLANKS:
            raise RfcalcError(f"{len(self.blanks)} answers are too many", why=f"the limit is {MOST_BLANKS}")
        chain = all(s == (p - 1,) for p, s in enumerate(network.sources, network.arity))
        header = ("layer", "what it is", *([] if chain else ["reads"]), *(SHORT[c] for c in self.columns))
        body = []
        for position, cells in zip(first, rows, strict=True):
            name, what, reads = self._layer(position)
            body.append((name, what, *([] if chain else [reads]), *cells))
        shape = ""
        if any(b.kind == "shape" for b in self.blanks):
            told = {written("", report.shapes[p].dims) for p in range(len(report.shapes))}
            rank = report.shapes[0].rank or 2
            shape = f" Write a shape as {axes(rank)}, for example {example_shape(told, rank)}."
        some = "" if len(first) == len(report.shapes) else f" The rows are some of the layers of {report.target}."
        parts = (Text(f"Fill in the table.{some}{shape}"), ExerciseTable(header, tuple(body)))
        said = convention(self.columns, report.batch, report.dtype, report.itemsize, rank=report.shapes[0].rank or 2)
        if network.arity > 1 and {"receptive_field", "stride"} & set(self.columns):
            said += f" What a unit sees is counted on the first input, {next(iter(network.inputs))}."
        derived = tuple(f"{b.label}: {b.key}" for b in self.blanks)
        family = FAMILY.get(self.columns[0], "parameters")
        picture = self._picture() if len(first) == len(report.shapes) else None
        tags = (family, "table", "network")
        question = Question(title, parts, tuple(self.blanks), said, derived, tags, picture)
        seed = text_of(seed_of("table", report.target, said, *(b.label for b in self.blanks)))
        pattern = f"{family}.own-network.table"
        return ExerciseItem(f"{pattern}.v{VERSION}-{seed}", pattern, family, "table", 3, seed, VERSION, question)

    def _picture(self) -> PictureRecipe | None:
        """The graph of the network, where its name or its notation says all of it."""
        network, shape = self.report.network, str(self.report.shapes[0])
        if graph_of("", shape, "", self.report) is None:
            return None
        for target in (self.report.target, write(network.expr)):
            try:
                if named(target).sort in SORTS and network_of(target) == network:
                    return graph_of(target, shape, "", self.report)
            except RfcalcError:
                continue
        return None

    def _shown(self) -> list[int]:
        """The positions of the rows: all; where rows are chosen in a large network, these and the input."""
        last = len(self.report.shapes)
        if last - 1 <= MOST_ROWS:
            return list(range(last))
        return [*range(self.report.network.arity), *sorted(self.places)]

    def _layer(self, position: int) -> tuple[str, str, str]:
        network: Network = self.report.network
        shape = self.report.shapes[position]
        if position < network.arity:
            return list(network.inputs)[position], f"input {written('', shape.dims)}", "–"
        node = network.nodes[position - network.arity]
        rank = max(self.report.shapes[0].rank, 1)
        return node.name, say(node.layer, rank), ", ".join(node.inputs)

    def _row(self, position: int) -> list[str | AnswerSlot]:
        if position < self.report.network.arity:
            return [input_cell(self.report, column, position) for column in self.columns]
        return [self._cell(position, column) for column in self.columns]

    def _cell(self, position: int, column: str) -> str | AnswerSlot:
        report, arity = self.report, self.report.network.arity
        node = report.network.nodes[position - arity]
        try:
            key = value(report, column, position)
        except Unfit:
            return "–"
        place = self.places.get(position)
        inside = not self.some and position in {q for p in self.places.values() for q in p.folded}
        if place is None and not (inside and key and column in COUNTED):
            told = self.some and (not node.layer.folds or (key and column in COUNTED))
            return written("", key) if told else "–"
        self._confirm(column, node.name, key)
        name = f"r{position}_{column}"
        wrongs = as_column(wrong(self.cases[position - arity], column), column)
        ask = Ask(column, report.target, self._inputs(), node.name, report.batch, report.dtype)
        label = f"{node.name}, {SHORT[column]}"
        self.blanks.append(number_blank(self.draw, key, wrongs, name=name, label=label, ask=ask))
        return AnswerSlot(name)

    def _inputs(self) -> str:
        """The inputs as `--input` takes them; each with its name where there are several."""
        report = self.report
        if report.network.arity == 1:
            return str(report.shapes[0])
        return ", ".join(f"{name}={report.shapes[i]}" for i, name in enumerate(report.network.inputs))

    def _confirm(self, column: str, node: str, key: Any) -> None:
        """The second road leads to the key, too.

        Raises:
            KeyMismatch: it does not; this is a bug to report.
        """
        if self.second is None:
            return
        other = recounted(self.second, column, node, self.report.batch, self.report.itemsize)
        if other != key:
            raise KeyMismatch(f"{column} is {key} by the rules and {other} by counting", where=node)
