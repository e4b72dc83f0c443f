"""Misconceptions about whole networks: totals, peaks, units."""

from __future__ import annotations

from typing import Any

from rfcalc.report import Report
from rfcalc.teaching.misconceptions import misconception
from rfcalc.teaching.misconceptions.counts import (
    batch_forgotten,
    bits_for_bytes,
    bytes_forgotten,
    flops_for_macs,
    statistics_trained,
)

sum_as_peak = misconception(
    "M16",
    "sum-as-peak",
    "sum of activations used as peak memory",
    "Running forward, a map can be freed when its last reader has run: the peak is the largest sum of live maps.",
)


@sum_as_peak.totals("peak_bytes")
def _(report: Report) -> Any:
    return report.totals.bytes


largest_map = misconception(
    "N16",
    "largest-map-as-peak",
    "the largest map used as peak memory",
    "While a layer runs, its input and its output are both in memory, and whatever a later layer still needs.",
)


@largest_map.totals("peak_bytes")
def _(report: Report) -> Any:
    return max(s.values for s in report.shapes) * report.batch * report.itemsize


input_forgotten = misconception(
    "N17",
    "input-forgotten",
    "the input forgotten",
    "The input is in memory too, and is counted by this convention.",
)


@input_forgotten.totals("values")
def _(report: Report) -> Any:
    return report.totals.values - sum(s.values for s in report.inputs.values()) * report.batch


@input_forgotten.totals("bytes")
def _(report: Report) -> Any:
    return report.totals.bytes - sum(s.values for s in report.inputs.values()) * report.batch * report.itemsize


in_place_counted = misconception(
    "N18",
    "in-place-counted",
    "activations in place counted twice",
    "An activation in place writes over its input: it takes no memory of its own.",
)


@in_place_counted.totals("values")
def _(report: Report) -> Any:
    return report.totals.values + _written_in_place(report)


@in_place_counted.totals("bytes")
def _(report: Report) -> Any:
    return (report.totals.values + _written_in_place(report)) * report.itemsize


def _written_in_place(report: Report) -> Any:
    """Values of what writes over its input; a flatten writes nothing."""
    return sum(r.values for r in report if r.in_place)


@bytes_forgotten.totals("bytes")
def _(report: Report) -> Any:
    return report.totals.bytes // report.itemsize


@bytes_forgotten.totals("peak_bytes")
def _(report: Report) -> Any:
    return report.totals.peak_bytes // report.itemsize


@bits_for_bytes.totals("bytes")
def _(report: Report) -> Any:
    return report.totals.bytes * 8


@batch_forgotten.totals("values")
def _(report: Report) -> Any:
    return report.totals.values // report.batch


@batch_forgotten.totals("bytes")
def _(report: Report) -> Any:
    return report.totals.bytes // report.batch


@flops_for_macs.totals("macs")
def _(report: Report) -> Any:
    return report.totals.macs * 2


@flops_for_macs.totals("flops")
def _(report: Report) -> Any:
    return report.totals.macs


@statistics_trained.totals("params")
def _(report: Report) -> Any:
    buffers = sum(r.buffers for r in report)
    return report.totals.params + buffers if buffers else None


last_layer_only = misconception(
    "M9",
    "last-layer-only",
    "only the last layer counted",
    "The total is a sum over all layers.",
)


@last_layer_only.totals("params")
def _(report: Report) -> Any:
    return next((r.params for r in reversed(report.rows) if r.params), None)


@last_layer_only.totals("macs")
def _(report: Report) -> Any:
    return next((r.macs for r in reversed(report.rows) if r.macs), None)


block_halved = misconception(
    "M15",
    "one-convolution-a-block",
    "convolutions in a residual block miscounted",
    "A block holds two convolutions (a basic residual block, or a block of a temporal network), not one.",
)
