"""`rfcalc explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import TARGET, inputs, terminal, unicode, write
from rfcalc.cli.complete import dtypes, networks
from rfcalc.core.errors import RfcalcError


def command(
    target: Annotated[str, typer.Argument(help=TARGET, autocompletion=networks)],
    what: Annotated[list[str], typer.Argument(help="NODE METRIC, or METRIC for the whole network: pool5 rf; params.")],
    input: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--input", "-i", help="Input shape, 3x224x224; name=3x224x224 for several.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Items in a batch.")] = 1,
    dtype: Annotated[str, typer.Option(help="Of values: float32, float16, …", autocompletion=dtypes)] = "float32",
    direction: Annotated[
        str, typer.Option(help="Receptive fields: backward (the lesson), forward (jumps), both (and why they agree).")
    ] = "backward",
    source: Annotated[
        str | None, typer.Option("--from", help="Receptive fields: an input or an earlier node; the input if left out.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Receptive fields: what this unit really sees, padding cut away: Y,X.")
    ] = None,
    format: Annotated[str, typer.Option("--format", "-f", help="rich, plain, markdown, latex, json.")] = "rich",  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Example: rfcalc explain vgg16 pool5 receptive-field --direction both"""
    from rfcalc.cli.rf import position
    from rfcalc.derivation import FORMATS, derive
    from rfcalc.derivation import write as written
    from rfcalc.derivation.symbols import analyzed

    if format not in FORMATS:
        from rfcalc.core.errors import UnknownName

        raise UnknownName("format", format, list(FORMATS))
    if len(what) > 2:
        raise RfcalcError(
            f"{' '.join(what)!r} is more than a node and a metric", fix="write: rfcalc explain vgg16 pool5 params"
        )
    report = analyzed(target, inputs(input), batch=batch, dtype=dtype)
    node = what[0] if len(what) == 2 else None
    found = derive(report, node, what[-1], direction=direction, source=source, unit=position("--unit", unit))
    width, color = terminal() if output is None else (None, False)
    if format == "rich" and output is None and not unicode():
        format = "plain"  # noqa: A001
    write(written(found, format, width, color), output)
