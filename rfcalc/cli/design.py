"""`rfcalc design`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from rfcalc.cli.common import Format, Inputs, NoNotes, Output, Show, emit, format_of, inputs, shown
from rfcalc.core.errors import RfcalcError

MOST_VALUES = 10_000  # of a number of a family


def command(
    constraints: Annotated[
        str | None, typer.Argument(help="What is wanted: 'rf >= 224, params < 1M, none(pool), dense(rf)'.")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option("--family", help="What is searched: stack, dilated, tcn, unet, … (--families).")
    ] = None,
    lint: Annotated[
        str | None, typer.Option("--lint", help="Read a given network instead: what is odd about it, and what helps.")
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", help="Variants of a given network, which keep its output.")
    ] = None,
    moves: Annotated[
        str | None, typer.Option("--moves", help="With --like: what is changed: stacks,strides,dense,width.")
    ] = None,
    rules: Annotated[
        str | None, typer.Option("--rules", help="With --lint: only these rules, with commas; any finding is exit 1.")
    ] = None,
    families: Annotated[bool, typer.Option("--families", help="List the families with their numbers.")] = False,
    input: Inputs = None,  # noqa: A002
    minimize: Annotated[
        str | None, typer.Option("--minimize", help="What is to be small: params,macs,peak_bytes,weight_layers.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", help="Samples a second, for times: 'lookahead <= 20ms' with --rate 16kHz.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="Values of a family's number: kernel=3,5, depth=1..8; with --like: width=1/2,3/4."),
    ] = None,
    show: Show = None,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> int:
    """How many layers for this receptive field, which dilations, how deep a U-Net? Searches families of networks
    exactly, and lists the designs of which none is better in everything.

    Example: rfcalc design "rf >= 31, params < 100k, dense(rf)" --family dilated --input 1x16000

    rfcalc design --like resnet18 "params < 8M" changes a given network: large kernels, strides, dilations, channels.

    Exit code 1: nothing fits (the nearest bounds are shown), or a chosen rule of --lint finds something.
    """
    from rfcalc.core.shape import Shape
    from rfcalc.readers import planning

    format_of(format, output)
    _together(
        {"--families": families, "--lint": lint is not None, "--like": like is not None},
        {
            "a constraint": constraints is not None and (lint is not None or families),
            "--family": bool(family),
            "--moves": moves is not None and like is None,
            "--show": show is not None and like is None,
            "--rules": rules is not None and lint is None,
            "--minimize": minimize is not None and lint is not None,
            "--set": bool(values) and lint is not None,
            "--rate": rate is not None and lint is not None,
        },
    )
    if families:
        emit(planning.families_listed(), format, output, no_notes)
        return 0
    given = inputs(input)
    if lint is not None:
        found = planning.lint(lint, given, rules=tuple(r.strip() for r in rules.split(",")) if rules else None)
        emit(found.document(), format, output, no_notes)
        return 1 if rules and found.findings else 0
    objectives = [m.strip() for m in minimize.split(",") if m.strip()] if minimize else None
    if like is not None:
        from rfcalc.comparison.likes import variants

        chosen = [m.strip() for m in moves.split(",") if m.strip()] if moves else ()
        near = variants(
            like,
            planning.with_rate(constraints or "", rate),
            given,
            moves=chosen,
            minimize=objectives,
            factors=_factors(values or ()),
        )
        emit(near.document(shown(show, near.designs)), format, output, no_notes)
        return 0 if near.designs else 1
    if constraints is None:
        raise RfcalcError("what is wanted?", fix='name it: rfcalc design "rf >= 224, params < 1M"')
    if given is not None and not isinstance(given, Shape):
        raise RfcalcError("designs have one input, without a name", fix="write --input 3x224x224")
    answer = planning.design(
        constraints, family or (), given, minimize=objectives, rate=rate, values=_values(values or ())
    )
    emit(answer.document(), format, output, no_notes)
    return 0 if answer.designs else 1


def _together(asked: dict[str, bool], beside: dict[str, bool]) -> None:
    """Refuse options that would be left out.

    Raises:
        RfcalcError: naming them.
    """
    ways = [name for name, given in asked.items() if given]
    left = [name for name, given in beside.items() if given]
    if len(ways) > 1:
        raise RfcalcError(f"{' and '.join(ways)} are two questions", fix="ask one of them")
    if left and (ways or left != ["--family"]):
        there = ways[0] if ways else "a search through families"
        fix = "use --moves with --like, --rules with --lint" if set(left) & {"--moves", "--rules"} else "leave it out"
        fix = "use --show with --like" if "--show" in left else fix
        raise RfcalcError(f"{left[0]} has no meaning with {there}", fix=fix)


def _factors(given: Sequence[str]) -> list[str]:
    """Factors of channels from ``width=1/2,3/4``.

    Raises:
        RfcalcError: values of anything else.
    """
    found: list[str] = []
    for text in given:
        name, _, listed = text.partition("=")
        if name.strip() != "width" or not listed.strip():
            raise RfcalcError(f"{text!r} sets nothing that a given network has", fix="write --set width=1/2,3/4")
        found += listed.split(",")
    return found


def _values(given: Sequence[str]) -> dict[str, list[int]]:
    """Values of numbers from ``kernel=3,5`` and ``depth=1..8``.

    Raises:
        RfcalcError: anything else.
    """
    found: dict[str, list[int]] = {}
    for text in given:
        name, sign, listed = text.partition("=")
        try:
            for part in listed.split(","):
                low, dots, high = part.partition("..")
                numbers = range(int(low), int(high) + 1) if dots else (int(part),)
                if len(numbers) > MOST_VALUES:
                    raise RfcalcError(f"{text} has more than {MOST_VALUES:,} values", fix="give fewer")
                found.setdefault(name.strip(), []).extend(numbers)
        except ValueError:
            sign = ""
        if not sign:
            raise RfcalcError(f"{text!r} sets nothing", fix="write --set kernel=3,5 or --set depth=1..8")
    return found
