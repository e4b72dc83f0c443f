"""The symbolic view: the same rules, walked with symbols. sympy is loaded nowhere else, and only where it is needed."""

from __future__ import annotations

from rfcalc.formulas.polynomials import analysis as analysis  # the core's minima and maxima of formulas
