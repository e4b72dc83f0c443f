"""Explanations as text: one function a format. The terminal's colours are put on in `terminal`, with rich.

A line of the blackboard is ``node  layer  subject = numbers put in = value``; the formulas with their names stand over
the lines that use them, each once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from textwrap import wrap

from rfcalc.core.errors import UnknownName
from rfcalc.derivation.algebra import ASCII, LATEX, UNICODE, Style, filled, head, marked, named, number, reduced
from rfcalc.derivation.model import Equation, Explanation, Line, Section

FORMATS = ("rich", "plain", "markdown", "latex", "json")
PAGE = 120  # sentences are wrapped at this in a pipe
QUIET = ("times", "total", "batch")  # what says itself, and needs no formula over it

# Marks that the terminal turns into colour: an operand that an earlier line gave, and a line's result
CARRIED, RESULT, END = "\ue000", "\ue001", "\ue002"
_UNMARK = dict.fromkeys(map(ord, (CARRIED, RESULT, END)))
TO_ASCII = str.maketrans(
    {
        "×": "x",
        "–": "-",
        "−": "-",
        "…": "...",
        "≥": ">=",
        "≤": "<=",
        "→": "->",
        "·": "*",
        "½": "1/2",
        "Σ": "sum ",
        "∏": "prod ",
        "⌊": "floor(",
        "⌋": ")",
        "⌈": "ceil(",
        "⌉": ")",
        "²": "^2",
        "³": "^3",
        "γ": "gamma",
        "β": "beta",
    }
)


def write(explanation: Explanation, form: str = "rich", width: int | None = None, color: bool = False) -> str:
    """The explanation in a format.

    Args:
        form: ``rich`` (Unicode; with colour if `color`), ``plain`` (ASCII), ``markdown``, ``latex``, ``json``.
        width: of the terminal; None where lines may be as long as they need.

    Raises:
        UnknownName: there is no such format.
    """
    if form not in FORMATS:
        raise UnknownName("format", form, list(FORMATS))
    return _WAYS[form](explanation, width, color)


def _rich(explanation: Explanation, width: int | None, color: bool) -> str:
    text = "\n".join(_text(explanation, UNICODE, width))
    if not color:
        return text.translate(_UNMARK)
    from rfcalc.derivation.terminal import colored

    return colored(text)


def _plain(explanation: Explanation, width: int | None, color: bool) -> str:
    return "\n".join(_text(explanation, ASCII, width)).translate(_UNMARK).translate(TO_ASCII)


def _json(explanation: Explanation, width: int | None, color: bool) -> str:
    from json import dumps

    return dumps(explanation.to_dict(), indent=1, ensure_ascii=False)


def formulas(section: Section) -> list[Equation]:
    """An equation for each formula of a section, in order; where one rounds, one that does."""
    found: dict[tuple[str, str], Equation] = {}
    for line in section.lines:
        for e in line.equations:
            key = (e.subject, e.formula.expression)
            if e.formula.metric not in QUIET and (
                key not in found or (reduced(e, UNICODE) and not reduced(found[key], UNICODE))
            ):
                found[key] = e
    return list(found.values())


def equation(e: Equation, style: Style, marks: bool = True, subject: bool = True) -> str:
    """``F = (2 − 1) × 1 + 3 = 4``; where something is rounded, with what is rounded worked out between."""
    put_in = marked(e, style, lambda t: f"{CARRIED}{t}{END}") if marks else filled(e, style)
    value = number(e.value, style)
    parts = [head(e.subject, style).split("(i)")[0] if subject else "", put_in, reduced(e, style)]
    if put_in.translate(_UNMARK) == value:
        parts[1] = ""
    parts.append(f"{RESULT}{value}{END}" if marks else value)
    return " = ".join(p for p in parts if p)


def names(line: Line) -> str:
    """How a line names its node or nodes."""
    if len(line.nodes) < 2:
        return line.node
    told = ", ".join(line.nodes)
    return told if len(told) <= 24 else f"{line.nodes[0]} … {line.nodes[-1]}"


def _minus(text: str, style: Style) -> str:
    """A sentence with the style's own sign before negative numbers."""
    return re.sub(r"(?<![\w)])-(?=\d)", style.minus, text)


def _length(text: str) -> int:
    return len(text.translate(_UNMARK))


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _length(text))


def _text(explanation: Explanation, style: Style, width: int | None) -> Iterator[str]:
    yield from _wrapped(f"{explanation.result}", width)
    for section in explanation.sections:
        yield ""
        if section.heading:
            yield from _wrapped(section.heading + ":", width)
        heads = formulas(section)
        lefts = [f"{head(e.subject, style)} = {named(e, style)}" for e in heads]
        room = max(map(len, lefts), default=0)
        for e, left in zip(heads, lefts, strict=True):
            told = f"  {left.ljust(room)}   {e.formula.source}".rstrip()
            if len(told) <= (width or PAGE):
                yield told
            else:
                yield f"  {left}"
                yield from _wrapped(e.formula.source, width, "      ")
        if heads and any(line.node or line.equations for line in section.lines):
            yield ""
        yield from _lines(section.lines, style, width)
        for note in section.notes:
            yield from _wrapped(note, width, "  ")
    if explanation.conventions or explanation.assumptions:
        yield ""
    for told in explanation.conventions:
        yield from _wrapped(told, width)
    for told in explanation.assumptions:
        yield from _wrapped(f"assumed: {told}", width)


def _wrapped(text: str, width: int | None, indent: str = "") -> list[str]:
    room = max(width or PAGE, 20)
    return wrap(text, room, initial_indent=indent, subsequent_indent=indent + "  ") or [indent]


def _lines(lines: tuple[Line, ...], style: Style, width: int | None) -> Iterator[str]:
    """The lines in columns: node, layer, equations; stacked where the terminal is too narrow."""
    node = max((_length(names(line)) for line in lines), default=0)
    notation = max((len(line.notation) for line in lines), default=0)
    columns = _columns(lines, style)
    for line in lines:
        named = f"{names(line).ljust(node)}  {line.notation.ljust(notation)}" if node else ""
        before = f"  {named}  " if named.strip() else "  "
        alone = [equation(e, style) for e in line.equations]
        texts = alone
        if columns and len(alone) > 1:
            texts = ["   ".join(_pad(t, w) for t, w in zip(alone, columns, strict=True)).rstrip()]
        if line.text:
            said = _minus(line.text, style)
            beside = bool(texts) and len(before) + _length(texts[0]) + 3 + len(said) <= (width or PAGE)
            texts = [f"{texts[0]}   {said}", *texts[1:]] if beside else [*texts, said]
            alone = [*alone, said]
        if len(texts) == 1 and not line.equations and not named.strip():
            yield from _wrapped(texts[0], width, before)
            continue
        if width is None or all(len(before) + _length(t) <= width for t in texts):
            for i, t in enumerate(texts or [""]):
                yield (before + t if i == 0 else " " * len(before) + t).rstrip()
            continue
        if named.strip():
            yield f"  {names(line)}  {line.notation}".rstrip()
        for t in alone:
            yield from ([f"      {t}"] if _length(t) + 6 <= width else _wrapped(t, width, "      "))


def _columns(lines: tuple[Line, ...], style: Style) -> list[int]:
    """Column widths, where all lines evaluate the same two or three things."""
    with_some = [line for line in lines if len(line.equations) > 1]
    subjects = {tuple(e.subject for e in line.equations) for line in with_some}
    if len(subjects) != 1 or not 2 <= len(next(iter(subjects))) <= 3:
        return []
    texts = [[_length(equation(e, style)) for e in line.equations] for line in with_some]
    widths = [max(column) for column in zip(*texts, strict=True)]
    return widths if sum(widths) < 100 else []


def _markdown(explanation: Explanation, width: int | None, color: bool) -> str:
    from rfcalc.render.markdown import escape

    found = [f"### {escape(explanation.result)}"]
    for section in explanation.sections:
        if section.heading:
            found += ["", f"**{escape(section.heading)}**"]
        heads = formulas(section)
        if heads:
            found.append("")
        found += [
            f"- `{head(e.subject, UNICODE)} = {named(e, UNICODE)}`"
            + (f": {escape(e.formula.source)}" if e.formula.source else "")
            for e in heads
        ]
        found += ["", *_table(section.lines, escape)] if section.lines else []
        found += ["", *(f"> {escape(note)}" for note in section.notes)] if section.notes else []
    said = [*explanation.conventions, *(f"assumed: {a}" for a in explanation.assumptions)]
    found += ["", *(f"- {escape(told)}" for told in said)] if said else []
    return "\n".join(found)


def _table(lines: tuple[Line, ...], escape: Callable[[str], str]) -> list[str]:
    if not any(line.node or line.notation for line in lines):
        return [f"- {_steps(line, escape)}" for line in lines]
    found = ["| node | layer | step |", "|---|---|---|"]
    found += [f"| {escape(names(line))} | {escape(line.notation)} | {_steps(line, escape)} |" for line in lines]
    return found


def _steps(line: Line, escape: Callable[[str], str]) -> str:
    told = []
    for e in line.equations:
        before, _, result = equation(e, UNICODE, marks=False).rpartition(" = ")
        told.append(f"{escape(before)} = **{escape(result)}**")
    return "; ".join([*told, *([escape(_minus(line.text, UNICODE))] if line.text else [])])


def _latex(explanation: Explanation, width: int | None, color: bool) -> str:
    from rfcalc.render.latex import escape

    found = [r"% needs \usepackage{amsmath}", rf"\paragraph{{{escape(explanation.result)}}}"]
    for section in explanation.sections:
        if section.heading:
            found += ["", rf"\textit{{{escape(section.heading)}}}"]
        for e in formulas(section):
            told = f" {escape(e.formula.source)}" if e.formula.source else ""
            found += [r"\begin{equation*}", rf"{head(e.subject, LATEX)} = {named(e, LATEX)}", r"\end{equation*}"]
            found += [rf"{{\small{told}}}"] if told else []
        if section.lines:
            found.append(r"\begin{itemize}")
            for line in section.lines:
                named_ = rf"\texttt{{{escape(names(line))}}} " if line.node else ""
                layer = f"({escape(line.notation)}) " if line.notation else ""
                steps = [f"${equation(e, LATEX, marks=False)}$" for e in line.equations]
                found.append(
                    rf"\item {named_}{layer}" + "; ".join([*steps, *([escape(line.text)] if line.text else [])])
                )
            found.append(r"\end{itemize}")
        found += [escape(note) + r"\\" for note in section.notes]
    said = [*explanation.conventions, *(f"assumed: {a}" for a in explanation.assumptions)]
    found += [f"% {told}" for told in said]
    return "\n".join(found)


_WAYS: dict[str, Callable[[Explanation, int | None, bool], str]] = {
    "rich": _rich,
    "plain": _plain,
    "markdown": _markdown,
    "latex": _latex,
    "json": _json,
}
