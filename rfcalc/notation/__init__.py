"""The papers' notation as text: ``conv3-64 relu x2 > maxpool2``. `parse` reads it, `write` prints any network in it.

The kinds own their words (`Layer.spelling`); the grammar is in `parse`.
"""

from __future__ import annotations

from rfcalc.notation.parse import Reading, parse
from rfcalc.notation.write import write

__all__ = ["Reading", "parse", "write"]
