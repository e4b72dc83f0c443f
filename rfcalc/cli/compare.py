"""`rfcalc compare`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rfcalc.cli.common import CODE, inputs, terminal, unicode, write
from rfcalc.cli.complete import dtypes, families, forms, networks
from rfcalc.core.errors import RfcalcError

if TYPE_CHECKING:
    from rfcalc.comparison.tables import Document


def command(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two networks or more: names (rfcalc list), notation, with symbols too: 'conv3-C x3', spec files,"
            f" or models of yours: model.onnx, model.keras, or code. {CODE}",
            autocompletion=networks,
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(help="The pairings that a paper draws its conclusions from: vgg.", autocompletion=families),
    ] = None,
    input: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--input", "-i", help="One for all: 3x224x224, or with symbols CxHxW.")
    ] = None,
    own_inputs: Annotated[
        bool, typer.Option("--own-inputs", help="Each at its own input, where these differ.")
    ] = False,
    numbers: Annotated[list[str] | None, typer.Option("--set", help="Numbers for symbols: C=64,H=56,W=56.")] = None,
    what: Annotated[
        str | None, typer.Option(help="Figures by name, in order: weights,params,peak,non_linearities.")
    ] = None,
    biases: Annotated[bool, typer.Option("--biases", help="Biases and parameters beside the weights.")] = False,
    at: Annotated[
        str | None, typer.Option(help="The node whose receptive field is compared; the last spatial one if left out.")
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="All layers side by side, also those that are the same.")] = False,  # noqa: A002
    batch: Annotated[int, typer.Option(help="Items in a batch.")] = 1,
    dtype: Annotated[
        str, typer.Option(help="Of values: float32, float16, bfloat16, float64, int8, …", autocompletion=dtypes)
    ] = "float32",
    format: Annotated[  # noqa: A002
        str, typer.Option("--format", "-f", help="rich, plain, json, csv, markdown, latex, html.", autocompletion=forms)
    ] = "rich",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Example: rfcalc compare "conv3-C x3" "conv7-C" """
    from rfcalc.comparison.render import check_format

    check_format(format)
    chosen = _names(what)
    shape = one_input(input)
    how = {
        "input": shape,
        "figures": chosen,
        "at": at,
        "biases": biases,
        "batch": batch,
        "dtype": dtype,
    }
    if family is not None:
        if targets:
            raise RfcalcError("--family goes without networks", fix=f"rfcalc compare --family {family}")
        if numbers or own_inputs:
            raise RfcalcError("--family goes without --set and --own-inputs: its networks have one input, in numbers")
        _family(family, how, format, output, all)
        return
    from rfcalc.comparison.comparison import compare

    found = compare(*(targets or ()), numbers=numbers_of(numbers), own_inputs=own_inputs, **how)  # type: ignore[arg-type]
    if format == "json":
        from rfcalc.comparison.render import json

        write(json(found.to_dict()), output)
    elif format == "csv":
        from rfcalc.comparison.records import HEAD, records
        from rfcalc.comparison.render import csv

        write(csv(HEAD, records(found)), output)
    else:
        from rfcalc.comparison.tables import document

        draw(lambda width: document(found, all, width), format, output)


def draw(make: Callable[[int | None], Document], form: str, output: Path | None) -> None:
    """Print a document in a format for people, or write it to a file."""
    from rfcalc.comparison.render import render

    width, color = terminal() if output is None else (None, False)
    if form == "rich" and output is None and not unicode():
        form = "plain"
    write(render(make, form, width, color), output)


def _family(name: str, how: dict[str, object], form: str, output: Path | None, every: bool) -> None:
    from rfcalc.comparison import family as families

    found = families.family(name, **how)
    if form == "json":
        from rfcalc.comparison.render import json

        write(json(found.to_dict()), output)
    elif form == "csv":
        from rfcalc.comparison.render import csv

        write(csv(families.HEAD, found.records()), output)
    else:
        draw(lambda width: families.document(found, every, width), form, output)


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise RfcalcError("there are no figures", fix="name at least one: --what weights,macs")
    return found


def one_input(given: list[str] | None) -> object:
    """The input as text, so that it may have symbols; several by name are shapes."""
    if given and len(given) == 1 and "=" not in given[0]:
        return given[0]
    return inputs(given)


def numbers_of(given: list[str] | None) -> dict[str, int]:
    """``C=64,H=56`` as numbers by name.

    Raises:
        RfcalcError: anything else.
    """
    found: dict[str, int] = {}
    for part in (p for text in given or () for p in text.split(",")):
        name, sign, value = (t.strip() for t in part.partition("="))
        if not sign or not name.isidentifier() or not value.isdigit() or int(value) < 1:
            raise RfcalcError(f"--set {part!r} gives no symbol a number", fix="write --set C=64,H=56,W=56")
        if found.get(name, int(value)) != int(value):
            raise RfcalcError(f"--set gives {name} two numbers", why=f"{found[name]} and {value}")
        found[name] = int(value)
    return found
