"""LaTeX: tables with booktabs and siunitx, a longtable where one does not fit on a page; TikZ; notes as comments.

Figures stand in siunitx columns: digit by digit, or in the decimal unit that the column's head names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from rfcalc.core.errors import printable, printable_lines
from rfcalc.render.latex_width import COLUMN, PAGE, SIZES, TableFit, broken, fit, longest_piece, width
from rfcalc.report.document import (
    Cell,
    Column,
    Derivation,
    Document,
    Grid,
    Picture,
    Section,
    Sentences,
    Span,
    Table,
    TableLine,
    Text,
    indent,
    words,
)

if TYPE_CHECKING:
    from rfcalc.render import Look

LINES = 45  # lines of a table that fit on a page
_SIGNS = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≠": r"$\ne$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "·": r"$\cdot$",
    "−": "$-$",
    "–": "--",
    "…": r"\dots{}",
    "½": r"$\frac12$",
    "Σ": r"$\sum$",
    "∏": r"$\prod$",
    "ρ": r"$\rho$",
    "⌊": r"$\lfloor$",
    "⌋": r"$\rfloor$",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "σ": r"$\sigma$",
    "ⁿ": "$^n$",
    "¹": "$^1$",
    "²": "$^2$",
    "³": "$^3$",
    "“": "``",
    "”": "''",
    "§": r"\S{}",
}
_SIGNS.pop("'")
_ESCAPES = str.maketrans(_SIGNS)
_BYTES = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3), ("B", 1))
_COUNTS = (("G", 10**9), ("M", 10**6), ("K", 10**3), ("", 1))
_SCALES = {"bytes": _BYTES, "count": _COUNTS}


class _Column(NamedTuple):
    title: str
    right: bool
    numbers: bool
    scale: int


def escape(text: str) -> str:
    """The text as LaTeX that prints as it stands.

    >>> escape("conv1_1 50% ×2")
    'conv1\\\\_1 50\\\\% $\\\\times$2'
    """
    return printable(text).translate(_ESCAPES)


def spell(text: Text) -> str:
    """A text: formulas in math mode, all else escaped."""
    if isinstance(text, str):
        return escape(text)
    return "".join(
        escape(p) if isinstance(p, str) else f"${p.latex}$" if p.latex else _weighted(escape(p.text), p.role)
        for p in text
    )


def _weighted(text: str, role: str) -> str:
    return rf"\textbf{{{text}}}" if role in ("strong", "result") and text else text


def comment(text: Text) -> str:
    """A text as a comment, which no character of it can leave."""
    parts = (text,) if isinstance(text, str) else text
    told = "".join(p if isinstance(p, str) else f"${p.latex}$" if p.latex else p.text for p in parts)
    return f"% {printable(told)}"


def render(document: Document, look: Look) -> str:
    """The document as LaTeX to be read with ``\\input``; its first line says which packages it needs."""
    parts = [rf"\paragraph{{{escape(document.title)}}}"] if document.titled else []
    parts += [line for section in document.sections for line in _section(section, document)]
    text = "\n".join(parts)
    packages = ["booktabs"] * ("\\toprule" in text) + ["siunitx"] * ("\\sisetup" in text)
    packages += ["tikz"] * ("{tikzpicture}" in text)
    packages += ["longtable"] * ("{longtable}" in text)
    packages += ["array"] * ("\\arraybackslash" in text)
    packages += ["amsmath"] * any(sign in text for sign in ("{equation*}", "{align*}", "\\text{"))
    needs = "% needs " + " ".join(f"\\usepackage{{{p}}}" for p in packages)
    return "\n".join([*([needs] if packages else []), text, *map(comment, document.notes)])


def _section(section: Section, document: Document) -> Iterator[str]:
    if isinstance(section, Table):
        yield from _table(section, section.caption or section.title or document.title)
        return
    if isinstance(section, Derivation):
        yield from _steps(section)
        return
    if isinstance(section, Picture):
        from rfcalc.render.tikz import picture

        yield from picture(section, escape)
        return
    if section.title:
        yield rf"\paragraph{{{escape(section.title)}}}"
    if isinstance(section, Sentences):
        if section.listed:
            yield from (r"\begin{itemize}", *(rf"\item {spell(t)}" for t in section.lines), r"\end{itemize}")
        else:
            yield from (rf"{{\small\raggedright {spell(t)}\par}}" for t in section.lines)
    else:
        from rfcalc.render.raster import scaled

        text = "\n".join(scaled(section, True)) if isinstance(section, Grid) else printable_lines(section.text)
        yield from (r"\begin{verbatim}", text.replace(r"\end{verbatim}", r"\end {verbatim}"), r"\end{verbatim}")


def _steps(found: Derivation) -> Iterator[str]:
    """A derivation: its formulas displayed, its lines as a list."""
    if found.title:
        yield from ("", rf"\textit{{{escape(found.title)}}}")
    for formula, source in found.formulas:
        yield from (r"\begin{equation*}", formula.latex or escape(formula.text), r"\end{equation*}")
        if source:
            yield rf"{{\small {escape(source)}}}"
    if found.lines:
        yield r"\begin{itemize}"
        for step in found.lines:
            named = rf"\texttt{{{escape(step.name)}}} " if step.name else ""
            notation = f"({escape(step.notation)}) " if step.notation else ""
            told = [spell(text) for text in (*step.equations, step.text) if text]
            yield rf"\item {named}{notation}" + "; ".join(told)
        yield r"\end{itemize}"
    yield from (spell(note) + r"\\" for note in found.notes)


def _table(table: Table, caption: str) -> Iterator[str]:
    columns = [_measured(column, [line.cells[i] for line in table.lines]) for i, column in enumerate(table.columns)]
    numbers = any(c.numbers for c in columns)
    texts = [[_text(cell, column) for cell, column in zip(line.cells, columns, strict=True)] for line in table.lines]
    found = _fitting(table, columns, texts)
    for i in found.broken:
        texts = [[broken(text) if k == i else text for k, text in enumerate(row)] for row in texts]
    spec = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{found.broken[i]:.0f}pt}}"
        if i in found.broken
        else _spec(column, [row[i] for row in texts])
        for i, column in enumerate(columns)
    )
    heads = " & ".join(f"{{{escape(c.title)}}}" if c.numbers else escape(c.title) for c in columns) + r" \\"
    body = _body(table, texts, columns)
    caption = escape(caption) + (rf"\label{{{table.label}}}" if table.label else "")
    set_up = found.size + (rf"\setlength{{\tabcolsep}}{{{found.gap:g}pt}}" if found.gap != SIZES[0][2] else "")
    if numbers:
        set_up += r"\sisetup{group-separator={,}, group-minimum-digits=4}"
    if len(table.lines) > LINES:
        yield from (rf"\begingroup{set_up}", rf"\begin{{longtable}}{{{spec}}}", rf"\caption{{{caption}}}\\")
        yield from (r"\toprule", heads, r"\midrule", r"\endfirsthead", r"\toprule", heads, r"\midrule", r"\endhead")
        yield from (*body, r"\bottomrule", r"\end{longtable}", r"\endgroup")
    else:
        yield from (r"\begin{table}", rf"\centering\caption{{{caption}}}", *([set_up] if set_up else []))
        yield from (rf"\begin{{tabular}}{{{spec}}}", r"\toprule", heads, r"\midrule", *body, r"\bottomrule")
        yield from (r"\end{tabular}", r"\end{table}")
    if any(isinstance(p, Span) and p.latex for _, figure in table.totals for p in figure):
        told = " \\\\\n".join(rf"\text{{{escape(name)}}} &= {_formula(figure)}" for name, figure in table.totals)
        yield from (r"\begin{align*}", told, r"\end{align*}")
    else:
        yield from (comment((f"{name}: ", *((f,) if isinstance(f, str) else f))) for name, f in table.totals)


def _fitting(table: Table, columns: list[_Column], texts: list[list[str]]) -> TableFit:
    """The size of letters at which the table fits on its page or in its column."""
    widths: list[float] = []
    breakable: dict[int, float] = {}
    for i, column in enumerate(columns):
        widest = width(column.title, bold=False)
        for line, row in zip(table.lines, texts, strict=True):
            if line.spans:
                continue
            text = row[i]
            if column.numbers and text[:1].isdecimal():
                shown = f"{int(text.partition('.')[0]):,}{''.join(text.partition('.')[1:])}"
            else:
                shown = words(line.cells[i].text)
            widest = max(widest, width(shown, bold=line.kind == "group" and not column.numbers))
        widths.append(widest)
        if not column.numbers and not column.right:
            breakable[i] = max(map(_least, [column.title, *(line.cells[i].text for line in table.lines)]))
    return fit(widths, breakable, COLUMN if table.narrow else PAGE)


def _least(text: Text) -> float:
    """The width of the longest part that cannot be broken; of formulas, their longest line, brackets and a factor."""
    parts = (text,) if isinstance(text, str) else text
    formulas = [p.text for p in parts if isinstance(p, Span) and p.latex]
    plain = [p if isinstance(p, str) else p.text for p in parts if isinstance(p, str) or not p.latex]
    lines = (width(line) + 36 for formula in formulas for line in formula.split(", "))
    return max([*map(longest_piece, plain), *lines, 0.0])


def _formula(text: Text) -> str:
    """A text in math mode."""
    parts = (text,) if isinstance(text, str) else text
    return "".join(p.latex if isinstance(p, Span) and p.latex else rf"\text{{{spell((p,))}}}" for p in parts)


def _measured(column: Column, cells: list[Cell]) -> _Column:
    """A column with the unit that suits its largest figure."""
    most = max((abs(cell.value) for cell in cells if isinstance(cell.value, int)), default=0)
    unit, scale = next((u for u in _SCALES.get(column.unit, ()) if most >= 10 * u[1]), ("", 1))
    title = f"{column.title} ({unit})" if unit else column.title
    return _Column(title, column.right, bool(column.unit), scale)


def _number(value: int, scale: int) -> str:
    """A figure for a siunitx column: whole, or in a unit with two places, rounded half up."""
    if scale == 1:
        return str(value)
    hundredths = (value * 200 + scale) // (2 * scale)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _text(cell: Cell, column: _Column) -> str:
    """A cell: a number for siunitx, else text, in braces where it stands in a column of numbers."""
    if not column.numbers:
        return r"\quad " * (indent(cell.text) // 2) + spell(cell.text).lstrip(" ")
    if isinstance(cell.value, int) and cell.value:
        return _number(cell.value, column.scale)
    return f"{{{spell(cell.text)}}}" if words(cell.text) else ""


def _spec(column: _Column, texts: list[str]) -> str:
    if not column.numbers:
        return "r" if column.right else "l"
    digits = [text.partition(".") for text in texts if text[:1].isdecimal()]
    whole = max((len(d[0]) for d in digits), default=1)
    places = max((len(d[2]) for d in digits), default=0)
    return f"S[table-format={whole}{f'.{places}' if places else ''}]"


def _body(table: Table, texts: list[list[str]], columns: list[_Column]) -> Iterator[str]:
    before: TableLine | None = None
    for line, row in zip(table.lines, texts, strict=True):
        if line.spans:
            row = [rf"\multicolumn{{{len(columns)}}}{{l}}{{\textbf{{{spell(line.cells[0].text)}}}}}"]
        if line.kind == "group" and not line.spans:
            row = [rf"\textbf{{{t}}}" if t and not c.numbers else t for t, c in zip(row, columns, strict=True)]
        if line.kind == "group" and before:
            yield r"\addlinespace"
        elif line.kind == "total" and (before is None or before.kind != "total"):
            yield r"\midrule"
        yield " & ".join(row).rstrip() + r" \\"
        before = line
