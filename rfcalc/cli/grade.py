"""`rfcalc grade`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from rfcalc.cli.common import Batch, Dtype, Format, Inputs, NoNotes, Output, completion, emit, format_of, inputs
from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.core.progress import at


def command(
    given: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A table (CSV, TSV, Markdown) or a design (spec, notation); or a folder of them.",
        ),
    ],
    network: Annotated[
        str | None,
        typer.Option(
            "--network", "-n", help="Tables: the network that they are about.", autocompletion=completion("networks")
        ),
    ] = None,
    require: Annotated[
        str | None,
        typer.Option("--require", "-r", help="Designs: the bounds to keep: 'rf > 44, params < 200k, none(pool)'."),
    ] = None,
    input: Inputs = None,  # noqa: A002
    batch: Batch = 1,
    dtype: Dtype = "float32",
    rows: Annotated[
        str | None,
        typer.Option(
            help="Rows that are asked for, by name; 'given': those handed in. Those of rfcalc table if left out."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            "-c",
            help="Figures that are asked for: rf,stride,params; with the head of a column: 'rf=Sichtfeld'."
            " Those handed in if left out.",
        ),
    ] = None,
    repeats: Annotated[
        str, typer.Option(help="The same mistake again costs: each (a mark each time) or once.")
    ] = "each",
    enough: Annotated[
        int,
        typer.Option("--pass", min=0, max=100, help="Per cent of the marks, errors carried forward, for exit code 0."),
    ] = 100,
    format: Format = None,  # noqa: A002
    output: Output = None,
    no_notes: NoNotes = False,
) -> int:
    """Example: rfcalc grade table.csv --network vgg16

    A wrong row is marked from the student's own previous row. Exit code 1: not all marks, or a bound that is not kept.
    """
    from rfcalc.teaching.grading.batch import TABLES, Found, files, graded, result
    from rfcalc.teaching.grading.document import document

    format_of(format, output)
    if (network is None) == (require is None):
        raise RfcalcError(
            "what is to be graded?",
            fix="give --network NAME for tables, or --require 'rf > 44, …' for designs; not both",
        )
    one: Callable[[str], Found]
    if require is not None:
        from rfcalc.report.constraints import parse
        from rfcalc.teaching.grading.designs import ENDINGS, judge

        constraints, shape = parse(require), inputs(input)
        endings: tuple[str, ...] = ENDINGS

        def one(name: str) -> Found:
            return judge(name, constraints, shape, dtype or "float32")
    else:
        from rfcalc.readers.target import analyze
        from rfcalc.teaching.grading.columns import asked
        from rfcalc.teaching.grading.marking import Key
        from rfcalc.teaching.grading.reading import text_of

        if repeats not in ("each", "once"):
            raise UnknownName("way to count repeats", repeats, ("each", "once"))
        figures, heads = asked(columns or "")
        report = analyze(network, inputs(input), batch=batch, dtype=dtype)
        key = Key(report, rows, figures if set(figures) - set(heads) else (), heads, repeats == "once")
        endings = TABLES

        def one(name: str) -> Found:
            return key.mark(text_of(Path(name)), name)

    folder = bool(given.strip()) and len(given) < 4096 and "\x00" not in given and Path(given).is_dir()
    if folder:
        paths = files(Path(given), endings)
        results = list(graded(paths, lambda path: one(str(path)), lambda done: at("files", done, len(paths))))
    else:
        name = Path(given).name if Path(given).suffix.lower() in endings else given
        results = [result(name, one(given))]
    emit(document(results, folder, network or ""), format, output, no_notes)
    if any(r.error for r in results):
        return 2
    return 0 if all(r.passed(enough) for r in results) else 1
