"""`rfcalc list`."""

from __future__ import annotations

from rfcalc.cli.common import Format, Output, emit, format_of
from rfcalc.report.document import Cell, Column, Document, Table, TableLine


def command(format: Format = None, output: Output = None) -> None:  # noqa: A002
    """Example: rfcalc list"""
    from rfcalc import zoo

    format_of(format, output)
    listed = [{"name": e.name, "title": e.title, "citation": e.citation} for e in zoo.entries()]
    lines: list[TableLine] = []
    cited = ""
    for entry in listed:
        if entry["citation"] != cited:
            cited = entry["citation"]
            lines.append(TableLine((Cell(cited), Cell("")), "group"))
        lines.append(TableLine((Cell(entry["name"]), Cell(entry["title"]))))
    table = Table((Column("network", "name"), Column("what it is", "title", least=24)), tuple(lines))
    emit(
        Document(
            "networks of the literature",
            (table,),
            data={"schema": "rfcalc/list/1", "networks": listed},
            records=(("name", "title", "citation"), [tuple(entry.values()) for entry in listed]),
        ),
        format,
        output,
    )
