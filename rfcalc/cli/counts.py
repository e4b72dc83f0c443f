"""`rfcalc counts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rfcalc.cli.common import Format, Inputs, NoNotes, Output, Target, emit, format_of, inputs

if TYPE_CHECKING:
    from rfcalc.report import Report


def hooked(report: Report) -> Mapping[str, Any] | None:
    """What each tool hooks in the module that a network was read from; None where there is none."""
    if report.network.source is None:
        return None
    from rfcalc.backend.counters import tallies

    return tallies(report)


def command(
    target: Target,
    input: Inputs = None,  # noqa: A002
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """Example: rfcalc counts resnet50"""
    from rfcalc.claims.counting import document
    from rfcalc.readers.target import analyze

    format_of(format, output)
    emit(document(analyze(target, inputs(input)), hooked), format, output, no_notes)
