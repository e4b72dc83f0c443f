"""`rfcalc lock`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import Format, Inputs, Target, emit, inputs
from rfcalc.core.errors import RfcalcError


def command(
    target: Target,
    input: Inputs = None,  # noqa: A002
    format: Format = None,  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file (*.rfclaims.toml).")] = None,
) -> None:
    """Example: rfcalc lock resnet50 --output resnet50.rfclaims.toml

    A model in code is locked too: rfcalc lock model.py:Net -i 3x224x224 -o model.rfclaims.toml, and checked by
    rfcalc check model.rfclaims.toml --run model.py:Net.
    """
    import tomllib

    from rfcalc.claims.files import SCHEMA
    from rfcalc.claims.lock import lock
    from rfcalc.readers.target import analyze
    from rfcalc.report.document import Document, Listing

    report = analyze(target, inputs(input))
    if len(report.network.inputs) > 1:
        raise RfcalcError("only networks of one input can be locked", why="a claims file says one input shape")
    own = list(report.network.inputs.values())
    shape = str(next(iter(report.inputs.values()))) if input is not None or None in own else None
    written = lock(report, report.target, shape)
    data = {"schema": SCHEMA, **tomllib.loads(written)}
    emit(Document(f"{report.target}, locked", (Listing(written, "toml"),), data=data), format, output)
