"""`rfcalc equivalents`."""

from __future__ import annotations

from typing import Annotated

import typer

from rfcalc.cli.common import Format, NoNotes, Output, Show, emit, format_of, shown
from rfcalc.cli.compare import numbers_of, one_input


def command(
    target: Annotated[str, typer.Argument(help="A layer or a stack of stride 1: conv7-C, 'conv3-64 x3'.")],
    separable: Annotated[bool, typer.Option("--separable", help="1×k and k×1 kernels too.")] = False,
    dilated: Annotated[bool, typer.Option("--dilated", help="Dilated kernels too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many are listed; all are counted.")] = 10,
    by: Annotated[str, typer.Option(help="What comes first: weights, macs or depth.")] = "weights",
    input: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--input", "-i", help="3x224x224, or with symbols CxHxW.")
    ] = None,
    numbers: Annotated[list[str] | None, typer.Option("--set", help="Numbers for symbols: C=64,H=56,W=56.")] = None,
    show: Show = None,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """Example: rfcalc equivalents conv7-C --separable"""
    from rfcalc.comparison.equivalents import equivalents
    from rfcalc.comparison.spelling import spelled

    format_of(format, output)
    found = equivalents(
        target,
        separable=separable,
        dilated=dilated,
        limit=limit,
        by=by,
        input=one_input(input),
        numbers=numbers_of(numbers),
    )
    emit(
        lambda form, width: spelled(lambda _: found.document(shown(show, found.designs)), form, width),
        format,
        output,
        no_notes,
    )
