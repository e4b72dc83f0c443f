"""`rfcalc grid`."""

from __future__ import annotations

from typing import Annotated

import typer

from rfcalc.cli.common import Format, Inputs, NoNotes, Output, Target, emit, format_of, inputs


def command(
    target: Target,
    nodes: Annotated[list[str] | None, typer.Argument(help="Nodes; the outputs if left out.")] = None,
    check: Annotated[
        str | None,
        typer.Option(help='Exit with 1 unless this holds: "stride=16 offset=7.5" (offset_half, size=50x82).'),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="In which input; in each one that a node depends on if left out.")
    ] = None,
    input: Inputs = None,  # noqa: A002
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> int:
    """The map between features and pixels: strides and offsets that detection and matching code writes down by hand,
    anchor centres, levels of a pyramid that are out of step.

    Example: rfcalc grid fpn-resnet50 P3 P4 P5
    """
    from rfcalc.readers.planning import grid

    format_of(format, output)
    found = grid(target, *(nodes or ()), input=inputs(input), source=source)
    failed = found.failures(check) if check is not None else []
    emit(found.document(check), format, output, no_notes)
    return 1 if failed else 0
