"""`rfcalc list`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import write
from rfcalc.core.errors import UnknownName


def command(
    format: Annotated[str, typer.Option("--format", "-f", help="plain or json.")] = "plain",  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Example: rfcalc list"""
    from rfcalc import zoo

    found = list(zoo.entries())
    if format == "json":
        from json import dumps

        listed = [{"name": e.name, "title": e.title, "citation": e.citation} for e in found]
        write(dumps({"schema": "rfcalc/list/1", "networks": listed}, indent=1, ensure_ascii=False), output)
        return
    if format not in ("plain", "rich"):
        raise UnknownName("format", format, ["plain", "json"])
    width = max(len(e.name) for e in found)
    lines: list[str] = []
    cited = ""
    for entry in found:
        if entry.citation != cited:
            cited = entry.citation
            lines += ["", cited] if lines else [cited]
        lines.append(f"  {entry.name.ljust(width)}  {entry.title}")
    write("\n".join(lines), output)
