"""`rfcalc symbolic`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rfcalc.cli.common import CODE, MODELS, Dtype, NoNotes, Output, columns_of, completion, emit, format_of, write
from rfcalc.core.errors import RfcalcError

if TYPE_CHECKING:
    from rfcalc.formulas.result import Symbolic

SOURCE = "python"  # a format that formulas have beside those of documents


def command(
    target: Annotated[
        str,
        typer.Argument(
            help=f"A network (rfcalc list), notation in which names stand for numbers: 'convK-C xN', {MODELS}. {CODE}",
            autocompletion=completion("networks"),
        ),
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
    dtype: Dtype = None,
    set: Annotated[  # noqa: A002
        str, typer.Option("--set", help="Numbers (or other symbols) to put in: 'C=64, W=H'.")
    ] = "",
    solve: Annotated[
        str | None, typer.Option(help="Solve 'metric[@node] relation number' for one symbol: 'rf >= 224'.")
    ] = None,
    unknown: Annotated[
        str | None, typer.Option("--for", help="The symbol to solve for, where there are several.")
    ] = None,
    cheaper_than: Annotated[
        str | None, typer.Option("--cheaper-than", help="For which values TARGET costs less than this other network.")
    ] = None,
    by: Annotated[str, typer.Option(help="The metric that --cheaper-than compares.")] = "weights",
    columns: Annotated[
        str | None, typer.Option("--columns", "-c", help="Metrics by name, in order: name,rf,params.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Only this node.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Activations, normalisation and dropout as rows.")] = False,  # noqa: A002
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option("--format", "-f", help="terminal, plain, markdown, latex, html, csv, json; python (source)."),
    ] = None,
    output: Output = None,
    no_notes: NoNotes = False,
) -> None:
    """Example: rfcalc symbolic vgg16 --symbols H,W"""
    from rfcalc.derivation.symbolic import symbolic
    from rfcalc.formulas.table import document

    form = SOURCE if format is None and output and output.suffix == ".py" else format_of(format, output, (SOURCE,))
    if solve is not None and cheaper_than is not None:
        raise RfcalcError("--solve and --cheaper-than are two questions", fix="ask one at a time")
    given = _numbers(set)
    found = symbolic(target, _inputs(input), symbols, assume, general=general, dtype=dtype or "float32")
    if solve is not None or cheaper_than is not None:
        _answer(found, target, solve, cheaper_than, by, given, unknown, form, output, symbols, _inputs(input), assume)
        return
    if unknown is not None:
        raise RfcalcError("--for needs --solve", fix='--solve "rf >= 224" --for N')
    if given:
        found = found.with_numbers({n: _bound(v, found) for n, v in given.items()})
    if form == SOURCE:
        from rfcalc.formulas.export import python

        write(python(found), output)
        return
    chosen = columns_of(columns)
    emit(lambda shown, _: document(found, shown, chosen, all, at), form, output, no_notes)


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


def _numbers(text: str) -> dict[str, Any]:
    """``C=64, W=H`` as values by name; names in them stay open."""
    from fractions import Fraction

    from rfcalc.core.integers import read
    from rfcalc.formulas.symbols import spelled

    found: dict[str, Any] = {}
    for part in (p.strip() for p in text.split(",")):
        if not part:
            continue
        name, sign, value = (p.strip() for p in part.partition("="))
        if not sign or not name or not value:
            raise RfcalcError(f"cannot read {part!r}", fix='write --set "C=64, W=H"')
        if spelled(name) in found:
            raise RfcalcError(f"--set names {name!r} twice")
        try:
            found[spelled(name)] = Fraction(value) if "/" in value or "." in value else read(spelled(value))
        except (ValueError, ZeroDivisionError):
            raise RfcalcError(f"{value!r} is not a number", fix='write --set "C=64, W=H"') from None
    return found


def _bound(value: Any, found: Symbolic) -> Any:
    """A value with the network's symbols put in for its names."""
    from rfcalc.formulas.symbols import SymbolError, plain_number

    names: frozenset[str] = getattr(value, "free_symbols", frozenset())
    for name in names:
        if name not in found.symbols:
            raise SymbolError(f"{name} is not among the symbols", why=f"they are {', '.join(found.symbols)}")
    return value.bind({n: found.symbols[n] for n in names}) if names else plain_number(value)


def _answer(
    found: Symbolic,
    target: str,
    solve: str | None,
    cheaper_than: str | None,
    by: str,
    given: dict[str, Any],
    unknown: str | None,
    form: str,
    output: Path | None,
    symbols: str | None,
    input: Any,  # noqa: A002
    assume: str,
) -> None:
    """Print the solution; a bound that no value keeps is a check that said no (exit code 1)."""
    from rfcalc.derivation.symbolic import cheaper
    from rfcalc.formulas import solve as solving

    if form == SOURCE:
        raise RfcalcError(
            "a solution cannot be written as Python source", fix="use terminal, plain, latex, markdown or json"
        )
    values = {n: _bound(v, found) for n, v in given.items() if n in found.symbols or cheaper_than is None}
    if cheaper_than is not None:
        given = {n: values.get(n, v) for n, v in given.items()}
        solution = cheaper(target, cheaper_than, by, values=given, symbols=symbols, input=input, assume=assume)
    else:
        solution = solving.solve(found.with_numbers(values) if values else found, solve or "", unknown)
    if not solution.ranges:
        raise solving.refuse(solution)
    emit(lambda shown, _: solving.document(found, solution, shown), form, output)
