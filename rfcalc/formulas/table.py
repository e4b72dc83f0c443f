"""The symbolic view as a document: what the symbols are, columns, lines, totals, what was assumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rfcalc.core.errors import UnknownName
from rfcalc.formulas.result import FIGURES, Symbolic, SymbolicRow
from rfcalc.formulas.writing import show
from rfcalc.report.document import Cell, Column, Document, Section, Sentences, Span, Table, TableLine
from rfcalc.report.metrics import metric

USUAL = ("name", "notation", "output_shape", "receptive_field", "stride", "params", "macs", "values")
SPARE = {"values": 4, "stride": 3, "notation": 2, "macs": 1}  # columns that a narrow terminal loses first
TEXTS = ("name", "kind", "notation", "stage")
FIELDS = {"receptive_field": "size", "stride": "stride", "padding": "padding", "center": "center"}
TOTALS = {
    "params": "params",
    "weights": "weights",
    "biases": "biases",
    "macs": "macs",
    "values": "values, forward",
    "bytes": "bytes, forward",
    "saved_bytes": "bytes saved for backward",
    "peak_bytes": "bytes at the peak, forward",
}


def document(
    found: Symbolic,
    form: str = "terminal",
    columns: Sequence[str] | None = None,
    every: bool = False,
    at: str | None = None,
) -> Document:
    """The formulas as a document (JSON: schema rfcalc/symbolic/1); spelled for a format, which alone is paid for.

    Raises:
        UnknownName: a column or node that does not exist.
    """
    from rfcalc.formulas.export import data

    names = _columns(columns)
    shown = [found[at]] if at else [line for line in found if every or not line.folds]
    write = _writer(form)
    lines = tuple(TableLine(tuple(_shown(line, name, write) for name in names)) for line in shown)
    totals = tuple(
        (told, (write(lambda f, value=found.totals[name]: show(value, f)),))  # type: ignore[misc]
        for name, told in TOTALS.items()
        if name in found.totals
    )
    spans = {name: write(lambda f, s=s: show(s, f)) for name, s in found.symbols.items()}  # type: ignore[misc]
    wide = max((len(span.text) for span in spans.values()), default=0)
    symbols = tuple((span, f"{' ' * (wide - len(span.text))}  {found.meanings[name]}") for name, span in spans.items())
    inputs = ", ".join(
        f"{name} {_times([show(d, 'plain' if form == 'plain' else 'unicode') for d in dims], 'unicode')}"
        for name, dims in found.inputs.items()
    )
    title = f"{found.target}: {inputs}"
    table = Table(tuple(map(_column, names)), lines, totals, caption=title)
    notes = (*(f"assumed: {text}" for text in found.assumptions), *(f"no closed form: {t}" for t in found.unknown))
    sections: tuple[Section, ...] = (Sentences(symbols), table) if symbols else (table,)
    return Document(title, sections, notes, data=partial(data, found), titled=True)


def _writer(form: str) -> Callable[[Callable[[str], str]], Span]:
    """How a formula is spelled for a format: in letters, and in LaTeX where the format typesets it."""
    letters = "plain" if form == "plain" else "python" if form == "csv" else "unicode"
    typeset = form in ("latex", "markdown")
    return lambda spell: Span(spell(letters), latex=spell("latex") if typeset else "")


def _column(name: str) -> Column:
    return Column(metric(name).title, name, right=name not in TEXTS, spare=SPARE.get(name, 0))


def _shown(line: SymbolicRow, name: str, write: Callable[[Callable[[str], str]], Span]) -> Cell:
    if name in TEXTS or name == "status":
        return Cell(_cell(line, name, "unicode"))
    text = write(lambda form: _cell(line, name, form))
    return Cell("–") if text.text in ("–", "-") else Cell((text,))


def _columns(columns: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(metric(c).name for c in columns or USUAL)
    known = {*TEXTS, *FIELDS, *FIGURES, "output_shape", "status", *_operations()}
    for name in names:
        if name not in known:
            raise UnknownName("column", name, sorted(known))
    return names


def _operations() -> tuple[str, ...]:
    from rfcalc.core.cost import OPERATIONS

    return OPERATIONS


def _times(parts: list[str], form: str) -> str:
    """Sizes with a times sign between them; sums in brackets."""
    sign = {"latex": r" \times ", "unicode": "×", "plain": " x ", "python": ", "}[form]
    if form == "python":
        return f"({sign.join(parts)},)"
    return sign.join(f"({p})" if _is_sum(p) else p for p in parts)


def _is_sum(text: str) -> bool:
    """Whether a plus or minus stands outside all brackets."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c in "({[⌊⌈") - (c in ")}]⌋⌉")
        if depth == 0 and i and c in "+−-" and text[i - 1] == " ":
            return True
    return False


def _axes(values: Sequence[Any], form: str) -> str:
    """One size where all axes agree."""
    texts = [show(v, form) for v in values]
    if not texts or all(v is None for v in values):
        return show(None, form)
    return texts[0] if len(set(texts)) == 1 else _times(texts, form)


def _cell(line: SymbolicRow, name: str, form: str) -> str:
    if name in TEXTS:
        return str(getattr(line, name))
    if name == "status":
        return str(line.field["status"])
    if name == "output_shape":
        return _times([show(d, form) for d in line.output_shape], form)
    if name == "receptive_field":
        return _sight(line.field, form)
    if name in FIELDS:
        return _axes(line.field[FIELDS[name]], form)
    value = line.figures.get(name, 0)
    return show(None, form) if value == 0 else show(value, form)


def _sight(field: dict[str, Any], form: str) -> str:
    """The receptive field's size, or what kind of answer it is."""
    word: Callable[[str], str] = (lambda w: rf"\text{{{w}}}") if form == "latex" else str
    status, size = field["status"], field["size"]
    none = all(s is None for s in size)
    if status == "global":
        whole = word({True: "all", False: "fixed", None: "global"}[field["whole"]])
        return whole if none else f"{whole} ({_axes(size, form)})"
    if status in ("periodic", "bounded") and not none:
        most = {"latex": r"\le ", "unicode": "≤", "plain": "<="}.get(form, "")
        return f"{most}{_axes(size, form)}"
    told = {"none": "none", "unknown": "unknown", "needs_input_size": "needs size", "shift_variant": "varies"}
    told["bounded"] = "≤ all"
    told["not_closed"] = "?"
    return word(told[status]) if status in told else _axes(size, form)
