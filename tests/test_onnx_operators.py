"""Operators of ONNX with random attributes, beside the reference implementation.

1. Shapes are those that ONNX's own reference gives.
2. A unit depends on a position exactly where the reference's result there changes when the position does.
3. Parameters and multiply-adds are counted by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from onnx_files import Array, File, evaluated, reference, told
from onnx_layouts import MAKERS, drawn

from rfcalc.core.errors import RfcalcError
from rfcalc.readers.onnx import from_onnx
from rfcalc.receptive.region_walk import regions
from rfcalc.report import Report

COUNT = 24  # files of each operator


def influences(f: File, report: Report, pixels: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each pixel, and where the result changes with it, by positions of the output."""
    known = reference(f.model())
    base = np.random.default_rng(0).random(f.given, np.float32) + 0.5
    plain = evaluated(known, base)
    channel, source = report.rows[-1].shape.channel, report.shapes[0].channel
    bump = np.linspace(1, 1.3, f.given[1 + source], dtype=np.float32)
    for pixel in pixels:
        changed = np.zeros(plain.shape, bool)
        for by in (1, 3, 1000, -1000):
            x = base.copy()
            np.moveaxis(x[0], source, 0)[(slice(None), *pixel)] += by * bump
            now = evaluated(known, x)
            changed |= (now != plain) & ~(np.isnan(now) & np.isnan(plain))
        yield pixel, np.moveaxis(changed[0], channel, 0).any(0)


def compared(f: File, other: File | None = None, many: int = 12) -> str:
    """Read a file (or another one), and put it beside the reference; what was compared."""
    expected = f.value()
    read = from_onnx((other or f).model().SerializeToString())
    report = Report(read.network)
    row = report.rows[-1]
    if not read.complete:
        assert row.output_shape == expected.shape[1:], (row.output_shape, expected.shape)
        return "unknown"
    without = row.output_shape[: row.shape.channel] + row.output_shape[row.shape.channel + 1 :]
    if row.output_shape != expected.shape[1:]:  # an axis of channels is added where there is none
        assert (row.shape.dims[row.shape.channel], without) == (1, expected.shape[1:]), row.output_shape
    if f.exact:
        assert report.totals.params == f.params
    assert "conv_transpose" in str(f.nodes) or report.totals.macs >= f.macs
    field = row.receptive_field
    if row.output_shape != expected.shape[1:] or not row.shape.rank or field.status in ("unknown", "needs_input_size"):
        return str(field.status)
    walk = regions(report, row.name)
    units = list(product(*(range(n) for n in row.shape.spatial)))
    told = {unit: set(walk.unit(unit).pixels()) for unit in f.random.sample(units, min(len(units), 40))}
    pixels = list(product(*(range(n) for n in report.shapes[0].spatial)))
    for pixel, changed in influences(f, report, f.random.sample(pixels, min(len(pixels), many))):
        for unit, seen in told.items():
            if field.status == "bounded":
                assert pixel in seen or not changed[unit], (unit, pixel, "is seen")
            else:
                assert (pixel in seen) == bool(changed[unit]), (unit, pixel, bool(changed[unit]), field)
    return str(field.status)


@pytest.mark.parametrize("name", MAKERS)
def test_an_operator_with_random_attributes(name: str) -> None:
    found = [_one(name, seed) for seed in range(COUNT)]
    statuses = {status for status in found if status}
    assert len([s for s in found if s]) > COUNT / 3, "the reference runs few of them"
    assert statuses != {"unknown"} or name in ("not_followed",), "none is understood"


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MAKERS)
def test_an_operator_with_many_random_attributes(name: str) -> None:
    for seed in range(COUNT, 10 * COUNT):
        _one(name, seed)


def _one(name: str, seed: int) -> str:
    """What was compared of one file; nothing where the reference does not run it."""
    f = drawn(name, seed)
    try:
        f.value()
    except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
        return ""
    try:
        return compared(f)
    except (AssertionError, RfcalcError) as error:
        raise AssertionError(f"{name} {seed}, version {f.opset}, {f.given}: {error}\n{told(f)}") from error


@pytest.mark.parametrize(
    "wrong", [{"kernel_shape": [3]}, {"strides": [2]}, {"pads": [1, 0]}, {"auto_pad": "SAME_LOWER"}]
)
def test_control_another_file_is_told_from_this_one(wrong: dict[str, Any]) -> None:
    f, other = (File(Random(0), (1, 2, 8), 13) for _ in range(2))
    right: dict[str, Any] = {"kernel_shape": [2], "strides": [1], "pads": [0, 1]}
    f.add("MaxPool", "x", **right)
    other.add("MaxPool", "x", **(right | wrong if "auto_pad" not in wrong else {"kernel_shape": [2], **wrong}))
    assert compared(f) == "exact"
    with pytest.raises(AssertionError):
        compared(f, other)
