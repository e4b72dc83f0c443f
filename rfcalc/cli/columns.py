"""`rfcalc columns`."""

from __future__ import annotations

from typing import Any

from rfcalc.cli.common import Format, Output, emit, format_of
from rfcalc.report.document import Cell, Column, Document, Table, TableLine


def command(format: Format = None, output: Output = None) -> None:  # noqa: A002
    """Example: rfcalc columns"""
    from rfcalc.report.metrics import METRICS
    from rfcalc.report.table import PRESETS

    format_of(format, output)
    known: list[dict[str, Any]] = [
        {
            "name": metric.name,
            "aliases": METRICS.aliases(metric.name),
            "of": "layers" if metric.whole is None else "network" if metric.row is None else "layers and network",
            "meaning": metric.meaning,
        }
        for metric in METRICS.values()
    ]
    lines = tuple(
        TableLine((Cell(m["name"]), Cell(", ".join(m["aliases"])), Cell(m["of"]), Cell(m["meaning"]))) for m in known
    )
    columns = (
        Column("metric", "name"),
        Column("aliases", least=12, wraps=True),
        Column("of", spare=1),
        Column("meaning", least=24, wraps=True),
    )
    presets = (f"--columns {name}: {', '.join(found)}" for name, found in PRESETS.items())
    notes = (*presets, "for --columns, --sort, explain, compare --what, check, grade; dash and underscore are the same")
    data = {
        "schema": "rfcalc/columns/1",
        "metrics": known,
        "presets": {name: list(found) for name, found in PRESETS.items()},
    }
    emit(Document("figures by name", (Table(columns, lines),), notes, data), format, output)
