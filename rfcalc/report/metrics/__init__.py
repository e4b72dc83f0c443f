"""The one vocabulary of figures: columns, JSON keys, constraints and explanations use these names.

A metric says how it is read from a row and from the totals, and how it is printed. Constraints are loaded when they are
asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rfcalc.report.metrics.vocabulary import METRICS, Metric, metric

if TYPE_CHECKING:
    from rfcalc.report.metrics.constraints import Constraint, check, parse, require

__all__ = ["METRICS", "Constraint", "Metric", "check", "metric", "parse", "require"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rfcalc.report.metrics' has no attribute {name!r}")
    return getattr(import_module("rfcalc.report.metrics.constraints"), name)
