"""How a key is derived, line by line: the explanation of the figure, as sentences that every renderer can show.

The seam to `rfcalc.derivation`: everything else asks `derivation`.
"""

from __future__ import annotations

import re

from rfcalc.core.errors import plural
from rfcalc.derivation.blackboard import document
from rfcalc.derivation.deriving import derive
from rfcalc.report import Report
from rfcalc.report.document import Derivation, DerivationLine, words

MOST_LINES = 16
_COMMA = re.compile(r"(?<=\d),(?=\d{3})")


def derivation(report: Report, figure: str, position: int | None = None) -> tuple[str, ...]:
    """The lines that lead to a figure of the node at a position, or of the whole network: the rules, then each step
    with its numbers.

    >>> import rfcalc
    >>> print(*derivation(rfcalc.analyze("conv11-96/4 valid", "3x227x227"), "side", 1), sep="\\n")
    Out = (n − k + 2 × p) / s + 1
    input: the input, 3x227x227
    conv1: Out = (227 − 11 + 2 × 0) / 4 + 1 = 55; 96 channels
    """
    metric = "output_shape" if figure == "side" else figure
    node = None if position is None else report.network.nodes[position - report.network.arity].name
    found = derive(report, node, metric, direction="forward")
    lines: list[str] = []
    for section in document(found).sections:
        assert isinstance(section, Derivation)
        lines += dict.fromkeys(formula.text for formula, _ in section.formulas)
        lines += map(_told, section.lines)
    if figure == "output_shape":
        lines.append(f"{node}: {found.shown}")
    lines = [_COMMA.sub("", line) for line in lines if line]
    if len(lines) > MOST_LINES:
        left_out = f"… ({plural(len(lines) - MOST_LINES + 1, 'line')} more, made in the same way)"
        lines = [*lines[: MOST_LINES - 5], left_out, *lines[-4:]]
    return tuple(lines)


def _told(step: DerivationLine) -> str:
    text = "; ".join(words(part) for part in (*step.equations, step.text) if part)
    return f"{step.name}: {text}" if step.name and text else text
