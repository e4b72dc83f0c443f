"""`rfcalc symbolic`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import terminal, unicode, write
from rfcalc.errors import RfcalcError, UnknownName

FORMATS = ("unicode", "plain", "latex", "markdown", "python", "json")


def command(
    target: Annotated[
        str,
        typer.Argument(help="A network (rfcalc list), or notation in which names stand for numbers: 'convK-C xN'."),
    ],
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", "-s", help="Which figures become symbols: H,W,C,N,B (classes, batch), alpha,rho."),
    ] = None,
    input: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--input", "-i", help="Input shape, with names or numbers: 3xHxW.")
    ] = None,
    assume: Annotated[str, typer.Option(help="What is known of symbols: 'K odd, H divisible by 32, C >= 16'.")] = "",
    general: Annotated[bool, typer.Option("--general", help="Keep floors; assume nothing about divisibility.")] = False,
    dtype: Annotated[str, typer.Option(help="Of values: float32, float16, …")] = "float32",
    columns: Annotated[
        str | None, typer.Option("--columns", "-c", help="Metrics by name, in order: name,rf,params.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Only this node.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Activations, normalisation and dropout as rows.")] = False,  # noqa: A002
    format: Annotated[  # noqa: A002
        str, typer.Option("--format", "-f", help="unicode, plain, latex, markdown, python, json.")
    ] = "unicode",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Example: rfcalc symbolic vgg16 --symbols H,W"""
    from rfcalc.formulas import formulas
    from rfcalc.symbolic import source, table

    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    found = formulas(target, symbols, input=_inputs(input), assume=assume, general=general, dtype=dtype)
    if format in ("python", "json"):
        write((source.python if format == "python" else source.json)(found), output)
        return
    chosen = None
    if columns is not None:
        chosen = tuple(c.strip() for c in columns.split(",") if c.strip())
        if not chosen:
            raise RfcalcError("there are no columns", fix="name at least one: --columns name,params")
    if format == "unicode" and output is None and not unicode():
        format = "plain"  # noqa: A001
    view = {"columns": chosen, "every": all, "at": at}
    if format in ("latex", "markdown"):
        write((table.latex if format == "latex" else table.markdown)(found, **view), output)
        return
    width = terminal()[0] if output is None else None
    write(table.draw(found, format, width, **view), output)


def _inputs(given: list[str] | None) -> dict[str, str] | str | None:
    """``3xHxW``, or ``name=3xHxW`` for several inputs."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    named: dict[str, str] = {}
    for text in given:
        name, sign, shape = text.partition("=")
        if not sign:
            raise RfcalcError(f"--input {text} has no name", fix="with several inputs write --input name=3xHxW")
        if name in named:
            raise RfcalcError(f"--input names {name!r} twice")
        named[name] = shape
    return named
