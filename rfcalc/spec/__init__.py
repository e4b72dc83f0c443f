"""Spec files: a network as TOML, or as JSON with the same schema (rfcalc/report/schemas/spec-1.json).

    name = "toy"
    input = "1x9x9"
    layers = "conv3-1/2 p0 > maxpool2"

`load` reads a file, `loads` a text, `write` prints a network. A spec is data: nothing in it is run.
"""

from __future__ import annotations

from rfcalc.spec.read import LoadedSpec, load, loads
from rfcalc.spec.write import write

__all__ = ["LoadedSpec", "load", "loads", "write"]
