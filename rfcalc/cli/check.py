"""`rfcalc check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rfcalc.cli.common import terminal, write
from rfcalc.core.errors import RfcalcError

if TYPE_CHECKING:
    from rfcalc.claims.files import Claim


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Networks (rfcalc list), or claims files of your own (*.rfclaims.toml), about any network, spec file,"
            " model.onnx, model.keras: rfcalc lock writes them. No code is run."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every claim that comes with rfcalc.")] = False,
    claims: Annotated[
        list[Path] | None, typer.Option("--claims", help="A claims file; with names, only its claims about them.")
    ] = None,
    format: Annotated[  # noqa: A002
        str, typer.Option("--format", "-f", help="rich, plain, json, junit, github or markdown.")
    ] = "rich",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> int:
    """Example: rfcalc check vgg16

    Exit code 1: a claim that should hold does not, or a known erratum holds.
    """
    from rfcalc.claims.files import ENDING
    from rfcalc.claims.judging import check
    from rfcalc.claims.render import FORMATS, render
    from rfcalc.core.errors import UnknownName

    if format not in FORMATS:
        raise UnknownName("format", format, list(FORMATS))
    paths = [*(claims or []), *(Path(n) for n in names or [] if n.endswith(ENDING))]
    networks = [n for n in names or [] if not n.endswith(ENDING)]
    if every and (paths or networks):
        raise RfcalcError("--all goes without names and files")
    if not (every or paths or networks):
        raise RfcalcError("what is to be checked?", fix="name a network or a claims file, or give --all")
    found = _chosen(paths, networks)
    results = check(found)
    write(render(results, format, color=output is None and terminal()[1]), output)
    return 0 if all(result.passed for result in results) else 1


def _chosen(paths: list[Path], names: list[str]) -> list[Claim]:
    """The claims of the files, or those that come with rfcalc; about the networks that are named, if any are."""
    from rfcalc.claims.files import networks, read, shipped

    if not paths:
        return [claim for name in names for claim in shipped(name)] if names else shipped()
    claims = [claim for path in paths for claim in read(path)]
    if not names:
        return claims
    found = [claim for claim in claims if set(names) & set(networks(claim))]
    if not found:
        raise RfcalcError(f"nothing is claimed about {', '.join(names)}", where=", ".join(map(str, paths)))
    return found
