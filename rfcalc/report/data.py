"""Reports as JSON has them (schema rfcalc/report/1), with the conventions that hold for their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from rfcalc.receptive.receptive_field import plain
from rfcalc.report import Report, Row, Totals

if TYPE_CHECKING:
    from rfcalc.report.schemas.report import ReportJson, ReportLayerJson, ReportOpsJson, ReportTotalsJson

SCHEMA: Final = "rfcalc/report/1"

CONVENTIONS = {
    "macs": "multiply-adds of convolutions, linear layers and attention products; one multiply-add is 2 FLOPs",
    "params": "weights + biases; running statistics are buffers; a shared weight counts once",
    "values": "output elements; totals count the input and every output but views and what is written in place "
    "(activations, dropout)",
    "receptive_field": "hull of the input positions that can influence a unit, padding counted; a unit is a position "
    "over all channels",
    "padding": "effective padding on the left: unit 0 begins that far before pixel 0",
    "peak_bytes": "largest sum of live maps while running forward, with the int64 indices that max pooling makes; "
    "weights not counted",
    "saved_bytes": "what PyTorch keeps for the backward pass in training mode on a CPU, weights not counted",
    "units": "K, M, G and MB are decimal (10^3, 10^6, 10^9); MiB is 2^20",
}


def of_row(row: Row) -> ReportLayerJson:
    """One layer."""
    fields = row.receptive_fields
    found: ReportLayerJson = {
        "name": row.name,
        "kind": row.kind,
        "notation": row.notation,
        "stage": row.stage,
        "inputs": list(row.inputs),
        "output_shape": plain(row.output_shape),
        "values": plain(row.values),
        "bytes": plain(row.bytes),
        "weights": plain(row.weights),
        "biases": plain(row.biases),
        "buffers": plain(row.buffers),
        "params": plain(row.params),
        "trainable": plain(row.trainable),
        "macs": plain(row.macs),
        "ops": cast("ReportOpsJson", {k: plain(v) for k, v in row.ops.items()}),
        "shared_with": row.shared_with,
        "in_place": row.in_place,
        "receptive_field": row.receptive_field.to_dict(),
    }
    if len(fields) > 1:
        found["receptive_fields"] = {n: f.to_dict() for n, f in fields.items()}
    return found


def of_totals(totals: Totals) -> ReportTotalsJson:
    """The sums."""
    return {
        "weights": plain(totals.weights),
        "biases": plain(totals.biases),
        "buffers": plain(totals.buffers),
        "params": plain(totals.params),
        "trainable": plain(totals.trainable),
        "macs": plain(totals.macs),
        "flops": plain(totals.flops),
        "ops": cast("ReportOpsJson", {k: plain(v) for k, v in totals.ops.items()}),
        "values": plain(totals.values),
        "bytes": plain(totals.bytes),
        "peak_bytes": plain(totals.peak_bytes),
        "saved_bytes": plain(totals.saved_bytes),
        "weight_layers": plain(totals.weight_layers),
    }


def of_report(report: Report) -> ReportJson:
    """The whole report."""
    return {
        "schema": SCHEMA,
        "network": {
            "name": report.network.name,
            "target": report.target,
            "title": report.network.title,
            "citation": report.network.citation,
            "outputs": list(report.network.outputs),
        },
        "inputs": {name: plain(shape.dims) for name, shape in report.inputs.items()},
        "conventions": report.conventions,
        "assumptions": list(report.assumptions_of_memory),
        "complete": report.complete,
        "layers": [of_row(row) for row in report],
        "totals": of_totals(report.totals),
    }
