"""`rfcalc explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from rfcalc.cli.common import Batch, Dtype, Format, Inputs, NoNotes, Output, Target, completion_with, emit, format_of
from rfcalc.core.errors import RfcalcError


def command(
    target: Target,
    what: Annotated[
        list[str],
        typer.Argument(
            help="NODE METRIC, or METRIC for the whole network: pool5 rf; params.",
            autocompletion=completion_with("nodes_and_figures"),
        ),
    ],
    input: Inputs = None,  # noqa: A002
    batch: Batch = 1,
    dtype: Dtype = None,
    direction: Annotated[
        str, typer.Option(help="Receptive fields: backward (the lesson), forward (jumps), both (and why they agree).")
    ] = "backward",
    source: Annotated[
        str | None, typer.Option("--from", help="Receptive fields: an input or an earlier node; the input if left out.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Receptive fields: what this unit really sees, padding cut away: Y,X.")
    ] = None,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """Example: rfcalc explain vgg16 pool5 receptive-field --direction both"""
    from rfcalc.cli.compare import one_input
    from rfcalc.cli.rf import position
    from rfcalc.derivation import derive
    from rfcalc.derivation.blackboard import document
    from rfcalc.derivation.symbols import analyzed

    format_of(format, output)
    if len(what) > 2:
        raise RfcalcError(
            f"{' '.join(what)!r} is more than a node and a metric", fix="write: rfcalc explain vgg16 pool5 params"
        )
    report = analyzed(target, one_input(input), batch=batch, dtype=dtype)
    node = what[0] if len(what) == 2 else None
    found = derive(report, node, what[-1], direction=direction, source=source, unit=position("--unit", unit))
    emit(document(found), format, output, no_notes)
