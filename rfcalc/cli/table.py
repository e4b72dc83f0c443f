"""`rfcalc table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import CODE, MODELS, STRICT, inputs, terminal, unicode, write
from rfcalc.cli.common import strict as check
from rfcalc.cli.complete import columns_of, dtypes, forms, networks, styles
from rfcalc.core.errors import RfcalcError


def command(
    target: Annotated[
        str,
        typer.Argument(
            help=f"A network (rfcalc list), notation: 'conv3-64 relu x2 > maxpool2', {MODELS}. {CODE}",
            autocompletion=networks,
        ),
    ],
    input: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--input", "-i", help="Input shape, 3x224x224; name=3x224x224 for several.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Items in a batch.")] = 1,
    dtype: Annotated[
        str, typer.Option(help="Of values: float32, float16, bfloat16, float64, int8, …", autocompletion=dtypes)
    ] = "float32",
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", "-c", help="Metrics by name, in order: name,rf,stride,params.", autocompletion=columns_of
        ),
    ] = None,
    counts: Annotated[
        str | None, typer.Option("--counts", help="A column with what a counting tool would count: thop, fvcore, …")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Only this node (a stage or block means its last).")] = None,
    all: Annotated[bool, typer.Option("--all", help="Activations, normalisation and dropout as rows.")] = False,  # noqa: A002
    fold: Annotated[
        bool | None, typer.Option("--fold/--no-fold", help="Repeated layers as one row (by itself in long tables).")
    ] = None,
    format: Annotated[  # noqa: A002
        str, typer.Option("--format", "-f", help="rich, plain, json, csv, markdown, latex, html.", autocompletion=forms)
    ] = "rich",
    style: Annotated[
        str, typer.Option(help="table, cs231n (the lecture's listing), summary (as in PyTorch).", autocompletion=styles)
    ] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help=STRICT)] = False,
) -> None:
    """Example: rfcalc table vgg16 --input 3x384x384 --columns name,output,rf,padding,params"""
    from rfcalc.readers.target import analyze
    from rfcalc.render import View, render

    report = analyze(target, inputs(input), batch=batch, dtype=dtype)
    width, color = terminal() if output is None else (None, False)
    chosen = None
    if columns is not None:
        chosen = tuple(c.strip() for c in columns.split(",") if c.strip())
        if not chosen:
            raise RfcalcError("there are no columns", fix="name at least one: --columns name,params")
    if counts is not None:
        from rfcalc.claims.counting import metric_of

        chosen = (*(chosen or ("name", "output", "params", "macs")), metric_of(counts))
    if format == "rich" and output is None and not unicode():
        format = "plain"  # noqa: A001
    write(render(report, format, View(chosen, all, fold, width, color, at), style), output)
    check(report, strict)
