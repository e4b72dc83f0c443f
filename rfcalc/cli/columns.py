"""`rfcalc columns`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rfcalc.cli.common import Format, Output, emit, format_of
from rfcalc.core import fold
from rfcalc.core.errors import UnknownName
from rfcalc.report.document import Cell, Column, Document, Table, TableLine


def command(
    pattern: Annotated[
        str, typer.Argument(metavar="[WORDS]", help="Only figures with this in a name or meaning.")
    ] = "",
    format: Format = None,  # noqa: A002
    output: Output = None,
) -> None:
    """Example: rfcalc columns"""
    from rfcalc.report.metrics import METRICS, PRESETS

    format_of(format, output)
    known: list[dict[str, Any]] = [
        {
            "name": metric.name,
            "aliases": METRICS.aliases(metric.name),
            "of": "layers" if metric.whole is None else "network" if metric.row is None else "layers and network",
            "meaning": metric.meaning,
        }
        for metric in METRICS.values()
        if any(fold(pattern) in fold(text) for text in (metric.name, *METRICS.aliases(metric.name), metric.meaning))
    ]
    if not known:
        raise UnknownName("metric", pattern, list(METRICS), fix="rfcalc columns without a name shows all")
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
