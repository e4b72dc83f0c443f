"""`rfcalc exercise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import CODE, MODELS, Difficulty, Family, Form, Inputs, inputs, write
from rfcalc.core.errors import RfcalcError

COLUMNS = "output,rf,params"


def command(
    family: Family = None,
    form: Form = None,
    difficulty: Difficulty = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many.")] = 10,
    seed: Annotated[str, typer.Option(help="The same seed gives the same paper.")] = "0",
    student: Annotated[str | None, typer.Option(help="A paper of one's own for each student.")] = None,
    identity: Annotated[str | None, typer.Option("--id", help="The one exercise with this id, again.")] = None,
    pattern: Annotated[
        str | None, typer.Option(help="Only this pattern: output-size.window-on-square.one-layer.")
    ] = None,
    numbers: Annotated[
        str, typer.Option(help="With --pattern: numbers of your own: 'kernel=3, stride=2, input=3x32x32'.")
    ] = "",
    network: Annotated[
        str | None,
        typer.Option(help=f"A table of your own network, to be filled in: a name, notation, {MODELS}. {CODE}"),
    ] = None,
    blank: Annotated[str, typer.Option(help="With --network: the columns that are asked for.")] = COLUMNS,
    rows: Annotated[
        str | None, typer.Option(help="With --network: only these rows: conv1,pool1; all if left out.")
    ] = None,
    input: Inputs = None,  # noqa: A002
    sheet: Annotated[Path | None, typer.Option(help="The exercises of a lesson, as a file says (TOML).")] = None,
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
    from rfcalc.teaching.exercises.formats import FILES, FORMATS, PaperHeading, render
    from rfcalc.teaching.exercises.saving import load, save

    if format not in FORMATS:
        from rfcalc.core.errors import UnknownName

        raise UnknownName("format", format, list(FORMATS))
    if format in FILES and output is None:
        what = "a folder" if FILES[format] == "/" else f"a {FILES[format]} file"
        raise RfcalcError(f"the format {format} makes {what}", fix="say where: --output NAME")
    if numbers and pattern is None:
        raise RfcalcError("--numbers are those of a pattern", fix="name it: --pattern output-size.volume.one-layer")
    if network is None and (blank != COLUMNS or rows or input):
        option = "--blank" if blank != COLUMNS else "--rows" if rows else "--input"
        raise RfcalcError(f"{option} is for a table of your own network", fix="name it: --network 'conv3-8 > maxpool2'")
    if sum(given is not None for given in (bank, sheet, network, pattern, identity)) > 1:
        raise RfcalcError("--bank, --sheet, --network, --pattern and --id are five ways to ask", fix="choose one")
    if bank is not None:
        items, request = read(load(bank), str(bank))
        seed, student = str(request.get("seed", "0")), str(request.get("student") or "")
        paper = PaperHeading(f"Exercises, seed {seed}", seed, student, request)
    elif sheet is not None:
        from rfcalc.teaching.sheets import sheet as of_sheet

        title, seed, items = of_sheet(load(sheet), str(sheet), student or "")
        paper = PaperHeading(title, seed, student or "", {"sheet": sheet.name, "seed": seed, "student": student})
    elif network is not None:
        from rfcalc.teaching.own_tables import table_of

        items = [table_of(network, inputs(input), blank=blank, rows=rows)]
        paper = PaperHeading(
            items[0].title, items[0].seed, student or "", {"network": network, "blank": blank, "rows": rows}
        )
    elif pattern is not None:
        from rfcalc.teaching.exercises.bank import fixed

        items = [fixed(pattern, f"{seed}/{student or ''}/{i}", numbers, difficulty) for i in range(count)]
        request = {"pattern": pattern, "numbers": numbers, "count": count, "seed": seed, "student": student}
        paper = PaperHeading(f"Exercises, seed {seed}", seed, student or "", request)
    elif identity is not None:
        items = [item(identity)]
        paper = PaperHeading("Exercise", items[0].seed, request={"id": identity})
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
        paper = PaperHeading(f"Exercises, seed {seed}", seed, student or "", request)
    made = render(items, format, paper)
    if isinstance(made, str):
        write(made.rstrip("\n"), output)
    else:
        assert output is not None
        save(made, output)
