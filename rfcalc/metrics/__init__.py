"""The one vocabulary of figures: columns, JSON keys, constraints and explanations use these names.

A metric says how it is read from a row and from the totals, and how it is printed. Imports levels 0 to 6 only.
"""

from __future__ import annotations

from rfcalc.metrics.constraints import Constraint, check, parse, require
from rfcalc.metrics.vocabulary import METRICS, Metric, metric

__all__ = ["METRICS", "Constraint", "Metric", "check", "metric", "parse", "require"]
