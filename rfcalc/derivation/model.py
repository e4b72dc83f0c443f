"""An explanation as data: sections of lines, each with the formulas that it evaluates. Renderers only draw it.

1. An `Equation` is one evaluated rule: calling its formula with its operands gives its value, always.
2. `carried` names the operands that an earlier line gave: what changes from line to line.
3. Nothing here is text for one output: numbers stay numbers, formulas stay formulas.

Imports `formula`, `receptive` (for values as JSON has them) only.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rfcalc.core.cost import Formula
from rfcalc.core.displayed import displayed
from rfcalc.receptive.receptive_field import plain

if TYPE_CHECKING:
    from rfcalc.report.document import Document
    from rfcalc.report.schemas.explain import ExplainEquationJson, ExplainJson, ExplainStepJson

SCHEMA: Final = "rfcalc/explain/1"


class Equation(NamedTuple):
    """One rule with its numbers: ``subject = formula(operands) = value``.

    >>> from rfcalc.core.cost import Formula
    >>> step = Equation("F", Formula("receptive_field", "(F - 1) * s + k", ""), {"F": 2, "s": 1, "k": 3}, 4, ("F",))
    >>> step.formula(**step.operands) == step.value
    True
    """

    subject: str
    formula: Formula
    operands: Mapping[str, Any]
    value: Any
    carried: tuple[str, ...] = ()


class Statement(NamedTuple):
    """One line of the blackboard: the node it is about (as the papers write it), equations, a sentence.

    `times`: how many nodes the line stands for; `nodes` are all of them where there are more than one.
    """

    node: str = ""
    notation: str = ""
    equations: tuple[Equation, ...] = ()
    text: str = ""
    nodes: tuple[str, ...] = ()

    @property
    def times(self) -> int:
        return max(1, len(self.nodes))


class DerivationSection(NamedTuple):
    """A heading, and the lines under it."""

    heading: str
    lines: tuple[Statement, ...]
    notes: tuple[str, ...] = ()


class Explanation(NamedTuple):
    """How one figure of a network comes about.

    `node` is empty for a figure of the whole network; `source` is where receptive fields are counted from (else empty).
    `value` is the figure (a number, or an entry an axis), `shown` how it is printed, `result` the answer in a sentence.
    """

    network: str
    target: str
    metric: str
    meaning: str
    node: str
    source: str
    value: Any
    shown: str
    result: str
    sections: tuple[DerivationSection, ...]
    conventions: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Explanation({self.result})"

    def document(self) -> Document:
        """The derivation as a document that every format renders."""
        made: Document = import_module("rfcalc.derivation.blackboard").document(self)
        return made

    def _repr_html_(self) -> str:
        return displayed(self)

    @property
    def equations(self) -> tuple[Equation, ...]:
        """All equations, in order."""
        return tuple(e for section in self.sections for line in section.lines for e in line.equations)

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the rules come from, each once."""
        return tuple(dict.fromkeys(e.formula.source for e in self.equations if e.formula.source))

    def to_dict(self) -> ExplainJson:
        """The explanation as JSON has it (schema rfcalc/explain/1)."""
        return {
            "schema": SCHEMA,
            "network": {"name": self.network, "target": self.target},
            "metric": self.metric,
            "meaning": self.meaning,
            "node": self.node or None,
            "from": self.source or None,
            "value": plain(self.value),
            "result": self.result,
            "sections": [
                {"heading": s.heading, "steps": [_line(line) for line in s.lines], "notes": list(s.notes)}
                for s in self.sections
            ],
            "sources": list(self.sources),
            "conventions": list(self.conventions),
            "assumptions": list(self.assumptions),
        }


def _line(line: Statement) -> ExplainStepJson:
    found: ExplainStepJson = {
        "node": line.node or None,
        "notation": line.notation or None,
        "text": line.text or None,
        "equations": [_equation(e) for e in line.equations],
    }
    if line.times > 1:
        found["nodes"] = list(line.nodes)
    return found


def _whole(value: Any) -> Any:
    """An operand as JSON has it; a fraction that is whole (it stands before a division) as a whole number."""
    return plain(value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value)


def _equation(equation: Equation) -> ExplainEquationJson:
    from rfcalc.derivation.algebra import UNICODE, filled, named

    return {
        "subject": equation.subject,
        "formula": named(equation, UNICODE),
        "expression": equation.formula.expression,
        "operands": {name: _whole(value) for name, value in equation.operands.items()},
        "filled": filled(equation, UNICODE),
        "value": plain(equation.value),
        "carried": list(equation.carried),
        "source": equation.formula.source,
    }
