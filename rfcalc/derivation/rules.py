"""What one node's own rules compute, heard while they do: the layer kind's formulas, with their numbers.

No kind is named here. A rule that computes with a `Formula` explains itself; of one that does not, the number stands
with the kind's own description.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rfcalc.core.cost import OPERATIONS, Cost, Evaluated, Formula, Saved, recording
from rfcalc.core.layer import Layer
from rfcalc.core.shape import Shape
from rfcalc.core.size import decide, is_number
from rfcalc.derivation.model import Equation, Statement
from rfcalc.report import Report, Row

BATCH = Formula("batch", "x * b", "for every item of the batch")
SUBJECTS = {"output_size": "Out", "saved": "v"}


def subject(metric: str) -> str:
    """What stands before the sign of equality."""
    return SUBJECTS.get(metric, metric.replace("_", " "))


def equation(step: Evaluated, carried: tuple[str, ...] = ()) -> Equation:
    """A step that a rule took, as an equation."""
    return Equation(subject(step.formula.metric), step.formula, dict(step.operands), step.value, carried)


def shape_steps(row: Row) -> tuple[Shape, list[Evaluated]]:
    """The node's output shape, and the formulas on the way to it."""
    with recording() as heard:
        made = row.node.layer.output(*row.input_shapes)
    return made, heard


def cost_steps(row: Row) -> tuple[Cost, list[Evaluated]]:
    """The node's cost for one item (as if its weights were its own), and the formulas on the way to it."""
    with recording() as heard:
        made = row.node.layer.cost(row.input_shapes, row.shape)
    return made, heard


def saved_steps(row: Row) -> tuple[Saved, list[Evaluated]]:
    """What autograd keeps of the node, and the formulas on the way to it."""
    with recording() as heard:
        made = row.node.layer.saved(row.input_shapes, row.shape)
    return made, heard


def distinct(steps: Iterable[Evaluated]) -> list[Evaluated]:
    """The steps, each once."""
    found: list[Evaluated] = []
    for step in steps:
        if step not in found:
            found.append(step)
    return found


def of_metric(steps: Sequence[Evaluated], metric: str, value: Any) -> list[Evaluated]:
    """The steps whose last one gives the value of a metric; before it those that give what it uses.

    An operand is an earlier result if it has its metric's name (``w`` for weights) and its value: a convolution's
    multiply-adds are its weights times its output positions.
    """
    for last in reversed(range(len(steps))):
        step = steps[last]
        if step.formula.metric == metric and decide(step.value == value) is True:
            used = [
                s
                for s in steps[:last]
                if s.formula.metric != metric and any(_is_result(n, v, s) for n, v in step.operands.items())
            ]
            return [*distinct(used), step]
    return []


def figure(row: Row, metric: str) -> tuple[Any, tuple[Equation, ...], str]:
    """A parameter count or an operation count of one node: its value, the equations that give it, a sentence."""
    report = row.report
    owner = row.shared_with
    value = getattr(row.cost, metric)
    if owner is not None and metric in ("weights", "biases", "buffers"):
        return value, (), f"shares the weights of {owner}, which counts them"
    made, steps = cost_steps(row)
    own = getattr(made, metric)
    found = of_metric(steps, metric, own)
    equations = [equation(s, _carried(s, found[:-1])) for s in found]
    times = report.batch if metric in OPERATIONS else 1
    if not (is_number(times) and times == 1) and own != 0:
        operands = {"x": own, "b": times}
        equations.append(Equation(subject(metric), BATCH, operands, own * times, ("x",) if found else ()))
        value = own * times
    text = "" if found else "none" if is_number(own) and own == 0 else described(row.node.layer)
    return value, tuple(equations), text


def _carried(step: Evaluated, before: Sequence[Evaluated]) -> tuple[str, ...]:
    return tuple(n for n, v in step.operands.items() if any(_is_result(n, v, s) for s in before))


def _is_result(name: str, value: Any, step: Evaluated) -> bool:
    metric = step.formula.metric
    return name in (metric, {"weights": "w"}.get(metric)) and decide(value == step.value) is True


def described(layer: Layer) -> str:
    """The first sentence of a kind's own description."""
    text = " ".join((type(layer).__doc__ or layer.kind).split("\n\n")[0].split())
    return text.rstrip(".")


def line(row: Row, *equations: Equation, text: str = "") -> Statement:
    """A line about a node."""
    return Statement(row.name, row.notation, equations, text)


def shape_line(row: Row, report: Report) -> Statement:
    """How a node's output shape comes about: its own formulas, and what else changes or stays."""
    made, heard = shape_steps(row)
    steps = [s for s in distinct(heard) if s.formula.metric == "output_size"]
    used = [s for s in distinct(heard) if s.formula.metric != "output_size"]
    told = []
    xs = report.input_shapes(row.position)
    if xs and made == xs[0] and not steps:
        told.append(f"keeps the shape {made}" if len(xs) == 1 else f"the shape of its inputs, {made}")
    elif not steps:
        told.append(described(row.node.layer))
    explained = {s.value for s in steps}
    if steps and len(xs) == 1 and made.channels not in explained:
        same = decide(made.channels == xs[0].channels) is True
        many = "1 channel" if decide(made.channels == 1) is True else f"{made.channels} channels"
        told.append(f"{many}{', as before' if same else ''}")
    return line(row, *(equation(s) for s in (*used, *steps)), text="; ".join(told))
