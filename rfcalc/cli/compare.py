"""`rfcalc compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from rfcalc.cli.common import CODE, Batch, Dtype, Format, NoNotes, Output, completion, emit, format_of, inputs
from rfcalc.core.errors import RfcalcError


def command(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two networks or more: names (rfcalc list), notation, with symbols too: 'conv3-C x3', spec files,"
            f" or models of yours: model.onnx, model.keras, or code. {CODE}",
            autocompletion=completion("networks"),
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            help="The pairings that a paper draws its conclusions from: vgg.", autocompletion=completion("families")
        ),
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
    batch: Batch = 1,
    dtype: Dtype = None,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """Example: rfcalc compare "conv3-C x3" "conv7-C" """
    from rfcalc.comparison.spelling import spelled

    format_of(format, output)
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
            raise RfcalcError("--family takes no other networks", fix=f"rfcalc compare --family {family}")
        if numbers or own_inputs:
            raise RfcalcError("--family takes neither --set nor --own-inputs: its networks have one input, in numbers")
        from rfcalc.comparison import family as families

        of = families.family(family, **how)
        emit(
            lambda form, width: spelled(lambda w: families.document(of, all, w), form, width), format, output, no_notes
        )
        return
    from rfcalc.comparison.comparison import compare
    from rfcalc.comparison.tables import document

    found = compare(*(targets or ()), numbers=numbers_of(numbers), own_inputs=own_inputs, **how)  # type: ignore[arg-type]
    emit(lambda form, width: spelled(lambda w: document(found, all, w), form, width), format, output, no_notes)


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
        if not sign or not name.isidentifier() or not value.isdecimal() or int(value) < 1:
            raise RfcalcError(f"--set {part!r} does not give a symbol a number", fix="write --set C=64,H=56,W=56")
        if found.get(name, int(value)) != int(value):
            raise RfcalcError(f"--set gives {name} two numbers", why=f"{found[name]} and {value}")
        found[name] = int(value)
    return found
