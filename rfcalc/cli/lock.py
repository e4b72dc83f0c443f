"""`rfcalc lock`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import TARGET, inputs, write
from rfcalc.cli.complete import networks
from rfcalc.core.errors import RfcalcError


def command(
    target: Annotated[str, typer.Argument(help=TARGET, autocompletion=networks)],
    input: Annotated[str | None, typer.Option("--input", "-i", help="Input shape, 3x224x224.")] = None,  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file (*.rfclaims.toml).")] = None,
) -> None:
    """Example: rfcalc lock resnet50 --output resnet50.rfclaims.toml

    A model in code is locked too: rfcalc lock model.py:Net -i 3x224x224 -o model.rfclaims.toml, and checked by
    rfcalc check model.rfclaims.toml --run model.py:Net.
    """
    from rfcalc.claims.lock import lock
    from rfcalc.readers.target import analyze

    if input is not None and "=" in input:
        raise RfcalcError("only networks of one input can be locked")
    report = analyze(target, inputs(None if input is None else [input]))
    own = list(report.network.inputs.values())
    shape = str(next(iter(report.inputs.values()))) if input is not None or None in own else None
    write(lock(report, report.target, shape), output)
