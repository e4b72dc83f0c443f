"""`rfcalc stream`."""

from __future__ import annotations

from typing import Annotated

import typer

from rfcalc.cli.common import Dtype, Format, Inputs, NoNotes, Output, Target, emit, format_of, inputs


def command(
    target: Target,
    input: Inputs = None,  # noqa: A002
    axis: Annotated[int, typer.Option(help="The spatial axis of the stream, from 0; -1 is the last.")] = -1,
    rate: Annotated[str | None, typer.Option(help="Input positions a second: 16000, 44.1kHz.")] = None,
    at: Annotated[str | None, typer.Option(help="The node that is the output.")] = None,
    check_overlap: Annotated[
        int | None, typer.Option(help="Whether chunks that share so many input positions give the whole run's output.")
    ] = None,
    dtype: Dtype = None,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """Look-ahead, latency, blocks, caches, delays; what makes a stream impossible, and what would remove it.

    Exit code 1 where no stream exists, or an overlap is not enough.

    Example: rfcalc stream 'conv3-16 p1 > relu > conv3-16/2 p1' --input 1x16000 --rate 16000
    """
    from rfcalc.readers.streaming import stream

    format_of(format, output)
    plan = stream(target, inputs(input), axis, rate=rate, at=at, dtype=dtype)
    overlap = None if check_overlap is None else plan.overlap(check_overlap)
    emit(plan.document(overlap), format, output, no_notes)
    if not plan.possible or (overlap is not None and not overlap.enough):
        raise typer.Exit(1)
