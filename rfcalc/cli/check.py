"""`rfcalc check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import Output, emit, format_of, write
from rfcalc.core.errors import RfcalcError


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Networks (rfcalc list), claims files of your own (*.rfclaims.toml) about any network, spec file,"
            " model.onnx, model.keras, or a folder with claims files: rfcalc lock writes them. No code is run but what"
            " --run names."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every claim that comes with rfcalc.")] = False,
    claims: Annotated[
        list[Path] | None, typer.Option("--claims", help="A claims file; with names, only its claims about them.")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run", help="Code that the claims may name and that you trust: model.py:Net, py:package.module:Net."
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="terminal, plain, markdown, latex, html, csv, json; junit, github, badge; left out: what --output ends"
            " in, else terminal.",
        ),
    ] = None,
    output: Output = None,
) -> int:
    """Example: rfcalc check vgg16

    Exit code 1: a claim that should hold does not, or a known erratum holds; 2: a file or a claim cannot be read (the
    others are checked all the same).
    """
    from rfcalc.claims.checking import chosen, files_of
    from rfcalc.claims.document import CI, document
    from rfcalc.claims.judging import Reports, judge

    form = format_of(format, output, CI)
    paths = [*(claims or []), *(path for name in names or [] for path in files_of(name))]
    networks = [n for n in names or [] if not files_of(n)]
    if every and (paths or networks):
        raise RfcalcError("--all goes without names and files")
    if not (every or paths or networks):
        raise RfcalcError("what is to be checked?", fix="name a network or a claims file, or give --all")
    found, broken = chosen(paths, networks, run or [])
    reports, results = Reports(run or []), []
    for claim in found:
        try:
            results += judge([claim], reports)
        except RfcalcError as error:
            broken.append(error)
    if results and form in CI:
        write(CI[form](results), output)
    elif results:
        emit(document(results), form, output)
    for complaint in broken:
        print(f"error: {complaint}", file=sys.stderr)
    return 2 if broken else 0 if all(result.passed for result in results) else 1
