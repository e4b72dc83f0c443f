"""Networks like a given one that hold constraints (`rfcalc design --like`), and what the first of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from rfcalc.comparison.comparison import Comparison
from rfcalc.comparison.subject import Subject
from rfcalc.comparison.tables import document as compared
from rfcalc.core.errors import RfcalcError
from rfcalc.notation.write import write
from rfcalc.plan.design import OBJECTIVES, cell, nearest_table
from rfcalc.plan.likes import Likes, Variant, like
from rfcalc.readers.target import analyze
from rfcalc.report.document import Cell, Column, Document, Listing, Section, Sentences, Table, TableLine
from rfcalc.report.metrics import metric

MOST_SHOWN = 12
LARGEST_FACTOR = 64
MOST_LINES = 24  # of notation


def variants(
    target: Any,
    constraints: str = "",
    input: Any = None,  # noqa: A002
    *,
    moves: Sequence[str] = (),
    minimize: Sequence[str] | None = None,
    factors: Sequence[Any] = (),
) -> Likes:
    """Variants of a network that keep its output and hold constraints, those with the fewest changes first.

    Args:
        target, input: as for `analyze`.
        constraints: in the constraint language: ``"params < 8M, rf >= 200"``; may be left out.
        moves: which changes are tried (``stacks``, ``strides``, ``dense``, ``width``); all if left out, ``dense`` only
            where what costs more can be an answer.
        minimize: metrics that are to be small; parameters, multiply-adds, peak memory and layers if left out.
        factors: by which channels are scaled, of all stages or of each (``["1/2", "3/4"]``).

    Raises:
        RfcalcError: what cannot be read; sizes that are symbols; operators that were not understood.

    >>> import rfcalc
    >>> rfcalc.variants("conv7-8 > relu", "params < 2k", "8x32x32", moves=["stacks"]).designs[0].changes
    ('conv1: kernel 7 as 3 of 3',)
    """
    scales = tuple(_factor(f) for f in factors)
    report = analyze(target, input)
    return like(report, constraints, tuple(moves), tuple(minimize or OBJECTIVES), factors=scales)


def _factor(given: Any) -> Fraction:
    """A factor of channels.

    Raises:
        RfcalcError: it is no number between 1/64 and 64, or 1.
    """
    try:
        found = Fraction(str(given).strip())
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if found == 1 or not Fraction(1, LARGEST_FACTOR) <= found <= LARGEST_FACTOR:
        raise RfcalcError(
            f"{given} is no factor of channels", why=f"it is between 1/{LARGEST_FACTOR} and {LARGEST_FACTOR}, not 1",
            fix="write fractions: width=1/2,3/4",
        )  # fmt: skip
    return found


def document(found: Likes) -> Document:
    """What `rfcalc design --like` shows."""
    asked = ", ".join(found.constraints)
    sections: list[Section] = []
    if found.designs:
        sections.append(_table(found))
        if len(found.designs) > MOST_SHOWN:
            sections.append(Sentences((f"{len(found.designs) - MOST_SHOWN} more: --format json has them all.",)))
        first = next((v for v in found.designs if v.changes), None)
        if first is not None:
            sections += _compared(found, first)
    else:
        sections.append(
            Sentences((f"No variant of {found.report.target} that keeps its output holds all of: {asked}.",))
        )
        if found.tightest:
            sections.append(nearest_table(found.tightest))
    title = f"networks like {found.report.target}" + (f" for {asked}" if asked else "")
    return Document(title, tuple(sections), notes=tuple(_notes(found)), data=found.to_dict)


def _table(found: Likes) -> Table:
    names = list(found.designs[0].figures)
    shown = [metric(n) for n in names]
    columns = (
        Column("changes", least=30, wraps=True), *(Column(m.title, m.name, right=True) for m in shown),
    )  # fmt: skip
    lines = [
        TableLine((
            Cell("; ".join(v.changes) or "none: the network as it is"),
            *(cell(m, v.figures[n]) for m, n in zip(shown, names, strict=True)),
        ))
        for v in found.designs[:MOST_SHOWN]
    ]  # fmt: skip
    return Table(columns, tuple(lines))


def _compared(found: Likes, first: Variant) -> list[Section]:
    """What the first variant changes, as `rfcalc compare` says it, and how it is written."""
    subjects = (
        Subject(found.report.target, found.report.target, found.report),
        Subject("variant", "variant", first.report),
    )
    inside = compared(Comparison(subjects))
    what = f"Against {found.report.target}, the first variant ({'; '.join(first.changes)}):"
    sections: list[Section] = [Sentences((what, *first.notes)), *inside.sections]
    written = write(first.report.network)
    return [*sections, Listing(written, title="As it is written:")] if written.count("\n") < MOST_LINES else sections


def _notes(found: Likes) -> list[str]:
    tried = "; ".join(f"{move.name} ({move.told})" for move in found.moves)
    sure = "all were built" if found.optimal else "the search was stopped: there may be better ones"
    notes = [f"tried: {tried}", f"{found.searched:,} of {found.size:,} combinations; {sure}"]
    names = ", ".join(found.objectives)
    notes.append(f"of all that hold, those than which none has fewer changes, nearer channels and less of: {names}")
    notes += [f"not possible: {change}: {why}" for change, why in list(found.unfit.items())[:4]]
    return notes
