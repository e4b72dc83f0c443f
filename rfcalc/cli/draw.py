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
            help="svg, html, terminal, plain, markdown, latex, json; left out: what --output ends in, else terminal.",
        ),
    ] = None,
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """An SVG needs no other package, and is light or dark as its reader's system is. A repetition is drawn once.

    Example: rfcalc draw resnet50 -o resnet50.svg
    """
    from rfcalc.readers.drawing import draw

    if format is None and output is not None and output.suffix.lower() == ".svg":
        format = "svg"  # noqa: A001
    form = format_of(format, output, ("svg",))
    drawing = draw(target, inputs(input), style=chart or style, batch=batch, dtype=dtype)
    if form == "svg":
        write(drawing.svg(), output)
    else:
        emit(drawing.document(), form, output, no_notes)
