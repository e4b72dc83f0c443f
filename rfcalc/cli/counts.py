"""`rfcalc counts`."""

from __future__ import annotations

from rfcalc.cli.common import Format, Inputs, Output, Target, emit, format_of, inputs


def command(
    target: Target,
    input: Inputs = None,  # noqa: A002
    format: Format = None,  # noqa: A002
    output: Output = None,
) -> None:
    """Example: rfcalc counts resnet50"""
    from rfcalc.claims.counting import document
    from rfcalc.readers.target import analyze

    format_of(format, output)
    emit(document(analyze(target, inputs(input))), format, output)
