"""`rfcalc rf`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import STRICT, TARGET, inputs, unicode, write
from rfcalc.cli.common import strict as check
from rfcalc.core.errors import RfcalcError, UnknownName


def command(
    target: Annotated[str, typer.Argument(help=TARGET)],
    at: Annotated[str | None, typer.Option(help="The node; the output if left out.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="An input or an earlier node; the input if left out.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="One unit by position: Y,X; the middle one if left out.")] = None,
    pixel: Annotated[str | None, typer.Option(help="Which units one input pixel can reach: Y,X.")] = None,
    input: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--input", "-i", help="Input shape, 3x224x224; name=3x224x224 for several.")
    ] = None,
    effective: Annotated[
        bool, typer.Option("--effective", help="The effective receptive field in closed form too.")
    ] = False,
    format: Annotated[str, typer.Option("--format", "-f", help="rich, plain or json.")] = "rich",  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help=STRICT)] = False,
) -> None:
    """Example: rfcalc rf vgg16 --at pool5 --unit 0,0"""
    from rfcalc.readers.target import receptive_field
    from rfcalc.render import field as views

    if format not in ("rich", "plain", "json"):
        raise UnknownName("format", format, ["rich", "plain", "json"])
    found = receptive_field(target, at, source=source, input=inputs(input))
    chosen = position("--unit", unit)
    reached = position("--pixel", pixel)
    if format == "json":
        write(views.json(found, chosen), output)
        check(found.report, strict)
        return
    plain = format == "plain" or (output is None and not unicode())
    write(views.text(found, chosen, reached, effective, plain), output)
    check(found.report, strict)


def position(option: str, text: str | None) -> tuple[int, ...] | None:
    """``Y,X`` (or ``YxX``) as numbers.

    Raises:
        RfcalcError: anything else.
    """
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(",")) if text.strip() else ()
    except ValueError:
        raise RfcalcError(f"{option} {text!r} is not a position", fix=f"write numbers from 0: {option} 3,3") from None
