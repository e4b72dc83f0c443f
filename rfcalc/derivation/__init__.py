"""Every figure derived as on a blackboard: the formula, each step with its numbers, the result, the source.

`derive(report, node, metric)` gives an `Explanation` (data), `write(explanation, format)` draws it. There is one
mechanism: rules compute with a `Formula` that holds expression, operands and source, and an explanation is that
computation, heard; a new layer kind is explained because it computes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfcalc.derivation.deriving import DIRECTIONS as DIRECTIONS
    from rfcalc.derivation.deriving import derive as derive
    from rfcalc.derivation.model import Equation as Equation
    from rfcalc.derivation.model import Explanation as Explanation
    from rfcalc.derivation.model import Line as Line
    from rfcalc.derivation.model import Section as Section
    from rfcalc.derivation.writing import FORMATS as FORMATS
    from rfcalc.derivation.writing import write as write

_HOMES = {
    "DIRECTIONS": "deriving",
    "derive": "deriving",
    "Equation": "model",
    "Explanation": "model",
    "Line": "model",
    "Section": "model",
    "FORMATS": "writing",
    "write": "writing",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rfcalc.derivation' has no attribute {name!r}")
    return getattr(import_module(f"rfcalc.derivation.{home}"), name)
