"""Networks like a given one as a document: a table of all, and what they change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Literal

from rfcalc.comparison.figures import size
from rfcalc.comparison.likes import LONGEST_NAME, Likes
from rfcalc.comparison.ratio import ratio, ratio_text
from rfcalc.comparison.tables import document as compared
from rfcalc.core.errors import RfcalcError
from rfcalc.notation.write import write
from rfcalc.plan.design import cell, nearest_table, told
from rfcalc.receptive.receptive_field import plain
from rfcalc.report.document import Cell, Column, Document, Listing, Section, Sentences, Table, TableLine
from rfcalc.report.metrics import metric

MOST_SHOWN = 12
ALIKE = ("biases", "params", "receptive_field")  # of stacks: in JSON and spreadsheets
MOST_LINES = 24  # of notation


def document(found: Likes, show: Sequence[int] | None = None) -> Document:
    """What `rfcalc design --like` and `rfcalc equivalents` show.

    Args:
        show: of which variants, from 1, all that they change; of the first if left out, but not of stacks.

    Raises:
        RfcalcError: there is no variant of such a number.
    """
    asked = ", ".join(found.constraints)
    name = found.subject.name
    sections: list[Section] = []
    if found.designs or found.ranked:
        sections.append(_table(found, max([MOST_SHOWN, *(show or ())])))
        sections += [Sentences(found.said)] if found.said else []
        sections += [section for i in _shown(found, show) for section in _compared(found, i)]
    else:
        sections.append(Sentences((f"No variant of {name} that keeps its output holds all of: {asked}.",)))
        if found.tightest:
            sections.append(nearest_table(found.tightest))
    title = found.said[0] if found.ranked else f"networks like {name}" + (f" for {asked}" if asked else "")
    records = (lambda: _records(found)) if found.designs else None
    return Document(title, tuple(sections), notes=tuple(_notes(found)), data=found.to_dict, records=records)


def _shown(found: Likes, show: Sequence[int] | None) -> list[int]:
    """The numbers of the variants that are told in full.

    Raises:
        RfcalcError: there is no such variant.
    """
    if show is None:
        first = next((i for i, v in enumerate(found.designs, 1) if v.changes), None)
        return [] if first is None or found.ranked else [first]
    for i in show:
        if not 1 <= i <= len(found.designs):
            there = f"there are {len(found.designs)}" if found.designs else "there is none"
            raise RfcalcError(f"there is no variant {i}", why=there, fix="--show all shows what each changes")
    return list(dict.fromkeys(show))


def _table(found: Likes, most: int) -> Table:
    """A line a variant; the network itself first, where it is none of them. What the first figure is of the network's
    stands beside it."""
    names = [n for n in found.figures if not (found.ranked and n in ALIKE)]
    lead = next((n for n in names if n in found.objectives and metric(n).whole is not None), None)
    called = found.subject.name if len(found.subject.name) <= LONGEST_NAME else "it"
    seen = any(v.seen is not None and v.seen < prod(v.figures["receptive_field"]) for v in found.designs)
    columns = [Column("", "number", right=True)]
    columns.append(Column("stack" if found.ranked else "changes", least=16 if found.ranked else 30, wraps=True))
    for n in names:
        columns.append(Column(metric(n).title, metric(n).name, right=True))
        columns += [Column(f"of {called}", "share", right=True)] if n == lead else []
    columns += [Column("sees", "seen", right=True)] if seen else []

    def line(
        number: str, words: str, figures: dict[str, Any], sees: int | None, kind: Literal["", "group"] = ""
    ) -> TableLine:
        cells = [Cell(number), Cell(words)]
        for n in names:
            cells.append(_cell(found, n, figures[n]))
            if n == lead:
                part = None if kind == "group" else ratio(figures[n], found.figures[n])
                cells.append(Cell("" if part is None else ratio_text(part), part))
        if seen:
            total = prod(figures["receptive_field"])
            cells.append(Cell("" if sees is None else "all" if sees == total else f"{sees} of {total}", sees))
        return TableLine(tuple(cells), kind)

    lines = []
    if found.ranked or not any(not v.changes for v in found.designs):
        lines.append(line("", called if called != "it" else "it, as it is", found.figures, None, "group"))
    for i, v in enumerate(found.designs[: None if found.ranked else most], 1):
        words = "; ".join(v.changes) or "none: the network as it is"
        lines.append(line(str(i), words, v.figures, v.seen))
    return Table(tuple(columns), tuple(lines))


def _cell(found: Likes, name: str, value: Any) -> Cell:
    """A figure: all digits of it, or the formula, among stacks; else as tables of designs have it."""
    if found.ranked and not isinstance(value, list):
        return Cell(size(value), plain(value))
    return cell(metric(name), value)


def _compared(found: Likes, number: int) -> list[Section]:
    """What a variant changes, as `rfcalc compare` says it, and how it is written."""
    variant = found.designs[number - 1]
    inside = compared(found.comparison(variant))
    name, which = found.subject.name, "; ".join(variant.changes) or "nothing is changed"
    sections: list[Section] = [Sentences((f"Variant {number} ({which}), against {name}:", *variant.notes))]
    sections += inside.sections
    written = variant.written or write(variant.report.network)
    return [*sections, Listing(written, title="As it is written:")] if written.count("\n") < MOST_LINES else sections


def _notes(found: Likes) -> list[str]:
    notes = list(found.remarks)
    if not found.ranked:
        tried = "; ".join(f"{move.name} ({move.told})" for move in found.moves)
        sure = "all were built" if found.optimal else "the search was stopped: there may be better ones"
        notes += [f"tried: {tried}", f"{found.searched:,} of {found.size:,} combinations; {sure}"]
        names = ", ".join(found.objectives)
        if found.designs:
            notes.append(
                "a variant is left out where another one is as good or better in all of: the number of changes, how "
                f"far channels are scaled, {names}"
            )
        if len(found.designs) > MOST_SHOWN:
            notes.append(f"{len(found.designs) - MOST_SHOWN} more: --format json has them all")
        if len(found.designs) > 1:
            notes.append(
                "--show 2 tells what another variant changes, --show all of every one; --format json has it too"
            )
    notes += [f"not possible: {change}: {why}" for change, why in list(found.unfit.items())[:4]]
    return [*notes, *(f"assumed: {a}" for a in found.subject.assumptions)]


def _records(found: Likes) -> tuple[Sequence[str], Iterator[Sequence[Any]]]:
    """What spreadsheets get: a variant a line, with its notation."""
    heads = ("changes", *found.figures, "notation")
    return heads, (
        ("; ".join(v.changes), *(_text(v.figures[n]) for n in found.figures), v.notation) for v in found.designs
    )


def _text(value: Any) -> Any:
    return told(value) if isinstance(value, list) else plain(value)
