"""The one vocabulary of figures: columns, JSON keys, constraints and explanations use these names.

A metric says how it is read from a row and from the totals, and how it is printed.
"""

from __future__ import annotations

from rfcalc.report.metrics.constraints import Constraint, check, parse, require
from rfcalc.report.metrics.vocabulary import METRICS, Metric, metric

__all__ = ["METRICS", "Constraint", "Metric", "check", "metric", "parse", "require"]
