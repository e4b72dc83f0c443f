"""`rfcalc check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rfcalc.cli.common import Output, emit, format_of, write
from rfcalc.core.errors import RfcalcError

if TYPE_CHECKING:
    from rfcalc.claims.files import Claim


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
        typer.Option("--run", help="Code that the claims may name and that you trust: model.py:Net, py:package:Net."),
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
    from rfcalc.claims.document import CI, document
    from rfcalc.claims.judging import Reports, check

    form = format_of(format, output, CI)
    paths = [*(claims or []), *(path for name in names or [] for path in _files(name))]
    networks = [n for n in names or [] if not _files(n)]
    if every and (paths or networks):
        raise RfcalcError("--all goes without names and files")
    if not (every or paths or networks):
        raise RfcalcError("what is to be checked?", fix="name a network or a claims file, or give --all")
    found, broken = _chosen(paths, networks, run or [])
    reports, results = Reports(run or []), []
    for claim in found:
        try:
            results += check([claim], reports)
        except RfcalcError as error:
            broken.append(error)
    if results and form in CI:
        write(CI[form](results), output)
    elif results:
        emit(document(results), form, output)
    for complaint in broken:
        print(f"error: {complaint}", file=sys.stderr)
    return 2 if broken else 0 if all(result.passed for result in results) else 1


def _files(name: str) -> list[Path]:
    """The claims files that a word names: itself, or all in a folder; none if it is a network's name."""
    from rfcalc.claims.files import ENDING

    if name.endswith(ENDING):
        return [Path(name)]
    from rfcalc import zoo

    if not Path(name).is_dir() or zoo.find(name) is not None:
        return []
    found = [path for path in sorted(Path(name).rglob(f"*{ENDING}")) if not _hidden(path.relative_to(name))]
    if not found:
        fix = f"rfcalc lock writes one: --output NAME{ENDING}"
        raise RfcalcError("there is no claims file in this folder", where=name, fix=fix)
    return found


def _hidden(path: Path) -> bool:
    """Whether a path leads through a hidden folder, such as that of a virtual environment."""
    return any(part.startswith(".") for part in path.parts)


def _chosen(paths: list[Path], names: list[str], run: list[str]) -> tuple[list[Claim], list[RfcalcError]]:
    """The claims of the files, or those that come with rfcalc; about the networks that are named, if any are. A file
    that cannot be read does not silence the others: its error is told beside their results."""
    from rfcalc.claims.files import networks, read, shipped

    if not paths:
        return ([claim for name in names for claim in shipped(name)] if names else shipped()), []
    claims: list[Claim] = []
    broken: list[RfcalcError] = []
    for path in paths:
        try:
            claims += read(path, run=run)
        except RfcalcError as error:
            broken.append(error)
    if not names:
        return claims, broken
    found = [claim for claim in claims if set(names) & set(networks(claim))]
    if not found and not broken:
        raise RfcalcError(f"nothing is claimed about {', '.join(names)}", where=", ".join(map(str, paths)))
    return found, broken
