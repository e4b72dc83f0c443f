"""`rfcalc sizes`."""

from __future__ import annotations

from typing import Annotated

import typer

from rfcalc.cli.common import Format, Inputs, NoNotes, Output, Target, emit, format_of, inputs


def command(
    target: Target,
    near: Annotated[
        str | None, typer.Option(help="Sizes to which the nearest valid ones are looked for: 350x525.")
    ] = None,
    input: Inputs = None,  # noqa: A002
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """Must it be divisible by 32? Exact rules for each axis, the node that refuses other sizes, padding and cropping
    to the nearest valid size, pixels that reach no output.

    Example: rfcalc sizes unet --near 350x525
    """
    from rfcalc.readers.planning import sizes

    format_of(format, output)
    emit(sizes(target, inputs(input), near=near).document(), format, output, no_notes)
