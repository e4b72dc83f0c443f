"""LaTeX with the exam class: choices, blanks, tables, and solutions that \\printanswers shows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rfcalc.render.latex import escape as _escape
from rfcalc.teaching.exercises.formats import PaperHeading
from rfcalc.teaching.exercises.formats._text import units
from rfcalc.teaching.exercises.item import AnswerSlot, Blank, Code, ExerciseItem, ExerciseTable, PictureRecipe, Text

_MORE = {
    "⌊": r"$\lfloor$",
    "⌋": r"$\rfloor$",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "≠": r"$\ne$",
    "⇒": r"$\Rightarrow$",
    "½": r"$\frac{1}{2}$",
    "Σ": r"$\Sigma$",
    "∏": r"$\prod$",
    "³": "$^3$",
    "⁴": "$^4$",
    "₁": "$_1$",
    "₂": "$_2$",
    "₃": "$_3$",
    "₄": "$_4$",
    "“": "``",
    "”": "''",
    "’": "'",
    "…": r"\dots{}",
}
WIDEST = 300.0  # points of a picture
_CODE = re.compile(r"`([^`]*)`")
_WIDE = re.compile(r"[^\x00-\x7f]")
_HEAD = r"""\documentclass[addpoints]{exam}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{array}
\usepackage{textcomp}
\usepackage{tikz}
%\printanswers % shows the solutions
\setlength{\tabcolsep}{4pt}
\begin{document}"""


def escape(text: str) -> str:
    r"""The text as LaTeX that prints as it stands; code spans in typewriter; what the fonts lack as its code point.

    >>> escape("50% of `conv1_1`, ⌊x⌋ ☃")
    '50\\% of \\texttt{conv1\\_1}, $\\lfloor$x$\\rfloor$ U+2603'
    """
    return _CODE.sub(lambda m: rf"\texttt{{{m[1]}}}", _letters(text))


def _letters(text: str) -> str:
    found = []
    for char in text:
        made = _MORE.get(char) or _escape(char)
        if _WIDE.search(made):
            made = char if "\u00a1" <= char <= "\u017f" else f"U+{ord(char):04X}"
        found.append(made)
    return "".join(found)


def render(items: Sequence[ExerciseItem], paper: PaperHeading) -> str:
    """The document."""
    found = [_HEAD, rf"\begin{{center}}\Large {escape(paper.heading)}\end{{center}}", r"\begin{questions}"]
    for item in items:
        found += ["", f"% {item.id}, difficulty {item.difficulty}", *_item(item)]
    return "\n".join([*found, "", r"\end{questions}", r"\end{document}"])


def _item(item: ExerciseItem) -> list[str]:
    found = [rf"\question[{len(item.blanks)}] \textbf{{{escape(item.title)}.}}"]
    for block in item.body:
        if isinstance(block, Text):
            found.append(escape(block.text) + "\n")
        elif isinstance(block, Code):
            found += [r"\begin{verbatim}", block.code.replace(r"\end{verbatim}", ""), r"\end{verbatim}"]
        else:
            found += _table(block)
    if item.question.picture is not None:
        found += _picture(item.question.picture)
    found.append(rf"\emph{{{escape(item.question.conventions)}}}" + "\n")
    single = item.single
    if single is not None and single.kind == "choice":
        found.append(r"\begin{choices}")
        found += [rf"\{'CorrectChoice' if o.right else 'choice'} {{{escape(o.text)}}}" for o in single.options]
        found.append(r"\end{choices}")
    elif single is not None:
        found.append(rf"\fillin[{escape(single.key)}]{escape(units(single.unit))}" + "\n")
    return [*found, r"\begin{solution}", *_solution(item), r"\end{solution}"]


def _table(grid: ExerciseTable) -> list[str]:
    wide = next((i for i, h in enumerate(grid.header) if h == "what it is"), None)
    spec = "".join(r"p{5.5cm}" if i == wide else "l" for i in range(len(grid.header)))
    rows = [
        " & ".join(r"\rule{2cm}{0.4pt}" if isinstance(c, AnswerSlot) else escape(c) for c in row) for row in grid.rows
    ]
    heads = " & ".join(rf"\textbf{{{escape(h)}}}" for h in grid.header)
    body = heads + " \\\\ \\hline\n" + " \\\\\n".join(rows)
    return ["", rf"\begin{{tabular}}{{{spec}}}", body + r" \\", r"\end{tabular}", ""]


def _solution(item: ExerciseItem) -> list[str]:
    found = []
    for blank in item.blanks:
        label = "" if item.single else f"{escape(blank.label)}: "
        found.append(rf"{label}\textbf{{{escape(blank.key)}}}{escape(units(blank.unit))}\par")
    if item.single:
        found += [_wrong(item.blanks[0])]
    found += [rf"{escape(line)}\par" for line in item.question.derivation]
    if item.question.solution is not None:
        found += _picture(item.question.solution)
    return [line for line in found if line]


def _picture(figure: PictureRecipe) -> list[str]:
    from rfcalc.render.tikz import UNIT, picture
    from rfcalc.teaching.exercises.pictures import drawn

    made = drawn(figure)
    return ["", r"\noindent{%", *picture(made, escape, min(made.width * UNIT, WIDEST)), "}", ""]


def _wrong(blank: Blank) -> str:
    told = [rf"{escape(o.text)}: {escape(o.feedback)}\par" for o in blank.options if not o.right]
    return "\n".join(told)
