"""A student's table, marked row by row from the student's own previous rows.

Each cell is *right*; *wrong*; or *consistent*: wrong, but what follows from the student's own numbers, and so worth its
mark when the error is carried forward. A row is wrong if one of its cells is, else consistent if one of them is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from rfcalc.core.shape import Shape
from rfcalc.report import Report
from rfcalc.teaching.exercises.words import dims, number
from rfcalc.teaching.grading.aligning import TOTAL, RowPlace, WrittenNames
from rfcalc.teaching.grading.answers import AXES, Answer, read, writes_last
from rfcalc.teaching.grading.blame import makers, order, ranked
from rfcalc.teaching.grading.columns import ADDED, PARTS, GradedColumn, columns, is_head
from rfcalc.teaching.grading.following import Followed, figure_of, follow
from rfcalc.teaching.grading.reading import TableRow, grid
from rfcalc.teaching.misconceptions import Misconception

RIGHT, CONSISTENT, REPEATED, WRONG, BLANK, UNREADABLE, MISSING = (
    "right", "consistent", "repeated", "wrong", "blank", "unreadable", "missing")  # fmt: skip
FORGIVEN = {CONSISTENT, REPEATED}  # what is wrong and worth its mark
TITLES = 12  # rows among which the heads are looked for: titles may stand above them


class MarkedCell(NamedTuple):
    """One marked cell: what is written, what is right, what would follow from the student's own numbers."""

    figure: str
    written: str
    status: str
    right: str
    follows: str = ""
    by: tuple[Misconception, ...] = ()


class Marked(NamedTuple):
    """One row: its line in the file (0 if it is missing there), its node, its cells."""

    line: int
    written: str
    node: str
    cells: tuple[MarkedCell, ...]

    @property
    def status(self) -> str:
        found = {c.status for c in self.cells}
        if found <= {RIGHT}:
            return RIGHT
        if found <= {RIGHT, *FORGIVEN}:
            return REPEATED if REPEATED in found else CONSISTENT
        return MISSING if found == {MISSING} else WRONG

    @property
    def by(self) -> tuple[Misconception, ...]:
        """The misconceptions behind its wrong cells, the likeliest first."""
        return tuple(dict.fromkeys(m for c in self.cells if c.status in (WRONG, REPEATED) for m in c.by))


class Grade(NamedTuple):
    """A marked table. `strict` and `carried` are the cells that get a mark without and with errors carried forward."""

    rows: tuple[Marked, ...]
    columns: tuple[GradedColumn, ...]
    notes: tuple[str, ...]
    strict: int
    carried: int
    cells: int

    @property
    def first_wrong(self) -> Marked | None:
        return next((row for row in self.rows if row.status == WRONG), None)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(row.node for row in self.rows if row.status == MISSING)

    def percent(self, carried: bool = True) -> Fraction:
        """The share of the marks, of 100."""
        return Fraction(100 * (self.carried if carried else self.strict), self.cells) if self.cells else Fraction(0)


class Key:
    """The right table of a network, made once for all students.

    Args:
        report: of the network.
        rows: which rows are asked for (node names separated by commas; ``given``: those that are handed in); those of
            the usual table if left out.
        figures: which figures are asked for; those that have a column if left out.
        heads: the heads of their columns, where the usual names do not tell.
        once: a mistake that is made again (the same misconception) costs no further mark.

    >>> import rfcalc
    >>> key = Key(rfcalc.analyze("conv5-8 p0 > maxpool2 > conv3-8 p0", "3x32x32"))
    >>> grade = key.mark("layer,rf\\nconv1,5\\nmaxpool1,7\\nconv2,11")
    >>> [row.status for row in grade.rows], grade.strict, grade.carried, grade.cells
    (['right', 'wrong', 'consistent'], 1, 2, 3)
    >>> grade.first_wrong.node, grade.first_wrong.by[0].name
    ('maxpool1', 'own-stride-in-growth')
    """

    def __init__(
        self,
        report: Report,
        rows: str | None = None,
        figures: Sequence[str] = (),
        heads: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> None:
        self.heads, self.once = heads, once
        self.report = report
        self.names = WrittenNames(report)
        self.asked = [] if rows == "given" else self.names.chosen(rows) if rows else self._usual()
        self.figures = tuple(figures)

    def _usual(self) -> list[RowPlace]:
        """The rows of the usual table; views (flatten) are asked of nobody, but marked where they are handed in."""
        return [p for p in self.names.usual if not self.report[p.name].view]

    def truth(self, position: int, figure: str) -> Any:
        """The right figure of a position; None where it is no one number, and is not marked."""
        report = self.report
        shape = report.shapes[position]
        if figure == "output_shape":
            return shape.dims
        if figure in PARTS:
            axis = PARTS.index(figure)
            return shape.dims[axis] if shape.channel == 0 and max(axis, 1) <= shape.rank else None
        if figure in AXES:
            if position < report.network.arity:
                return (1,) * shape.rank or None
            field = report.receptive_field(position)
            if field.status not in ("exact", "periodic"):
                return None
            found = field.size if figure == "receptive_field" else field.stride
            whole = tuple(int(f) for f in found if f is not None and Fraction(f).denominator == 1)
            return whole if whole and len(whole) == len(found) else None
        if position < report.network.arity:
            size = shape.values * report.batch
            return {"values": size, "bytes": size * report.itemsize}.get(figure, 0)
        return getattr(report[report.network.nodes[position - report.network.arity].name], figure)

    def mark(self, text: str, where: str = "table") -> Grade:
        """Mark a table.

        Raises:
            RfcalcError: it is no table, or does not say what it is about.
        """
        found = grid(text, where)
        found = found.below(next((i for i, heads in enumerate(found.rows[:TITLES]) if is_head(heads, self.heads)), 0))
        name, cols, others = columns(found.head.cells, where, self.heads)
        notes = [f"the column {head!r} is not marked" for head in others]
        places, in_order = self.names.align(found.lines, name.at if name else None, where)
        if in_order:
            notes.append("the rows name no layers of the network; they were taken in order")
        taken: dict[int, tuple[TableRow, RowPlace]] = {}
        for line, place in zip(found.lines, places, strict=True):
            told = line.cells[name.at] if name and name.at < len(line.cells) else ""
            if place is None:
                notes.append(f"line {line.number}: {told or 'a row without a name'} is not in the network; not marked")
            elif place.position in taken:
                notes.append(f"line {line.number}: {told} stands twice; the first one is marked")
            else:
                taken[place.position] = (line, place)
        missing = [f for f in self.figures if f not in {c.figure for c in cols}]
        if self.figures:
            cols = tuple(c for c in cols if c.figure in self.figures)
        given = self._answers(taken, cols)
        steps = follow(self.report, given, self.truth)
        rows = []
        for position, (line, place) in taken.items():
            told = line.cells[name.at] if name and name.at < len(line.cells) else ""
            cells = self._cells(place, given[position], steps, given)
            rows.append(Marked(line.number, told, place.name, (*cells, *self._missing(place, missing))))
        wanted = (*(c.figure for c in cols), *missing)
        covered = {p for _, place in taken.values() for p in place.inside}  # by the row of a block or stage
        for place in self.asked:
            if place.position not in taken and place.position not in covered:
                rows.append(Marked(0, "", place.name, self._missing(place, wanted)))
        rows = _explained([row for row in rows if row.cells])
        if self.once:
            rows = _once(rows)
        counted = [cell for row in rows for cell in row.cells]
        strict = sum(c.status == RIGHT for c in counted)
        carried = strict + sum(c.status in FORGIVEN for c in counted)
        return Grade(tuple(rows), cols, tuple(notes), strict, carried, len(counted))

    def _answers(
        self, taken: dict[int, tuple[TableRow, RowPlace]], cols: Sequence[GradedColumn]
    ) -> dict[int, dict[str, Answer]]:
        shapes = self.report.shapes
        output = next((c for c in cols if c.figure == "output_shape"), None)
        texts: list[tuple[str, Shape]] = []
        if output is not None:
            texts = [(_cell(line, output), shapes[p]) for p, (line, _) in taken.items() if p != TOTAL]
        last = writes_last(texts)
        empty, axes = Shape(1), shapes[0].rank
        return {
            p: {c.figure: read(_cell(line, c), c, shapes[p] if p != TOTAL else empty, last, axes) for c in cols}
            for p, (line, _) in taken.items()
        }

    def _missing(self, place: RowPlace, figures: Sequence[str]) -> tuple[MarkedCell, ...]:
        found = []
        for figure in figures:
            right = self._right(place, figure)
            if right:
                found.append(MarkedCell(figure, "", MISSING, _text(figure, right[0])))
        return tuple(found)

    def _right(self, place: RowPlace, figure: str) -> list[Any]:
        """The numbers that are right: with what is folded into the row; or of the layer alone."""
        if place.position == TOTAL:
            value = getattr(self.report.totals, figure, None)
            return [] if value is None else [value]
        if figure in ADDED and place.inside:
            alone = sum(self.truth(p, figure) for p in place.inside)
            return list(dict.fromkeys((alone + sum(self.truth(p, figure) for p in place.folded), alone)))
        value = self.truth(place.position, figure)
        return [] if value is None else [value]

    def _cells(
        self, place: RowPlace, mine: dict[str, Answer], steps: dict[int, Followed], given: dict[int, dict[str, Answer]]
    ) -> list[MarkedCell]:
        found = []
        for figure, answer in mine.items():
            right = self._right(place, figure)
            if not right or (answer.blank and 0 <= place.position < self.report.network.arity):
                continue  # of the input nobody has to say anything
            follows = self._follows(place, figure, mine, steps, given)
            makes: tuple[Misconception, ...] = ()
            if answer.blank:
                status = RIGHT if right[0] == 0 else BLANK
            elif not answer.readable:
                status = UNREADABLE
            elif any(map(answer.fits, right)):
                status = RIGHT
            elif any(map(answer.fits, follows)):
                status = CONSISTENT
            else:
                status = WRONG
                step = steps.get(place.position)
                if step is not None and len(place.inside) < 2:
                    makes = tuple(makers(answer, figure, step, [steps[p] for p in place.folded]))
            other = [f for f in follows if f not in right]
            told = _text(figure, other[0]) if other and status != RIGHT else ""
            found.append(MarkedCell(figure, answer.text, status, _text(figure, right[0]), told, makes))
        return found

    def _follows(
        self,
        place: RowPlace,
        figure: str,
        mine: dict[str, Answer],
        steps: dict[int, Followed],
        given: dict[int, dict[str, Answer]],
    ) -> list[Any]:
        """What follows from the student's own numbers: the rows before this one, and the other cells of this one."""
        found: list[Any] = []
        if place.position == TOTAL:
            return _sums(self.report, figure, mine, given)
        step = steps.get(place.position)
        if step is not None and figure in ADDED:
            for inside in (place.inside, (*place.inside, *place.folded)):
                for pick in ("case", "own"):
                    parts = [figure_of(getattr(steps[p], pick), figure) for p in inside]
                    if None not in parts:
                        found.append(sum(parts))
        elif step is not None and (step.dirty or figure not in AXES):
            # where the numbers before are right, what is right follows; joins may need more than a case knows
            found += step.follows(figure) if figure not in ("output_shape", *PARTS) else [figure_of(step.case, figure)]
        found += _beside(figure, mine, self.report.itemsize)
        return [f for f in dict.fromkeys(found) if f is not None]


def _beside(figure: str, mine: dict[str, Answer], itemsize: int) -> list[Any]:
    """What the other cells of a row make of a figure."""

    def said(name: str) -> Fraction | None:
        answer = mine.get(name)
        return answer.counts[0].value if answer and answer.counts and not answer.counts[0].half else None

    weights, biases, macs, values = map(said, ("weights", "biases", "macs", "values"))
    if figure == "params" and weights is not None and biases is not None:
        return [weights + biases]
    if figure == "flops" and macs is not None:
        return [2 * macs]
    if figure == "bytes" and values is not None:
        return [itemsize * values]
    return []


def _sums(report: Report, figure: str, mine: dict[str, Answer], given: dict[int, dict[str, Answer]]) -> list[Any]:
    """The sum of a column as the student has it, with and without the input's row."""
    found = []
    for first in (0, report.network.arity):
        total, half = Fraction(0), False
        for position, answers in given.items():
            answer = answers.get(figure)
            if position >= first and answer is not None and answer.counts:
                total += answer.counts[0].value
                half = half or bool(answer.counts[0].half)
        if total and not half:
            found.append(total)
    return [*found, *_beside(figure, mine, report.itemsize)]


def _explained(rows: list[Marked]) -> list[Marked]:
    """The rows with the misconceptions of every cell in the order of how much they explain."""
    table = ranked([cell.by for row in rows for cell in row.cells])
    found = []
    for row in rows:
        if row.status == WRONG:
            mine = ranked([cell.by for cell in row.cells])
            cells = tuple(cell._replace(by=order(cell.by, mine, table)) for cell in row.cells)
            row = row._replace(cells=cells)
        found.append(row)
    return found


def _once(rows: list[Marked]) -> list[Marked]:
    """The rows with each mistake counted where it is made first: the same one again is *repeated*."""
    seen: set[str] = set()
    found = []
    for row in rows:
        cells = []
        for cell in row.cells:
            if cell.status == WRONG and cell.by:
                if cell.by[0].name in seen:
                    cell = cell._replace(status=REPEATED)
                seen.add(cell.by[0].name)
            cells.append(cell)
        found.append(row._replace(cells=tuple(cells)))
    return found


def _cell(line: TableRow, column: GradedColumn) -> str:
    return line.cells[column.at] if column.at < len(line.cells) else ""


def _text(figure: str, value: Any) -> str:
    """A figure as it is typed; a receptive field or stride as one number where all axes agree."""
    if not isinstance(value, tuple):
        return number(value)
    return number(value[0]) if figure in AXES and len(set(value)) == 1 else dims(value)
