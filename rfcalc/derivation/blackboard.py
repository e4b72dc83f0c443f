"""An explanation as a document: formulas with their names, and lines ``node  layer  subject = numbers put in = value``.

Each formula stands once, over the lines that use it. Equations are spelled in Unicode, ASCII and LaTeX here, with what
a line takes over from an earlier one, and what it gives, marked; every format chooses.
"""

from __future__ import annotations

import re

from rfcalc.derivation.algebra import ASCII, LATEX, UNICODE, SignStyle, filled, head, marked, named, number, reduced
from rfcalc.derivation.model import DerivationSection, Equation, Explanation, Statement
from rfcalc.report.document import Derivation, DerivationLine, Document, Role, Span

QUIET = ("times", "total", "batch")  # what says itself, and needs no formula over it
_CARRIED, _END = "\ue000", "\ue001"  # around a carried operand, until the equation is cut into parts
_MARKED = re.compile(f"{_CARRIED}(.*?){_END}")


def document(explanation: Explanation) -> Document:
    """The explanation, for every format (JSON: schema rfcalc/explain/1)."""
    return Document(
        explanation.result,
        tuple(map(_section, explanation.sections)),
        (*explanation.conventions, *(f"assumed: {a}" for a in explanation.assumptions)),
        data=explanation.to_dict,
        titled=True,
    )


def _section(section: DerivationSection) -> Derivation:
    lines = tuple(
        DerivationLine(names(line), line.notation, tuple((equation(e),) for e in line.equations), _minus(line.text))
        for line in section.lines
    )
    return Derivation(
        lines, tuple((_formula(e), e.formula.source) for e in formulas(section)), section.heading, section.notes
    )


def formulas(section: DerivationSection) -> list[Equation]:
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


def equation(e: Equation) -> Span:
    """``F = (2 − 1) × 1 + 3 = 4``; where something is rounded, with what is rounded worked out between.

    >>> from rfcalc.core.cost import Formula
    >>> equation(Equation("F", Formula("rf", "(F - 1) * s + k", ""), {"F": 2, "s": 1, "k": 3}, 4, ("F",))).plain
    'F = (2 - 1) x 1 + 3 = 4'
    """
    before = _left(e, UNICODE, marked(e, UNICODE, lambda text: f"{_CARRIED}{text}{_END}"))
    roles: list[tuple[str, Role]] = [
        (part, "carried" if i % 2 else "") for i, part in enumerate(_MARKED.split(f"{before} = ")) if part
    ]
    value = number(e.value, UNICODE)
    parts = (*roles, (value, "result"))
    plain, latex = (f"{_left(e, style, filled(e, style))} = {number(e.value, style)}" for style in (ASCII, LATEX))
    return Span("".join(text for text, _ in parts), "", plain, latex, tuple(parts))


def _left(e: Equation, style: SignStyle, put_in: str) -> str:
    """All of an equation but its value."""
    subject = head(e.subject, style).split("(i)")[0]
    if _MARKED.sub(r"\1", put_in) == number(e.value, style):
        put_in = ""
    return " = ".join(part for part in (subject, put_in, reduced(e, style)) if part)


def _formula(e: Equation) -> Span:
    text, plain, latex = (f"{head(e.subject, style)} = {named(e, style)}" for style in (UNICODE, ASCII, LATEX))
    return Span(text, "", plain, latex)


def names(line: Statement) -> str:
    """How a line names its node or nodes."""
    if len(line.nodes) < 2:
        return line.node
    told = ", ".join(line.nodes)
    return told if len(told) <= 24 else f"{line.nodes[0]} … {line.nodes[-1]}"


def _minus(text: str) -> str:
    """A sentence with a minus sign before negative numbers."""
    return re.sub(r"(?<![\w)])-(?=\d)", "−", text)
