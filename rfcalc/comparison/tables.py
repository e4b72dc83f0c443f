"""A comparison as tables: figures, what differs, layer by layer. Formats only draw them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rfcalc.comparison.figures import ComparedFigure, size
from rfcalc.comparison.layers import FIRST, INPUT, OTHER, SAME, Change, LayerMatch
from rfcalc.comparison.ratio import change_text, ratio_text
from rfcalc.comparison.spelling import OPEN
from rfcalc.core.size import Size, is_number, same
from rfcalc.report.document import Cell, Column, Document, Records, Sentences, Table, TableLine, Text
from rfcalc.report.units import short

if TYPE_CHECKING:
    from rfcalc.comparison.comparison import Comparison

MOST_NAMES = 4
MOST_CHANGES = 16


def document(found: Comparison, every: bool = False, width: int | None = None) -> Document:
    """The comparison as a document; `every`: all layers side by side; `width`: of the terminal."""
    table = figures_table(found.figures, [s.label for s in found.subjects])
    if width is not None and table.width > width and any(len(s.label) > 2 for s in found.subjects):
        found = found.lettered()
        table = figures_table(found.figures, [s.label for s in found.subjects])
    first, *others = found.subjects
    figures = [table]
    if width is not None and table.width > width:
        split = [[_only(f, i) for f in found.figures] for i in range(len(others))]
        pairs = [[first.label, other.label] for other in others]
        figures = [figures_table(f, heads) for f, heads in zip(split, pairs, strict=True)]
        if max(t.width for t in figures) > width:
            figures = [figures_table(f, heads, brief=True) for f, heads in zip(split, pairs, strict=True)]
    sections = []
    for number, other in enumerate(others):
        against = f" in {other.label}" if len(others) > 1 else ""
        changes = found.changes[number]
        if changes:
            sections.append(changes_table(changes, found.counted, every, f"what differs{against}"))
        if every:
            labels = (first.label, other.label)
            sections.append(layers_table(found.matched[number], labels, found.counted, f"layer by layer{against}"))
    called = [f"{s.label}: {s.name}" for s in found.subjects if s.label != s.name]
    title = " against ".join(s.label for s in found.subjects)
    return arranged(
        title, (*figures, *sections), (*called, *found.sentences), found.notes, found.to_dict, partial(_records, found)
    )


def _records(found: Comparison) -> Records:
    from rfcalc.comparison.records import HEAD, records

    return HEAD, records(found)


def arranged(
    title: str,
    tables: Sequence[Table],
    sentences: Sequence[Text],
    notes: Sequence[Text],
    data: Callable[[], Mapping[str, Any]],
    records: Callable[[], Records],
) -> Document:
    """Tables with sentences after the first of them."""
    said = (Sentences(tuple(sentences)),) if sentences else ()
    return Document(title, (tables[0], *said, *tables[1:]), tuple(notes), data, records)


def _only(figure: ComparedFigure, other: int) -> ComparedFigure:
    """A figure of the first network and one other."""
    return figure._replace(
        values=(figure.values[0], figure.values[other + 1]),
        rows=(figure.rows[0], figure.rows[other + 1]),
        against=(figure.against[other],),
    )


def figures_table(figures: Sequence[ComparedFigure], heads: Sequence[str], brief: bool = False) -> Table:
    """One line a figure: the first network, then each other with ratio and change; `brief`: in three digits."""
    columns = [Column("figure"), _right(heads[0])]
    for head in heads[1:]:
        columns += [_right(head), _right("ratio"), _right("change")]
    lines = [figure_line(f, brief) for f in figures if shown(f)]
    return Table(tuple(columns), tuple(lines))


def _right(title: str) -> Column:
    """A column of figures; those that a narrow terminal leaves out have a number."""
    return Column(title, right=True, spare={"macs": 2, "params": 1}.get(title, 0))


def shown(figure: ComparedFigure) -> bool:
    """Whether a figure is worth a line: not where all have none, or a stride of 1."""
    if figure.name in ("stride", "receptive_field") and set(figure.texts) == {"–"}:
        return False
    if figure.name == "stride":
        return set(figure.texts) != {"1"}
    return not all(is_number(v) and v == 0 for v in figure.values)


def figure_line(figure: ComparedFigure, brief: bool = False) -> TableLine:
    """A figure's cells; `brief`: numbers in three digits, ratios as decimals alone."""
    texts = figure.texts
    if brief and figure.counts:
        pairs = zip(texts, figure.values, strict=True)
        texts = tuple(short(v) if is_number(v) and text[-1:].isdecimal() else text for text, v in pairs)
    cells = [Cell(figure.title), Cell(texts[0])]
    for text, value, against in zip(texts[1:], figure.values[1:], figure.against, strict=True):
        if figure.counts:
            ratio = "" if against.ratio is None or against.ratio == 1 else ratio_text(against.ratio)
            ratio = ratio.rpartition(" = ")[2] if brief else ratio
            change = change_text(against.change)
            if against.change is None and against.ratio is not None:
                change = "depends"  # on what the symbols are
        else:
            ratio, change = "", "same" if value == figure.values[0] else grown(figure, value)
        cells += [Cell(text), Cell(ratio), Cell(change)]
    return TableLine(tuple(cells))


def grown(figure: ComparedFigure, value: object) -> str:
    """How much larger a receptive field or stride is, where it is one number on all axes."""
    first = figure.values[0]
    if figure.name not in ("receptive_field", "stride") or not isinstance(first, tuple) or not isinstance(value, tuple):
        return "differs"
    steps = {b - a if a is not None and b is not None else None for a, b in zip(first, value, strict=False)}
    step = next(iter(steps)) if len(steps) == 1 and len(first) == len(value) else None
    if step is None:
        return "differs"
    return signed(step)


def signed(value: Size, brief: bool = False) -> str:
    """A difference with its sign; ``=`` for none."""
    if is_number(value):
        if value == 0:
            return "="
        told = short(abs(value)) if brief else size(abs(value))
        return f"{'+' if value > 0 else '−'}{told}"
    if same(value, 0):
        return "="
    text = size(value)
    return text if text.lstrip(OPEN).startswith(("−", "-")) else f"+{text}"


def names(where: Sequence[str]) -> str:
    """A few names, and how many more; fewer where the networks have different ones."""
    most = MOST_NAMES // 2 if any(" / " in name for name in where) else MOST_NAMES
    if len(where) <= most:
        return ", ".join(where)
    return f"{', '.join(where[: most - 1])} and {len(where) - most + 1} more"


def changes_table(changes: Sequence[Change], counted: str, every: bool = False, title: str = "") -> Table:
    """One line a difference: where, and what it adds; the lines add up to the difference of the totals."""
    named = (Column("differs", least=16, wraps=True), Column("layer", least=12))
    columns = (named[0], *map(_right, ("count", counted, "macs")), named[1])
    lines = []
    shown = [c for c in changes if c.status != INPUT or any(signed(c.added(n)) != "=" for n in (counted, "macs"))]
    cut = shown if every or len(shown) <= MOST_CHANGES + 1 else shown[:MOST_CHANGES]
    for change in cut:
        added = [signed(change.added(name), brief=True) for name in (counted, "macs")]
        cells = [change.told, str(len(change.matches)), *added, names(change.where)]
        lines.append(TableLine(tuple(map(Cell, cells))))
    if len(cut) < len(shown):
        rest = shown[len(cut) :]
        added = [signed(sum(c.added(name) for c in rest), brief=True) for name in (counted, "macs")]
        told = f"… and {len(rest)} more (--all shows them)"
        lines.append(TableLine(tuple(map(Cell, [told, str(sum(len(c.matches) for c in rest)), *added, ""]))))
    return Table(columns, tuple(lines), title=title)


def layers_table(matched: Sequence[LayerMatch], labels: tuple[str, str], counted: str, title: str = "") -> Table:
    """One line a layer, in order: how it stands in both, what differs."""
    named = (Column("layer", least=12), Column("notation", least=12, spare=3), Column("differs", least=16, wraps=True))
    columns = (*named, _right(counted), _right("macs"))
    lines = []
    for m in matched:
        step = m.first or m.other
        assert step is not None
        told = {SAME: "", FIRST: f"only in {labels[0]}", OTHER: f"only in {labels[1]}"}.get(m.status, m.told)
        cells = [m.names, step.words, told]
        for name in (counted, "macs"):
            cells.append(_pair(*m.figures(name)))
        lines.append(TableLine(tuple(map(Cell, cells))))
    return Table(columns, tuple(lines), title=title)


def _pair(a: Size | None, b: Size | None) -> str:
    """A figure in both networks: one number where it is the same."""
    if a is not None and b is not None and same(a, b):
        return "–" if is_number(a) and a == 0 else _brief(a)
    return f"{'–' if a is None else _brief(a)} → {'–' if b is None else _brief(b)}"


def _brief(value: Size) -> str:
    return short(value) if is_number(value) else size(value)
