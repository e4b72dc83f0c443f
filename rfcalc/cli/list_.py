"""`rfcalc list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rfcalc.cli.common import Format, Output, emit, format_of
from rfcalc.core import fold
from rfcalc.core.errors import UnknownName
from rfcalc.report.document import Cell, Column, Document, Table, TableLine

if TYPE_CHECKING:
    from rfcalc.zoo import Family


def command(
    pattern: Annotated[
        str,
        typer.Argument(metavar="[WORDS]", help="Only families and networks with this in their name: vgg, resnet50."),
    ] = "",
    format: Format = None,  # noqa: A002
    output: Output = None,
) -> None:
    """Example: rfcalc list"""
    from rfcalc import zoo

    format_of(format, output)
    listed: list[dict[str, str]] = []
    lines: list[TableLine] = []
    for family in zoo.families():
        family = _matching(family, fold(pattern))
        if not family.entries:
            continue
        lines.append(TableLine((Cell(family.name), Cell("")), "group"))
        papers = [entry.citation for entry in family.entries]
        for i, entry in enumerate(family.entries):
            listed.append({"name": entry.name, "title": entry.title, "citation": entry.citation})
            if i == 0 or papers[i - 1] != entry.citation:
                lines.append(TableLine((Cell(""), Cell(entry.citation)), role="soft"))
            lines.append(TableLine((Cell(entry.name), Cell(entry.title))))
    if not listed:
        raise UnknownName("network", pattern, zoo.networks(), fix="rfcalc list without a name shows all")
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


def _matching(family: Family, key: str) -> Family:
    """The family with the networks that are meant: all where its own name is, or those that have the key in theirs."""
    if key in fold(family.name):
        return family
    return family._replace(entries=tuple(entry for entry in family.entries if key in fold(entry.name)))
