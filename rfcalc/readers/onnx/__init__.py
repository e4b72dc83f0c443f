"""ONNX files, read without the onnx package and without their weights.

`from_onnx` reads a file into an `Imported`: the network, notes, and the operators that were not understood. Files are
data: nothing in them is run.
"""

from __future__ import annotations

from rfcalc.readers.onnx.loading import from_onnx, load

__all__ = ["from_onnx", "load"]
