"""`rfcalc explain`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from rfcalc.cli.common import Batch, Dtype, Format, Inputs, NoNotes, Output, Target, completion_with, emit, format_of
from rfcalc.core.errors import RfcalcError, UnknownName


def _apart(target: str, what: list[str]) -> str:
    """How a node and a metric are written that stand in other words (``pool5 receptive field``, ``rf@pool5``)."""
    from rfcalc.report.metrics import METRICS

    node, metric = what[0], "-".join(what[1:])
    if len(what) == 1:
        node, sign, metric = re.split(r"([@:])|\.(?=[^.]*$)", what[0], maxsplit=1)
        node, metric = (metric, node) if sign == "@" else (node, metric)
    known = metric.lower().replace("_", "-") in {name.lower().replace("_", "-") for name in METRICS.spellings()}
    return f"write rfcalc explain {target} {node} {metric}" if known else f"write rfcalc explain {target} {node} params"


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
    from rfcalc.derivation.blackboard import document
    from rfcalc.derivation.deriving import derive
    from rfcalc.derivation.symbols import analyzed

    format_of(format, output)
    if len(what) > 2:
        raise RfcalcError(f"{' '.join(what)!r} is more than a node and a metric", fix=_apart(target, what))
    report = analyzed(target, one_input(input), batch=batch, dtype=dtype)
    node = what[0] if len(what) == 2 else None
    try:
        found = derive(report, node, what[-1], direction=direction, source=source, unit=position("--unit", unit))
    except UnknownName:
        if len(what) > 1 or not re.search(r"\w[.@:]\w", what[0]):
            raise
        raise RfcalcError(f"{what[0]!r} is no node and no metric", fix=_apart(target, what)) from None
    emit(document(found), format, output, no_notes)
