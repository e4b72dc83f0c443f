"""`rfcalc lock`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import inputs, write
from rfcalc.cli.complete import networks
from rfcalc.core.errors import RfcalcError

LOCKED = "A network (rfcalc list), notation, a spec file, or a model of yours: model.onnx, model.keras. No code is run."


def command(
    target: Annotated[str, typer.Argument(help=LOCKED, autocompletion=networks)],
    input: Annotated[str | None, typer.Option("--input", "-i", help="Input shape, 3x224x224.")] = None,  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file (*.rfclaims.toml).")] = None,
) -> None:
    """Example: rfcalc lock resnet50 --output resnet50.rfclaims.toml"""
    from rfcalc.claims.lock import lock, no_code
    from rfcalc.readers.target import analyze

    if input is not None and "=" in input:
        raise RfcalcError("only networks of one input can be locked")
    no_code(target)
    report = analyze(target, inputs(None if input is None else [input]))
    own = list(report.network.inputs.values())
    shape = str(next(iter(report.inputs.values()))) if input is not None or None in own else None
    write(lock(report, report.target, shape), output)
