"""Every figure derived as on a blackboard: the formula, each step with its numbers, the result, the source.

`derive(report, node, metric)` gives an `Explanation` (data), `write(explanation, format)` draws it. There is one
mechanism: rules compute with a `Formula` that holds expression, operands and source, and an explanation is that
computation, heard; a new layer kind is explained because it computes. Imports levels 0 to 9 only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfcalc.explain.deriving import DIRECTIONS as DIRECTIONS
    from rfcalc.explain.deriving import derive as derive
    from rfcalc.explain.model import Equation as Equation
    from rfcalc.explain.model import Explanation as Explanation
    from rfcalc.explain.model import Line as Line
    from rfcalc.explain.model import Section as Section
    from rfcalc.explain.writing import FORMATS as FORMATS
    from rfcalc.explain.writing import write as write

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
        raise AttributeError(f"module 'rfcalc.explain' has no attribute {name!r}")
    return getattr(import_module(f"rfcalc.explain.{home}"), name)
