"""The papers' notation as text: ``conv3-64 relu x2 > maxpool2``. `parse` reads it; kinds spell themselves."""

from __future__ import annotations

from rfcalc.notation.parse import Reading, parse

__all__ = ["Reading", "parse"]
