"""`rfcalc draw`."""

from __future__ import annotations

from typing import Annotated

import typer

from rfcalc.cli.common import Batch, Dtype, Inputs, NoNotes, Output, Target, emit, format_of, inputs, write


def command(
    target: Target,
    input: Inputs = None,  # noqa: A002
    batch: Batch = 1,
    dtype: Dtype = None,
    style: Annotated[
        str,
        typer.Option(
            help="stages: a ladder, a row a layer; graph: what reads what, from the inputs down.",
            autocompletion=lambda incomplete: [s for s in ("stages", "graph") if s.startswith(incomplete)],
        ),
    ] = "stages",
    chart: Annotated[
        str | None,
        typer.Option(
            help="A chart instead: growth (receptive field over depth), cost (params, memory, macs by stage).",
            autocompletion=lambda incomplete: [c for c in ("growth", "cost") if c.startswith(incomplete)],
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="svg, html, png, pdf, or as text: terminal, json, …; left out: what --output ends in, else terminal.",
        ),
    ] = None,
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """An SVG needs no other package, and is light or dark as its reader's system is. A repetition is drawn once.

    Example: rfcalc draw resnet50 -o resnet50.svg
    """
    from rfcalc.core.errors import RfcalcError
    from rfcalc.drawing.drawing import CONVERTED
    from rfcalc.readers.drawing import draw

    ending = output.suffix.lower()[1:] if output is not None else ""
    if format is None and ending in ("svg", *CONVERTED):
        format = ending  # noqa: A001
    form = format_of(format, output, ("svg", *CONVERTED))
    drawing = draw(target, inputs(input), style=chart or style, batch=batch, dtype=dtype)
    if form == "svg":
        write(drawing.svg(), output)
    elif form in CONVERTED:
        if output is None:
            raise RfcalcError(f"a {form} is no text", fix=f"name a file: -o picture.{form}")
        from rfcalc.core.atomic import draft

        made = drawing.converted(form)
        with draft(output) as file:
            file.write_bytes(made)
    else:
        emit(drawing.document(), form, output, no_notes)
