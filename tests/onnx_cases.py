"""Models of the onnx package: its test of every operator, its sample networks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any


@cache
def folder() -> Path:
    import onnx

    return Path(os.path.dirname(onnx.__file__)) / "backend" / "test" / "data"


def networks() -> list[Path]:
    """The real networks, with weights left out."""
    return sorted((folder() / "light").glob("light_*.onnx"))


def stored() -> list[Path]:
    """Models that the package keeps as files: operators as PyTorch exported them, small graphs."""
    return sorted(folder().glob("*/test_*/model.onnx"))


def operators() -> Iterator[tuple[str, Any]]:
    """(name, model) of the package's test of every operator; all inputs but the first as constants of the file.

    The package feeds weights as inputs; in files that people have they are initializers.
    """
    import numpy
    from onnx import numpy_helper
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        model = case.model
        if model is None:
            continue
        told = case.data_sets[0][0] if case.data_sets else []
        arrays = [a if isinstance(a, numpy.ndarray) else None for a in told]
        if len(arrays) == len(model.graph.input):
            chosen = next((i for i, a in enumerate(arrays) if a is not None and a.dtype.kind == "f" and a.ndim > 1), 0)
            for info, array, i in list(zip(model.graph.input, arrays, range(len(arrays)), strict=True)):
                if i != chosen and array is not None and array.dtype.kind in "fiub" and info.name:
                    model.graph.initializer.append(numpy_helper.from_array(array, info.name))
                    model.graph.input.remove(info)
        yield case.name, model
