"""What commands share: the options that every one takes, reading inputs, showing a document.

A command is a function ``command`` in a file of its own, with these types for its arguments, and ends with `emit`:

    def command(target: Target, input: Inputs = None, format: Format = None, output: Output = None) -> None:
        \"\"\"Example: rfcalc mine vgg16\"\"\"
        from rfcalc.readers.target import analyze

        emit(document(analyze(target, inputs(input))), format, output)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rfcalc.core.errors import RfcalcError
from rfcalc.core.shape import Shape

if TYPE_CHECKING:
    from rfcalc.report.document import Document


def inputs(given: list[str] | None) -> Any:
    """``--input 3x224x224``, or ``--input name=3x224x224`` for several inputs; None if not given.

    Raises:
        RfcalcError: what is not a shape, or several inputs without names.
    """
    if not given:
        return None
    named: dict[str, Any] = {}
    for text in given:
        name, sign, shape = text.rpartition("=")
        if "," in text and ("x" in text.partition(",")[0].rpartition("=")[2] or name.count("=")):
            parts = [part if "=" in part else f"NAME={part}" for part in text.split(",")]
            told = " ".join(f"--input {part.strip()}" for part in parts)
            raise RfcalcError(f"--input {text} holds several shapes", fix=f"give --input once for each: {told}")
        if not sign and len(given) > 1:
            if any("=" in other for other in given):
                raise RfcalcError(f"--input {text} has no name", fix="name every input: --input name=3x224x224")
            return list(given)  # in their order
        if name in named:
            raise RfcalcError(f"--input names {name!r} twice")
        value = name and ("x" not in shape.lower() or ":" in shape)  # name=7, name=int64:16: the reader knows
        named[name] = shape if value or ":" in shape else Shape.parse(shape)
    return named[""] if list(named) == [""] else named


def shown(given: str | None, there: Collection[object]) -> list[int] | None:
    """The numbers of ``--show 2``, ``--show 1,3..5`` or ``--show all``; None if not given.

    Raises:
        RfcalcError: anything else.
    """
    if given is None:
        return None
    if given.strip() == "all":
        return list(range(1, len(there) + 1))
    found: list[int] = []
    for part in given.split(","):
        low, dots, high = (t.strip() for t in part.partition(".."))
        if not low.isdecimal() or (dots and not high.isdecimal()):
            raise RfcalcError(f"--show {given} names no variants", fix="write --show 2, --show 1,3..5 or --show all")
        found += range(int(low), min(int(high), len(there) + 1) + 1) if dots else [int(low)]
    return found


def columns_of(given: str | None) -> tuple[str, ...] | None:
    """What --columns names; None where it is not given.

    Raises:
        RfcalcError: it names nothing.
    """
    chosen = tuple(c.strip() for c in given.split(",") if c.strip()) if given is not None else None
    if chosen == ():
        raise RfcalcError("there are no columns", fix="name at least one: --columns name,params")
    return chosen


def completion(name: str) -> Callable[[str], list[str]]:
    """What the shell offers for a word, by the name of a function of `rfcalc.cli.complete`, loaded when it is asked."""

    def offered(incomplete: str) -> list[str]:
        found: list[str] = getattr(import_module("rfcalc.cli.complete"), name)(incomplete)
        return found

    return offered


def completion_with(name: str) -> Callable[[typer.Context, str], list[str]]:
    """The same, by a function that also looks at the words before."""

    def offered(ctx: typer.Context, incomplete: str) -> list[str]:
        found: list[str] = getattr(import_module("rfcalc.cli.complete"), name)(ctx, incomplete)
        return found

    return offered


# What a command takes for a network: the same words everywhere.
MODELS = "a spec file, or a model of yours: model.onnx, model.keras, or code"
CODE = "model.py:build and py:package.module:Net(depth=4) run that code; nothing else does."
TARGET = f"A network (rfcalc list), notation, {MODELS}. {CODE}"
STRICT = "Exit with 1 if an operator was not understood."

Target = Annotated[str, typer.Argument(help=TARGET, autocompletion=completion("networks"))]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help="Input shape, 3x224x224; several in order, or name=3x224x224."),
]
Batch = Annotated[int, typer.Option(help="Items in a batch.")]
Dtype = Annotated[
    str | None,
    typer.Option(help="Of values: float32, float16, bfloat16, float64, int8, …", autocompletion=completion("dtypes")),
]
At = Annotated[
    str | None,
    typer.Option(help="Only this node (a stage or block means its last).", autocompletion=completion_with("nodes")),
]
Strict = Annotated[bool, typer.Option("--strict", help=STRICT)]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="terminal, plain, markdown, latex, html, csv, json; left out: what --output ends in, else terminal.",
        autocompletion=completion("forms"),
    ),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")]
# Which exercises are asked for.
Family = Annotated[
    str | None,
    typer.Option(
        help="output-size, parameters, receptive-field, memory, operations, design, concepts; all if left out."
    ),
]
Form = Annotated[
    str | None, typer.Option(help="one-layer, table, setting, compare, error, summary, statement; all if left out.")
]
Difficulty = Annotated[
    int | None, typer.Option(help="1 by hand in a minute, 2 several steps, 3 networks of the literature.")
]
Show = Annotated[
    str | None,
    typer.Option("--show", help="With variants: what these change: 2, 1,3..5 or all; the table numbers them."),
]
NoNotes = Annotated[bool, typer.Option("--no-notes", help="Without conventions and assumptions.")]

PICTURES = ("svg", "tikz", "png", "pdf")  # what only `rfcalc draw` and `rfcalc memory` write
NO_TEXT = (  # endings of files that are no text, or pictures
    *("pdf", "png", "jpg", "jpeg", "gif", "svg", "svgz", "eps", "ps", "webp", "tif", "tiff", "bmp", "ico"),
    *("xlsx", "xls", "ods", "docx", "doc", "odt", "pptx", "odp", "zip", "gz", "parquet"),
)


def format_of(given: str | None, output: Path | None, more: Collection[str] = ()) -> str:
    """The format that is meant: the one given, else what the file ends in, else the terminal's.

    Args:
        more: formats that only this command has.

    Raises:
        UnknownName: no such format. Call it first, so that nothing is computed in vain.
        RfcalcError: the file's ending says that it is a picture, or a format of an office, which no text is.
    """
    from rfcalc.render import ENDINGS, named

    ending = output.suffix.lower().removeprefix(".") if output is not None and given is None else ""
    if ending in NO_TEXT:
        raise RfcalcError(
            f"no {ending} is written here",
            where=str(output),
            fix="name a .txt, .md, .tex, .html, .csv or .json; pictures: rfcalc draw NETWORK -o net.svg (png, pdf)",
        )
    return named(given or ENDINGS.get(output.suffix.lower() if output else "", "terminal"), more)


def emit(
    document: Document | Callable[[str, int | None], Document],
    format: str | None = None,  # noqa: A002
    output: Path | None = None,
    no_notes: bool = False,
) -> None:
    """Show a document: on standard output, or in a file, in a format of `rfcalc.render`.

    Args:
        document: what is shown; a function makes it for a format and the width of a terminal (None where
            lines may be as long as they need).
        format, output: as the options give them.
        no_notes: leave the notes out.

    Raises:
        UnknownName: no such format.
        RfcalcError: the file cannot be written.
    """
    from rfcalc.render import Look, render

    form = drawn = format_of(format, output)
    look = Look(*terminal()) if output is None else Look()
    if form == "terminal" and output is None and not unicode():
        form, drawn = "plain", "plain" if look.width is None else "terminal"
        look = look._replace(ascii=True)
    made = document(form, look.width if drawn == "terminal" else None) if callable(document) else document
    write(render(made.without_notes() if no_notes else made, drawn, look), output)


def strict(report: Any, wanted: bool) -> None:
    """Refuse a report that is not complete, if that is wanted.

    Raises:
        ConstraintFailed: with the operators and where they are.
    """
    if not wanted or report.complete:
        return
    from rfcalc.core.errors import ConstraintFailed, plural

    unknown = [node for node in report.network.nodes if node.layer.opaque]
    told = [f"{node.name}: {node.layer.operator}" for node in unknown[:20]]
    more = [f"… and {len(unknown) - 20} more"] if len(unknown) > 20 else []
    raise ConstraintFailed(
        f"{plural(len(unknown), 'operator')} {'was' if len(unknown) == 1 else 'were'} not understood",
        where=report.target,
        why="\n".join(told + more),
        fix="report them to rfcalc's issue tracker; without --strict totals are lower bounds",
    )


def terminal() -> tuple[int | None, bool]:
    """The width to draw for (None in a pipe: lines may be as long as they need), and whether colour may be used."""
    interactive = sys.stdout.isatty()
    color = colored(interactive)
    if not interactive:
        return None, color
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns), color
    return os.get_terminal_size().columns or 80, color


def colored(interactive: bool) -> bool:
    """Whether colour may be used: on a terminal, or where FORCE_COLOR asks for it; never against NO_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR", "") not in ("", "0")
    return forced or (interactive and os.environ.get("TERM") != "dumb")


def unicode() -> bool:
    """Whether the terminal can show more than ASCII."""
    return (sys.stdout.encoding or "ascii").lower().replace("-", "") in ("utf8", "utf16", "utf32", "cp65001")


def write(text: str, output: Path | None) -> None:
    """Print a result, or write it to a file: whole or not at all.

    Raises:
        RfcalcError: the file cannot be written.
    """
    from rfcalc.cli import quiet

    quiet()
    if output is None:
        if unicode():  # a lone surrogate can be in a name
            text = text.encode("utf-8", "replace").decode("utf-8")
        print(text)
        return
    from rfcalc.core.atomic import draft

    with draft(output) as file:
        file.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
