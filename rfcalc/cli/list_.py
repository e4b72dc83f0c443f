"""`rfcalc list`."""

from __future__ import annotations

from rfcalc.cli.common import Format, Output, emit, format_of
from rfcalc.report.document import Cell, Column, Document, Table, TableLine


def command(format: Format = None, output: Output = None) -> None:  # noqa: A002
    """Example: rfcalc list"""
    from rfcalc import zoo

    format_of(format, output)
    listed: list[dict[str, str]] = []
    lines: list[TableLine] = []
    for family in zoo.families():
        lines.append(TableLine((Cell(family.name), Cell("")), "group"))
        papers = [entry.citation for entry in family.entries]
        for i, entry in enumerate(family.entries):
            listed.append({"name": entry.name, "title": entry.title, "citation": entry.citation})
            if i == 0 or papers[i - 1] != entry.citation:
                lines.append(TableLine((Cell(""), Cell(entry.citation)), role="soft"))
            lines.append(TableLine((Cell(entry.name), Cell(entry.title))))
    table = Table((Column("network", "name"), Column("what it is", "title", least=24, wraps=True)), tuple(lines))
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
