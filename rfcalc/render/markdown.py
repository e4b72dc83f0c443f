"""Markdown as GitHub renders it: tables, lists, quotes for notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

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
    indent,
    pieces,
)

if TYPE_CHECKING:
    from rfcalc.render import Look

# Signs that could be taken for markup; an underscore inside a word is none in GitHub's Markdown.
_MARKUP = re.compile(r"[\\`*|<>\[\]~&#!$]|(?<!\w)_|_(?!\w)")
_BEGINNING = re.compile(r"^(\d+)([.)])(?=\s|$)|^([-+=])")  # of a line: a list, a rule, a heading's underline


def escape(text: str) -> str:
    """The text as Markdown that renders as it stands, inside a table too.

    >>> escape("a|b*c conv1_1 _x")
    'a\\\\|b\\\\*c conv1_1 \\\\_x'
    """
    return _MARKUP.sub(lambda m: f"\\{m[0]}", re.sub("  +", " ", printable(text)))


def spell(text: Text) -> str:
    """A text: results in bold, formulas between dollar signs."""
    return "".join(
        f"${_math(part.latex)}$" if isinstance(part, Span) and part.latex and not part.parts else _pieces((part,))
        for part in ((text,) if isinstance(text, str) else text)
    )


def _pieces(text: Text) -> str:
    bold = ("result", "strong")
    return "".join(f"**{escape(part)}**" if role in bold else escape(part) for part, role in pieces(text))


def _math(formula: str) -> str:
    """A formula that ends neither itself nor a table's cell."""
    return printable(formula).replace("$", r"\$").replace("|", r"\vert ")


def _line(text: Text) -> str:
    """A text that begins a line."""
    return _BEGINNING.sub(lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[0]}", spell(text))


def render(document: Document, look: Look) -> str:
    """The document in GitHub's Markdown; a document's title is shown by its sections."""
    document = document.in_letters()
    parts = [f"### {escape(document.title)}"] if document.titled else []
    parts += ["\n".join(_section(section)) for section in document.sections]
    if document.notes:
        parts.append("\n".join(f"> {_line(note)}  " for note in document.notes))
    return "\n\n".join(parts).rstrip()


def _section(section: Section) -> Iterator[str]:
    if section.title:
        yield from (f"**{escape(section.title)}**", "")
    if isinstance(section, Table):
        yield from grid(section)
    elif isinstance(section, Sentences):
        yield from (f"- {_line(line)}" if section.listed else f"{_line(line)}  " for line in section.lines)
    elif isinstance(section, Derivation):
        yield from _steps(section)
    elif isinstance(section, Grid):
        from rfcalc.render.raster import scaled

        yield from _fenced(scaled(section), "")
    elif isinstance(section, Listing):
        yield from _fenced(printable_lines(section.text).split("\n"), section.language)


def _steps(found: Derivation) -> Iterator[str]:
    """A derivation: its formulas as a list, its lines as a table where they are about something."""
    for formula, source in found.formulas:
        yield f"- {_code(formula.text)}" + (f": {escape(source)}" if source else "")
    if found.formulas and found.lines:
        yield ""
    told = ["; ".join(map(spell, (*step.equations, *([step.text] if step.text else [])))) for step in found.lines]
    if any(step.name or step.notation for step in found.lines):
        yield from ("| node | layer | step |", "|---|---|---|")
        named = zip(found.lines, told, strict=True)
        yield from (f"| {escape(step.name)} | {escape(step.notation)} | {text} |" for step, text in named)
    else:
        yield from (f"- {text}" for text in told)
    if found.notes:
        yield ""
    yield from (f"> {_line(note)}" for note in found.notes)


def _code(text: str) -> str:
    """A text as code within a line."""
    told = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", told)), default=0) + 1)
    pad = " " if "`" in told else ""
    return f"{fence}{pad}{told}{pad}{fence}"


def _fenced(lines: Iterable[str], language: str) -> Iterator[str]:
    """Text as it is, between fences that are longer than any in it."""
    kept = list(lines)
    longest = max((len(run) for line in kept for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (fence + language, *kept, fence)


def grid(table: Table) -> Iterator[str]:
    """A table, groups and totals in bold; labelled figures as a list below."""
    rows = [[spell(cell.text).lstrip(" ") for cell in line.cells] for line in table.lines]
    for row, shown in zip(rows, table.lines, strict=True):
        if shown.kind or shown.role == "strong":
            row[:] = [f"**{text}**" if text else "" for text in row]
        row[:1] = [f"{'&emsp;' * (indent(shown.cells[0].text) // 2)}{text}" for text in row[:1]]
    heads = [escape(column.title) for column in table.columns]
    widths = [max(3, len(head), *(len(row[i]) for row in rows), 0) for i, head in enumerate(heads)]
    right = [column.right for column in table.columns]

    def line(cells: list[str]) -> str:
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
    yield from (line(heads), line(rule), *map(line, rows))
    if table.totals:
        yield from ("", *(f"- **{escape(name)}**: {spell(figure)}" for name, figure in table.totals))
