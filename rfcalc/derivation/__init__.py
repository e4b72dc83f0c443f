"""Every figure derived as on a blackboard: the formula, each step with its numbers, the result, the source.

`derive(report, node, metric)` gives an `Explanation` (data), `document(explanation)` what every format renders. One
mechanism does it: rules compute with a `Formula` that holds expression, operands and source, and an explanation is that
computation, heard; a new layer kind is explained because it computes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfcalc.derivation.blackboard import document as document
    from rfcalc.derivation.deriving import DIRECTIONS as DIRECTIONS
    from rfcalc.derivation.deriving import derive as derive
    from rfcalc.derivation.model import Equation as Equation
    from rfcalc.derivation.model import Explanation as Explanation
    from rfcalc.derivation.model import Section as Section
    from rfcalc.derivation.model import Statement as Statement

_HOMES = {
    "DIRECTIONS": "deriving",
    "derive": "deriving",
    "document": "blackboard",
    "Equation": "model",
    "Explanation": "model",
    "Statement": "model",
    "Section": "model",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rfcalc.derivation' has no attribute {name!r}")
    return getattr(import_module(f"rfcalc.derivation.{home}"), name)
