"""`rfcalc rf`."""

from __future__ import annotations

from typing import Annotated

import typer

from rfcalc.cli.common import Format, Inputs, NoNotes, Output, Strict, Target, completion_with, emit, format_of, inputs
from rfcalc.cli.common import strict as check
from rfcalc.core.errors import RfcalcError


def command(
    target: Target,
    node: Annotated[
        str | None, typer.Argument(help="The node, as with --at.", autocompletion=completion_with("nodes"))
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="The node; the output if left out.", autocompletion=completion_with("nodes"))
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="An input or an earlier node; the input if left out.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="One unit by position: Y,X; the middle one if left out.")] = None,
    pixel: Annotated[str | None, typer.Option(help="Which units one input pixel can reach: Y,X.")] = None,
    via: Annotated[str | None, typer.Option(help="Only along the paths through this node.")] = None,
    without: Annotated[str | None, typer.Option(help="Only along the paths around this node.")] = None,
    input: Inputs = None,  # noqa: A002
    effective: Annotated[
        bool, typer.Option("--effective", help="The effective receptive field in closed form too.")
    ] = False,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Without the picture of the region.")] = False,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
    strict: Strict = False,
) -> None:
    """Example: rfcalc rf vgg16 --at pool5 --unit 0,0"""
    from rfcalc.readers.target import receptive_field
    from rfcalc.report.field_document import document

    format_of(format, output)
    found = receptive_field(target, one_node(node, at), source=source, input=inputs(input), via=via, without=without)
    chosen, reached = position("--unit", unit), position("--pixel", pixel)
    emit(document(found, chosen, reached, effective, not no_picture), format, output, no_notes)
    check(found.report, strict)


def one_node(node: str | None, at: str | None) -> str | None:
    """The node that is named, by argument or by option.

    Raises:
        RfcalcError: two different ones are.
    """
    if node is not None and at is not None and node != at:
        raise RfcalcError(f"two nodes are named: {node} and {at}", fix="name one")
    return at if node is None else node


def position(option: str, text: str | None) -> tuple[int, ...] | None:
    """``Y,X`` (or ``YxX``) as numbers.

    Raises:
        RfcalcError: anything else.
    """
    if text is None:
        return None
    try:
        numbers = text.strip().strip("()[]").replace("x", ",").rstrip(",")
        return tuple(int(part) for part in numbers.split(",")) if numbers else ()
    except ValueError:
        raise RfcalcError(f"{option} {text!r} is not a position", fix=f"write numbers from 0: {option} 3,3") from None
