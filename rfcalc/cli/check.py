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
            " model.onnx, model.keras (rfcalc lock writes them); files of others: an OpenMMLab metafile.yml, a model"
            " card (README.md), a CSV with model, params, FLOPs; or a folder: its claims files or, where there are"
            " none, the files of others in it. No code is run but"
            " what --run names."
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
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="Files of others: what network a name in them is: NAME=TARGET; TARGET alone for a file of one model.",
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

    rfcalc check --run model.py:Net checks the claims files in and below this folder, and may run that code.

    Exit code 1: a claim that should hold does not, or a known erratum holds; 2: a file or a claim cannot be read (the
    others are checked all the same).
    """
    from rfcalc import zoo
    from rfcalc.claims.checking import chosen, files_of
    from rfcalc.claims.document import CI, document
    from rfcalc.claims.foreign import ENDINGS, below, claims_of, is_foreign, judged
    from rfcalc.claims.judging import Reports, judge

    form = format_of(format, output, CI)
    alone = bool(run) and not (names or claims or every)  # the claims files below this folder, with consent to run it
    others, passed, networks, unread = [], [], [], []
    paths = [*(claims or [])]
    for name in ["."] if alone else names or []:
        folder = Path(name).is_dir() and zoo.find(name) is None
        there = [name] if is_foreign(name) else []
        own: list[Path] = []
        try:
            if name.lower().endswith(ENDINGS) and not folder and not there:
                raise RfcalcError("there is no such file", where=name, fix="look at its name and folder")
            own = [] if there else files_of(name)
            networks += [] if own or there else [name]
        except RfcalcError as error:  # a folder without claims files: those of others are looked for
            there, not_there = below(name) if folder and not alone else ([], [])
            passed += not_there
            unread += [] if there else [error]
        paths += own
        others += there
    if target and not others:
        raise RfcalcError("--target says what networks the names in a file of others are", fix="name the file too")
    if every and (paths or networks or others):
        raise RfcalcError("--all takes neither names nor files")
    if not (every or paths or networks or others or unread):
        raise RfcalcError("what is to be checked?", fix="name a network or a claims file, or give --all")
    found, broken = chosen(paths, networks, run or []) if every or paths or networks else ([], [])
    broken = [*unread, *broken]
    reports, results = Reports(run or []), []
    lost: list[str] = []
    for name in others:
        try:
            foreign = claims_of(name, dict(_target(t) for t in target or []), run or [])
            found_there, stopped = judged(foreign, reports)
            results += found_there
            broken += stopped
            lost += foreign.unknown
        except RfcalcError as error:
            broken.append(error)
    for claim in found:
        try:
            results += judge([claim], reports)
        except RfcalcError as error:
            broken.append(error)
    if results and form in CI:
        write(CI[form](results), output)
    elif results:
        emit(document(results), form, output)
    if lost:
        shown = ", ".join(lost[:8]) + (f" and {len(lost) - 8} more" if len(lost) > 8 else "")
        print(f"not judged, no network of rfcalc list: {shown} (--target NAME=TARGET names one)", file=sys.stderr)
    if passed:
        shown = ", ".join(passed[:8]) + (f" and {len(passed) - 8} more" if len(passed) > 8 else "")
        print(f"passed over, no figures of models in them: {shown}", file=sys.stderr)
    for complaint in broken:
        print(f"error: {complaint}", file=sys.stderr)
    return 2 if broken else 0 if all(result.passed for result in results) else 1


def _target(text: str) -> tuple[str, str]:
    name, sign, target = text.partition("=")
    return (name.strip(), target.strip()) if sign else ("", text.strip())
