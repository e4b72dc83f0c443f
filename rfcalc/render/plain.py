"""Plain text in ASCII columns: for pipes, diffs and `print(report)`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from rfcalc.core.errors import printable, printable_lines
from rfcalc.report.document import (
    Derivation,
    Document,
    Grid,
    Listing,
    Section,
    Sentences,
    Span,
    Table,
    Text,
)

if TYPE_CHECKING:
    from rfcalc.render import Look

ASCII = str.maketrans(
    {
        "×": "x",
        "–": "-",
        "≤": "<=",
        "−": "-",
        "…": "...",
        "≥": ">=",
        "→": "->",
        "·": "*",
        "≈": "~",
        "≠": "!=",
        "“": '"',
        "”": '"',
        "§": "sec. ",
        "½": "1/2",
        "Σ": "sum ",
        "∏": "prod ",
        "±": "+-",
        "′": "'",
        "⌊": "floor(",
        "⌋": ")",
        "⌈": "ceil(",
        "⌉": ")",
        "¹": "[1]",
        "²": "^2",
        "³": "^3",
        "ⁿ": "^n",
        "ⁱ": "^i",
        "α": "alpha",
        "β": "beta",
        "γ": "gamma",
        "ρ": "rho",
        "σ": "sigma",
        **{sign: f"^{n}" for n, sign in enumerate("⁴⁵⁶⁷⁸⁹", 4)},
        **{sign: str(n) for n, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    }
)


def render(document: Document, look: Look) -> str:
    """The document in plain columns, as wide as it needs."""
    document = document.in_letters()
    parts = [spell(document.title)] if document.titled else []
    parts += ["\n".join(_section(section)) for section in document.sections]
    if document.notes:
        parts.append("\n".join(map(spell, document.notes)))
    return "\n\n".join(parts)


def spell(text: Text) -> str:
    """A text in ASCII where it can be, on one line.

    >>> spell("2 × 3 ≤ 7")
    '2 x 3 <= 7'
    """
    parts = (text,) if isinstance(text, str) else (p if isinstance(p, str) else p.plain or p.text for p in text)
    return printable("".join(parts)).translate(ASCII)


def in_ascii(part: Any) -> Any:
    """A document, or a part of one, with its texts in ASCII where they can be; figures for machines stay.

    >>> in_ascii(("2 × ", Span("k²", "result", "k^2")))
    ('2 x ', Span(text='k^2', role='result', plain='k^2', latex='', parts=()))
    """
    if isinstance(part, str):
        return part.translate(ASCII)
    if isinstance(part, Span):
        return replace(part, text=(part.plain or part.text).translate(ASCII), parts=())
    if isinstance(part, tuple):
        made = map(in_ascii, part)
        return part._make(made) if hasattr(part, "_make") else tuple(made)
    if isinstance(part, (Document, Table, Sentences, Derivation, Listing, Grid)):
        return replace(part, **{f.name: in_ascii(getattr(part, f.name)) for f in fields(part)})
    return part


def _section(section: Section) -> Iterator[str]:
    if isinstance(section, Derivation):
        yield from _steps(section)
        return
    if section.title:
        yield spell(section.title)
    if isinstance(section, Table):
        yield from grid(section)
    elif isinstance(section, Sentences):
        yield from map(spell, section.lines)
    elif isinstance(section, Grid):
        from rfcalc.render.raster import scaled

        yield from scaled(section, ascii_only=True)
    elif isinstance(section, Listing):
        yield printable_lines(section.text)


def _steps(found: Derivation) -> Iterator[str]:
    """A derivation, its formulas in ASCII."""
    from rfcalc.render.derivation import lines

    spelled = [
        step._replace(equations=tuple(map(spell, step.equations)), text=spell(step.text)) for step in found.lines
    ]
    formulas = tuple((Span(formula.plain or formula.text), source) for formula, source in found.formulas)
    yield from (spell(line).rstrip() for line in lines(replace(found, lines=tuple(spelled), formulas=formulas), None))


def _cut(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else text[: most - 2] + ".."


def grid(table: Table) -> Iterator[str]:
    """A table with two spaces between columns; groups in brackets, totals under a rule."""
    heads = [spell(column.title) for column in table.columns]
    body = [
        [_cut(spell(c.text), col.most) for c, col in zip(line.cells, table.columns, strict=True)]
        for line in table.lines
    ]
    kept = [row for row, line in zip(body, table.lines, strict=True) if not line.spans]
    widths = [max(len(head), *(len(row[i]) for row in kept), 0) for i, head in enumerate(heads)]
    right = [column.right for column in table.columns]

    def drawn(cells: list[str]) -> str:
        parts = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)]
        return "  ".join(parts).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    yield from (drawn(heads), rule)
    before = ""
    for cells, line in zip(body, table.lines, strict=True):
        if line.heading:
            yield ""
            first = f"[{cells[0]}]"
            yield first if line.spans else first + drawn([" " * len(first), *cells[1:]])[len(first) :]
        else:
            if line.kind == "total" != before:
                yield rule
            yield drawn(cells)
        before = line.kind
    if table.totals:
        yield rule
        label = max(len(spell(name)) for name, _ in table.totals)
        yield from (f"{spell(name).ljust(label)}  {spell(figure)}" for name, figure in table.totals)
