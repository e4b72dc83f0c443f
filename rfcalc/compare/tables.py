"""A comparison as tables: figures, what differs, layer by layer. Formats only draw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rfcalc.compare.figures import Figure, size
from rfcalc.compare.layers import FIRST, INPUT, OTHER, SAME, Change, Match
from rfcalc.compare.ratio import change_text, ratio_text
from rfcalc.metrics.units import short
from rfcalc.output.model import Cell, Line, Table
from rfcalc.size import Size, is_number, same

if TYPE_CHECKING:
    from rfcalc.compare.comparison import Comparison

MOST_NAMES = 4
GAP = 2


class Section(NamedTuple):
    """One table under a heading (or none)."""

    title: str
    table: Table


class Document(NamedTuple):
    """What is shown: tables, sentences after the first of them, notes at the end. `sources`: where quotes are from."""

    title: str
    sections: tuple[Section, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]


def document(found: Comparison, every: bool = False, width: int | None = None) -> Document:
    """The comparison as a document; `every`: all layers side by side; `width`: of the terminal."""
    heads = [s.label for s in found.subjects]
    sections = [Section("", figures_table(found.figures, heads))]
    for number, other in enumerate(found.subjects[1:]):
        against = f" in {other.label}" if len(found.subjects) > 2 else ""
        changes = found.changes[number]
        if changes:
            sections.append(Section(f"what differs{against}", changes_table(changes, found.counted)))
        if every:
            pair = (found.subjects[0].label, other.label)
            sections.append(Section(f"layer by layer{against}", layers_table(found.matched[number], pair, found)))
    same_ = [o.label for o, c in zip(found.subjects[1:], found.changes, strict=True) if not c]
    said = [f"{found.subjects[0].label} and {label} are the same, layer by layer" for label in same_]
    letters = [f"{s.label}: {s.name}" for s in found.subjects if s.label != s.name]
    return Document(
        " against ".join(heads), tuple(sections), (*found.sentences, *said), (*letters, *found.notes)
    )


def figures_table(figures: Sequence[Figure], heads: Sequence[str]) -> Table:
    """One line a figure: the first network, then each other with ratio and change."""
    columns = [("figure", False), (heads[0], True)]
    for head in heads[1:]:
        columns += [(head, True), ("ratio", True), ("change", True)]
    lines = [figure_line(f) for f in figures if shown(f)]
    return Table(tuple(columns), tuple(lines), (), ())


def shown(figure: Figure) -> bool:
    """Whether a figure is worth a line: not where all have none, or a stride of 1."""
    if figure.name == "stride":
        return set(figure.texts) != {"1"} and set(figure.texts) != {"–"}
    return not all(is_number(v) and v == 0 for v in figure.values)


def figure_line(figure: Figure) -> Line:
    cells = [Cell(figure.title), Cell(figure.texts[0])]
    for text, value, against in zip(figure.texts[1:], figure.values[1:], figure.against, strict=True):
        if figure.counts:
            ratio = "" if against.ratio is None or against.ratio == 1 else ratio_text(against.ratio)
            change = change_text(against.change)
            if against.change is None and same(value, figure.values[0]):
                change = "same"
        else:
            ratio, change = "", "same" if value == figure.values[0] else grown(figure, value)
        cells += [Cell(text), Cell(ratio), Cell(change)]
    return Line(tuple(cells))


def grown(figure: Figure, value: object) -> str:
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
    return text if text.startswith(("−", "-")) else f"+{text}"


def names(where: Sequence[str]) -> str:
    """A few names, and how many more."""
    if len(where) <= MOST_NAMES:
        return ", ".join(where)
    return f"{', '.join(where[: MOST_NAMES - 1])} and {len(where) - MOST_NAMES + 1} more"


def changes_table(changes: Sequence[Change], counted: str) -> Table:
    """One line a difference: where, and what it adds; the lines add up to the difference of the totals."""
    columns = (("differs", False), ("count", True), (counted, True), ("macs", True), ("at", False))
    lines = []
    for change in changes:
        added = [signed(change.added(name), brief=True) for name in (counted, "macs")]
        if change.status == INPUT and added == ["=", "="]:
            continue
        lines.append(
            Line((Cell(change.told), Cell(str(len(change.matches))), *map(Cell, added), Cell(names(change.where))))
        )
    return Table(columns, tuple(lines), (), ())


def layers_table(matched: Sequence[Match], labels: tuple[str, str], found: Comparison) -> Table:
    """One line a layer, in order: how it stands in both, what differs."""
    columns = (("layer", False), ("notation", False), ("differs", False), (found.counted, True), ("macs", True))
    lines = []
    for m in matched:
        step = m.first or m.other
        assert step is not None
        told = {SAME: "", FIRST: f"only in {labels[0]}", OTHER: f"only in {labels[1]}"}.get(m.status, m.told)
        cells = [m.names, step.words, told]
        for name in (found.counted, "macs"):
            cells.append(_pair(*m.figures(name)))
        lines.append(Line(tuple(map(Cell, cells))))
    return Table(columns, tuple(lines), (), ())


def _pair(a: Size | None, b: Size | None) -> str:
    """A figure in both networks: one number where it is the same."""
    if a is not None and b is not None and same(a, b):
        return "–" if is_number(a) and a == 0 else _brief(a)
    return f"{'–' if a is None else _brief(a)} → {'–' if b is None else _brief(b)}"


def _brief(value: Size) -> str:
    return short(value) if is_number(value) else size(value)
