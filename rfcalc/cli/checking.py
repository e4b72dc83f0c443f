"""`rfcalc check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import terminal, write
from rfcalc.errors import RfcalcError


def command(
    name: Annotated[str | None, typer.Argument(help="A network (rfcalc list); with --claims only its claims.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every claim that comes with rfcalc.")] = False,
    claims: Annotated[
        Path | None, typer.Option("--claims", help="A claims file of your own (*.rfclaims.toml).")
    ] = None,
    format: Annotated[  # noqa: A002
        str, typer.Option("--format", "-f", help="rich, plain, json, junit, github or markdown.")
    ] = "rich",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> int:
    """Example: rfcalc check vgg16

    Exit code 1: a claim that should hold does not, or a known erratum holds.
    """
    from rfcalc.claims.files import networks, read, shipped
    from rfcalc.claims.judging import check
    from rfcalc.claims.render import FORMATS, render
    from rfcalc.errors import UnknownName

    if format not in FORMATS:
        raise UnknownName("format", format, list(FORMATS))
    if claims is not None:
        if every:
            raise RfcalcError("--all and --claims exclude each other")
        found = list(read(claims))
        if name is not None:
            found = [claim for claim in found if name in networks(claim)]
            if not found:
                raise RfcalcError(f"nothing is claimed about {name!r}", where=str(claims))
    elif (name is None) != every:
        raise RfcalcError("what is to be checked?", fix="name a network, or give --all or --claims FILE")
    else:
        found = shipped(None if every else name)
    results = check(found)
    write(render(results, format, color=output is None and terminal()[1]), output)
    return 0 if all(result.passed for result in results) else 1
