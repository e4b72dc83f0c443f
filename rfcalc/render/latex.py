"""LaTeX: the table with booktabs and siunitx; a longtable where it does not fit on a page.

Numbers that add up stand in siunitx columns: parameters as they are, multiply-adds and bytes in the decimal unit that
the column's head names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rfcalc.render.model import USUAL, Cell, Table, build
from rfcalc.report.metrics.vocabulary import metric
from rfcalc.report.report import Report

if TYPE_CHECKING:
    from rfcalc.render import View

PAGE = 45  # lines of a table that fit on a page
_SIGNS = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "−": "$-$",
    "–": "--",
    "…": r"\dots{}",
    "→": r"$\to$",
    "γ": r"$\gamma$",
    "β": r"$\beta$",
    "¹": "$^1$",
    "²": "$^2$",
}
_ESCAPES = str.maketrans(_SIGNS)
BYTES = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3), ("B", 1))
COUNTS = (("G", 10**9), ("M", 10**6), ("K", 10**3), ("", 1))
SCALED = {"bytes": BYTES, "saved_bytes": BYTES, "macs": COUNTS, "flops": COUNTS}


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
    return text.translate(_ESCAPES)


def render(report: Report, view: View) -> str:
    """The report as a table environment, with a comment that says which packages it needs."""
    names = [metric(name).name for name in view.columns or USUAL]
    table = build(report, view)
    columns = []
    for i, (name, (title, right)) in enumerate(zip(names, table.columns, strict=True)):
        most = max((line.cells[i].value or 0 for line in table.lines), default=0)
        unit, scale = next((u for u in SCALED.get(name, ()) if most >= 10 * u[1]), ("", 1))
        numbers = metric(name).adds or name in ("bytes", "values")
        columns.append(_Column(f"{title} ({unit})" if unit else title, right, numbers, scale))
    long = len(table.lines) > PAGE
    packages = ["booktabs", "siunitx", *(["longtable"] if long else [])]
    found = ["% needs " + " ".join(f"\\usepackage{{{p}}}" for p in packages)]
    found.append(r"\begingroup\sisetup{group-separator={,}, group-minimum-digits=4}")
    texts = [[_text(cell, column) for cell, column in zip(line.cells, columns, strict=True)] for line in table.lines]
    spec = "".join(_spec(column, [row[i] for row in texts]) for i, column in enumerate(columns))
    heads = " & ".join(f"{{{escape(c.title)}}}" if c.numbers else escape(c.title) for c in columns) + r" \\"
    body = _body(table, texts, columns)
    caption = escape(_caption(report))
    if long:
        found += [rf"\begin{{longtable}}{{{spec}}}", rf"\caption{{{caption}}}\\", r"\toprule", heads, r"\midrule"]
        found += [r"\endhead", *body, r"\bottomrule", r"\end{longtable}"]
    else:
        found += [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{spec}}}"]
        found += [r"\toprule", heads, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    found.append(r"\endgroup")
    found += [f"% {name}: {figure}" for name, figure in table.totals]
    found += [f"% {note}" for note in table.notes]
    return "\n".join(found)


def _caption(report: Report) -> str:
    name = report.network.title or report.target
    inputs = ", ".join(map(str, report.inputs.values()))
    return f"{name}; input {inputs}; {report.totals.params:,} parameters"


def _number(value: int, scale: int) -> str:
    """A figure for a siunitx column: whole, or in a unit with two places, rounded half up."""
    if scale == 1:
        return str(value)
    hundredths = (value * 200 + scale) // (2 * scale)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _text(cell: Cell, column: _Column) -> str:
    """A cell: a number for siunitx, else text, in braces where it stands in a column of numbers."""
    if not column.numbers:
        return escape(cell.text)
    if cell.value:
        return _number(cell.value, column.scale)
    return f"{{{escape(cell.text)}}}" if cell.text else ""


def _spec(column: _Column, texts: list[str]) -> str:
    if not column.numbers:
        return "r" if column.right else "l"
    digits = [text.partition(".") for text in texts if text[:1].isdigit()]
    whole = max((len(d[0]) for d in digits), default=1)
    places = max((len(d[2]) for d in digits), default=0)
    return f"S[table-format={whole}{f'.{places}' if places else ''}]"


def _body(table: Table, texts: list[list[str]], columns: list[_Column]) -> list[str]:
    found = []
    for i, (line, row) in enumerate(zip(table.lines, texts, strict=True)):
        if line.heading:
            row = [rf"\textbf{{{t}}}" if t and not c.numbers else t for t, c in zip(row, columns, strict=True)]
            if i:
                found.append(r"\addlinespace")
        found.append(" & ".join(row).rstrip() + r" \\")
    return found
