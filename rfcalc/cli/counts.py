"""`rfcalc counts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import TARGET, inputs, write
from rfcalc.cli.complete import networks
from rfcalc.core.errors import UnknownName


def command(
    target: Annotated[str, typer.Argument(help=TARGET, autocompletion=networks)],
    input: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--input", "-i", help="Input shape, 3x224x224; name=3x224x224 for several.")
    ] = None,
    format: Annotated[str, typer.Option("--format", "-f", help="plain or json.")] = "plain",  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Example: rfcalc counts resnet50"""
    from rfcalc.claims.counting import table, to_dict
    from rfcalc.readers.target import analyze

    if format not in ("plain", "json"):
        raise UnknownName("format", format, ["plain", "json"])
    report = analyze(target, inputs(input))
    if format == "json":
        from json import dumps

        write(dumps(to_dict(report), indent=1, ensure_ascii=False), output)
    else:
        write(table(report), output)
