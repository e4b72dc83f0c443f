"""`rfcalc exercise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import write
from rfcalc.core.errors import RfcalcError


def command(
    family: Annotated[
        str | None,
        typer.Option(
            help="output-size, parameters, receptive-field, memory, operations, design, concepts; all if left out."
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(help="one-layer, table, setting, compare, error, summary, statement; all if left out."),
    ] = None,
    difficulty: Annotated[
        int | None, typer.Option(help="1 by hand in a minute, 2 several steps, 3 networks of the literature.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many.")] = 10,
    seed: Annotated[str, typer.Option(help="The same seed gives the same paper.")] = "0",
    student: Annotated[str | None, typer.Option(help="A paper of one's own for each student.")] = None,
    identity: Annotated[str | None, typer.Option("--id", help="The one exercise with this id, again.")] = None,
    bank: Annotated[Path | None, typer.Option(help="The exercises of this JSON bank, in another format.")] = None,
    format: Annotated[  # noqa: A002
        str,
        typer.Option(
            "--format",
            "-f",
            help="markdown, text, html, latex, json, gift, moodle, qti, prairielearn, jupyterquiz, nbgrader, otter.",
        ),
    ] = "markdown",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file or folder.")] = None,
) -> None:
    """Example: rfcalc exercise --family receptive-field --difficulty 2 -n 10 --seed 7 --format moodle -o quiz.xml"""
    from rfcalc.teaching.exercises.bank import exercises, item, read
    from rfcalc.teaching.exercises.formats import FILES, FORMATS, Paper, render
    from rfcalc.teaching.exercises.saving import load, save

    if format not in FORMATS:
        from rfcalc.core.errors import UnknownName

        raise UnknownName("format", format, list(FORMATS))
    if format in FILES and output is None:
        what = "a folder" if FILES[format] == "/" else f"a {FILES[format]} file"
        raise RfcalcError(f"the format {format} makes {what}", fix="say where: --output NAME")
    if bank is not None:
        items, request = read(load(bank), str(bank))
        seed, student = str(request.get("seed", "0")), str(request.get("student") or "")
        paper = Paper(f"Exercises, seed {seed}", seed, student, request)
    elif identity is not None:
        items = [item(identity)]
        paper = Paper("Exercise", items[0].seed, request={"id": identity})
    else:
        items = exercises(count, seed, family=family, form=form, difficulty=difficulty, student=student)
        request = {
            "count": count,
            "seed": seed,
            "student": student,
            "family": family,
            "form": form,
            "difficulty": difficulty,
        }
        paper = Paper(f"Exercises, seed {seed}", seed, student or "", request)
    made = render(items, format, paper)
    if isinstance(made, str):
        write(made.rstrip("\n"), output)
    else:
        assert output is not None
        save(made, output)
