"""The symbolic view laid out: columns, lines, totals, what the symbols are, what was assumed. Formats only draw it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rfcalc.core.errors import UnknownName
from rfcalc.formulas.result import FIGURES, Symbolic, SymbolicRow
from rfcalc.formulas.writing import show
from rfcalc.report.metrics.vocabulary import metric

USUAL = ("name", "notation", "output_shape", "receptive_field", "stride", "params", "macs", "values")
DROPPED = ("values", "stride", "notation", "macs")  # columns that a narrow terminal loses first
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


class Laid(NamedTuple):
    """Columns (title, whether it is right-aligned), lines of cells, totals and notes, each as text.

    `math` says which cells are formulas (the others are words).
    """

    title: str
    columns: tuple[tuple[str, bool], ...]
    lines: tuple[tuple[str, ...], ...]
    math: tuple[bool, ...]
    totals: tuple[tuple[str, str], ...]
    symbols: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def lay(
    found: Symbolic,
    form: str,
    columns: Sequence[str] | None = None,
    every: bool = False,
    at: str | None = None,
) -> Laid:
    """Lay the formulas out in a form of `show`.

    Raises:
        UnknownName: a column or node that does not exist.
    """
    names = _columns(columns)
    shown = [found[at]] if at else [line for line in found if every or not line.folds]
    cells = tuple(tuple(_cell(line, name, form) for name in names) for line in shown)
    heads = tuple((metric(n).title, n not in TEXTS) for n in names)
    math = tuple(n not in TEXTS and n != "status" for n in names)
    totals = tuple((told, show(found.totals[name], form)) for name, told in TOTALS.items() if name in found.totals)
    symbols = tuple((show(s, form), found.meanings[name]) for name, s in found.symbols.items())
    inputs = ", ".join(f"{name} {_times([show(d, form) for d in dims], form)}" for name, dims in found.inputs.items())
    if form == "latex":
        inputs = ", ".join(f"{n} ${_times([show(d, form) for d in dims], form)}$" for n, dims in found.inputs.items())
    title = f"{found.target}: {inputs}"
    notes = (*(f"assumed: {text}" for text in found.assumptions), *(f"no closed form: {t}" for t in found.unknown))
    return Laid(title, heads, cells, math, totals, symbols, notes)


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


def draw(found: Symbolic, form: str, width: int | None = None, **view: Any) -> str:
    """The table as text, Unicode or plain; columns that do not fit into the width are left out, and said."""
    laid = lay(found, form, **view)
    left: list[str] = []
    if width is not None and view.get("columns") is None:
        names = list(USUAL)
        for name in DROPPED:
            if _width(laid) <= width:
                break
            names.remove(name)
            left.append(metric(name).title)
            laid = lay(found, form, **{**view, "columns": names})
    lines = [laid.title, ""]
    if laid.symbols:
        wide = max(len(name) for name, _ in laid.symbols)
        lines += [f"  {name.ljust(wide)}  {told}" for name, told in laid.symbols] + [""]
    rule = "-" if form == "plain" else "─"
    widths = _widths(laid)
    total = sum(widths) + 2 * (len(widths) - 1)
    total = min(total, width) if width is not None else total
    lines += [_line([t for t, _ in laid.columns], widths, laid), rule * total]
    lines += [_line(cells, widths, laid) for cells in laid.lines]
    lines.append(rule * total)
    label = max(len(name) for name, _ in laid.totals)
    lines += [f"{name.ljust(label)}  {figure}" for name, figure in laid.totals]
    notes = list(laid.notes)
    if left:
        notes.append(f"columns that did not fit: {', '.join(left)} (--columns chooses)")
    if notes:
        lines += ["", *notes]
    if width is not None:  # formulas and sentences go on in the next line; the table is as wide as it must be
        table = len(laid.lines) + 3
        head = len(lines) - len(laid.totals) - len(notes) - bool(notes) - table
        lines = [
            *lines[: head + table],
            *(part for line in lines[head + table :] for part in _folded(line, width, label)),
        ]
    text = "\n".join(lines)
    return text.translate(ASCII) if form == "plain" else text


def _folded(line: str, width: int, label: int) -> list[str]:
    """A line in pieces that fit, broken between words."""
    from textwrap import wrap

    if len(line) <= width or width < 20:
        return [line]
    indent = " " * (label + 2 if not line.startswith(("assumed", "no closed", "columns")) else 2)
    return wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


ASCII = str.maketrans(
    {"×": "x", "–": "-", "≤": "<=", "−": "-", "…": "...", "≥": ">=", "→": "->", "′": "'", "²": "^2", "³": "^3"}
)
ASCII |= str.maketrans({"α": "alpha", "ρ": "rho", "·": " ", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "ⁿ": "^n"})


def _widths(laid: Laid) -> list[int]:
    heads = [title for title, _ in laid.columns]
    return [max(len(head), *(len(cells[i]) for cells in laid.lines)) for i, head in enumerate(heads)]


def _width(laid: Laid) -> int:
    widths = _widths(laid)
    return sum(widths) + 2 * (len(widths) - 1)


def _line(cells: Sequence[str], widths: Sequence[int], laid: Laid) -> str:
    parts = [c.rjust(w) if r else c.ljust(w) for c, w, (_, r) in zip(cells, widths, laid.columns, strict=True)]
    return "  ".join(parts).rstrip()


def markdown(found: Symbolic, **view: Any) -> str:
    """Tables with formulas between dollar signs, which GitHub and notebooks typeset."""
    laid = lay(found, "latex", **view)
    heads = [title for title, _ in laid.columns]
    lines = [f"**{laid.title.replace('|', chr(92) + '|')}**", ""]
    lines += [f"- ${name}$: {told}" for name, told in laid.symbols] + ([""] if laid.symbols else [])
    lines += [
        "| " + " | ".join(heads) + " |",
        "|" + "|".join(" ---: " if r else " --- " for _, r in laid.columns) + "|",
    ]
    for cells in laid.lines:
        texts = [f"${c}$" if m else f"`{c}`" if c else "" for c, m in zip(cells, laid.math, strict=True)]
        lines.append("| " + " | ".join(t.replace("|", "\\|") for t in texts) + " |")
    lines += ["", "| total | |", "| --- | ---: |", *(f"| {name} | ${figure}$ |" for name, figure in laid.totals)]
    if laid.notes:
        lines += ["", *(f"- {note}" for note in laid.notes)]
    return "\n".join(lines)


_TEX = str.maketrans({"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"})
_TEX |= str.maketrans({"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"})
_SIGNS = {"−": "-", "×": r"$\times$", "≥": r"$\ge$", "≤": r"$\le$", "²": "$^2$", "³": "$^3$", "·": r"$\cdot$"}
_SIGNS |= {"⌊": r"$\lfloor$", "⌋": r"$\rfloor$", "⌈": r"$\lceil$", "⌉": r"$\rceil$", "α": r"$\alpha$", "ρ": r"$\rho$"}
_TEX |= str.maketrans(_SIGNS)


def latex(found: Symbolic, **view: Any) -> str:
    """Tables with booktabs; needs amsmath."""
    laid = lay(found, "latex", **view)
    title = laid.title if "$" in laid.title else laid.title.translate(_TEX)
    name, sign, rest = title.partition(": ")
    shape = "".join("r" if r else "l" for _, r in laid.columns)
    lines = [rf"\begin{{longtable}}{{{shape}}}", rf"\caption{{{name.translate(_TEX)}{sign}{rest}}}\\", r"\toprule"]
    lines += [" & ".join(t for t, _ in laid.columns) + r" \\", r"\midrule", r"\endhead"]
    for cells in laid.lines:
        texts = [f"${c}$" if m else c.translate(_TEX) for c, m in zip(cells, laid.math, strict=True)]
        lines.append(" & ".join(texts) + r" \\")
    lines += [r"\bottomrule", r"\end{longtable}", r"\begin{align*}"]
    lines += [rf"\text{{{n}}} &= {figure} \\" for n, figure in laid.totals]
    lines[-1] = lines[-1].removesuffix(r" \\")
    lines += [r"\end{align*}", r"\begin{itemize}"]
    lines += [rf"\item ${n}$: {told.translate(_TEX)}" for n, told in laid.symbols]
    lines += [rf"\item {note.translate(_TEX)}" for note in laid.notes]
    lines.append(r"\end{itemize}")
    return "\n".join(lines)
