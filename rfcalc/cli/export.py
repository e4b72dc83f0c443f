"""`rfcalc export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import TARGET, completion, inputs, write
from rfcalc.cli.complete import FORMS
from rfcalc.core.errors import RfcalcError, UnknownName


def command(
    target: Annotated[
        str,
        typer.Argument(help=TARGET, autocompletion=completion("networks")),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            help="notation, spec (TOML), json or torch (source); left out: as --output ends, else notation.",
            autocompletion=completion("exports"),
        ),
    ] = None,
    input: Annotated[  # noqa: A002
        list[str] | None, typer.Option("--input", "-i", help="Input shape, 3x224x224; name=3x224x224 for several.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="With --to torch: a module that takes its input in chunks.")
    ] = False,
    axis: Annotated[int, typer.Option(help="With --stream: the spatial axis, from 0; -1 is the last.")] = -1,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Example: rfcalc export vgg16 --to spec --output vgg16.toml"""
    from rfcalc.readers.target import resolve, with_inputs

    to = to or _form_of(output)
    if to not in FORMS:
        raise UnknownName("form", to, list(FORMS))
    if stream and to != "torch":
        raise RfcalcError(
            f"--stream does not go with --to {to}", fix="a stream is written as PyTorch source: --to torch"
        )
    given = inputs(input)
    found = resolve(target, given)
    network = found.network if found.bound else with_inputs(found.network, given)
    if given is not None and not found.bound:
        from rfcalc.graph.forward import forward, shapes_of_inputs

        forward(network, shapes_of_inputs(network, None))  # an input is written only if it runs
    if to == "notation":
        from rfcalc.notation import write as written

        write(written(network), output)
        return
    if to == "torch":
        from rfcalc.backend import to_source

        shapes, assumptions = found.at(given)
        notes = [f"Assumed: {assumption}." for assumption in assumptions]
        network = with_inputs(found.network, shapes)  # a module's weights are made for an input
        if stream:
            from rfcalc.backend.stream import to_stream
            from rfcalc.backend.stream.source import to_source as streamed
            from rfcalc.readers.streaming import module_of

            module = module_of(network)
            made = to_stream(network, axis=axis) if module is None else to_stream(module, given, axis)
            write(streamed(made, notes), output)
            return
        write(to_source(network, notes=notes), output)
        return
    from rfcalc import spec

    write(spec.write(network, "toml" if to == "spec" else "json"), output)


def _form_of(output: Path | None) -> str:
    """What the file's ending says.

    Raises:
        RfcalcError: a file that holds trained weights, or a picture, which is not written here.
    """
    ending = output.suffix.lower() if output is not None else ""
    form = {".toml": "spec", ".json": "json", ".py": "torch", ".txt": "notation", "": "notation"}.get(ending)
    if form is None:
        raise RfcalcError(
            f"no {ending[1:]} is written here",
            where=str(output),
            fix="name a .toml (spec), .json, .py (PyTorch source) or .txt (notation), or say which by --to",
        )
    return form
