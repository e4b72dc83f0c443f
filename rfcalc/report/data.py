"""Reports as JSON has them (schema rfcalc/report/1), with the conventions that hold for their figures."""

from __future__ import annotations

from typing import Any

from rfcalc.receptive.receptive_field import plain
from rfcalc.report import Report, Row, Totals

SCHEMA = "rfcalc/report/1"

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


def of_row(row: Row) -> dict[str, Any]:
    """One layer."""
    fields = row.receptive_fields
    return {
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
        "ops": {k: plain(v) for k, v in row.ops.items()},
        "shared_with": row.shared_with,
        "in_place": row.in_place,
        "receptive_field": row.receptive_field.to_dict(),
        **({"receptive_fields": {n: f.to_dict() for n, f in fields.items()}} if len(fields) > 1 else {}),
    }


def of_totals(totals: Totals) -> dict[str, Any]:
    """The sums."""
    names = ("weights", "biases", "buffers", "params", "trainable", "macs", "flops", "ops", "values", "bytes")
    more = ("peak_bytes", "saved_bytes", "weight_layers")
    found: dict[str, Any] = {}
    for name in (*names, *more):
        value = getattr(totals, name)
        found[name] = {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else plain(value)
    return found


def of_report(report: Report) -> dict[str, Any]:
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
        "layers": report.to_dicts(),
        "totals": report.totals.to_dict(),
    }
