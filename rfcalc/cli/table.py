"""`rfcalc table`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from rfcalc.cli.common import (
    At,
    Batch,
    Dtype,
    Format,
    Inputs,
    NoNotes,
    Output,
    Strict,
    Target,
    columns_of,
    completion,
    emit,
    format_of,
    inputs,
)
from rfcalc.cli.common import strict as check
from rfcalc.core.errors import RfcalcError


def command(
    target: Target,
    input: Inputs = None,  # noqa: A002
    batch: Batch = 1,
    dtype: Dtype = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            "-c",
            help="Metrics by name, in order: name,rf,params; or a preset: paper, fields, costs, training.",
            autocompletion=completion("columns_of"),
        ),
    ] = None,
    counts: Annotated[
        str | None, typer.Option("--counts", help="A column with what a counting tool would count: thop, fvcore, …")
    ] = None,
    at: At = None,
    all: Annotated[bool, typer.Option("--all", help="Activations, normalisation and dropout as rows.")] = False,  # noqa: A002
    fold: Annotated[
        bool | None, typer.Option("--fold/--no-fold", help="Repeated layers as one row (by itself in long tables).")
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", "-d", help="A tree of stages and blocks with subtotals, so many levels.")
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="By this metric, largest first; -params: smallest first.", autocompletion=completion("columns_of")
        ),
    ] = None,
    top: Annotated[int | None, typer.Option(help="Only so many rows, by --sort or params.")] = None,
    format: Format = None,  # noqa: A002
    style: Annotated[
        str,
        typer.Option(
            help="table, stages (as in papers), cs231n (the lecture's listing), summary (as in PyTorch).",
            autocompletion=completion("styles"),
        ),
    ] = "table",
    caption: Annotated[str, typer.Option(help="LaTeX, HTML: the table's caption.")] = "",
    label: Annotated[str, typer.Option(help="LaTeX: the table's label, tab:vgg16.")] = "",
    output: Output = None,
    no_notes: NoNotes = False,
    strict: Strict = False,
) -> None:
    """Example: rfcalc table vgg16 --input 3x384x384 --columns name,output,rf,padding,params"""
    from rfcalc.readers.target import analyze
    from rfcalc.report.table import View, document

    format_of(format, output)
    if label and not re.fullmatch(r"[\w:.-]+", label, re.ASCII):
        raise RfcalcError(f"{label!r} is no label", fix="letters, digits and : . _ - only: --label tab:vgg16")
    report = analyze(target, inputs(input), batch=batch, dtype=dtype)
    chosen = columns_of(columns)
    if counts is not None:
        from rfcalc.claims.counting import metric_of
        from rfcalc.cli.counts import hooked

        chosen = (*(chosen or ("name", "output", "params", "macs")), metric_of(counts, hooked))
    emit(
        document(report, View(chosen, all, fold, at, depth, sort, top, caption, label), style), format, output, no_notes
    )
    check(report, strict)
