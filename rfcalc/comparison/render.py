"""Documents of tables in the formats of the table: rich, plain, markdown, latex, html; and CSV from records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

from rfcalc.comparison.ratio import CLOSE, FORM, OPEN
from rfcalc.comparison.tables import Document, Section
from rfcalc.core.errors import UnknownName
from rfcalc.render import FORMATS

TEXT = ("rich", "plain", "markdown", "latex", "html")


def check_format(form: str) -> None:
    """Refuse a format that does not exist, before anything is computed.

    Raises:
        UnknownName: with the nearest names.
    """
    if form not in FORMATS:
        raise UnknownName("format", form, list(FORMATS))


def render(make: Callable[[int | None], Document], form: str, width: int | None = None, color: bool = False) -> str:
    """A document in one of the formats for people; `make` makes it for a width, formulas as the format writes them."""
    way = {"rich": _rich, "plain": _plain, "markdown": _markdown, "latex": _latex, "html": _html}[form]
    token = FORM.set({"plain": "plain", "latex": "latex"}.get(form, "unicode"))
    try:
        return way(make(width if form == "rich" else None), width, color)
    finally:
        FORM.reset(token)


def json(value: dict[str, Any]) -> str:
    """A dictionary as JSON."""
    from json import dumps

    return dumps(value, indent=1, ensure_ascii=False)


def csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Records as CSV (RFC 4180, lines end with a newline alone); None is empty."""
    from csv import writer
    from io import StringIO

    out = StringIO()
    write = writer(out, lineterminator="\n")
    write.writerow(head)
    write.writerows(["" if v is None else v for v in row] for row in rows)
    return out.getvalue().rstrip("\n")


def _rich(found: Document, width: int | None, color: bool) -> str:
    from rfcalc.render.rich import draw, fit

    parts = []
    for i, section in enumerate(found.sections):
        table, _ = fit(section.table, width)
        table = table._replace(notes=tuple(note.replace(" or --columns shows", " shows") for note in table.notes))
        title = f"\x1b[1m{section.title}\x1b[0m\n" if section.title and color else f"{section.title}\n"
        parts.append((title if section.title else "") + draw(table, width, color))
        if i == 0 and found.sentences:
            parts.append("\n".join(_wrapped(found.sentences, width)))
    notes = _wrapped(found.notes, width or 80)
    if color:
        notes = [f"\x1b[2m{note}\x1b[0m" for note in notes]
    return "\n\n".join([*parts, "\n".join(notes)])


def _wrapped(lines: Iterable[str], width: int | None) -> list[str]:
    from textwrap import wrap

    return [part for line in lines for part in (wrap(line, width, break_on_hyphens=False) if width else [line])]


def _plain(found: Document, width: int | None, color: bool) -> str:
    from rfcalc.render.plain import ASCII, draw

    parts = []
    for i, section in enumerate(found.sections):
        parts.append((f"{section.title}\n" if section.title else "") + draw(section.table))
        if i == 0 and found.sentences:
            parts.append("\n".join(found.sentences))
    text = "\n\n".join([*parts, "\n".join(found.notes)])
    return text.translate(ASCII | _SIGNS)


_SIGNS = str.maketrans({"“": '"', "”": '"', "¹": "[1]", "§": "sec. ", "+": "+"})


def _markdown(found: Document, width: int | None, color: bool) -> str:
    from rfcalc.render.markdown import draw, escape

    parts = []
    for i, section in enumerate(found.sections):
        parts += [f"**{escape(section.title)}**"] if section.title else []
        parts.append(draw(section.table))
        if i == 0 and found.sentences:
            parts.append("\n".join(f"- {escape(s)}" for s in found.sentences))
    return "\n\n".join([*parts, "\n".join(f"> {escape(note)}  " for note in found.notes)]).rstrip()


def _html(found: Document, width: int | None, color: bool) -> str:
    from html import escape

    from rfcalc.render.html import grid, page

    body: list[str] = []
    for i, section in enumerate(found.sections):
        body += [f"<h2>{escape(section.title)}</h2>"] if section.title else []
        body += grid(section.table)
        if i == 0 and found.sentences:
            body += ["<ul>", *(f"<li>{escape(s)}</li>" for s in found.sentences), "</ul>"]
    body += ["<ul>", *(f"<li>{escape(note)}</li>" for note in found.notes), "</ul>"]
    return page(found.title, (), body)


def _latex(found: Document, width: int | None, color: bool) -> str:
    module = import_module("rfcalc.render.latex")
    lines = [r"% needs \usepackage{booktabs,longtable}"]
    for section in found.sections:
        title = section.title or found.title
        lines += _latex_table(section, module.escape, title)
    for said in (*found.sentences, *found.notes):
        lines.append("% " + re.sub(f"{OPEN}(.*?){CLOSE}", r"$\1$", said))
    return "\n".join(lines)


def _latex_table(section: Section, escape: Any, title: str) -> list[str]:
    table = section.table
    spec = "".join("r" if right else "l" for _, right in table.columns)

    def row(cells: Iterable[str], bold: bool = False) -> str:
        texts = [_tex(escape, c) for c in cells]
        return " & ".join(rf"\textbf{{{t}}}" if bold and t else t for t in texts).rstrip() + r" \\"

    lines = [rf"\begin{{longtable}}{{{spec}}}", rf"\caption{{{_tex(escape, title)}}}\\", r"\toprule"]
    lines += [row(name for name, _ in table.columns), r"\midrule", r"\endhead"]
    for i, line in enumerate(table.lines):
        if line.heading and i:
            lines.append(r"\addlinespace")
        lines.append(row((c.text for c in line.cells), line.heading))
    return [*lines, r"\bottomrule", r"\end{longtable}"]


def _tex(escape: Callable[[str], str], text: str) -> str:
    """A text as LaTeX: formulas, which are marked, as they are, all else escaped."""
    parts = re.split(f"{OPEN}(.*?){CLOSE}", text)
    return "".join(f"${part}$" if i % 2 else escape(part).translate(_QUOTES) for i, part in enumerate(parts))


_QUOTES = str.maketrans({"“": "``", "”": "''", "§": r"\S{}"})
