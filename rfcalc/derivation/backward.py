"""How the multiply-adds of backward and of a step of training come about, at one node."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rfcalc.core.cost import Formula
from rfcalc.core.size import is_number
from rfcalc.derivation.model import Equation, Statement
from rfcalc.report import Row

AGAIN = Formula("input_gradient_macs", "macs * r", "each product of forward once for each input that has a gradient")
WEIGHTS = Formula("weight_gradient_macs", "macs * r", "each product of forward once, for the gradient of the weight")
BACKWARD = Formula("backward_macs", "i + w", "the gradients of the inputs, and of the weights")
TRAINING = Formula("training_flops", "2 * (macs + backward)", "forward and backward; a multiply-add is two operations")
NAMES = ("input_gradient_macs", "weight_gradient_macs", "backward_macs", "training_flops")


def line(row: Row, name: str) -> Statement:
    """The figure of one node, as an equation or a reason."""
    value = getattr(row, name)
    given: dict[str, Any]
    if not row.macs:
        return Statement(row.name, row.notation, text="has no multiply-adds")
    if not value:
        maps = "nothing before it is trained, so that none of its inputs has a gradient"
        weights = "it has no weights that are trained"
        told = {"input_gradient_macs": maps, "weight_gradient_macs": weights}.get(name, f"{maps}, and {weights}")
        return Statement(row.name, row.notation, text=told)
    if name == "backward_macs":
        given = {"i": row.input_gradient_macs, "w": row.weight_gradient_macs}
        return Statement(row.name, row.notation, (Equation(name, BACKWARD, given, value),))
    if name == "training_flops":
        given = {"macs": row.macs, "backward": row.backward_macs}
        return Statement(row.name, row.notation, (Equation(name, TRAINING, given, value),))
    if not is_number(value) or not is_number(row.macs):
        return Statement(row.name, row.notation, text=str(value))
    ratio = Fraction(int(value), int(row.macs))
    given = {"macs": row.macs, "r": int(ratio) if ratio.denominator == 1 else ratio}
    return Statement(row.name, row.notation, (Equation(name, AGAIN if name[0] == "i" else WEIGHTS, given, value),))
