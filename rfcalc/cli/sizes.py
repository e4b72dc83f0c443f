"""`rfcalc sizes`."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from rfcalc.cli.common import Format, Inputs, NoNotes, Output, Target, emit, format_of, inputs
from rfcalc.core.errors import RfcalcError

SECONDS = 1.0  # to look for valid sizes where an error is told


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


def advise(error: RfcalcError) -> None:
    """Add the valid sizes, and the nearest ones, to what is told of a size that a network does not take."""
    with suppress(Exception):  # the error itself is what must be told
        if error.advice is not None:
            error.fix = error.advice() or error.fix
        elif sizes := _of_walk(error):
            error.fix = sizes if error.fix is None else f"{sizes}\n{error.fix}"


def _of_walk(error: RfcalcError) -> str | None:
    from rfcalc.plan.nearest import told
    from rfcalc.plan.sizes import Sizes

    network, shapes = error.walk
    asked = shapes[0].spatial
    found = Sizes(network, shapes, asked, seconds=SECONDS)
    near = ["x".join(map(str, n.valid)) for n in found.near if n.valid != tuple(asked)]
    rules = dict.fromkeys(told(axis.valid) for axis in found.axes)
    return f"valid sizes: {'; '.join(rules)}; nearest {' or '.join(near)} (rfcalc sizes shows all)" if near else None
